#include "core/matching/partitioned_match.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "core/error.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t partition_rows_target = 4096;
constexpr unsigned partition_bits_max = 12;
constexpr std::size_t poll_every_rows = 8192;

std::size_t partition_of(const CompactRow& row, unsigned bits) {
  return bits == 0 ? 0 : static_cast<std::size_t>(row.key.high >> (64 - bits));
}

bool pairs_before(const CompactRow& a, const CompactRow& b) {
  return std::tie(a.compared, a.image, a.ordinal) < std::tie(b.compared, b.image, b.ordinal);
}

std::size_t run_length(const std::vector<CompactRow>& rows, std::size_t from) {
  std::size_t to = from + 1;
  while (to < rows.size() && rows[to].compared == rows[from].compared) to++;
  return to - from;
}

}  // namespace

unsigned partition_bits_for(std::size_t rows) {
  const std::size_t wanted = rows / partition_rows_target;
  return std::min(partition_bits_max, static_cast<unsigned>(std::bit_width(wanted)));
}

PartitionedRows::PartitionedRows(std::vector<CompactRow> rows, unsigned bits, Interrupts& interrupts)
    : rows_(std::move(rows)), starts_((std::size_t{1} << bits) + 1, 0) {
  if (bits == 0) {
    starts_[1] = rows_.size();
    return;
  }
  for (const CompactRow& row : rows_) starts_[partition_of(row, bits) + 1]++;
  for (std::size_t i = 1; i < starts_.size(); i++) starts_[i] += starts_[i - 1];
  // Each swap puts one row where it belongs for good, so the whole is linear and needs no second copy.
  std::vector<std::size_t> fill(starts_.begin(), starts_.end() - 1);
  std::size_t moved = 0;
  for (std::size_t i = 0; i < fill.size(); i++) {
    while (fill[i] < starts_[i + 1]) {
      const std::size_t home = partition_of(rows_[fill[i]], bits);
      if (home == i) {
        fill[i]++;
      } else {
        std::swap(rows_[fill[i]], rows_[fill[home]++]);
      }
      if (++moved % poll_every_rows == 0) interrupts.poll();
    }
  }
}

void PartitionMatcher::index(std::span<const CompactRow> rows, std::span<const CompactRow> left,
                             std::span<const CompactRow> right, std::uint32_t Group::*chain,
                             std::vector<std::uint32_t>& next) {
  const std::size_t mask = slots_.size() - 1;
  next.resize(rows.size());
  for (std::uint32_t i = 0; i < rows.size(); i++) {
    if (i % poll_every_rows == 0) interrupts_.poll();
    std::size_t slot = rows[i].key.low & mask;
    while (slots_[slot] != none) {
      const Group& group = groups_[slots_[slot]];
      const Hash128& key = group.left != none ? left[group.left].key : right[group.right].key;
      if (key == rows[i].key) break;
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

std::uint64_t PartitionMatcher::match(std::span<const CompactRow> left, std::span<const CompactRow> right) {
  if (left.size() + right.size() >= none) {
    throw Error(sqlstate::program_limit_exceeded, "too many rows share one key",
                "One partition of the comparison holds more than 4,294,967,294 rows.",
                "Compare by a key that tells the rows apart, or in parts by left_filter and right_filter.");
  }
  groups_.clear();
  slots_.assign(std::bit_ceil(std::max<std::size_t>(16, (left.size() + right.size()) * 2)), none);
  index(left, left, right, &Group::left, next_left_);
  index(right, left, right, &Group::right, next_right_);
  std::uint64_t matched = 0;
  for (const Group& group : groups_) matched += match_group(group, left, right);
  return matched;
}

std::uint64_t PartitionMatcher::match_group(const Group& group, std::span<const CompactRow> left,
                                            std::span<const CompactRow> right) {
  if (group.right == none) {
    missing_chain(Side::left, group.left, left, next_left_);
    return 0;
  }
  if (group.left == none) {
    missing_chain(Side::right, group.right, right, next_right_);
    return 0;
  }
  if (next_left_[group.left] == none && next_right_[group.right] == none) {
    const CompactRow& l = left[group.left];
    const CompactRow& r = right[group.right];
    if (l.compared == r.compared) return 1;
    const LeftoverRow over_left{l.ordinal, l.image};
    const LeftoverRow over_right{r.ordinal, r.image};
    sink_.contested({&over_left, 1}, {&over_right, 1});
    return 0;
  }
  return match_many(group, left, right);
}

void PartitionMatcher::missing_chain(Side present, std::uint32_t row, std::span<const CompactRow> rows,
                                     const std::vector<std::uint32_t>& next) {
  for (; row != none; row = next[row]) sink_.missing(present, rows[row].ordinal);
}

std::uint64_t PartitionMatcher::match_many(const Group& group, std::span<const CompactRow> left,
                                           std::span<const CompactRow> right) {
  many_left_.clear();
  many_right_.clear();
  for (std::uint32_t i = group.left; i != none; i = next_left_[i]) many_left_.push_back(left[i]);
  for (std::uint32_t i = group.right; i != none; i = next_right_[i]) many_right_.push_back(right[i]);
  interrupts_.poll();
  std::sort(many_left_.begin(), many_left_.end(), pairs_before);
  interrupts_.poll();
  std::sort(many_right_.begin(), many_right_.end(), pairs_before);
  interrupts_.poll();

  over_left_.clear();
  over_right_.clear();
  const auto leave = [](const std::vector<CompactRow>& rows, std::size_t from, std::size_t to,
                        std::vector<LeftoverRow>& over) {
    for (; from < to; from++) over.push_back({rows[from].ordinal, rows[from].image});
  };
  std::uint64_t matched = 0;
  std::size_t l = 0;
  std::size_t r = 0;
  while (l < many_left_.size() && r < many_right_.size()) {
    const std::size_t l_run = run_length(many_left_, l);
    const std::size_t r_run = run_length(many_right_, r);
    const auto order = many_left_[l].compared <=> many_right_[r].compared;
    const std::size_t pairs = order == 0 ? std::min(l_run, r_run) : 0;
    matched += pairs;
    if (order <= 0) {
      leave(many_left_, l + pairs, l + l_run, over_left_);
      l += l_run;
    }
    if (order >= 0) {
      leave(many_right_, r + pairs, r + r_run, over_right_);
      r += r_run;
    }
  }
  leave(many_left_, l, many_left_.size(), over_left_);
  leave(many_right_, r, many_right_.size(), over_right_);

  if (!over_left_.empty() && !over_right_.empty()) {
    sink_.contested(over_left_, over_right_);
  } else {
    for (const LeftoverRow& row : over_left_) sink_.surplus(Side::left, row.ordinal);
    for (const LeftoverRow& row : over_right_) sink_.surplus(Side::right, row.ordinal);
  }
  return matched;
}

std::uint64_t match_rows(std::vector<CompactRow> left, std::vector<CompactRow> right, MatchSink& sink,
                         Interrupts& interrupts) {
  const unsigned bits = partition_bits_for(left.size() + right.size());
  const PartitionedRows left_parts(std::move(left), bits, interrupts);
  const PartitionedRows right_parts(std::move(right), bits, interrupts);
  PartitionMatcher matcher(sink, interrupts);
  std::uint64_t matched = 0;
  for (std::size_t i = 0; i < left_parts.partitions(); i++) {
    matched += matcher.match(left_parts.partition(i), right_parts.partition(i));
  }
  return matched;
}

}  // namespace pg_reconcile::core
