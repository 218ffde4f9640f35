#include "core/money/currency.h"

#include <array>

namespace pg_reconcile::core {
namespace {

// ISO 4217 list one (SIX, 2025), by the digits of the minor unit.
constexpr std::string_view no_digits = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ";
constexpr std::string_view two_digits =
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL "
    "GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR "
    "LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB "
    "PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP "
    "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ZWL ";
constexpr std::string_view three_digits = "BHD IQD JOD KWD LYD OMR TND ";
constexpr std::string_view four_digits = "CLF UYW ";

constexpr std::size_t letters = 26;
constexpr signed char unknown = -1;

constexpr std::size_t index_of(std::string_view code) {
  std::size_t index = 0;
  for (char c : code) index = index * letters + static_cast<std::size_t>(c - 'A');
  return index;
}

using Table = std::array<signed char, letters * letters * letters>;

constexpr void enter(Table& table, std::string_view codes, signed char digits) {
  for (std::size_t i = 0; i + 3 <= codes.size(); i += 4) table[index_of(codes.substr(i, 3))] = digits;
}

constexpr Table make_table() {
  Table table{};
  for (signed char& digits : table) digits = unknown;
  enter(table, no_digits, 0);
  enter(table, two_digits, 2);
  enter(table, three_digits, 3);
  enter(table, four_digits, 4);
  return table;
}

const Table table = make_table();

}  // namespace

std::optional<int> minor_unit_digits(std::string_view code) {
  if (code.size() != 3) return std::nullopt;
  for (char c : code) {
    if (c < 'A' || c > 'Z') return std::nullopt;
  }
  const signed char digits = table[index_of(code)];
  if (digits == unknown) return std::nullopt;
  return digits;
}

std::string amount_text(Decimal amount, std::string_view currency) {
  constexpr int most_have = 2;
  return amount.to_string(minor_unit_digits(currency).value_or(most_have));
}

std::optional<std::string> currency_code(std::string_view text) {
  if (text.size() != 3) return std::nullopt;
  std::string code(text);
  for (char& c : code) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (!minor_unit_digits(code)) return std::nullopt;
  return code;
}

}  // namespace pg_reconcile::core
