// reconcile.digest(VARIADIC "any") -> text: '1:<rows>:<sum of row hashes modulo 2^128>'
#include <string>

#include "extension/digest/row_reader.h"
#include "extension/pg/guard.h"

extern "C" {
#include <utils/builtins.h>
}

namespace pg_reconcile {
namespace {

// As palloc aligns it: no 16-byte integer.
struct DigestState {
  std::uint64_t rows;
  std::uint64_t low;
  std::uint64_t high;

  [[nodiscard]] core::uint128 sum() const { return (static_cast<core::uint128>(high) << 64) | low; }
  void add(core::uint128 addend, std::uint64_t more_rows) {
    const core::uint128 total = sum() + addend;
    low = static_cast<std::uint64_t>(total);
    high = static_cast<std::uint64_t>(total >> 64);
    rows += more_rows;
  }
};

DigestState* state_of(FunctionCallInfo fcinfo, int argument) {
  return PG_ARGISNULL(argument) ? nullptr : reinterpret_cast<DigestState*>(PG_GETARG_POINTER(argument));
}

DigestState* new_state(MemoryContext memory) {
  return static_cast<DigestState*>(
      pg::guarded([=] { return MemoryContextAllocZero(memory, sizeof(DigestState)); }));
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_digest_add) {
  DigestState* state = state_of(fcinfo, 0);
  if (state == nullptr) state = new_state(pg::aggregate_memory(fcinfo));
  state->add(pg::RowReader::of(fcinfo, 1, "digest").hash(fcinfo), 1);
  PG_RETURN_POINTER(state);
}

PG_RECONCILE_FUNCTION(reconcile_digest_combine) {
  const MemoryContext memory = pg::aggregate_memory(fcinfo);
  DigestState* state = state_of(fcinfo, 0);
  const DigestState* more = state_of(fcinfo, 1);
  if (more == nullptr) {
    if (state == nullptr) PG_RETURN_NULL();
    PG_RETURN_POINTER(state);
  }
  if (state == nullptr) state = new_state(memory);
  state->add(more->sum(), more->rows);
  PG_RETURN_POINTER(state);
}

// Between processes of one server: the state as it is.
PG_RECONCILE_FUNCTION(reconcile_digest_serialize) {
  static_cast<void>(pg::aggregate_memory(fcinfo));
  const void* state = PG_GETARG_POINTER(0);
  auto* bytes = static_cast<bytea*>(pg::guarded([] { return palloc(VARHDRSZ + sizeof(DigestState)); }));
  SET_VARSIZE(bytes, VARHDRSZ + sizeof(DigestState));
  std::memcpy(VARDATA(bytes), state, sizeof(DigestState));
  PG_RETURN_BYTEA_P(bytes);
}

PG_RECONCILE_FUNCTION(reconcile_digest_deserialize) {
  static_cast<void>(pg::aggregate_memory(fcinfo));
  const std::string_view bytes = pg::payload_in_place(PG_GETARG_DATUM(0));
  if (bytes.size() != sizeof(DigestState)) {
    throw core::Error(core::sqlstate::invalid_binary_representation, "these bytes are not a digest's state",
                      std::to_string(bytes.size()) + " bytes.");
  }
  DigestState* state = new_state(CurrentMemoryContext);
  std::memcpy(state, bytes.data(), sizeof(DigestState));
  PG_RETURN_POINTER(state);
}

PG_RECONCILE_FUNCTION(reconcile_digest_result) {
  static_cast<void>(pg::aggregate_memory(fcinfo));
  const DigestState* state = state_of(fcinfo, 0);
  const DigestState none{};
  if (state == nullptr) state = &none;
  const std::string result = "1:" + std::to_string(state->rows) + ":" + core::to_string(state->sum());
  const char* bytes = result.c_str();
  PG_RETURN_TEXT_P(pg::guarded([=] { return cstring_to_text(bytes); }));
}

}  // namespace pg_reconcile
