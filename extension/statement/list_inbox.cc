// reconcile.list_inbox: the files that have arrived where a source expects them. Deciding what to do with
// them is reconcile.scan_inbox's business.
#include <glob.h>
#include <sys/stat.h>

#include <memory>
#include <string>

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
  const Oid role = GetOuterUserId();
  (void)pg::allowed_path(pattern.fixed_directory(), role);

  glob_t found = {};
  const std::unique_ptr<glob_t, void (*)(glob_t*)> owner(&found, globfree);
  const int result = glob(pattern.glob().c_str(), 0, nullptr, &found);
  if (result == GLOB_NOMATCH) return static_cast<Datum>(0);
  if (result != 0) {
    throw core::Error(core::sqlstate::io_error,
                      "folder \"" + pattern.fixed_directory() + "\" cannot be listed", {},
                      "It must be readable by the operating system user that runs PostgreSQL.");
  }
  auto* set = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  for (std::size_t i = 0; i < found.gl_pathc && i < files_max; i++) {
    pg::check_for_interrupts();
    const char* path = found.gl_pathv[i];
    struct stat info = {};
    if (core::InboxPattern::is_unfinished(path) || stat(path, &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const auto date = pattern.business_date(path);
    const FoundFile file{path, info.st_size,
                         (info.st_mtim.tv_sec - seconds_1970_to_2000) * 1000000 + info.st_mtim.tv_nsec / 1000,
                         date.has_value(), date.value_or(0)};
    pg::guarded([&] { raw_store(set, file); });
  }
  return static_cast<Datum>(0);
}
