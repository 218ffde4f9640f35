#include "core/matching/proof.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

using namespace pg_reconcile::core;

namespace {

Decimal money(std::string_view text) {
  return *Decimal::parse(text);
}

// A day that closes: opening 1 / 10 left; in 3 / 60 left, 3 / 75 right; matched 2 / 50 each; adjusted 1 / 5
// right; closing 2 / 20 left, 1 / 20 right; of it in transit 1 / -10, discrepancies 2 / 10.
CurrencyFigures closing_day() {
  CurrencyFigures f;
  f.left.opening = {1, money("10")};
  f.left.in = f.left.detail_in = {3, money("60")};
  f.left.matched = {2, money("50")};
  f.left.closing = {2, money("20")};
  f.right.in = f.right.detail_in = {4, money("75")};
  f.right.matched = {2, money("50")};
  f.right.adjusted = {1, money("5")};
  f.right.closing = {1, money("20")};
  f.opening_in_transit = money("-10");
  f.in_transit = {1, money("-10")};
  f.discrepancy = {2, money("10")};
  f.adjustments = money("5");
  f.earlier_in = money("-10");
  f.left_fee = money("0.30");
  f.right_fee = money("0.20");
  f.fee_discrepancy = money("0.10");
  return f;
}

std::vector<std::string> failing(const CurrencyFigures& f) {
  std::vector<std::string> names;
  for (const ProofLine& line : prove_day({{"CNY", f}}).lines) {
    if (!line.holds) names.push_back(line.line);
  }
  return names;
}

}  // namespace

TEST_CASE("a day that closes proves every line") {
  const Proof proof = prove_day({{"CNY", closing_day()}});
  CHECK(proof.holds());
  CHECK(proof.failures().empty());
  CHECK(proof.difference().is_zero());
  std::vector<std::string> lines;
  for (const ProofLine& line : proof.lines) lines.push_back(line.line);
  CHECK(lines ==
        std::vector<std::string>{"a.left", "a.right", "b", "c", "d", "e", "g.left", "g.right", "fee"});
  CHECK(prove_day({}).holds());
}

TEST_CASE("each figure that is off by a cent, and each count, fails the lines that it is part of") {
  using Tamper = std::function<void(CurrencyFigures&)>;
  const Decimal cent = money("0.01");
  const std::vector<std::pair<Tamper, std::vector<std::string>>> cases{
      {[&](auto& f) { f.left.opening.amount += cent; }, {"a.left"}},
      {[&](auto& f) { f.left.opening.count++; }, {"a.left"}},
      {[&](auto& f) { f.right.opening.amount += cent; }, {"a.right"}},
      {[&](auto& f) { f.right.closing.count--; }, {"a.right"}},
      {[&](auto& f) { f.left.closing.amount += cent; }, {"a.left"}},
      {[&](auto& f) { f.right.matched.amount += cent; }, {"a.right", "b"}},
      {[&](auto& f) { f.left.matched.count++; }, {"a.left"}},
      {[&](auto& f) { f.right.adjusted.amount += cent; }, {"a.right"}},
      {[&](auto& f) { f.residual += cent; }, {"b", "c", "d"}},
      {[&](auto& f) { f.adjustments += cent; }, {"c", "d"}},
      {[&](auto& f) { f.in_transit.amount += cent; }, {"c", "d"}},
      {[&](auto& f) { f.discrepancy.amount += cent; }, {"c", "d"}},
      {[&](auto& f) { f.opening_in_transit += cent; }, {"c"}},
      {[&](auto& f) { f.opening_discrepancy += cent; }, {"c"}},
      {[&](auto& f) { f.earlier_in += cent; }, {"d"}},
      {[&](auto& f) { f.earlier_explained += cent; }, {"d"}},
      {[&](auto& f) { f.statement_difference += cent; }, {"e"}},
      {[&](auto& f) { f.statement_entries_missing = 1; }, {"e"}},
      {[&](auto& f) { f.left.detail_in.amount += cent; }, {"g.left"}},
      {[&](auto& f) { f.right.detail_in.count++; }, {"g.right"}},
      {[&](auto& f) { f.digests_agree = false; }, {"g.left", "g.right"}},
      {[&](auto& f) { f.left.in.amount += cent; }, {"a.left", "c", "d", "g.left"}},
      {[&](auto& f) { f.left_fee += cent; }, {"fee"}},
      {[&](auto& f) { f.right_fee += cent; }, {"fee"}},
      {[&](auto& f) { f.fee_discrepancy += cent; }, {"fee"}},
  };
  for (std::size_t i = 0; i < cases.size(); i++) {
    CAPTURE(i);
    CurrencyFigures f = closing_day();
    cases[i].first(f);
    CHECK(failing(f) == cases[i].second);
  }
}

TEST_CASE("the source's own count is a line where there is one") {
  CurrencyFigures f = closing_day();
  f.has_control = true;
  f.control = f.left.in;
  CHECK(failing(f).empty());
  f.control.count++;
  CHECK(failing(f) == std::vector<std::string>{"f"});
  f.control = {3, money("59.99")};
  CHECK(failing(f) == std::vector<std::string>{"f"});
}

TEST_CASE("errors of opposite signs, lines or currencies never cancel") {
  CurrencyFigures more = closing_day();
  more.statement_difference = money("7");
  CurrencyFigures less = closing_day();
  less.statement_difference = money("-7");
  const Proof proof = prove_day({{"CNY", more}, {"EUR", less}});
  CHECK_FALSE(proof.holds());
  CHECK(proof.difference() == money("14"));
  CHECK(proof.difference("CNY") == money("7"));
  CHECK(proof.difference("EUR") == money("7"));
  CHECK(proof.difference("USD").is_zero());
}

TEST_CASE("a failure names its line, currency and terms") {
  CurrencyFigures f = closing_day();
  f.statement_difference = money("-0.5");
  f.statement_entries_missing = 2;
  CHECK(prove_day({{"CNY", f}}).failures() ==
        "line e (CNY) is off by -0.50: statements' totals - their entries 2 / -0.50");
}

TEST_CASE("fees that cannot be compared are counted in words, and differ from nothing") {
  CurrencyFigures f = closing_day();
  f.fees_not_compared = 2;
  const Proof proof = prove_day({{"CNY", f}});
  CHECK(proof.holds());
  CHECK(proof.lines.back().line == "fee");
  CHECK(proof.lines.back().terms.find("another currency: fees of 2 pairs") != std::string::npos);
}
