// reconcile.list_inbox: the files that have arrived where a source expects them. Deciding what to do with
// them is reconcile.scan_inbox's business.
#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <string>

#include "core/statement/charset.h"
#include "core/statement/inbox_pattern.h"
#include "extension/pg/guard.h"
#include "extension/statement/allowed_path.h"

extern "C" {
#include <funcapi.h>
#include <storage/fd.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/timestamp.h>
#include <utils/tuplestore.h>
}

namespace {

using namespace pg_reconcile;

constexpr std::int64_t seconds_1970_to_2000 = 946684800;

struct FoundFile {
  const char* path;
  std::int64_t bytes;
  std::int64_t modified_at;
  bool has_date;
  std::int32_t date;
};

// Folders reached through a wildcard may be links that lead out, and whoever drops files here names them.
class Reach {
 public:
  explicit Reach(Oid role) : role_(role) {}

  bool includes(const std::string& path, bool is_link) {
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    if (folder != folder_) {
      folder_ = folder;
      folder_is_included_ = is_allowed(folder);
    }
    return folder_is_included_ && (!is_link || is_allowed(path));
  }

 private:
  bool is_allowed(const std::string& path) const {
    try {
      (void)pg::allowed_path(path, role_);
      return true;
    } catch (const core::Error&) {  // never a PostgresError: that one goes through
      return false;
    }
  }

  Oid role_;
  std::string folder_;  // the last one asked about
  bool folder_is_included_ = false;
};

// A name is bytes: what this database cannot write down is said and left alone.
bool has_readable_name(const char* path) {
  const int length = static_cast<int>(strlen(path));
  if (pg::guarded([=] { return pg_verifymbstr(path, length, true); })) return true;
  const std::string shown = core::printable(path, PATH_MAX);
  const char* text = shown.c_str();
  pg::guarded([=] {
    ereport(WARNING,
            (errmsg("file \"%s\" is left alone: its name is not valid in this database's encoding", text),
             errhint("Rename it in %s.", GetDatabaseEncodingName())));
  });
  return false;
}

void raw_store(ReturnSetInfo* result, const FoundFile& file) {
  const Datum values[] = {CStringGetTextDatum(file.path), Int64GetDatum(file.bytes),
                          TimestampTzGetDatum(file.modified_at), DateADTGetDatum(file.date)};
  const bool nulls[] = {false, false, false, !file.has_date};
  tuplestore_putvalues(result->setResult, result->setDesc, const_cast<Datum*>(values),
                       const_cast<bool*>(nulls));
}

// An open folder; PostgreSQL counts its descriptor.
class Folder {
 public:
  explicit Folder(const std::string& path) : path_(path) {
    const char* name = path_.c_str();
    folder_ = pg::guarded([=] { return AllocateDir(name); });
    if (folder_ == nullptr && errno != ENOENT && errno != ENOTDIR) fail();
  }
  ~Folder() {
    if (folder_ != nullptr && !pg::detail::abort_is_due()) FreeDir(folder_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // nullptr: no more, or the folder has gone.
  const dirent* next() {
    pg::check_for_interrupts();
    if (folder_ == nullptr) return nullptr;
    errno = 0;
    const dirent* entry = readdir(folder_);
    if (entry == nullptr && errno != 0 && errno != ENOENT) fail();
    return entry;
  }

 private:
  // It would look like an empty one for ever.
  [[noreturn]] void fail() const {
    throw core::Error(core::sqlstate::io_error,
                      "folder \"" + core::printable(path_, PATH_MAX) + "\" cannot be listed", {},
                      "It must be readable by the operating system user that runs PostgreSQL.");
  }

  std::string path_;
  DIR* folder_ = nullptr;
};

// What glob() does, but one name at a time: a folder may hold millions, and links that lead in circles make
// paths without end. Whoever waits can cancel, and memory does not grow.
class Walk {
 public:
  Walk(const core::InboxPattern& pattern, ReturnSetInfo* result, Oid role)
      : pattern_(pattern), glob_(pattern.glob()), result_(result), reach_(role) {}

  void run() { step("", 1); }

 private:
  // `at`: where the next part of the pattern starts.
  void step(const std::string& folder, std::size_t at) {
    const std::size_t end = glob_.find('/', at);
    const bool is_last = end == std::string::npos;
    const std::string part = glob_.substr(at, is_last ? end : end - at);
    if (part.empty()) {
      if (!is_last) step(folder, end + 1);
      return;
    }
    if (part.find_first_of("*?[") == std::string::npos) return arrive(folder + "/" + part, is_last, end);
    Folder open(folder.empty() ? "/" : folder);
    while (const dirent* entry = open.next()) {
      // A hidden name is named: so the shell has it, and so uploads hide.
      if (fnmatch(part.c_str(), entry->d_name, FNM_PERIOD | FNM_NOESCAPE) != 0) continue;
      const std::string path = folder + "/" + entry->d_name;
      if (!is_last && entry->d_type != DT_DIR) {
        if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) continue;
        if (!reach_.includes(path, true)) continue;
      }
      arrive(path, is_last, end);
    }
  }

  void arrive(const std::string& path, bool is_last, std::size_t end) {
    if (is_last) {
      take(path);
    } else {
      step(path, end + 1);
    }
  }

  void take(const std::string& path) {
    struct stat info = {};
    if (core::InboxPattern::is_unfinished(path) || lstat(path.c_str(), &info) != 0) return;
    if (!reach_.includes(path, S_ISLNK(info.st_mode))) return;
    if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || !has_readable_name(path.c_str())) return;
    const auto date = pattern_.business_date(path);
    const FoundFile file{path.c_str(), info.st_size,
                         (info.st_mtim.tv_sec - seconds_1970_to_2000) * 1000000 + info.st_mtim.tv_nsec / 1000,
                         date.has_value(), date.value_or(0)};
    pg::guarded([&] { raw_store(result_, file); });
  }

  const core::InboxPattern& pattern_;
  const std::string& glob_;
  ReturnSetInfo* result_;
  Reach reach_;
};

core::InboxPattern allowed_pattern(Datum location, Oid role) {
  const char* written = pg::guarded([=] { return TextDatumGetCString(location); });
  core::InboxPattern pattern = core::InboxPattern::compile(written);
  (void)pg::allowed_path(pattern.fixed_directory(), role);
  return pattern;
}

}  // namespace

// Throws what list_inbox would, and lists nothing.
PG_RECONCILE_FUNCTION(reconcile_require_inbox) {
  (void)allowed_pattern(fcinfo->args[0].value, GetUserId());
  PG_RETURN_VOID();
}

PG_RECONCILE_FUNCTION(reconcile_list_inbox) {
  pg::guarded([=] { InitMaterializedSRF(fcinfo, 0); });
  const Oid role = GetUserId();
  const core::InboxPattern pattern = allowed_pattern(fcinfo->args[0].value, role);
  Walk(pattern, reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo), role).run();
  return static_cast<Datum>(0);
}
