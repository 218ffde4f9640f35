#include "core/matching/pair_component.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/matching/disjoint_sets.h"

namespace pg_reconcile::core {
namespace {

constexpr int cuts_max = 16;
constexpr std::uint64_t checks_per_entry_max = 256;
constexpr std::size_t poll_checks = 16384;

std::uint32_t status_pair(std::uint16_t left, std::uint16_t right) {
  return (static_cast<std::uint32_t>(left) << 16) | right;
}

}  // namespace

PairComponents::PairComponents(const RuleDefinition& rule, const RuleInput& input, Interrupts& interrupts)
    : rule_(rule), input_(input), interrupts_(interrupts) {
  for (const StatusPair& pair : input.statuses) statuses_.push_back(status_pair(pair.left, pair.right));
  std::sort(statuses_.begin(), statuses_.end());
}

PairComponents::Reach PairComponents::reach(std::uint32_t left, Axis axis) const {
  const RuleEntry& entry = input_.left[left];
  if (axis == Axis::amount) {
    const AmountRange range = rule_.amount.rights_of(entry.amount);
    return {range.least.units(), range.most.units(), left};
  }
  const auto at = static_cast<int128>(*entry.at);
  return {at - rule_.window->before, at + rule_.window->after, left};
}

bool PairComponents::admits(std::uint32_t left, std::uint32_t right) const {
  const RuleEntry& l = input_.left[left];
  const RuleEntry& r = input_.right[right];
  if (rule_.window) {
    const int128 later = static_cast<int128>(*r.at) - *l.at;
    if (later < -rule_.window->before || later > rule_.window->after) return false;
  }
  if (!rule_.statuses.empty() && !std::binary_search(statuses_.begin(), statuses_.end(),
                                                     status_pair(l.source_status, r.source_status))) {
    return false;
  }
  return rule_.amount.accepts(l.amount, r.amount);
}

AssignmentEdge PairComponents::edge(std::uint32_t left, std::uint32_t right) const {
  const RuleEntry& l = input_.left[left];
  const RuleEntry& r = input_.right[right];
  std::int64_t distance = 0;
  if (rule_.window) distance = *r.at < *l.at ? *l.at - *r.at : *r.at - *l.at;
  return {0, 0, (r.amount - l.amount).magnitude().units(), distance};
}

bool PairComponents::is_small(const Piece& piece) const {
  return piece.left.size() <= component_entries_max && piece.right.size() <= component_entries_max;
}

// Both ends of a left's reach move up with it, so both pointers only move up.
PairComponents::Sweep PairComponents::sweep(const Piece& piece, Axis axis) const {
  std::vector<Reach> reaches;
  for (const std::uint32_t left : piece.left) reaches.push_back(reach(left, axis));
  std::vector<Place> places;
  for (const std::uint32_t right : piece.right) {
    const RuleEntry& entry = input_.right[right];
    places.push_back({axis == Axis::amount ? entry.amount.units() : static_cast<int128>(*entry.at), right});
  }
  std::sort(reaches.begin(), reaches.end(), [](const Reach& a, const Reach& b) {
    return std::tie(a.least, a.most, a.index) < std::tie(b.least, b.most, b.index);
  });
  std::sort(places.begin(), places.end(),
            [](const Place& a, const Place& b) { return std::tie(a.at, a.index) < std::tie(b.at, b.index); });
  interrupts_.poll();
  Sweep result;
  for (const Place& place : places) result.rights.push_back(place.index);
  std::size_t begin = 0;
  std::size_t end = 0;
  for (const Reach& left : reaches) {
    while (begin < places.size() && places[begin].at < left.least) begin++;
    end = std::max(end, begin);
    while (end < places.size() && places[end].at <= left.most) end++;
    if (begin == end) continue;
    result.lefts.push_back({left.index, begin, end});
    result.pairs += end - begin;
  }
  return result;
}

void PairComponents::cut(const Piece& piece, std::vector<Piece>& pieces) const {
  const Sweep swept = sweep(piece, piece.axis);
  const Axis other = rule_.window && piece.axis == Axis::amount ? Axis::time : Axis::amount;
  for (std::size_t i = 0; i < swept.lefts.size();) {
    Piece part{{}, {}, other, piece.cuts + 1, 0};
    const std::size_t begin = swept.lefts[i].begin;
    std::size_t end = begin;
    do {
      part.left.push_back(swept.lefts[i].left);
      end = swept.lefts[i].end;
      i++;
    } while (i < swept.lefts.size() && swept.lefts[i].begin < end);
    part.right.assign(swept.rights.begin() + static_cast<std::ptrdiff_t>(begin),
                      swept.rights.begin() + static_cast<std::ptrdiff_t>(end));
    const bool whole = part.left.size() == piece.left.size() && part.right.size() == piece.right.size();
    if (whole) part.in_vain = piece.in_vain + 1;
    pieces.push_back(std::move(part));
  }
}

void PairComponents::visit(std::vector<std::uint32_t> left, std::vector<std::uint32_t> right,
                           const Visit& visit) {
  std::vector<Piece> pieces;
  pieces.push_back({std::move(left), std::move(right), Axis::amount, 0, 0});
  const int axes = rule_.window ? 2 : 1;
  while (!pieces.empty()) {
    interrupts_.poll();
    Piece piece = std::move(pieces.back());
    pieces.pop_back();
    if (is_small(piece)) {
      look_at_pairs(piece, visit);
    } else if (piece.cuts < cuts_max && piece.in_vain < axes) {
      cut(piece, pieces);
    } else {
      look_along_sweep(piece, visit);
    }
  }
}

void PairComponents::look_at_pairs(const Piece& piece, const Visit& visit) {
  const auto lefts = static_cast<std::uint32_t>(piece.left.size());
  const auto rights = static_cast<std::uint32_t>(piece.right.size());
  DisjointSets sets(lefts + rights);
  std::vector<AssignmentEdge> edges;
  for (std::uint32_t l = 0; l < lefts; l++) {
    for (std::uint32_t r = 0; r < rights; r++) {
      if (!admits(piece.left[l], piece.right[r])) continue;
      AssignmentEdge found = edge(piece.left[l], piece.right[r]);
      found.left = l;
      found.right = r;
      edges.push_back(found);
      sets.join(l, lefts + r);
    }
  }
  if (edges.empty()) return;
  std::vector<PairComponent> components;
  std::vector<std::uint32_t> component_of(lefts + rights, DisjointSets::none);
  std::vector<std::uint32_t> place_in(lefts + rights);
  const auto place = [&](std::uint32_t node, std::uint32_t index, auto member) {
    std::uint32_t& component = component_of[sets.find(node)];
    if (component == DisjointSets::none) {
      component = static_cast<std::uint32_t>(components.size());
      components.emplace_back();
    }
    std::vector<std::uint32_t>& list = components[component].*member;
    place_in[node] = static_cast<std::uint32_t>(list.size());
    list.push_back(index);
  };
  for (std::uint32_t l = 0; l < lefts; l++) place(l, piece.left[l], &PairComponent::left);
  for (std::uint32_t r = 0; r < rights; r++) place(lefts + r, piece.right[r], &PairComponent::right);
  for (AssignmentEdge& found : edges) {
    PairComponent& component = components[component_of[sets.find(found.left)]];
    found.left = place_in[found.left];
    found.right = place_in[lefts + found.right];
    component.edges.push_back(found);
  }
  for (PairComponent& component : components) {
    if (!component.edges.empty()) visit(std::move(component));
  }
}

// A large piece that no sweep cuts may still consist of small components. Pairs are looked at along the axis
// with shorter stretches, as far as that stays linear, and are not kept.
void PairComponents::look_along_sweep(const Piece& piece, const Visit& visit) {
  Sweep swept = sweep(piece, Axis::amount);
  if (rule_.window) {
    Sweep by_time = sweep(piece, Axis::time);
    if (by_time.pairs < swept.pairs) swept = std::move(by_time);
  }
  if (swept.pairs > checks_per_entry_max * (piece.left.size() + piece.right.size())) {
    give_up(piece, visit);
    return;
  }
  const auto lefts = static_cast<std::uint32_t>(swept.lefts.size());
  DisjointSets sets(lefts + swept.rights.size());
  std::size_t checks = 0;
  for (std::uint32_t l = 0; l < lefts; l++) {
    for (std::size_t r = swept.lefts[l].begin; r < swept.lefts[l].end; r++) {
      if (checks++ % poll_checks == 0) interrupts_.poll();
      if (admits(swept.lefts[l].left, swept.rights[r])) sets.join(l, lefts + static_cast<std::uint32_t>(r));
    }
  }
  std::vector<Piece> parts(lefts + swept.rights.size());
  for (std::uint32_t l = 0; l < lefts; l++) parts[sets.find(l)].left.push_back(swept.lefts[l].left);
  for (std::uint32_t r = 0; r < swept.rights.size(); r++) {
    parts[sets.find(lefts + r)].right.push_back(swept.rights[r]);
  }
  for (Piece& part : parts) {
    if (part.left.empty() || part.right.empty()) continue;
    if (is_small(part)) {
      look_at_pairs(part, visit);
    } else {
      give_up(std::move(part), visit);
    }
  }
}

void PairComponents::give_up(Piece piece, const Visit& visit) const {
  visit({std::move(piece.left), std::move(piece.right), {}, true});
}

}  // namespace pg_reconcile::core
