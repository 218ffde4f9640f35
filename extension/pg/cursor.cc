#include "extension/pg/cursor.h"

extern "C" {
#include <access/htup_details.h>
#include <executor/spi.h>
#include <utils/portal.h>
#include <utils/snapmgr.h>
}

namespace pg_reconcile::pg {
namespace {

const char* raw_open(Snapshot snapshot, const char* sql, int count, Oid* types, Datum* values,
                     const char* nulls) {
  PushCopiedSnapshot(snapshot);
  UpdateActiveSnapshotCommandId();
  const Portal portal =
      SPI_cursor_open_with_args(nullptr, sql, count, types, values, nulls, true, CURSOR_OPT_NO_SCROLL);
  PopActiveSnapshot();
  return portal->name;
}

// A lookup in a hash table: raises nothing.
Portal find_portal(const std::string& name) noexcept {
  const Portal portal = GetPortalByName(name.c_str());
  return PortalIsValid(portal) ? portal : nullptr;
}

}  // namespace

Cursor::Cursor(const HeldSnapshot& snapshot, const std::string& sql, const std::vector<Argument>& arguments) {
  std::vector<Oid> types;
  std::vector<Datum> values;
  std::string nulls;
  for (const Argument& argument : arguments) {
    types.push_back(argument.type);
    values.push_back(argument.value);
    nulls.push_back(argument.is_null ? 'n' : ' ');
  }
  const Snapshot held = snapshot.get();
  const char* text = sql.c_str();
  const int count = static_cast<int>(arguments.size());
  Oid* type_data = types.data();
  Datum* value_data = values.data();
  const char* null_data = nulls.c_str();
  portal_name_ = guarded([=] { return raw_open(held, text, count, type_data, value_data, null_data); });
}

// Ending a query may raise. Nothing may leave a destructor; the guard has noted that the transaction is
// lost, so the entry point does not let the caller go on.
Cursor::~Cursor() {
  if (detail::abort_is_due()) return;
  const Portal portal = find_portal(portal_name_);
  if (portal == nullptr) return;
  try {
    guarded([=] { SPI_cursor_close(portal); });
  } catch (...) {
    return;
  }
}

bool Cursor::next_batch() {
  check_for_interrupts();
  if (tuples_ != nullptr) SPI_freetuptable(static_cast<SPITupleTable*>(tuples_));
  tuples_ = nullptr;
  const Portal portal = find_portal(portal_name_);
  if (portal == nullptr) {
    throw core::Error("34000", "the query that was being read has been closed",
                      "CLOSE ALL was executed by something that the query calls.",
                      "Keep CLOSE ALL out of functions that queries call.");
  }
  guarded([=] { SPI_cursor_fetch(portal, true, batch_rows); });
  tuples_ = SPI_tuptable;
  rows_ = SPI_processed;
  return rows_ > 0;
}

Datum Cursor::datum(std::uint64_t row, int column, bool& is_null) const {
  auto* tuples = static_cast<SPITupleTable*>(tuples_);
  return SPI_getbinval(tuples->vals[row], tuples->tupdesc, column + 1, &is_null);
}

std::optional<std::string_view> Cursor::text(std::uint64_t row, int column) const {
  bool is_null = false;
  const Datum value = datum(row, column, is_null);
  if (is_null) return std::nullopt;
  const struct varlena* stored = reinterpret_cast<struct varlena*>(DatumGetPointer(value));
  if (VARATT_IS_COMPRESSED(stored) || VARATT_IS_EXTERNAL(stored)) {
    stored = guarded([=] { return pg_detoast_datum_packed(const_cast<struct varlena*>(stored)); });
  }
  return std::string_view(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
}

}  // namespace pg_reconcile::pg
