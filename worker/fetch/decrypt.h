// Files that a channel encrypts with PGP: gpg, started without a shell, bounded in time and in what it
// writes.
#pragma once

#include <cstdint>
#include <string>

namespace pg_reconcile::worker {

struct Decryption {
  std::string home;        // gpg's home directory, with the private key
  std::string passphrase;  // "": the key has none
  std::int64_t bytes_max = 0;
  std::int64_t milliseconds_max = 600'000;
};

// Throws core::Error with what gpg says; nothing is left at `output` then.
void decrypt_file(const Decryption& how, const std::string& input, const std::string& output);

// The name without .gpg, .pgp or .asc.
std::string decrypted_name(const std::string& name);

}  // namespace pg_reconcile::worker
