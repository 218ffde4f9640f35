// The fields of an MT940 or MT942 message that hold amounts: 61 (a movement), 60 62 64 65 (balances), 34F and
// 90 (floor limits and totals). Source: SWIFT Standards MT, category 9, and what banks make of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/mapping/entry.h"

namespace pg_reconcile::core {

struct Mt940Transaction {
  Date value_date = 0;
  std::optional<Date> entry_date;  // the year is that of the day nearest to the value date
  std::string mark;                // C D, RC RD (reversals), EC ED (expected, MT942)
  std::string funds_code;          // the letter between mark and amount
  Decimal amount;                  // positive: the balance grows (C, RD, EC)
  std::string type;                // "NTRF"; four characters, or fewer where the line ends
  std::string reference;           // the account owner's
  std::string bank_reference;      // behind "//"
  std::string supplementary;       // the lines below
};

// What can't be read of a field.
struct Mt940Problem {
  std::string part;
  std::string value;
  std::string reason;
};

// Lines are separated by "\n".
[[nodiscard]] std::optional<Mt940Transaction> parse_mt940_transaction(std::string_view text,
                                                                      Mt940Problem& problem);

struct Mt940Balance {
  Date date = 0;
  std::string currency;  // some banks leave it out
  Decimal amount;
};
[[nodiscard]] std::optional<Mt940Balance> parse_mt940_balance(std::string_view text);

// 90C, 90D: "3PLN0,03".
struct Mt940Totals {
  std::int64_t count = 0;
  std::string currency;
  Decimal amount;
};
[[nodiscard]] std::optional<Mt940Totals> parse_mt940_totals(std::string_view text);

// "NL71RABO0123456789": two letters, two digits, 11 to 30 letters and digits. is_iban: and its check digits
// fit.
[[nodiscard]] bool looks_like_iban(std::string_view text);
[[nodiscard]] bool is_iban(std::string_view text);

}  // namespace pg_reconcile::core
