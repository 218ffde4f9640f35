#include "core/statement/short_date.h"

#include <cstdlib>

#include "core/mapping/timestamp_format.h"

namespace pg_reconcile::core {
namespace {

constexpr int first_year_of_last_century = 80;
constexpr std::size_t date_digits = 6;

// Two digits at `at`; the caller has checked that they are digits.
int two_digits(std::string_view text, std::size_t at) {
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

int full_year(int year) {
  return year >= first_year_of_last_century ? 1900 + year : 2000 + year;
}

int year_of(Date date) {
  const std::string text = date_text(date);
  return two_digits(text, 0) * 100 + two_digits(text, 2);
}

template <typename DateOfYear>
std::optional<Date> nearest(Date beside, DateOfYear date_of_year) {
  std::optional<Date> best;
  const int year = year_of(beside);
  for (int candidate = year - 1; candidate <= year + 1; candidate++) {
    const std::optional<Date> date = date_of_year(candidate);
    if (date && (!best || std::abs(*date - beside) < std::abs(*best - beside))) best = date;
  }
  return best;
}

}  // namespace

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool all_zeros(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

std::optional<Date> date_of_yymmdd(std::string_view text) {
  if (text.size() != date_digits || !all_digits(text)) return std::nullopt;
  return days_from_civil(full_year(two_digits(text, 0)), two_digits(text, 2), two_digits(text, 4));
}

std::optional<Date> date_of_ddmmyy(std::string_view text) {
  if (text.size() != date_digits || !all_digits(text)) return std::nullopt;
  return days_from_civil(full_year(two_digits(text, 4)), two_digits(text, 2), two_digits(text, 0));
}

std::optional<Date> nearest_mmdd(std::string_view text, Date beside) {
  if (text.size() != 4 || !all_digits(text)) return std::nullopt;
  return nearest(beside,
                 [&](int year) { return days_from_civil(year, two_digits(text, 0), two_digits(text, 2)); });
}

std::optional<Date> nearest_day_of_year(std::string_view text, Date beside) {
  if (text.size() != 3 || !all_digits(text)) return std::nullopt;
  const int day = (text[0] - '0') * 100 + two_digits(text, 1);
  return nearest(beside, [&](int year) -> std::optional<Date> {
    const auto first = days_from_civil(year, 1, 1);
    const auto next = days_from_civil(year + 1, 1, 1);
    if (!first || !next || day < 1 || day > *next - *first) return std::nullopt;
    return *first + day - 1;
  });
}

}  // namespace pg_reconcile::core
