#include "core/statement/inbox_pattern.h"

#include <array>

#include "core/error.h"

namespace pg_reconcile::core {
namespace {

constexpr std::string_view url_prefix = "file://";

[[noreturn]] void refuse(std::string_view location, const std::string& problem) {
  throw Error(sqlstate::invalid_parameter_value, "location \"" + std::string(location) + "\" is not valid",
              problem, "Write a path such as file:///var/bills/{yyyyMMdd}/*.zip.");
}

void append_literal(std::string& regex, char c) {
  if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) regex += '\\';
  regex += c;
}

// A date pattern as the shell and as a regular expression see it: a letter is a digit.
void append_date(const std::string& pattern, std::string& glob, std::string& regex) {
  regex += '(';
  for (char c : pattern) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      glob += "[0-9]";
      regex += "[0-9]";
    } else {
      glob += c;
      append_literal(regex, c);
    }
  }
  regex += ')';
}

}  // namespace

InboxPattern InboxPattern::compile(std::string_view location) {
  std::string_view path = location;
  if (path.starts_with(url_prefix)) path.remove_prefix(url_prefix.size());
  if (path.find("://") != std::string_view::npos)
    refuse(location, "Only file:// is a folder of this server.");
  if (!path.starts_with('/')) refuse(location, "The path is not absolute.");
  std::string text(path);
  // After a wildcard, .. would lead out of the folder that was checked.
  if ((text + "/").find("/../") != std::string::npos) refuse(location, "It goes up by \"..\".");
  if (text.back() == '/') text += '*';

  InboxPattern out;
  std::string regex = "^";
  std::size_t first_wildcard = std::string::npos;
  for (std::size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    const bool wild = c == '*' || c == '?' || c == '[' || c == '{';
    if (wild && first_wildcard == std::string::npos) first_wildcard = i;
    if (c == '{') {
      const std::size_t end = text.find('}', i);
      if (end == std::string::npos) refuse(location, "A { is opened and never closed.");
      if (out.date_) refuse(location, "It has more than one date.");
      const std::string pattern = text.substr(i + 1, end - i - 1);
      std::string problem;
      out.date_ = TimestampFormat::compile(pattern, problem);
      if (!out.date_ || out.date_->is_epoch() || pattern == "iso8601") {
        std::string reason = "{";
        reason.append(pattern).append("} is no date pattern: ").append(problem);
        refuse(location, reason);
      }
      append_date(pattern, out.glob_, regex);
      i = end;
      continue;
    }
    out.glob_ += c;
    if (c == '*') {
      regex += "[^/]*";
    } else if (c == '?') {
      regex += "[^/]";
    } else if (c == '[') {
      const std::size_t end = text.find(']', i + 2);
      if (end == std::string::npos) refuse(location, "A [ is opened and never closed.");
      const std::string set = text.substr(i + 1, end - i - 1);
      out.glob_ += set + "]";
      regex += "[" + std::string(set[0] == '!' ? "^" + set.substr(1) : set) + "]";
      i = end;
    } else {
      append_literal(regex, c);
    }
  }
  const std::size_t fixed_to = text.rfind('/', first_wildcard);
  out.fixed_directory_ = fixed_to == 0 ? "/" : text.substr(0, fixed_to);
  try {
    out.pattern_ = boost::regex(regex + "$");
  } catch (const boost::regex_error&) {
    refuse(location, "Its [...] is not understood.");
  }
  return out;
}

std::optional<std::int32_t> InboxPattern::business_date(std::string_view path) const {
  if (!date_) return std::nullopt;
  boost::cmatch match;
  if (!boost::regex_search(path.data(), path.data() + path.size(), match, pattern_)) return std::nullopt;
  const auto written = date_->parse(match[1].str());
  return written ? std::optional(written->date) : std::nullopt;
}

bool InboxPattern::is_unfinished(std::string_view path) {
  constexpr std::array<std::string_view, 5> endings = {".tmp", ".part", ".filepart", ".crdownload", "~"};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (name.empty() || name.front() == '.') return true;
  for (std::string_view ending : endings) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

}  // namespace pg_reconcile::core
