// What a channel's answer means. A day without movements, a file that is not there yet, and one that will
// never come are three different answers.
//
// Source: WeChat Pay's bill download (v2: XML "No Bill Exist", 20002; v3: NO_STATEMENT_EXIST,
// STATEMENT_CREATING), RFC 9110 for status codes and Retry-After.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pg_reconcile::core {

enum class Outcome {
  found,      // the bytes are the file's
  not_ready,  // it is not there yet
  empty,      // the day has no movements
  gone,       // it will not come any more
  denied,     // it will not be given to us: nobody should go on trying
  expired,    // the address was good once: ask for a new one
  failed      // nothing was learned; try again
};

[[nodiscard]] std::string_view outcome_name(Outcome outcome);

struct Answer {
  Outcome outcome = Outcome::found;
  std::string reason;                          // in words, for whoever waits
  std::optional<std::int64_t> retry_after_ms;  // what the channel asks for
};

struct AnswerPolicy {
  Outcome not_found = Outcome::not_ready;  // what 404, or no file of the name, means at this channel
  bool signed_url = false;                 // addresses expire
};

// nullopt: neither not_ready, empty nor gone.
[[nodiscard]] std::optional<Outcome> not_found_policy(std::string_view name);

// An HTTP answer. `body`: its beginning. 200 may carry an error as well.
[[nodiscard]] Answer classify_http(long status, std::string_view body, std::string_view retry_after,
                                   const AnswerPolicy& policy);

// What the beginning of a file that was downloaded says, when it is an error in a file's place.
[[nodiscard]] std::optional<Answer> classify_error_document(std::string_view body);

// An answer in JSON that says where the file is, and perhaps its digest: {"download_url": ..., "hash_value":
// ...}.
struct Link {
  std::string url;
  std::string digest;  // "": none
};
// The members' names are the source's. nullopt: no such document, or no address in it.
[[nodiscard]] std::optional<Link> parse_link(std::string_view text, const std::string& url_member,
                                             const std::string& digest_member);

// A file server has no such file.
[[nodiscard]] Answer no_such_file(const std::string& path, const AnswerPolicy& policy);

}  // namespace pg_reconcile::core
