#include "core/fetch/location.h"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/mapping/timestamp_format.h"
#include "core/statement/inbox_pattern.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t name_bytes_max = 200;

struct SchemePrefix {
  std::string_view text;
  FetchLocation::Scheme scheme;
};
constexpr SchemePrefix prefixes[] = {{"sftp://", FetchLocation::Scheme::sftp},
                                     {"ftps://", FetchLocation::Scheme::ftps},
                                     {"https://", FetchLocation::Scheme::https}};

[[noreturn]] void refuse(std::string_view location, const std::string& problem) {
  throw Error(sqlstate::invalid_parameter_value, "location \"" + std::string(location) + "\" is not valid",
              problem,
              "Write sftp://folder/{yyyyMMdd}/*.zip, ftps://folder/bill_{yyyy-MM-dd}.csv or "
              "https://host/bills?date={yyyyMMdd}.");
}

}  // namespace

bool FetchLocation::is_remote(std::string_view location) {
  return std::any_of(std::begin(prefixes), std::end(prefixes),
                     [=](const SchemePrefix& prefix) { return location.starts_with(prefix.text); });
}

FetchLocation FetchLocation::compile(std::string_view location) {
  FetchLocation out;
  std::string_view rest;
  for (const SchemePrefix& prefix : prefixes) {
    if (!location.starts_with(prefix.text)) continue;
    out.scheme_ = prefix.scheme;
    rest = location.substr(prefix.text.size());
  }
  if (rest.empty()) refuse(location, "It names no path after sftp://, ftps:// or https://.");
  if (rest.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
    refuse(location, "It holds a control character.");
  const bool is_url = out.scheme_ == Scheme::https;
  std::string literal;
  bool has_date = false;
  std::size_t last_slash = 0;
  std::size_t first_wildcard = std::string_view::npos;
  for (std::size_t i = 0; i < rest.size(); i++) {
    const char c = rest[i];
    if (c == '/') last_slash = i;
    if (!is_url && first_wildcard == std::string_view::npos && (c == '*' || c == '?' || c == '['))
      first_wildcard = i;
    if (c != '{') {
      literal += c;
      continue;
    }
    const std::size_t end = rest.find('}', i);
    if (end == std::string_view::npos) refuse(location, "A { is opened and never closed.");
    const std::string_view inside = rest.substr(i + 1, end - i - 1);
    if (!literal.empty()) out.parts_.push_back({PartKind::literal, std::exchange(literal, {})});
    if (inside == "account") {
      out.parts_.push_back({PartKind::account, {}});
    } else {
      try {
        (void)date_as(inside, 0);
      } catch (const Error& error) {
        refuse(location, error.what());
      }
      out.parts_.push_back({PartKind::date, std::string(inside)});
      has_date = true;
    }
    i = end;
  }
  if (!literal.empty()) out.parts_.push_back({PartKind::literal, std::move(literal)});
  if (!has_date) refuse(location, "It has no date, and every day is asked for by its own.");
  if (("/" + std::string(rest) + "/").find("/../") != std::string::npos)
    refuse(location, "It goes up by \"..\".");
  if (is_url) return out;
  if (rest.back() == '/') refuse(location, "It ends in a folder, and names no file.");
  if (first_wildcard != std::string_view::npos && first_wildcard < last_slash) {
    refuse(location, "A wildcard stands in a folder's name; it may stand in the file's.");
  }
  out.lists_ = first_wildcard != std::string_view::npos;
  return out;
}

std::string FetchLocation::expand(Date day, std::string_view account) const {
  std::string text;
  for (const Part& part : parts_) {
    if (part.kind == PartKind::literal) text += part.text;
    if (part.kind == PartKind::account) text += account;
    if (part.kind == PartKind::date) text += date_as(part.text, day);
  }
  return text;
}

std::string date_as(std::string_view pattern, Date day) {
  const std::string iso = date_text(day);  // yyyy-MM-dd
  const auto without_zero = [](std::string digits) { return digits[0] == '0' ? digits.substr(1) : digits; };
  std::string text;
  bool has_letter = false;
  for (std::size_t i = 0; i < pattern.size();) {
    const char c = pattern[i];
    std::size_t width = 1;
    while (i + width < pattern.size() && pattern[i + width] == c) width++;
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c == 'y' && (width == 4 || width == 2)) {
      text += iso.substr(4 - width, width);
    } else if (c == 'M' && width <= 2) {
      text += width == 2 ? iso.substr(5, 2) : without_zero(iso.substr(5, 2));
    } else if (c == 'd' && width <= 2) {
      text += width == 2 ? iso.substr(8, 2) : without_zero(iso.substr(8, 2));
    } else if (is_letter) {
      throw Error(sqlstate::invalid_parameter_value,
                  "{" + std::string(pattern) + "} is no date: it is written with yyyy, yy, MM, M, dd and d");
    } else {
      text += pattern.substr(i, width);
    }
    has_letter = has_letter || is_letter;
    i += width;
  }
  if (!has_letter)
    throw Error(sqlstate::invalid_parameter_value, "{" + std::string(pattern) + "} is no date");
  return text;
}

std::vector<std::string> matching_names(std::string_view listing, const std::string& pattern) {
  std::vector<std::string> names;
  while (!listing.empty()) {
    const std::size_t end = listing.find('\n');
    std::string_view line = listing.substr(0, end);
    listing.remove_prefix(end == std::string_view::npos ? listing.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string name(line);
    if (!is_plain_name(name) || InboxPattern::is_unfinished(name)) continue;
    if (fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD | FNM_NOESCAPE) == 0) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= name_bytes_max &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return c == '/' || static_cast<unsigned char>(c) < ' ' || c == 127; });
}

}  // namespace pg_reconcile::core
