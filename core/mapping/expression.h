// One node of a compiled mapping: where a value comes from, and what is done to it on the way.
//
// Texts are views: into the record, into the mapping, or into the node's own buffer (concat). They live until
// the node is evaluated again.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/mapping/number_format.h"
#include "core/mapping/raw_record.h"
#include "core/mapping/time_zone.h"
#include "core/mapping/timestamp_format.h"
#include "core/mapping/vocabulary.h"
#include "core/money/decimal.h"

namespace pg_reconcile::core::mapping {

using Text = std::optional<std::string_view>;

enum class Outcome { value, skipped, rejected };

// The canonical texts that are known so far: what "by": "kind" looks at. NULL where not mapped or not stated.
struct Context {
  const RawRecord* record = nullptr;
  std::array<Text, field_count> known;
  std::string_view column;  // the last source column that was read, and what it said: for a rejection
  std::string_view value;
  std::string reason;
};

// What "by" looks at: a canonical field, or a source column.
struct Selector {
  std::optional<Field> field;
  std::string column;
  mutable std::size_t position = 0;

  [[nodiscard]] Text read(Context& context) const;
};

struct SignRule {
  enum class Kind { as_is, negate, by, mark_column, prefix, overpunch };
  Kind kind = Kind::as_is;
  Selector by;                        // by, mark_column
  std::vector<std::string> negative;  // values, or prefixes of the amount itself
  std::vector<std::string> positive;  // empty: every other value is positive
};

struct TextMap {
  struct Target {
    std::optional<std::string> value;
    bool skip = false;  // the record is no movement
  };
  std::map<std::string, Target, std::less<>> values;
  std::vector<std::pair<std::string, Target>> prefixes;  // "T04*", the longest first

  // nullptr: the map does not know the text.
  [[nodiscard]] const Target* find(std::string_view text) const;
};

// What happens to a value that the map (or "in") does not know.
struct Otherwise {
  enum class Kind { reject, skip, value };
  Kind kind = Kind::reject;
  std::optional<std::string> value;
};

struct Expression {
  enum class Source { column, columns, first, concat, constant, cases };

  Source source = Source::constant;
  std::string path;  // where in the mapping this node stands: "$.amount.cases.refund"

  // column, columns
  std::vector<std::pair<std::string, std::size_t>> columns;  // name, remembered position
  // first, concat, and the branches of cases in the order of `case_names`
  std::vector<Expression> parts;
  std::optional<std::string> constant;
  std::string separator;
  bool skip_empty = false;
  Selector by;
  std::vector<std::string> case_names;
  std::optional<std::size_t> other_case;  // "*"

  bool trim = false;
  std::vector<std::string> null_if;
  std::vector<std::string> accepted;
  std::optional<TextMap> map;
  std::optional<Otherwise> otherwise;
  std::optional<std::string> default_value;

  // amounts
  NumberFormat number_format;
  int scale = 0;
  std::optional<Field> scale_of_currency;     // "iso4217": the field that holds the currency ...
  std::optional<Field> scale_of_currency_or;  // ... and the one that holds it when that is not stated
  bool abs = false;
  bool two_columns = false;  // columns: first - second; otherwise their sum
  bool net_decides = false;  // fee: where net is stated, the sign that makes settle_amount - fee = net
  SignRule sign;

  // times
  std::vector<TimestampFormat> formats;
  std::string time_zone;
  std::pair<std::string, std::size_t>
      year_near;  // the column with the date that a date without year is near to

  std::string buffer;  // concat

  Outcome text(Context& context, Text& value);
  Outcome amount(Context& context, std::optional<Decimal>& value);
  Outcome timestamp(Context& context, TimeZones& zones, std::optional<std::int64_t>& value);
  Outcome date(Context& context, std::optional<std::int32_t>& value);

  // Visits every source column that this node can read.
  void collect_columns(std::vector<std::string>& names) const;
  // Every canonical field that this node looks at.
  void collect_fields(std::vector<Field>& fields) const;

 private:
  Text read_column(Context& context, std::size_t index);
  Outcome select(Context& context, Expression*& branch);
  Outcome unknown_value(Context& context, Text& value, std::string reason) const;
  Outcome first_of(Context& context, Text& value);
  Outcome join(Context& context, Text& value);
  Outcome parse_amount(Context& context, std::string_view text, Decimal& value) const;
  Outcome apply_sign(Context& context, Decimal& value) const;
  Outcome written_time(Context& context, std::optional<WrittenTime>& value, const Expression*& leaf);
  std::optional<std::int32_t> date_near(Context& context);
};

// Without outer white space: blanks, tabs, line ends, the ideographic and the no-break space.
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace pg_reconcile::core::mapping
