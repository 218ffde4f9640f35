// What the rows of one statement of a file came to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/statement/statement.h"

namespace pg_reconcile::pg {

constexpr std::size_t raw_bytes_max = 2048;

// What is thrown inside the ingestion's subtransaction when the file as a whole can't be used.
struct Rejected {
  std::string reason;
};

// A row that becomes no entry, for reconcile.statement_error.
struct SetAside {
  core::RowPlace place;
  std::string raw;
  std::string field;
  std::string column;
  std::string value;
  std::string reason;

  static SetAside of(const core::BadRow& bad);
};

struct KindTotal {
  std::int64_t count = 0;
  core::Decimal amount;
  core::Decimal fee;
};

using Totals = std::map<std::string, std::map<std::string, KindTotal>>;  // currency -> kind

struct StatementRows {
  std::vector<SetAside> set_aside;
  Totals totals;            // of the rows that the books hold because of it
  std::int64_t stored = 0;  // those rows
  std::int64_t refused = 0;
  std::optional<core::TimestampTz> first;
  std::optional<core::TimestampTz> last;
  std::optional<core::Date> first_day;  // of rows that state theirs
  std::optional<core::Date> last_day;

  void see(const core::Entry& entry);  // a row that the file holds
  void count(const std::string& currency, const std::string& kind, core::Decimal amount, core::Decimal fee);
  // A row that the tables can't take. Throws Rejected when there are too many of them.
  void refuse(const core::RowPlace& place, const std::string& raw, const std::string& reason);
};

}  // namespace pg_reconcile::pg
