// A survey of two sides of heap tables (core/matching/row_survey.h), by one process or several: only rows
// that may differ are read again and put up to be matched.
#pragma once

#include <array>
#include <optional>

#include "core/matching/row_survey.h"
#include "extension/compare/heap_source.h"
#include "extension/compare/match_workers.h"

extern "C" {
#include <port/atomics.h>
#include <utils/dsa.h>
}

namespace pg_reconcile::pg {

// Lies in shared memory when there are workers, else in the leader's own.
struct SurveyState {
  std::uint32_t bits;
  std::uint64_t fine_words_max;
  std::uint64_t fine_words;  // 0: no row differs
  std::uint64_t fine;        // where they lie: a dsa_pointer, or an address
  pg_atomic_uint64 rows[2];
  pg_atomic_uint32 allocators;  // that came, and of them the first is it; so with the others
  pg_atomic_uint32 checkers;
  pg_atomic_uint32 is_unsettled;
  core::BucketSums::Sum sums[FLEXIBLE_ARRAY_MEMBER];

  [[nodiscard]] core::BucketSums all_sums() { return core::BucketSums({sums, std::size_t{1} << bits}); }
};

struct SurveySize {
  std::uint32_t participants;
  std::uint64_t rows;          // of both sides, estimated
  std::uint64_t memory_limit;  // bytes, of the whole comparison

  [[nodiscard]] unsigned bits() const;
  [[nodiscard]] std::size_t state_bytes() const;
  [[nodiscard]] std::uint64_t fine_bytes_max() const { return memory_limit / 8; }
  // What is left for rows that wait.
  [[nodiscard]] std::uint64_t memory_for_rows() const;
};

void initialize_survey(SurveyState* state, const SurveySize& size);

// One process's part of a comparison that begins with a survey.
class SurveyTask final : public MatchTask {
 public:
  // `sides` and `state` are of all processes.
  SurveyTask(SurveyState& state, const std::array<HeapSide, 2>& sides, RowHasher& hasher)
      : state_(state), sides_(sides), hasher_(hasher) {}

  [[nodiscard]] int steps() const override { return 3; }
  void step(int step, MatchParticipant& match) override;
  void read(core::Side side, MatchParticipant& match) override;
  void match(MatchParticipant& match) override;

 private:
  void look_at(core::Side side);
  void allocate(dsa_area* area);
  [[nodiscard]] std::span<std::uint64_t> fine(dsa_area* area);

  SurveyState& state_;
  std::array<HeapSide, 2> sides_;
  RowHasher& hasher_;
  std::optional<core::RowSurvey> survey_;  // not of who came late
  std::unique_ptr<std::uint64_t[]> own_fine_;
};

}  // namespace pg_reconcile::pg
