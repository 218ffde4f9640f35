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
    if (item.gone && !item.adjusted && !item.cleared_on)
      replaceable_[{identity.item_key, identity.entry_kind}].push_back(identity);
    if (item.opened_on >= first_day) continue;  // the chain finds out anew
    const bool open = !item.cleared_on || *item.cleared_on >= first_day;
    standing_.emplace(identity, Standing{item.facts, item.opened_on, open ? std::nullopt : item.cleared_on,
                                         !open && item.adjusted, item.first_run_id, 0});
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
    if (item.cleared_on || item.facts.kind != kind) continue;
    const auto& entry = item.facts.left_entry ? item.facts.left_entry : item.facts.right_entry;
    if (entry) entries.push_back(*entry);
  }
  return entries;
}

DayFindings DiscrepancyLedger::take(Date day, std::int64_t run_id,
                                    const std::map<DiscrepancyIdentity, DiscrepancyFacts>& findings,
                                    const std::map<DiscrepancyIdentity, DiscrepancyFacts>& adjusted) {
  DayFindings counts;
  counts.open = static_cast<std::int64_t>(findings.size());
  for (const auto& [identity, facts] : adjusted) {
    const auto [at, fresh] =
        standing_.try_emplace(identity, Standing{facts, day, std::nullopt, false, run_id, run_id});
    Standing& item = at->second;
    // Found and settled on one day; a match whose difference was settled is found again every day.
    if (!fresh && item.cleared_on) continue;
    if (fresh) counts.opened++;
    item.cleared_on = day;
    item.adjusted = true;
    item.last_run_id = run_id;
    counts.cleared++;
  }
  for (auto& [identity, item] : standing_) {
    if (item.cleared_on || findings.contains(identity)) continue;
    item.cleared_on = day;
    item.last_run_id = run_id;
    counts.cleared++;
  }
  for (const auto& [identity, facts] : findings) {
    const auto [at, fresh] =
        standing_.try_emplace(identity, Standing{{}, day, std::nullopt, false, run_id, run_id});
    Standing& item = at->second;
    if (fresh || item.cleared_on) {
      counts.opened++;
      item.opened_on = day;
      item.cleared_on.reset();
      item.adjusted = false;
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
    DiscrepancyChange change{DiscrepancyEvent::opened, identity,        std::nullopt,      item.facts,
                             item.opened_on,           item.cleared_on, item.first_run_id, item.last_run_id};
    if (at == stored_.end()) {
      changes.push_back(change);
      if (item.cleared_on) {
        change.event = item.adjusted ? DiscrepancyEvent::resolved : DiscrepancyEvent::cleared;
        changes.push_back(change);
      }
      continue;
    }
    const StoredDiscrepancy& before = at->second;
    change.discrepancy_id = before.discrepancy_id;
    change.first_run_id = before.first_run_id;
    if (change.last_run_id == 0) change.last_run_id = last_run_id_;
    if (item.cleared_on.has_value() != before.cleared_on.has_value() || item.adjusted != before.adjusted) {
      change.event = !item.cleared_on ? DiscrepancyEvent::reopened
                     : item.adjusted  ? DiscrepancyEvent::resolved
                                      : DiscrepancyEvent::cleared;
      changes.push_back(change);
    } else if (item.facts != before.facts) {
      change.event = DiscrepancyEvent::changed;
      changes.push_back(change);
    } else if (item.opened_on != before.opened_on || item.cleared_on != before.cleared_on) {
      change.event = DiscrepancyEvent::redated;
      changes.push_back(change);
    }
  }
  // What the chain was to find again and did not: the data has changed, and by now it never stood. It ends on
  // the day that it began, so that a later chain does not take it for something that still stands.
  for (const auto& [identity, before] : stored_) {
    const bool over = before.cleared_on.has_value() && !before.adjusted;
    if (standing_.contains(identity) || (over && *before.cleared_on == before.opened_on)) continue;
    changes.push_back({over ? DiscrepancyEvent::redated : DiscrepancyEvent::cleared, identity,
                       before.discrepancy_id, before.facts, before.opened_on, before.opened_on,
                       before.first_run_id, last_run_id_});
  }
  return changes;
}

}  // namespace pg_reconcile::core
