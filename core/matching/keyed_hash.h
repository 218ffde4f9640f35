// 128-bit hashes under a random key: what decides that two keys, or two rows, are the same.
//
// The key is drawn anew for every comparison, so that no input can be built to collide, and two different
// values meet with probability 2^-128 (DESIGN section 10). XXH3 of xxHash 0.8, with its whole secret as the
// key.
#pragma once

#ifdef POSTGRES_H
#error "core/ never meets postgres.h: include core headers first"
#endif

#include <array>
#include <cstddef>
#include <cstdint>

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

  // `secret` is random; the caller takes it from a strong source.
  explicit KeyedHash(const Secret& secret) : secret_(secret) {}

  [[nodiscard]] Hash128 operator()(const void* data, std::size_t size) const;
  // The hash of these words' bytes, sooner.
  [[nodiscard]] Hash128 word(std::uint64_t value) const;
  [[nodiscard]] Hash128 words(std::uint64_t first, std::uint64_t second) const;

 private:
  alignas(64) Secret secret_;
};

// The same bytes always have the same hash: orders rows alike in every run, and decides nothing.
[[nodiscard]] std::uint64_t stable_hash(const void* data, std::size_t size);

}  // namespace pg_reconcile::core
