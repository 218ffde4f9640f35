// reconcile.list_inbox: the files that have arrived where a source expects them. Deciding what to do with
// them is reconcile.scan_inbox's business.
#include <errno.h>
#include <glob.h>
#include <sys/stat.h>

#include <climits>
#include <cstring>
#include <memory>
#include <string>

#include "core/statement/charset.h"
#include "core/statement/inbox_pattern.h"
#include "extension/pg/guard.h"
#include "extension/statement/allowed_path.h"

extern "C" {
#include <funcapi.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/timestamp.h>
#include <utils/tuplestore.h>
}

namespace {

using namespace pg_reconcile;

constexpr std::size_t files_max = 100000;
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
  std::string folder_;  // the last one asked about: names come sorted
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

// glob() asks what to do about a folder that it can't read. One that has gone meanwhile holds nothing; any
// other would look like an empty one for ever.
std::string unreadable;

int note_unreadable(const char* folder, int problem) {
  if (problem == ENOENT) return 0;
  unreadable = core::printable(folder, PATH_MAX);
  return 1;
}

void raw_store(ReturnSetInfo* result, const FoundFile& file) {
  const Datum values[] = {CStringGetTextDatum(file.path), Int64GetDatum(file.bytes),
                          TimestampTzGetDatum(file.modified_at), DateADTGetDatum(file.date)};
  const bool nulls[] = {false, false, false, !file.has_date};
  tuplestore_putvalues(result->setResult, result->setDesc, const_cast<Datum*>(values),
                       const_cast<bool*>(nulls));
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_list_inbox) {
  pg::guarded([=] { InitMaterializedSRF(fcinfo, 0); });
  const Datum argument = fcinfo->args[0].value;
  const char* location = pg::guarded([=] { return TextDatumGetCString(argument); });
  const core::InboxPattern pattern = core::InboxPattern::compile(location);
  const Oid role = GetUserId();
  (void)pg::allowed_path(pattern.fixed_directory(), role);

  unreadable.clear();
  glob_t found = {};
  const std::unique_ptr<glob_t, void (*)(glob_t*)> owner(&found, globfree);
  const int result = glob(pattern.glob().c_str(), 0, note_unreadable, &found);
  if (result == GLOB_NOMATCH) return static_cast<Datum>(0);
  if (result != 0) {
    throw core::Error(
        core::sqlstate::io_error,
        "folder \"" + (unreadable.empty() ? pattern.fixed_directory() : unreadable) + "\" cannot be listed",
        {}, "It must be readable by the operating system user that runs PostgreSQL.");
  }
  auto* set = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  Reach reach(role);
  for (std::size_t i = 0; i < found.gl_pathc && i < files_max; i++) {
    pg::check_for_interrupts();
    const char* path = found.gl_pathv[i];
    struct stat info = {};
    if (core::InboxPattern::is_unfinished(path) || lstat(path, &info) != 0) continue;
    if (!reach.includes(path, S_ISLNK(info.st_mode))) continue;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || !has_readable_name(path)) continue;
    const auto date = pattern.business_date(path);
    const FoundFile file{path, info.st_size,
                         (info.st_mtim.tv_sec - seconds_1970_to_2000) * 1000000 + info.st_mtim.tv_nsec / 1000,
                         date.has_value(), date.value_or(0)};
    pg::guarded([&] { raw_store(set, file); });
  }
  return static_cast<Datum>(0);
}
