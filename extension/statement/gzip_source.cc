#include "extension/statement/gzip_source.h"

#include <algorithm>
#include <new>
#include <string>

#include "extension/pg/guard.h"
#include "extension/statement/container.h"

namespace pg_reconcile::pg {
namespace {

constexpr std::size_t block_bytes = 65536;
constexpr int window_bits_of_gzip = 15 + 16;
constexpr unsigned char first_magic_byte = 0x1F;

}  // namespace

GzipSource::GzipSource(std::unique_ptr<core::ByteSource> packed, const core::UnwrapRule& rule)
    : packed_(std::move(packed)), rule_(rule), block_(block_bytes) {
  if (inflateInit2(&stream_, window_bits_of_gzip) != Z_OK) throw std::bad_alloc();
}

GzipSource::~GzipSource() {
  inflateEnd(&stream_);
}

bool GzipSource::fill() {
  // Members of nothing yield no byte for as long as the file goes on.
  check_for_interrupts();
  const std::size_t count = packed_->read(block_);
  packed_bytes_ += static_cast<std::int64_t>(count);
  stream_.next_in = reinterpret_cast<Bytef*>(block_.data());
  stream_.avail_in = static_cast<uInt>(count);
  return count > 0;
}

// False at the end of the file, which may be filled with zeros (tapes, blocks).
bool GzipSource::begin_member() {
  for (;;) {
    if (stream_.avail_in == 0 && !fill()) return false;
    const auto* end = stream_.next_in + stream_.avail_in;
    const auto* start =
        std::find_if(static_cast<const Bytef*>(stream_.next_in), end, [](Bytef byte) { return byte != 0; });
    if (start == end) {
      stream_.avail_in = 0;
      continue;
    }
    if (*start != first_magic_byte)
      throw UnusableFile("it cannot be unpacked: it goes on after the end of its gzip");
    stream_.avail_in = static_cast<uInt>(end - start);
    stream_.next_in = const_cast<Bytef*>(start);
    inflateReset(&stream_);
    in_member_ = true;
    return true;
  }
}

void GzipSource::check_size(std::size_t unpacked) {
  unpacked_bytes_ += static_cast<std::int64_t>(unpacked);
  if (unpacked_bytes_ > rule_.bytes_max)
    throw UnusableFile("it unpacks to more than the format's unwrap.bytes_max");
  check_unpacking_ratio(unpacked_bytes_, packed_bytes_, rule_);
}

std::size_t GzipSource::read(std::span<char> into) {
  stream_.next_out = reinterpret_cast<Bytef*>(into.data());
  stream_.avail_out = static_cast<uInt>(into.size());
  while (stream_.avail_out == into.size()) {
    if (!in_member_ && !begin_member()) return 0;
    if (stream_.avail_in == 0 && !fill())
      throw UnusableFile("it cannot be unpacked: it ends inside its gzip");
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      throw UnusableFile(std::string("it cannot be unpacked: ") +
                         (stream_.msg != nullptr ? stream_.msg : "it is damaged"));
    }
    if (result == Z_STREAM_END) in_member_ = false;
  }
  const std::size_t unpacked = into.size() - stream_.avail_out;
  check_size(unpacked);
  return unpacked;
}

}  // namespace pg_reconcile::pg
