// reconcile.ingest_file: a file becomes a statement with entries, in the caller's transaction.
//
// The same bytes are one statement for ever (SHA-256 per source). Entries are written inside a
// subtransaction: a file that turns out to be unusable takes all of them back and leaves a rejected statement
// that says why. A statement whose own totals do not agree keeps its good rows and is marked
// control_mismatch: no run takes it without force. A corrected re-issue supersedes the statement it corrects,
// whose entries go through the sink's door.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "core/mapping/timestamp_format.h"
#include "core/statement/charset.h"
#include "core/statement/declarative_reader.h"
#include "extension/pg/entry_sink.h"
#include "extension/pg/guard.h"
#include "extension/pg/progress.h"
#include "extension/pg/spi.h"
#include "extension/pg/subtransaction.h"
#include "extension/pg/time_zones.h"
#include "extension/statement/acting_owner.h"
#include "extension/statement/allowed_path.h"
#include "extension/statement/container.h"
#include "extension/statement/file_store.h"
#include "extension/statement/format_store.h"
#include "extension/statement/warning.h"
#include "extension/values/hex.h"
#include "extension/values/payload.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/builtins.h>
#include <utils/date.h>
}

namespace {

using namespace pg_reconcile;
using pg::Argument;
using pg::Spi;

constexpr std::size_t flush_rows = 10000;
constexpr std::size_t raw_bytes_max = 2048;

struct FileSource {
  std::int32_t source_id = 0;
  std::string name;
  std::string channel;
  std::string account;  // "": the file says
  std::string book;
  std::string format;
};

struct SetAside {
  core::RowPlace place;
  std::string raw;
  std::string field;
  std::string column;
  std::string value;
  std::string reason;
};

struct KindTotal {
  std::int64_t count = 0;
  core::Decimal amount;
  core::Decimal fee;
};

using Totals = std::map<std::string, std::map<std::string, KindTotal>>;  // currency -> kind

// What is thrown inside the subtransaction when the file as a whole can't be used.
struct Rejected {
  std::string reason;
};

class IngestSink final : public core::RowSink {
 public:
  IngestSink(const FileSource& source, std::int64_t statement_id, pg::KeptFile& store)
      : source_(source),
        store_(store),
        key_prefix_(std::to_string(statement_id) + "/"),
        entries_(source.source_id, statement_id) {}

  void row(const core::RowPlace& place, std::string_view raw, core::Entry& entry) override {
    const std::string key = key_prefix_ + std::to_string(place.row_no);
    if (!source_.account.empty() && entry.account != source_.account) {
      throw Rejected{"it is of account \"" + entry.account + "\", and source \"" + source_.name +
                     "\" is of account \"" + source_.account + "\""};
    }
    if (entry.occurred_at) {
      first_ = std::min(first_.value_or(*entry.occurred_at), *entry.occurred_at);
      last_ = std::max(last_.value_or(*entry.occurred_at), *entry.occurred_at);
    }
    pending_.push_back({place, std::string(raw.substr(0, raw_bytes_max)), entry.currency, entry.kind,
                        entry.amount, entry.fee.value_or(core::Decimal())});
    store_.row(place.row_no, entry);
    entries_.insert(key, entry);
    if (++rows_ % pg::Progress::report_rows == 0) pg::Progress::rows_done(rows_);
    if (pending_.size() >= flush_rows) flush();
  }

  void bad_row(const core::BadRow& bad) override {
    set_aside_.push_back({bad.place, std::string(bad.raw), std::string(bad.field), std::string(bad.column),
                          std::string(bad.value), std::string(bad.reason)});
  }

  void next_statement() override {
    throw Rejected{"it holds more than one statement: several accounts, days or pages"};
  }

  void flush() {
    entries_.flush();
    std::map<std::string, std::string> refused;
    for (pg::EntrySink::Refused& row : entries_.take_refused()) refused.emplace(row.source_key, row.reason);
    for (const Pending& row : pending_) {
      const auto reason = refused.find(key_prefix_ + std::to_string(row.place.row_no));
      if (reason != refused.end()) {
        refused_++;
        set_aside_.push_back(
            {row.place, core::printable(row.raw, raw_bytes_max), "", "", "", reason->second});
        if (set_aside_.size() >= core::DeclarativeReader::bad_rows_max) {
          throw Rejected{std::to_string(set_aside_.size()) +
                         " of its rows can't be taken in: " + reason->second};
        }
        continue;
      }
      stored_++;
      KindTotal& total = totals_[row.currency][row.kind];
      total.count++;
      total.amount += row.amount;
      total.fee += row.fee;
    }
    pending_.clear();
  }

  [[nodiscard]] const std::vector<SetAside>& set_aside() const { return set_aside_; }
  [[nodiscard]] const Totals& totals() const { return totals_; }
  [[nodiscard]] std::int64_t stored() const { return stored_; }
  [[nodiscard]] std::int64_t refused() const { return refused_; }
  [[nodiscard]] std::optional<core::TimestampTz> first() const { return first_; }
  [[nodiscard]] std::optional<core::TimestampTz> last() const { return last_; }

 private:
  struct Pending {
    core::RowPlace place;
    std::string raw;
    std::string currency;
    std::string kind;
    core::Decimal amount;
    core::Decimal fee;
  };

  const FileSource& source_;
  pg::KeptFile& store_;
  std::string key_prefix_;
  pg::EntrySink entries_;
  std::deque<Pending> pending_;
  std::vector<SetAside> set_aside_;
  Totals totals_;
  std::uint64_t rows_ = 0;
  std::int64_t stored_ = 0;
  std::int64_t refused_ = 0;
  std::optional<core::TimestampTz> first_;
  std::optional<core::TimestampTz> last_;
};

FileSource load_source(const std::string& name) {
  Spi spi;
  spi.run(
      "SELECT s.source_id, s.name, s.channel, s.account, s.book, s.format, s.kind FROM reconcile.source s "
      "WHERE s.name = $1 AND s.dropped_at IS NULL",
      {Argument::text(name)});
  if (spi.rows() == 0) {
    throw core::Error(
        core::sqlstate::undefined_object, "source \"" + name + "\" does not exist", {},
        "Create it with reconcile.create_file_source(), or look for its name in reconcile.source_status.");
  }
  if (spi.text(0, 6) != "file") {
    throw core::Error(core::sqlstate::object_not_in_prerequisite_state,
                      "source \"" + name + "\" is no file source", "Its kind is \"" + spi.text(0, 6) + "\".",
                      "Files are taken in by sources that reconcile.create_file_source() made.");
  }
  return {static_cast<std::int32_t>(spi.int8(0, 0)),
          spi.text(0, 1),
          spi.text(0, 2),
          spi.text(0, 3),
          spi.text(0, 4),
          spi.text(0, 5)};
}

void require_access(const FileSource& source) {
  Spi spi;
  spi.run("SELECT reconcile.require_access($1, nullif($2, ''))",
          {Argument::text(source.channel), Argument::text(source.account)});
}

// One ingestion, from the open file to the statement's final state.
class Ingestion {
 public:
  Ingestion(FileSource source, const std::string& path, std::string file_name, std::optional<core::Date> day)
      : source_(std::move(source)),
        day_(day),
        channel_(pg::load_channel(source_.channel)),
        format_(pg::load_format(source_.format, zones_)),
        file_(path),
        file_name_(std::move(file_name)) {}

  std::int64_t run();

 private:
  FileSource source_;
  std::optional<core::Date> day_;
  pg::TimeZones zones_;
  pg::StoredChannel channel_;
  pg::StoredFormat format_;
  pg::OpenFile file_;
  std::string file_name_;
  std::int64_t statement_id_ = 0;
  core::StatementSummary summary_;

  std::optional<std::int64_t> already_there(const std::string& hash);
  void begin(const std::string& hash);
  void read(IngestSink& sink);
  void place_in_time(const IngestSink& sink);
  std::optional<std::int64_t> superseded() const;
  void remove_entries(std::int64_t statement);
  void finish(const IngestSink& sink, std::optional<std::int64_t> replaced);
  void reject(const std::string& reason, const std::vector<SetAside>& rows);
  void store(const std::vector<SetAside>& rows) const;
  void refuse_other_books_file(const std::string& hash) const;
  [[nodiscard]] std::string control_json() const;
  [[nodiscard]] std::string meta_text(const char* name) const;
};

std::optional<std::int64_t> Ingestion::already_there(const std::string& hash) {
  Spi spi;
  // Two callers with the same file: the second waits, and then finds what the first one stored.
  spi.run("SELECT pg_advisory_xact_lock(hashtext('pg_reconcile statement'), $1)",
          {Argument::int4(source_.source_id)});
  spi.run(
      "SELECT s.statement_id, s.state FROM reconcile.statement s WHERE s.source_id = $1 AND s.sha256 = "
      "decode($2, 'hex')",
      {Argument::int4(source_.source_id), Argument::text(pg::hex(hash))});
  if (spi.rows() == 0) return std::nullopt;
  const std::int64_t found = spi.int8(0, 0);
  if (spi.text(0, 1) == "superseded") {
    pg::warn("statement " + std::to_string(found) +
             " has these bytes already, and another has taken its place");
  }
  if (spi.text(0, 1) != "rejected") return found;
  // What was rejected may be tried again: the format may have been mended since.
  statement_id_ = found;
  return std::nullopt;
}

// A file that was taken for the other book's would agree with itself, and the day would be proved.
void Ingestion::refuse_other_books_file(const std::string& hash) const {
  Spi spi;
  spi.run(
      "SELECT f.name, s.book, s.statement_id FROM reconcile.statement s JOIN reconcile.source f USING "
      "(source_id) WHERE s.channel = $1 AND s.book <> $2 AND s.sha256 = decode($3, 'hex') "
      "AND s.state IN ('accepted', 'control_mismatch') LIMIT 1",
      {Argument::text(source_.channel), Argument::text(source_.book), Argument::text(pg::hex(hash))});
  if (spi.rows() == 0) return;
  throw Rejected{"source \"" + spi.text(0, 0) + "\" has the same bytes in its " + spi.text(0, 1) +
                 " book, as statement " + std::to_string(spi.int8(0, 2)) +
                 ": is it the right file for this source?"};
}

void Ingestion::begin(const std::string& hash) {
  Spi spi;
  if (statement_id_ != 0) {
    spi.run("DELETE FROM reconcile.statement_error e WHERE e.statement_id = $1",
            {Argument::int8(statement_id_)});
    spi.run(
        "UPDATE reconcile.statement s SET state = 'loading', reason = NULL, file_name = $2, format_version = "
        "$3 "
        "WHERE s.statement_id = $1",
        {Argument::int8(statement_id_), Argument::text(file_name_), Argument::int4(format_.version)});
    return;
  }
  spi.run(
      "INSERT INTO reconcile.statement (source_id, channel, account, book, file_name, sha256, bytes, format, "
      "format_version, state) VALUES ($1, $2, $3, $4, $5, decode($6, 'hex'), $7, $8, $9, 'loading') "
      "RETURNING statement_id",
      {Argument::int4(source_.source_id), Argument::text(source_.channel),
       source_.account.empty() ? Argument::null(TEXTOID) : Argument::text(source_.account),
       Argument::text(source_.book), Argument::text(file_name_), Argument::text(pg::hex(hash)),
       Argument::int8(file_.bytes()), Argument::text(format_.name), Argument::int4(format_.version)});
  statement_id_ = spi.int8(0, 0);
}

void Ingestion::read(IngestSink& sink) {
  core::MappingDefaults defaults;
  defaults.channel = source_.channel;
  defaults.account = source_.account;
  defaults.book = source_.book;
  defaults.currency = channel_.currency;
  defaults.time_zone = channel_.time_zone;
  core::DeclarativeReader reader(format_.document, defaults, zones_);
  pg::BackendInterrupts interrupts;
  try {
    const auto bytes = pg::unwrap(file_, format_.document);
    summary_ = reader.read(*bytes, file_name_, sink, interrupts).front();
  } catch (const pg::UnusableFile& unusable) {
    throw Rejected{unusable.what()};
  }
  if (summary_.rejected) throw Rejected{*summary_.rejected};
  sink.flush();
  file_.require_unchanged();
  const auto account = summary_.meta.find("account");
  if (!source_.account.empty() && account != summary_.meta.end() && account->second != source_.account) {
    throw Rejected{"it is of account \"" + account->second + "\", and source \"" + source_.name +
                   "\" is of account \"" + source_.account + "\""};
  }
  if (sink.refused() > 0) {
    summary_.verdict = core::ControlVerdict::mismatch;
    summary_.controls.push_back(
        {"rows taken in", std::to_string(summary_.entries), std::to_string(sink.stored()), false});
  }
}

// The statement's day: what it says, else what the caller says, else the one day of all its rows.
void Ingestion::place_in_time(const IngestSink& sink) {
  if (summary_.business_date) return;
  if (day_) {
    summary_.business_date = day_;
    return;
  }
  if (!sink.first()) {
    if (summary_.entries == 0) throw Rejected{"it has no rows, and nothing says which day it is of"};
    return;
  }
  Spi spi;
  spi.run(
      "SELECT d.first_day, d.last_day FROM (SELECT "
      "((timestamptz '2000-01-01 00:00:00+00' + $2 * interval '1 microsecond') AT TIME ZONE c.time_zone - "
      "c.day_start)::date, "
      "((timestamptz '2000-01-01 00:00:00+00' + $3 * interval '1 microsecond') AT TIME ZONE c.time_zone - "
      "c.day_start)::date "
      "FROM reconcile.channel c WHERE c.channel = $1) AS d (first_day, last_day)",
      {Argument::text(source_.channel), Argument::int8(*sink.first()), Argument::int8(*sink.last())});
  if (spi.int8(0, 0) == spi.int8(0, 1)) summary_.business_date = static_cast<core::Date>(spi.int8(0, 0));
}

std::string Ingestion::meta_text(const char* name) const {
  const auto found = summary_.meta.find(name);
  return found == summary_.meta.end() ? std::string() : found->second;
}

// The statement that this one corrects.
std::optional<std::int64_t> Ingestion::superseded() const {
  if (format_.document.reissue != core::FormatDocument::Reissue::replace) return std::nullopt;
  const std::string start = meta_text("period_start");
  if (!summary_.business_date && start.empty()) return std::nullopt;
  Spi spi;
  spi.run(
      "SELECT s.statement_id, s.state FROM reconcile.statement s WHERE s.source_id = $1 AND s.statement_id "
      "<> $2 "
      "AND s.state IN ('accepted', 'control_mismatch') AND s.account IS NOT DISTINCT FROM $3 AND s.book = $4 "
      "AND s.business_date IS NOT DISTINCT FROM $5 AND s.part = $6 "
      "AND ($5 IS NOT NULL OR (s.period_start = $7::date AND s.period_end IS NOT DISTINCT FROM $8::date)) "
      "ORDER BY s.statement_id DESC LIMIT 1",
      {Argument::int4(source_.source_id), Argument::int8(statement_id_), Argument::text(summary_.account),
       Argument::text(source_.book),
       summary_.business_date ? Argument::date(*summary_.business_date) : Argument::null(DATEOID),
       Argument::text(meta_text("part")), start.empty() ? Argument::null(TEXTOID) : Argument::text(start),
       meta_text("period_end").empty() ? Argument::null(TEXTOID) : Argument::text(meta_text("period_end"))});
  if (spi.rows() == 0) return std::nullopt;
  const std::int64_t found = spi.int8(0, 0);
  if (summary_.verdict == core::ControlVerdict::mismatch && spi.text(0, 1) == "accepted") {
    throw Rejected{"its control totals do not agree, and it would replace statement " +
                   std::to_string(found) + ", which was accepted"};
  }
  return found;
}

void Ingestion::remove_entries(std::int64_t statement) {
  std::vector<std::string> keys;
  {
    Spi spi;
    spi.run("SELECT e.source_key FROM reconcile.entry e WHERE e.statement_id = $1 ORDER BY e.source_key",
            {Argument::int8(statement)});
    for (std::uint64_t i = 0; i < spi.rows(); i++) keys.push_back(spi.text(i, 0));
  }
  pg::Progress::phase(pg::Phase::replacing, static_cast<std::int64_t>(keys.size()));
  pg::EntrySink sink(source_.source_id, statement);
  std::uint64_t done = 0;
  for (const std::string& key : keys) {
    sink.remove(key);
    if (++done % pg::Progress::report_rows == 0) pg::Progress::rows_done(done);
  }
  sink.flush();
}

std::string Ingestion::control_json() const {
  boost::json::array lines;
  for (const core::ControlLine& line : summary_.controls) {
    lines.push_back(
        {{"name", line.name}, {"stated", line.stated}, {"computed", line.computed}, {"agrees", line.agrees}});
  }
  boost::json::array warnings;
  for (const std::string& warning : summary_.warnings) warnings.emplace_back(warning);
  return boost::json::serialize(
      boost::json::object{{"verdict", std::string(core::verdict_name(summary_.verdict))},
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

void Ingestion::finish(const IngestSink& sink, std::optional<std::int64_t> replaced) {
  boost::json::object meta;
  for (const auto& [name, value] : summary_.meta) meta[name] = value;
  const bool agrees = summary_.verdict != core::ControlVerdict::mismatch;
  const auto nullable = [](const std::string& text) {
    return text.empty() ? Argument::null(TEXTOID) : Argument::text(text);
  };
  const auto balance = [](const std::optional<core::Decimal>& value) {
    return value ? Argument::text(value->to_string(2)) : Argument::null(TEXTOID);
  };
  Spi spi;
  spi.run(
      "UPDATE reconcile.statement s SET state = $2, account = coalesce($3, s.account), business_date = $4, "
      "period_start = $5::date, period_end = $6::date, part = $7, entry_count = $8, skipped_count = $9, "
      "error_count = $10, entry_totals = $11::jsonb, control = $12::jsonb, meta = $13::jsonb, "
      "opening_balance = $14::numeric, closing_balance = $15::numeric, supersedes = $16 WHERE s.statement_id "
      "= $1",
      {Argument::int8(statement_id_),
       Argument::text(std::string_view(agrees ? "accepted" : "control_mismatch")),
       Argument::text(summary_.account),
       summary_.business_date ? Argument::date(*summary_.business_date) : Argument::null(DATEOID),
       nullable(meta_text("period_start")), nullable(meta_text("period_end")),
       Argument::text(meta_text("part")), Argument::int8(sink.stored()), Argument::int8(summary_.skipped),
       Argument::int8(static_cast<std::int64_t>(sink.set_aside().size())),
       Argument::text(totals_json(sink.totals())), Argument::text(control_json()),
       Argument::text(boost::json::serialize(meta)), balance(summary_.opening_balance),
       balance(summary_.closing_balance), replaced ? Argument::int8(*replaced) : Argument::null(INT8OID)});
  if (!replaced) return;
  spi.run(
      "UPDATE reconcile.statement s SET state = 'superseded', superseded_by = $2 WHERE s.statement_id = $1",
      {Argument::int8(*replaced), Argument::int8(statement_id_)});
}

void Ingestion::store(const std::vector<SetAside>& rows) const {
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
        "u.byte_offset, "
        "u.raw, nullif(u.field, ''), nullif(u.source_column, ''), nullif(u.value, ''), u.reason "
        "FROM reconcile.statement s, unnest($2, $3, $4, $5, $6, $7, $8, $9) "
        "AS u (row_no, line, byte_offset, raw, field, source_column, value, reason) WHERE s.statement_id = "
        "$1",
        {Argument::int8(statement_id_), Argument::int8_array(row_no), Argument::int8_array(line),
         Argument::int8_array(offset), Argument::text_array(texts[0]), Argument::text_array(texts[1]),
         Argument::text_array(texts[2]), Argument::text_array(texts[3]), Argument::text_array(texts[4])});
  }
}

void Ingestion::reject(const std::string& reason, const std::vector<SetAside>& rows) {
  {
    Spi spi;
    spi.run(
        "UPDATE reconcile.statement s SET state = 'rejected', reason = $2, control = $3::jsonb, entry_count "
        "= 0, "
        "entry_totals = '{}', error_count = $4, business_date = $5 WHERE s.statement_id = $1",
        {Argument::int8(statement_id_), Argument::text(reason), Argument::text(control_json()),
         Argument::int8(static_cast<std::int64_t>(rows.size()) + 1),
         summary_.business_date ? Argument::date(*summary_.business_date)
         : day_                 ? Argument::date(*day_)
                                : Argument::null(DATEOID)});
    spi.run(
        "INSERT INTO reconcile.statement_error (statement_id, source_id, channel, account, reason) "
        "SELECT s.statement_id, s.source_id, s.channel, s.account, 'the file is rejected: ' || $2 "
        "FROM reconcile.statement s WHERE s.statement_id = $1",
        {Argument::int8(statement_id_), Argument::text(reason)});
  }
  store(rows);
}

std::int64_t Ingestion::run() {
  using pg::Progress;
  const Progress progress(pg::Command::ingest, {source_.channel, source_.account, {}, day_});
  Progress::phase(pg::Phase::hashing, std::nullopt, file_.bytes());
  const std::string hash = pg::sha256(file_);
  Progress::phase(pg::Phase::waiting_for_lock);
  if (const auto found = already_there(hash)) return *found;
  begin(hash);
  pg::KeptFile kept(source_.source_id, pg::hex(hash));
  kept.keep_original(file_, file_name_);
  IngestSink sink(source_, statement_id_, kept);
  std::optional<Rejected> rejected;
  try {
    pg::in_subtransaction([&] {
      refuse_other_books_file(hash);
      Progress::phase(pg::Phase::reading, std::nullopt, file_.bytes());
      read(sink);
      place_in_time(sink);
      const auto replaced = superseded();
      if (replaced) remove_entries(*replaced);
      Progress::phase(pg::Phase::writing);
      finish(sink, replaced);
      kept.keep_normalised(format_.name, format_.version);
    });
  } catch (const Rejected& reason) {
    rejected = reason;
  }
  const std::string statement = "statement " + std::to_string(statement_id_) + " (" + file_name_ + ") ";
  const char* hint = "SELECT * FROM reconcile.statement_error says why, row by row.";
  if (rejected) {
    reject(rejected->reason, sink.set_aside());
    pg::warn(statement + "is rejected", rejected->reason, hint);
    return statement_id_;
  }
  store(sink.set_aside());
  if (summary_.verdict == core::ControlVerdict::mismatch) {
    pg::warn(statement + "does not add up to its own totals", "No run takes it without force.", hint);
  } else if (const std::size_t lost = sink.set_aside().size(); lost > 0) {
    pg::warn(statement + "is accepted without " + std::to_string(lost) + " of its rows", {}, hint);
  }
  return statement_id_;
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_ingest_file) {
  pg::require_utf8_database();
  // Whose rights count for the file is who called, and everything else is done with the owner's. SECURITY
  // DEFINER would hide who called: the session's role is not it inside anybody else's definer function, view
  // or index expression, which a superuser's session (autovacuum's too) runs as their owner.
  const Oid caller = GetUserId();
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) {
    throw core::Error(core::sqlstate::null_value_not_allowed, "ingest_file needs a source and a path", {},
                      "Name a row of reconcile.source_status, and a file on this server by its full path.");
  }
  const pg::ActingOwner owner(fcinfo->flinfo->fn_oid);
  FileSource source = load_source(std::string(pg::payload_in_place(fcinfo->args[0].value)));
  const std::string path = pg::allowed_path(pg::payload_in_place(fcinfo->args[1].value), caller);
  require_access(source);
  std::optional<core::Date> day;
  if (!PG_ARGISNULL(2)) day = DatumGetDateADT(fcinfo->args[2].value);
  PG_RETURN_INT64(Ingestion(std::move(source), path, path.substr(path.rfind('/') + 1), day).run());
}

// A file of the store, by its path there; who may call this is said by its grants.
PG_RECONCILE_FUNCTION(reconcile_ingest_stored) {
  pg::require_utf8_database();
  const pg::ActingOwner owner(fcinfo->flinfo->fn_oid);
  FileSource source = load_source(std::string(pg::payload_in_place(fcinfo->args[0].value)));
  const std::string path = pg::path_in_store(pg::payload_in_place(fcinfo->args[1].value));
  std::string file_name(pg::payload_in_place(fcinfo->args[2].value));
  require_access(source);
  std::optional<core::Date> day;
  if (!PG_ARGISNULL(3)) day = DatumGetDateADT(fcinfo->args[3].value);
  PG_RETURN_INT64(Ingestion(std::move(source), path, std::move(file_name), day).run());
}
