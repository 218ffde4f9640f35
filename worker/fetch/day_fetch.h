// One day's files: from the first question to the statement.
#pragma once

#include <string>

#include "core/fetch/location.h"
#include "worker/fetch/download.h"

namespace pg_reconcile::worker {

class DayFetch {
 public:
  // `store`: pg_reconcile.store_directory with links resolved.
  DayFetch(const FetchSettings& settings, const Endpoint& endpoint, std::string store, core::Date day);

  // What the channel answered. Throws SourceStop.
  core::Answer run();

 private:
  core::Answer fetch_from_folder();
  core::Answer fetch_from_address();
  core::Answer follow_link(Wanted& wanted, std::string& stated_digest) const;
  core::Answer fetch(const Wanted& wanted, const std::string& stated_digest);
  core::Answer bring(const Wanted& wanted, const std::string& stated_digest, const std::string& path) const;
  core::Answer check(const Wanted& wanted, const std::string& stated_digest, const std::string& path) const;
  core::Answer check_side_file(const Wanted& wanted, const std::string& path) const;
  core::Answer refuse(const Wanted& wanted, const std::string& path, const std::string& reason) const;
  [[nodiscard]] std::string folder() const;

  const FetchSettings& settings_;
  const Endpoint& endpoint_;
  std::string store_;
  core::Date day_;
  core::FetchLocation location_;
  std::string outcome_;  // of the files taken in
};

}  // namespace pg_reconcile::worker
