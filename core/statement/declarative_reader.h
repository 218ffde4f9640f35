// Reads statements whose format is a document: lines -> preamble, header, rows, footer -> entries.
//
// One pass, bounded memory: a line at a time, whatever the size of the file.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/control_tally.h"
#include "core/statement/csv_splitter.h"
#include "core/statement/format_document.h"
#include "core/statement/line_reader.h"
#include "core/statement/statement.h"

namespace pg_reconcile::core {

class DeclarativeReader final : public StatementReader {
 public:
  // Rows that can't be read before the file is given up: a file in another format has nothing but bad rows.
  static constexpr std::int64_t bad_rows_max = 10000;

  // `defaults`: what the source knows; the format's own defaults fill what is empty there.
  DeclarativeReader(FormatDocument format, MappingDefaults defaults, TimeZones& zones);

  StatementSummary read(ByteSource& source, std::string_view file_name, RowSink& sink,
                        Interrupts& interrupts) override;

 private:
  FormatDocument format_;
  Normaliser normaliser_;
};

}  // namespace pg_reconcile::core
