// Keys with rows on both sides that did not pair exactly: pairs what is within tolerance, then says what
// differs.
//
// Everything here goes by the values, in the order of their types (compared columns first to last, NULL last,
// then how equal values are written), so that the same data gives the same pairs.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/matching/partitioned_match.h"
#include "core/matching/tolerance_pairing.h"
#include "extension/compare/compare_plan.h"
#include "extension/compare/result_writer.h"

extern "C" {
#include <access/htup.h>
}

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
  ContestedKeys(const ComparePlan& plan, TupleDesc left, TupleDesc right, ResultWriter* writer,
                CompareSummary& summary);

  // One key's rows, as minimal tuples.
  void resolve(std::span<const MinimalTuple> left, std::span<const MinimalTuple> right);

 private:
  struct Row : RowValues {
    double prefix = 0;  // of the first compared column
    std::uint64_t image = 0;
    bool paired = false;
  };
  struct Class;  // rows with the same values in every tolerance column
  class Distance;

  std::vector<Row> load(std::span<const MinimalTuple> held, TupleDesc description);
  int compare(const Row& a, const Row& b);
  void sort(std::vector<Row>& rows);
  void pair_close(std::vector<Row>& left, std::vector<Row>& right);
  void pair_alike(std::vector<Row*>& left, std::vector<Row*>& right);
  std::vector<Class> classes_of(std::vector<Row*>& rows);
  std::string signature_of(const Row& row);
  std::vector<std::size_t> differing(const Row& left, const Row& right);
  void report(const std::vector<Row>& left, const std::vector<Row>& right);

  const ComparePlan& plan_;
  TupleDesc left_;
  TupleDesc right_;
  ResultWriter* writer_;
  CompareSummary& summary_;
  std::vector<std::size_t> tolerance_columns_;
  MemoryContext memory_;   // of the key at hand
  MemoryContext scratch_;  // of the values being compared
  core::ByteBuffer left_bytes_;
  core::ByteBuffer right_bytes_;
  core::ByteBuffer image_bytes_;
};

}  // namespace pg_reconcile::pg
