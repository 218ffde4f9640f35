// The bytes inside a gzip, checked: every member's CRC and length (RFC 1952) must agree with what came out.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/statement/byte_source.h"
#include "core/statement/format_document.h"

namespace pg_reconcile::pg {

class GzipSource final : public core::ByteSource {
 public:
  // Throws UnusableFile, also while reading: for what is torn or damaged, and for what unpacks to more than
  // `rule` allows.
  GzipSource(std::unique_ptr<core::ByteSource> packed, const core::UnwrapRule& rule);
  ~GzipSource() override;
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  std::size_t read(std::span<char> into) override;

 private:
  bool fill();
  bool begin_member();
  void check_size(std::size_t unpacked);

  std::unique_ptr<core::ByteSource> packed_;
  core::UnwrapRule rule_;
  std::vector<char> block_;
  z_stream stream_{};
  bool in_member_ = false;
  std::int64_t packed_bytes_ = 0;
  std::int64_t unpacked_bytes_ = 0;
};

}  // namespace pg_reconcile::pg
