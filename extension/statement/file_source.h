// The source that a file came in by.
#pragma once

#include <cstdint>
#include <string>

namespace pg_reconcile::pg {

struct FileSource {
  std::int32_t source_id = 0;
  std::string name;
  std::string channel;
  std::string account;  // "": the file says
  std::string book;
  std::string format;
};

// 42704 when there is none, 55000 when it takes in no files.
FileSource load_file_source(const std::string& name);

}  // namespace pg_reconcile::pg
