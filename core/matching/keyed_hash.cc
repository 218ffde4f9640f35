#include "core/matching/keyed_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pg_reconcile::core {

static_assert(KeyedHash::secret_bytes >= XXH3_SECRET_SIZE_MIN);

Hash128 KeyedHash::operator()(const void* data, std::size_t size) const {
  const XXH128_hash_t hash = XXH3_128bits_withSecret(data, size, secret_.data(), secret_.size());
  return {hash.low64, hash.high64};
}

Hash128 KeyedHash::word(std::uint64_t value) const {
  return (*this)(&value, sizeof(value));
}

Hash128 KeyedHash::words(std::uint64_t first, std::uint64_t second) const {
  const std::uint64_t both[2] = {first, second};
  return (*this)(both, sizeof(both));
}

std::uint64_t stable_hash(const void* data, std::size_t size) {
  return XXH3_64bits(data, size);
}

}  // namespace pg_reconcile::core
