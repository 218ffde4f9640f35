// What the frames of lines have in common: where lines end, which of them are no records, and the short
// answer that a channel gives when there is nothing to tell.
#pragma once

#include <functional>
#include <optional>

#include <boost/regex.hpp>

#include "core/statement/format_document.h"
#include "core/statement/framer.h"
#include "core/statement/line_reader.h"

namespace pg_reconcile::core {

// A short answer in place of a statement: one of the format's `empty` texts, and no line that may be data.
// The text alone proves nothing: a customer may have written it into a row.
[[nodiscard]] bool says_empty(const FormatDocument& format, LineReader& lines,
                              const std::function<bool(const Line&)>& may_be_data);

// Goes through a file line by line: `reading.line(const Line&)` for each, then `reading.finish()`, unless the
// sink has stopped.
template <class Reading>
void read_lines(LineReader& lines, FrameSink& sink, Reading& reading) {
  for (Line line; !sink.stopped() && lines.next(line);) reading.line(line);
  if (!sink.stopped()) reading.finish();
}

// "line_end": "lf" (the default; also after "cr") or "cr".
[[nodiscard]] char read_line_end(const JsonNode& frame);

// Reports a line as a bad row, or, outside the data, as what it is.
void report_bad(FrameSink& sink, const Line& line, std::string_view reason);
void report_outside(FrameSink& sink, const Line& line);

// Says why a line can't hold a record at all; nullopt: it can.
[[nodiscard]] std::optional<std::string_view> unusable(const Line& line);

}  // namespace pg_reconcile::core
