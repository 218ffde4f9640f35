#include "core/statement/charset.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "core/error.h"

namespace pg_reconcile::core {
namespace {

struct NamedCharset {
  std::string_view name;
  Charset charset;
  const char* iconv_name;
};

// The first name of each charset is the one that messages use. GBK and GB2312 are read as their superset:
// files say GBK and hold GB18030.
constexpr std::array<NamedCharset, 9> charsets = {{
    {"utf-8", Charset::utf8, "UTF-8"},
    {"gb18030", Charset::gb18030, "GB18030"},
    {"gbk", Charset::gb18030, "GB18030"},
    {"gb2312", Charset::gb18030, "GB18030"},
    {"utf-16le", Charset::utf16le, "UTF-16LE"},
    {"utf-16be", Charset::utf16be, "UTF-16BE"},
    {"latin1", Charset::latin1, "ISO-8859-1"},
    {"iso-8859-1", Charset::latin1, "ISO-8859-1"},
    {"shift_jis", Charset::shift_jis, "CP932"},
}};

bool is_wide(Charset charset) {
  return charset == Charset::utf16le || charset == Charset::utf16be;
}

// Length of the valid UTF-8 character at the start of `bytes`: 0 when it is not valid, -1 when it is cut off.
int utf8_character(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  int length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;  // surrogates
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  for (int i = 1; i < length; i++) {
    if (static_cast<std::size_t>(i) >= bytes.size()) return -1;
    if (at(static_cast<std::size_t>(i)) < low || at(static_cast<std::size_t>(i)) > high) return 0;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

bool valid_utf8(std::string_view bytes, bool may_be_cut) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    const int length = utf8_character(bytes.substr(i));
    if (length == -1) return may_be_cut;
    if (length == 0) return false;
    i += static_cast<std::size_t>(length);
  }
  return true;
}

}  // namespace

std::optional<Charset> charset_by_name(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  for (const NamedCharset& known : charsets) {
    if (known.name == lower) return known.charset;
  }
  return std::nullopt;
}

std::string_view charset_name(Charset charset) {
  for (const NamedCharset& known : charsets) {
    if (known.charset == charset) return known.name;
  }
  return "";
}

std::optional<ByteOrderMark> byte_order_mark(std::string_view bytes) {
  if (bytes.starts_with("\xEF\xBB\xBF")) return ByteOrderMark{Charset::utf8, 3};
  if (bytes.starts_with("\xFF\xFE")) return ByteOrderMark{Charset::utf16le, 2};
  if (bytes.starts_with("\xFE\xFF")) return ByteOrderMark{Charset::utf16be, 2};
  return std::nullopt;
}

bool is_ascii(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_valid_utf8(std::string_view bytes) {
  return valid_utf8(bytes, false);
}
bool is_valid_utf8_prefix(std::string_view bytes) {
  return valid_utf8(bytes, true);
}

Decoder::Decoder(Charset charset) : charset_(charset) {
  if (charset == Charset::utf8) return;
  const auto* known = std::find_if(charsets.begin(), charsets.end(), [&](const NamedCharset& candidate) {
    return candidate.charset == charset;
  });
  converter_ = iconv_open("UTF-8", known->iconv_name);
  if (converter_ == reinterpret_cast<void*>(-1)) {
    converter_ = nullptr;
    throw Error(sqlstate::feature_not_supported,
                "this system cannot read the charset " + std::string(known->name), "iconv_open failed.",
                "Install the gconv modules of the C library (Debian: libc-bin).");
  }
}

Decoder::~Decoder() {
  if (converter_ != nullptr) iconv_close(converter_);
}

std::optional<std::string_view> Decoder::decode(std::string_view bytes, std::string& buffer) {
  const bool zero = !is_wide(charset_) && bytes.find('\0') != std::string_view::npos;
  if (zero) return std::nullopt;
  if (!is_wide(charset_) && is_ascii(bytes)) return bytes;
  if (charset_ == Charset::utf8) return is_valid_utf8(bytes) ? std::optional(bytes) : std::nullopt;
  iconv(converter_, nullptr, nullptr, nullptr, nullptr);
  buffer.resize(bytes.size() * 3 + 8);
  char* in = const_cast<char*>(bytes.data());  // iconv's signature; it does not write there
  std::size_t in_left = bytes.size();
  char* out = buffer.data();
  std::size_t out_left = buffer.size();
  if (iconv(converter_, &in, &in_left, &out, &out_left) == static_cast<std::size_t>(-1)) return std::nullopt;
  buffer.resize(buffer.size() - out_left);
  if (is_wide(charset_) && buffer.find('\0') != std::string::npos) return std::nullopt;
  return buffer;
}

namespace {

struct LineCounts {
  std::size_t proof = 0;  // lines that have characters beside ASCII, all valid
  std::size_t bad = 0;
};

LineCounts count_lines(std::string_view sample, Charset charset) {
  LineCounts counts;
  Decoder decoder(charset);
  std::string buffer;
  while (!sample.empty()) {
    const std::size_t end = sample.find('\n');
    // The last line may be cut inside a character.
    if (end == std::string_view::npos && counts.proof + counts.bad > 0) break;
    const std::string_view line = sample.substr(0, end);
    sample.remove_prefix(end == std::string_view::npos ? sample.size() : end + 1);
    if (is_ascii(line)) continue;
    if (decoder.decode(line, buffer)) {
      counts.proof++;
    } else {
      counts.bad++;
    }
  }
  return counts;
}

// Damaged bytes cost their own lines, not the charset of all others.
Charset least_damaged(std::string_view sample, const std::vector<Charset>& candidates) {
  Charset best = candidates.back();
  std::size_t fewest = count_lines(sample, best).bad;
  for (Charset candidate : candidates) {
    const std::size_t bad = count_lines(sample, candidate).bad;
    if (bad >= fewest) continue;
    best = candidate;
    fewest = bad;
  }
  return best;
}

}  // namespace

Charset detect_charset(std::string_view sample, const std::vector<Charset>& candidates) {
  std::string buffer;
  for (Charset candidate : candidates) {
    if (candidate == Charset::utf8) {
      if (is_valid_utf8_prefix(sample)) return candidate;
      // Text of another charset hardly ever is valid UTF-8 by chance, line after line.
      const LineCounts counts = count_lines(sample, candidate);
      if (counts.proof > counts.bad) return candidate;
      continue;
    }
    // A sample that is cut may end inside a character: then it must be valid without its last line.
    Decoder decoder(candidate);
    if (decoder.decode(sample, buffer)) return candidate;
    const std::size_t line_end = sample.rfind('\n');
    if (line_end != std::string_view::npos && decoder.decode(sample.substr(0, line_end), buffer))
      return candidate;
  }
  return least_damaged(sample, candidates);
}

std::string printable(std::string_view bytes, std::size_t bytes_max) {
  std::string text;
  const bool cut = bytes.size() > bytes_max;
  if (cut) bytes = bytes.substr(0, bytes_max);
  for (std::size_t i = 0; i < bytes.size();) {
    const int length = utf8_character(bytes.substr(i));
    if (length <= 0 || bytes[i] == '\0') {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\x%02X",
                    static_cast<unsigned>(static_cast<unsigned char>(bytes[i])));
      text += escaped;
      i++;
      continue;
    }
    text += bytes.substr(i, static_cast<std::size_t>(length));
    i += static_cast<std::size_t>(length);
  }
  if (cut) text += "...";
  return text;
}

}  // namespace pg_reconcile::core
