// The bytes of an XML document as UTF-8, whatever the encoding that it declares, with a way back from a place
// in that text to the line and the byte of the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "core/interrupts.h"
#include "core/statement/byte_source.h"

namespace pg_reconcile::core {

class XmlInput {
 public:
  static constexpr std::size_t chunk_bytes = 32768;

  XmlInput(ByteSource& source, Interrupts& interrupts) : source_(source), interrupts_(interrupts) {}
  ~XmlInput();
  XmlInput(const XmlInput&) = delete;
  XmlInput& operator=(const XmlInput&) = delete;

  // The next piece of text, until the next call; empty at the end or after a problem. What was handed out
  // stays reachable from `keep_from` on.
  std::string_view next(std::int64_t keep_from);

  // Why there is no more text: bytes that are not valid in the declared encoding, an encoding that is not
  // known here. Empty: the file has ended.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] std::int64_t bytes_read() const { return source_end_; }

  struct Place {
    std::int64_t line = 1;
    std::int64_t byte_offset = 0;
  };
  // Where a place of the text stands in the file. Places are asked for in ascending order.
  Place place_of(std::int64_t offset);

  // The kept text from `offset` on.
  [[nodiscard]] std::string_view text_from(std::int64_t offset) const;

 private:
  // How many bytes of the file a character took, for encodings that are not UTF-8.
  enum class Width { utf8, single, utf16, multibyte };
  struct Anchor {
    std::int64_t text;
    std::int64_t source;
  };

  ByteSource& source_;
  Interrupts& interrupts_;
  void* converter_ = nullptr;  // iconv_t; null: the bytes are UTF-8 already
  Width width_ = Width::utf8;
  std::string encoding_;
  bool started_ = false;
  bool read_ahead_ = false;
  bool ended_ = false;
  std::string problem_;
  std::string bytes_;            // read, not yet converted
  std::int64_t source_end_ = 0;  // of what was read
  std::string window_;           // text from window_base_ on
  std::int64_t window_base_ = 0;
  std::int64_t cursor_ = 0;  // the last place that was asked for
  Place cursor_place_;
  std::deque<Anchor> anchors_;  // where pieces start, beyond the cursor

  bool fill();
  void start();
  void choose(std::string name);
  void convert();
  void advance(std::int64_t offset);
};

}  // namespace pg_reconcile::core
