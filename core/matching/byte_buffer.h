// Bytes that grow and are used again for the next row: what a row's canonical encoding is written to.
#pragma once

#ifdef POSTGRES_H
#error "core/ never meets postgres.h: include core headers first"
#endif

#include <cstddef>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

namespace pg_reconcile::core {

class ByteBuffer {
 public:
  void clear() { size_ = 0; }

  void append(const void* data, std::size_t size) {
    if (size == 0) return;
    if (bytes_.size() - size_ < size) bytes_.resize((size_ + size) * 2);
    std::memcpy(bytes_.data() + size_, data, size);
    size_ += size;
  }

  template <class Value>
  void append_value(Value value) {
    static_assert(std::is_trivially_copyable_v<Value> && std::has_unique_object_representations_v<Value>,
                  "padding would make equal values differ");
    append(&value, sizeof(value));
  }

  [[nodiscard]] const char* data() const { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::vector<char> bytes_ = std::vector<char>(256);
  std::size_t size_ = 0;
};

}  // namespace pg_reconcile::core
