// Where the bytes of a statement come from: a file, an entry of an archive, a test's memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

namespace pg_reconcile::core {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills the front of `into`; returns how many bytes, 0 at the end. Throws core::Error when reading fails,
  // also in the middle (a broken archive).
  virtual std::size_t read(std::span<char> into) = 0;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes, std::size_t chunk = 65536) : rest_(bytes), chunk_(chunk) {}
  std::size_t read(std::span<char> into) override {
    const std::size_t count = std::min({into.size(), rest_.size(), chunk_});
    std::copy_n(rest_.begin(), count, into.begin());
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view rest_;
  std::size_t chunk_;
};

}  // namespace pg_reconcile::core
