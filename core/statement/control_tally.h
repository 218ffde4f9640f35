// The control totals of a statement: what it states, beside what its rows add up to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/csv_splitter.h"
#include "core/statement/format_document.h"
#include "core/statement/statement.h"

namespace pg_reconcile::core {

class ControlTally {
 public:
  explicit ControlTally(const FormatDocument& format);

  // Reads the columns that totals add up. False when one of them is no amount: the row is bad.
  bool weigh(std::string_view type, const RawRecord& record, BadRow& bad, std::string& reason);
  // The row that was weighed last has been taken in (as an entry or as a row that is no movement).
  void add();

  // A line outside the data: it may state totals.
  void read_line(std::string_view line);
  // A record that is no row: it may state totals.
  void read_fact(std::string_view type, const RawRecord& record);

  // Compares, and says what follows from these lines and from those that `summary` has already. Only what
  // the file states is compared.
  void close(StatementSummary& summary) const;

 private:
  struct Running {
    const Total* total;
    std::optional<mapping::Expression> amount;  // a copy: expressions remember positions
    std::size_t position = 0;                   // of the column, in the record weighed last
    bool applies = false;                       // to the row weighed last
    Decimal weight;
    Decimal sum;
    std::int64_t count = 0;
  };
  static constexpr std::size_t stated_max = 1000;  // a file may repeat its totals without end

  void state(std::size_t running, std::string text);
  [[nodiscard]] static bool is_where(const Total& total, const RawRecord& record);
  [[nodiscard]] bool weigh_amount(Running& running, const RawRecord& record, BadRow& bad,
                                  std::string& reason);
  void compare_balance(const Running& running, StatementSummary& summary, bool& agrees, bool& stated) const;

  struct Stated {
    std::size_t running;
    std::string text;
  };

  const FormatDocument& format_;
  CsvSplitter splitter_;
  std::vector<Running> running_;
  std::vector<std::size_t> first_of_rule_;
  std::vector<Stated> stated_;
  bool too_many_stated_ = false;
  std::optional<std::size_t> open_table_;              // the rule whose names were in the last line
  std::vector<std::optional<std::size_t>> table_map_;  // column of that table -> running total
};

}  // namespace pg_reconcile::core
