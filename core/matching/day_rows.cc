#include "core/matching/day_rows.h"

#include <algorithm>

namespace pg_reconcile::core {
namespace {

constexpr unsigned scale_shift = 30;  // 1, 2 and 3: no, two and four decimals
constexpr std::uint32_t sign_bit = 1U << 29;
constexpr std::uint32_t magnitude_max = sign_bit - 2;  // so that no code is `other`
constexpr std::int64_t four_decimals = 100'000'000;    // in units of 10^-12

std::size_t run_length(const std::vector<CompactRow>& rows, std::size_t from) {
  std::size_t to = from + 1;
  while (to < rows.size() && DayRow::other_name(rows[to]) == DayRow::other_name(rows[from])) to++;
  return to - from;
}

}  // namespace

std::uint32_t FeeCode::of(Decimal fee) {
  const int128 units = fee.units();
  const auto narrow = static_cast<std::int64_t>(units);
  if (narrow != units || narrow % four_decimals != 0) return other;
  std::int64_t magnitude = narrow / four_decimals;
  const std::uint32_t sign = magnitude < 0 ? sign_bit : 0;
  if (magnitude < 0) magnitude = -magnitude;
  std::uint32_t scale = 3;
  for (; scale > 1 && magnitude % 100 == 0; scale--) magnitude /= 100;
  if (magnitude > magnitude_max) return other;
  return (scale << scale_shift) | sign | static_cast<std::uint32_t>(magnitude);
}

Decimal FeeCode::value(std::uint32_t code) {
  int128 units = static_cast<int128>(code & (sign_bit - 1)) * four_decimals;
  for (std::uint32_t scale = code >> scale_shift; scale < 3; scale++) units *= 100;
  return Decimal::from_units((code & sign_bit) != 0 ? -units : units);
}

DayPairing DayPairing::of(std::span<const MatchPass> passes, bool prefers_key) {
  if (passes.empty()) return {};
  if (passes[0].rule == MatchRule::match_key) return {DayKey::match_key, true, true, false, false};
  if (passes[0].rule != MatchRule::channel_ref) return {};
  if (!prefers_key) return {DayKey::channel_ref, true, true, true, false};
  const bool keys_follow = passes.size() > 1 && passes[1].rule == MatchRule::match_key;
  return {DayKey::match_key, false, keys_follow, true, keys_follow};
}

bool DayPartMatcher::take(const CompactRow& left, const CompactRow& right) {
  const std::uint64_t left_name = DayRow::other_name(left);
  const std::uint64_t right_name = DayRow::other_name(right);
  if (left_name == 0 && right_name == 0) {
    if (!pairing_.pairs_nameless) return false;
  } else if (left_name == 0 || right_name == 0) {
    if (!pairing_.pairs_without_name) return false;
  } else if (left_name != right_name) {
    return false;  // no pair, or one that is stored because its references differ
  }
  const DayPlace left_place = DayPlace::of(left.ordinal());
  const DayPlace right_place = DayPlace::of(right.ordinal());
  if (left_place.offset == 0 || right_place.offset == 0) return false;
  const std::uint32_t fee = DayRow::fee(left);
  if (fee == FeeCode::none || DayRow::fee(right) == FeeCode::none) return true;
  if (fee != DayRow::fee(right) || fee == FeeCode::other) return false;
  if (left_place.currency == DayPlace::other_currency) return false;
  fees_[left_place.currency] += FeeCode::value(fee);
  return true;
}

std::uint64_t DayPartMatcher::match(std::span<const CompactRow> left, std::span<const CompactRow> right) {
  keys_.build(left, right, interrupts_);
  std::uint64_t pairs = 0;
  for (const KeyGroups::Group& group : keys_.groups()) {
    if (keys_.is_one_to_one(group)) {
      if (take(left[group.left], right[group.right])) {
        pairs++;
      } else {
        leave(Side::left, left[group.left]);
        leave(Side::right, right[group.right]);
      }
    } else {
      pairs += match_many(group, left, right);
    }
  }
  return pairs;
}

std::uint64_t DayPartMatcher::match_many(const KeyGroups::Group& group, std::span<const CompactRow> left,
                                         std::span<const CompactRow> right) {
  many_left_.clear();
  many_right_.clear();
  for (std::uint32_t i = group.left; i != KeyGroups::none; i = keys_.next_left(i))
    many_left_.push_back(left[i]);
  for (std::uint32_t i = group.right; i != KeyGroups::none; i = keys_.next_right(i))
    many_right_.push_back(right[i]);
  std::uint64_t pairs = 0;
  std::size_t l = 0;
  std::size_t r = 0;
  if (pairing_.names_first && !many_left_.empty() && !many_right_.empty()) {
    interrupts_.poll();
    std::sort(many_left_.begin(), many_left_.end(), CompactRow::sorts_before);
    std::sort(many_right_.begin(), many_right_.end(), CompactRow::sorts_before);
    while (l < many_left_.size() && r < many_right_.size()) {
      const std::uint64_t left_name = DayRow::other_name(many_left_[l]);
      const std::uint64_t right_name = DayRow::other_name(many_right_[r]);
      const std::size_t left_run = left_name <= right_name ? run_length(many_left_, l) : 0;
      const std::size_t right_run = right_name <= left_name ? run_length(many_right_, r) : 0;
      if (left_name != 0 && left_run == 1 && right_run == 1 && take(many_left_[l], many_right_[r])) {
        pairs++;
      } else {
        for (std::size_t i = 0; i < left_run; i++) leave(Side::left, many_left_[l + i]);
        for (std::size_t i = 0; i < right_run; i++) leave(Side::right, many_right_[r + i]);
      }
      l += left_run;
      r += right_run;
    }
  }
  for (; l < many_left_.size(); l++) leave(Side::left, many_left_[l]);
  for (; r < many_right_.size(); r++) leave(Side::right, many_right_[r]);
  return pairs;
}

}  // namespace pg_reconcile::core
