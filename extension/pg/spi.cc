#include "extension/pg/spi.h"

#include "extension/pg/subtransaction.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type_d.h>
#include <executor/spi.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile::pg {
namespace {

// Nothing enters the database that its encoding doesn't know (or a NUL byte): 22021 says which bytes.
Datum raw_text_datum(const char* data, std::size_t size) {
  if (size > MaxAllocSize - VARHDRSZ) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a text of %zu bytes is too long", size),
                    errdetail("The longest that PostgreSQL stores has 1 GB.")));
  }
  pg_verify_mbstr(GetDatabaseEncoding(), data, static_cast<int>(size), false);
  return PointerGetDatum(cstring_to_text_with_len(data, static_cast<int>(size)));
}

ArrayType* raw_array(Datum* values, bool* nulls, int count, Oid element, int length, bool by_value,
                     char align) {
  int dimensions[1] = {count};
  int bounds[1] = {1};
  if (count == 0) return construct_empty_array(element);
  return construct_md_array(values, nulls, 1, dimensions, bounds, element, length, by_value, align);
}

template <class Value, class ToDatum>
Argument array_of(const std::vector<Value>& values, Oid array_type, Oid element, int length, bool by_value,
                  char align, ToDatum to_datum) {
  std::vector<Datum> datums(values.size());
  std::vector<char> null_bytes(values.size());
  for (std::size_t i = 0; i < values.size(); i++) null_bytes[i] = !to_datum(values[i], datums[i]);
  Datum* data = datums.data();
  bool* nulls = reinterpret_cast<bool*>(null_bytes.data());
  const int count = static_cast<int>(values.size());
  ArrayType* array = guarded([=] { return raw_array(data, nulls, count, element, length, by_value, align); });
  return Argument::datum(array_type, PointerGetDatum(array));
}

// SPI knows only its top: a statement of an outer connection would put its rows into the inner one's memory.
Spi* innermost = nullptr;

int raw_execute_under(Snapshot snapshot, const char* text, int count, Oid* types, Datum* values,
                      const char* nulls, bool read_only) {
  const SPIPlanPtr plan = SPI_prepare(text, count, types);
  if (plan == nullptr) return SPI_result;
  const int result = SPI_execute_snapshot(plan, values, nulls, snapshot, InvalidSnapshot, read_only, true, 0);
  SPI_freeplan(plan);
  return result;
}

}  // namespace

Argument Argument::datum(Oid type, Datum value, bool is_null) {
  Argument argument;
  argument.type = type;
  argument.value = value;
  argument.is_null = is_null;
  return argument;
}

Argument Argument::text(std::string_view value) {
  const char* data = value.data();
  const std::size_t size = value.size();
  return datum(TEXTOID, guarded([=] { return raw_text_datum(data, size); }));
}

Argument Argument::text(const std::optional<std::string>& value) {
  return value ? text(std::string_view(*value)) : null(TEXTOID);
}

Argument Argument::int4(std::int32_t value) {
  return datum(INT4OID, Int32GetDatum(value));
}
Argument Argument::int8(std::int64_t value) {
  return datum(INT8OID, Int64GetDatum(value));
}
Argument Argument::boolean(bool value) {
  return datum(BOOLOID, BoolGetDatum(value));
}
Argument Argument::date(std::int32_t days) {
  return datum(DATEOID, DateADTGetDatum(days));
}

Argument Argument::text_array(const std::vector<std::optional<std::string>>& values) {
  return array_of(values, TEXTARRAYOID, TEXTOID, -1, false, TYPALIGN_INT,
                  [](const std::optional<std::string>& value, Datum& datum) {
                    if (!value) return false;
                    const char* data = value->data();
                    const std::size_t size = value->size();
                    datum = guarded([=] { return raw_text_datum(data, size); });
                    return true;
                  });
}

Argument Argument::text_array(const std::vector<std::string>& values) {
  return array_of(values, TEXTARRAYOID, TEXTOID, -1, false, TYPALIGN_INT,
                  [](const std::string& value, Datum& datum) {
                    const char* data = value.data();
                    const std::size_t size = value.size();
                    datum = guarded([=] { return raw_text_datum(data, size); });
                    return true;
                  });
}

Argument Argument::int8_array(const std::vector<std::int64_t>& values) {
  return array_of(values, INT8ARRAYOID, INT8OID, 8, true, TYPALIGN_DOUBLE,
                  [](std::int64_t value, Datum& datum) {
                    datum = Int64GetDatum(value);
                    return true;
                  });
}

Argument Argument::int4_array(const std::vector<std::int32_t>& values) {
  return array_of(values, INT4ARRAYOID, INT4OID, 4, true, TYPALIGN_INT, [](std::int32_t value, Datum& datum) {
    datum = Int32GetDatum(value);
    return true;
  });
}

Argument Argument::date_array(const std::vector<std::optional<std::int32_t>>& values) {
  return array_of(values, DATEARRAYOID, DATEOID, 4, true, TYPALIGN_INT,
                  [](std::optional<std::int32_t> value, Datum& datum) {
                    datum = DateADTGetDatum(value.value_or(0));
                    return value.has_value();
                  });
}

Argument Argument::timestamptz_array(const std::vector<std::optional<std::int64_t>>& values) {
  return array_of(values, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID, 8, true, TYPALIGN_DOUBLE,
                  [](std::optional<std::int64_t> value, Datum& datum) {
                    datum = TimestampTzGetDatum(value.value_or(0));
                    return value.has_value();
                  });
}

HeldSnapshot::HeldSnapshot() : snapshot_(guarded([] { return RegisterSnapshot(GetLatestSnapshot()); })) {}

HeldSnapshot::~HeldSnapshot() {
  if (!detail::abort_is_due()) UnregisterSnapshot(snapshot_);
}

Spi::Spi(const HeldSnapshot* snapshot) : outer_(innermost), snapshot_(snapshot) {
  guarded([] { SPI_connect(); });
  innermost = this;
}

Spi::~Spi() {
  innermost = outer_;
  if (!detail::abort_is_due()) SPI_finish();
}

// A subtransaction that was rolled back since has freed the rows made in it. Rows made before it are still
// there then and stay until the Spi ends.
void Spi::forget_rows() {
  auto* tuples = static_cast<SPITupleTable*>(tuples_);
  tuples_ = nullptr;
  rows_ = 0;
  if (tuples != nullptr && rollbacks_ == detail::rollback_count()) {
    guarded([=] { SPI_freetuptable(tuples); });
  }
}

std::uint64_t Spi::run(const std::string& sql, const std::vector<Argument>& arguments, bool read_only) {
  std::vector<Oid> types;
  std::vector<Datum> values;
  std::string nulls;
  for (const Argument& argument : arguments) {
    types.push_back(argument.type);
    values.push_back(argument.value);
    nulls.push_back(argument.is_null ? 'n' : ' ');
  }
  if (innermost != this) {
    throw core::Error(core::sqlstate::internal_error,
                      "an outer SPI connection was used while an inner one is open", sql,
                      "This is a defect of pg_reconcile: please report it.");
  }
  forget_rows();
  const char* text = sql.c_str();
  const int count = static_cast<int>(arguments.size());
  Oid* type_data = types.data();
  Datum* value_data = values.data();
  const char* null_data = nulls.c_str();
  const Snapshot snapshot = snapshot_ != nullptr ? snapshot_->get() : nullptr;
  const int result = guarded([=] {
    if (snapshot == nullptr) {
      return SPI_execute_with_args(text, count, type_data, value_data, null_data, read_only, 0);
    }
    return raw_execute_under(snapshot, text, count, type_data, value_data, null_data, read_only);
  });
  if (result < 0) {
    throw core::Error(core::sqlstate::internal_error,
                      std::string("SPI refused a statement: ") + SPI_result_code_string(result), sql);
  }
  tuples_ = SPI_tuptable;
  rollbacks_ = detail::rollback_count();
  rows_ = SPI_processed;
  return rows_;
}

bool Spi::is_null(std::uint64_t row, int column) const {
  auto* tuples = static_cast<SPITupleTable*>(tuples_);
  bool null = false;
  SPI_getbinval(tuples->vals[row], tuples->tupdesc, column + 1, &null);
  return null;
}

std::string Spi::text(std::uint64_t row, int column) const {
  auto* tuples = static_cast<SPITupleTable*>(tuples_);
  const char* value = guarded([=] { return SPI_getvalue(tuples->vals[row], tuples->tupdesc, column + 1); });
  if (value == nullptr) return {};
  std::string copy(value);
  pfree(const_cast<char*>(value));
  return copy;
}

std::optional<std::string> Spi::text_or_null(std::uint64_t row, int column) const {
  if (is_null(row, column)) return std::nullopt;
  return text(row, column);
}

Datum Spi::datum(std::uint64_t row, int column) const {
  auto* tuples = static_cast<SPITupleTable*>(tuples_);
  bool null = false;
  return SPI_getbinval(tuples->vals[row], tuples->tupdesc, column + 1, &null);
}

std::int64_t Spi::int8(std::uint64_t row, int column) const {
  auto* tuples = static_cast<SPITupleTable*>(tuples_);
  const Datum value = datum(row, column);
  switch (SPI_gettypeid(tuples->tupdesc, column + 1)) {
    case INT2OID:
      return DatumGetInt16(value);
    case INT4OID:
    case DATEOID:
      return DatumGetInt32(value);
    default:
      return DatumGetInt64(value);
  }
}

bool Spi::boolean(std::uint64_t row, int column) const {
  return DatumGetBool(datum(row, column));
}

}  // namespace pg_reconcile::pg
