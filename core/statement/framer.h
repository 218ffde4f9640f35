// How the bytes of a file become records: the seam between file shapes (csv, fixed columns, JSON, camt ...)
// and what all formats share (record kinds, the mapping, control totals).
//
//   ByteSource -> Framer -> records (type + named texts) -> record kinds -> Normaliser -> RowSink
//
// docs/decisions/0021-a-format-is-a-frame-record-types-and-a-map.md says why.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/interrupts.h"
#include "core/mapping/raw_record.h"
#include "core/statement/byte_source.h"
#include "core/statement/statement.h"

namespace pg_reconcile::core {

// Views that live during the call. The order of fields of one type is best kept from record to record: their
// readers remember positions.
struct FrameRecord {
  RowPlace place;                    // line and byte offset; row_no is filled by the reader
  std::string_view raw;              // the bytes as they stand in the file, for the quarantine
  std::string_view type;             // record type: "SB", "16", "Ntry"; "" where the frame has one kind
  std::span<const RawField> fields;  // names unique and without "@"
};

// Where a framer puts what it finds. Implemented by DeclarativeReader.
class FrameSink {
 public:
  virtual ~FrameSink() = default;

  // A fact about the statement under way: account, currency, opening_balance, closing_balance, business_date,
  // period_start, period_end, part, page, last_page ("true"), statement_no ...; dates yyyy-MM-dd, balances
  // signed decimals. A name that comes again takes the new value. Columns "@name" to the map.
  virtual void meta(std::string_view name, std::string_view value) = 0;
  virtual void record(const FrameRecord& record) = 0;
  // A record that can't be taken apart: it counts as a row. `raw` and `value` are the bytes of the file.
  virtual void bad(const BadRow& row) = 0;
  // The same for what is no row: a line of the preamble whose bytes are no text.
  virtual void bad_outside(const BadRow& row) = 0;
  // A total that the file states, already compared by the framer.
  virtual void control(ControlLine line) = 0;
  virtual void warn(std::string text) = 0;
  // What follows is of another statement of the same file: its facts are stated anew. Ignored while nothing
  // has been said of the statement under way, so that it may be called where each one starts.
  virtual void next_statement() = 0;
  // The file as a whole can't be used; the framer returns after it.
  virtual void reject(std::string reason) = 0;
  // True after reject or too many bad rows: return soon.
  [[nodiscard]] virtual bool stopped() const = 0;

  // A record that is no row (a header or trailer record, what stands around a JSON array): "meta" and
  // "control" may read it, and rows that follow see its fields as columns "type.field", until the next of
  // that type.
  virtual void fact(const FrameRecord& /*record*/) {}
  // A record of the file went by, whatever becomes of it: for totals that count records.
  virtual void seen(std::string_view /*type*/) {}
  // Text outside the records (preamble, footer): the patterns of "meta" and "control" look at it.
  virtual void outside(std::string_view /*text*/) {}
  // The fields that records of `type` have from here on, known from the file. `line` says so there: the
  // patterns of "meta" look at it. What the format needs and the file lacks rejects it, by name.
  virtual void columns(std::string_view /*type*/, std::string_view /*line*/,
                       std::span<const std::string> /*names*/) {}
  // The file says that there were no transactions.
  virtual void empty() {}
};

// One shape of files. Reads one file after another; memory stays bounded whatever the file.
class Framer {
 public:
  virtual ~Framer() = default;

  // Never throws for what is in the file. Throws what the source, the sink and the interrupts throw.
  virtual void read(ByteSource& source, std::string_view file_name, FrameSink& sink,
                    Interrupts& interrupts) = 0;

  // The names of all fields that its records can have; empty: only the file says. A map that reads another
  // column is refused when the format is stored.
  [[nodiscard]] virtual std::vector<std::string> columns() const { return {}; }
  // The record types that it yields; empty: only the file says, or there is one kind.
  [[nodiscard]] virtual std::vector<std::string> types() const { return {}; }
};

}  // namespace pg_reconcile::core
