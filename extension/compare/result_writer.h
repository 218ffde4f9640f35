// The rows that compare returns.
#pragma once

#include <vector>

#include "extension/compare/contested_rows.h"

extern "C" {
#include <access/tupdesc.h>
#include <utils/tuplestore.h>
}

namespace pg_reconcile::pg {

enum class ResultKind { missing_left, missing_right, mismatch, duplicate_left, duplicate_right };

// How a type's values are shown in jsonb.
enum class JsonForm : std::uint8_t { boolean, int2, int4, int8, numeric, date_time, text, printed, other };

struct JsonColumn {
  JsonForm form;
  Oid type;
  int place;  // in the row
  std::size_t name_length;
  FmgrInfo* output;
};

class ResultWriter {
 public:
  // Materializes the function's result; `fcinfo` must come from a place that takes a set.
  ResultWriter(FunctionCallInfo fcinfo, const ComparePlan& plan);

  // How each side's rows are described (blessed): their names go into the jsonb.
  void describe(TupleDesc left, TupleDesc right);

  // A row of one side alone. `kind` says which: missing_left and duplicate_right show a right row.
  void write_single(ResultKind kind, const RowValues& row);
  // `differing`: places in the plan's columns.
  void write_mismatch(const RowValues& left, const RowValues& right,
                      const std::vector<std::size_t>& differing);

 private:
  std::vector<JsonColumn> json_columns(TupleDesc description) const;
  void write(ResultKind kind, const RowValues* left, const RowValues* right, Datum differing);

  const ComparePlan& plan_;
  Tuplestorestate* store_;
  TupleDesc result_;
  TupleDesc left_ = nullptr;
  TupleDesc right_ = nullptr;
  std::vector<JsonColumn> left_columns_;
  std::vector<JsonColumn> right_columns_;
  FmgrInfo* to_jsonb_;
  std::vector<FmgrInfo*> key_output_;
  MemoryContext row_memory_;
};

}  // namespace pg_reconcile::pg
