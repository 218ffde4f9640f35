#include "core/protocol/copy_text.h"

#include "core/error.h"

namespace pg_reconcile::core {
namespace {

char unescape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return c;
  }
}

}  // namespace

const std::vector<std::optional<std::string_view>>& CopyTextRow::parse(std::string_view line,
                                                                       std::size_t columns) {
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  fields_.clear();
  unescaped_.clear();
  unescaped_.reserve(line.size());  // an escape never grows: the views below stay where they are
  std::size_t at = 0;
  for (;;) {
    const std::size_t tab = line.find('\t', at);
    const std::string_view field = line.substr(at, tab == std::string_view::npos ? tab : tab - at);
    if (field == "\\N") {
      fields_.emplace_back(std::nullopt);
    } else if (field.find('\\') == std::string_view::npos) {
      fields_.emplace_back(field);
    } else {
      const std::size_t start = unescaped_.size();
      for (std::size_t i = 0; i < field.size(); i++) {
        if (field[i] != '\\') {
          unescaped_.push_back(field[i]);
        } else if (++i < field.size()) {
          unescaped_.push_back(unescape(field[i]));
        } else {
          throw Error(sqlstate::protocol_violation, "a row of the initial copy ends inside an escape", {},
                      "The connection to the source alters what it carries.");
        }
      }
      fields_.emplace_back(std::string_view(unescaped_).substr(start));
    }
    if (tab == std::string_view::npos) break;
    at = tab + 1;
  }
  if (fields_.size() != columns) {
    throw Error(sqlstate::protocol_violation,
                "a row of the initial copy has " + std::to_string(fields_.size()) + " columns instead of " +
                    std::to_string(columns),
                {}, "The connection to the source alters what it carries.");
  }
  return fields_;
}

}  // namespace pg_reconcile::core
