// Takes a statement out of what it came in: a zip with GBK names, a gzip, or nothing. The entry is picked by
// its content, and every size is bounded.
#pragma once

#include <memory>
#include <string>

#include "core/statement/byte_source.h"
#include "core/statement/format_document.h"
#include "extension/statement/allowed_path.h"

namespace pg_reconcile::pg {

// What is in the file can't be used, as opposed to a server that can't read it: the statement is rejected.
class UnusableFile : public core::Error {
 public:
  explicit UnusableFile(const std::string& reason) : core::Error(core::sqlstate::data_corrupted, reason) {}
};

// Throws UnusableFile when so many bytes came out of so few that it is a bomb.
void check_unpacking_ratio(std::int64_t unpacked, std::int64_t packed, const core::UnwrapRule& rule);

// The bytes of the statement. `file` must outlive it. Throws UnusableFile, also while reading.
std::unique_ptr<core::ByteSource> unwrap(const OpenFile& file, const core::FormatDocument& format);

}  // namespace pg_reconcile::pg
