// Where a source's files arrive: "file:///var/bills/{yyyyMMdd}/*.zip" as a glob, and the day that a path
// says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/regex.hpp>

#include "core/mapping/timestamp_format.h"

namespace pg_reconcile::core {

class InboxPattern {
 public:
  // A path or a file:// URL; * ? [...] as the shell has them, none of which matches a slash; at most one
  // {date pattern}. A directory means every file in it. Throws core::Error 22023.
  static InboxPattern compile(std::string_view location);

  [[nodiscard]] const std::string& glob() const { return glob_; }
  // The part before the first wildcard: it must lie in an allowed directory.
  [[nodiscard]] const std::string& fixed_directory() const { return fixed_directory_; }
  [[nodiscard]] std::optional<std::int32_t> business_date(std::string_view path) const;
  // Names that uploads use until they are complete: .hidden, x.tmp, x.part, x.filepart, x.crdownload, x~.
  [[nodiscard]] static bool is_unfinished(std::string_view path);

 private:
  std::string glob_;
  std::string fixed_directory_;
  boost::regex pattern_;
  std::optional<TimestampFormat> date_;
};

}  // namespace pg_reconcile::core
