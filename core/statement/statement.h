// What reading a statement yields, whatever its format: rows, bad rows, what the statement says of itself,
// and whether its own totals agree with what was read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/interrupts.h"
#include "core/mapping/entry.h"
#include "core/mapping/normaliser.h"
#include "core/statement/byte_source.h"

namespace pg_reconcile::core {

struct RowPlace {
  std::int64_t row_no = 0;       // data rows count from 1; 0: the line is no data row
  std::int64_t line = 0;         // from 1
  std::int64_t byte_offset = 0;  // in the unwrapped file
};

// A row that could not become an entry. Texts live during the call.
struct BadRow {
  RowPlace place;
  std::string_view raw;  // readable: bytes that are no text are written \xNN
  std::string_view field;
  std::string_view column;
  std::string_view value;
  std::string_view reason;
};

class RowSink {
 public:
  virtual ~RowSink() = default;
  // `raw`: the row's bytes as they stand in the file.
  virtual void row(const RowPlace& place, std::string_view raw, Entry& entry) = 0;
  virtual void bad_row(const BadRow& bad) = 0;
  // What comes next is of another statement of the same file.
  virtual void next_statement() = 0;
};

// One statement of the file about itself, beside what was read.
struct ControlLine {
  std::string name;  // "交易 count", "退款总金额"
  std::string stated;
  std::string computed;
  bool agrees = false;
};

enum class ControlVerdict {
  agreed,
  mismatch,  // at least one line does not agree, the end mark is missing, or rows could not be taken in
  missing,   // the format has controls and the file states none
  none       // the format has no controls
};

[[nodiscard]] std::string_view verdict_name(ControlVerdict verdict);

struct StatementSummary {
  std::map<std::string, std::string> meta;  // what the format's `meta` found: account, period_start ...
  std::optional<Date> business_date;        // the one day that the statement says it covers
  std::optional<std::string> account;
  std::optional<Decimal> opening_balance;
  std::optional<Decimal> closing_balance;
  std::int64_t rows = 0;  // data rows, good, skipped and bad
  std::int64_t entries = 0;
  std::int64_t skipped = 0;
  std::int64_t bad_rows = 0;
  bool empty = false;  // the file says that there were no transactions
  ControlVerdict verdict = ControlVerdict::none;
  std::vector<ControlLine> controls;
  std::vector<std::string> warnings;
  std::optional<std::string> rejected;  // why the file as a whole can't be used; rows seen before don't count
};

// A format, ready to read one file after another.
class StatementReader {
 public:
  virtual ~StatementReader() = default;
  // The statements of the file in its order, at least one: several accounts, days or pages may share a file.
  // Row numbers count through the file. A file that can't be used has `rejected` in all of them.
  // `file_name`: some formats say the date only there. Never throws for what is in the file: that ends in
  // `rejected` or in bad rows. Throws what the source, the sink and the interrupts throw.
  virtual std::vector<StatementSummary> read(ByteSource& source, std::string_view file_name, RowSink& sink,
                                             Interrupts& interrupts) = 0;
};

}  // namespace pg_reconcile::core
