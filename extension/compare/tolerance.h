// How far apart two values of a column may be and still count as equal.
//
//   absolute    |left - right| <= t                           "0.01"       whole numbers, numeric, float,
//   money percentage  |left - right| <= p% of the larger magnitude  "0.1%"       the same types; 0 to 100
//   span        |left - right| <= d, a day being 24 hours     "5 seconds"  date, time, timestamp, timestamptz
//
// The arithmetic is numeric's (a float counts as the decimal that it prints) or whole microseconds: exact.
// NULL, NaN and the infinities are close to their equals alone.
#pragma once

#include <optional>
#include <string>

#include "core/money/decimal.h"
#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// A value made ready for distances. For NaN and infinities there is none.
struct Position {
  Datum number = 0;                   // numeric; absolute and percentage
  std::optional<core::int128> units;  // of the number, in 10^-12, when it is a common short one
  core::int128 microseconds{};        // span
};

class ColumnTolerance {
 public:
  // Throws core::Error when the type knows no distance or the text is no such tolerance. The limit is kept in
  // the current memory context.
  ColumnTolerance(const std::string& column, Oid type, const std::string& text);

  // nullopt: NaN or infinite. Allocates in the current memory context.
  [[nodiscard]] std::optional<Position> position(Datum value) const;
  [[nodiscard]] int order(const Position& a, const Position& b) const;
  [[nodiscard]] bool within(const Position& a, const Position& b) const;

 private:
  enum class Kind { absolute, percentage, span };

  void read_number(const std::string& column, const std::string& text);
  void read_span(const std::string& column, const std::string& text);

  Oid type_;
  Kind kind_ = Kind::absolute;
  Position limit_;
};

}  // namespace pg_reconcile::pg
