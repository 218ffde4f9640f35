// How a source writes a point in time, as a pattern that is compiled once.
//
// Patterns: yyyy yy MM M dd d HH H hh h mm ss SSS (any number of S: up to nine digits are read, microseconds
// are kept) a (AM/PM) X (Z, +08, +0800 or +08:00), 'literal', any other character stands for itself; or one
// of the names iso8601 (also what PostgreSQL prints: "2026-11-21 10:55:16.5+08"), epoch_seconds,
// epoch_millis, epoch_micros.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_reconcile::core {

// A wall-clock time as written, and the offset when the text carries one.
struct WrittenTime {
  std::int32_t date = 0;                       // days since 2000-01-01
  std::int64_t microseconds_of_day = 0;        // 0 .. 86400 * 10^6 (24:00:00 and leap seconds roll over)
  std::optional<std::int32_t> offset_seconds;  // east of UTC
};

class TimestampFormat {
 public:
  // nullopt when the pattern is not understood; `problem` says why. A pattern without a year is understood
  // only where `year_may_lack`: a date of the file then says which year it is.
  static std::optional<TimestampFormat> compile(std::string_view pattern, std::string& problem,
                                                bool year_may_lack = false);
  static TimestampFormat iso8601();

  // nullopt when `text` (already trimmed) is not written so, or is no date of the calendar (31 February).
  // Where the pattern has no year, it is the one that puts the date nearest to `near`.
  [[nodiscard]] std::optional<WrittenTime> parse(std::string_view text,
                                                 std::optional<std::int32_t> near = std::nullopt) const;
  [[nodiscard]] bool is_epoch() const { return kind_ != Kind::pattern && kind_ != Kind::iso8601; }
  [[nodiscard]] bool carries_offset() const { return carries_offset_ || is_epoch(); }
  [[nodiscard]] bool lacks_year() const { return lacks_year_; }
  [[nodiscard]] const std::string& pattern() const { return pattern_; }

 private:
  enum class Kind { pattern, iso8601, epoch_seconds, epoch_millis, epoch_micros };
  struct Part {
    char letter;  // 'y' 'M' 'd' 'H' 'h' 'm' 's' 'S' 'a' 'X', or 0 for a literal
    int width;
    char literal;
  };

  Kind kind_ = Kind::pattern;
  std::vector<Part> parts_;
  std::string pattern_;
  bool carries_offset_ = false;
  bool lacks_year_ = false;

  [[nodiscard]] std::optional<WrittenTime> parse_pattern(std::string_view text,
                                                         std::optional<std::int32_t> near) const;
};

// Days from 2000-01-01 to a date of the Gregorian calendar; nullopt when there is no such date (years 1 to
// 9999).
[[nodiscard]] std::optional<std::int32_t> days_from_civil(int year, int month, int day);

// "2026-11-21".
[[nodiscard]] std::string date_text(std::int32_t days_since_2000);

}  // namespace pg_reconcile::core
