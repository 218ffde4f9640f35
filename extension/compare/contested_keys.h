// Keys with rows on both sides that did not pair exactly: pairs what is within tolerance, then says what
// differs.
//
// Everything here goes by the values, in the order of their types (compared columns first to last, NULL last,
// then how equal values are written), so that the same data gives the same pairs.
#pragma once

#include <vector>

#include "core/matching/partitioned_match.h"
#include "core/matching/tolerance_pairing.h"
#include "extension/compare/contested_rows.h"
#include "extension/compare/result_writer.h"

namespace pg_reconcile::pg {

struct CompareSummary {
  std::uint64_t left_rows = 0;
  std::uint64_t right_rows = 0;
  std::uint64_t matched = 0;
  std::uint64_t missing_left = 0;
  std::uint64_t missing_right = 0;
  std::uint64_t mismatched = 0;
  std::uint64_t duplicate_left = 0;
  std::uint64_t duplicate_right = 0;
};

class ContestedKeys {
 public:
  // `writer` may be nullptr: then only the summary is kept.
  ContestedKeys(const ComparePlan& plan, ResultWriter* writer, CompareSummary& summary);

  // Every key's rows, sorted. Throws core::Error 54000 when one key's do not fit into memory and are to be
  // paired within tolerance.
  void resolve(ContestedRows& left, ContestedRows& right);

 private:
  struct Row : RowValues {
    bool paired = false;
  };
  struct Class;  // rows with the same values in every tolerance column
  class Distance;

  void pair_in_order(std::uint64_t key, ContestedRows& left, ContestedRows& right);
  std::vector<Row> load(std::uint64_t key, ContestedRows& rows, std::size_t others);
  [[noreturn]] void refuse(const RowValues& row);
  void pair_close(std::vector<Row>& left, std::vector<Row>& right);
  void pair_alike(std::vector<Row*>& left, std::vector<Row*>& right);
  std::vector<Class> classes_of(std::vector<Row*>& rows);
  std::string signature_of(const Row& row);
  std::vector<std::size_t> differing(const RowValues& left, const RowValues& right);
  void report(const std::vector<Row>& left, const std::vector<Row>& right);
  void write_mismatch(const RowValues& left, const RowValues& right);
  void write_duplicate(core::Side side, const RowValues& row);

  const ComparePlan& plan_;
  ResultWriter* writer_;
  CompareSummary& summary_;
  std::vector<std::size_t> tolerance_columns_;
  MemoryContext memory_;   // of the key at hand
  MemoryContext scratch_;  // of the values being compared
  core::ByteBuffer left_bytes_;
  core::ByteBuffer right_bytes_;
};

}  // namespace pg_reconcile::pg
