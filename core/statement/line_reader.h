// Physical lines of a text, in bounded memory, each with its number and its place in the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/interrupts.h"
#include "core/statement/byte_source.h"
#include "core/statement/charset.h"

namespace pg_reconcile::core {

struct Line {
  std::string_view bytes;   // without line end; until the next call
  std::string_view text;    // the same in UTF-8; empty when not valid
  std::int64_t number = 0;  // from 1
  std::int64_t offset = 0;  // of the first byte, in the unwrapped file
  bool terminated = false;  // a line end followed
  bool valid = true;        // the bytes are valid in the file's charset
  bool too_long = false;    // `bytes` is only its start
};

class LineReader {
 public:
  // A line longer than this is cut and flagged. Channels' longest rows have a few kilobytes.
  static constexpr std::size_t line_bytes_max = 1048576;

  // `charsets` are tried in that order at the first byte that is not ASCII; a byte order mark decides at
  // once. Lines end in `line_end`, "\n" (also after "\r") or "\r".
  LineReader(ByteSource& source, std::vector<Charset> charsets, Interrupts& interrupts, char line_end = '\n');
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  bool next(Line& line);

  // A part of the line that was read last, in UTF-8; `buffer` may hold it. nullopt: cut inside a character.
  [[nodiscard]] std::optional<std::string_view> decode_part(std::string_view bytes, std::string& buffer);

  // The bytes of a file of less than 64 kB, without moving on; nullopt for a longer one.
  [[nodiscard]] std::optional<std::string_view> short_file();
  [[nodiscard]] std::int64_t bytes_read() const { return base_ + static_cast<std::int64_t>(position_); }

 private:
  static constexpr std::size_t chunk_bytes = 65536;

  ByteSource& source_;
  std::vector<Charset> charsets_;
  Interrupts& interrupts_;
  char line_end_;
  std::string buffer_;        // bytes base_ .. base_ + buffer_.size()
  std::size_t position_ = 0;  // start of the next line in buffer_
  std::int64_t base_ = 0;
  std::int64_t number_ = 0;
  bool ended_ = false;
  bool started_ = false;
  std::size_t unit_ = 1;  // bytes of a code unit: 2 in UTF-16
  std::unique_ptr<Decoder> decoder_;
  std::string decoded_;

  bool fill();
  void start();
  [[nodiscard]] std::size_t find_line_end(std::size_t from) const;
  void decode(Line& line);
  bool skip_to_line_end();
};

}  // namespace pg_reconcile::core
