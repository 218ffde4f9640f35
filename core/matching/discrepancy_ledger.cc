#include "core/matching/discrepancy_ledger.h"

#include <algorithm>
#include <utility>

namespace pg_reconcile::core {
DiscrepancyLedger::DiscrepancyLedger(std::map<DiscrepancyIdentity, StoredDiscrepancy> stored, Date first_day)
    : stored_(std::move(stored)) {
  for (const auto& [identity, item] : stored_) {
    by_first_entry_.emplace(std::tuple(identity.item_key, identity.entry_kind, item.facts.first_entry),
                            identity);
    std::int32_t& last = last_ordinal_[{identity.item_key, identity.entry_kind}];
    last = std::max(last, identity.ordinal);
    if (item.replaceable) replaceable_[{identity.item_key, identity.entry_kind}].push_back(identity);
    // What the chain is to find out anew is forgotten.
    std::vector<DiscrepancyEpisode> episodes = item.earlier;
    episodes.push_back(item.episode);
    std::erase_if(episodes, [=](const DiscrepancyEpisode& e) { return e.opened_on >= first_day; });
    if (episodes.empty()) continue;
    DiscrepancyEpisode& episode = episodes.back();
    if (episode.cleared_on && *episode.cleared_on >= first_day) {
      episode.cleared_on.reset();
      episode.adjusted = false;
    }
    standing_.emplace(identity, Standing{item.facts, std::move(episodes), item.first_run_id, 0});
  }
}

DiscrepancyIdentity DiscrepancyLedger::identify(const std::string& item_key, const std::string& entry_kind,
                                                const std::string& first_entry) {
  const auto [known, fresh] = by_first_entry_.try_emplace(std::tuple(item_key, entry_kind, first_entry));
  if (!fresh) return known->second;
  std::vector<DiscrepancyIdentity>& replaceable = replaceable_[{item_key, entry_kind}];
  if (!replaceable.empty()) {
    known->second = replaceable.front();
    replaceable.erase(replaceable.begin());
  } else {
    known->second = {item_key, entry_kind, ++last_ordinal_[{item_key, entry_kind}]};
  }
  return known->second;
}

std::vector<std::string> DiscrepancyLedger::standing_entries(std::string_view kind) const {
  std::vector<std::string> entries;
  for (const auto& [identity, item] : standing_) {
    if (!item.stands() || item.facts.kind != kind) continue;
    const auto& entry = item.facts.left_entry ? item.facts.left_entry : item.facts.right_entry;
    if (entry) entries.push_back(*entry);
  }
  return entries;
}

void DiscrepancyLedger::Standing::open(Date day) {
  // An episode that by now never was leaves no trace before another.
  if (!episodes.empty() && !episodes.back().adjusted &&
      episodes.back().cleared_on == episodes.back().opened_on)
    episodes.pop_back();
  episodes.push_back({day, std::nullopt, false});
}

void DiscrepancyLedger::Standing::close(Date day, bool adjusted) {
  episodes.back().cleared_on = day;
  episodes.back().adjusted = adjusted;
}

DiscrepancyLedger::Standing& DiscrepancyLedger::at(const DiscrepancyIdentity& identity, std::int64_t run_id) {
  return standing_.try_emplace(identity, Standing{{}, {}, run_id, run_id}).first->second;
}

DayFindings DiscrepancyLedger::take(Date day, std::int64_t run_id,
                                    const std::map<DiscrepancyIdentity, DiscrepancyFacts>& findings,
                                    const std::map<DiscrepancyIdentity, DiscrepancyFacts>& adjusted) {
  DayFindings counts;
  counts.open = static_cast<std::int64_t>(findings.size());
  for (const auto& [identity, facts] : adjusted) {
    Standing& item = at(identity, run_id);
    item.facts = facts;
    // A match whose difference was settled is found again every day.
    if (item.settled()) continue;
    // Found and settled on one day.
    if (!item.stands()) {
      item.open(day);
      counts.opened++;
    }
    item.close(day, true);
    item.last_run_id = run_id;
    counts.cleared++;
  }
  for (auto& [identity, item] : standing_) {
    if (!item.stands() || findings.contains(identity)) continue;
    item.close(day, false);
    item.last_run_id = run_id;
    counts.cleared++;
  }
  for (const auto& [identity, facts] : findings) {
    Standing& item = at(identity, run_id);
    if (!item.stands()) {
      counts.opened++;
      item.open(day);
      item.last_run_id = run_id;
    } else if (item.facts != facts) {
      item.last_run_id = run_id;
    }
    item.facts = facts;
  }
  last_run_id_ = run_id;
  return counts;
}

std::vector<DiscrepancyChange> DiscrepancyLedger::changes() const {
  std::vector<DiscrepancyChange> changes;
  for (const auto& [identity, item] : standing_) {
    const auto at = stored_.find(identity);
    const DiscrepancyEpisode& episode = item.episodes.back();
    const std::vector<DiscrepancyEpisode> earlier(item.episodes.begin(), item.episodes.end() - 1);
    const DiscrepancyEvent ended = episode.adjusted ? DiscrepancyEvent::resolved : DiscrepancyEvent::cleared;
    DiscrepancyChange change{
        DiscrepancyEvent::opened, identity,        std::nullopt, item.facts, episode, earlier,
        item.first_run_id,        item.last_run_id};
    if (at == stored_.end()) {
      changes.push_back(change);
      if (episode.cleared_on) {
        change.event = ended;
        changes.push_back(change);
      }
      continue;
    }
    const StoredDiscrepancy& before = at->second;
    change.discrepancy_id = before.discrepancy_id;
    change.first_run_id = before.first_run_id;
    if (change.last_run_id == 0) change.last_run_id = last_run_id_;
    if (episode.cleared_on.has_value() != before.episode.cleared_on.has_value() ||
        episode.adjusted != before.episode.adjusted) {
      change.event = episode.cleared_on ? ended : DiscrepancyEvent::reopened;
      changes.push_back(change);
    } else if (item.facts != before.facts) {
      change.event = DiscrepancyEvent::changed;
      changes.push_back(change);
    } else if (episode != before.episode || earlier != before.earlier) {
      change.event = DiscrepancyEvent::redated;
      changes.push_back(change);
    }
  }
  // What the chain was to find again and did not: the data has changed, and by now it never stood. It ends on
  // the day that it began, so that a later chain does not take it for something that still stands.
  for (const auto& [identity, before] : stored_) {
    if (standing_.contains(identity)) continue;
    const DiscrepancyEpisode never{before.episode.opened_on, before.episode.opened_on, false};
    if (before.episode == never && before.earlier.empty()) continue;
    const bool over = before.episode.cleared_on.has_value() && !before.episode.adjusted;
    changes.push_back({over ? DiscrepancyEvent::redated : DiscrepancyEvent::cleared,
                       identity,
                       before.discrepancy_id,
                       before.facts,
                       never,
                       {},
                       before.first_run_id,
                       last_run_id_});
  }
  return changes;
}

}  // namespace pg_reconcile::core
