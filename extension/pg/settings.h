// Settings (GUCs) that more than one of our libraries reads.
//
// PostgreSQL refuses a setting that is defined twice, and a reserved prefix drops what nobody has defined
// yet. Whichever library is loaded first therefore defines them all, and everybody reads them by name.
#pragma once

#include <string>

namespace pg_reconcile::pg {

// Call from _PG_init of every library. May ereport: no C++ frames with destructors above.
void define_settings();

// pg_reconcile.allowed_directories, as the superuser wrote it.
[[nodiscard]] std::string allowed_directories();

// pg_reconcile.store_directory: where files that were taken in are kept; "" when they are not.
[[nodiscard]] std::string store_directory();

// pg_reconcile.memory_limit in bytes: what rows that wait to be matched may take of memory, in all processes
// of one command together.
[[nodiscard]] std::uint64_t memory_limit();

// A setting as a function's SET clause would have it: until the object goes, or the (sub)transaction is
// rolled back.
class LocalSetting {
 public:
  LocalSetting(const char* name, const char* value);
  ~LocalSetting();
  LocalSetting(const LocalSetting&) = delete;
  LocalSetting& operator=(const LocalSetting&) = delete;

 private:
  int nest_level_;
};

}  // namespace pg_reconcile::pg
