#include "core/fetch/answer.h"

#include <algorithm>
#include <charconv>

#include <boost/json.hpp>

namespace pg_reconcile::core {
namespace {

constexpr std::size_t shown_max = 200;
constexpr std::size_t error_document_max = 4096;  // a statement that quotes a code is longer, or no document
constexpr std::int64_t retry_after_max_ms = 24LL * 3600 * 1000;
constexpr std::int64_t half_hour_ms = 1800LL * 1000;

struct KnownCode {
  std::string_view text;
  Outcome outcome;
  std::string_view reason;
  std::int64_t retry_after_ms;  // 0: the source's rhythm
};

// Longest first where one holds another.
constexpr KnownCode known_codes[] = {
    {"NO_STATEMENT_EXIST", Outcome::empty, "the channel has no statement for the day (NO_STATEMENT_EXIST)",
     0},
    {"STATEMENT_CREATING", Outcome::not_ready, "the channel is making the statement (STATEMENT_CREATING)",
     half_hour_ms},
    {"No Bill Exist", Outcome::empty, "the channel has no bill for the day (No Bill Exist)", 0},
    {"Bill Creating", Outcome::not_ready, "the channel is making the bill (Bill Creating)", half_hour_ms},
};

std::string one_line(std::string_view body) {
  std::string text(body.substr(0, shown_max));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 127) c = ' ';
  }
  const std::size_t end = text.find_last_not_of(' ');
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

const KnownCode* find_code(std::string_view body) {
  for (const KnownCode& code : known_codes) {
    if (body.find(code.text) != std::string_view::npos) return &code;
  }
  return nullptr;
}

Answer answer_of(const KnownCode& code) {
  Answer answer{code.outcome, std::string(code.reason), std::nullopt};
  if (code.retry_after_ms > 0) answer.retry_after_ms = code.retry_after_ms;
  return answer;
}

// Seconds; a date is left to the source's rhythm.
std::optional<std::int64_t> retry_after_of(std::string_view text) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0) return std::nullopt;
  return std::min(seconds, retry_after_max_ms / 1000) * 1000;
}

std::string member(const boost::json::object& object, const std::string& name) {
  const boost::json::value* value = name.empty() ? nullptr : object.if_contains(name);
  const boost::json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->begin(), text->end());
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::found:
      return "found";
    case Outcome::not_ready:
      return "not_ready";
    case Outcome::empty:
      return "empty";
    case Outcome::gone:
      return "gone";
    case Outcome::denied:
      return "denied";
    case Outcome::expired:
      return "expired";
    case Outcome::failed:
      break;
  }
  return "failed";
}

std::optional<Outcome> not_found_policy(std::string_view name) {
  for (const Outcome outcome : {Outcome::not_ready, Outcome::empty, Outcome::gone}) {
    if (name == outcome_name(outcome)) return outcome;
  }
  return std::nullopt;
}

std::optional<Answer> classify_error_document(std::string_view body) {
  const std::size_t start = body.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || body.size() >= error_document_max) return std::nullopt;
  const std::string_view text = body.substr(start);
  // {"code": ...} or <xml><return_code>FAIL...: a statement begins with neither.
  const bool is_json = text.front() == '{' && text.find("\"code\"") != std::string_view::npos;
  const bool is_xml = text.starts_with("<xml>") && text.find("return_code") != std::string_view::npos;
  if (!is_json && !is_xml) return std::nullopt;
  if (const KnownCode* code = find_code(text)) return answer_of(*code);
  return Answer{Outcome::failed, "the channel answers " + one_line(text), std::nullopt};
}

Answer classify_http(long status, std::string_view body, std::string_view retry_after,
                     const AnswerPolicy& policy) {
  if (status == 200 || status == 206) {
    if (auto document = classify_error_document(body)) return *document;
    return {};
  }
  if (const KnownCode* code = find_code(body)) return answer_of(*code);
  const std::string said = "HTTP " + std::to_string(status) + (body.empty() ? "" : ": " + one_line(body));
  const auto wait = retry_after_of(retry_after);
  switch (status) {
    case 202:
    case 204:
    case 425:
    case 429:
    case 503:
      return {Outcome::not_ready, said, wait};
    case 404:
      return {policy.not_found, said, wait};
    case 410:
      return {policy.signed_url ? Outcome::expired : Outcome::gone, said, std::nullopt};
    case 401:
    case 403:
      return {policy.signed_url ? Outcome::expired : Outcome::denied, said, std::nullopt};
    default:
      if (status >= 300 && status < 400) {
        return {Outcome::failed, said + " (a redirect, which is not followed: name its target)",
                std::nullopt};
      }
      return {Outcome::failed, said, wait};
  }
}

std::optional<Link> parse_link(std::string_view text, const std::string& url_member,
                               const std::string& digest_member) {
  boost::json::error_code problem;
  const boost::json::value document =
      boost::json::parse(boost::json::string_view(text.data(), text.size()), problem);
  if (problem || !document.is_object()) return std::nullopt;
  Link link{member(document.get_object(), url_member), member(document.get_object(), digest_member)};
  if (link.url.empty()) return std::nullopt;
  return link;
}

Answer no_such_file(const std::string& path, const AnswerPolicy& policy) {
  return {policy.not_found, "there is no file " + path, std::nullopt};
}

}  // namespace pg_reconcile::core
