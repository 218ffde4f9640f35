// The closed lists of DESIGN section 4: what an entry may say in its coded columns, and what its columns are
// called.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pg_reconcile::core {

inline constexpr std::array<std::string_view, 6> books = {"internal",   "trade", "fund",
                                                          "settlement", "bank",  "notify"};

inline constexpr std::array<std::string_view, 15> entry_kinds = {
    "payment",      "refund",     "reversal", "chargeback", "chargeback_reversal", "fee",
    "tax",          "payout",     "transfer", "reserve",    "reserve_release",     "fx_conversion",
    "profit_share", "adjustment", "other"};

inline constexpr std::array<std::string_view, 5> statuses = {"success", "pending", "failed", "closed",
                                                             "reversed"};

// The canonical columns that a mapping may fill, in the order of an Entry.
enum class Field : std::size_t {
  channel,
  account,
  book,
  kind,
  sub_kind,
  order_key,
  match_key,
  channel_ref,
  original_ref,
  amount,
  currency,
  settle_amount,
  settlement_currency,
  fx_rate,
  fee,
  net,
  status,
  source_status,
  occurred_at,
  value_date,
  business_date,
  settlement_ref
};

inline constexpr std::size_t field_count = 22;

enum class FieldType { text, amount, timestamp, date };

[[nodiscard]] std::string_view field_name(Field field);
[[nodiscard]] std::optional<Field> field_by_name(std::string_view name);
[[nodiscard]] FieldType field_type(Field field);

// "payment, refund, ...": for messages.
template <std::size_t N>
[[nodiscard]] std::string listed(const std::array<std::string_view, N>& words) {
  std::string text;
  for (std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

template <std::size_t N>
[[nodiscard]] bool contains(const std::array<std::string_view, N>& words, std::string_view word) {
  for (std::string_view candidate : words) {
    if (candidate == word) return true;
  }
  return false;
}

}  // namespace pg_reconcile::core
