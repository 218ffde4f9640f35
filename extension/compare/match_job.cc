#include "extension/compare/match_job.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>

#include "extension/compare/row_sort.h"
#include "extension/pg/progress.h"

extern "C" {
#include <fcntl.h>
#include <utils/memutils.h>
#include <utils/wait_event.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr std::size_t slab_bytes_max = std::size_t{1} << 20;
constexpr std::size_t slab_bytes_min = std::size_t{64} << 10;

// References to chunks in files have the highest bit, then the participant, then the place in units of the
// smallest chunk.
constexpr std::uint64_t in_file = std::uint64_t{1} << 63;
constexpr unsigned participant_shift = 48;
constexpr std::uint64_t place_mask = (std::uint64_t{1} << participant_shift) - 1;
constexpr std::uint64_t file_segment_bytes = 0x40000000;  // as BufFile divides its files

struct RawPlace {
  int segment;
  off_t offset;
};

RawPlace place_of(std::uint64_t position) {
  return {static_cast<int>(position / file_segment_bytes), static_cast<off_t>(position % file_segment_bytes)};
}

void raw_read_chunk(BufFile* file, RawPlace place, void* target, std::size_t bytes) {
  if (BufFileSeek(file, place.segment, place.offset, SEEK_SET) != 0) {
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not seek in a temporary file: %m")));
  }
#if PG_VERSION_NUM >= 160000
  BufFileReadExact(file, target, bytes);
#else
  if (BufFileRead(file, target, bytes) != bytes) {
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not read from a temporary file")));
  }
#endif
}

// Somebody may have read elsewhere in between.
void raw_write_chunk(BufFile* file, RawPlace place, core::Chunk* chunk) {
  if (BufFileSeek(file, place.segment, place.offset, SEEK_SET) != 0) {
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not seek in a temporary file: %m")));
  }
  BufFileWrite(file, chunk, chunk->bytes());
}

}  // namespace

unsigned MatchSize::partition_bits() const {
  // A partition that is being matched is in memory, one for each participant.
  return core::partition_bits_for(rows, memory_limit / 8 / participants / sizeof(core::CompactRow));
}

std::size_t MatchSize::state_bytes() const {
  const std::size_t partitions = std::size_t{1} << partition_bits();
  return offsetof(MatchState, lists) + participants * (2 * partitions + 1) * sizeof(core::ChunkReference);
}

void initialize_match(MatchState* state, const MatchSize& size, dsm_segment* segment) {
  std::memset(static_cast<void*>(state), 0, size.state_bytes());
  BarrierInit(&state->barrier, 0);
  if (segment != nullptr) guarded([=] { SharedFileSetInit(&state->files, segment); });
  state->participants_max = size.participants;
  state->partition_bits = size.partition_bits();
  state->memory_limit = size.memory_limit;
  // The chunks that are being filled take memory whatever the limit says, and so do the smaller ones that
  // they grew from: at most half of it.
  const std::size_t open_chunks = size.participants * state->partitions() * 2;
  const std::size_t affordable =
      std::bit_floor(std::max<std::size_t>(size.memory_limit / 4 / open_chunks, 1));
  state->largest_chunk =
      std::clamp(affordable, core::ChunkStore::smallest_chunk, core::ChunkStore::largest_chunk);
  pg_atomic_init_u32(&state->participants, 0);
  for (pg_atomic_uint64* counter :
       {&state->next_partition, &state->memory_taken, &state->bytes_spilled, &state->rows[0], &state->rows[1],
        &state->rows_gathered, &state->matched}) {
    pg_atomic_init_u64(counter, 0);
  }
}

// Chunks of one participant: cut from slabs of memory, written to a file of its own once memory is used up.
class MatchParticipant::Chunks final : public core::ChunkStore {
 public:
  // `files`: the first part of the names of its files.
  Chunks(MatchState& state, dsa_area* area, std::uint32_t self, const char* files)
      : state_(state),
        area_(area),
        self_(self),
        name_(files),
        memory_(CurrentMemoryContext),
        slab_bytes_(std::clamp(std::bit_floor(std::max<std::uint64_t>(state.memory_limit / 64, 1)),
                               std::uint64_t{slab_bytes_min}, std::uint64_t{slab_bytes_max})),
        // What chunks that are being filled may yet grow to is not to be spent on full ones.
        keep_limit_(state.memory_limit -
                    std::min(state.memory_limit,
                             state.participants_max * state.partitions() * 4 * state.largest_chunk)) {}

  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;

  Open go_on(const Open& full) override {
    core::ChunkReference before = full.reference;
    std::size_t bytes = smallest_chunk;
    if (full.chunk != nullptr) {
      bytes = std::min<std::size_t>(full.chunk->bytes() * 2, state_.largest_chunk);
      if (pg_atomic_read_u64(&state_.memory_taken) > keep_limit_) {
        before = write(full.chunk);
        if (bytes == full.chunk->bytes()) {
          full.chunk->next = before;
          full.chunk->used = 0;
          return full;
        }
      }
    }
    const Open fresh = cut(bytes);
    fresh.chunk->next = before;
    fresh.chunk->used = 0;
    fresh.chunk->capacity = static_cast<std::uint32_t>(bytes - sizeof(core::Chunk));
    return fresh;
  }

  const core::Chunk* read(core::ChunkReference reference) override {
    if ((reference & in_file) == 0) return address_of(reference);
    BufFile* file = open(static_cast<std::uint32_t>((reference & ~in_file) >> participant_shift));
    const RawPlace place = place_of((reference & place_mask) * smallest_chunk);
    void* target = buffer_.data();
    // Chunks that went to a file may be of any size: the header first.
    guarded([=] { raw_read_chunk(file, place, target, sizeof(core::Chunk)); });
    const auto* chunk = reinterpret_cast<const core::Chunk*>(buffer_.data());
    const std::size_t bytes = chunk->bytes();
    guarded([=] { raw_read_chunk(file, place, target, bytes); });
    return chunk;
  }

  // Closing writes what is left of a file and may fail, so no destructor does it: after an error, abort does.
  void close() {
    for (BufFile* file : files_) {
      if (file != nullptr) guarded([=] { BufFileClose(file); });
    }
    files_.clear();
  }

  // Others may read this participant's file from now on.
  void share() {
    BufFile* file = files_.size() > self_ ? files_[self_] : nullptr;
    if (file == nullptr || area_ == nullptr) return;
    guarded([=] { BufFileExportFileSet(file); });
  }

 private:
  struct FileName {
    std::array<char, 32> text;
  };
  [[nodiscard]] FileName name_of(std::uint32_t participant) const {
    FileName name;
    snprintf(name.text.data(), name.text.size(), "%s.%u", name_, participant);
    return name;
  }

  Open cut(std::size_t bytes) {
    if (slab_left_ < bytes) take_slab();
    const Open chunk{slab_, slab_reference_};
    slab_ = reinterpret_cast<core::Chunk*>(reinterpret_cast<std::byte*>(slab_) + bytes);
    slab_reference_ += bytes;
    slab_left_ -= bytes;
    return chunk;
  }

  void take_slab() {
    check_for_interrupts();
    if (area_ != nullptr) {
      dsa_area* area = area_;
      const std::size_t bytes = slab_bytes_;
      slab_reference_ = guarded([=] { return dsa_allocate_extended(area, bytes, DSA_ALLOC_HUGE); });
      const dsa_pointer pointer = slab_reference_;
      slab_ = guarded([=] { return static_cast<core::Chunk*>(dsa_get_address(area, pointer)); });
    } else {
      own_slabs_.push_back(std::make_unique_for_overwrite<core::Chunk[]>(slab_bytes_ / sizeof(core::Chunk)));
      slab_ = own_slabs_.back().get();
      slab_reference_ = reinterpret_cast<core::ChunkReference>(slab_);
    }
    slab_left_ = slab_bytes_;
    pg_atomic_fetch_add_u64(&state_.memory_taken, static_cast<std::int64_t>(slab_bytes_));
  }

  const core::Chunk* address_of(core::ChunkReference reference) {
    if (area_ == nullptr) return reinterpret_cast<const core::Chunk*>(reference);
    dsa_area* area = area_;
    return guarded([=] { return static_cast<const core::Chunk*>(dsa_get_address(area, reference)); });
  }

  core::ChunkReference write(core::Chunk* chunk) {
    BufFile* file = own_file();
    const std::size_t bytes = chunk->bytes();
    const RawPlace place = place_of(file_end_);
    guarded([=] { raw_write_chunk(file, place, chunk); });
    const core::ChunkReference written =
        in_file | (std::uint64_t{self_} << participant_shift) | (file_end_ / smallest_chunk);
    file_end_ += bytes;
    Progress::bytes_spilled(pg_atomic_add_fetch_u64(&state_.bytes_spilled, static_cast<std::int64_t>(bytes)));
    return written;
  }

  BufFile* own_file() {
    if (files_.size() <= self_) files_.resize(self_ + 1);
    if (files_[self_] == nullptr) {
      SharedFileSet* set = &state_.files;
      const FileName name = name_of(self_);
      const bool shared = area_ != nullptr;
      const MemoryContext before = MemoryContextSwitchTo(memory_);
      files_[self_] = guarded([&] {
        return shared ? BufFileCreateFileSet(&set->fs, name.text.data()) : BufFileCreateTemp(false);
      });
      MemoryContextSwitchTo(before);
    }
    return files_[self_];
  }

  BufFile* open(std::uint32_t participant) {
    if (participant == self_) return own_file();
    if (files_.size() <= participant) files_.resize(participant + 1);
    if (files_[participant] == nullptr) {
      SharedFileSet* set = &state_.files;
      const FileName name = name_of(participant);
      const MemoryContext before = MemoryContextSwitchTo(memory_);
      files_[participant] =
          guarded([&] { return BufFileOpenFileSet(&set->fs, name.text.data(), O_RDONLY, false); });
      MemoryContextSwitchTo(before);
    }
    return files_[participant];
  }

  MatchState& state_;
  dsa_area* area_;
  std::uint32_t self_;
  const char* name_;
  // Of files: who appends a row may be in a context that is emptied after it.
  MemoryContext memory_;
  std::size_t slab_bytes_;
  std::uint64_t keep_limit_;
  core::Chunk* slab_ = nullptr;
  core::ChunkReference slab_reference_ = 0;
  std::size_t slab_left_ = 0;
  std::vector<std::unique_ptr<core::Chunk[]>> own_slabs_;
  std::vector<BufFile*> files_;
  std::uint64_t file_end_ = 0;
  alignas(core::Chunk) std::array<std::byte, largest_chunk> buffer_;
};

MatchParticipant::MatchParticipant(MatchState& state, dsa_area* area)
    : state_(state),
      area_(area),
      self_(pg_atomic_fetch_add_u32(&state.participants, 1)),
      bits_(state.partition_bits),
      chunks_(std::make_unique<Chunks>(state, area, self_, "rows")),
      log_(std::make_unique<Chunks>(state, area, self_, "log")),
      store_(chunks_.get()) {}

MatchParticipant::~MatchParticipant() = default;

void MatchParticipant::begin(core::Side side) {
  side_ = side;
  rows_ = 0;
  published_ = 0;
  writers_.assign(state_.partitions(), {});
}

void MatchParticipant::publish_rows() {
  pg_atomic_fetch_add_u64(&state_.rows[static_cast<std::size_t>(side_)],
                          static_cast<std::int64_t>(rows_ - published_));
  published_ = rows_;
  Progress::rows_done(pg_atomic_read_u64(&state_.rows[static_cast<std::size_t>(side_)]));
  Progress::bytes_spilled(pg_atomic_read_u64(&state_.bytes_spilled));
}

void MatchParticipant::end() {
  publish_rows();
  for (std::size_t i = 0; i < writers_.size(); i++)
    state_.list(self_, side_, i) = writers_[i].finish(*chunks_);
}

core::ChunkStore& MatchParticipant::private_store() {
  if (private_ == nullptr) private_ = std::make_unique<Chunks>(state_, nullptr, self_, "private");
  return *private_;
}

void MatchParticipant::share() {
  chunks_->share();
}

template <class Take>
bool MatchParticipant::read_partition(core::Side side, std::size_t partition, Take take) {
  const std::size_t participants = pg_atomic_read_u32(&state_.participants);
  for (std::size_t i = 0; i < participants; i++) {
    for (core::ChunkReference next = state_.list(i, side, partition); next != 0;) {
      const core::Chunk* chunk = chunks_->read(next);
      next = chunk->next;
      if (!take(std::span(reinterpret_cast<const core::CompactRow*>(chunk->payload()),
                          chunk->used / sizeof(core::CompactRow))))
        return false;
    }
  }
  return true;
}

// `room`: how many rows still fit into memory.
bool MatchParticipant::gather(core::Side side, std::size_t partition, core::DividedRows& rows,
                              std::uint64_t& room) {
  rows.begin(state_.all_rows() >> bits_, bits_);
  std::uint64_t gathered = 0;
  const bool fits = read_partition(side, partition, [&](std::span<const core::CompactRow> part) {
    if (part.size() > room) return false;
    room -= part.size();
    gathered += part.size();
    rows.add(part);
    return true;
  });
  if (fits)
    Progress::rows_done(pg_atomic_add_fetch_u64(&state_.rows_gathered, static_cast<std::int64_t>(gathered)));
  return fits;
}

void MatchParticipant::match(core::PartMatcher& matcher, core::OrderedMatcher* overfull,
                             core::Interrupts& interrupts) {
  core::DividedRows left;
  core::DividedRows right;
  std::uint64_t matched = 0;
  for (;;) {
    const std::uint64_t partition = pg_atomic_fetch_add_u64(&state_.next_partition, 1);
    if (partition >= state_.partitions()) break;
    interrupts.poll();
    std::uint64_t room = overfull == nullptr ? ~std::uint64_t{0} : rows_in_memory_max();
    if (gather(core::Side::left, partition, left, room) &&
        gather(core::Side::right, partition, right, room)) {
      for (std::size_t i = 0; i < left.parts(); i++) matched += matcher.match(left.part(i), right.part(i));
    } else {
      left.clear();
      right.clear();
      matched += match_sorted(partition, *overfull, interrupts);
    }
  }
  pg_atomic_fetch_add_u64(&state_.matched, static_cast<std::int64_t>(matched));
}

// A partition was meant to take an eighth of the memory of all; vectors that grow take up to twice their
// rows.
std::uint64_t MatchParticipant::rows_in_memory_max() const {
  return state_.memory_limit / 4 / state_.participants_max / sizeof(core::CompactRow);
}

std::uint64_t MatchParticipant::match_sorted(std::size_t partition, core::OrderedMatcher& matcher,
                                             core::Interrupts& interrupts) {
  const std::uint64_t memory = state_.memory_limit / 8 / state_.participants_max;
  RowSort left(memory);
  RowSort right(memory);
  for (const core::Side side : {core::Side::left, core::Side::right}) {
    RowSort& rows = side == core::Side::left ? left : right;
    std::uint64_t gathered = 0;
    read_partition(side, partition, [&](std::span<const core::CompactRow> part) {
      interrupts.poll();
      for (const core::CompactRow& row : part) rows.add(row);
      gathered += part.size();
      return true;
    });
    rows.sort();
    Progress::rows_done(pg_atomic_add_fetch_u64(&state_.rows_gathered, static_cast<std::int64_t>(gathered)));
  }
  return matcher.match(left, right);
}

core::ChunkStore& MatchParticipant::findings() {
  return *log_;
}

void MatchParticipant::publish_findings(core::ChunkReference newest) {
  state_.log(self_) = newest;
  log_->share();
}

void MatchParticipant::close() {
  chunks_->close();
  log_->close();
  if (private_ != nullptr) private_->close();
}

}  // namespace pg_reconcile::pg
