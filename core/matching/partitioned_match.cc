#include "core/matching/partitioned_match.h"

#include <algorithm>
#include <bit>

#include "core/error.h"

namespace pg_reconcile::core {
namespace {

constexpr std::uint64_t part_rows = 20000;
constexpr unsigned part_bits_max = 12;
constexpr unsigned partition_bits_usual = 8;
constexpr unsigned partition_bits_max = 12;
constexpr std::size_t poll_every_rows = 8192;

std::size_t run_length(const std::vector<CompactRow>& rows, std::size_t from) {
  std::size_t to = from + 1;
  while (to < rows.size() && rows[to].equals(rows[from])) to++;
  return to - from;
}

}  // namespace

unsigned partition_bits_for(std::uint64_t rows, std::uint64_t rows_max) {
  const auto usual = std::min(partition_bits_usual, static_cast<unsigned>(std::bit_width(rows / part_rows)));
  const auto needed = std::min(
      partition_bits_max, static_cast<unsigned>(std::bit_width(rows / std::max<std::uint64_t>(rows_max, 1))));
  return std::max(usual, needed);
}

void DividedRows::begin(std::uint64_t rows, unsigned bits) {
  bits_ = bits;
  part_bits_ = std::min(part_bits_max, static_cast<unsigned>(std::bit_width(rows / part_rows)));
  if (parts_.size() < parts()) parts_.resize(parts());
  for (std::vector<CompactRow>& part : parts_) part.clear();
}

void KeyGroups::index(std::span<const CompactRow> rows, std::span<const CompactRow> left,
                      std::span<const CompactRow> right, std::uint32_t Group::*chain,
                      std::vector<std::uint32_t>& next, Interrupts& interrupts) {
  const std::size_t mask = slots_.size() - 1;
  next.resize(rows.size());
  for (std::uint32_t i = 0; i < rows.size(); i++) {
    if (i % poll_every_rows == 0) interrupts.poll();
    const Hash128& wanted = rows[i].key();
    std::size_t slot = wanted.low & mask;
    while (slots_[slot] != none) {
      const Group& group = groups_[slots_[slot]];
      const Hash128& key = group.left != none ? left[group.left].key() : right[group.right].key();
      if (key == wanted) break;
      slot = (slot + 1) & mask;
    }
    if (slots_[slot] == none) {
      slots_[slot] = static_cast<std::uint32_t>(groups_.size());
      groups_.push_back({});
    }
    std::uint32_t& head = groups_[slots_[slot]].*chain;
    next[i] = head;
    head = i;
  }
}

void KeyGroups::build(std::span<const CompactRow> left, std::span<const CompactRow> right,
                      Interrupts& interrupts) {
  if (left.size() + right.size() >= none) {
    throw Error(sqlstate::program_limit_exceeded, "too many rows share one key",
                "One partition of the comparison holds more than 4,294,967,294 rows.",
                "Compare by a key that tells the rows apart, or in parts by left_filter and right_filter.");
  }
  groups_.clear();
  slots_.assign(std::bit_ceil(std::max<std::size_t>(16, (left.size() + right.size()) * 2)), none);
  index(left, left, right, &Group::left, next_left_, interrupts);
  index(right, left, right, &Group::right, next_right_, interrupts);
}

std::uint64_t PartitionMatcher::match(std::span<const CompactRow> left, std::span<const CompactRow> right) {
  keys_.build(left, right, interrupts_);
  std::uint64_t matched = 0;
  for (const KeyGroups::Group& group : keys_.groups()) matched += match_group(group, left, right);
  return matched;
}

std::uint64_t PartitionMatcher::match_group(const KeyGroups::Group& group, std::span<const CompactRow> left,
                                            std::span<const CompactRow> right) {
  if (group.right == KeyGroups::none) {
    for (std::uint32_t i = group.left; i != KeyGroups::none; i = keys_.next_left(i))
      sink_.missing(Side::left, left[i].ordinal());
    return 0;
  }
  if (group.left == KeyGroups::none) {
    for (std::uint32_t i = group.right; i != KeyGroups::none; i = keys_.next_right(i))
      sink_.missing(Side::right, right[i].ordinal());
    return 0;
  }
  if (keys_.is_one_to_one(group)) {
    const CompactRow& l = left[group.left];
    const CompactRow& r = right[group.right];
    if (l.equals(r)) return 1;
    const LeftoverRun over_left{{&l, 1}, 1};
    const LeftoverRun over_right{{&r, 1}, 1};
    sink_.contested({&over_left, 1}, {&over_right, 1});
    return 0;
  }
  return match_many(group, left, right);
}

std::uint64_t PartitionMatcher::match_many(const KeyGroups::Group& group, std::span<const CompactRow> left,
                                           std::span<const CompactRow> right) {
  many_left_.clear();
  many_right_.clear();
  for (std::uint32_t i = group.left; i != KeyGroups::none; i = keys_.next_left(i))
    many_left_.push_back(left[i]);
  for (std::uint32_t i = group.right; i != KeyGroups::none; i = keys_.next_right(i))
    many_right_.push_back(right[i]);
  interrupts_.poll();
  std::sort(many_left_.begin(), many_left_.end(), CompactRow::sorts_before);
  interrupts_.poll();
  std::sort(many_right_.begin(), many_right_.end(), CompactRow::sorts_before);
  interrupts_.poll();

  over_left_.clear();
  over_right_.clear();
  const auto leave = [](const std::vector<CompactRow>& rows, std::size_t from, std::size_t count,
                        std::size_t paired, std::vector<LeftoverRun>& over) {
    if (paired < count) over.push_back({std::span(rows).subspan(from, count), count - paired});
  };
  std::uint64_t matched = 0;
  std::size_t l = 0;
  std::size_t r = 0;
  while (l < many_left_.size() && r < many_right_.size()) {
    const std::size_t l_run = run_length(many_left_, l);
    const std::size_t r_run = run_length(many_right_, r);
    const auto order = many_left_[l] <=> many_right_[r];
    const std::size_t pairs = order == 0 ? std::min(l_run, r_run) : 0;
    matched += pairs;
    if (order <= 0) {
      leave(many_left_, l, l_run, pairs, over_left_);
      l += l_run;
    }
    if (order >= 0) {
      leave(many_right_, r, r_run, pairs, over_right_);
      r += r_run;
    }
  }
  const auto leave_rest = [&leave](const std::vector<CompactRow>& rows, std::size_t from,
                                   std::vector<LeftoverRun>& over) {
    while (from < rows.size()) {
      const std::size_t run = run_length(rows, from);
      leave(rows, from, run, 0, over);
      from += run;
    }
  };
  leave_rest(many_left_, l, over_left_);
  leave_rest(many_right_, r, over_right_);

  if (!over_left_.empty() && !over_right_.empty()) {
    sink_.contested(over_left_, over_right_);
  } else {
    for (const LeftoverRun& run : over_left_) sink_.surplus(Side::left, run);
    for (const LeftoverRun& run : over_right_) sink_.surplus(Side::right, run);
  }
  return matched;
}

}  // namespace pg_reconcile::core
