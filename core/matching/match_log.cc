#include "core/matching/match_log.h"

#include <algorithm>
#include <utility>

namespace pg_reconcile::core {
namespace {

// A record begins with a word of its kind, side and a number: the ordinal of a missing row, or how many runs
// follow. A run is how many rows stay, how many there are, and their ordinals.
enum class Record : std::uint64_t { missing, surplus, contested };

constexpr unsigned kind_shift = 60;
constexpr unsigned side_shift = 59;
constexpr std::uint64_t number_mask = (std::uint64_t{1} << side_shift) - 1;

std::uint64_t head(Record record, Side side, std::uint64_t number) {
  return (static_cast<std::uint64_t>(record) << kind_shift) |
         (static_cast<std::uint64_t>(side) << side_shift) | number;
}

OrdinalRun take_run(WordReader& words) {
  OrdinalRun run;
  run.left_over = words.take();
  const std::uint64_t rows = words.take();
  run.ordinals.reserve(rows);
  for (std::uint64_t i = 0; i < rows; i++) run.ordinals.push_back(words.take());
  return run;
}

std::vector<OrdinalRun> take_runs(WordReader& words, std::uint64_t count) {
  std::vector<OrdinalRun> runs;
  runs.reserve(count);
  for (std::uint64_t i = 0; i < count; i++) runs.push_back(take_run(words));
  return runs;
}

}  // namespace

void MatchLog::missing(Side present, std::uint64_t ordinal) {
  write(head(Record::missing, present, ordinal));
}

void MatchLog::surplus(Side present, const LeftoverRun& run) {
  write(head(Record::surplus, present, 1));
  write_run(run);
}

void MatchLog::contested(std::span<const LeftoverRun> left, std::span<const LeftoverRun> right) {
  write(head(Record::contested, Side::left, left.size()));
  for (const LeftoverRun& run : left) write_run(run);
  write(right.size());
  for (const LeftoverRun& run : right) write_run(run);
}

void MatchLog::write_run(const LeftoverRun& run) {
  write(run.left_over);
  write(run.rows.size());
  for (const CompactRow& row : run.rows) write(row.ordinal());
}

void replay(ChunkStore& store, ChunkReference newest, MatchReader& reader) {
  WordReader words(store, newest);
  while (!words.at_end()) {
    const std::uint64_t word = words.take();
    const auto side = static_cast<Side>((word >> side_shift) & 1);
    const std::uint64_t number = word & number_mask;
    switch (static_cast<Record>(word >> kind_shift)) {
      case Record::missing:
        reader.missing(side, number);
        break;
      case Record::surplus:
        reader.surplus(side, take_run(words));
        break;
      case Record::contested: {
        std::vector<OrdinalRun> left = take_runs(words, number);
        std::vector<OrdinalRun> right = take_runs(words, words.take());
        reader.contested(std::move(left), std::move(right));
        break;
      }
    }
  }
}

}  // namespace pg_reconcile::core
