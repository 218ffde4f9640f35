#include "core/fetch/side_file.h"

#include <cstdint>

namespace pg_reconcile::core {
namespace {

constexpr std::size_t sha1_bytes = 20;
constexpr std::size_t sha256_bytes = 32;
constexpr std::string_view blanks = " \t\r\n\"";

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(blanks);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(blanks) - from + 1);
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int base64_value(char c) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t at = letters.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

std::string hex_of(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (char c : bytes) {
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  std::uint32_t held = 0;
  int bits = 0;
  for (char c : text) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    held = (held << 6) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((held >> bits) & 255);
    }
  }
  return bytes;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// The digest and the name of one line; the name may be missing.
struct Line {
  std::optional<StatedDigest> digest;
  std::string_view name;
};

Line read_line(std::string_view line) {
  const std::size_t equals = line.rfind(") = ");
  const std::size_t open = line.find(" (");
  if (equals != std::string_view::npos && open != std::string_view::npos && open + 2 <= equals) {
    return {parse_digest(line.substr(equals + 4)), line.substr(open + 2, equals - open - 2)};
  }
  const std::size_t blank = line.find_first_of(" \t");
  if (blank == std::string_view::npos) return {parse_digest(line), {}};
  std::string_view name = trimmed(line.substr(blank));
  if (name.starts_with('*')) name.remove_prefix(1);
  return {parse_digest(line.substr(0, blank)), name};
}

}  // namespace

std::optional<StatedDigest> parse_digest(std::string_view text) {
  text = trimmed(text);
  bool is_hex = !text.empty();
  for (char c : text) is_hex = is_hex && hex_value(c) >= 0;
  if (is_hex && text.size() == 2 * sha1_bytes) return StatedDigest{DigestAlgorithm::sha1, lower(text)};
  if (is_hex && text.size() == 2 * sha256_bytes) return StatedDigest{DigestAlgorithm::sha256, lower(text)};
  const auto bytes = decode_base64(text);
  if (bytes && bytes->size() == sha1_bytes) return StatedDigest{DigestAlgorithm::sha1, hex_of(*bytes)};
  if (bytes && bytes->size() == sha256_bytes) return StatedDigest{DigestAlgorithm::sha256, hex_of(*bytes)};
  return std::nullopt;
}

std::optional<StatedDigest> parse_side_file(std::string_view text, std::string_view file_name) {
  std::optional<StatedDigest> nameless;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const Line read = read_line(line);
    if (!read.digest) continue;
    const std::string_view base = read.name.substr(read.name.rfind('/') + 1);
    if (base == file_name) return read.digest;
    if (base.empty() && !nameless) nameless = read.digest;
  }
  return nameless;
}

std::string side_file_name(std::string_view pattern, std::string_view file_name) {
  std::string name(pattern);
  const std::string_view placeholder = "{name}";
  const std::size_t at = name.find(placeholder);
  return at == std::string::npos ? name : name.replace(at, placeholder.size(), file_name);
}

bool is_rsa_key(std::string_view text) {
  if (text.find("BEGIN RSA PRIVATE KEY") != std::string_view::npos) return true;
  const std::string_view begin = "-----BEGIN OPENSSH PRIVATE KEY-----";
  const std::size_t from = text.find(begin);
  if (from == std::string_view::npos) return false;
  std::string_view body = text.substr(from + begin.size());
  body = body.substr(0, body.find("-----END"));
  std::string letters;
  for (char c : body) {
    if (blanks.find(c) == std::string_view::npos) letters += c;
  }
  // The public key follows the names of cipher and key derivation, unencrypted: its type is among the first
  // bytes.
  const auto bytes = decode_base64(letters);
  return bytes && bytes->substr(0, 256).find("ssh-rsa") != std::string::npos;
}

}  // namespace pg_reconcile::core
