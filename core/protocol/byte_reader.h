// Reads a network-order message whose lengths nobody has checked yet. Everything that would pass the end is a
// protocol violation, with the message's name and the offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace pg_reconcile::core {

class ByteReader {
 public:
  // `what` names the message in errors; it must outlive the reader.
  ByteReader(std::string_view bytes, const char* what) : bytes_(bytes), what_(what) {}

  void name(const char* what) { what_ = what; }

  char byte() { return take(1)[0]; }
  std::uint8_t uint8() { return static_cast<std::uint8_t>(byte()); }
  std::uint16_t uint16() { return static_cast<std::uint16_t>(big_endian(2)); }
  std::uint32_t uint32() { return static_cast<std::uint32_t>(big_endian(4)); }
  std::uint64_t uint64() { return big_endian(8); }
  std::int64_t int64() { return static_cast<std::int64_t>(big_endian(8)); }
  std::int32_t int32() { return static_cast<std::int32_t>(big_endian(4)); }

  // A text that ends with a zero byte.
  std::string_view c_string() {
    const std::size_t end = bytes_.find('\0', at_);
    if (end == std::string_view::npos) fail("a text has no end");
    const std::string_view text = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

  std::string_view take(std::size_t count) {
    if (count > bytes_.size() - at_) {
      fail(std::to_string(count) + " bytes are needed and " + std::to_string(bytes_.size() - at_) +
           " are left");
    }
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }

  std::string_view rest() { return take(bytes_.size() - at_); }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

  void expect_end() {
    if (left() != 0) fail(std::to_string(left()) + " bytes follow its end");
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw Error(
        sqlstate::protocol_violation, std::string("malformed ") + what_ + " message from the source",
        "At byte " + std::to_string(at_) + " of " + std::to_string(bytes_.size()) + ": " + why + ".",
        "Check that the server is PostgreSQL and that nothing between here and there alters the stream.");
  }

 private:
  std::uint64_t big_endian(std::size_t count) {
    std::uint64_t value = 0;
    for (const char c : take(count)) value = (value << 8) | static_cast<std::uint8_t>(c);
    return value;
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  const char* what_;
};

}  // namespace pg_reconcile::core
