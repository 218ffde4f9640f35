// One match of two sides, by one process or several: where compact rows wait, who takes which partition, and
// what came out.
//
// Every participant puts the rows that it reads into partitions of its own; when all of them have finished
// reading, each takes whole partitions, gathers the rows of all participants and matches them. What is found
// goes into a log per participant, which the leader replays.
//
// Rows wait in memory (dynamic shared memory when there are workers) until pg_reconcile.memory_limit is
// reached; from then on full chunks go to temporary files.
#pragma once

#include <memory>
#include <vector>

#include "core/matching/chunk.h"
#include "core/matching/match_log.h"
#include "core/matching/ordered_match.h"
#include "core/matching/partitioned_match.h"
#include "extension/pg/guard.h"

extern "C" {
#include <port/atomics.h>
#include <storage/barrier.h>
#include <storage/buffile.h>
#include <storage/sharedfileset.h>
#include <utils/dsa.h>
}

namespace pg_reconcile::pg {

// Lies in shared memory when there are workers, else in the leader's own.
struct MatchState {
  Barrier barrier;  // phases: reading, matching
  SharedFileSet files;
  std::uint32_t participants_max;
  std::uint32_t partition_bits;
  std::uint64_t memory_limit;   // bytes of all chunks together
  std::uint64_t largest_chunk;  // bytes
  pg_atomic_uint32 participants;
  pg_atomic_uint64 next_partition;
  pg_atomic_uint64 memory_taken;
  pg_atomic_uint64 bytes_spilled;
  pg_atomic_uint64 rows[2];
  pg_atomic_uint64 rows_gathered;
  pg_atomic_uint64 matched;
  // Per participant: both sides' partitions, then the log.
  core::ChunkReference lists[FLEXIBLE_ARRAY_MEMBER];

  [[nodiscard]] std::uint64_t all_rows() {
    return pg_atomic_read_u64(&rows[0]) + pg_atomic_read_u64(&rows[1]);
  }
  [[nodiscard]] std::size_t partitions() const { return std::size_t{1} << partition_bits; }
  [[nodiscard]] std::size_t lists_each() const { return 2 * partitions() + 1; }
  [[nodiscard]] core::ChunkReference& list(std::size_t participant, core::Side side, std::size_t partition) {
    return lists[participant * lists_each() + static_cast<std::size_t>(side) * partitions() + partition];
  }
  [[nodiscard]] core::ChunkReference& log(std::size_t participant) {
    return lists[participant * lists_each() + 2 * partitions()];
  }
};

struct MatchSize {
  std::uint32_t participants;
  std::uint64_t rows;          // of both sides, estimated
  std::uint64_t memory_limit;  // bytes

  [[nodiscard]] unsigned partition_bits() const;
  [[nodiscard]] std::size_t state_bytes() const;
};

// `state`: MatchSize::state_bytes() of memory, which outlives the match. `segment`: where it lies; nullptr:
// private memory.
void initialize_match(MatchState* state, const MatchSize& size, dsm_segment* segment);

// One process's part.
class MatchParticipant {
 public:
  // `area` is where chunks are shared; nullptr: this is the only participant.
  MatchParticipant(MatchState& state, dsa_area* area);
  ~MatchParticipant();
  MatchParticipant(const MatchParticipant&) = delete;
  MatchParticipant& operator=(const MatchParticipant&) = delete;

  [[nodiscard]] dsa_area* area() const { return area_; }

  void begin(core::Side side);
  void add(const core::CompactRow& row) {
    writers_[core::partition_of(row, bits_)].append(row, *store_);
    rows_++;
  }
  // A row that was read and is not to be matched.
  void count_row() { rows_++; }
  // Tells the others how many rows there are so far.
  void publish_rows();
  void end();

  // A store of this process alone, under the same limit of memory, until close().
  core::ChunkStore& private_store();

  // After reading: others may see what this participant read.
  void share();
  // Takes partitions until none is left, part by part. All participants have shared. A partition that does
  // not fit into memory, because one key has so many rows, goes to `overfull`; nullptr: every one is matched
  // in memory.
  void match(core::PartMatcher& matcher, core::OrderedMatcher* overfull, core::Interrupts& interrupts);

  // Where this participant puts what it finds, while reading or matching: a list that the leader reads.
  [[nodiscard]] core::ChunkStore& findings();
  void publish_findings(core::ChunkReference newest);

  // Closes its files; nothing of it is read afterwards.
  void close();

  // For the leader, when everybody has published: calls `read(store, newest)` for each list of findings.
  template <class Read>
  void for_each_findings(Read read) {
    const std::size_t participants = pg_atomic_read_u32(&state_.participants);
    for (std::size_t i = 0; i < participants; i++) read(findings(), state_.log(i));
  }

 private:
  class Chunks;
  // Calls `take(std::span<const core::CompactRow>)` for what all participants have of a partition, until it
  // returns false; returns whether it never did.
  template <class Take>
  bool read_partition(core::Side side, std::size_t partition, Take take);
  bool gather(core::Side side, std::size_t partition, core::DividedRows& rows, std::uint64_t& room);
  [[nodiscard]] std::uint64_t rows_in_memory_max() const;
  std::uint64_t match_sorted(std::size_t partition, core::OrderedMatcher& matcher,
                             core::Interrupts& interrupts);

  MatchState& state_;
  dsa_area* area_;
  std::uint32_t self_;
  unsigned bits_;
  core::Side side_ = core::Side::left;
  std::uint64_t rows_ = 0;
  std::uint64_t published_ = 0;
  std::unique_ptr<Chunks> chunks_;
  std::unique_ptr<Chunks> log_;
  std::unique_ptr<Chunks> private_;
  core::ChunkStore* store_;  // chunks_
  std::vector<core::ChunkWriter<core::CompactRow>> writers_;
};

}  // namespace pg_reconcile::pg
