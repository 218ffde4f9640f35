// The frame `xlsx`: a table on a sheet of an Excel workbook, between a preamble, a header row and a footer,
// as the frame `csv` reads it from lines.
#pragma once

#include <memory>
#include <string>

#include "core/statement/format_document.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

[[nodiscard]] std::unique_ptr<Framer> make_xlsx_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
