#include "core/matching/ordered_match.h"

#include <algorithm>

namespace pg_reconcile::core {
namespace {

bool has_key(const OrderedRows& rows, const Hash128& key) {
  return rows.head() != nullptr && rows.head()->key() == key;
}

}  // namespace

std::uint64_t OrderedMatcher::match(OrderedRows& left, OrderedRows& right) {
  std::uint64_t matched = 0;
  while (left.head() != nullptr || right.head() != nullptr) {
    const bool is_left =
        right.head() == nullptr || (left.head() != nullptr && left.head()->key() <= right.head()->key());
    const Hash128 key = is_left ? left.head()->key() : right.head()->key();
    if (has_key(left, key) && has_key(right, key)) {
      matched += match_key(key, left, right);
      continue;
    }
    OrderedRows& rows = is_left ? left : right;
    for (; has_key(rows, key); advance(rows))
      sink_.missing(is_left ? Side::left : Side::right, rows.head()->ordinal());
  }
  return matched;
}

std::uint64_t OrderedMatcher::match_key(const Hash128& key, OrderedRows& left, OrderedRows& right) {
  std::uint64_t matched = 0;
  has_leftovers_ = false;
  for (;;) {
    const bool in_left = has_key(left, key);
    const bool in_right = has_key(right, key);
    if (!in_left && !in_right) break;
    if (in_left && in_right && left.head()->equals(*right.head())) {
      matched += match_equal(left, right);
    } else if (in_left && (!in_right || *left.head() < *right.head())) {
      leave_run(Side::left, left, 1, 1);
    } else {
      leave_run(Side::right, right, 1, 1);
    }
  }
  if (has_leftovers_) sink_.end_key();
  return matched;
}

// Of equal rows which ones are left over is for the sink to say, so it has to see them all.
std::uint64_t OrderedMatcher::match_equal(OrderedRows& left, OrderedRows& right) {
  const CompactRow first = *left.head();
  left.mark();
  right.mark();
  const auto count = [&](OrderedRows& rows) {
    std::uint64_t equal = 0;
    for (; has_key(rows, first.key()) && rows.head()->equals(first); advance(rows)) equal++;
    return equal;
  };
  const std::uint64_t lefts = count(left);
  const std::uint64_t rights = count(right);
  const std::uint64_t pairs = std::min(lefts, rights);
  if (lefts > pairs) {
    left.restore();
    leave_run(Side::left, left, lefts, lefts - pairs);
  } else if (rights > pairs) {
    right.restore();
    leave_run(Side::right, right, rights, rights - pairs);
  }
  return pairs;
}

void OrderedMatcher::leave_run(Side side, OrderedRows& rows, std::uint64_t count, std::uint64_t left_over) {
  has_leftovers_ = true;
  sink_.begin_run(side, count, left_over);
  for (std::uint64_t i = 0; i < count; i++) {
    sink_.add_to_run(rows.head()->ordinal());
    advance(rows);
  }
}

void OrderedMatcher::advance(OrderedRows& rows) {
  constexpr std::uint64_t poll_every_rows = 8192;
  if (++advanced_ % poll_every_rows == 0) interrupts_.poll();
  rows.advance();
}

}  // namespace pg_reconcile::core
