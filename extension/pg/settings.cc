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

bool is_defined(const char* name) {
  return GetConfigOption(name, true, false) != nullptr &&
         (GetConfigOptionFlags(name, true) & GUC_CUSTOM_PLACEHOLDER) == 0;
}

}  // namespace

void define_settings() {
  if (is_defined(directories_name)) return;
  DefineCustomStringVariable(
      directories_name, "Directories from which channel files may be read.",
      "Absolute paths, separated by commas. Files elsewhere need pg_read_server_files.", &directories_value,
      "", PGC_SUSET, GUC_LIST_INPUT, nullptr, nullptr, nullptr);
}

std::string allowed_directories() {
  const char* value = guarded([] { return GetConfigOption(directories_name, true, false); });
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace pg_reconcile::pg
