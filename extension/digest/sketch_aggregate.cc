// reconcile.sketch(cells, key [, VARIADIC "any"]) -> bytea
#include <string>

#include "core/digest/sketch.h"
#include "extension/digest/row_reader.h"
#include "extension/pg/guard.h"

namespace pg_reconcile {
namespace {

constexpr int cells_argument = 1;
constexpr int key_argument = 2;

std::uint64_t* words_of(FunctionCallInfo fcinfo, int argument) {
  return PG_ARGISNULL(argument) ? nullptr : reinterpret_cast<std::uint64_t*>(PG_GETARG_POINTER(argument));
}

std::uint64_t* new_words(MemoryContext memory, std::uint64_t cells) {
  const std::size_t size = core::Sketch::words_of(cells) * sizeof(std::uint64_t);
  return static_cast<std::uint64_t*>(pg::guarded([=] { return MemoryContextAlloc(memory, size); }));
}

std::uint64_t wanted_cells(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(cells_argument)) {
    throw core::Error(core::sqlstate::invalid_parameter_value, "cells is NULL", "",
                      "reconcile.sketch_cells(n) says how many n differing rows need.");
  }
  return core::Sketch::checked_cells(PG_GETARG_INT32(cells_argument));
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_sketch_add) {
  pg::RowReader& reader = pg::RowReader::of(fcinfo, key_argument, "sketch");
  const std::uint64_t cells = wanted_cells(fcinfo);
  std::uint64_t* words = words_of(fcinfo, 0);
  if (words == nullptr) {
    words = new_words(pg::aggregate_memory(fcinfo), cells);
    core::Sketch::make(words, cells, reader.columns());
  }
  core::Sketch sketch(words);
  if (sketch.cells() != cells) {
    throw core::Error(
        core::sqlstate::invalid_parameter_value, "cells is not the same for all rows",
        std::to_string(sketch.cells()) + " for one row and " + std::to_string(cells) + " for another.",
        "Pass a constant.");
  }
  std::optional<std::string_view> key;
  if (!PG_ARGISNULL(key_argument)) key = pg::to_utf8(pg::payload_in_place(PG_GETARG_DATUM(key_argument)));
  sketch.add(core::SketchItem(key, reader.hash(fcinfo)));
  PG_RETURN_POINTER(words);
}

PG_RECONCILE_FUNCTION(reconcile_sketch_combine) {
  const MemoryContext memory = pg::aggregate_memory(fcinfo);
  std::uint64_t* words = words_of(fcinfo, 0);
  std::uint64_t* more = words_of(fcinfo, 1);
  if (more == nullptr) {
    if (words == nullptr) PG_RETURN_NULL();
    PG_RETURN_POINTER(words);
  }
  const core::Sketch addend(more);
  if (words == nullptr) {
    words = new_words(memory, addend.cells());
    core::Sketch::make(words, addend.cells(), addend.columns());
  }
  core::Sketch(words).combine(addend);
  PG_RETURN_POINTER(words);
}

// The published bytes: what workers hand to the leader is also the result.
PG_RECONCILE_FUNCTION(reconcile_sketch_serialize) {
  static_cast<void>(pg::aggregate_memory(fcinfo));
  const core::Sketch sketch(reinterpret_cast<std::uint64_t*>(PG_GETARG_POINTER(0)));
  const std::size_t size = VARHDRSZ + core::Sketch::bytes_of(sketch.cells());
  auto* bytes = static_cast<bytea*>(pg::guarded([=] { return palloc(size); }));
  SET_VARSIZE(bytes, size);
  sketch.write(VARDATA(bytes));
  PG_RETURN_BYTEA_P(bytes);
}

PG_RECONCILE_FUNCTION(reconcile_sketch_deserialize) {
  static_cast<void>(pg::aggregate_memory(fcinfo));
  const std::string_view bytes = pg::payload_in_place(PG_GETARG_DATUM(0));
  std::uint64_t* words = new_words(CurrentMemoryContext, core::Sketch::cells_in(bytes));
  core::Sketch::read(bytes, words);
  PG_RETURN_POINTER(words);
}

}  // namespace pg_reconcile
