#include "core/statement/ofx_tokens.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/mapping/expression.h"

namespace pg_reconcile::core {
namespace {

// Windows-1252 where it differs from ISO 8859-1: 0x80 to 0x9F; 0: no character.
constexpr std::array<char32_t, 32> windows_1252 = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

void append_utf8(std::string& out, char32_t c) {
  const auto byte = [&](char32_t bits) { out += static_cast<char>(static_cast<unsigned char>(bits)); };
  if (c < 0x80) {
    byte(c);
  } else if (c < 0x800) {
    byte(0xC0 | (c >> 6));
    byte(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    byte(0xE0 | (c >> 12));
    byte(0x80 | ((c >> 6) & 0x3F));
    byte(0x80 | (c & 0x3F));
  } else {
    byte(0xF0 | (c >> 18));
    byte(0x80 | ((c >> 12) & 0x3F));
    byte(0x80 | ((c >> 6) & 0x3F));
    byte(0x80 | (c & 0x3F));
  }
}

std::optional<std::string> from_windows_1252(std::string_view bytes) {
  std::string out;
  for (char each : bytes) {
    const auto byte = static_cast<unsigned char>(each);
    const char32_t c = byte >= 0x80 && byte < 0xA0 ? windows_1252[byte - 0x80U] : byte;
    if (c == 0) return std::nullopt;
    append_utf8(out, c);
  }
  return out;
}

// The character of "amp", "#228" or "#xE4"; 0: none that we know.
char32_t character_of(std::string_view entity) {
  constexpr std::array<std::pair<std::string_view, char32_t>, 6> named = {
      {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", 0xA0}}};
  for (const auto& [name, character] : named) {
    if (name == entity) return character;
  }
  if (entity.size() < 2 || entity.size() > 8 || entity[0] != '#') return 0;
  const bool hex = entity[1] == 'x' || entity[1] == 'X';
  char32_t value = 0;
  for (char c : entity.substr(hex ? 2 : 1)) {
    const bool digit = c >= '0' && c <= '9';
    const char lower = static_cast<char>(c | 0x20);
    if (!digit && !(hex && lower >= 'a' && lower <= 'f')) return 0;
    value = value * (hex ? 16 : 10) + static_cast<char32_t>(digit ? c - '0' : lower - 'a' + 10);
  }
  const bool is_character = value >= 0x20 && value <= 0x10FFFF && !(value >= 0xD800 && value <= 0xDFFF);
  return is_character ? value : 0;
}

// A lone "&" is one: banks write shop names as they are.
void append_unescaped(std::string& out, std::string_view text) {
  constexpr std::size_t entity_bytes_max = 10;
  while (!text.empty()) {
    const std::size_t at = std::min(text.find('&'), text.size());
    out += text.substr(0, at);
    text.remove_prefix(at);
    if (text.empty()) return;
    const std::size_t end = text.substr(0, entity_bytes_max).find(';');
    const char32_t character = end == std::string_view::npos ? 0 : character_of(text.substr(1, end - 1));
    if (character != 0) {
      append_utf8(out, character);
      text.remove_prefix(end + 1);
    } else {
      out += '&';
      text.remove_prefix(1);
    }
  }
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

}  // namespace

RowPlace OfxTokens::place_of(const OfxToken& token) {
  const XmlInput::Place place = input_.place_of(token.offset);
  return {0, place.line, place.byte_offset};
}

std::string_view OfxTokens::text_between(std::int64_t from, std::int64_t to) const {
  return input_.text_from(from).substr(0, static_cast<std::size_t>(std::max<std::int64_t>(to - from, 0)));
}

// Where `text` comes next, reading on as far as a token may go.
std::optional<std::int64_t> OfxTokens::find(std::string_view text, std::int64_t from) {
  for (;;) {
    const std::string_view held = input_.text_from(from);
    const std::size_t at = held.find(text);
    if (at <= token_bytes_max) return from + static_cast<std::int64_t>(at);
    if (held.size() > token_bytes_max) {
      problem_ = "it has a tag or a value of more than 64 kB";
      return std::nullopt;
    }
    if (input_.next(std::min(kept_.value_or(token_from_), token_from_)).empty()) {
      problem_ = input_.problem();
      return std::nullopt;
    }
  }
}

void OfxTokens::read_charset(std::string_view preamble) {
  const std::string text = upper(preamble);
  const auto setting = [&](std::string_view name) -> std::string_view {
    const std::size_t at = text.find(name);
    return at == std::string::npos ? std::string_view() : std::string_view(text).substr(at + name.size());
  };
  std::string_view name = setting("CHARSET:");
  name = mapping::trimmed(name.substr(0, name.find_first_of("\r\n<")));
  charset_known_ = true;
  if (name.starts_with("936") || name.starts_with("GB")) {
    charset_ = Charset::gb18030;
  } else if (name.starts_with("932")) {
    charset_ = Charset::shift_jis;
  } else {
    charset_known_ = name.empty() || name.starts_with("1252") || name.starts_with("ISO-8859-1") ||
                     name.starts_with("8859-1") || name.starts_with("NONE");
  }
}

bool OfxTokens::read_preamble() {
  const auto at = find("<", 0);
  if (!at) return false;
  read_charset(text_between(0, *at));
  position_ = *at;
  preamble_read_ = true;
  return true;
}

// Comments, declarations, processing instructions and CDATA without an element.
bool OfxTokens::skip_markup() {
  const std::string_view here = input_.text_from(position_);
  const std::string_view close = here.starts_with("<!--") ? "-->" : here.starts_with("<![") ? "]]>" : ">";
  const auto end = find(close, position_);
  if (!end) return false;
  position_ = *end + static_cast<std::int64_t>(close.size());
  return true;
}

// What the header says of the charset is often not true: valid UTF-8 is UTF-8.
std::string OfxTokens::decoded(std::string_view bytes, bool& valid) const {
  const bool zero = bytes.find('\0') != std::string_view::npos;
  if (!zero && is_valid_utf8(bytes)) return std::string(bytes);
  if (charset_) {
    std::string buffer;
    const auto text = Decoder(*charset_).decode(bytes, buffer);
    if (text) return std::string(*text);
  } else if (charset_known_ && !zero) {
    if (auto text = from_windows_1252(bytes)) return std::move(*text);
  }
  valid = false;
  return printable(bytes, bytes.size());
}

// The text behind a tag, CDATA included, up to the next tag.
bool OfxTokens::read_value(OfxToken& token) {
  token.value.clear();
  token.valid = true;
  for (;;) {
    const auto at = find("<", position_);
    if (!at) {
      if (!problem_.empty()) return false;
      const std::string_view rest = input_.text_from(position_);
      append_unescaped(token.value, decoded(rest, token.valid));
      position_ += static_cast<std::int64_t>(rest.size());
      break;
    }
    append_unescaped(token.value, decoded(text_between(position_, *at), token.valid));
    position_ = *at;
    constexpr std::string_view cdata = "<![CDATA[";
    if (!find(">", position_) || !input_.text_from(position_).starts_with(cdata)) break;
    const auto end = find("]]>", position_);
    if (!end) return false;
    const std::int64_t from = position_ + static_cast<std::int64_t>(cdata.size());
    token.value += decoded(text_between(from, *end), token.valid);
    position_ = *end + 3;
    if (token.value.size() > token_bytes_max) {
      problem_ = "it has a tag or a value of more than 64 kB";
      return false;
    }
  }
  token.value = std::string(mapping::trimmed(token.value));
  return true;
}

bool OfxTokens::read_tag(OfxToken& token) {
  const auto end = find(">", position_);
  if (!end) return false;
  std::string_view inside = text_between(position_ + 1, *end);
  token.offset = position_;
  token.kind = inside.starts_with('/') ? OfxToken::Kind::close : OfxToken::Kind::open;
  const bool empty = inside.ends_with('/');
  if (token.kind == OfxToken::Kind::close) inside.remove_prefix(1);
  inside = inside.substr(0, inside.find_first_of(" \t\r\n/"));
  const std::size_t prefix = inside.rfind(':');
  token.name = upper(prefix == std::string_view::npos ? inside : inside.substr(prefix + 1));
  position_ = *end + 1;
  token.value.clear();
  token.valid = true;
  if (token.kind == OfxToken::Kind::open && !empty) {
    if (!read_value(token)) return false;
    if (!token.value.empty()) token.kind = OfxToken::Kind::value;
  } else if (token.kind == OfxToken::Kind::open) {
    token.kind = OfxToken::Kind::value;  // <MEMO/>: nothing is stated
  }
  token.end_offset = position_;
  return true;
}

bool OfxTokens::next(OfxToken& token) {
  if (!preamble_read_ && !read_preamble()) return false;
  for (;;) {
    const auto at = find("<", position_);
    if (!at) return false;
    token_from_ = position_ = *at;
    // Enough to tell what kind of markup it is.
    if (!find(">", position_)) return false;
    const std::string_view here = input_.text_from(position_);
    if (!here.starts_with("<!") && !here.starts_with("<?")) return read_tag(token);
    if (!skip_markup()) return false;
  }
}

}  // namespace pg_reconcile::core
