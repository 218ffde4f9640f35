#include "extension/run/decided_match.h"

#include <algorithm>
#include <unordered_map>

#include "extension/run/stored_rows.h"

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

// Looks members up by the hash of their identity, and by the identity itself where that fits.
class Locator {
 public:
  Locator(const BookDay& book, const Dictionary& currencies, std::vector<Member>& members)
      : book_(book), currencies_(currencies), members_(members) {
    for (std::size_t i = 0; i < members.size(); i++) {
      by_identity_.emplace(identity_hash(members[i].source_id, members[i].source_key), i);
    }
  }

  void locate(pg::Spi& spi) {
    if (members_.empty()) return;
    LocatedRows rows;
    for (std::uint32_t i = 0; i < book_.entries.size(); i++) {
      if (i % 65536 == 0) pg::check_for_interrupts();
      const core::MatchEntry& entry = book_.entries[i];
      if (!by_identity_.contains(entry.tie)) continue;
      if (entry.carried) {
        const CarriedItem& item = book_.carried[book_.locations[i].tuple];
        take(i, item.source_id, item.source_key);
      } else {
        rows.add(book_.locations[i], i);
      }
    }
    rows.for_each_leaf(spi, [&](const std::string& leaf, const Argument& tuples, const Argument& numbers) {
      spi.run(
          "SELECT u.number, e.source_id, e.source_key FROM unnest($1::text[]::tid[], $2) AS u (tuple, "
          "number) JOIN ONLY " +
              leaf + " e ON e.ctid = u.tuple",
          {tuples, numbers});
      for (std::uint64_t row = 0; row < spi.rows(); row++) {
        take(static_cast<std::uint32_t>(spi.int8(row, 0)), static_cast<std::int32_t>(spi.int8(row, 1)),
             spi.text(row, 2));
      }
    });
  }

 private:
  void take(std::uint32_t index, std::int32_t source_id, const std::string& source_key) {
    const core::MatchEntry& entry = book_.entries[index];
    const auto [begin, end] = by_identity_.equal_range(entry.tie);
    for (auto at = begin; at != end; ++at) {
      Member& member = members_[at->second];
      if (member.source_id == source_id && member.source_key == source_key && member.amount == entry.amount &&
          member.currency == currencies_.text(entry.currency)) {
        member.found = index;
      }
    }
  }

  const BookDay& book_;
  const Dictionary& currencies_;
  std::vector<Member>& members_;
  std::unordered_multimap<std::uint64_t, std::size_t> by_identity_;
};

}  // namespace

std::vector<DecidedMatch> read_decisions(pg::Spi& spi, const LegConfig& leg, core::Date day,
                                         const BookDay& left, const BookDay& right,
                                         const Dictionary& currencies) {
  spi.run(
      "SELECT d.decision_id, d.decision = 'confirmed', d.rule, d.rule_version, d.tolerance::text, "
      "m.on_right, "
      "(m.entry ->> 'source_id')::integer, m.entry ->> 'source_key', "
      "trim_scale((m.entry ->> 'amount')::numeric)::text, m.entry ->> 'currency' "
      "FROM reconcile.standing_decisions($1, $2, $3, $4) d CROSS JOIN LATERAL ("
      "SELECT false AS on_right, l.entry FROM jsonb_array_elements(d.left_entries) AS l (entry) UNION ALL "
      "SELECT true, r.entry FROM jsonb_array_elements(d.right_entries) AS r (entry)) m "
      "WHERE NOT EXISTS (SELECT FROM reconcile.match_group g WHERE g.decision_id = d.decision_id "
      "AND g.business_date < $4) ORDER BY d.decision_id",
      {Argument::text(leg.channel), Argument::text(leg.account), Argument::text(leg.leg),
       Argument::date(day)});
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
  Locator(left, currencies, left_members).locate(spi);
  Locator(right, currencies, right_members).locate(spi);

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
