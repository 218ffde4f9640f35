#include "core/digest/row_hash.h"

#include <algorithm>
#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pg_reconcile::core {

void RowHasher::add(std::optional<std::string_view> field) {
  if (!field) {
    buffer_.push_back('\0');
    return;
  }
  buffer_.push_back('\1');
  std::uint64_t length = field->size();
  for (int i = 0; i < 8; i++, length >>= 8) buffer_.push_back(static_cast<char>(length & 0xff));
  buffer_.append(*field);
}

uint128 RowHasher::finish() {
  const XXH128_hash_t hash = XXH3_128bits(buffer_.data(), buffer_.size());
  buffer_.clear();
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
