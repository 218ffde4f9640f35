// 128-bit hashes under a random key: what decides that two keys, or two rows, are the same.
//
// The key is drawn anew for every comparison, so that no input can be built to collide, and two different
// values meet with probability 2^-128 (DESIGN section 10). XXH3 of xxHash 0.8, with its whole secret as the
// key; in the caller's loop, where short values and known lengths cost least.
#pragma once

#ifdef POSTGRES_H
#error "core/ never meets postgres.h: include core headers first"
#endif

#include <array>
#include <cstddef>
#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pg_reconcile::core {

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
  friend auto operator<=>(const Hash128&, const Hash128&) = default;
};

class KeyedHash {
 public:
  static constexpr std::size_t secret_bytes = 192;
  using Secret = std::array<unsigned char, secret_bytes>;
  static_assert(secret_bytes >= XXH3_SECRET_SIZE_MIN);

  // `secret` is random; the caller takes it from a strong source.
  explicit KeyedHash(const Secret& secret) : secret_(secret) {}

  [[nodiscard]] Hash128 operator()(const void* data, std::size_t size) const {
    const XXH128_hash_t hash = XXH3_128bits_withSecret(data, size, secret_.data(), secret_.size());
    return {hash.low64, hash.high64};
  }
  // The hash of these words' bytes, sooner.
  [[nodiscard]] Hash128 word(std::uint64_t value) const { return (*this)(&value, sizeof(value)); }
  [[nodiscard]] Hash128 words(std::uint64_t first, std::uint64_t second) const {
    const std::uint64_t both[2] = {first, second};
    return (*this)(both, sizeof(both));
  }

 private:
  alignas(64) Secret secret_;
};

// The same bytes always have the same hash: orders rows alike in every run, and decides nothing.
[[nodiscard]] inline std::uint64_t stable_hash(const void* data, std::size_t size) {
  return XXH3_64bits(data, size);
}

}  // namespace pg_reconcile::core
