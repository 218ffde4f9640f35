// Which files of the server a caller may have read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// The path with symbolic links and .. resolved, when it lies under pg_reconcile.allowed_directories or `role`
// is a member of pg_read_server_files; otherwise 42501 with a HINT. 58P01 when there is no such file.
std::string allowed_path(std::string_view path, Oid role);

// A file descriptor, closed when its owner goes, also when an error goes by.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

// A regular file, opened for reading.
class OpenFile {
 public:
  // `resolved_path` has no links: what has become one since is not followed.
  explicit OpenFile(const std::string& resolved_path);
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_.number(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  void rewind() const;
  // Throws when the file has changed since it was opened.
  void require_unchanged() const;

 private:
  // One of the descriptors that PostgreSQL plans with.
  struct Budget {
    Budget();
    ~Budget();
    Budget(const Budget&) = delete;
    Budget& operator=(const Budget&) = delete;
  };

  Budget budget_;
  std::string path_;
  Descriptor descriptor_;
  std::int64_t bytes_ = 0;
  std::int64_t modified_ns_ = 0;
};

// SHA-256 of the whole file, from its start; rewinds. Polls for interrupts.
std::string sha256(const OpenFile& file);

}  // namespace pg_reconcile::pg
