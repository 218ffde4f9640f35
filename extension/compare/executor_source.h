// Rows as a SELECT returns them: right for every kind of relation, with permissions and row security obeyed.
//
// The executor hands each row to a receiver of ours, so that nothing is copied that is not needed. Rows that
// may be asked for again are kept in a tuplestore, which spills to temporary files beyond work_mem: a view or
// a foreign table need not give the same rows a second time (docs/decisions/0010).
#pragma once

#include <exception>
#include <string>

#include "extension/compare/row_source.h"

extern "C" {
#include <tcop/dest.h>
#include <utils/tuplestore.h>
}

namespace pg_reconcile::pg {

class ExecutorSource final : public RowSource {
 public:
  // Keeps what it makes in the current memory context. `keep_rows`: fetch() will be called.
  ExecutorSource(std::string sql, std::string relation_name, const ComparePlan& plan, bool keep_rows);
  ~ExecutorSource() override;
  ExecutorSource(const ExecutorSource&) = delete;
  ExecutorSource& operator=(const ExecutorSource&) = delete;

  void read(RowHasher& hasher, MatchParticipant& match) override;
  [[nodiscard]] TupleDesc description() const override { return description_; }
  void fetch(std::span<const std::uint64_t> ordinals, RowVisitor& visitor) override;

  // The SELECT for one side. The filter has been checked by check_filter.
  static std::string select_text(const ComparePlan& plan, core::Side side, const ComparedRelation& relation,
                                 const std::optional<std::string>& filter);
  // What the planner says that a query costs, in its own units.
  static double estimated_cost(const std::string& sql);

 private:
  struct Receiver {
    DestReceiver base;  // first: PostgreSQL knows the receiver by it
    ExecutorSource* source;
  };
  static void raw_startup(DestReceiver* receiver, int operation, TupleDesc description);
  static bool raw_receive(TupleTableSlot* slot, DestReceiver* receiver);
  static void raw_ignore(DestReceiver* receiver);

  void receive(TupleTableSlot* slot);
  void execute();

  std::string sql_;
  std::string relation_name_;
  MemoryContext memory_;
  MemoryContext row_memory_;
  Tuplestorestate* store_ = nullptr;
  TupleDesc description_ = nullptr;
  std::vector<char> is_varlena_;
  std::vector<Datum> values_;
  RowHasher* hasher_ = nullptr;
  std::exception_ptr failure_;  // on its way through the executor
  MatchParticipant* match_ = nullptr;
  std::uint64_t rows_ = 0;
};

}  // namespace pg_reconcile::pg
