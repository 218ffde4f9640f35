// The published row hash, version 1: what reconcile.row_hash() computes and digests add up.
//
// XXH3-128 (seed 0) over the fields in order: a NULL is the byte 0x00; a text is 0x01, its length in bytes as
// an unsigned 64-bit little-endian integer, and its bytes. A digest is the sum of row hashes modulo 2^128: it
// does not depend on order, twins count twice, and what left can be taken off again.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/money/decimal.h"

namespace pg_reconcile::core {

class RowHasher {
 public:
  void add(std::optional<std::string_view> field);
  // The hash of the fields added since the last call.
  uint128 finish();

 private:
  std::string buffer_;
};

// Decimal text of an unsigned 128-bit integer.
std::string to_string(uint128 value);

}  // namespace pg_reconcile::core
