// The published row hash, version 1: what reconcile.row_hash() computes and digests add up.
//
// XXH3-128 (seed 0) over the fields in order: a NULL is the byte 0x00; a text is 0x01, its length in bytes as
// an unsigned 64-bit little-endian integer, and its bytes. A digest is the sum of row hashes modulo 2^128: it
// does not depend on order, twins count twice, and what left can be taken off again.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/money/decimal.h"

namespace pg_reconcile::core {

class RowHasher {
 public:
  void add(std::optional<std::string_view> field) {
    if (!field) return add_null();
    char* to = open_field(field->size());
    if (!field->empty()) std::memcpy(to, field->data(), field->size());
    close_field(field->size());
  }
  void add_null() {
    reserve(1);
    bytes_[size_++] = '\0';
  }
  // Where a field of at most `size_max` bytes is written; close_field() must follow, with its true length.
  char* open_field(std::size_t size_max) {
    reserve(head_bytes + size_max);
    return bytes_.data() + size_ + head_bytes;
  }
  void close_field(std::size_t size) {
    char* const head = bytes_.data() + size_;
    head[0] = '\1';
    const std::uint64_t length = little_endian(size);
    std::memcpy(head + 1, &length, sizeof(length));
    size_ += head_bytes + size;
  }
  // The hash of the fields added since the last call.
  uint128 finish();
  // Forgets them: a row that an error ended begins anew.
  void clear() { size_ = 0; }

 private:
  static constexpr std::size_t head_bytes = 1 + 8;

  static std::uint64_t little_endian(std::uint64_t value) {
    return std::endian::native == std::endian::little ? value : __builtin_bswap64(value);
  }
  void reserve(std::size_t size) {
    if (bytes_.size() - size_ < size) bytes_.resize((size_ + size) * 2);
  }

  std::vector<char> bytes_ = std::vector<char>(512);
  std::size_t size_ = 0;
};

// Decimal text of an unsigned 128-bit integer.
std::string to_string(uint128 value);

}  // namespace pg_reconcile::core
