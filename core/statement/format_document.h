// A declarative file format: the document of docs/formats.md, checked and compiled.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/regex.hpp>

#include "core/json_document.h"
#include "core/mapping/expression.h"
#include "core/mapping/normaliser.h"
#include "core/mapping/number_format.h"
#include "core/mapping/timestamp_format.h"
#include "core/money/decimal.h"
#include "core/statement/charset.h"
#include "core/statement/csv_splitter.h"

namespace pg_reconcile::core {

struct UnwrapRule {
  std::vector<std::string> containers;  // allowed: zip, gzip, tar, none
  std::vector<std::string> content;     // an entry is the statement when its start holds one of these texts
  std::int64_t entries_max = 64;
  std::int64_t bytes_max = 8589934592;  // of one entry, unpacked
  std::int64_t ratio_max = 200;         // unpacked : packed
};

struct MetaRule {
  enum class Place { lines, file_name, record };
  std::string name;
  Place place = Place::lines;
  std::string record;                       // Place::record: the type of the records that say it
  std::optional<mapping::Expression> said;  // Place::record: where in them
  boost::regex pattern;
  std::optional<std::string> value;            // taken instead of the group's text
  std::optional<TimestampFormat> date_format;  // the value is a date: kept as yyyy-MM-dd
};

// One total that the file states, and how to compute it.
struct Total {
  enum class Kind { count, sum };
  Kind kind = Kind::count;
  std::string name;                                       // what the control line is called
  std::string column;                                     // sum: the source column
  std::vector<std::string> types;                         // record types that count; empty: all
  std::map<std::string, std::vector<std::string>> where;  // columns, and the values with which a row counts
  std::optional<mapping::Expression> amount;              // sum: instead of one column
  std::string nonzero;            // count: rows in which this column is an amount other than 0
  bool by_magnitude = false;      // sum: signs mean nothing, magnitudes are added up
  std::optional<int> rounded_to;  // sum: digits that the stated total is rounded to, half away from zero
  Decimal tolerance;
};

struct ControlRule {
  // Either a pattern whose groups are the totals, in order ...
  std::optional<boost::regex> pattern;
  std::vector<Total> totals;
  // ... or a small table: a line with these names, then a line with the values.
  std::vector<std::string> table_names;
  std::map<std::string, std::size_t> table_totals;  // name in the table -> position in `totals`
  // ... or the columns `table_totals` of records of this type ...
  std::string record;
  // ... or opening_balance + the one total = closing_balance.
  bool balance = false;
};

struct RecordRule {
  std::string column;  // "" none: the type is the frame's record type
  // Row type -> entry kind; nullopt: skip. Empty: every row is a record.
  std::map<std::string, std::optional<std::string>, std::less<>> kinds;
  bool skip_unknown = false;
};

struct FormatDocument {
  enum class OnBadRow { quarantine, reject_file };
  enum class MissingControl { warn, reject };
  enum class Reissue { replace, append };

  std::string name;
  std::string book;
  UnwrapRule unwrap;
  std::vector<Charset> charsets;
  std::vector<std::string> empty_texts;
  std::string frame_type;
  std::optional<JsonNode> frame;  // its settings, for make_framer
  CsvShape shape;
  NumberFormat number_format;            // of the columns that controls add up
  std::optional<std::string> free_text;  // the column in which bare separators occur
  std::vector<MetaRule> meta;
  std::vector<std::string> header_columns;     // the line with all of these is the header
  std::vector<std::string> column_names;       // no header in the file: the names, in order
  std::map<std::string, std::string> aliases;  // name in the file -> name in the map
  std::set<std::string> optional_columns;
  std::optional<boost::regex> comment;  // lines that are no data
  std::optional<boost::regex> stop;     // the line that ends the data
  bool stop_required = false;
  RecordRule record;
  std::string map_text;  // the mapping as JSON
  std::vector<ControlRule> controls;
  std::optional<Decimal> net_tolerance = Decimal();
  OnBadRow on_bad_row = OnBadRow::quarantine;
  MissingControl missing_control = MissingControl::warn;
  Reissue reissue = Reissue::replace;
  std::string default_currency;
  std::string default_time_zone;

  // Throws core::Error 22023 that names the path. `zones` checks the mapping's zones.
  static FormatDocument compile(std::string_view json, TimeZones& zones);
};

// A header's or a mapping's column name as they are compared: outer white space gone, full-width parentheses
// narrow.
[[nodiscard]] std::string column_name(std::string_view text);

// Whether a regular expression matches; false for lines over 4096 bytes and for patterns that explode.
[[nodiscard]] bool search(std::string_view text, const boost::regex& pattern, boost::cmatch& match);

}  // namespace pg_reconcile::core
