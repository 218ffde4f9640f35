// Queries from C++: SPI behind the guard.
//
// Memory: while an Spi is alive, what PostgreSQL allocates (arguments too) lives until that Spi ends, and
// datums that came back live until its next run. So a function's result is made after the Spi has ended, and
// a loop over millions of statements takes a new Spi now and then.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "extension/pg/guard.h"

struct SnapshotData;

namespace pg_reconcile::pg {

// A query's argument: a text that PostgreSQL casts to `type` (an OID), or NULL. Types that matter have
// factories.
class Argument {
 public:
  static Argument text(std::string_view value);
  static Argument text(const std::string& value) { return text(std::string_view(value)); }
  static Argument text(const char* value) { return text(std::string_view(value)); }
  static Argument text(const std::optional<std::string>& value);
  static Argument int4(std::int32_t value);
  static Argument int8(std::int64_t value);
  static Argument boolean(bool value);
  static Argument date(std::int32_t days_since_2000);
  // One-dimensional arrays. A disengaged element is NULL.
  static Argument text_array(const std::vector<std::optional<std::string>>& values);
  static Argument text_array(const std::vector<std::string>& values);
  static Argument int8_array(const std::vector<std::int64_t>& values);
  static Argument int4_array(const std::vector<std::int32_t>& values);
  static Argument date_array(const std::vector<std::optional<std::int32_t>>& days_since_2000);
  static Argument timestamptz_array(const std::vector<std::optional<std::int64_t>>& microseconds_since_2000);
  static Argument datum(Oid type, Datum value, bool is_null = false);
  static Argument null(Oid type) { return datum(type, static_cast<Datum>(0), true); }

  Oid type;
  Datum value;
  bool is_null;
};

// The newest snapshot, taken and kept: one view of the database for many statements. The destructor leaves an
// aborted transaction's resources to the abort.
class HeldSnapshot {
 public:
  HeldSnapshot();
  ~HeldSnapshot();
  HeldSnapshot(const HeldSnapshot&) = delete;
  HeldSnapshot& operator=(const HeldSnapshot&) = delete;
  [[nodiscard]] SnapshotData* get() const { return snapshot_; }

 private:
  SnapshotData* snapshot_;
};

// One connection to SPI. They nest, also with in_subtransaction between; only the innermost one may run (its
// rows may be read at any time). After an error of the backend the destructor leaves the SPI stack to the
// rollback that is due; after any other exception it disconnects.
class Spi {
 public:
  // With a snapshot, every statement sees what it shows plus this transaction's own writes, whatever others
  // commit meanwhile. The snapshot must outlive the Spi.
  explicit Spi(const HeldSnapshot* snapshot = nullptr);
  ~Spi();
  Spi(const Spi&) = delete;
  Spi& operator=(const Spi&) = delete;

  // Runs one statement and keeps its rows. read_only: under the active snapshot, otherwise a fresh one that
  // sees this transaction's own writes. Returns the number of rows returned or touched.
  std::uint64_t run(const std::string& sql, const std::vector<Argument>& arguments = {},
                    bool read_only = false);

  [[nodiscard]] std::uint64_t rows() const { return rows_; }
  [[nodiscard]] bool is_null(std::uint64_t row, int column) const;      // columns count from 0
  [[nodiscard]] std::string text(std::uint64_t row, int column) const;  // through the type's output function
  [[nodiscard]] std::optional<std::string> text_or_null(std::uint64_t row, int column) const;
  [[nodiscard]] Datum datum(std::uint64_t row, int column) const;  // by-reference: valid until the next run
  [[nodiscard]] std::int64_t int8(std::uint64_t row, int column) const;  // of int2, int4, int8, date
  [[nodiscard]] bool boolean(std::uint64_t row, int column) const;

 private:
  void forget_rows();

  Spi* outer_;
  const HeldSnapshot* snapshot_;
  void* tuples_ = nullptr;       // SPITupleTable
  std::uint64_t rollbacks_ = 0;  // when tuples_ was made
  std::uint64_t rows_ = 0;
};

}  // namespace pg_reconcile::pg
