// What fetching has come to, in the database: reconcile.fetch_day and reconcile.fetch_file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/fetch/answer.h"
#include "core/fetch/schedule.h"
#include "core/mapping/entry.h"
#include "extension/pg/spi.h"

namespace pg_reconcile::worker {

// What a source that fetches was told.
struct FetchSettings {
  std::int32_t source_id = 0;
  std::string source;
  std::string channel;
  std::string account;  // "": none
  std::string location;
  std::string server;  // "": none
  core::FetchPolicy policy;
  core::AnswerPolicy answers;
  std::int64_t files = 1;  // a day has at least so many
  std::int64_t bytes_max = 0;
  std::int64_t stall_seconds = 0;
  std::string digest_file;  // "": none
  bool digest_of_content = false;
  bool decrypts = false;
  std::vector<std::string> headers;
  std::string url_function;  // "": the location is the address
  std::string url_role;
  std::string link_url;  // the answer is JSON: names of its members
  std::string link_digest;
  std::string link_function;
};

FetchSettings load_fetch_settings(std::int32_t source_id);

struct DueDay {
  core::Date day = 0;
  std::int32_t failures = 0;
  std::int64_t due_in_ms = 0;
  std::int64_t since_end_ms = 0;
};
// nullopt: no day is asked for.
std::optional<DueDay> next_fetch_day(std::int32_t source_id);

void note_fetch_day(const FetchSettings& settings, core::Date day, const core::DayDecision& decision,
                    const core::Answer& answer);

struct FetchFile {
  std::string state;  // "": never seen
  core::RemoteVersion version;
};
FetchFile load_fetch_file(std::int32_t source_id, core::Date day, const std::string& name);

// A transfer has begun: the remote file is this one.
void note_partial(std::int32_t source_id, core::Date day, const std::string& name,
                  const core::RemoteVersion& version);
void note_fetched(std::int32_t source_id, core::Date day, const std::string& name, std::int64_t bytes,
                  const std::string& sha256);
void note_refused(std::int32_t source_id, core::Date day, const std::string& name, const std::string& reason);

// Takes a file of the store in, and says so, in one transaction. Returns what became of it, in words.
std::string ingest_fetched(const FetchSettings& settings, core::Date day, const std::string& name,
                           const std::string& stored_path, const std::string& file_name);

// Where a day's address is to be had from a function of somebody's.
struct SignedAddress {
  std::string url;  // "": there is none yet
  std::vector<std::string> headers;
};
SignedAddress ask_for_address(const FetchSettings& settings, core::Date day);
SignedAddress ask_for_link(const FetchSettings& settings, const std::string& url);

}  // namespace pg_reconcile::worker
