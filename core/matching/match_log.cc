#include "core/matching/match_log.h"

namespace pg_reconcile::core {
namespace {

// A record is a word of its kind, side and a number: the ordinal of a missing row, or how many of a run's
// rows stay; after a run's come how many rows it has, and their ordinals.
enum class Record : std::uint64_t { missing, surplus, contested, end_key };

constexpr unsigned kind_shift = 60;
constexpr unsigned side_shift = 59;
constexpr std::uint64_t number_mask = (std::uint64_t{1} << side_shift) - 1;

std::uint64_t head(Record record, Side side, std::uint64_t number) {
  return (static_cast<std::uint64_t>(record) << kind_shift) |
         (static_cast<std::uint64_t>(side) << side_shift) | number;
}

OrdinalRun take_run(WordReader& words, std::uint64_t left_over, bool with_ordinals) {
  OrdinalRun run;
  run.left_over = left_over;
  const std::uint64_t rows = words.take();
  if (with_ordinals) run.ordinals.reserve(rows);
  for (std::uint64_t i = 0; i < rows; i++) {
    const std::uint64_t ordinal = words.take();
    if (with_ordinals) run.ordinals.push_back(ordinal);
  }
  return run;
}

}  // namespace

void MatchLog::missing(Side present, std::uint64_t ordinal) {
  write(head(Record::missing, present, ordinal));
}

void MatchLog::surplus(Side present, const LeftoverRun& run) {
  write(head(Record::surplus, present, run.left_over));
  write_rows(run);
}

void MatchLog::contested(std::span<const LeftoverRun> left, std::span<const LeftoverRun> right) {
  for (const Side side : {Side::left, Side::right}) {
    for (const LeftoverRun& run : side == Side::left ? left : right) {
      write(head(Record::contested, side, run.left_over));
      write_rows(run);
    }
  }
  end_key();
}

void MatchLog::begin_run(Side side, std::uint64_t rows, std::uint64_t left_over) {
  write(head(Record::contested, side, left_over));
  write(rows);
}

void MatchLog::end_key() {
  write(head(Record::end_key, Side::left, 0));
}

void MatchLog::write_rows(const LeftoverRun& run) {
  write(run.rows.size());
  for (const CompactRow& row : run.rows) write(row.ordinal());
}

void replay(ChunkStore& store, ChunkReference newest, MatchReader& reader) {
  WordReader words(store, newest);
  const bool with_ordinals = reader.wants_ordinals();
  while (!words.at_end()) {
    const std::uint64_t word = words.take();
    const auto side = static_cast<Side>((word >> side_shift) & 1);
    const std::uint64_t number = word & number_mask;
    switch (static_cast<Record>(word >> kind_shift)) {
      case Record::missing:
        reader.missing(side, number);
        break;
      case Record::surplus:
        reader.surplus(side, take_run(words, number, with_ordinals));
        break;
      case Record::contested:
        reader.contested(side, take_run(words, number, with_ordinals));
        break;
      case Record::end_key:
        reader.end_key();
        break;
    }
  }
}

}  // namespace pg_reconcile::core
