// Which files of the server a caller may have read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// The path with symbolic links and .. resolved, when it lies under pg_reconcile.allowed_directories or `role`
// is a member of pg_read_server_files; otherwise 42501 with a HINT. 58P01 when there is no such file.
std::string allowed_path(std::string_view path, Oid role);

// A regular file, opened for reading.
class OpenFile {
 public:
  explicit OpenFile(const std::string& resolved_path);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  void rewind() const;
  // Throws when the file has changed since it was opened.
  void require_unchanged() const;

 private:
  std::string path_;
  int descriptor_ = -1;
  std::int64_t bytes_ = 0;
  std::int64_t modified_ns_ = 0;
};

// SHA-256 of the whole file, from its start; rewinds. Polls for interrupts.
std::string sha256(const OpenFile& file);

}  // namespace pg_reconcile::pg
