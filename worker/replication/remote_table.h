// The table at the source as its catalogs describe it when the worker connects: what is checked before
// anything is read, so that a wrong set-up is one clear message and not a failure in the night.
#pragma once

#include <string>
#include <vector>

#include "worker/local_source.h"
#include "worker/replication/connection.h"

namespace pg_reconcile::worker {

struct RemoteTable {
  std::vector<std::string> key_columns;        // the option "key", or the primary key
  std::vector<std::string> published_columns;  // what the stream and the initial copy carry
  std::string row_filter;                      // the publication's, as SQL; empty: none
  bool is_partitioned = false;
};

// Throws core::Error whose HINT is the command that mends it.
RemoteTable describe_remote_table(Connection& queries, const SourceConfiguration& source);

}  // namespace pg_reconcile::worker
