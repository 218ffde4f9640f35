#include "core/matching/row_survey.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <new>

namespace pg_reconcile::core {
namespace {

constexpr std::uint64_t rows_per_bucket = 8;
constexpr unsigned bits_min = 4;
constexpr unsigned place_shift = 16;
constexpr std::uint64_t run_count_mask = (std::uint64_t{1} << place_shift) - 1;
constexpr std::size_t fine_words_min = std::size_t{1} << 10;
constexpr std::size_t fine_words_max = std::size_t{1} << 23;
constexpr std::uint64_t fine_words_per_row = 4;
constexpr std::size_t large_page = std::size_t{2} << 20;

void add_atomically(std::uint64_t& word, std::uint64_t value) {
  std::atomic_ref<std::uint64_t>(word).fetch_add(value, std::memory_order_relaxed);
}

// Spreads a mark's bits over a word, so that marks add up to zero only with their equals.
std::uint64_t mixed(std::uint64_t mark) {
  mark = (mark ^ (mark >> 30)) * 0xBF58476D1CE4E5B9U;
  mark = (mark ^ (mark >> 27)) * 0x94D049BB133111EBU;
  return mark ^ (mark >> 31);
}

}  // namespace

void BucketSums::add_shared(std::size_t bucket, const Hash128& digest, std::uint64_t sign) {
  add_atomically(sums_[bucket].low, (digest.low ^ sign) - sign);
  add_atomically(sums_[bucket].high, (digest.high ^ sign) - sign);
}

PrivateSums::PrivateSums(std::size_t buckets) : buckets_(buckets) {
  const std::size_t bytes = (buckets * sizeof(BucketSums::Sum) + large_page - 1) / large_page * large_page;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);
  memory_ = static_cast<BucketSums::Sum*>(memory);
}

PrivateSums::~PrivateSums() {
  munmap(memory_, (buckets_ * sizeof(BucketSums::Sum) + large_page - 1) / large_page * large_page);
}

unsigned survey_bits_for(std::uint64_t rows, std::uint64_t bytes_max) {
  const auto affordable =
      static_cast<unsigned>(std::bit_width(std::max<std::uint64_t>(bytes_max / sizeof(BucketSums::Sum), 1))) -
      1;
  const auto useful = static_cast<unsigned>(std::bit_width(rows / rows_per_bucket));
  return std::max(bits_min, std::min({RowSurvey::bits_max, affordable, useful}));
}

RowSurvey::RowSurvey(BucketSums shared, ChunkStore& store)
    : shared_(shared),
      store_(store),
      shift_(64 - static_cast<unsigned>(std::countr_zero(shared.size()))),
      memory_(std::make_unique<PrivateSums>(shared.size())),
      own_(memory_->sums()) {}

void RowSurvey::end_run(std::uint64_t next_place) {
  if (run_rows_ > 0) {
    auto& marks = marks_[static_cast<std::size_t>(side_)];
    marks.append((run_place_ << place_shift) | run_rows_, store_);
    for (std::size_t i = 0; i < run_rows_; i++) {
      marks.append(run_[i].mark, store_);
      own_.add(bucket_of(run_[i].mark), run_[i].digest, sign_);
    }
    rows_[static_cast<std::size_t>(side_)] += run_rows_;
  }
  run_place_ = next_place;
  run_rows_ = 0;
}

void RowSurvey::end(Side side) {
  end_run(0);
  const auto i = static_cast<std::size_t>(side);
  marks_end_[i] = marks_[i].finish(store_);
}

void RowSurvey::share() {
  for (std::size_t bucket = 0; bucket < own_.size(); bucket++) {
    const BucketSums::Sum& sum = own_[bucket];
    if (!sum.is_zero()) shared_.add_shared(bucket, {sum.low, sum.high}, 0);
  }
  memory_.reset();
}

std::size_t RowSurvey::fine_words_wanted(std::uint64_t rows) const {
  std::uint64_t open_buckets = 0;
  for (std::size_t bucket = 0; bucket < shared_.size(); bucket++) {
    if (!shared_[bucket].is_zero()) open_buckets++;
  }
  if (open_buckets == 0) return 0;
  const std::uint64_t suspects = (rows / shared_.size() + 1) * open_buckets;
  return std::clamp(std::bit_ceil(suspects * fine_words_per_row), fine_words_min, fine_words_max);
}

void RowSurvey::find_suspects(std::span<std::uint64_t> fine, Interrupts& interrupts) {
  open_.assign((shared_.size() + 63) / 64, 0);
  for (std::size_t bucket = 0; bucket < shared_.size(); bucket++) {
    if (!shared_[bucket].is_zero()) open_[bucket / 64] |= std::uint64_t{1} << (bucket % 64);
  }
  for (std::size_t side = 0; side < sides; side++) {
    const std::uint64_t sign = side == 0 ? 0 : ~std::uint64_t{0};
    std::uint64_t place = 0;
    std::uint64_t rest = 0;  // rows of the run still to come
    auto& suspects = suspects_[side];
    const auto take = [&](std::span<const std::uint64_t> words) {
      interrupts.poll();
      for (const std::uint64_t word : words) {
        if (rest == 0) {
          place = word >> place_shift;
          rest = word & run_count_mask;
          continue;
        }
        if (is_open(word)) {
          add_atomically(fine[fine_of(word, fine.size())], (mixed(word) ^ sign) - sign);
          suspects.append(place, store_);
          suspects.append(word, store_);
        }
        place++;
        rest--;
      }
    };
    read_chunks_in_order<std::uint64_t>(store_, marks_end_[side], take);
    suspects_end_[side] = suspects.finish(store_);
  }
}

bool RowSurvey::is_settled() const {
  for (std::size_t bucket = 0; bucket < shared_.size(); bucket++) {
    if (!shared_[bucket].is_zero()) return false;
  }
  return true;
}

}  // namespace pg_reconcile::core
