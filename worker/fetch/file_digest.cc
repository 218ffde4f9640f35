#include "worker/fetch/file_digest.h"

#include <openssl/evp.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "core/error.h"
#include "extension/pg/background.h"

namespace pg_reconcile::worker {
namespace {

constexpr unsigned block_bytes = 262144;

struct ContextDelete {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FileDelete {
  void operator()(gzFile_s* file) const { gzclose_r(file); }
};

std::string hex(const unsigned char* bytes, std::size_t count) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; i++) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

}  // namespace

std::string digest_of_file(const std::string& path, core::DigestAlgorithm algorithm, bool of_content) {
  // zlib hands through what is no gzip; transparent reading of one is switched off by reading it as raw
  // bytes.
  const std::unique_ptr<gzFile_s, FileDelete> content(of_content ? gzopen(path.c_str(), "rb") : nullptr);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> plain(
      of_content ? nullptr : std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!content && !plain) {
    throw core::Error(core::sqlstate::io_error, "file \"" + path + "\" cannot be read: " + strerror(errno));
  }
  const std::unique_ptr<EVP_MD_CTX, ContextDelete> context(EVP_MD_CTX_new());
  const EVP_MD* kind = algorithm == core::DigestAlgorithm::sha1 ? EVP_sha1() : EVP_sha256();
  if (!context || EVP_DigestInit_ex(context.get(), kind, nullptr) != 1) {
    throw core::Error(core::sqlstate::internal_error, "OpenSSL has no SHA-1 or SHA-256");
  }
  std::vector<unsigned char> block(block_bytes);
  for (;;) {
    pg::wait_for_latch(0);
    std::size_t count = 0;
    if (content) {
      const int got = gzread(content.get(), block.data(), block_bytes);
      if (got < 0) throw core::Error(core::sqlstate::data_corrupted, "the gzip is damaged or cut off");
      count = static_cast<std::size_t>(got);
    } else {
      count = std::fread(block.data(), 1, block.size(), plain.get());
    }
    if (count == 0) break;
    EVP_DigestUpdate(context.get(), block.data(), count);
  }
  if (plain && std::ferror(plain.get()) != 0) {
    throw core::Error(core::sqlstate::io_error, "file \"" + path + "\" cannot be read");
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest = {};
  unsigned size = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &size);
  return hex(digest.data(), size);
}

}  // namespace pg_reconcile::worker
