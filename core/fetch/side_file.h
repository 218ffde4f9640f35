// Digests that a channel states beside a file: "<hex>", "<hex>  name" (sha256sum), "SHA256 (name) = <hex>"
// (BSD), or base64.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pg_reconcile::core {

enum class DigestAlgorithm { sha1, sha256 };

struct StatedDigest {
  DigestAlgorithm algorithm = DigestAlgorithm::sha256;
  std::string hex;  // lower case
};

// The digest of `file_name` in a side file; with several lines, the one that names it. nullopt: none.
[[nodiscard]] std::optional<StatedDigest> parse_side_file(std::string_view text, std::string_view file_name);

// One digest, by its length. nullopt: neither SHA-1 nor SHA-256.
[[nodiscard]] std::optional<StatedDigest> parse_digest(std::string_view text);

// "{name}.sha256" for a file's name.
[[nodiscard]] std::string side_file_name(std::string_view pattern, std::string_view file_name);

// Whether a private key file's text holds an RSA key: libssh2 before 1.11 can't log in with one to
// OpenSSH 8.8 or newer, because it signs with SHA-1 alone.
[[nodiscard]] bool is_rsa_key(std::string_view text);

}  // namespace pg_reconcile::core
