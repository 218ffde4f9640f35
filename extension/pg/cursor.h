// Many rows, read in bounded batches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "extension/pg/spi.h"

namespace pg_reconcile::pg {

// A cursor over one query under a held snapshot. Lives inside an Spi; rows are views that last until
// next_batch(). Its portal is known by name: CLOSE ALL, and the rollback of the subtransaction that opened
// it, drop a portal behind its holder's back.
class Cursor {
 public:
  static constexpr long batch_rows = 8192;

  Cursor(const HeldSnapshot& snapshot, const std::string& sql, const std::vector<Argument>& arguments);
  ~Cursor();
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  // Fetches the next batch, polls interrupts. False at the end. 34000 when the portal is gone.
  bool next_batch();
  [[nodiscard]] std::uint64_t rows() const { return rows_; }
  [[nodiscard]] Datum datum(std::uint64_t row, int column, bool& is_null) const;
  // A text column as it lies in memory. disengaged: NULL.
  [[nodiscard]] std::optional<std::string_view> text(std::uint64_t row, int column) const;

 private:
  std::string portal_name_;  // never given out twice by a process
  void* tuples_ = nullptr;
  std::uint64_t rows_ = 0;
};

}  // namespace pg_reconcile::pg
