// The local store: a file's original bytes under their SHA-256, and beside them what they were normalised to.
//
//   <pg_reconcile.store_directory>/
//     pg_reconcile_store        the identity of the database that the store belongs to
//     tmp/                      files that are being written
//     ab/ab12...                the bytes as they arrived
//     ab/ab12....<hash>.csv     the canonical columns of its rows; named by its own SHA-256, too
//
// A file gets its name when it is complete and flushed, and never changes afterwards. A transaction that is
// rolled back may leave a file that no row names: it is the same file when it comes again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/mapping/entry.h"
#include "extension/pg/spi.h"
#include "extension/statement/allowed_path.h"

struct pg_cryptohash_ctx;

namespace pg_reconcile::pg {

// The store's folder with links resolved; "" when pg_reconcile.store_directory is not set. Makes it where it
// is missing. Throws 55000 when it belongs to another database.
std::string store_folder();

// The same, to read from: whosever it is. Makes nothing.
std::string readable_store();

// Makes the store this database's, whosever it was.
std::string adopt_store_folder();

// Where the bytes of a hash (hexadecimal) are, or would be.
std::string stored_path(const std::string& folder, const std::string& hash);
std::string normalised_path(const std::string& folder, const std::string& hash, const std::string& csv_hash);

// The full path of a file that is in the store, by its path there. 58P01 when it is not.
std::string path_in_store(std::string_view path);

// A file under tmp/ that becomes part of the store when it is kept, and goes when it is not.
class StoreWriter {
 public:
  explicit StoreWriter(std::string folder);
  ~StoreWriter();
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  void write(std::string_view bytes);
  // SHA-256 in hexadecimal of what was written; nothing may be written after it.
  std::string hash();
  // Flushes and renames; a file of that name stays as it is.
  void keep_as(const std::string& path);
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  std::string folder_;
  std::string path_;
  Descriptor descriptor_;
  std::unique_ptr<pg_cryptohash_ctx, void (*)(pg_cryptohash_ctx*)> digest_;
  std::int64_t bytes_ = 0;
};

// What one ingestion leaves in the store. Does nothing when there is none.
class KeptFile {
 public:
  KeptFile(std::int32_t source_id, std::string hash);

  // The original, and its row; in the caller's transaction.
  void keep_original(const OpenFile& file, const std::string& file_name);
  // One row of the normalised file.
  void row(std::int64_t row_no, const core::Entry& entry);
  // The normalised file, and its figures.
  void keep_normalised(const std::string& format, std::int32_t version);

 private:
  void keep_original(Spi& spi, const OpenFile& file, const std::string& file_name) const;
  void flush();

  std::int32_t source_id_;
  std::string hash_;
  std::string folder_;
  std::unique_ptr<StoreWriter> csv_;
  std::string buffer_;
  std::int64_t rows_ = 0;
};

}  // namespace pg_reconcile::pg
