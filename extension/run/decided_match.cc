#include "extension/run/decided_match.h"

#include <algorithm>
#include <map>

namespace pg_reconcile {
namespace {

using pg::Argument;

struct Member {
  std::size_t decision;  // index
  std::int32_t source_id;
  std::string source_key;
  core::Decimal amount;
  std::string currency;
  std::optional<std::uint32_t> found;
};

// Looks members up among a book's entries.
void locate(const BookDay& book, const Dictionary& currencies, std::vector<Member>& members) {
  if (members.empty()) return;
  std::multimap<core::uint128, Member*> by_identity;
  for (Member& member : members) {
    by_identity.emplace(identity_hash(member.source_id, member.source_key), &member);
  }
  for (std::uint32_t i = 0; i < book.entries.size(); i++) {
    if (i % 65536 == 0) pg::check_for_interrupts();
    const core::MatchEntry& entry = book.entries[i];
    const core::EntrySource& source = book.sources[i];
    const auto [begin, end] = by_identity.equal_range(entry.identity);
    for (auto at = begin; at != end; ++at) {
      Member& member = *at->second;
      if (member.source_id == source.source_id && member.source_key == source.source_key &&
          member.amount == entry.amount && member.currency == currencies.text(entry.currency)) {
        member.found = i;
      }
    }
  }
}

// Of the decisions that no earlier day has made use of.
constexpr const char* standing_members =
    "FROM reconcile.standing_decisions($1, $2, $3, $4) d CROSS JOIN LATERAL ("
    "SELECT false AS on_right, l.entry FROM jsonb_array_elements(d.left_entries) AS l (entry) UNION ALL "
    "SELECT true, r.entry FROM jsonb_array_elements(d.right_entries) AS r (entry)) m "
    "WHERE NOT EXISTS (SELECT FROM reconcile.match_group g WHERE g.decision_id = d.decision_id "
    "AND g.business_date < $4) ORDER BY d.decision_id";

std::vector<Argument> day_arguments(const LegConfig& leg, core::Date day) {
  return {Argument::text(leg.channel), Argument::text(leg.account), Argument::text(leg.leg),
          Argument::date(day)};
}

}  // namespace

std::vector<core::MatchedGroup> confirmed_groups(const std::vector<DecidedMatch>& decisions) {
  std::vector<core::MatchedGroup> groups;
  for (const DecidedMatch& decision : decisions) {
    if (decision.confirmed) groups.push_back(decision.group);
  }
  return groups;
}

std::vector<core::uint128> decided_identities(pg::Spi& spi, const LegConfig& leg, core::Date day) {
  spi.run(
      std::string("SELECT (m.entry ->> 'source_id')::integer, m.entry ->> 'source_key' ") + standing_members,
      day_arguments(leg, day));
  std::vector<core::uint128> identities;
  for (std::uint64_t i = 0; i < spi.rows(); i++) {
    identities.push_back(identity_hash(static_cast<std::int32_t>(spi.int8(i, 0)), spi.text(i, 1)));
  }
  return identities;
}

std::vector<DecidedMatch> read_decisions(pg::Spi& spi, const LegConfig& leg, core::Date day,
                                         const BookDay& left, const BookDay& right,
                                         const Dictionary& currencies) {
  spi.run(std::string(
              "SELECT d.decision_id, d.decision = 'confirmed', d.rule, d.rule_version, d.tolerance::text, "
              "m.on_right, "
              "(m.entry ->> 'source_id')::integer, m.entry ->> 'source_key', "
              "trim_scale((m.entry ->> 'amount')::numeric)::text, m.entry ->> 'currency' ") +
              standing_members,
          day_arguments(leg, day));
  std::vector<DecidedMatch> decided;
  std::vector<Member> left_members;
  std::vector<Member> right_members;
  for (std::uint64_t i = 0; i < spi.rows(); i++) {
    const std::int64_t id = spi.int8(i, 0);
    if (decided.empty() || decided.back().decision_id != id) {
      decided.push_back({id,
                         spi.boolean(i, 1),
                         spi.text(i, 2),
                         static_cast<std::int32_t>(spi.int8(i, 3)),
                         spi.text_or_null(i, 4),
                         {{}, {}, 0}});
    }
    (spi.boolean(i, 5) ? right_members : left_members)
        .push_back({decided.size() - 1, static_cast<std::int32_t>(spi.int8(i, 6)), spi.text(i, 7),
                    exact_decimal(spi.text(i, 8)), spi.text(i, 9), std::nullopt});
  }
  locate(left, currencies, left_members);
  locate(right, currencies, right_members);

  std::vector<char> incomplete(decided.size());
  const auto put = [&](const std::vector<Member>& members,
                       std::vector<std::uint32_t> core::MatchedGroup::*side) {
    for (const Member& member : members) {
      if (member.found) {
        (decided[member.decision].group.*side).push_back(*member.found);
      } else {
        incomplete[member.decision] = 1;
      }
    }
  };
  put(left_members, &core::MatchedGroup::left);
  put(right_members, &core::MatchedGroup::right);
  std::vector<DecidedMatch> complete;
  for (std::size_t i = 0; i < decided.size(); i++) {
    if (incomplete[i]) continue;
    std::sort(decided[i].group.left.begin(), decided[i].group.left.end());
    std::sort(decided[i].group.right.begin(), decided[i].group.right.end());
    complete.push_back(std::move(decided[i]));
  }
  return complete;
}

}  // namespace pg_reconcile
