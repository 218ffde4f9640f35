#include "core/matching/discrepancy_ledger.h"

#include <algorithm>
#include <utility>

namespace pg_reconcile::core {
namespace {

bool same(const std::optional<std::string>& a, const std::optional<std::string>& b) {
  return a && b && *a == *b;
}

}  // namespace

DiscrepancyLedger::DiscrepancyLedger(std::map<DiscrepancyIdentity, StoredDiscrepancy> stored, Date first_day)
    : stored_(std::move(stored)) {
  for (const auto& [identity, item] : stored_) {
    if (item.opened_on >= first_day) continue;  // the chain finds out anew
    const bool open = !item.cleared_on || *item.cleared_on >= first_day;
    standing_.emplace(identity, Standing{item.facts, item.opened_on, open ? std::nullopt : item.cleared_on,
                                         !open && item.adjusted, item.first_run_id, 0});
  }
}

std::vector<DiscrepancyIdentity> DiscrepancyLedger::identify(
    const std::vector<FoundItems>& found, const std::set<DiscrepancyIdentity>& taken) const {
  std::vector<DiscrepancyIdentity> identities(found.size());
  std::set<DiscrepancyIdentity> assigned = taken;
  const auto assign = [&](const auto& fits) {
    for (std::size_t i = 0; i < found.size(); i++) {
      if (identities[i].ordinal != 0) continue;
      for_each_known(found[i].item_key, found[i].entry_kind, [&](const DiscrepancyIdentity& identity) {
        if (identities[i].ordinal != 0 || assigned.contains(identity)) return;
        const auto standing = standing_.find(identity);
        const bool settled = standing != standing_.end() && standing->second.adjusted;
        if ((settled && !found[i].of_match) || !fits(identity, found[i])) return;
        identities[i] = identity;
        assigned.insert(identity);
      });
    }
  };
  for (DiscrepancyIdentity& identity : identities) identity.ordinal = 0;
  assign([this](const DiscrepancyIdentity& identity, const FoundItems& items) {
    const DiscrepancyFacts& facts = known_facts(identity);
    return facts.left_id == items.left_id && facts.right_id == items.right_id;
  });
  assign([this](const DiscrepancyIdentity& identity, const FoundItems& items) {
    const DiscrepancyFacts& facts = known_facts(identity);
    return same(facts.left_id, items.left_id) || same(facts.right_id, items.right_id);
  });
  assign([this](const DiscrepancyIdentity& identity, const FoundItems&) {
    const auto stored = stored_.find(identity);
    const auto standing = standing_.find(identity);
    return stored != stored_.end() && stored->second.gone &&
           (standing == standing_.end() || !standing->second.cleared_on);
  });
  for (std::size_t i = 0; i < found.size(); i++) {
    if (identities[i].ordinal != 0) continue;
    std::int32_t last = 0;
    const auto count = [&last](const DiscrepancyIdentity& identity) {
      last = std::max(last, identity.ordinal);
    };
    for_each_known(found[i].item_key, found[i].entry_kind, count);
    for (const DiscrepancyIdentity& identity : assigned) {
      if (identity.item_key == found[i].item_key && identity.entry_kind == found[i].entry_kind)
        count(identity);
    }
    identities[i] = {found[i].item_key, found[i].entry_kind, last + 1};
    assigned.insert(identities[i]);
  }
  return identities;
}

// What the chain found last, else what is stored.
const DiscrepancyFacts& DiscrepancyLedger::known_facts(const DiscrepancyIdentity& identity) const {
  const auto standing = standing_.find(identity);
  return standing != standing_.end() ? standing->second.facts : stored_.at(identity).facts;
}

template <class Use>
void DiscrepancyLedger::for_each_known(const std::string& item_key, const std::string& entry_kind,
                                       const Use& use) const {
  const DiscrepancyIdentity first{item_key, entry_kind, 0};
  auto stored = stored_.lower_bound(first);
  auto standing = standing_.lower_bound(first);
  const auto of_key = [&](const auto& at, const auto& map) {
    return at != map.end() && at->first.item_key == item_key && at->first.entry_kind == entry_kind;
  };
  while (of_key(stored, stored_) || of_key(standing, standing_)) {
    const bool take_stored =
        !of_key(standing, standing_) || (of_key(stored, stored_) && stored->first <= standing->first);
    const DiscrepancyIdentity& identity = take_stored ? stored->first : standing->first;
    const bool both = take_stored && of_key(standing, standing_) && standing->first == identity;
    use(identity);
    if (take_stored) stored++;
    if (!take_stored || both) standing++;
  }
}

DayFindings DiscrepancyLedger::take(Date day, std::int64_t run_id,
                                    std::map<DiscrepancyIdentity, DiscrepancyFacts> findings,
                                    std::map<DiscrepancyIdentity, DiscrepancyFacts> adjusted) {
  DayFindings counts;
  counts.open = static_cast<std::int64_t>(findings.size());
  for (auto& [identity, facts] : adjusted) {
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
  for (auto& [identity, facts] : findings) {
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
    item.facts = std::move(facts);
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
  // What the chain was to find again and did not: the data has changed, and by now it never stood.
  for (const auto& [identity, before] : stored_) {
    if (standing_.contains(identity) || (before.cleared_on && !before.adjusted)) continue;
    changes.push_back({DiscrepancyEvent::cleared, identity, before.discrepancy_id, before.facts,
                       before.opened_on, before.cleared_on.value_or(before.opened_on), before.first_run_id,
                       last_run_id_});
  }
  return changes;
}

}  // namespace pg_reconcile::core
