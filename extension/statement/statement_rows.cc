#include "extension/statement/statement_rows.h"

#include <algorithm>

#include "core/statement/charset.h"
#include "core/statement/declarative_reader.h"

namespace pg_reconcile::pg {

SetAside SetAside::of(const core::BadRow& bad) {
  return {bad.place,
          std::string(bad.raw),
          std::string(bad.field),
          std::string(bad.column),
          std::string(bad.value),
          std::string(bad.reason)};
}

void StatementRows::see(const core::Entry& entry) {
  // A row's own day says more than when it happened.
  if (entry.business_date) {
    first_day = std::min(first_day.value_or(*entry.business_date), *entry.business_date);
    last_day = std::max(last_day.value_or(*entry.business_date), *entry.business_date);
    return;
  }
  if (!entry.occurred_at) return;
  first = std::min(first.value_or(*entry.occurred_at), *entry.occurred_at);
  last = std::max(last.value_or(*entry.occurred_at), *entry.occurred_at);
}

void StatementRows::count(const std::string& currency, const std::string& kind, core::Decimal amount,
                          core::Decimal fee) {
  stored++;
  KindTotal& total = totals[currency][kind];
  total.count++;
  total.amount += amount;
  total.fee += fee;
}

void StatementRows::refuse(const core::RowPlace& place, const std::string& raw, const std::string& reason) {
  refused++;
  set_aside.push_back({place, core::printable(raw, raw_bytes_max), "", "", "", reason});
  if (set_aside.size() < static_cast<std::size_t>(core::DeclarativeReader::bad_rows_max)) return;
  throw Rejected{std::to_string(set_aside.size()) + " of its rows can't be taken in: " + reason};
}

}  // namespace pg_reconcile::pg
