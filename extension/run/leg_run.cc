// reconcile.run_leg(channel, account, leg, business_date, dry_run, force, method) -> jsonb array of
// reconcile.run rows.
//
// Lock, then snapshot, then completeness on that snapshot. What the day and every later day had left behind
// is taken back, the day runs, and every later day that had been run runs again: a chain. It begins with the
// first day whose data has changed since its run, when that is an earlier one: a day stands on those before
// it. The chain lives in one subtransaction: a proof line that does not hold, or dry_run, rolls everything
// back, and nothing is published.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "core/digest/row_hash.h"
#include "core/error.h"
#include "core/matching/discrepancy_ledger.h"
#include "core/money/currency.h"
#include "extension/pg/progress.h"
#include "extension/pg/spi.h"
#include "extension/pg/subtransaction.h"
#include "extension/run/day_run.h"
#include "extension/run/incremental_day.h"
#include "extension/run/leg_state.h"

extern "C" {
#include <utils/builtins.h>
#include <utils/date.h>
}

namespace pg_reconcile {
namespace {

using pg::Argument;
namespace json = boost::json;

struct Request {
  std::string channel;
  std::string account;
  std::string leg;
  core::Date day;
  bool dry_run;
  bool force;
  bool incremental;
};

struct PlannedDay {
  core::Date day;
  bool forced;
  std::optional<std::string> waiting_for;
};

// Leaves the subtransaction without publishing anything; not an error.
struct NothingPublished {};

std::string event_name(core::DiscrepancyEvent event) {
  switch (event) {
    case core::DiscrepancyEvent::opened:
      return "opened";
    case core::DiscrepancyEvent::changed:
      return "changed";
    case core::DiscrepancyEvent::cleared:
      return "cleared";
    case core::DiscrepancyEvent::resolved:
      return "resolved";
    case core::DiscrepancyEvent::reopened:
      return "reopened";
    case core::DiscrepancyEvent::redated:
      return "redated";
  }
  return "changed";
}

json::array episodes_to_json(const std::vector<core::DiscrepancyEpisode>& episodes) {
  json::array list;
  for (const core::DiscrepancyEpisode& episode : episodes) {
    list.push_back(json::object{{"opened_on", date_text(episode.opened_on)},
                                {"cleared_on", date_text(*episode.cleared_on)},
                                {"resolved", episode.adjusted}});
  }
  return list;
}

class LegRun {
 public:
  explicit LegRun(Request request) : request_(std::move(request)) {}

  json::array execute() {
    lock_leg(key());
    const pg::HeldSnapshot snapshot;
    {
      pg::Spi spi(&snapshot);
      require_unsigned(spi);
      const LegConfig leg = load_leg(spi, request_.channel, request_.account, request_.leg, request_.day);
      const PlannedDay requested = plan(spi, leg);
      remember_circumstances(spi, leg);
      if (requested.waiting_for && !request_.force) {
        record_waiting(spi, requested);
        return rows_;
      }
    }
    incremental_ = request_.incremental;
    if (!incremental_ || !run_chain(snapshot)) {
      incremental_ = false;
      run_chain(snapshot);
    }
    if (request_.dry_run) {
      for (json::value& row : rows_) {
        row.as_object().erase("run_id");
        row.as_object()["current"] = false;
      }
    }
    return rows_;
  }

 private:
  // False when the incremental chain came to nothing that counts: batch_reason_ says why.
  bool run_chain(const pg::HeldSnapshot& snapshot) {
    const bool was_incremental = incremental_;
    bool failed = false;
    rows_.clear();
    try {
      pg::in_subtransaction([&] {
        failed = !chain(snapshot);
        if (failed && was_incremental) throw FallBack{first_failure()};
        if (failed || request_.dry_run) throw NothingPublished{};
      });
    } catch (const FallBack& fall_back) {
      batch_reason_ = fall_back.reason;
      return false;
    } catch (const KeyStoredTwice& error) {
      if (was_incremental) {
        batch_reason_ = error.what();
        return false;
      }
      json::object row = base_row(*running_, running_id_, "failed");
      row["failure"] = std::string(error.what()) + ". " + error.detail() + " " + error.hint();
      rows_ = {std::move(row)};
      if (!request_.dry_run) {
        pg::Spi spi(&snapshot);
        insert_run(spi, rows_.back().as_object(), nullptr);
      }
    } catch (const NothingPublished&) {
      // The subtransaction is rolled back; a failed run leaves its row as evidence.
      if (failed && !request_.dry_run) {
        pg::Spi spi(&snapshot);
        insert_run(spi, rows_.back().as_object(), nullptr);
      }
    }
    return true;
  }

  [[nodiscard]] std::string first_failure() const {
    const json::string& failure = rows_.back().at("failure").as_string();
    return "the proof did not hold: " + std::string(failure.data(), failure.size());
  }

  [[nodiscard]] LegKey key() const { return {request_.channel, request_.account, request_.leg}; }
  [[nodiscard]] std::vector<Argument> key_arguments() const { return key().arguments(); }
  [[nodiscard]] std::vector<Argument> key_arguments(core::Date day) const { return key().arguments(day); }

  void require_unsigned(pg::Spi& spi) {
    spi.run(
        "SELECT a.signed_through::text FROM reconcile.account a WHERE a.channel = $1 AND a.account = $2 "
        "AND a.signed_through >= $3",
        {Argument::text(request_.channel), Argument::text(request_.account), Argument::date(request_.day)});
    if (spi.rows() > 0) {
      throw core::Error(
          core::sqlstate::object_not_in_prerequisite_state,
          "day " + date_text(request_.day) + " of account \"" + request_.account + "\" at channel \"" +
              request_.channel + "\" is signed off",
          "The account is signed off through " + spi.text(0, 0) + ".",
          "Reopen it with reconcile.reopen_day(), or leave it: late entries enter the next open day.");
    }
  }

  // The requested day, as it stands among days_.
  PlannedDay plan(pg::Spi& spi, const LegConfig& leg) {
    PlannedDay requested{request_.day, request_.force, std::nullopt};
    spi.run("SELECT array_to_string(w, '; ') FROM reconcile.waiting_for($1, $2, $3, $4, $5, $6) w",
            {Argument::text(request_.channel), Argument::text(request_.account), Argument::text(request_.leg),
             Argument::text(leg.left_book), Argument::text(leg.right_book), Argument::date(request_.day)});
    requested.waiting_for = spi.text_or_null(0, 0);
    requested.forced = request_.force && requested.waiting_for.has_value();
    days_.push_back(requested);
    spi.run(
        "SELECT r.business_date, r.forced, r.waiting_for FROM reconcile.run r WHERE r.channel = $1 "
        "AND r.account = $2 AND r.leg = $3 AND r.current AND r.business_date <> $4 "
        "AND r.business_date >= least($4, reconcile.first_changed_day($1, $2, $3)) ORDER BY r.business_date",
        key_arguments(request_.day));
    for (std::uint64_t i = 0; i < spi.rows(); i++) {
      days_.push_back({static_cast<core::Date>(spi.int8(i, 0)), spi.boolean(i, 1), spi.text_or_null(i, 2)});
    }
    std::sort(days_.begin(), days_.end(),
              [](const PlannedDay& a, const PlannedDay& b) { return a.day < b.day; });
    return requested;
  }

  [[nodiscard]] core::Date first_day() const { return days_.front().day; }

  void remember_circumstances(pg::Spi& spi, const LegConfig& leg) {
    spi.run(
        "SELECT pg_current_snapshot()::text, session_user::text, clock_timestamp()::text, "
        "(SELECT coalesce(jsonb_object_agg(s.name, jsonb_build_object('position', p.position, 'source_time', "
        "p.source_time)), '{}')::text FROM reconcile.source s JOIN reconcile.source_position p USING "
        "(source_id) "
        "WHERE s.book IN ($2, $3) AND (s.channels IS NULL OR $1 = ANY (s.channels)))",
        {Argument::text(request_.channel), Argument::text(leg.left_book), Argument::text(leg.right_book)});
    snapshot_text_ = spi.text(0, 0);
    requested_by_ = spi.text(0, 1);
    started_at_ = spi.text(0, 2);
    positions_ = json::parse(spi.text(0, 3));
  }

  json::object base_row(const PlannedDay& planned, std::int64_t run_id, const char* state) const {
    json::object row{{"run_id", run_id},
                     {"channel", request_.channel},
                     {"account", request_.account},
                     {"leg", request_.leg},
                     {"business_date", date_text(planned.day)},
                     {"state", state},
                     {"method", incremental_ ? "incremental" : "batch"},
                     {"dry_run", request_.dry_run},
                     {"forced", planned.forced},
                     {"current", false},
                     {"requested_by", requested_by_},
                     {"started_at", started_at_},
                     {"snapshot", snapshot_text_},
                     {"positions", positions_}};
    if (planned.waiting_for) row["waiting_for"] = *planned.waiting_for;
    if (!batch_reason_.empty()) row["batch_reason"] = batch_reason_;
    return row;
  }

  void record_waiting(pg::Spi& spi, const PlannedDay& requested) {
    json::object row = base_row(requested, 0, "waiting");
    if (request_.dry_run) {
      row.erase("run_id");
    } else {
      std::vector<Argument> arguments = key_arguments(requested.day);
      arguments.push_back(Argument::text(*requested.waiting_for));
      spi.run(
          "INSERT INTO reconcile.run (channel, account, leg, business_date, state, method, waiting_for) "
          "VALUES ($1, $2, $3, $4, 'waiting', 'batch', $5) "
          "ON CONFLICT (channel, account, leg, business_date) WHERE state = 'waiting' "
          "DO UPDATE SET waiting_for = excluded.waiting_for, requested_by = excluded.requested_by, "
          "finished_at = clock_timestamp() RETURNING run_id",
          arguments);
      row["run_id"] = spi.int8(0, 0);
    }
    rows_.push_back(std::move(row));
  }

  // The runs that stand for the days of the chain.
  void load_prior_runs(pg::Spi& spi) {
    prior_.clear();
    spi.run(
        "SELECT r.business_date, r.run_id, r.snapshot::text, r.cluster = "
        "reconcile.local_system_identifier(), "
        "r.detail::text, r.matched_pairs, r.matched_groups FROM reconcile.run r WHERE r.channel = $1 "
        "AND r.account = $2 AND r.leg = $3 AND r.current AND r.business_date >= $4",
        key_arguments(first_day()));
    for (std::uint64_t i = 0; i < spi.rows(); i++) {
      PriorRun& run = prior_[static_cast<core::Date>(spi.int8(i, 0))];
      run.run_id = spi.int8(i, 1);
      run.snapshot = spi.text(i, 2);
      run.of_this_cluster = spi.boolean(i, 3);
      if (!spi.is_null(i, 4)) run.detail = detail_from_json(spi.text(i, 4));
      run.matched_pairs = spi.int8(i, 5);
      run.matched_groups = spi.int8(i, 6);
    }
  }

  void retire_runs(pg::Spi& spi) {
    spi.run(
        "UPDATE reconcile.run r SET current = false WHERE r.channel = $1 AND r.account = $2 AND r.leg = $3 "
        "AND r.current AND r.business_date >= $4",
        key_arguments(first_day()));
    spi.run(
        "UPDATE reconcile.run r SET state = 'waited' WHERE r.channel = $1 AND r.account = $2 AND r.leg = $3 "
        "AND r.business_date = $4 AND r.state = 'waiting'",
        key_arguments(request_.day));
  }

  // False when a proof line does not hold: the row of that day is the last of rows_.
  bool chain(const pg::HeldSnapshot& snapshot) {
    core::DiscrepancyLedger ledger = begin_chain(snapshot);
    for (const PlannedDay& planned : days_) {
      // One Spi a day: what a day takes in memory is given back before the next.
      pg::Spi spi(&snapshot);
      pg::Progress::day(planned.day);
      spi.run("SELECT nextval('reconcile.run_run_id_seq')");
      const std::int64_t run_id = spi.int8(0, 0);
      running_ = &planned;
      running_id_ = run_id;
      LegConfig leg = load_leg(spi, request_.channel, request_.account, request_.leg, planned.day);
      const std::string rules = leg.rules_json;
      RunDetail detail = begin_detail(spi, leg);
      DayResult result = run_day(spi, snapshot, std::move(leg), detail, ledger);
      complete_detail(detail, result);
      rows_.push_back(result_row(planned, result, rules));
      if (!result.proof.holds()) {
        json::value failed = rows_.back();
        rows_ = {std::move(failed)};
        return false;
      }
      rows_.back().as_object()["detail"] = json::parse(detail_to_json(detail));
      insert_run(spi, rows_.back().as_object(), &result);
    }
    write_discrepancies(snapshot, ledger.changes());
    pg::Spi spi(&snapshot);
    spi.run(
        "DELETE FROM reconcile.match_suggestion s WHERE s.channel = $1 AND s.account = $2 AND s.leg = $3 "
        "AND s.last_date < s.business_date",
        key_arguments());
    return true;
  }

  core::DiscrepancyLedger begin_chain(const pg::HeldSnapshot& snapshot) {
    pg::Spi spi(&snapshot);
    if (incremental_) {
      changes_ = {};
      load_prior_runs(spi);
      take_back_suggestions(spi, key(), first_day());
    } else {
      take_back(spi, key(), first_day());
    }
    retire_runs(spi);
    return load_ledger(spi, key(), first_day());
  }

  DayResult run_day(pg::Spi& spi, const pg::HeldSnapshot& snapshot, LegConfig leg, const RunDetail& detail,
                    core::DiscrepancyLedger& ledger) {
    const core::Date day = running_->day;
    if (incremental_) {
      const auto prior = prior_.find(day);
      if (prior != prior_.end())
        batch_reason_ = reason_against_incremental(spi, leg, day, prior->second, detail);
      if (prior != prior_.end() && batch_reason_.empty()) {
        return IncrementalDay(spi, snapshot, std::move(leg), day, running_id_, prior->second, changes_)
            .execute(ledger);
      }
      // A day that had not been run leaves nothing to say: there was no other way.
      incremental_ = false;
      take_back(spi, key(), day);
    } else if (request_.incremental && batch_reason_.empty()) {
      batch_reason_ = "a day before had to be run as a whole";
    }
    return DayRun(spi, snapshot, std::move(leg), day, running_id_).execute(ledger);
  }

  json::object result_row(const PlannedDay& planned, const DayResult& result,
                          const std::string& rules) const {
    const bool holds = result.proof.holds();
    json::object row = base_row(planned, result.run_id, holds ? "succeeded" : "failed");
    json::array lines;
    for (const core::ProofLine& line : result.proof.lines) {
      lines.push_back(json::object{{"line", line.line},
                                   {"currency", line.currency},
                                   {"holds", line.holds},
                                   {"difference", core::amount_text(line.difference, line.currency)},
                                   {"terms", line.terms}});
    }
    row["current"] = holds;
    row["rules"] = json::parse(rules);
    row["left_entries"] = result.left_entries;
    row["right_entries"] = result.right_entries;
    row["matched_pairs"] = result.matched_pairs;
    row["matched_groups"] = result.matched_groups;
    row["in_transit"] = result.in_transit;
    row["discrepancies_new"] = result.findings.opened;
    row["discrepancies_cleared"] = result.findings.cleared;
    row["discrepancies_open"] = result.findings.open;
    row["digest"] = core::to_string(result.digest);
    row["proof"] = std::move(lines);
    row["proof_difference"] = result.proof.difference().to_string(2);
    if (!holds) row["failure"] = result.proof.failures();
    const auto seconds = [](double s) { return std::to_string(s).substr(0, 8); };
    row["timings"] = json::object{{"read_s", seconds(result.read_s)},
                                  {"match_s", seconds(result.match_s)},
                                  {"write_s", seconds(result.write_s)},
                                  {"prove_s", seconds(result.prove_s)}};
    return row;
  }

  static void insert_run(pg::Spi& spi, json::object& row, const DayResult* result) {
    spi.run(
        "INSERT INTO reconcile.run OVERRIDING SYSTEM VALUE "
        "SELECT r.* FROM jsonb_populate_record(NULL::reconcile.run, "
        "$1::jsonb || jsonb_build_object('finished_at', clock_timestamp(), 'cluster', "
        "reconcile.local_system_identifier(), 'run_id', "
        "coalesce(($1::jsonb ->> 'run_id')::bigint, nextval('reconcile.run_run_id_seq')))) r RETURNING "
        "finished_at::text",
        {Argument::text(json::serialize(row))});
    row["finished_at"] = spi.text(0, 0);
    if (result == nullptr) return;
    for (const auto& [currency, f] : result->figures) insert_total(spi, *result, currency, f);
  }

  static void insert_total(pg::Spi& spi, const DayResult& result, const std::string& currency,
                           const core::CurrencyFigures& f) {
    std::string counts;
    for (const core::BookFigures* book : {&f.left, &f.right}) {
      for (const core::CountAndAmount* figure :
           {&book->opening, &book->in, &book->matched, &book->adjusted, &book->closing}) {
        counts += ", " + std::to_string(figure->count) + ", " + core::amount_text(figure->amount, currency);
      }
    }
    for (const core::CountAndAmount* figure : {&f.in_transit, &f.discrepancy}) {
      counts += ", " + std::to_string(figure->count) + ", " + core::amount_text(figure->amount, currency);
    }
    spi.run(
        "INSERT INTO reconcile.run_total (run_id, currency, left_opening_count, left_opening, left_in_count, "
        "left_in, "
        "left_matched_count, left_matched, left_adjusted_count, left_adjusted, left_closing_count, "
        "left_closing, "
        "right_opening_count, right_opening, right_in_count, right_in, right_matched_count, right_matched, "
        "right_adjusted_count, right_adjusted, right_closing_count, right_closing, in_transit_count, "
        "in_transit, "
        "discrepancy_count, discrepancy, residual, fee_difference, statement_difference, proof_difference) "
        "VALUES ($1, $2" +
            counts + ", " + core::amount_text(f.residual, currency) + ", " +
            core::amount_text(f.left_fee - f.right_fee, currency) + ", " +
            core::amount_text(f.statement_difference, currency) + ", " +
            core::amount_text(result.proof.difference(currency), currency) + ")",
        {Argument::int8(result.run_id), Argument::text(currency)});
  }

  // Some at a time: a jsonb array has its limit, and each change carries two entries of any size.
  void write_discrepancies(const pg::HeldSnapshot& snapshot,
                           const std::vector<core::DiscrepancyChange>& changes) {
    constexpr std::size_t bytes_at_once = std::size_t{8} << 20;
    const auto bytes_of = [](const core::DiscrepancyChange& change) {
      return change.facts.left_entry.value_or("").size() + change.facts.right_entry.value_or("").size() + 512;
    };
    for (std::size_t from = 0, to = 0; from < changes.size(); from = to) {
      for (std::size_t bytes = 0; to < changes.size() && bytes < bytes_at_once; to++) {
        bytes += bytes_of(changes[to]);
      }
      pg::Spi spi(&snapshot);
      write_discrepancies(spi, std::span(changes).subspan(from, to - from));
    }
  }

  void write_discrepancies(pg::Spi& spi, std::span<const core::DiscrepancyChange> changes) {
    json::array list;
    for (const core::DiscrepancyChange& change : changes) {
      json::object item{{"event", event_name(change.event)},
                        {"item_key", change.identity.item_key},
                        {"entry_kind", change.identity.entry_kind},
                        {"ordinal", change.identity.ordinal},
                        {"first_entry", change.facts.first_entry},
                        {"kind", change.facts.kind},
                        {"business_date", date_text(change.facts.business_date)},
                        {"opened_on", date_text(change.episode.opened_on)},
                        {"currency", change.facts.currency},
                        {"first_run_id", change.first_run_id},
                        {"last_run_id", change.last_run_id}};
      const auto put = [&item](const char* name, const std::optional<std::string>& value) {
        if (value) item[name] = *value;
      };
      if (!change.earlier.empty()) item["earlier_episodes"] = episodes_to_json(change.earlier);
      if (change.discrepancy_id) item["discrepancy_id"] = *change.discrepancy_id;
      if (change.episode.cleared_on) item["cleared_on"] = date_text(*change.episode.cleared_on);
      put("difference", change.facts.difference);
      put("left_amount", change.facts.left_amount);
      put("left_currency", change.facts.left_currency);
      put("right_amount", change.facts.right_amount);
      put("right_currency", change.facts.right_currency);
      put("left_entry", change.facts.left_entry);
      put("right_entry", change.facts.right_entry);
      list.push_back(std::move(item));
    }
    std::vector<Argument> arguments = key_arguments();
    arguments.push_back(Argument::text(json::serialize(list)));
    spi.run("SELECT reconcile.publish_discrepancies($1, $2, $3, $4::jsonb)", arguments);
  }

  Request request_;
  std::vector<PlannedDay> days_;
  const PlannedDay* running_ = nullptr;  // of days_
  std::int64_t running_id_ = 0;
  json::array rows_;
  bool incremental_ = false;  // the day at hand
  std::string batch_reason_;  // of a batch where an incremental run was asked for
  std::map<core::Date, PriorRun> prior_;
  ChainChanges changes_;
  std::string snapshot_text_;
  std::string requested_by_;
  std::string started_at_;
  json::value positions_;
};

std::string text_argument(FunctionCallInfo fcinfo, int index) {
  const Datum value = PG_GETARG_DATUM(index);
  return pg::guarded([=] { return static_cast<const char*>(TextDatumGetCString(value)); });
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_run_leg) {
  const Request request{text_argument(fcinfo, 0),
                        text_argument(fcinfo, 1),
                        text_argument(fcinfo, 2),
                        PG_GETARG_DATEADT(3),
                        PG_GETARG_BOOL(4),
                        PG_GETARG_BOOL(5),
                        text_argument(fcinfo, 6) == "incremental"};
  const pg::Progress progress(pg::Command::run, {request.channel, request.account, request.leg, request.day});
  LegRun run(request);
  const std::string rows = json::serialize(run.execute());
  const char* text = rows.c_str();
  return pg::guarded([=] { return CStringGetTextDatum(text); });
}

}  // namespace pg_reconcile
