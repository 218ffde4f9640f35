// The names of a table's columns: known by the format, or found in the line that has the right ones.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/format_document.h"

namespace pg_reconcile::core {

// Aliases put in place, and names that come more than once made different: "x", "x (2)".
[[nodiscard]] std::vector<std::string> unique_columns(std::vector<std::string> names,
                                                      const std::map<std::string, std::string>& aliases);

// The names of a row when it is the header: when it has all of the format's header columns.
[[nodiscard]] std::optional<std::vector<std::string>> header_names(
    const FormatDocument& format, const std::vector<std::string_view>& values);

}  // namespace pg_reconcile::core
