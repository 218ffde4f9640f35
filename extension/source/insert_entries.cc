// reconcile.insert_entries: the entry sink's way for entries that SQL has as arrays, an element an entry.
#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "extension/pg/entry_places.h"
#include "extension/pg/entry_row.h"
#include "extension/pg/entry_writer.h"
#include "extension/values/numeric_text.h"
#include "extension/values/payload.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/fmgrprotos.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile::source {
namespace {

namespace column = pg::entry_column;

// The arrays in the order of the arguments, after the source and the statement.
constexpr std::array<column::Column, 24> argument_columns = {column::source_key,
                                                             column::channel,
                                                             column::account,
                                                             column::book,
                                                             column::kind,
                                                             column::sub_kind,
                                                             column::order_key,
                                                             column::match_key,
                                                             column::channel_ref,
                                                             column::original_ref,
                                                             column::amount,
                                                             column::currency,
                                                             column::settle_amount,
                                                             column::settlement_currency,
                                                             column::fx_rate,
                                                             column::fee,
                                                             column::net,
                                                             column::status,
                                                             column::source_status,
                                                             column::occurred_at,
                                                             column::value_date,
                                                             column::business_date,
                                                             column::settlement_ref,
                                                             column::attributes};
constexpr int first_array = 2;

struct RawElements {
  Datum* values;
  bool* nulls;
  int count;
};

RawElements raw_elements(Datum argument) {
  ArrayType* array = DatumGetArrayTypeP(argument);
  RawElements elements{};
  int16 length = 0;
  bool by_value = false;
  char align = 0;
  get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
  deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &elements.values, &elements.nulls,
                    &elements.count);
  return elements;
}

Datum raw_stored(column::Column to, Datum value) {
  switch (to) {
    case column::amount:
    case column::settle_amount:
    case column::fx_rate:
    case column::fee:
    case column::net:
      return pg::raw_numeric(TextDatumGetCString(value));
    case column::attributes:
      return DirectFunctionCall1(jsonb_in, PointerGetDatum(TextDatumGetCString(value)));
    default:
      return value;
  }
}

class Batch {
 public:
  explicit Batch(FunctionCallInfo fcinfo) {
    for (std::size_t i = 0; i < argument_columns.size(); i++) {
      const NullableDatum& argument = fcinfo->args[first_array + i];
      if (argument.isnull) continue;
      const Datum array = argument.value;
      arrays_[i] = pg::guarded([=] { return raw_elements(array); });
      count_ = std::max(count_, static_cast<std::size_t>(arrays_[i].count));
    }
  }

  [[nodiscard]] std::size_t count() const { return count_; }

  // With nothing that its place says.
  pg::EntryRow row(std::size_t position, pg::RowMemory& memory) const {
    pg::EntryRow row = memory.row();
    for (std::size_t i = 0; i < argument_columns.size(); i++) {
      if (static_cast<std::size_t>(arrays_[i].count) <= position || arrays_[i].nulls[position]) continue;
      const column::Column to = argument_columns[i];
      const Datum value = arrays_[i].values[position];
      row.values[to] = pg::guarded([=] { return raw_stored(to, value); });
      row.nulls[to] = false;
    }
    return row;
  }

 private:
  std::array<RawElements, argument_columns.size()> arrays_{};
  std::size_t count_ = 0;
};

pg::Placed placed(const pg::EntryRow& row) {
  const auto text = [&](column::Column of) { return row.text(of).value_or(std::string_view()); };
  pg::Placed result{
      text(column::channel), text(column::account), text(column::book), text(column::status), {}, {}};
  if (!row.nulls[column::occurred_at])
    result.occurred_at = DatumGetTimestampTz(row.values[column::occurred_at]);
  if (!row.nulls[column::business_date]) result.business_date = row.date(column::business_date);
  return result;
}

void put(pg::EntryRow& row, column::Column to, Datum value) {
  row.values[to] = value;
  row.nulls[to] = false;
}

}  // namespace
}  // namespace pg_reconcile::source

PG_RECONCILE_FUNCTION(reconcile_insert_entries) {
  using namespace pg_reconcile;
  using namespace pg_reconcile::source;
  if (PG_ARGISNULL(0)) {
    throw core::Error(core::sqlstate::null_value_not_allowed, "insert_entries needs a source", {},
                      "Give the source_id of a row of reconcile.source.");
  }
  const Batch batch(fcinfo);
  pg::RowMemory memory;
  std::vector<pg::EntryRow> made;
  std::set<pg::AccountName> accounts;
  for (std::size_t i = 0; i < batch.count(); i++) {
    made.push_back(batch.row(i, memory));
    const pg::Placed entry = placed(made.back());
    accounts.emplace(entry.channel, entry.account);
  }
  if (made.empty()) PG_RETURN_INT64(0);
  pg::EntryPlaces places(accounts);
  std::vector<pg::EntryRow> rows;
  std::string refused;
  for (pg::EntryRow& row : made) {
    const auto place = places.place(placed(row), refused);
    if (!place) continue;
    put(row, column::business_date, DateADTGetDatum(place->day));
    put(row, column::recon_date, DateADTGetDatum(place->recon_day));
    if (place->effective) put(row, column::effective, BoolGetDatum(*place->effective));
    put(row, column::source_id, PG_GETARG_DATUM(0));
    if (!PG_ARGISNULL(1)) put(row, column::statement_id, PG_GETARG_DATUM(1));
    put(row, column::tier, Int16GetDatum(0));
    rows.push_back(row);
  }
  const std::int32_t source = PG_GETARG_INT32(0);
  PG_RETURN_INT64(static_cast<std::int64_t>(pg::EntryWriter(source).store(rows, memory)));
}
