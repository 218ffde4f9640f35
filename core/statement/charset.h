// Text in the encodings that channels use, turned into UTF-8 line by line, and never guessed silently: bytes
// that are not valid are reported, not replaced.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_reconcile::core {

enum class Charset { utf8, gb18030, utf16le, utf16be, latin1, shift_jis };

// "utf-8", "gb18030" (and gbk, gb2312: GB18030 reads them all), "utf-16le", "utf-16be", "latin1",
// "shift_jis".
[[nodiscard]] std::optional<Charset> charset_by_name(std::string_view name);
[[nodiscard]] std::string_view charset_name(Charset charset);

struct ByteOrderMark {
  Charset charset;
  std::size_t size;
};
[[nodiscard]] std::optional<ByteOrderMark> byte_order_mark(std::string_view bytes);

[[nodiscard]] bool is_ascii(std::string_view bytes);
[[nodiscard]] bool is_valid_utf8(std::string_view bytes);
// The same, but the last character may be cut off.
[[nodiscard]] bool is_valid_utf8_prefix(std::string_view bytes);

// One iconv descriptor. Not shared between threads.
class Decoder {
 public:
  explicit Decoder(Charset charset);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  [[nodiscard]] Charset charset() const { return charset_; }
  // UTF-8: a view of `bytes` itself when it is ASCII or UTF-8 already, else of `buffer`. nullopt: invalid
  // bytes, or a zero byte, which no text may hold.
  [[nodiscard]] std::optional<std::string_view> decode(std::string_view bytes, std::string& buffer);

 private:
  Charset charset_;
  void* converter_ = nullptr;  // iconv_t
};

// The first charset of `candidates` in which `sample` (the start of a text, possibly cut) is valid. The last
// one is taken when none is: its decoder then reports the invalid lines.
[[nodiscard]] Charset detect_charset(std::string_view sample, const std::vector<Charset>& candidates);

// Bytes for a person to read: valid UTF-8 as it is, anything else as \xNN. At most `bytes_max` of them.
[[nodiscard]] std::string printable(std::string_view bytes, std::size_t bytes_max);

}  // namespace pg_reconcile::core
