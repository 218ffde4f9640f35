// How a source writes an amount. Declared per mapping, never guessed per row.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/money/decimal.h"

namespace pg_reconcile::core {

struct NumberFormat {
  char point = '.';
  char group = '\0';  // '\0': no grouping; otherwise groups of three, checked

  // "1234.56", "1,234.56", "1234,56", "1.234,56", "1 234,56", "1'234.56". nullopt: none of these.
  static std::optional<NumberFormat> named(std::string_view name);
  static std::string_view names();

  // nullopt when `text` is not written so; `reason` says what is wrong.
  [[nodiscard]] std::optional<Decimal> parse(std::string_view text, std::string& reason) const;
};

// "1.5E+27", "4.0E+27", "27-Oct", "Oct-27", "10月27日": what a spreadsheet makes of a long number or of one
// that looks like a date. The original is lost; only the file as the channel sent it has it.
[[nodiscard]] bool looks_like_spreadsheet_damage(std::string_view text);

// The last byte of an overpunched number ({A-I plus, }J-R minus) turned into a sign and a digit.
[[nodiscard]] std::optional<std::string> undo_overpunch(std::string_view text);

}  // namespace pg_reconcile::core
