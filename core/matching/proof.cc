#include "core/matching/proof.h"

#include "core/money/currency.h"

namespace pg_reconcile::core {
namespace {

class Prover {
 public:
  Prover(Proof& proof, const std::string& currency) : proof_(proof), currency_(currency) {}

  [[nodiscard]] std::string text(Decimal value) const { return amount_text(value, currency_); }
  [[nodiscard]] std::string text(const CountAndAmount& value) const {
    return std::to_string(value.count) + " / " + text(value.amount);
  }

  void line(std::string name, Decimal left_side, Decimal right_side, bool counts_agree, std::string terms) {
    const Decimal difference = left_side - right_side;
    proof_.lines.push_back(
        {std::move(name), currency_, difference.is_zero() && counts_agree, difference, std::move(terms)});
  }

  void balance(const char* name, const BookFigures& book) {
    const Decimal expected =
        book.opening.amount + book.in.amount - book.matched.amount - book.adjusted.amount;
    const std::int64_t expected_count =
        book.opening.count + book.in.count - book.matched.count - book.adjusted.count;
    line(std::string("a.") + name, expected, book.closing.amount, expected_count == book.closing.count,
         "opening " + text(book.opening) + " + in " + text(book.in) + " - matched " + text(book.matched) +
             " - adjusted " + text(book.adjusted) + " = closing " + text(book.closing));
  }

  void paths(const char* name, const BookFigures& book, bool digests_agree) {
    line(std::string("g.") + name, book.detail_in.amount, book.in.amount,
         book.detail_in.count == book.in.count && digests_agree,
         "detail path " + text(book.detail_in) + ", aggregate path " + text(book.in) +
             (digests_agree ? "" : ", digests differ"));
  }

 private:
  Proof& proof_;
  const std::string& currency_;
};

}  // namespace

Proof prove_day(const std::map<std::string, CurrencyFigures>& by_currency) {
  Proof proof;
  for (const auto& [currency, f] : by_currency) {
    Prover prover(proof, currency);
    prover.balance("left", f.left);
    prover.balance("right", f.right);
    prover.line("b", f.right.matched.amount - f.left.matched.amount, f.residual, true,
                "right matched " + prover.text(f.right.matched.amount) + " - left matched " +
                    prover.text(f.left.matched.amount) + " = residual " + prover.text(f.residual));
    const Decimal in = f.right.in.amount - f.left.in.amount;
    const Decimal transit_change = f.in_transit.amount - f.opening_in_transit;
    const Decimal discrepancy_change = f.discrepancy.amount - f.opening_discrepancy;
    prover.line("c", in, transit_change + discrepancy_change + f.residual + f.adjustments, true,
                "right in - left in " + prover.text(in) + " = change in transit " +
                    prover.text(transit_change) + " + change of discrepancies " +
                    prover.text(discrepancy_change) + " + residual " + prover.text(f.residual) +
                    " + adjustments " + prover.text(f.adjustments));
    prover.line(
        "d", f.earlier_in + in,
        f.in_transit.amount + f.discrepancy.amount + f.earlier_explained + f.residual + f.adjustments, true,
        "since go-live " + prover.text(f.earlier_in + in) + " = in transit " +
            prover.text(f.in_transit.amount) + " + discrepancies " + prover.text(f.discrepancy.amount) +
            " + residuals and adjustments " + prover.text(f.earlier_explained + f.residual + f.adjustments));
    prover.line("e", f.statement_difference, Decimal(), f.statement_entries_missing == 0,
                "statements' totals - their entries " +
                    prover.text(CountAndAmount{f.statement_entries_missing, f.statement_difference}));
    if (f.has_control) {
      prover.line("f", f.left.in.amount, f.control.amount, f.left.in.count == f.control.count,
                  "left in " + prover.text(f.left.in) + ", source " + prover.text(f.control));
    }
    prover.paths("left", f.left, f.digests_agree);
    prover.paths("right", f.right, f.digests_agree);
    prover.line("fee", f.left_fee - f.right_fee, f.fee_discrepancy, true,
                "left fees " + prover.text(f.left_fee) + " - right fees " + prover.text(f.right_fee) +
                    " = fee discrepancies " + prover.text(f.fee_discrepancy) +
                    (f.fees_not_compared == 0
                         ? ""
                         : "; not compared, as the right book states them in another currency: fees of " +
                               std::to_string(f.fees_not_compared) + " pairs"));
  }
  return proof;
}

bool Proof::holds() const {
  for (const ProofLine& line : lines) {
    if (!line.holds) return false;
  }
  return true;
}

Decimal Proof::difference(std::string_view currency) const {
  Decimal sum;
  for (const ProofLine& line : lines) {
    if (currency.empty() || line.currency == currency) sum += line.difference.magnitude();
  }
  return sum;
}

std::string Proof::failures() const {
  std::string text;
  for (const ProofLine& line : lines) {
    if (line.holds) continue;
    if (!text.empty()) text += "; ";
    text += "line " + line.line + " (" + line.currency + ") is off by " +
            amount_text(line.difference, line.currency) + ": " + line.terms;
  }
  return text;
}

}  // namespace pg_reconcile::core
