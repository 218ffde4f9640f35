#include "extension/run/rest_reader.h"

#include <algorithm>
#include <tuple>

#include "core/mapping/vocabulary.h"
#include "extension/pg/cursor.h"
#include "extension/run/stored_rows.h"

extern "C" {
#include <utils/date.h>
}

namespace pg_reconcile {
namespace {

using pg::Argument;

// A rule's own words in a query: one literal, whatever the caller's standard_conforming_strings is.
std::string quoted(const std::string& text) {
  std::string result = "E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += c;
    result += c;
  }
  return result + "'";
}

enum Column { number, source_id, source_key, business_date, value_date, source_status, first_key };

// Of an entry row e, or of an open item o.
std::string columns_text(const RestColumns& columns, bool carried) {
  std::string text = carried ? "u.number, o.source_id, o.source_key, o.business_date, "
                               "(o.entry ->> 'value_date')::date, o.entry ->> 'source_status'"
                             : "u.number, e.source_id, e.source_key, e.business_date, e.value_date, "
                               "e.source_status";
  for (const core::KeyColumn& key : columns.keys) {
    text += ", ";
    const std::string field(core::field_name(key.field));
    if (!key.attribute.empty()) {
      text += (carried ? "o.entry -> 'attributes' ->> " : "e.attributes ->> ") + quoted(key.attribute);
    } else if (carried) {
      text += "o.entry ->> " + quoted(field);
    } else if (core::field_type(key.field) == core::FieldType::date) {
      text += "to_char(e." + field + ", 'YYYY-MM-DD')";
    } else {
      text += "e." + field + "::text";
    }
  }
  return text;
}

class RestReader {
 public:
  RestReader(const BookDay& book, const RestColumns& columns, std::uint64_t seed, Dictionary& statuses)
      : book_(book), columns_(columns), seed_(seed), statuses_(statuses) {}

  void read(pg::Cursor& cursor) {
    while (cursor.next_batch()) {
      for (std::uint64_t row = 0; row < cursor.rows(); row++) take(cursor, row);
    }
  }

  BookRest finish() {
    std::sort(rows_.begin(), rows_.end(), [this](const Row& a, const Row& b) {
      return std::tie(book_.entries[a.rest.entry].occurred_at, a.source_id, a.source_key) <
             std::tie(book_.entries[b.rest.entry].occurred_at, b.source_id, b.source_key);
    });
    BookRest rest;
    rest.reserve(rows_.size());
    for (Row& row : rows_) rest.push_back(std::move(row.rest));
    return rest;
  }

 private:
  struct Row {
    RestEntry rest;
    std::int32_t source_id;
    std::string source_key;
  };

  static std::optional<core::Date> date(const pg::Cursor& cursor, std::uint64_t row, Column column) {
    bool null = false;
    const Datum value = cursor.datum(row, column, null);
    if (null) return std::nullopt;
    return DatumGetDateADT(value);
  }

  void take(const pg::Cursor& cursor, std::uint64_t row) {
    bool null = false;
    Row taken{
        {}, DatumGetInt32(cursor.datum(row, source_id, null)), std::string(*cursor.text(row, source_key))};
    taken.rest.entry = static_cast<std::uint32_t>(DatumGetInt64(cursor.datum(row, number, null)));
    taken.rest.business_date = date(cursor, row, business_date);
    taken.rest.value_date = date(cursor, row, value_date);
    if (const auto word = cursor.text(row, source_status)) taken.rest.source_status = statuses_.code(*word);
    for (std::size_t i = 0; i < columns_.keys.size(); i++) {
      taken.rest.keys.push_back(keyed_hash(cursor.text(row, first_key + static_cast<int>(i)), seed_));
    }
    rows_.push_back(std::move(taken));
  }

  const BookDay& book_;
  const RestColumns& columns_;
  std::uint64_t seed_;
  Dictionary& statuses_;
  std::vector<Row> rows_;
};

}  // namespace

RestColumns::RestColumns(const std::vector<PassConfig>& passes) {
  for (const PassConfig& pass : passes) {
    for (const core::KeyColumn& column : pass.rule.key) {
      if (std::find(keys.begin(), keys.end(), column) == keys.end()) keys.push_back(column);
    }
  }
}

std::size_t RestColumns::place(const core::KeyColumn& column) const {
  return static_cast<std::size_t>(std::find(keys.begin(), keys.end(), column) - keys.begin());
}

BookRest read_rest(const pg::HeldSnapshot& snapshot, pg::Spi& spi, const LegConfig& leg,
                   const std::string& book_name, const BookDay& book, const std::vector<std::uint32_t>& open,
                   const RestColumns& columns, std::uint64_t seed, Dictionary& statuses) {
  RestReader reader(book, columns, seed, statuses);
  LocatedRows rows;
  std::vector<std::int32_t> carried_sources;
  std::vector<std::string> carried_keys;
  std::vector<std::int64_t> carried_numbers;
  for (const std::uint32_t i : open) {
    const EntryLocation& location = book.locations[i];
    if (book.entries[i].carried) {
      carried_sources.push_back(book.carried[location.tuple].source_id);
      carried_keys.push_back(book.carried[location.tuple].source_key);
      carried_numbers.push_back(i);
    } else {
      rows.add(location, i);
    }
  }
  rows.for_each_leaf(spi, [&](const std::string& leaf, const Argument& tuples, const Argument& numbers) {
    pg::Cursor cursor(snapshot,
                      "SELECT " + columns_text(columns, false) +
                          " FROM unnest($1::text[]::tid[], $2) AS u (tuple, number) JOIN ONLY " + leaf +
                          " e ON e.ctid = u.tuple",
                      {tuples, numbers});
    reader.read(cursor);
  });
  if (!carried_keys.empty()) {
    pg::Cursor cursor(
        snapshot,
        "SELECT " + columns_text(columns, true) +
            " FROM unnest($5, $6, $7) AS u (source_id, source_key, number) "
            "JOIN reconcile.open_item o ON o.channel = $1 AND o.account = $2 AND o.leg = $3 AND o.book = $4 "
            "AND o.source_id = u.source_id AND o.source_key = u.source_key",
        {Argument::text(leg.channel), Argument::text(leg.account), Argument::text(leg.leg),
         Argument::text(book_name), Argument::int4_array(carried_sources), Argument::text_array(carried_keys),
         Argument::int8_array(carried_numbers)});
    reader.read(cursor);
  }
  return reader.finish();
}

}  // namespace pg_reconcile
