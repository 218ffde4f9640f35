// reconcile.parse_file and reconcile.check_format: a dry look at a file, and the validator of stored formats.
#include <optional>
#include <string>
#include <vector>

#include "core/mapping/attributes_json.h"
#include "core/statement/declarative_reader.h"
#include "extension/pg/guard.h"
#include "extension/pg/time_zones.h"
#include "extension/statement/allowed_path.h"
#include "extension/statement/container.h"
#include "extension/statement/format_store.h"
#include "extension/statement/warning.h"

extern "C" {
#include <funcapi.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/guc.h>
#include <utils/jsonb.h>
#include <utils/numeric.h>
#include <utils/timestamp.h>
#include <utils/tuplestore.h>
}

namespace {

using namespace pg_reconcile;

constexpr std::int64_t warnings_max = 20;
constexpr int output_columns = 23;

std::string text_argument(FunctionCallInfo fcinfo, int position) {
  if (PG_ARGISNULL(position)) return {};
  const Datum datum = fcinfo->args[position].value;
  const text* value = pg::guarded([=] { return DatumGetTextPP(datum); });
  return std::string(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

// One output row as texts; PostgreSQL's own input functions read them.
struct OutputRow {
  std::vector<std::optional<std::string>> values;

  void add(const std::string& text) {
    values.push_back(text.empty() ? std::nullopt : std::optional<std::string>(text));
  }
  void add(const std::optional<std::string>& text) { values.push_back(text); }
  void add(const std::optional<core::Decimal>& amount) {
    values.push_back(amount ? std::optional<std::string>(amount->to_string(2)) : std::nullopt);
  }
  void add_date(const std::optional<core::Date>& date) {
    values.push_back(date ? std::optional<std::string>(core::date_text(*date)) : std::nullopt);
  }
};

Datum raw_column(int column, const char* text, std::int64_t occurred_at) {
  switch (column) {
    case 0:
      return DirectFunctionCall1(int8in, CStringGetDatum(text));
    case 9:
    case 11:
    case 13:
    case 14:
    case 15:
      return DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
                                 Int32GetDatum(-1));
    case 18:
      return TimestampTzGetDatum(occurred_at);
    case 19:
    case 20:
      return DirectFunctionCall1(date_in, CStringGetDatum(text));
    case 22:
      return DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
    default:
      return CStringGetTextDatum(text);
  }
}

void raw_store(ReturnSetInfo* result, const char* const* texts, std::int64_t occurred_at,
               MemoryContext row_memory) {
  Datum values[output_columns];
  bool nulls[output_columns];
  MemoryContext outer = MemoryContextSwitchTo(row_memory);
  for (int i = 0; i < output_columns; i++) {
    nulls[i] = texts[i] == nullptr;
    values[i] = nulls[i] ? static_cast<Datum>(0) : raw_column(i, texts[i], occurred_at);
  }
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  MemoryContextSwitchTo(outer);
  MemoryContextReset(row_memory);
}

class TupleSink final : public core::RowSink {
 public:
  explicit TupleSink(ReturnSetInfo* result) : result_(result) {
    row_memory_ = pg::guarded(
        [] { return AllocSetContextCreate(CurrentMemoryContext, "parse_file row", ALLOCSET_DEFAULT_SIZES); });
  }

  void row(const core::RowPlace& place, std::string_view, core::Entry& entry) override {
    OutputRow out;
    out.add(std::to_string(place.row_no));
    for (const std::string* text : {&entry.account, &entry.book, &entry.kind}) out.add(*text);
    out.add(entry.sub_kind);
    out.add(entry.order_key);
    for (const auto* text : {&entry.match_key, &entry.channel_ref, &entry.original_ref}) out.add(*text);
    out.add(std::optional<core::Decimal>(entry.amount));
    out.add(entry.currency);
    out.add(entry.settle_amount);
    out.add(entry.settlement_currency);
    for (const auto* amount : {&entry.fx_rate, &entry.fee, &entry.net}) out.add(*amount);
    out.add(entry.status);
    out.add(entry.source_status);
    out.add(entry.occurred_at ? std::optional<std::string>("") : std::nullopt);
    out.add_date(entry.value_date);
    out.add_date(entry.business_date);
    out.add(entry.settlement_ref);
    out.add(core::attributes_json(entry));
    const char* texts[output_columns];
    for (std::size_t i = 0; i < output_columns; i++)
      texts[i] = out.values[i] ? out.values[i]->c_str() : nullptr;
    const char* const* data = texts;
    const std::int64_t occurred_at = entry.occurred_at.value_or(0);
    pg::guarded([&] { raw_store(result_, data, occurred_at, row_memory_); });
  }

  void bad_row(const core::BadRow& bad) override {
    if (++bad_rows_ > warnings_max) return;
    std::string subject(bad.field);
    if (!bad.column.empty()) subject += " (column " + std::string(bad.column) + ")";
    if (!bad.column.empty() || !bad.value.empty()) subject += " '" + std::string(bad.value) + "'";
    if (!subject.empty()) subject += " ";
    const std::string line = "line " + std::to_string(bad.place.line);
    const std::string place =
        bad.place.row_no == 0 ? line : "row " + std::to_string(bad.place.row_no) + " (" + line + ")";
    pg::warn(place + " is set aside: " + subject + std::string(bad.reason), std::string(bad.raw));
  }

  void next_statement() override {}

  void summarise(const std::vector<core::StatementSummary>& statements) {
    if (bad_rows_ > warnings_max)
      pg::warn(std::to_string(bad_rows_ - warnings_max) + " more rows are set aside, " +
                   std::to_string(bad_rows_) + " in all",
               "");
    for (const core::StatementSummary& summary : statements) {
      for (const core::ControlLine& line : summary.controls) {
        if (line.agrees) continue;
        pg::warn("control total " + line.name + ": the file states '" + line.stated + "', its rows give " +
                     line.computed,
                 "");
      }
      for (const std::string& warning : summary.warnings) pg::warn(warning);
    }
  }

 private:
  ReturnSetInfo* result_;
  MemoryContext row_memory_;
  std::int64_t bad_rows_ = 0;
};

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_parse_file) {
  pg::guarded([=] { InitMaterializedSRF(fcinfo, 0); });
  pg::require_utf8_database();
  pg::TimeZones zones;
  const pg::StoredFormat format = pg::load_format(text_argument(fcinfo, 0), zones);
  core::MappingDefaults defaults;
  defaults.channel = "?";
  defaults.account = text_argument(fcinfo, 3);
  const std::string channel = text_argument(fcinfo, 2);
  if (!channel.empty()) {
    const pg::StoredChannel stored = pg::load_channel(channel);
    defaults.channel = stored.channel;
    defaults.currency = stored.currency;
    defaults.time_zone = stored.time_zone;
  } else if (format.document.default_time_zone.empty()) {
    defaults.time_zone = pg::guarded([] { return GetConfigOption("TimeZone", false, false); });
  }
  const std::string path = pg::allowed_path(text_argument(fcinfo, 1), GetUserId());
  const pg::OpenFile file(path);
  TupleSink sink(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
  core::DeclarativeReader reader(format.document, defaults, zones);
  pg::BackendInterrupts interrupts;
  std::vector<core::StatementSummary> statements;
  std::optional<std::string> rejected;
  try {
    const auto source = pg::unwrap(file, format.document);
    statements = reader.read(*source, path.substr(path.rfind('/') + 1), sink, interrupts);
    rejected = statements.front().rejected;
  } catch (const pg::UnusableFile& unusable) {
    rejected = unusable.what();
  }
  if (rejected) {
    throw core::Error(
        core::sqlstate::data_corrupted, "file \"" + path + "\" can't be used", *rejected + ".",
        "Is it complete, and in the format \"" + format.name + "\"? Fetch it again from the channel.");
  }
  sink.summarise(statements);
  return static_cast<Datum>(0);
}

PG_RECONCILE_FUNCTION(reconcile_check_format) {
  pg::TimeZones zones;
  core::FormatDocument::compile(text_argument(fcinfo, 0), zones);
  PG_RETURN_VOID();
}
