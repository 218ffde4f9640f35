// Rows that wait to be matched: chunks of bytes, linked newest first, in memory or in a temporary file.
//
// Who fills a list knows no more than a chunk and where its predecessor went; where chunks live (private or
// shared memory, a file once memory is used up) is the store's business.
#pragma once

#ifdef POSTGRES_H
#error "core/ never meets postgres.h: include core headers first"
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace pg_reconcile::core {

// Names a chunk that is complete; 0: none.
using ChunkReference = std::uint64_t;

struct alignas(64) Chunk {
  ChunkReference next;
  std::uint32_t used;      // bytes of the payload
  std::uint32_t capacity;  // bytes of the payload

  [[nodiscard]] std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] const std::byte* payload() const { return reinterpret_cast<const std::byte*>(this + 1); }
  // Whole chunk, header and payload.
  [[nodiscard]] std::size_t bytes() const { return sizeof(Chunk) + capacity; }
};
static_assert(sizeof(Chunk) == 64);

class ChunkStore {
 public:
  static constexpr std::size_t smallest_chunk = 512;
  static constexpr std::size_t largest_chunk = 8192;

  virtual ~ChunkStore() = default;

  struct Open {
    Chunk* chunk = nullptr;
    ChunkReference reference = 0;
  };
  // An empty chunk in memory to go on with, at a multiple of 64 bytes, its capacity one too. `full` (or none,
  // at a list's beginning) has been taken over: `next` of the new chunk names it. Chunks of one list grow
  // from the smallest size to the largest.
  virtual Open go_on(const Open& full) = 0;
  // A complete chunk. Valid until the next call.
  virtual const Chunk* read(ChunkReference reference) = 0;
};

// Appends values of one size to one list.
//
// Lists are filled by the thousand, in random order: values collect in a cache line of the writer's own, and
// whole lines go to the chunk past the cache, which would have to read every line before writing it.
template <class Value>
class alignas(64) ChunkWriter {
 public:
  void append(const Value& value, ChunkStore& store) {
    line_[filled_++] = value;
    if (filled_ == line_values) flush(store);
  }
  // The list's newest chunk; 0 when nothing was appended.
  ChunkReference finish(ChunkStore& store) {
    if (filled_ > 0) {
      const std::size_t rest = filled_;
      flush(store);
      next_ -= (line_values - rest) * sizeof(Value);
    }
    if (open_.chunk == nullptr) return 0;
    close();
#ifdef __SSE2__
    _mm_sfence();
#endif
    return open_.reference;
  }

 private:
  static constexpr std::size_t line_bytes = 64;
  static constexpr std::size_t line_values = line_bytes / sizeof(Value);
  static_assert(line_values * sizeof(Value) == line_bytes && std::is_trivially_copyable_v<Value>);

  void flush(ChunkStore& store) {
    if (next_ == end_) {
      close();
      open_ = store.go_on(open_);
      next_ = open_.chunk->payload();
      end_ = next_ + open_.chunk->capacity;
    }
#ifdef __SSE2__
    const auto* from = reinterpret_cast<const __m128i*>(line_);
    auto* to = reinterpret_cast<__m128i*>(next_);
    for (std::size_t i = 0; i < line_bytes / sizeof(__m128i); i++)
      _mm_stream_si128(to + i, _mm_load_si128(from + i));
#else
    std::memcpy(next_, line_, line_bytes);
#endif
    next_ += line_bytes;
    filled_ = 0;
  }
  void close() {
    if (open_.chunk == nullptr) return;
    open_.chunk->used = static_cast<std::uint32_t>(next_ - open_.chunk->payload());
  }

  alignas(64) Value line_[line_values];
  std::size_t filled_ = 0;
  std::byte* next_ = nullptr;
  std::byte* end_ = nullptr;
  ChunkStore::Open open_;
};

// Calls `visit(std::span<const Value>)` for each chunk of a list, newest first.
template <class Value, class Visit>
void read_chunks(ChunkStore& store, ChunkReference newest, Visit visit) {
  for (ChunkReference reference = newest; reference != 0;) {
    const Chunk* chunk = store.read(reference);
    reference = chunk->next;
    visit(std::span(reinterpret_cast<const Value*>(chunk->payload()), chunk->used / sizeof(Value)));
  }
}

}  // namespace pg_reconcile::core
