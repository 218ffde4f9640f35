#include <algorithm>
#include <boost/json.hpp>

#include "extension/statement/statement_store.h"

#include "extension/pg/spi.h"
#include "extension/statement/warning.h"

extern "C" {
#include <catalog/pg_type_d.h>
}

namespace pg_reconcile::pg {
namespace {

Argument nullable(const std::string& text) {
  return text.empty() ? Argument::null(TEXTOID) : Argument::text(text);
}

Argument nullable_date(const std::optional<core::Date>& date) {
  return date ? Argument::date(*date) : Argument::null(DATEOID);
}

Argument nullable_id(const std::optional<std::int64_t>& id) {
  return id ? Argument::int8(*id) : Argument::null(INT8OID);
}

Argument balance(const std::optional<core::Decimal>& value) {
  return value ? Argument::text(value->to_string(2)) : Argument::null(TEXTOID);
}

std::string control_json(const core::StatementSummary& summary) {
  boost::json::array lines;
  for (const core::ControlLine& line : summary.controls) {
    lines.push_back(
        {{"name", line.name}, {"stated", line.stated}, {"computed", line.computed}, {"agrees", line.agrees}});
  }
  boost::json::array warnings;
  for (const std::string& warning : summary.warnings) warnings.emplace_back(warning);
  return boost::json::serialize(
      boost::json::object{{"verdict", std::string(core::verdict_name(summary.verdict))},
                          {"lines", lines},
                          {"warnings", warnings}});
}

std::string totals_json(const Totals& totals) {
  boost::json::object currencies;
  for (const auto& [currency, kinds] : totals) {
    boost::json::object object;
    for (const auto& [kind, total] : kinds) {
      object[kind] = {
          {"count", total.count}, {"amount", total.amount.to_string(2)}, {"fee", total.fee.to_string(2)}};
    }
    currencies[currency] = object;
  }
  return boost::json::serialize(currencies);
}

std::string meta_json(const core::StatementSummary& summary) {
  boost::json::object meta;
  for (const auto& [name, value] : summary.meta) meta[name] = value;
  return boost::json::serialize(meta);
}

}  // namespace

std::optional<FoundStatement> find_statement(const FileSource& source, const ArrivedFile& file) {
  Spi spi;
  spi.run("SELECT pg_advisory_xact_lock(hashtext('pg_reconcile statement'), $1)",
          {Argument::int4(source.source_id)});
  spi.run(
      "SELECT s.statement_id, s.state FROM reconcile.statement s WHERE s.source_id = $1 AND s.sha256 = "
      "decode($2, 'hex') AND s.state <> 'withdrawn' ORDER BY s.file_part LIMIT 1",
      {Argument::int4(source.source_id), Argument::text(file.sha256)});
  if (spi.rows() == 0) return std::nullopt;
  return FoundStatement{spi.int8(0, 0), spi.text(0, 1)};
}

void refuse_other_books_file(const FileSource& source, const ArrivedFile& file) {
  Spi spi;
  spi.run(
      "SELECT f.name, s.book, s.statement_id FROM reconcile.statement s JOIN reconcile.source f USING "
      "(source_id) WHERE s.channel = $1 AND s.book <> $2 AND s.sha256 = decode($3, 'hex') "
      "AND s.state IN ('accepted', 'control_mismatch') LIMIT 1",
      {Argument::text(source.channel), Argument::text(source.book), Argument::text(file.sha256)});
  if (spi.rows() == 0) return;
  throw Rejected{"source \"" + spi.text(0, 0) + "\" has the same bytes in its " + spi.text(0, 1) +
                 " book, as statement " + std::to_string(spi.int8(0, 2)) +
                 ": is it the right file for this source?"};
}

std::int64_t begin_statement(const FileSource& source, const ArrivedFile& file, std::size_t file_part) {
  Spi spi;
  spi.run(
      "INSERT INTO reconcile.statement (source_id, channel, account, book, file_name, sha256, file_part, "
      "bytes, "
      "format, format_version, state) VALUES ($1, $2, $3, $4, $5, decode($6, 'hex'), $7, $8, $9, $10, "
      "'loading') RETURNING statement_id",
      {Argument::int4(source.source_id), Argument::text(source.channel), nullable(source.account),
       Argument::text(source.book), Argument::text(file.name), Argument::text(file.sha256),
       Argument::int4(static_cast<std::int32_t>(file_part)), Argument::int8(file.bytes),
       Argument::text(file.format), Argument::int4(file.format_version)});
  return spi.int8(0, 0);
}

void begin_again(std::int64_t statement_id, const ArrivedFile& file) {
  Spi spi;
  spi.run("DELETE FROM reconcile.statement_error e WHERE e.statement_id = $1",
          {Argument::int8(statement_id)});
  spi.run(
      "UPDATE reconcile.statement s SET state = 'loading', reason = NULL, file_name = $2, format_version = "
      "$3 "
      "WHERE s.statement_id = $1",
      {Argument::int8(statement_id), Argument::text(file.name), Argument::int4(file.format_version)});
}

std::vector<StatementSeries> find_series(const FileSource& source, const Coverage& coverage,
                                         std::int64_t except) {
  std::vector<StatementSeries> found;
  if (!coverage.business_date && coverage.period_start.empty()) return found;
  Spi spi;
  spi.run(
      "SELECT c.series_id, s.statement_id, s.state FROM ("
      "SELECT DISTINCT coalesce(s.series_id, s.statement_id) AS series_id FROM reconcile.statement s "
      "WHERE s.source_id = $1 AND s.sha256 IS DISTINCT FROM (SELECT o.sha256 FROM reconcile.statement o "
      "WHERE o.statement_id = $2) AND s.state IN ('accepted', 'control_mismatch') "
      "AND s.account IS NOT DISTINCT FROM $3 AND s.book = $4 AND s.business_date IS NOT DISTINCT FROM $5 "
      "AND s.part = $6 AND ($5 IS NOT NULL OR (s.period_start = $7::date "
      "AND s.period_end IS NOT DISTINCT FROM $8::date))) c "
      "JOIN reconcile.statement s ON s.statement_id = c.series_id OR s.series_id = c.series_id "
      "WHERE s.state IN ('accepted', 'control_mismatch', 'superseded') ORDER BY 1, 2",
      {Argument::int4(source.source_id), Argument::int8(except), nullable(coverage.account),
       Argument::text(coverage.book), nullable_date(coverage.business_date), Argument::text(coverage.part),
       nullable(coverage.period_start), nullable(coverage.period_end)});
  for (std::uint64_t i = 0; i < spi.rows(); i++) {
    if (found.empty() || found.back().series_id != spi.int8(i, 0)) {
      found.emplace_back().series_id = spi.int8(i, 0);
    }
    const std::int64_t statement = spi.int8(i, 1);
    const std::string state = spi.text(i, 2);
    found.back().statements.push_back(statement);
    if (state != "superseded") found.back().live.push_back({statement, state == "accepted"});
  }
  return found;
}

bool may_be_reissue(const FileSource& source, const StatementRows& rows, std::optional<core::Date> day) {
  if (!rows.first && !day) return true;
  Spi spi;
  spi.run(
      "SELECT EXISTS (SELECT FROM reconcile.statement s, LATERAL (SELECT "
      "least($3, (timestamptz '2000-01-01 00:00:00+00' + $4 * interval '1 microsecond')::date - 2) AS "
      "first_day, "
      "greatest($3, (timestamptz '2000-01-01 00:00:00+00' + $5 * interval '1 microsecond')::date + 2) AS "
      "last_day) d "
      "WHERE s.source_id = $1 AND s.book = $2 AND s.state IN ('accepted', 'control_mismatch') "
      "AND (s.business_date BETWEEN d.first_day AND d.last_day "
      "OR (s.business_date IS NULL AND s.period_start <= d.last_day AND "
      "coalesce(s.period_end, s.period_start) >= d.first_day)))",
      {Argument::int4(source.source_id), Argument::text(source.book), nullable_date(day),
       nullable_id(rows.first), nullable_id(rows.last)});
  return spi.boolean(0, 0);
}

void finish_statement(const FinishedStatement& statement) {
  const core::StatementSummary& summary = *statement.summary;
  const StatementRows& rows = *statement.rows;
  const bool agrees = summary.verdict != core::ControlVerdict::mismatch;
  const auto count = [&](std::int64_t StatementChanges::*member) {
    return statement.changes ? Argument::int8(*statement.changes.*member) : Argument::null(INT8OID);
  };
  Spi spi;
  spi.run(
      "UPDATE reconcile.statement s SET state = $2, account = coalesce($3, s.account), business_date = $4, "
      "period_start = $5::date, period_end = $6::date, part = $7, entry_count = $8, skipped_count = $9, "
      "error_count = $10, entry_totals = $11::jsonb, control = $12::jsonb, meta = $13::jsonb, "
      "opening_balance = $14::numeric, closing_balance = $15::numeric, reason = $16, series_id = $17, "
      "supersedes = $18, kept_count = $19, changed_count = $20, added_count = $21, removed_count = $22 "
      "WHERE s.statement_id = $1",
      {Argument::int8(statement.statement_id),
       Argument::text(std::string_view(agrees ? "accepted" : "control_mismatch")),
       nullable(statement.coverage.account),
       nullable_date(statement.coverage.business_date),
       nullable(statement.coverage.period_start),
       nullable(statement.coverage.period_end),
       Argument::text(statement.coverage.part),
       Argument::int8(rows.stored),
       Argument::int8(summary.skipped),
       Argument::int8(static_cast<std::int64_t>(rows.set_aside.size())),
       Argument::text(totals_json(rows.totals)),
       Argument::text(control_json(summary)),
       Argument::text(meta_json(summary)),
       balance(summary.opening_balance),
       balance(summary.closing_balance),
       nullable(statement.reason),
       nullable_id(statement.series_id),
       nullable_id(statement.supersedes),
       count(&StatementChanges::kept),
       count(&StatementChanges::changed),
       count(&StatementChanges::added),
       statement.changes ? Argument::int8(statement.removed) : Argument::null(INT8OID)});
}

void supersede_statements(const std::vector<std::int64_t>& statements, std::int64_t by) {
  Spi spi;
  spi.run(
      "UPDATE reconcile.statement s SET state = 'superseded', superseded_by = $2 WHERE s.statement_id = ANY "
      "($1)",
      {Argument::int8_array(statements), Argument::int8(by)});
}

void join_series(const std::vector<std::int64_t>& statements, std::int64_t series_id) {
  Spi spi;
  spi.run(
      "UPDATE reconcile.statement s SET series_id = $2 WHERE s.statement_id = ANY ($1) "
      "AND s.series_id IS DISTINCT FROM $2",
      {Argument::int8_array(statements), Argument::int8(series_id)});
}

void store_set_aside(std::int64_t statement_id, const std::vector<SetAside>& rows) {
  for (std::size_t from = 0; from < rows.size(); from += 1000) {
    Spi spi;
    std::vector<std::int64_t> row_no;
    std::vector<std::int64_t> line;
    std::vector<std::int64_t> offset;
    std::vector<std::optional<std::string>> texts[5];
    for (std::size_t i = from; i < std::min(rows.size(), from + 1000); i++) {
      const SetAside& row = rows[i];
      row_no.push_back(row.place.row_no);
      line.push_back(row.place.line);
      offset.push_back(row.place.byte_offset);
      const std::string* const columns[] = {&row.raw, &row.field, &row.column, &row.value, &row.reason};
      for (std::size_t c = 0; c < 5; c++) texts[c].emplace_back(*columns[c]);
    }
    spi.run(
        "INSERT INTO reconcile.statement_error (statement_id, source_id, channel, account, row_no, line, "
        "byte_offset, raw, field, source_column, value, reason) "
        "SELECT s.statement_id, s.source_id, s.channel, s.account, nullif(u.row_no, 0), u.line, "
        "u.byte_offset, u.raw, nullif(u.field, ''), nullif(u.source_column, ''), nullif(u.value, ''), "
        "u.reason FROM reconcile.statement s, unnest($2, $3, $4, $5, $6, $7, $8, $9) "
        "AS u (row_no, line, byte_offset, raw, field, source_column, value, reason) WHERE s.statement_id = "
        "$1",
        {Argument::int8(statement_id), Argument::int8_array(row_no), Argument::int8_array(line),
         Argument::int8_array(offset), Argument::text_array(texts[0]), Argument::text_array(texts[1]),
         Argument::text_array(texts[2]), Argument::text_array(texts[3]), Argument::text_array(texts[4])});
  }
}

void reject_statement(std::int64_t statement_id, const std::string& reason,
                      const core::StatementSummary& summary, const std::vector<SetAside>& rows,
                      std::optional<core::Date> day) {
  {
    Spi spi;
    spi.run(
        "UPDATE reconcile.statement s SET state = 'rejected', reason = $2, control = $3::jsonb, entry_count "
        "= 0, entry_totals = '{}', error_count = $4, business_date = $5 WHERE s.statement_id = $1",
        {Argument::int8(statement_id), Argument::text(reason), Argument::text(control_json(summary)),
         Argument::int8(static_cast<std::int64_t>(rows.size()) + 1),
         nullable_date(summary.business_date ? summary.business_date : day)});
    spi.run(
        "INSERT INTO reconcile.statement_error (statement_id, source_id, channel, account, reason) "
        "SELECT s.statement_id, s.source_id, s.channel, s.account, 'the file is rejected: ' || $2 "
        "FROM reconcile.statement s WHERE s.statement_id = $1",
        {Argument::int8(statement_id), Argument::text(reason)});
  }
  store_set_aside(statement_id, rows);
}

}  // namespace pg_reconcile::pg
