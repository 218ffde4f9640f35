#include "core/fetch/side_file.h"

#include <doctest/doctest.h>

using namespace pg_reconcile::core;

namespace {

const std::string empty_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string empty_sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

}  // namespace

TEST_CASE("a digest is known by its length, in hexadecimal or base64") {
  CHECK(parse_digest(empty_sha256)->algorithm == DigestAlgorithm::sha256);
  CHECK(parse_digest(" DA39A3EE5E6B4B0D3255BFEF95601890AFD80709\r\n")->hex == empty_sha1);
  CHECK(parse_digest("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")->hex == empty_sha256);
  CHECK(parse_digest("2jmj7l5rSw0yVb/vlWAYkK/YBwk=")->hex == empty_sha1);
  CHECK_FALSE(parse_digest("d41d8cd98f00b204e9800998ecf8427e").has_value());  // MD5
  CHECK_FALSE(parse_digest("").has_value());
}

TEST_CASE("side files name the file, or nothing") {
  CHECK(parse_side_file(empty_sha256 + "  bill.zip\n", "bill.zip")->hex == empty_sha256);
  CHECK(parse_side_file(empty_sha256 + " *out/bill.zip\n", "bill.zip")->hex == empty_sha256);
  CHECK(parse_side_file("SHA256 (bill.zip) = " + empty_sha256 + "\n", "bill.zip")->hex == empty_sha256);
  CHECK(parse_side_file(empty_sha1, "bill.zip")->algorithm == DigestAlgorithm::sha1);
  CHECK(parse_side_file("# sums\n" + empty_sha1 + "  a.zip\n" + empty_sha256 + "  b.zip\n", "b.zip")->hex ==
        empty_sha256);
  CHECK_FALSE(parse_side_file(empty_sha256 + "  other.zip\n", "bill.zip").has_value());
  CHECK_FALSE(parse_side_file("<html>not found</html>", "bill.zip").has_value());
  CHECK(side_file_name("{name}.sha256", "a.zip") == "a.zip.sha256");
  CHECK(side_file_name("SUMS", "a.zip") == "SUMS");
}

TEST_CASE("an RSA key is known without its passphrase") {
  CHECK(is_rsa_key("-----BEGIN RSA PRIVATE KEY-----\nMIIE"));
  // "openssh-key-v1\0", none, none, "", 1 key, "ssh-rsa"
  CHECK(is_rsa_key(
      "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAB\n"
      "lwAAAAdzc2gtcnNhAAAA\n-----END OPENSSH PRIVATE KEY-----\n"));
  CHECK_FALSE(
      is_rsa_key("-----BEGIN OPENSSH PRIVATE "
                 "KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUx\n"
                 "OQAAACD1\n-----END OPENSSH PRIVATE KEY-----\n"));
  CHECK_FALSE(is_rsa_key("nothing"));
}
