// reconcile.preview_leg(channel, account, leg, from_date, to_date, rules) -> jsonb array of matches gained
// and lost.
//
// History is run twice, by the proposed rules and by those in force, each time in a subtransaction that is
// rolled back, under one snapshot. Of every match only a hash of its entries is kept; what the one chain has
// and the other has not is looked up in the books of its own chain, for which the first may have to run once
// more.
#include <algorithm>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "core/money/currency.h"
#include "extension/pg/subtransaction.h"
#include "extension/run/day_run.h"
#include "extension/run/leg_state.h"

extern "C" {
#include <utils/builtins.h>
#include <utils/date.h>
}

namespace pg_reconcile {
namespace {

using pg::Argument;

struct RolledBack {};

// Matches by their hashes.
class Matches {
 public:
  void add(core::uint128 hash) { hashes_.push_back(hash); }
  void finish() { std::sort(hashes_.begin(), hashes_.end()); }
  [[nodiscard]] bool has(core::uint128 hash) const {
    return std::binary_search(hashes_.begin(), hashes_.end(), hash);
  }
  [[nodiscard]] bool within(const Matches& other) const {
    return std::includes(other.hashes_.begin(), other.hashes_.end(), hashes_.begin(), hashes_.end());
  }

 private:
  std::vector<core::uint128> hashes_;
};

// The passes that take entries of the day alone, by which equal sets pair alike.
std::vector<core::RuleKind> day_passes(const LegConfig& leg) {
  std::vector<core::RuleKind> kinds;
  for (const PassConfig& pass : leg.passes) {
    const core::RuleKind kind = pass.rule.kind;
    if (kind == core::RuleKind::channel_ref || kind == core::RuleKind::match_key) kinds.push_back(kind);
  }
  return kinds;
}

class Preview {
 public:
  Preview(LegKey leg, core::Date from, core::Date to, const core::MatchRuleSet& rules)
      : leg_(std::move(leg)), rules_(rules) {
    lock_leg(leg_);
    pg::Spi spi;
    std::vector<Argument> arguments = leg_.arguments(from);
    arguments.push_back(Argument::date(to));
    spi.run(
        "SELECT r.business_date FROM reconcile.run r WHERE r.channel = $1 AND r.account = $2 AND r.leg = $3 "
        "AND r.current AND r.business_date BETWEEN $4 AND $5 ORDER BY r.business_date",
        arguments);
    for (std::uint64_t i = 0; i < spi.rows(); i++) days_.push_back(static_cast<core::Date>(spi.int8(i, 0)));
  }

  std::string execute() {
    if (days_.empty()) return "[]";
    const pg::HeldSnapshot snapshot;
    Matches proposed;
    Matches in_force;
    chain(snapshot, &rules_, [&](const DayRun& run, DayWriter&, bool all) {
      for_each(run, all, [&](core::uint128 hash, const core::MatchedGroup&) { proposed.add(hash); });
    });
    proposed.finish();
    chain(snapshot, nullptr, [&](const DayRun& run, DayWriter& writer, bool all) {
      for_each(run, all, [&](core::uint128 hash, const core::MatchedGroup&) { in_force.add(hash); });
      describe(run, writer, all, "lost", proposed);
    });
    in_force.finish();
    if (!proposed.within(in_force)) {
      chain(snapshot, &rules_, [&](const DayRun& run, DayWriter& writer, bool all) {
        describe(run, writer, all, "gained", in_force);
      });
    }
    return "[" + rows_ + "]";
  }

 private:
  // Runs the days and shows each, with what it has written, to `visit`. `all`: pairs of the day's own passes
  // may differ too.
  template <class Visit>
  void chain(const pg::HeldSnapshot& snapshot, const core::MatchRuleSet* rules, Visit visit) {
    try {
      pg::in_subtransaction([&] {
        core::DiscrepancyLedger ledger = begin(snapshot);
        for (const core::Date day : days_) {
          pg::Spi spi(&snapshot);
          const LegConfig other =
              load_leg(spi, leg_.channel, leg_.account, leg_.leg, day, rules == nullptr ? &rules_ : nullptr);
          LegConfig config = load_leg(spi, leg_.channel, leg_.account, leg_.leg, day, rules);
          // Nothing is proved here, so nobody else is asked.
          config.control_function.clear();
          const bool all = day_passes(config) != day_passes(other);
          DayRun run(spi, snapshot, std::move(config), day, 0);
          if (all) run.keep_every_pair();
          (void)run.execute(ledger);
          DayWriter writer(spi, run.leg(), day, 0, run.left(), run.right(), run.currencies());
          day_ = day;
          visit(run, writer, all);
        }
        throw RolledBack{};
      });
    } catch (const RolledBack&) {
      return;
    }
  }

  core::DiscrepancyLedger begin(const pg::HeldSnapshot& snapshot) {
    pg::Spi spi(&snapshot);
    take_back(spi, leg_, days_.front());
    return load_ledger(spi, leg_, days_.front());
  }

  template <class Use>
  static void for_each(const DayRun& run, bool all, Use use) {
    const auto& left = run.left().entries;
    const auto& right = run.right().entries;
    for (const core::MatchedPair& pair : run.match().pairs) {
      if (!all && pair.pass > 0) {
        const core::RuleKind kind = run.leg().pass(pair.pass).rule.kind;
        if (kind == core::RuleKind::channel_ref || kind == core::RuleKind::match_key) continue;
      }
      use(core::digest_of(left, right, pair), core::MatchedGroup{{pair.left}, {pair.right}, pair.pass});
    }
    for (const core::MatchedGroup& group : run.match().groups) {
      use(core::digest_of(left, right, group), group);
    }
  }

  // The day's matches that `others` does not have.
  void describe(const DayRun& run, DayWriter& writer, bool all, const char* change, const Matches& others) {
    std::vector<core::MatchedGroup> found;
    for_each(run, all, [&](core::uint128 hash, const core::MatchedGroup& group) {
      if (!others.has(hash)) found.push_back(group);
    });
    if (found.empty()) return;
    std::vector<std::vector<std::uint32_t>> lefts;
    std::vector<std::vector<std::uint32_t>> rights;
    for (const core::MatchedGroup& group : found) {
      lefts.push_back(group.left);
      rights.push_back(group.right);
    }
    const std::vector<std::string> left_texts = writer.member_lists(Side::left, lefts);
    const std::vector<std::string> right_texts = writer.member_lists(Side::right, rights);
    for (std::size_t i = 0; i < found.size(); i++) {
      const core::MatchedGroup& group = found[i];
      core::Decimal residual;
      for (const std::uint32_t r : group.right) residual += run.right().entries[r].amount;
      for (const std::uint32_t l : group.left) residual -= run.left().entries[l].amount;
      const std::string currency = run.currencies().text(
          (group.left.empty() ? run.right().entries[group.right[0]] : run.left().entries[group.left[0]])
              .currency);
      const std::string rule = group.pass == 0 ? "confirmed" : run.leg().pass(group.pass).rule.name;
      rows_ += std::string(rows_.empty() ? "" : ", ") + R"({"business_date": ")" + date_text(day_) +
               R"(", "change": ")" + change + R"(", "rule": )" +
               boost::json::serialize(boost::json::string(rule)) + R"(, "currency": )" +
               boost::json::serialize(boost::json::string(currency)) + R"(, "residual": ")" +
               core::amount_text(residual, currency) + R"(", "left_entries": )" + left_texts[i] +
               R"(, "right_entries": )" + right_texts[i] + "}";
    }
  }

  LegKey leg_;
  const core::MatchRuleSet& rules_;
  std::vector<core::Date> days_;
  core::Date day_ = 0;
  std::string rows_;
};

std::string text_argument(FunctionCallInfo fcinfo, int index) {
  const Datum value = PG_GETARG_DATUM(index);
  return pg::guarded([=] { return static_cast<const char*>(TextDatumGetCString(value)); });
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_preview_leg) {
  const core::MatchRuleSet rules = core::MatchRuleSet::parse(text_argument(fcinfo, 5));
  Preview preview({text_argument(fcinfo, 0), text_argument(fcinfo, 1), text_argument(fcinfo, 2)},
                  PG_GETARG_DATEADT(3), PG_GETARG_DATEADT(4), rules);
  const std::string rows = preview.execute();
  const char* content = rows.c_str();
  return pg::guarded([=] { return CStringGetTextDatum(content); });
}

}  // namespace pg_reconcile
