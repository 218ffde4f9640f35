#include <doctest/doctest.h>

#include "core/fetch/answer.h"
#include "core/fetch/schedule.h"

using namespace pg_reconcile::core;

namespace {

constexpr std::int64_t minute = 60'000;
constexpr std::int64_t hour = 60 * minute;

Answer http(long status, const char* body = "", const char* retry_after = "", AnswerPolicy policy = {}) {
  return classify_http(status, body, retry_after, policy);
}

}  // namespace

TEST_CASE("an empty day, a bill that is being made, and one that is not there are different answers") {
  CHECK(http(200, "\xef\xbb\xbf交易时间,...").outcome == Outcome::found);
  CHECK(http(206, "more").outcome == Outcome::found);
  const Answer empty = http(400, R"({"code":"NO_STATEMENT_EXIST","message":"..."})");
  CHECK(empty.outcome == Outcome::empty);
  CHECK(empty.reason == "the channel has no statement for the day (NO_STATEMENT_EXIST)");
  const Answer creating = http(404, R"({"code":"STATEMENT_CREATING"})");
  CHECK(creating.outcome == Outcome::not_ready);
  CHECK(creating.retry_after_ms == 30 * minute);
  CHECK(
      http(
          200,
          "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[No Bill Exist]]></return_msg>"
          "<error_code>20002</error_code></xml>")
          .outcome == Outcome::empty);
  CHECK(http(200, R"({"code":"SYSTEM_ERROR"})").outcome == Outcome::failed);
  CHECK(http(200, R"({"order_key":"NO_STATEMENT_EXIST"})").outcome == Outcome::found);
}

TEST_CASE("404 is what the source says that it is") {
  CHECK(http(404).outcome == Outcome::not_ready);
  CHECK(http(404, "", "", {Outcome::empty, false}).outcome == Outcome::empty);
  CHECK(http(404, "", "", {Outcome::gone, false}).outcome == Outcome::gone);
  CHECK(no_such_file("a/b.csv", {}).reason == "there is no file a/b.csv");
  CHECK(not_found_policy("empty") == Outcome::empty);
  CHECK_FALSE(not_found_policy("failed").has_value());
}

TEST_CASE("refusals end the asking, unless the address has only expired") {
  CHECK(http(401).outcome == Outcome::denied);
  CHECK(http(403, "expired", "", {Outcome::not_ready, true}).outcome == Outcome::expired);
  CHECK(http(410).outcome == Outcome::gone);
  CHECK(http(410, "", "", {Outcome::not_ready, true}).outcome == Outcome::expired);
  CHECK(http(302).outcome == Outcome::failed);
  CHECK(http(500, "oops\nagain").reason == "HTTP 500: oops again");
}

TEST_CASE("what the channel asks to wait is waited, within a day") {
  CHECK(http(429, "", "120").retry_after_ms == 2 * minute);
  CHECK(http(503, "", "99999999999").retry_after_ms == 24 * hour);
  CHECK_FALSE(http(503, "", "Wed, 21 Oct 2026 07:28:00 GMT").retry_after_ms.has_value());
  CHECK_FALSE(http(503, "", "-5").retry_after_ms.has_value());
}

TEST_CASE("a day is asked for at the channel's rhythm until nobody expects it any more") {
  const FetchPolicy policy{30 * minute, minute, 48 * hour};
  const DayDecision again = decide_day(policy, {Outcome::not_ready, "", {}}, 3, 10 * hour);
  CHECK(again.state == DayState::awaited);
  CHECK(again.next_in_ms == 30 * minute);
  CHECK(again.failures == 0);
  CHECK(decide_day(policy, {Outcome::not_ready, "", 2 * hour}, 0, 10 * hour).next_in_ms == 2 * hour);
  const DayDecision over = decide_day(policy, {Outcome::not_ready, "", {}}, 0, 48 * hour);
  CHECK(over.state == DayState::gone);
  CHECK_FALSE(over.next_in_ms.has_value());
}

TEST_CASE("failures are tried again soon, then ever more rarely, never more often than the rhythm") {
  const FetchPolicy policy{30 * minute, minute, 48 * hour};
  std::int32_t failures = 0;
  for (const std::int64_t delay : {1, 2, 4, 8, 16, 30, 30}) {
    const DayDecision decision = decide_day(policy, {Outcome::failed, "", {}}, failures, hour);
    CHECK(decision.state == DayState::failing);
    CHECK(decision.next_in_ms == delay * minute);
    failures = decision.failures;
  }
  CHECK(decide_day(policy, {Outcome::failed, "", {}}, 2'000'000'000, hour).next_in_ms == 30 * minute);
  CHECK(decide_day(policy, {Outcome::failed, "", {}}, 0, 1000 * hour).next_in_ms ==
        minute);  // nothing was learned
}

TEST_CASE("what is final stays") {
  for (const Outcome outcome : {Outcome::found, Outcome::empty, Outcome::gone}) {
    CHECK_FALSE(decide_day({}, {outcome, "", {}}, 0, 0).next_in_ms.has_value());
  }
  CHECK(std::string(day_state_name(decide_day({}, {Outcome::empty, "", {}}, 0, 0).state)) == "empty");
  CHECK(decide_day({}, {Outcome::denied, "", {}}, 0, 0).state == DayState::refused);
}

TEST_CASE("a transfer goes on only where the remote file is the same one") {
  CHECK(is_same_version({100, 5, ""}, {100, 5, ""}));
  CHECK(is_same_version({100, {}, "\"a\""}, {100, 7, "\"a\""}));
  CHECK_FALSE(is_same_version({100, 5, ""}, {101, 5, ""}));
  CHECK_FALSE(is_same_version({100, 5, ""}, {100, 6, ""}));
  CHECK_FALSE(is_same_version({100, 5, "\"a\""}, {100, 5, "\"b\""}));
  CHECK_FALSE(is_same_version({100, {}, ""}, {100, {}, ""}));
}

TEST_CASE("an answer may say where the file is") {
  const auto link =
      parse_link(R"({"hash_type":"SHA1","hash_value":"79bb","download_url":"https://h/f?token=x"})",
                 "download_url", "hash_value");
  REQUIRE(link.has_value());
  CHECK(link->url == "https://h/f?token=x");
  CHECK(link->digest == "79bb");
  CHECK(parse_link(R"({"url":"https://h/f"})", "url", "")->digest.empty());
  CHECK_FALSE(parse_link(R"({"url":7})", "url", "").has_value());
  CHECK_FALSE(parse_link("[]", "url", "").has_value());
  CHECK_FALSE(parse_link("<html>", "url", "").has_value());
}
