#include "core/mapping/timestamp_format.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace pg_reconcile::core {
namespace {

constexpr std::int64_t microseconds_per_second = 1000000;
constexpr std::int64_t microseconds_per_day = 86400 * microseconds_per_second;
constexpr std::int64_t seconds_1970_to_2000 = 946684800;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool take(char c) {
    if (peek() != c || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Between `least` and `most` digits.
  bool number(std::size_t least, std::size_t most, int& value, std::size_t* taken = nullptr) {
    std::size_t count = 0;
    value = 0;
    while (count < most && count < rest_.size() && is_digit(rest_[count])) {
      value = value * 10 + (rest_[count] - '0');
      count++;
    }
    if (count < least) return false;
    rest_.remove_prefix(count);
    if (taken != nullptr) *taken = count;
    return true;
  }
  bool fraction(std::int64_t& microseconds) {
    std::size_t count = 0;
    std::int64_t value = 0;
    while (count < rest_.size() && is_digit(rest_[count])) {
      if (count < 6) value = value * 10 + (rest_[count] - '0');
      count++;
    }
    if (count == 0 || count > 9) return false;
    for (std::size_t i = count; i < 6; i++) value *= 10;
    rest_.remove_prefix(count);
    microseconds = value;
    return true;
  }
  // Z, +08, +0800, +08:00, +08:00:00.
  bool offset(std::optional<std::int32_t>& seconds) {
    if (take('Z') || take('z')) {
      seconds = 0;
      return true;
    }
    const bool east = peek() == '+';
    if (!take('+') && !take('-')) return false;
    int hours = 0;
    int minutes = 0;
    int second = 0;
    if (!number(2, 2, hours)) return false;
    const bool colon = take(':');
    if (colon || is_digit(peek())) {
      if (!number(2, 2, minutes)) return false;
      if (colon && take(':') && !number(2, 2, second)) return false;
    }
    if (hours > 15 || minutes > 59 || second > 59) return false;
    const std::int32_t total = hours * 3600 + minutes * 60 + second;
    seconds = east ? total : -total;
    return true;
  }

 private:
  std::string_view rest_;
};

struct Clock {
  int hour = 0;
  int minute = 0;
  int second = 0;
  std::int64_t microsecond = 0;
};

std::optional<std::int64_t> microseconds_of_day(const Clock& clock) {
  const bool midnight_at_end =
      clock.hour == 24 && clock.minute == 0 && clock.second == 0 && clock.microsecond == 0;
  if ((clock.hour > 23 && !midnight_at_end) || clock.minute > 59 || clock.second > 60) return std::nullopt;
  return ((clock.hour * 60LL + clock.minute) * 60LL + clock.second) * microseconds_per_second +
         clock.microsecond;
}

std::optional<WrittenTime> parse_iso8601(std::string_view text) {
  Cursor in(text);
  int year = 0;
  int month = 0;
  int day = 0;
  if (!in.number(4, 4, year)) return std::nullopt;
  const bool dashes = in.take('-');
  if (!in.number(2, 2, month) || (dashes && !in.take('-')) || !in.number(2, 2, day)) return std::nullopt;
  const auto date = days_from_civil(year, month, day);
  if (!date) return std::nullopt;
  WrittenTime written;
  written.date = *date;
  if (in.at_end()) return written;
  if (!in.take('T') && !in.take(' ')) return std::nullopt;
  Clock clock;
  if (!in.number(2, 2, clock.hour)) return std::nullopt;
  const bool colons = in.take(':');
  if (!in.number(2, 2, clock.minute)) return std::nullopt;
  const bool seconds = colons ? in.take(':') : is_digit(in.peek());
  if (seconds) {
    if (!in.number(2, 2, clock.second)) return std::nullopt;
    if ((in.take('.') || in.take(',')) && !in.fraction(clock.microsecond)) return std::nullopt;
  }
  if (in.peek() == ' ') in.take(' ');
  if (!in.at_end() && !in.offset(written.offset_seconds)) return std::nullopt;
  const auto of_day = microseconds_of_day(clock);
  if (!in.at_end() || !of_day) return std::nullopt;
  written.microseconds_of_day = *of_day;
  return written;
}

// Digits with an optional sign and fraction, as a count of microseconds since 1970.
std::optional<WrittenTime> parse_epoch(std::string_view text, std::int64_t microseconds_per_unit) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  std::int64_t whole = 0;
  std::size_t i = 0;
  for (; i < text.size() && is_digit(text[i]); i++) {
    if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, text[i] - '0', &whole)) {
      return std::nullopt;
    }
  }
  if (i == 0) return std::nullopt;
  std::int64_t microseconds = 0;
  if (__builtin_mul_overflow(whole, microseconds_per_unit, &microseconds)) return std::nullopt;
  if (i < text.size()) {
    if (text[i] != '.') return std::nullopt;
    std::int64_t step = microseconds_per_unit;
    for (i++; i < text.size(); i++) {
      if (!is_digit(text[i])) return std::nullopt;
      step /= 10;
      if (__builtin_add_overflow(microseconds, step * (text[i] - '0'), &microseconds)) return std::nullopt;
    }
  }
  if (negative) microseconds = -microseconds;
  constexpr std::int64_t year_1 = -62135596800LL * microseconds_per_second;
  constexpr std::int64_t year_10000 = 253402300800LL * microseconds_per_second;
  if (microseconds < year_1 || microseconds >= year_10000) return std::nullopt;
  microseconds -= seconds_1970_to_2000 * microseconds_per_second;
  std::int64_t day = microseconds / microseconds_per_day;
  if (microseconds % microseconds_per_day < 0) day--;
  WrittenTime written;
  written.date = static_cast<std::int32_t>(day);
  written.microseconds_of_day = microseconds - day * microseconds_per_day;
  written.offset_seconds = 0;
  return written;
}

bool width_allowed(char letter, int width) {
  switch (letter) {
    case 'y':
      return width == 2 || width == 4;
    case 'S':
      return width <= 9;
    case 'X':
      return width <= 3;
    case 'a':
      return width == 1;
    default:
      return width <= 2;
  }
}

}  // namespace

std::optional<std::int32_t> days_from_civil(int year, int month, int day) {
  constexpr std::array<int, 12> lengths = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return std::nullopt;
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const int length = lengths[static_cast<std::size_t>(month - 1)] + (leap && month == 2 ? 1 : 0);
  if (day > length) return std::nullopt;
  // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March.
  const int y = month <= 2 ? year - 1 : year;
  const int era = y / 400;
  const int year_of_era = y - era * 400;
  const int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  constexpr int days_0000_03_01_to_2000_01_01 = 730425;
  return era * 146097 + day_of_era - days_0000_03_01_to_2000_01_01;
}

namespace {

// The day of any year that lies nearest to `near`: 31 December in a file of 1 January is the year before's.
std::optional<std::int32_t> nearest_date(int month, int day, std::optional<std::int32_t> near) {
  if (!near) return std::nullopt;
  const int year = static_cast<int>(std::strtol(date_text(*near).substr(0, 4).c_str(), nullptr, 10));
  std::optional<std::int32_t> nearest;
  for (int candidate : {year - 1, year, year + 1}) {
    const auto date = days_from_civil(candidate, month, day);
    if (date && (!nearest || std::abs(*date - *near) < std::abs(*nearest - *near))) nearest = date;
  }
  return nearest;
}

}  // namespace

std::string date_text(std::int32_t days_since_2000) {
  const std::int64_t z = static_cast<std::int64_t>(days_since_2000) + 730425;
  const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const std::int64_t doe = z - era * 146097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int64_t mp = (5 * doy + 2) / 153;
  const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
  const long long year = yoe + era * 400 + (month <= 2);
  const long long day = doy - (153 * mp + 2) / 5 + 1;
  char text[48];
  std::snprintf(text, sizeof(text), "%04lld-%02lld-%02lld", year, static_cast<long long>(month), day);
  return text;
}

TimestampFormat TimestampFormat::iso8601() {
  TimestampFormat format;
  format.kind_ = Kind::iso8601;
  format.pattern_ = "iso8601";
  return format;
}

std::optional<TimestampFormat> TimestampFormat::compile(std::string_view pattern, std::string& problem,
                                                        bool year_may_lack) {
  TimestampFormat format;
  format.pattern_ = std::string(pattern);
  if (pattern == "iso8601") return iso8601();
  if (pattern == "epoch_seconds") format.kind_ = Kind::epoch_seconds;
  if (pattern == "epoch_millis") format.kind_ = Kind::epoch_millis;
  if (pattern == "epoch_micros") format.kind_ = Kind::epoch_micros;
  if (format.is_epoch()) return format;

  bool year = false;
  bool month = false;
  bool day = false;
  bool half_day_clock = false;
  bool half_day_mark = false;
  for (std::size_t i = 0; i < pattern.size();) {
    const char c = pattern[i];
    if (c == '\'') {
      const std::size_t end = pattern.find('\'', i + 1);
      if (end == std::string_view::npos) {
        problem = "a quote (') that is opened and never closed";
        return std::nullopt;
      }
      if (end == i + 1) format.parts_.push_back({0, 1, '\''});
      for (std::size_t j = i + 1; j < end; j++) format.parts_.push_back({0, 1, pattern[j]});
      i = end + 1;
      continue;
    }
    if (!is_letter(c)) {
      format.parts_.push_back({0, 1, c});
      i++;
      continue;
    }
    std::size_t end = i;
    while (end < pattern.size() && pattern[end] == c) end++;
    const int width = static_cast<int>(end - i);
    if (std::string_view("yMdHhmsSaX").find(c) == std::string_view::npos || !width_allowed(c, width)) {
      problem = "'" + std::string(pattern.substr(i, end - i)) + "' is no part of a date pattern";
      return std::nullopt;
    }
    year |= c == 'y';
    month |= c == 'M';
    day |= c == 'd';
    half_day_clock |= c == 'h';
    half_day_mark |= c == 'a';
    format.carries_offset_ |= c == 'X';
    format.parts_.push_back({c, width, '\0'});
    i = end;
  }
  format.lacks_year_ = !year;
  if ((!year && !year_may_lack) || !month || !day) {
    problem = "a date needs yyyy, MM and dd";
    return std::nullopt;
  }
  if (half_day_clock != half_day_mark) {
    problem = "hh (1 to 12) and a (AM or PM) come together; the 24 hour clock is HH";
    return std::nullopt;
  }
  return format;
}

std::optional<WrittenTime> TimestampFormat::parse(std::string_view text,
                                                  std::optional<std::int32_t> near) const {
  switch (kind_) {
    case Kind::iso8601:
      return parse_iso8601(text);
    case Kind::epoch_seconds:
      return parse_epoch(text, microseconds_per_second);
    case Kind::epoch_millis:
      return parse_epoch(text, 1000);
    case Kind::epoch_micros:
      return parse_epoch(text, 1);
    case Kind::pattern:
      break;
  }
  return parse_pattern(text, near);
}

std::optional<WrittenTime> TimestampFormat::parse_pattern(std::string_view text,
                                                          std::optional<std::int32_t> near) const {
  Cursor in(text);
  int year = 0;
  int month = 0;
  int day = 0;
  Clock clock;
  bool half_day = false;
  bool afternoon = false;
  WrittenTime written;
  for (const Part& part : parts_) {
    // Two letters want exactly two digits, one letter takes one or two.
    const std::size_t least = static_cast<std::size_t>(part.width);
    const std::size_t most = part.width == 1 ? 2 : least;
    bool read = true;
    switch (part.letter) {
      case 'y':
        read = in.number(least, least, year);
        if (part.width == 2) year += 2000;
        break;
      case 'M':
        read = in.number(least, most, month);
        break;
      case 'd':
        read = in.number(least, most, day);
        break;
      case 'h':
        half_day = true;
        read = in.number(least, most, clock.hour) && clock.hour >= 1 && clock.hour <= 12;
        break;
      case 'H':
        read = in.number(least, most, clock.hour);
        break;
      case 'm':
        read = in.number(least, most, clock.minute);
        break;
      case 's':
        read = in.number(least, most, clock.second);
        break;
      case 'S':
        read = in.fraction(clock.microsecond);
        break;
      case 'a':
        afternoon = in.peek() == 'P' || in.peek() == 'p';
        read =
            (in.take('A') || in.take('a') || in.take('P') || in.take('p')) && (in.take('M') || in.take('m'));
        break;
      case 'X':
        read = in.offset(written.offset_seconds);
        break;
      default:
        read = in.take(part.literal);
    }
    if (!read) return std::nullopt;
  }
  if (half_day) clock.hour = clock.hour % 12 + (afternoon ? 12 : 0);
  const auto date = lacks_year_ ? nearest_date(month, day, near) : days_from_civil(year, month, day);
  const auto of_day = microseconds_of_day(clock);
  if (!in.at_end() || !date || !of_day) return std::nullopt;
  written.date = *date;
  written.microseconds_of_day = *of_day;
  return written;
}

}  // namespace pg_reconcile::core
