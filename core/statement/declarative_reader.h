// Reads statements whose format is a document: the frame's records -> kinds -> entries, beside totals.
//
// One pass, bounded memory: a record at a time, whatever the size of the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/statement/format_document.h"
#include "core/statement/framer.h"
#include "core/statement/statement.h"

namespace pg_reconcile::core {

class DeclarativeReader final : public StatementReader {
 public:
  // Rows that can't be read before the file is given up: a file in another format has nothing but bad rows.
  static constexpr std::int64_t bad_rows_max = 10000;
  // Statements of one file.
  static constexpr std::size_t statements_max = 10000;

  // `defaults`: what the source knows; the format's own defaults fill what is empty there.
  DeclarativeReader(FormatDocument format, MappingDefaults defaults, TimeZones& zones);

  std::vector<StatementSummary> read(ByteSource& source, std::string_view file_name, RowSink& sink,
                                     Interrupts& interrupts) override;

 private:
  FormatDocument format_;
  Normaliser normaliser_;
  std::unique_ptr<Framer> framer_;
};

}  // namespace pg_reconcile::core
