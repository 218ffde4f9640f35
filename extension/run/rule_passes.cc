#include "extension/run/rule_passes.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pg_reconcile {
namespace {

constexpr std::int64_t day_us = 86'400'000'000;

// Of one book: its open entries, and which of them no rule may take any more.
struct Side {
  const BookDay& book;
  BookRest rest;
  std::vector<char> busy;  // beside `rest`: matched, or held by a suggestion
  // Of the rule at hand: its entries, and where each is in `rest`.
  std::vector<core::RuleEntry> taking_part;
  std::vector<std::uint32_t> places;

  Side(const BookDay& of, BookRest entries) : book(of), rest(std::move(entries)), busy(rest.size()) {}
};

class RulePasses {
 public:
  RulePasses(const LegConfig& leg, const RestColumns& columns, Side left, Side right, Dictionary& kinds,
             Dictionary& statuses, const std::vector<DecidedMatch>& decisions, core::DayMatch& match)
      : leg_(leg),
        columns_(columns),
        left_(std::move(left)),
        right_(std::move(right)),
        kinds_(kinds),
        statuses_(statuses),
        decisions_(decisions),
        match_(match) {}

  std::vector<Suggestion> run() {
    for (const PassConfig& pass : leg_.passes) {
      if (!core::is_exact(pass.rule.kind)) run(pass);
    }
    const std::vector<std::uint32_t> left_matched = matched_entries(left_);
    const std::vector<std::uint32_t> right_matched = matched_entries(right_);
    close(left_matched, match_.left_open);
    close(right_matched, match_.right_open);
    tidy_findings(left_matched, right_matched);
    return std::move(suggestions_);
  }

 private:
  void run(const PassConfig& pass) {
    const core::RuleDefinition& rule = pass.rule;
    choose(left_, rule, rule.left_kinds);
    choose(right_, rule, rule.right_kinds);
    if (left_.taking_part.empty() || right_.taking_part.empty()) return;
    const std::vector<core::StatusPair> statuses = status_pairs(rule);
    pg::BackendInterrupts interrupts;
    core::RuleMatches found =
        core::match_by_rule(rule, {left_.taking_part, right_.taking_part, statuses}, interrupts);
    for (core::RuleGroup& group : found.groups) {
      core::MatchedGroup entries{entries_of(left_, group.left), entries_of(right_, group.right), pass.pass};
      if (rule.suggest) {
        if (is_rejected(entries)) continue;
        const std::uint64_t lefts = entries.left.size();
        const std::uint64_t rights = entries.right.size();
        suggestions_.push_back({Suggestion::Outcome::suggested, pass.pass, group.currency,
                                std::move(entries.left), std::move(entries.right), lefts, rights,
                                group.residual});
      } else {
        core::add_match(match_, left_.book.entries, right_.book.entries, std::move(entries), false);
      }
      occupy(left_, group.left, rule.suggest);
      occupy(right_, group.right, rule.suggest);
    }
    for (const core::RuleFinding& finding : found.findings) {
      suggestions_.push_back(
          {finding.outcome == core::RuleFinding::Outcome::ambiguous ? Suggestion::Outcome::ambiguous
                                                                    : Suggestion::Outcome::gave_up,
           pass.pass, finding.currency, entries_of(left_, finding.left), entries_of(right_, finding.right),
           finding.left_count, finding.right_count, std::nullopt});
    }
  }

  static constexpr char held = 1;
  static constexpr char matched = 2;

  static void occupy(Side& side, const std::vector<std::uint32_t>& members, bool suggested) {
    for (const std::uint32_t i : members) side.busy[side.places[i]] = suggested ? held : matched;
  }

  static std::vector<std::uint32_t> entries_of(const Side& side, const std::vector<std::uint32_t>& members) {
    std::vector<std::uint32_t> entries;
    entries.reserve(members.size());
    for (const std::uint32_t i : members) entries.push_back(side.rest[side.places[i]].entry);
    return entries;
  }

  void choose(Side& side, const core::RuleDefinition& rule, const std::vector<std::string>& kinds) {
    side.taking_part.clear();
    side.places.clear();
    std::vector<std::size_t> key;
    for (const core::KeyColumn& column : rule.key) key.push_back(columns_.place(column));
    std::vector<std::uint16_t> kind_codes;
    for (const std::string& kind : kinds) kind_codes.push_back(kinds_.code(kind));
    for (std::uint32_t i = 0; i < side.rest.size(); i++) {
      if (i % 65536 == 0) pg::check_for_interrupts();
      if (side.busy[i]) continue;
      const RestEntry& rest = side.rest[i];
      const core::MatchEntry& entry = side.book.entries[rest.entry];
      if (!kind_codes.empty() &&
          std::find(kind_codes.begin(), kind_codes.end(), entry.kind) == kind_codes.end()) {
        continue;
      }
      if (!rule.statuses.empty() && !rest.source_status) continue;
      const core::uint128 block = block_of(rest, entry.currency, key);
      if (block == 0) continue;
      side.taking_part.push_back(
          {block, entry.amount, at(rule, rest, entry), i, entry.currency, rest.source_status.value_or(0)});
      side.places.push_back(i);
    }
  }

  static core::uint128 block_of(const RestEntry& rest, std::uint16_t currency,
                                const std::vector<std::size_t>& key) {
    std::vector<core::uint128> parts{currency};
    for (const std::size_t i : key) {
      if (rest.keys[i] == 0) return 0;
      parts.push_back(rest.keys[i]);
    }
    const XXH128_hash_t hash = XXH3_128bits(parts.data(), parts.size() * sizeof(core::uint128));
    const core::uint128 value = (static_cast<core::uint128>(hash.high64) << 64) | hash.low64;
    return value == 0 ? 1 : value;
  }

  static std::optional<std::int64_t> at(const core::RuleDefinition& rule, const RestEntry& rest,
                                        const core::MatchEntry& entry) {
    if (!rule.window) return std::nullopt;
    const auto midnight = [](const std::optional<core::Date>& date) {
      return date ? std::optional<std::int64_t>(*date * day_us) : std::nullopt;
    };
    switch (rule.window->on) {
      case core::TimeWindow::On::business_date:
        return midnight(rest.business_date);
      case core::TimeWindow::On::value_date:
        return midnight(rest.value_date);
      case core::TimeWindow::On::occurred_at:
        break;
    }
    return entry.occurred_at == no_time ? std::nullopt : std::optional(entry.occurred_at);
  }

  std::vector<core::StatusPair> status_pairs(const core::RuleDefinition& rule) {
    std::vector<core::StatusPair> pairs;
    for (const core::StatusMapping& mapping : rule.statuses) {
      for (const std::string& right : mapping.right) {
        pairs.push_back({statuses_.code(mapping.left), statuses_.code(right)});
      }
    }
    return pairs;
  }

  [[nodiscard]] bool is_rejected(core::MatchedGroup group) const {
    std::sort(group.left.begin(), group.left.end());
    std::sort(group.right.begin(), group.right.end());
    return std::any_of(decisions_.begin(), decisions_.end(), [&group](const DecidedMatch& decided) {
      return !decided.confirmed && decided.group.left == group.left && decided.group.right == group.right;
    });
  }

  static std::vector<std::uint32_t> matched_entries(const Side& side) {
    std::vector<std::uint32_t> entries;
    for (std::size_t i = 0; i < side.rest.size(); i++) {
      if (side.busy[i] == matched) entries.push_back(side.rest[i].entry);
    }
    std::sort(entries.begin(), entries.end());
    return entries;
  }

  // How many of them were among `entries`.
  static std::uint64_t close(const std::vector<std::uint32_t>& closed, std::vector<std::uint32_t>& entries) {
    return std::erase_if(
        entries, [&closed](std::uint32_t i) { return std::binary_search(closed.begin(), closed.end(), i); });
  }

  // A tie that a later rule has resolved is none. Of what several rules can't decide alike, the first speaks.
  void tidy_findings(const std::vector<std::uint32_t>& left_matched,
                     const std::vector<std::uint32_t>& right_matched) {
    std::set<std::tuple<Suggestion::Outcome, std::vector<std::uint32_t>, std::vector<std::uint32_t>,
                        std::uint64_t, std::uint64_t>>
        said;
    std::erase_if(suggestions_, [&](Suggestion& finding) {
      if (finding.outcome == Suggestion::Outcome::suggested) return false;
      const std::uint64_t lefts = close(left_matched, finding.left);
      const std::uint64_t rights = close(right_matched, finding.right);
      if (finding.outcome == Suggestion::Outcome::ambiguous && lefts + rights > 0) return true;
      finding.left_count -= lefts;
      finding.right_count -= rights;
      if (finding.left.empty() || finding.right.empty()) return true;
      return !said.emplace(finding.outcome, finding.left, finding.right, finding.left_count,
                           finding.right_count)
                  .second;
    });
  }

  const LegConfig& leg_;
  const RestColumns& columns_;
  Side left_;
  Side right_;
  Dictionary& kinds_;
  Dictionary& statuses_;
  const std::vector<DecidedMatch>& decisions_;
  core::DayMatch& match_;
  std::vector<Suggestion> suggestions_;
};

}  // namespace

std::vector<Suggestion> run_rules(const pg::HeldSnapshot& snapshot, pg::Spi& spi, const LegConfig& leg,
                                  const BookDay& left, const BookDay& right, std::uint64_t seed,
                                  Dictionary& kinds, const std::vector<DecidedMatch>& decisions,
                                  core::DayMatch& match) {
  const bool configured = std::any_of(leg.passes.begin(), leg.passes.end(),
                                      [](const PassConfig& pass) { return !core::is_exact(pass.rule.kind); });
  if (!configured || match.left_open.empty() || match.right_open.empty()) return {};
  const RestColumns columns(leg.passes);
  Dictionary statuses;
  Side left_side(
      left, read_rest(snapshot, spi, leg, leg.left_book, left, match.left_open, columns, seed, statuses));
  Side right_side(
      right, read_rest(snapshot, spi, leg, leg.right_book, right, match.right_open, columns, seed, statuses));
  return RulePasses(leg, columns, std::move(left_side), std::move(right_side), kinds, statuses, decisions,
                    match)
      .run();
}

}  // namespace pg_reconcile
