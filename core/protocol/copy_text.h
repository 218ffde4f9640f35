// Rows of COPY ... TO STDOUT in text format, as the initial copy of a table reads them.
// Source: PostgreSQL documentation, COPY, "Text Format".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_reconcile::core {

class CopyTextRow {
 public:
  // `line` with or without its newline. Throws core::Error 08P01 when the number of fields is not `columns`
  // or an escape is cut. Fields are valid until the next parse.
  const std::vector<std::optional<std::string_view>>& parse(std::string_view line, std::size_t columns);

 private:
  std::string unescaped_;
  std::vector<std::optional<std::string_view>> fields_;
};

}  // namespace pg_reconcile::core
