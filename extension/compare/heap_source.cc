#include "extension/compare/heap_source.h"

#include <algorithm>
#include <tuple>

#include "extension/pg/progress.h"

extern "C" {
#include <access/relation.h>
#include <access/tableam.h>
#include <catalog/partition.h>
#include <catalog/pg_class.h>
#include <catalog/pg_inherits.h>
#include <executor/executor.h>
#include <funcapi.h>
#include <optimizer/optimizer.h>
#include <optimizer/plancat.h>
#include <storage/bufmgr.h>
#include <utils/lsyscache.h>
#include <utils/rls.h>
#include <utils/snapmgr.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr BlockNumber blocks_at_once = 32;
// Whatever statistics say: they may be of a time when the table was empty.
constexpr double rows_per_block_min = 16;

std::string_view name_of(const ColumnPair& column, core::Side side) {
  return side == core::Side::left ? column.left_name : column.right_name;
}

struct RawLeaves {
  const Oid* relations;
  int count;
};

// The tables that hold a relation's rows, locked until the transaction ends.
RawLeaves raw_leaves(Oid relation) {
  if (get_rel_relkind(relation) != RELKIND_PARTITIONED_TABLE) {
    auto* self = static_cast<Oid*>(palloc(sizeof(Oid)));
    *self = relation;
    return {self, 1};
  }
  List* all = find_all_inheritors(relation, AccessShareLock, nullptr);
  auto* leaves = static_cast<Oid*>(palloc(sizeof(Oid) * static_cast<std::size_t>(list_length(all))));
  int count = 0;
  ListCell* cell = nullptr;
  foreach (cell, all) {
    const Oid child = lfirst_oid(cell);
    if (get_rel_relkind(child) != RELKIND_PARTITIONED_TABLE) leaves[count++] = child;
  }
  return {leaves, count};
}

std::span<const Oid> tables_of(Oid relation) {
  const RawLeaves leaves = guarded([=] { return raw_leaves(relation); });
  return {leaves.relations, static_cast<std::size_t>(leaves.count)};
}

struct RawSize {
  BlockNumber blocks;
  double rows;
  bool is_shared;
};

RawSize raw_size(Oid oid) {
  Relation relation = relation_open(oid, NoLock);
  RawSize size{};
  double all_visible = 0;
  BlockNumber pages = 0;
  estimate_rel_size(relation, nullptr, &pages, &size.rows, &all_visible);
  size.blocks = RelationGetNumberOfBlocks(relation);
  size.rows = std::max(size.rows, rows_per_block_min * size.blocks);
  size.is_shared = !RelationUsesLocalBuffers(relation);
  relation_close(relation, NoLock);
  return size;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
void raw_set_place(ItemPointer place, BlockNumber block, OffsetNumber offset) {
  ItemPointerSet(place, block, offset);
}
#pragma GCC diagnostic pop

TupleDesc raw_description(int columns) {
  return CreateTemplateTupleDesc(columns);
}

}  // namespace

HeapSideReader::HeapSideReader(const HeapSide& side) : side_(side) {
  if (side.tables.empty()) return;
  columns_ = side.attributes.size() / side.tables.size();
  blocks_ = std::uint64_t{side.tables.back().first_block} + side.tables.back().blocks;
  if (side.expressions[0] != '\0') expressions_.emplace(side.expressions);
}

std::pair<std::uint64_t, std::uint64_t> HeapSideReader::next_blocks() {
  if (blocks_ == 0) return {0, 0};
  const std::uint64_t from = std::min(pg_atomic_fetch_add_u64(side_.next_block, blocks_at_once), blocks_);
  return {from, std::min(from + blocks_at_once, blocks_)};
}

HeapScan& HeapSideReader::scan_of(std::uint64_t block) {
  const auto is_in = [&](const HeapTable& table) {
    return block >= table.first_block && block < std::uint64_t{table.first_block} + table.blocks;
  };
  if (!scan_ || !is_in(side_.tables[table_])) {
    table_ = 0;
    while (!is_in(side_.tables[table_])) table_++;
    scan_.reset();
    scan_.emplace(side_.tables[table_].relation, side_.tables[table_].blocks,
                  side_.attributes.subspan(table_ * columns_, columns_));
  }
  return *scan_;
}

void scan_heap_side(const HeapSide& side, RowHasher& hasher, MatchParticipant& match) {
  HeapSideReader reader(side);
  for (auto [block, end] = reader.next_blocks(); block < end; std::tie(block, end) = reader.next_blocks()) {
    for (; block < end; block++) {
      reader.read_block(
          block, [](OffsetNumber) { return true; },
          [&](const Datum* values, const bool* nulls, std::uint64_t place) {
            match.add(hasher.hash(values, nulls).compact(place));
          });
    }
    match.publish_rows();
  }
}

HeapSource::Leaves HeapSource::leaves_of(const ComparedRelation& relation, core::Side side,
                                         const ComparePlan& plan, const std::optional<std::string>& filter) {
  const Oid oid = relation.oid();
  Leaves leaves;
  if (guarded([=] { return get_rel_relkind(oid); }) != RELKIND_PARTITIONED_TABLE) {
    leaves.reason = reason_against_heap_scan(oid);
    leaves.tables.push_back(oid);
  } else if (guarded([=] { return check_enable_rls(oid, InvalidOid, true); }) == RLS_ENABLED) {
    leaves.reason = "row security is active for the role that reads it";
  } else {
    for (const Oid leaf : tables_of(oid)) {
      // Who reads through the parent is under the parent's row security alone.
      const std::string reason = reason_against_heap_scan(leaf, true);
      if (!reason.empty()) {
        leaves.reason = "of its partition " + ComparedRelation(leaf).name() + " (" + reason + ")";
        return leaves;
      }
      leaves.tables.push_back(leaf);
    }
  }
  if (!leaves.reason.empty()) return leaves;
  leaves.expressions = plan_expressions(relation, side, plan, filter);
  leaves.reason = leaves.expressions.reason;
  return leaves;
}

HeapSource::HeapSource(const ComparedRelation& relation, const Leaves& leaves, core::Side side,
                       const ComparePlan& plan)
    : inputs_(plan.columns.size() + leaves.expressions.more_columns.size()),
      expressions_(leaves.expressions.nodes),
      expected_rows_(relation.estimated_rows()) {
  std::uint64_t first_block = 0;
  for (const Oid leaf : leaves.tables) {
    const RawSize size = guarded([=] { return raw_size(leaf); });
    is_shared_ = is_shared_ && size.is_shared;
    if (size.blocks == 0) continue;
    tables_.push_back({leaf, static_cast<BlockNumber>(first_block), size.blocks});
    first_block += size.blocks;
    if (first_block > MaxBlockNumber) {
      throw core::Error(core::sqlstate::program_limit_exceeded, relation.name() + " is too large to compare",
                        "Its partitions have more than 4,294,967,294 blocks together.",
                        "Compare it partition by partition, or with left_filter and right_filter.");
    }
    estimated_rows_ += static_cast<std::uint64_t>(size.rows);
    const auto add_input = [&](const std::string& name) {
      const char* text = name.c_str();
      attributes_.push_back(guarded([=] { return get_attnum(leaf, text); }));
    };
    for (const ColumnPair& column : plan.columns) add_input(std::string(name_of(column, side)));
    for (const std::string& name : leaves.expressions.more_columns) add_input(name);
  }

  const int columns = static_cast<int>(plan.columns.size());
  description_ = guarded([=] { return raw_description(columns); });
  for (int i = 0; i < columns; i++) {
    const ColumnPair& column = plan.columns[static_cast<std::size_t>(i)];
    const std::string name(name_of(column, side));
    const char* text = name.c_str();
    const TypeOperations& operations = column.operations;
    TupleDesc description = description_;
    const Oid type = operations.type;
    const Oid collation = operations.collation;
    guarded([=] {
      TupleDescInitEntry(description, static_cast<AttrNumber>(i + 1), text, type, -1, 0);
      TupleDescInitEntryCollation(description, static_cast<AttrNumber>(i + 1), collation);
    });
  }
  TupleDesc description = description_;
  description_ = guarded([=] { return BlessTupleDesc(description); });
}

std::uint64_t HeapSource::blocks() const {
  return tables_.empty() ? 0 : std::uint64_t{tables_.back().first_block} + tables_.back().blocks;
}

double HeapSource::estimated_cost() const {
  return static_cast<double>(blocks()) * seq_page_cost +
         static_cast<double>(estimated_rows_) * cpu_tuple_cost;
}

void HeapSource::read(RowHasher& hasher, MatchParticipant& match) {
  pg_atomic_uint64 next_block;
  pg_atomic_init_u64(&next_block, 0);
  scan_heap_side(side(next_block), hasher, match);
}

void HeapSource::fetch(std::span<const std::uint64_t> ordinals, RowVisitor& visitor) {
  if (ordinals.empty()) return;
  const std::size_t columns = static_cast<std::size_t>(description_->natts);
  const TupleDesc description = description_;
  TupleTableSlot* row = guarded([=] { return MakeSingleTupleTableSlot(description, &TTSOpsVirtual); });
  std::optional<RowExpressions> expressions;
  if (!expressions_.empty()) expressions.emplace(expressions_.c_str());
  std::vector<Datum> values(inputs_);
  const auto nulls = std::make_unique<bool[]>(inputs_);
  const MemoryContext memory = guarded([] {
    return AllocSetContextCreate(CurrentMemoryContext, "reconcile.compare fetched row", ALLOCSET_SMALL_SIZES);
  });
  Relation relation = nullptr;
  TupleTableSlot* stored = nullptr;
  const auto close = [&] {
    if (relation == nullptr) return;
    guarded([=] {
      ExecDropSingleTupleTableSlot(stored);
      relation_close(relation, NoLock);
    });
  };
  std::size_t table = 0;
  bool is_open = false;
  for (std::size_t i = 0; i < ordinals.size(); i++) {
    check_for_interrupts();
    const std::uint64_t block = ordinals[i] >> 16;
    const std::size_t before = table;
    while (block >= std::uint64_t{tables_[table].first_block} + tables_[table].blocks) table++;
    if (!is_open || table != before) {
      close();
      const Oid oid = tables_[table].relation;
      relation = guarded([=] { return relation_open(oid, NoLock); });
      stored = guarded([=] { return table_slot_create(relation, nullptr); });
      is_open = true;
    }
    ItemPointerData place;
    ItemPointer tid = &place;
    const auto block_number = static_cast<BlockNumber>(block - tables_[table].first_block);
    const auto offset = static_cast<OffsetNumber>(ordinals[i] & 0xFFFF);
    raw_set_place(tid, block_number, offset);
    const bool found = guarded([=] {
      if (!table_tuple_fetch_row_version(relation, tid, GetActiveSnapshot(), stored)) return false;
      slot_getallattrs(stored);
      ExecClearTuple(row);
      return true;
    });
    if (!found) throw core::Error(core::sqlstate::internal_error, "a row that was read is gone");
    for (std::size_t c = 0; c < inputs_; c++) {
      const auto attribute = static_cast<std::size_t>(attributes_[table * inputs_ + c]) - 1;
      values[c] = stored->tts_values[attribute];
      nulls[c] = stored->tts_isnull[attribute];
    }
    MemoryContextReset(memory);
    if (expressions) {
      const MemoryContext before_row = MemoryContextSwitchTo(memory);
      // It was let through when it was read. Its values are not of the compared types until they are
      // computed.
      if (!expressions->compute(values.data(), nulls.get())) {
        throw core::Error("42P17", "a filter gave two answers for one row",
                          "A function that it calls is declared STABLE or IMMUTABLE and is VOLATILE.",
                          "Declare the function as what it is: ALTER FUNCTION ... VOLATILE.");
      }
      MemoryContextSwitchTo(before_row);
    }
    std::copy_n(values.begin(), columns, row->tts_values);
    std::copy_n(nulls.get(), columns, row->tts_isnull);
    ExecStoreVirtualTuple(row);
    visitor.visit(i, row);
  }
  close();
  guarded([=] {
    ExecDropSingleTupleTableSlot(row);
    MemoryContextDelete(memory);
  });
}

}  // namespace pg_reconcile::pg
