#include "extension/statement/file_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "core/statement/normalised_csv.h"
#include "extension/pg/settings.h"
#include "extension/pg/spi.h"
#include "extension/values/hex.h"

extern "C" {
#include <access/xlog.h>
#include <catalog/pg_type_d.h>
#include <common/cryptohash.h>
#include <common/sha2.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr std::size_t block_bytes = 262144;
constexpr const char* marker_name = "/pg_reconcile_store";
constexpr const char* temporary_folder = "/tmp";

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  const int problem = errno;
  throw core::Error(
      core::sqlstate::io_error, "the store " + what + " \"" + path + "\": " + strerror(problem), {},
      "pg_reconcile.store_directory must be writable by the operating system user that runs PostgreSQL.");
}

void make_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return;
  fail("cannot make the folder", path);
}

void flush_folder(const std::string& path) {
  const Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.number() < 0 || (fsync(folder.number()) != 0 && errno != EINVAL)) fail("cannot flush", path);
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// Whose store it is: a database that was restored from a dump, or a second one with the same setting, must
// not mix its files with another's, and least of all remove them.
std::string own_identity() {
  const std::uint64_t system = guarded([] { return GetSystemIdentifier(); });
  return "pg_reconcile store of cluster " + std::to_string(system) + ", database " +
         std::to_string(MyDatabaseId) + "\n";
}

std::string read_marker(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) {
    if (errno == ENOENT) return {};
    fail("cannot read", path);
  }
  std::array<char, 256> text = {};
  const ssize_t count = read(file.number(), text.data(), text.size());
  if (count < 0) fail("cannot read", path);
  return std::string(text.data(), static_cast<std::size_t>(count));
}

void write_marker(const std::string& folder) {
  StoreWriter writer(folder);
  writer.write(own_identity());
  unlink((folder + marker_name).c_str());
  writer.keep_as(folder + marker_name);
}

std::string open_folder() {
  const std::string setting = store_directory();
  if (setting.empty()) return {};
  make_folder(setting);
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(setting.c_str(), nullptr), std::free);
  if (!resolved) fail("is not there:", setting);
  make_folder(std::string(resolved.get()) + temporary_folder);
  return resolved.get();
}

const char* const adopt_hint =
    "Give this database a store_directory of its own (ALTER DATABASE ... SET pg_reconcile.store_directory), "
    "or, "
    "when it has taken the other's place, SELECT reconcile.adopt_store().";

}  // namespace

std::string store_folder() {
  std::string folder = open_folder();
  if (folder.empty()) return folder;
  const std::string marker = read_marker(folder + marker_name);
  if (marker.empty()) {
    write_marker(folder);
  } else if (marker != own_identity()) {
    throw core::Error(core::sqlstate::object_not_in_prerequisite_state,
                      "the store \"" + folder + "\" belongs to another database",
                      "It is the " + marker.substr(0, marker.find('\n')) + ".", adopt_hint);
  }
  return folder;
}

std::string readable_store() {
  const std::string setting = store_directory();
  if (setting.empty()) return {};
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(setting.c_str(), nullptr), std::free);
  return resolved ? std::string(resolved.get()) : setting;
}

std::string adopt_store_folder() {
  std::string folder = open_folder();
  if (!folder.empty()) write_marker(folder);
  return folder;
}

std::string stored_path(const std::string& folder, const std::string& hash) {
  return folder + "/" + hash.substr(0, 2) + "/" + hash;
}

std::string normalised_path(const std::string& folder, const std::string& hash, const std::string& csv_hash) {
  return stored_path(folder, hash) + "." + csv_hash.substr(0, 16) + ".csv";
}

std::string path_in_store(std::string_view path) {
  const std::string folder = store_folder();
  if (folder.empty()) {
    throw core::Error(core::sqlstate::object_not_in_prerequisite_state, "there is no store",
                      "pg_reconcile.store_directory is not set.",
                      "A superuser can set it to a directory for this database.");
  }
  const std::string asked = folder + "/" + std::string(path);
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(asked.c_str(), nullptr), std::free);
  if (!resolved) {
    throw core::Error(core::sqlstate::undefined_file,
                      "file \"" + asked + "\" cannot be read: " + strerror(errno), {},
                      "SELECT * FROM reconcile.verify_store(NULL); looks at every file of the store.");
  }
  std::string found = resolved.get();
  if (!found.starts_with(folder + "/")) {
    throw core::Error(core::sqlstate::insufficient_privilege, "file \"" + asked + "\" is not in the store");
  }
  return found;
}

StoreWriter::StoreWriter(std::string folder)
    : folder_(std::move(folder)),
      path_(folder_ + temporary_folder + "/XXXXXX"),
      descriptor_(mkostemp(path_.data(), O_CLOEXEC)),
      digest_(nullptr, pg_cryptohash_free) {
  if (descriptor_.number() < 0) fail("cannot write to", folder_);
  digest_.reset(guarded([] { return pg_cryptohash_create(PG_SHA256); }));
  pg_cryptohash_init(digest_.get());
}

StoreWriter::~StoreWriter() {
  if (!path_.empty()) unlink(path_.c_str());
}

void StoreWriter::write(std::string_view bytes) {
  pg_cryptohash_update(digest_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  bytes_ += static_cast<std::int64_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_.number(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("cannot write to", folder_);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string StoreWriter::hash() {
  std::array<std::uint8_t, PG_SHA256_DIGEST_LENGTH> digest = {};
  if (pg_cryptohash_final(digest_.get(), digest.data(), digest.size()) < 0) {
    throw core::Error(core::sqlstate::internal_error, "SHA-256 of a stored file failed");
  }
  return hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

void StoreWriter::keep_as(const std::string& path) {
  make_folder(folder_of(path));
  if (fsync(descriptor_.number()) != 0) fail("cannot flush", path_);
  // A link, not a rename: what is there stays as it is.
  if (link(path_.c_str(), path.c_str()) != 0 && errno != EEXIST) fail("cannot write", path);
  flush_folder(folder_of(path));
}

KeptFile::KeptFile(std::int32_t source_id, std::string hash)
    : source_id_(source_id), hash_(std::move(hash)), folder_(store_folder()) {}

void KeptFile::keep_original(const OpenFile& file, const std::string& file_name) {
  if (folder_.empty()) return;
  {
    Spi spi;
    keep_original(spi, file, file_name);
  }
  csv_ = std::make_unique<StoreWriter>(folder_);
  buffer_ = core::normalised_csv_header();
}

void KeptFile::keep_original(Spi& spi, const OpenFile& file, const std::string& file_name) const {
  // Against the removal of the same bytes, which may have expired.
  spi.run("SELECT pg_advisory_xact_lock_shared(hashtext('pg_reconcile store'), hashtext($1))",
          {Argument::text(hash_)});
  const std::string path = stored_path(folder_, hash_);
  if (access(path.c_str(), F_OK) != 0) {
    StoreWriter writer(folder_);
    std::vector<char> block(block_bytes);
    file.rewind();
    for (;;) {
      check_for_interrupts();
      const ssize_t count = read(file.descriptor(), block.data(), block.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("cannot read", file.path());
      if (count == 0) break;
      writer.write({block.data(), static_cast<std::size_t>(count)});
    }
    if (writer.hash() != hash_) file.require_unchanged();
    writer.keep_as(path);
    file.rewind();
  }
  spi.run(
      "INSERT INTO reconcile.stored_file AS f (source_id, sha256, channel, account, file_name, bytes) "
      "SELECT s.source_id, decode($2, 'hex'), s.channel, s.account, $3, $4 FROM reconcile.source s "
      "WHERE s.source_id = $1 ON CONFLICT (source_id, sha256) DO UPDATE "
      "SET expired_at = NULL, removed_at = NULL WHERE f.expired_at IS NOT NULL",
      {Argument::int4(source_id_), Argument::text(hash_), Argument::text(file_name),
       Argument::int8(file.bytes())});
}

void KeptFile::row(std::int64_t row_no, const core::Entry& entry) {
  if (!csv_) return;
  core::append_normalised_csv(buffer_, row_no, entry);
  rows_++;
  if (buffer_.size() >= block_bytes) flush();
}

void KeptFile::flush() {
  csv_->write(buffer_);
  buffer_.clear();
}

void KeptFile::keep_normalised(const std::string& format, std::int32_t version) {
  if (!csv_) return;
  flush();
  const std::string csv_hash = csv_->hash();
  csv_->keep_as(normalised_path(folder_, hash_, csv_hash));
  Spi spi;
  spi.run(
      "UPDATE reconcile.stored_file f SET normalised_sha256 = decode($3, 'hex'), normalised_bytes = $4, "
      "normalised_rows = $5, format = $6, format_version = $7, "
      // Who may not see the account does not see the file.
      "account = coalesce(f.account, (SELECT min(t.account) FROM reconcile.statement t "
      "WHERE t.source_id = f.source_id AND t.sha256 = f.sha256 "
      "HAVING count(*) = count(t.account) AND count(DISTINCT t.account) = 1)) "
      "WHERE f.source_id = $1 AND f.sha256 = decode($2, 'hex')",
      {Argument::int4(source_id_), Argument::text(hash_), Argument::text(csv_hash),
       Argument::int8(csv_->bytes()), Argument::int8(rows_), Argument::text(format),
       Argument::int4(version)});
  csv_.reset();
}

}  // namespace pg_reconcile::pg
