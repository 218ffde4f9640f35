#include "core/digest/row_hash.h"

#include <algorithm>
#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pg_reconcile::core {

uint128 RowHasher::finish() {
  const XXH128_hash_t hash = XXH3_128bits(bytes_.data(), size_);
  size_ = 0;
  return (static_cast<uint128>(hash.high64) << 64) | hash.low64;
}

std::string to_string(uint128 value) {
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace pg_reconcile::core
