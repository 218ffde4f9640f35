// The proof of a day (DESIGN "A run, and when its result may be believed", lines a to g): exact, per
// currency.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/money/decimal.h"

namespace pg_reconcile::core {

struct CountAndAmount {
  std::int64_t count = 0;
  Decimal amount;

  void add(Decimal value, std::int64_t times = 1) {
    count += times;
    amount += value;
  }
  friend bool operator==(const CountAndAmount&, const CountAndAmount&) = default;
};

// What one book did in a day, in one currency.
struct BookFigures {
  CountAndAmount opening;    // unmatched, carried in: U(d-1)
  CountAndAmount in;         // effective entries taken in: E, by the aggregate path
  CountAndAmount detail_in;  // the same, by the detail path
  CountAndAmount matched;    // closed by matches: M
  CountAndAmount adjusted;   // closed by approved adjustments: A
  CountAndAmount closing;    // still unmatched: U(d)
};

// What a day is proved by, in one currency. "Signed" amounts count right items positive and left items
// negative.
struct CurrencyFigures {
  BookFigures left;
  BookFigures right;
  CountAndAmount in_transit;    // signed: T(d)
  CountAndAmount discrepancy;   // signed: X(d)
  Decimal opening_in_transit;   // signed: T(d-1)
  Decimal opening_discrepancy;  // signed: X(d-1)
  Decimal residual;             // R(d)
  Decimal adjustments;          // what approved adjustments of this day say: W(d)
  Decimal left_fee;             // over the day's matched pairs where both books state a fee in this currency
  Decimal right_fee;
  Decimal fee_discrepancy;                     // left minus right fee over the day's fee mismatches
  std::int64_t fees_not_compared = 0;          // pairs whose right book states its fee in another currency
  Decimal statement_difference;                // statements' own totals minus their entries
  std::int64_t statement_entries_missing = 0;  // the same, counted
  Decimal earlier_in;                          // since go-live, before this day: sum of right.in - left.in
  Decimal earlier_explained;                   // since go-live, before this day: sum of R + W
  bool has_control = false;                    // a control query is configured
  CountAndAmount control;                      // what the source itself counts in the left book
  bool digests_agree = true;                   // detail path and aggregate path
};

struct ProofLine {
  std::string line;  // "a.left", "a.right", "b", ... as in the design
  std::string currency;
  bool holds = true;
  Decimal difference;  // unexplained amount; 0 when the line fails by count or digest alone
  std::string terms;   // the figures, for people
};

struct Proof {
  std::vector<ProofLine> lines;
  [[nodiscard]] bool holds() const;
  // Sum of |difference| of the lines, of one currency or ("") of all.
  [[nodiscard]] Decimal difference(std::string_view currency = {}) const;
  // "line c (CNY): ...; line g (CNY): ..."
  [[nodiscard]] std::string failures() const;
};

Proof prove_day(const std::map<std::string, CurrencyFigures>& by_currency);

}  // namespace pg_reconcile::core
