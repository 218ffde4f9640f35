#include "extension/pg/settings.h"

#include "extension/pg/guard.h"

extern "C" {
#include <utils/guc.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr const char* directories_name = "pg_reconcile.allowed_directories";

// PostgreSQL writes here when this copy of the variable is the defined one; reading goes by name.
char* directories_value = nullptr;
char* store_value = nullptr;
int memory_limit_value = 0;

constexpr const char* store_name = "pg_reconcile.store_directory";
constexpr const char* memory_limit_name = "pg_reconcile.memory_limit";
constexpr int kilobyte = 1024;
constexpr int memory_limit_default = 1024 * kilobyte;
constexpr int memory_limit_min = 8 * kilobyte;

bool is_defined(const char* name) {
  return GetConfigOption(name, true, false) != nullptr &&
         (GetConfigOptionFlags(name, true) & GUC_CUSTOM_PLACEHOLDER) == 0;
}

bool raw_check_store(char** value, void**, GucSource) {
  const bool valid = **value == '\0' || is_absolute_path(*value);
  if (!valid) GUC_check_errdetail("It is no absolute path.");
  return valid;
}

}  // namespace

void define_settings() {
  if (is_defined(directories_name)) return;
  DefineCustomStringVariable(
      directories_name, "Directories from which channel files may be read.",
      "Absolute paths, separated by commas. Files elsewhere need pg_read_server_files.", &directories_value,
      "", PGC_SUSET, GUC_LIST_INPUT, nullptr, nullptr, nullptr);
  DefineCustomStringVariable(
      store_name, "Directory in which files that were taken in are kept, with what they were normalised to.",
      "An absolute path that belongs to one database; empty: nothing is kept.", &store_value, "", PGC_SUSET,
      0, raw_check_store, nullptr, nullptr);
  DefineCustomIntVariable(
      memory_limit_name, "Memory for rows that wait to be matched.",
      "For all processes of one command together; beyond it they wait in temporary files.",
      &memory_limit_value, memory_limit_default, memory_limit_min, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB,
      nullptr, nullptr, nullptr);
}

std::uint64_t memory_limit() {
  // Without units the setting reads in kilobytes.
  const char* value = guarded([] { return GetConfigOption(memory_limit_name, false, false); });
  return std::strtoull(value, nullptr, 10) * kilobyte;
}

std::string allowed_directories() {
  const char* value = guarded([] { return GetConfigOption(directories_name, true, false); });
  return value == nullptr ? std::string() : std::string(value);
}

std::string store_directory() {
  const char* value = guarded([] { return GetConfigOption(store_name, true, false); });
  return value == nullptr ? std::string() : std::string(value);
}

LocalSetting::LocalSetting(const char* name, const char* value) : nest_level_(NewGUCNestLevel()) {
  guarded(
      [=] { set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false); });
}

LocalSetting::~LocalSetting() {
  // A rollback that is due puts the setting back by itself.
  if (!detail::abort_is_due()) AtEOXact_GUC(true, nest_level_);
}

}  // namespace pg_reconcile::pg
