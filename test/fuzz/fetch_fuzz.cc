// Whatever a channel's server sends in a file's place, reading it ends, and what is made of it keeps to the
// rules: names lead nowhere else, digests have their length, waits are bounded.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fetch/answer.h"
#include "core/fetch/location.h"
#include "core/fetch/schedule.h"
#include "core/fetch/side_file.h"

using namespace pg_reconcile::core;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void read_answer(std::string_view text) {
  constexpr std::int64_t day_ms = 24LL * 3600 * 1000;
  const long status = text.empty() ? 200 : 200 + static_cast<unsigned char>(text.front()) * 2L;
  const Answer answer = classify_http(status, text, text, {});
  require(answer.reason.size() < 1000);
  require(!answer.retry_after_ms || (*answer.retry_after_ms >= 0 && *answer.retry_after_ms <= day_ms));
  const DayDecision decision = decide_day({}, answer, 3, day_ms);
  require(!decision.next_in_ms || (*decision.next_in_ms >= 0 && *decision.next_in_ms <= day_ms));
  (void)parse_link(text, "url", "digest");
}

void read_digests(std::string_view text) {
  const auto stated = parse_side_file(text, "bill.csv");
  if (stated) require(stated->hex.size() == (stated->algorithm == DigestAlgorithm::sha1 ? 40U : 64U));
  (void)is_rsa_key(text);
}

void read_location(std::string_view text) {
  try {
    const FetchLocation location = FetchLocation::compile(text);
    const std::string path = location.expand(0, "a");
    require(path.find('\n') == std::string::npos);
    require(("/" + path + "/").find("/../") == std::string::npos ||
            text.find("..") == std::string_view::npos);
  } catch (const Error&) {
    // refused
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  for (const std::string& name : matching_names(text, "*")) {
    require(name.find('/') == std::string::npos && name != "..");
  }
  read_answer(text);
  read_digests(text);
  read_location(text);
  return 0;
}
