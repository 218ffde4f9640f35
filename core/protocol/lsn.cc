#include "core/protocol/lsn.h"

#include <charconv>

namespace pg_reconcile::core {
namespace {

std::optional<std::uint32_t> parse_half(std::string_view text) {
  std::uint32_t half = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), half, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return half;
}

void append_half(std::string& text, std::uint32_t half) {
  char digits[8];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), half, 16);
  for (const char* p = digits; p != end; p++)
    text.push_back(*p >= 'a' ? static_cast<char>(*p - 'a' + 'A') : *p);
}

}  // namespace

std::optional<Lsn> parse_lsn(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto high = parse_half(text.substr(0, slash));
  const auto low = parse_half(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return (static_cast<Lsn>(*high) << 32) | *low;
}

std::string format_lsn(Lsn lsn) {
  std::string text;
  append_half(text, static_cast<std::uint32_t>(lsn >> 32));
  text.push_back('/');
  append_half(text, static_cast<std::uint32_t>(lsn));
  return text;
}

}  // namespace pg_reconcile::core
