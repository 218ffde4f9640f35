// ISO 4217: which currencies there are, and how many digits their minor unit has.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/money/decimal.h"

namespace pg_reconcile::core {

// Minor unit digits of an upper case alphabetic code: CNY 2, JPY 0, KWD 3. nullopt: no such currency. Metals,
// funds codes without a minor unit and test codes (XAU, XXX ...) are no currencies here: nobody is paid in
// them.
[[nodiscard]] std::optional<int> minor_unit_digits(std::string_view code);

// An amount with the decimals of its currency's minor unit, and more where it has more: "5.00" CNY, "500"
// JPY.
[[nodiscard]] std::string amount_text(Decimal amount, std::string_view currency);

// The code in upper case when it is a currency; nullopt otherwise. Sources differ in case, never in meaning.
[[nodiscard]] std::optional<std::string> currency_code(std::string_view text);

}  // namespace pg_reconcile::core
