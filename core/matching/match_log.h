// What a match found, written as words, so that one process can match and another report.
#pragma once

#include <vector>

#include "core/matching/chunk_words.h"
#include "core/matching/partitioned_match.h"

namespace pg_reconcile::core {

class MatchLog final : public MatchSink {
 public:
  explicit MatchLog(ChunkStore& store) : words_(store) {}
  void missing(Side present, std::uint64_t ordinal) override;
  void surplus(Side present, const LeftoverRun& run) override;
  void contested(std::span<const LeftoverRun> left, std::span<const LeftoverRun> right) override;
  void begin_run(Side side, std::uint64_t rows, std::uint64_t left_over) override;
  void add_to_run(std::uint64_t ordinal) override { write(ordinal); }
  void end_key() override;
  ChunkReference finish() { return words_.finish(); }

 private:
  void write(std::uint64_t word) { words_.word(word); }
  void write_rows(const LeftoverRun& run);

  WordWriter words_;
};

// Where rows of equal key and compared columns are left over: the ordinals of all of them, and how many of
// them stay.
struct OrdinalRun {
  std::vector<std::uint64_t> ordinals;  // none when the reader only counts
  std::size_t left_over = 0;
};

class MatchReader {
 public:
  virtual ~MatchReader() = default;
  virtual void missing(Side present, std::uint64_t ordinal) = 0;
  virtual void surplus(Side present, OrdinalRun run) = 0;
  // Of a key with rows on both sides: runs of either side that are left over, one by one, then its end.
  virtual void contested(Side side, OrdinalRun run) = 0;
  virtual void end_key() = 0;
  // false: runs come with their counts alone.
  [[nodiscard]] virtual bool wants_ordinals() const { return true; }
};

void replay(ChunkStore& store, ChunkReference newest, MatchReader& reader);

}  // namespace pg_reconcile::core
