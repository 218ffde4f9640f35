// Brings one remote file here: what is there of it is kept when a transfer breaks off, and gone on from when
// the remote file is still the same one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/fetch/answer.h"
#include "worker/fetch/endpoint.h"
#include "worker/fetch/fetch_state.h"

namespace pg_reconcile::worker {

struct Wanted {
  core::Date day = 0;
  std::string name;                  // at the channel, and here
  std::string target;                // path at the server, or address
  std::vector<std::string> headers;  // https
};

// Downloads into `path`, by way of `path`.part. Any answer but `found` leaves no file at `path`. Throws
// SourceStop when the channel does not let us in.
core::Answer download(const FetchSettings& settings, const Endpoint& endpoint, const Wanted& wanted,
                      const std::string& path);

// A small text: a listing, a digest, an answer in JSON. `found`: `text` is it.
core::Answer fetch_text(const FetchSettings& settings, const Endpoint& endpoint, const Wanted& wanted,
                        bool names_only, std::string& text);

}  // namespace pg_reconcile::worker
