// What a column of an unknown table holds, from its values and its name: how its numbers and dates are
// written, and which canonical field it looks like.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_reconcile::core {

struct ColumnValues {
  std::string name;
  std::vector<std::string> values;  // trimmed, of the rows that were looked at; empty ones are left out
};

struct ColumnGuess {
  std::string number_format;  // "" no amounts
  std::string date_format;    // "" no dates
  bool has_time = false;
  bool is_identifier = false;         // long numbers, or no two values alike
  std::string also_fits;              // another date format that fits as well
  std::vector<std::string> distinct;  // up to 20 different values; empty: there are more
};

[[nodiscard]] ColumnGuess guess_column(const ColumnValues& column);

// The canonical field that a name stands for in the languages of channels' files: "order_key", "amount",
// "credit" and "debit" (amounts of one direction), "time" (of a day), "balance" ... "" none.
[[nodiscard]] std::string_view field_of_name(std::string_view name);

// Entry kind and status that a word stands for; "" none.
[[nodiscard]] std::string_view kind_of_word(std::string_view word);
[[nodiscard]] std::string_view status_of_word(std::string_view word);

}  // namespace pg_reconcile::core
