#include "core/statement/table_header.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace pg_reconcile::core {

std::vector<std::string> unique_columns(std::vector<std::string> names,
                                        const std::map<std::string, std::string>& aliases) {
  std::unordered_set<std::string> taken;
  std::unordered_map<std::string, int> repeats;  // a header may be one name, 4096 times
  for (std::string& column : names) {
    const auto alias = aliases.find(column);
    if (alias != aliases.end()) column = alias->second;
    if (column.starts_with('@'))
      column.insert(0, "(").append(")");  // "@" is ours: no file states an @account
    std::string name = column;
    for (int& n = repeats.try_emplace(column, 1).first->second; !taken.insert(name).second;) {
      name = column + " (" + std::to_string(++n) + ")";
    }
    column = std::move(name);
  }
  return names;
}

std::optional<std::vector<std::string>> header_names(const FormatDocument& format,
                                                     const std::vector<std::string_view>& values) {
  std::vector<std::string> names;
  for (std::string_view value : values) names.push_back(column_name(value));
  const auto known = [&](const std::string& wanted) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      const auto alias = format.aliases.find(name);
      return name == wanted || (alias != format.aliases.end() && alias->second == wanted);
    });
  };
  if (!std::all_of(format.header_columns.begin(), format.header_columns.end(), known)) return std::nullopt;
  return names;
}

}  // namespace pg_reconcile::core
