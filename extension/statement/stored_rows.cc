#include "extension/statement/stored_rows.h"

#include <boost/json.hpp>
#include <optional>

#include "extension/pg/cursor.h"

extern "C" {
#include <utils/date.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile::pg {
namespace {

// What changed after its day was signed off is read in its current version, which is not the stored row.
constexpr const char* rows_sql =
    "WITH changed AS MATERIALIZED (SELECT c.* FROM reconcile.changed_after_sign_off($2) c WHERE c.source_id "
    "= $1) "
    "SELECT e.statement_id, e.source_key, e.gone, e.channel, e.account, e.book, e.kind, e.order_key, "
    "e.currency, "
    "e.status, e.sub_kind, e.match_key, e.channel_ref, e.original_ref, e.settlement_currency, "
    "e.source_status, "
    "e.settlement_ref, e.amount::text, e.settle_amount::text, e.fx_rate::text, e.fee::text, e.net::text, "
    "e.occurred_at, e.value_date, e.business_date, e.attributes::text FROM ("
    "SELECT e.statement_id, e.source_key, false AS gone, e.channel, e.account, e.book, e.kind, e.order_key, "
    "e.currency, e.status, e.sub_kind, e.match_key, e.channel_ref, e.original_ref, e.settlement_currency, "
    "e.source_status, e.settlement_ref, e.amount, e.settle_amount, e.fx_rate, e.fee, e.net, e.occurred_at, "
    "e.value_date, e.business_date, e.attributes "
    "FROM reconcile.entry e WHERE e.statement_id = ANY ($2) AND e.source_id = $1 "
    "AND NOT EXISTS (SELECT FROM changed c WHERE c.source_key = e.source_key) "
    "UNION ALL "
    "SELECT c.statement_id, c.source_key, c.version IS NULL, v.channel, v.account, v.book, v.kind, "
    "v.order_key, "
    "v.currency, v.status, v.sub_kind, v.match_key, v.channel_ref, v.original_ref, v.settlement_currency, "
    "v.source_status, v.settlement_ref, v.amount, v.settle_amount, v.fx_rate, v.fee, v.net, v.occurred_at, "
    "v.value_date, v.business_date, v.attributes "
    "FROM changed c CROSS JOIN LATERAL jsonb_populate_record(NULL::reconcile.entry, coalesce(c.version, "
    "c.stored)) v"
    ") e";

enum Column : int {
  statement_id,
  source_key,
  gone,
  first_text,           // channel account book kind order_key currency status
  first_optional = 10,  // sub_kind ... settlement_ref
  first_amount = 17,    // amount settle_amount fx_rate fee net
  occurred_at = 22,
  value_date,
  business_date,
  attributes
};

// No column of a file has such a name: what bears it is like no row of a file.
const std::string unlike_any_row("\0", 1);

void unlike_files(core::Entry& entry, std::string_view what) {
  entry.attributes.emplace_back(unlike_any_row, std::string(what));
}

void read_amount(const Cursor& cursor, std::uint64_t row, int column, core::Entry& entry,
                 std::optional<core::Decimal>& amount) {
  const auto text = cursor.text(row, column);
  if (!text) return;
  amount = core::Decimal::parse(*text);
  if (!amount) unlike_files(entry, *text);
}

void read_attributes(std::string_view text, core::Entry& entry) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) return unlike_files(entry, text);
  for (const auto& [name, attribute] : value.get_object()) {
    if (attribute.is_null()) {
      entry.attributes.emplace_back(std::string(name), std::nullopt);
    } else if (attribute.is_string()) {
      entry.attributes.emplace_back(std::string(name), std::string(attribute.get_string()));
    } else {
      return unlike_files(entry, text);
    }
  }
}

void read_entry(const Cursor& cursor, std::uint64_t row, core::Entry& entry) {
  int column = Column::first_text;
  for (std::string* text : {&entry.channel, &entry.account, &entry.book, &entry.kind, &entry.order_key,
                            &entry.currency, &entry.status}) {
    text->assign(cursor.text(row, column++).value_or(std::string_view()));
  }
  column = Column::first_optional;
  for (auto* text : {&entry.sub_kind, &entry.match_key, &entry.channel_ref, &entry.original_ref,
                     &entry.settlement_currency, &entry.source_status, &entry.settlement_ref}) {
    if (const auto stated = cursor.text(row, column++)) *text = std::string(*stated);
  }
  column = Column::first_amount;
  std::optional<core::Decimal> amount;
  for (auto* to : {&amount, &entry.settle_amount, &entry.fx_rate, &entry.fee, &entry.net}) {
    read_amount(cursor, row, column++, entry, *to);
  }
  entry.amount = amount.value_or(core::Decimal());
  bool is_null = false;
  const Datum moment = cursor.datum(row, Column::occurred_at, is_null);
  if (!is_null) entry.occurred_at = DatumGetTimestampTz(moment);
  const Datum value_day = cursor.datum(row, Column::value_date, is_null);
  if (!is_null) entry.value_date = DatumGetDateADT(value_day);
  const Datum day = cursor.datum(row, Column::business_date, is_null);
  if (!is_null) entry.business_date = DatumGetDateADT(day);
  if (const auto text = cursor.text(row, Column::attributes)) read_attributes(*text, entry);
}

}  // namespace

void read_stored_rows(std::int32_t source_id, const std::vector<std::int64_t>& statement_ids,
                      const std::function<void(const StoredRow&)>& take) {
  const HeldSnapshot snapshot;
  const Spi spi;
  Cursor cursor(snapshot, rows_sql, {Argument::int4(source_id), Argument::int8_array(statement_ids)});
  while (cursor.next_batch()) {
    for (std::uint64_t i = 0; i < cursor.rows(); i++) {
      StoredRow row;
      bool is_null = false;
      row.statement_id = DatumGetInt64(cursor.datum(i, Column::statement_id, is_null));
      row.source_key = std::string(cursor.text(i, Column::source_key).value_or(std::string_view()));
      row.gone = DatumGetBool(cursor.datum(i, Column::gone, is_null));
      read_entry(cursor, i, row.entry);
      if (row.entry.order_key == row.source_key) row.entry.order_key.clear();
      take(row);
    }
  }
}

}  // namespace pg_reconcile::pg
