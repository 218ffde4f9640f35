// Where a channel keeps its files: "sftp://bills/{yyyyMMdd}/*.zip".
//
// sftp:// and ftps:// are followed by the path at the server, from the folder that a login ends in; with a
// third slash from the root. https:// is a URL with its host. {yyyyMMdd} and the like are the day, {account}
// the source's account. Wildcards (* ? [...]) stand in the last part of an sftp or ftps path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/mapping/entry.h"

namespace pg_reconcile::core {

class FetchLocation {
 public:
  enum class Scheme { sftp, ftps, https };

  [[nodiscard]] static bool is_remote(std::string_view location);
  // Throws core::Error 22023.
  static FetchLocation compile(std::string_view location);

  [[nodiscard]] Scheme scheme() const { return scheme_; }
  // Whether the folder has to be listed, because the name is a pattern.
  [[nodiscard]] bool lists() const { return lists_; }
  // What follows the scheme, for a day.
  [[nodiscard]] std::string expand(Date day, std::string_view account) const;

 private:
  // A literal, {account} or a date pattern.
  enum class PartKind { literal, account, date };
  struct Part {
    PartKind kind;
    std::string text;
  };

  Scheme scheme_ = Scheme::sftp;
  bool lists_ = false;
  std::vector<Part> parts_;
};

// A date as a pattern of yyyy, yy, MM, M, dd, d and other characters has it. Throws core::Error 22023.
[[nodiscard]] std::string date_as(std::string_view pattern, Date day);

// The names of a listing, one a line, that a pattern fits; uploads that are not complete, and names that lead
// elsewhere, are left out. Sorted.
[[nodiscard]] std::vector<std::string> matching_names(std::string_view listing, const std::string& pattern);

// Whether a remote file's name can be that of a file here.
[[nodiscard]] bool is_plain_name(std::string_view name);

}  // namespace pg_reconcile::core
