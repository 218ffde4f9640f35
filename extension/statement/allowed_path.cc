#include "extension/statement/allowed_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "extension/pg/progress.h"
#include "extension/pg/settings.h"

extern "C" {
#include <catalog/pg_authid.h>
#include <common/cryptohash.h>
#include <common/sha2.h>
#include <storage/fd.h>
#include <utils/acl.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr std::size_t read_bytes = 262144;

std::string resolve(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr), std::free);
  return resolved ? std::string(resolved.get()) : std::string();
}

std::vector<std::string> directories(const std::string& setting) {
  std::vector<std::string> list;
  std::string item;
  const auto add = [&] {
    const std::size_t from = item.find_first_not_of(" \"");
    const std::size_t to = item.find_last_not_of(" \"");
    if (from != std::string::npos) list.push_back(item.substr(from, to - from + 1));
    item.clear();
  };
  for (char c : setting) {
    if (c == ',') {
      add();
    } else {
      item.push_back(c);
    }
  }
  add();
  return list;
}

bool lies_under(const std::string& path, const std::string& directory) {
  if (directory.empty()) return false;
  if (directory == "/") return true;
  return path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
}

[[noreturn]] void refuse(std::string_view path) {
  throw core::Error(
      core::sqlstate::insufficient_privilege,
      "file \"" + std::string(path) + "\" lies outside the allowed directories",
      "pg_reconcile.allowed_directories is \"" + allowed_directories() + "\".",
      "A superuser can add its directory to pg_reconcile.allowed_directories, or make you a member of "
      "pg_read_server_files.");
}

#ifdef O_PATH
constexpr int pass_through = O_PATH;  // needs no right to list the folder, as a path doesn't
#else
constexpr int pass_through = O_RDONLY;
#endif

// Follows no link on the way either: whoever may write to a folder could exchange one for a link between the
// moment the path was resolved and checked and this one. Leaves errno.
int open_without_links(const std::string& path) {
  Descriptor folder(open("/", pass_through | O_DIRECTORY | O_CLOEXEC));
  std::size_t from = 1;
  for (;;) {
    const std::size_t slash = path.find('/', from);
    const std::string name = path.substr(from, slash == std::string::npos ? slash : slash - from);
    if (slash == std::string::npos) {
      return openat(folder.number(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    }
    Descriptor next(
        openat(folder.number(), name.c_str(), pass_through | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next.number() < 0) return -1;
    folder = std::move(next);
    from = slash + 1;
  }
}

std::int64_t modified_ns(const struct stat& info) {
  return info.st_mtim.tv_sec * 1000000000L + info.st_mtim.tv_nsec;
}

}  // namespace

std::string allowed_path(std::string_view path, Oid role) {
  const std::string text(path);
  if (text.empty() || text.front() != '/') {
    throw core::Error(core::sqlstate::invalid_parameter_value, "path \"" + text + "\" is not absolute", {},
                      "Give the full path on the server, such as /var/bills/alipay/20261121.csv.zip.");
  }
  std::string resolved = resolve(text);
  const int problem = errno;
  if (!guarded([=] { return has_privs_of_role(role, ROLE_PG_READ_SERVER_FILES); })) {
    // Who may not look elsewhere does not learn what exists elsewhere either: a missing file counts by its
    // folder.
    const std::string place = resolved.empty() ? resolve(text.substr(0, text.rfind('/') + 1)) : resolved;
    const std::vector<std::string> allowed = directories(allowed_directories());
    const bool inside =
        !place.empty() && std::any_of(allowed.begin(), allowed.end(), [&](const std::string& root) {
          return lies_under(place, resolve(root));
        });
    if (!inside) refuse(path);
  }
  if (!resolved.empty()) return resolved;
  throw core::Error(
      problem == ENOENT || problem == ENOTDIR ? core::sqlstate::undefined_file : core::sqlstate::io_error,
      "file \"" + text + "\" cannot be read: " + strerror(problem), {},
      "The file must be readable by the operating system user that runs PostgreSQL.");
}

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

OpenFile::Budget::Budget() {
  if (guarded([] { return AcquireExternalFD(); })) return;
  throw core::Error("53000", "too many files are open on this server", {},
                    "Raise max_files_per_process and the account's limit of open files.");
}

OpenFile::Budget::~Budget() {
  ReleaseExternalFD();
}

OpenFile::OpenFile(const std::string& resolved_path)
    : path_(resolved_path), descriptor_(open_without_links(path_)) {
  const int problem = errno;
  if (descriptor_.number() < 0) {
    throw core::Error(problem == ENOENT ? core::sqlstate::undefined_file : core::sqlstate::io_error,
                      "file \"" + path_ + "\" cannot be read: " + strerror(problem), {},
                      "The file must be readable by the operating system user that runs PostgreSQL.");
  }
  struct stat info = {};
  if (fstat(descriptor(), &info) != 0 || !S_ISREG(info.st_mode)) {
    throw core::Error(core::sqlstate::invalid_parameter_value, "\"" + path_ + "\" is not a regular file", {},
                      "Give the path of one file.");
  }
  bytes_ = info.st_size;
  modified_ns_ = modified_ns(info);
}

void OpenFile::rewind() const {
  if (lseek(descriptor(), 0, SEEK_SET) != 0) {
    throw core::Error(core::sqlstate::io_error, "file \"" + path_ + "\" cannot be read: " + strerror(errno));
  }
}

void OpenFile::require_unchanged() const {
  struct stat info = {};
  if (fstat(descriptor(), &info) == 0 && info.st_size == bytes_ && modified_ns(info) == modified_ns_) return;
  throw core::Error(core::sqlstate::object_not_in_prerequisite_state,
                    "file \"" + path_ + "\" changed while it was read", {},
                    "Write files under another name and rename them when they are complete; then try again.");
}

std::string sha256(const OpenFile& file) {
  file.rewind();
  pg_cryptohash_ctx* context = guarded([] { return pg_cryptohash_create(PG_SHA256); });
  const std::unique_ptr<pg_cryptohash_ctx, void (*)(pg_cryptohash_ctx*)> owner(context, pg_cryptohash_free);
  std::vector<std::uint8_t> buffer(read_bytes);
  bool good = pg_cryptohash_init(context) >= 0;
  std::uint64_t done = 0;
  for (;;) {
    check_for_interrupts();
    const ssize_t count = read(file.descriptor(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      throw core::Error(core::sqlstate::io_error,
                        "file \"" + file.path() + "\" cannot be read: " + strerror(errno));
    }
    if (count == 0) break;
    done += static_cast<std::uint64_t>(count);
    Progress::bytes_done(done);
    good = good && pg_cryptohash_update(context, buffer.data(), static_cast<std::size_t>(count)) >= 0;
  }
  std::string digest(PG_SHA256_DIGEST_LENGTH, '\0');
  good = good &&
         pg_cryptohash_final(context, reinterpret_cast<std::uint8_t*>(digest.data()), digest.size()) >= 0;
  if (!good) throw core::Error(core::sqlstate::internal_error, "SHA-256 of \"" + file.path() + "\" failed");
  file.rewind();
  return digest;
}

}  // namespace pg_reconcile::pg
