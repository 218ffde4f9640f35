// What one statement, report or notification of a camt message says of itself: account, period, balances,
// totals.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/statement/camt_entry.h"
#include "core/statement/framer.h"
#include "core/statement/xml_leaves.h"

namespace pg_reconcile::core {

class CamtStatement {
 public:
  // `message`: camt.053 ...; `group` holds the leaves of the group header.
  CamtStatement(std::string_view message, const XmlLeaves& group) : message_(message), group_(group) {}

  void begin();
  void leaf(std::string_view path, std::string_view text) { leaves_.add(path, text); }
  void begin_balance() { balance_.clear(); }
  void balance_leaf(std::string_view path, std::string_view text) { balance_.add(path, text); }
  void end_balance();

  // Tells what is known so far. Again at the end: some banks write balances behind the entries.
  void tell(FrameSink& sink);
  void end(FrameSink& sink);

  CamtTotals totals;

 private:
  static constexpr std::size_t balances_max = 64;
  struct Balance {
    std::string type, currency, date;
    Decimal amount;
  };

  std::string message_;
  const XmlLeaves& group_;
  XmlLeaves leaves_;
  XmlLeaves balance_;
  std::vector<Balance> balances_;

  [[nodiscard]] const Balance* find(std::string_view type, bool last = false) const;
  [[nodiscard]] const Balance* opening() const;
  [[nodiscard]] const Balance* closing() const;
  [[nodiscard]] std::string_view page() const;
  [[nodiscard]] bool is_last_page() const;
  [[nodiscard]] std::string_view account() const;
  [[nodiscard]] std::string_view currency() const;
  void tell_period(FrameSink& sink) const;
  void check_balance(FrameSink& sink) const;
  void check_summary(FrameSink& sink) const;
  void check_batches(FrameSink& sink) const;
};

}  // namespace pg_reconcile::core
