#include "extension/compare/survey.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "extension/compare/parallel_match.h"
#include "extension/pg/progress.h"

namespace pg_reconcile::pg {
namespace {

// Sums of all processes and of each by itself: a quarter of the memory.
constexpr std::uint64_t sums_share = 4;

}  // namespace

unsigned SurveySize::bits() const {
  return core::survey_bits_for(rows, memory_limit / sums_share / (participants + 1));
}

std::size_t SurveySize::state_bytes() const {
  return offsetof(SurveyState, sums) + (std::size_t{1} << bits()) * sizeof(core::BucketSums::Sum);
}

std::uint64_t SurveySize::memory_for_rows() const {
  return memory_limit - memory_limit / sums_share - fine_bytes_max();
}

void initialize_survey(SurveyState* state, const SurveySize& size) {
  std::memset(static_cast<void*>(state), 0, size.state_bytes());
  state->bits = size.bits();
  state->fine_words_max = std::bit_floor(size.fine_bytes_max() / sizeof(std::uint64_t));
  pg_atomic_init_u64(&state->rows[0], 0);
  pg_atomic_init_u64(&state->rows[1], 0);
  for (pg_atomic_uint32* flag : {&state->allocators, &state->checkers, &state->is_unsettled}) {
    pg_atomic_init_u32(flag, 0);
  }
}

void SurveyTask::step(int step, MatchParticipant& match) {
  BackendInterrupts interrupts;
  switch (step) {
    case 0:
      survey_.emplace(state_.all_sums(), match.private_store());
      look_at(core::Side::left);
      look_at(core::Side::right);
      survey_->share();
      break;
    case 1:
      if (pg_atomic_fetch_add_u32(&state_.allocators, 1) == 0) allocate(match.area());
      break;
    default:
      if (state_.fine_words > 0) survey_->find_suspects(fine(match.area()), interrupts);
  }
}

void SurveyTask::look_at(core::Side side) {
  const HeapSide& heap = sides_[static_cast<std::size_t>(side)];
  Progress::phase(side == core::Side::left ? Phase::reading_left : Phase::reading_right, heap.expected_rows);
  pg_atomic_uint64* all_rows = &state_.rows[static_cast<std::size_t>(side)];
  std::uint64_t published = 0;
  const auto publish = [&] {
    const std::uint64_t rows = survey_->rows(side);
    Progress::rows_done(pg_atomic_add_fetch_u64(all_rows, static_cast<std::int64_t>(rows - published)));
    published = rows;
  };
  survey_->begin(side);
  HeapSideReader reader(heap);
  const auto take = [&](const Datum* values, const bool* nulls, std::uint64_t place) {
    const RowHashes hashes = hasher_.hash(values, nulls);
    survey_->add(place, hashes.key, hashes.row);
  };
  for (auto [block, end] = reader.next_blocks(); block < end; std::tie(block, end) = reader.next_blocks()) {
    for (; block < end; block++)
      reader.read_block(
          block, [](OffsetNumber) { return true; }, take);
    publish();
  }
  survey_->end(side);
  publish();
}

void SurveyTask::allocate(dsa_area* area) {
  const std::uint64_t rows = pg_atomic_read_u64(&state_.rows[0]) + pg_atomic_read_u64(&state_.rows[1]);
  state_.fine_words = std::min<std::uint64_t>(survey_->fine_words_wanted(rows), state_.fine_words_max);
  const std::size_t bytes = state_.fine_words * sizeof(std::uint64_t);
  if (bytes == 0) return;
  if (area != nullptr) {
    state_.fine =
        guarded([=] { return dsa_allocate_extended(area, bytes, DSA_ALLOC_HUGE | DSA_ALLOC_ZERO); });
  } else {
    own_fine_ = std::make_unique<std::uint64_t[]>(state_.fine_words);
    state_.fine = reinterpret_cast<std::uint64_t>(own_fine_.get());
  }
}

std::span<std::uint64_t> SurveyTask::fine(dsa_area* area) {
  if (area == nullptr) return {reinterpret_cast<std::uint64_t*>(state_.fine), state_.fine_words};
  const dsa_pointer place = state_.fine;
  return {static_cast<std::uint64_t*>(guarded([=] { return dsa_get_address(area, place); })),
          state_.fine_words};
}

// Again, and only what may differ.
void SurveyTask::read(core::Side side, MatchParticipant& match) {
  if (state_.fine_words == 0) return;
  HeapSideReader reader(sides_[static_cast<std::size_t>(side)]);
  constexpr unsigned offset_bits = HeapSideReader::place_offset_bits;
  std::uint64_t block = 0;
  std::vector<OffsetNumber> offsets;  // in the block, ascending
  const auto read_block = [&] {
    if (offsets.empty()) return;
    auto next = offsets.cbegin();
    reader.read_block(
        block,
        [&](OffsetNumber offset) {
          while (next != offsets.cend() && *next < offset) ++next;
          return next != offsets.cend() && *next == offset;
        },
        [&](const Datum* values, const bool* nulls, std::uint64_t place) {
          const RowHashes hashes = hasher_.hash(values, nulls);
          survey_->settle(side, hashes.key, hashes.row);
          match.add(hashes.compact(place));
        });
    offsets.clear();
  };
  survey_->visit_suspects(side, fine(match.area()), [&](std::uint64_t place) {
    if (place >> offset_bits != block) {
      read_block();
      block = place >> offset_bits;
    }
    offsets.push_back(static_cast<OffsetNumber>(place & ((1U << offset_bits) - 1)));
  });
  read_block();
}

void SurveyTask::match(MatchParticipant& match) {
  if (survey_ && state_.fine_words > 0 && pg_atomic_fetch_add_u32(&state_.checkers, 1) == 0 &&
      !survey_->is_settled()) {
    pg_atomic_write_u32(&state_.is_unsettled, 1);
  }
  match_rows(match);
}

}  // namespace pg_reconcile::pg
