#include "core/mapping/number_format.h"

#include <array>
#include <utility>

namespace pg_reconcile::core {
namespace {

constexpr std::array<std::pair<std::string_view, NumberFormat>, 6> formats = {{
    {"1234.56", {'.', '\0'}},
    {"1,234.56", {'.', ','}},
    {"1234,56", {',', '\0'}},
    {"1.234,56", {',', '.'}},
    {"1 234,56", {',', ' '}},
    {"1'234.56", {'.', '\''}},
}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool all_digits(std::string_view text) {
  for (char c : text) {
    if (!is_digit(c)) return false;
  }
  return !text.empty();
}

// "1,234,567" without its commas; nullopt when the groups are not of three.
std::optional<std::string> without_groups(std::string_view integer, char group) {
  std::string digits;
  std::size_t in_group = 0;
  bool grouped = false;
  for (std::size_t i = 0; i < integer.size(); i++) {
    const char c = integer[i];
    if (c == group) {
      if ((grouped && in_group != 3) || (!grouped && (in_group == 0 || in_group > 3))) return std::nullopt;
      grouped = true;
      in_group = 0;
      continue;
    }
    digits.push_back(c);
    if (is_digit(c)) in_group++;
  }
  if (grouped && in_group != 3) return std::nullopt;
  return digits;
}

bool is_month_name(std::string_view text) {
  constexpr std::string_view months = "janfebmaraprmayjunjulaugsepoctnovdec";
  if (text.size() != 3) return false;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c | 0x20);
  const std::size_t at = months.find(lower);
  return at != std::string_view::npos && at % 3 == 0;
}

}  // namespace

std::optional<NumberFormat> NumberFormat::named(std::string_view name) {
  for (const auto& [known, format] : formats) {
    if (known == name) return format;
  }
  return std::nullopt;
}

std::string_view NumberFormat::names() {
  return "1234.56, 1,234.56, 1234,56, 1.234,56, 1 234,56 or 1'234.56";
}

std::optional<Decimal> NumberFormat::parse(std::string_view text, std::string& reason) const {
  std::string ungrouped;
  if (group != '\0') {
    const std::size_t point_at = std::min(text.find(point), text.size());
    const auto integer = without_groups(text.substr(0, point_at), group);
    if (!integer) {
      reason = "is no amount: its digits are not grouped in threes";
      return std::nullopt;
    }
    ungrouped = *integer + std::string(text.substr(point_at));
    text = ungrouped;
  }
  const auto value = Decimal::parse(text, point);
  if (value) return value;
  if (looks_like_spreadsheet_damage(text)) {
    reason = "looks rewritten by a spreadsheet program: the number is lost, ask for the original file";
    return std::nullopt;
  }
  // Only digits, one sign, one point: then it is the size that does not fit.
  std::string_view digits = text;
  if (!digits.empty() && (digits.front() == '-' || digits.front() == '+')) digits.remove_prefix(1);
  const std::size_t point_at = digits.find(point);
  const bool numeric = point_at == std::string_view::npos ? all_digits(digits)
                                                          : all_digits(digits.substr(0, point_at)) &&
                                                                all_digits(digits.substr(point_at + 1));
  reason = numeric ? "is out of range: an amount has at most 18 digits before and 12 after the point"
                   : "is no amount";
  return std::nullopt;
}

bool looks_like_spreadsheet_damage(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  const std::size_t e = text.find_first_of("Ee");
  if (e != std::string_view::npos && e > 0 && e + 2 < text.size() &&
      (text[e + 1] == '+' || text[e + 1] == '-') && all_digits(text.substr(e + 2)) &&
      text.size() - e - 2 <= 3) {
    const std::string_view mantissa = text.substr(0, e);
    const std::size_t point = mantissa.find('.');
    if (point == std::string_view::npos) return mantissa.size() == 1 && is_digit(mantissa[0]);
    return point == 1 && is_digit(mantissa[0]) && all_digits(mantissa.substr(2));
  }
  const std::size_t dash = text.find('-');
  if (dash != std::string_view::npos) {
    const std::string_view left = text.substr(0, dash);
    const std::string_view right = text.substr(dash + 1);
    const bool day_month = left.size() <= 2 && all_digits(left) && is_month_name(right);
    const bool month_day = is_month_name(left) && right.size() <= 4 && all_digits(right);
    return day_month || month_day;
  }
  constexpr std::string_view month_sign = "\xE6\x9C\x88";  // 月
  constexpr std::string_view day_sign = "\xE6\x97\xA5";    // 日
  const std::size_t month_at = text.find(month_sign);
  return month_at != std::string_view::npos && all_digits(text.substr(0, month_at)) &&
         text.ends_with(day_sign) && all_digits(text.substr(month_at + 3, text.size() - month_at - 6));
}

std::optional<std::string> undo_overpunch(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const char last = text.back();
  std::string digits(text.substr(0, text.size() - 1));
  if (is_digit(last)) return std::string(text);
  if (last == '{') return digits + '0';
  if (last == '}') return "-" + digits + '0';
  if (last >= 'A' && last <= 'I') return digits + static_cast<char>('1' + (last - 'A'));
  if (last >= 'J' && last <= 'R') return "-" + digits + static_cast<char>('1' + (last - 'J'));
  return std::nullopt;
}

}  // namespace pg_reconcile::core
