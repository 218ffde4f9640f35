#include "extension/pg/entry_table.h"

#include <cstring>

#include "extension/pg/compat.h"
#include "extension/pg/entry_checks.h"
#include "extension/pg/index_batch.h"
#include "extension/values/payload.h"

extern "C" {
#include <access/heapam.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <catalog/index.h>
#include <catalog/namespace.h>
#include <catalog/partition.h>
#include <catalog/pg_trigger_d.h>
#include <commands/trigger.h>
#include <executor/execPartition.h>
#include <executor/executor.h>
#include <executor/nodeModifyTable.h>
#include <nodes/makefuncs.h>
#include <optimizer/optimizer.h>
#include <parser/parse_func.h>
#include <rewrite/rewriteHandler.h>
#include <storage/lmgr.h>
#include <utils/datum.h>
#include <utils/guc.h>
#include <utils/partcache.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
}

namespace pg_reconcile::pg {

namespace {

constexpr std::size_t few_rows = 4;      // are put in one by one
constexpr std::size_t many_rows = 1000;  // are worth a look at what is checked
constexpr std::size_t looked_up = 8;     // keys of a batch
constexpr std::size_t chunk_rows_max = 1000;
constexpr std::size_t chunk_bytes_max = 1048576;

// How a relation's columns are filled.
struct RawColumns {
  int count;
  int* source;           // of which of our columns; -1: of none
  ExprState** defaults;  // of those of none; nullptr: NULL
  bool as_ours;          // in our order, and no other
};

struct RawLeaf {
  ResultRelInfo* info;
  RawColumns columns;
  bool plain;
  bool has_triggers;     // besides our own
  bool is_of_place;      // rows of its book and days are all in it
  TupleTableSlot* view;  // shows a row's values where they are
  TupleTableSlot* slot;
};

struct RawRow {
  EntryRow* entry;
  Datum* values;  // in the leaf's order
  bool* nulls;
  RawLeaf* leaf;
  ItemPointerData tid;
  HeapTuple tuple;
  bool is_out;  // was put in, and taken out again
};

}  // namespace

struct RawEntryTable {
  MemoryContext memory;
  EState* estate;
  ModifyTableState* state;
  ResultRelInfo* root;
  Relation relation;
  PartitionTupleRouting* routing;
  RawColumns columns;
  TupleTableSlot* view;
  Oid own_trigger;
  List* leaves;
  bool fires;                        // triggers besides our own
  TransitionCaptureState* new_rows;  // where a statement's trigger names them
};

namespace {

RawColumns raw_columns(Relation relation, EState* estate) {
  const TupleDesc described = RelationGetDescr(relation);
  RawColumns columns{};
  columns.count = described->natts;
  columns.source = static_cast<int*>(palloc(sizeof(int) * static_cast<std::size_t>(described->natts)));
  columns.defaults =
      static_cast<ExprState**>(palloc0(sizeof(ExprState*) * static_cast<std::size_t>(described->natts)));
  columns.as_ours = described->natts == static_cast<int>(entry_column::count);
  for (int i = 0; i < described->natts; i++) {
    const FormData_pg_attribute* attribute = TupleDescAttr(described, i);
    columns.source[i] = -1;
    for (std::size_t ours = 0; ours < entry_column::count && !attribute->attisdropped; ours++) {
      if (std::strcmp(NameStr(attribute->attname), entry_column_names[ours]) == 0)
        columns.source[i] = static_cast<int>(ours);
    }
    columns.as_ours = columns.as_ours && columns.source[i] == i;
    if (columns.source[i] < 0 && !attribute->attisdropped && attribute->attgenerated == '\0') {
      Node* expression = build_column_default(relation, i + 1);
      if (expression != nullptr)
        columns.defaults[i] = ExecPrepareExpr(reinterpret_cast<Expr*>(expression), estate);
    }
  }
  return columns;
}

void raw_take_columns(const RawColumns& columns, EState* estate, RawRow& row) {
  if (columns.as_ours) {
    row.values = row.entry->values;
    row.nulls = row.entry->nulls;
    return;
  }
  const auto count = static_cast<std::size_t>(columns.count);
  row.values = static_cast<Datum*>(palloc0(count * sizeof(Datum)));
  row.nulls = static_cast<bool*>(palloc(count));
  for (std::size_t i = 0; i < count; i++) {
    row.nulls[i] = true;
    if (columns.source[i] >= 0) {
      row.values[i] = row.entry->values[columns.source[i]];
      row.nulls[i] = row.entry->nulls[columns.source[i]];
    } else if (columns.defaults[i] != nullptr) {
      row.values[i] = ExecEvalExpr(columns.defaults[i], GetPerTupleExprContext(estate), &row.nulls[i]);
    }
  }
}

TupleTableSlot* raw_view(Relation relation, EState* estate) {
  return ExecInitExtraTupleSlot(estate, RelationGetDescr(relation), &TTSOpsVirtual);
}

void raw_show(TupleTableSlot* view, const RawRow& row) {
  view->tts_flags &= static_cast<std::uint16_t>(~TTS_FLAG_EMPTY);
  view->tts_nvalid = static_cast<AttrNumber>(view->tts_tupleDescriptor->natts);
  view->tts_values = row.values;
  view->tts_isnull = row.nulls;
  view->tts_tid = row.tid;
}

Oid raw_own_trigger() {
  return LookupFuncName(
      list_make2(makeString(pstrdup("reconcile")), makeString(pstrdup("record_entry_change"))), 0, nullptr,
      true);
}

RawEntryTable* raw_open(MemoryContext memory) {
  const MemoryContext before = MemoryContextSwitchTo(memory);
  PushActiveSnapshot(GetTransactionSnapshot());
  auto* table = static_cast<RawEntryTable*>(palloc0(sizeof(RawEntryTable)));
  table->memory = memory;
  table->relation = table_openrv(makeRangeVar(pstrdup("reconcile"), pstrdup("entry"), -1), RowExclusiveLock);
  table->own_trigger = raw_own_trigger();
  table->estate = CreateExecutorState();
  RangeTblEntry* entry = makeNode(RangeTblEntry);
  entry->rtekind = RTE_RELATION;
  entry->relid = RelationGetRelid(table->relation);
  entry->relkind = table->relation->rd_rel->relkind;
  entry->rellockmode = RowExclusiveLock;
  raw_init_range_table(table->estate, entry);
  table->estate->es_output_cid = GetCurrentCommandId(true);
  table->estate->es_snapshot = GetActiveSnapshot();
  table->root = makeNode(ResultRelInfo);
  ExecInitResultRelation(table->estate, table->root, 1);
  // Leaves open their indexes for speculative insertion, as for ON CONFLICT DO NOTHING.
  ModifyTable* plan = makeNode(ModifyTable);
  plan->operation = CMD_INSERT;
  plan->onConflictAction = ONCONFLICT_NOTHING;
  table->state = makeNode(ModifyTableState);
  table->state->ps.plan = reinterpret_cast<Plan*>(plan);
  table->state->ps.state = table->estate;
  table->state->operation = CMD_INSERT;
  table->state->mt_nrels = 1;
  table->state->resultRelInfo = table->root;
  table->state->rootResultRelInfo = table->root;
  table->routing = ExecSetupPartitionTupleRouting(table->estate, table->relation);
  table->columns = raw_columns(table->relation, table->estate);
  table->view = raw_view(table->relation, table->estate);
  AfterTriggerBeginQuery();
  table->new_rows =
      MakeTransitionCaptureState(table->root->ri_TrigDesc, RelationGetRelid(table->relation), CMD_INSERT);
  ExecBSInsertTriggers(table->estate, table->root);
  MemoryContextSwitchTo(before);
  return table;
}

// Our own trigger leaves alone what is written while this is on.
void raw_say_that_sink_records(const char* value) {
  set_config_option("pg_reconcile.sink_records", value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0,
                    false);
}

void raw_close(RawEntryTable* table) {
  const MemoryContext before = MemoryContextSwitchTo(table->memory);
  ExecASInsertTriggers(table->estate, table->root, table->new_rows);
  AfterTriggerEndQuery(table->estate);
  if (table->fires) raw_say_that_sink_records("off");
  ExecResetTupleTable(table->estate->es_tupleTable, false);
  ExecCleanupTupleRouting(table->state, table->routing);
  ExecCloseResultRelations(table->estate);
  ExecCloseRangeTableRelations(table->estate);
  FreeExecutorState(table->estate);
  table_close(table->relation, NoLock);
  PopActiveSnapshot();
  MemoryContextSwitchTo(before);
  CommandCounterIncrement();
}

bool raw_has_triggers(const ResultRelInfo* info, Oid own) {
  const TriggerDesc* triggers = info->ri_TrigDesc;
  if (triggers == nullptr) return false;
  for (int i = 0; i < triggers->numtriggers; i++) {
    const Trigger& trigger = triggers->triggers[i];
    if (TRIGGER_FOR_ROW(trigger.tgtype) && TRIGGER_FOR_INSERT(trigger.tgtype) && trigger.tgfoid != own)
      return true;
  }
  return false;
}

bool raw_is_plain(const ResultRelInfo* info) {
  const Relation relation = info->ri_RelationDesc;
  const TupleConstr* constraints = RelationGetDescr(relation)->constr;
  if (constraints != nullptr && constraints->has_generated_stored) return false;
  if (relation->rd_rel->relkind != RELKIND_RELATION || relation->rd_tableam != GetHeapamTableAmRoutine())
    return false;
  for (int i = 0; i < info->ri_NumIndices; i++) {
    if (info->ri_IndexRelationInfo[i]->ii_ExclusionOps != nullptr) return false;
    if (info->ri_IndexRelationInfo[i]->ii_Unique && !info->ri_IndexRelationDescs[i]->rd_index->indimmediate)
      return false;
  }
  return true;
}

// A month's partition can be partitioned further, by other columns.
bool raw_is_of_place(Oid leaf) {
  bool is_of_place = true;
  ListCell* cell = nullptr;
  foreach (cell, get_partition_ancestors(leaf)) {
    const Relation parent = table_open(lfirst_oid(cell), NoLock);  // locked when the row was routed
    const PartitionKey key = RelationGetPartitionKey(parent);
    for (int i = 0; i < key->partnatts; i++) {
      const AttrNumber number = key->partattrs[i];
      const char* name =
          number > 0 ? NameStr(TupleDescAttr(RelationGetDescr(parent), number - 1)->attname) : "";
      is_of_place =
          is_of_place && (std::strcmp(name, "book") == 0 || std::strcmp(name, "business_date") == 0);
    }
    table_close(parent, NoLock);
  }
  return is_of_place;
}

RawLeaf* raw_leaf(RawEntryTable* table, ResultRelInfo* info) {
  ListCell* cell = nullptr;
  foreach (cell, table->leaves) {
    auto* known = static_cast<RawLeaf*>(lfirst(cell));
    if (known->info == info) return known;
  }
  if (info->ri_RelationDesc->rd_rel->relkind != RELKIND_RELATION) {
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("entries cannot be stored in \"%s\"", RelationGetRelationName(info->ri_RelationDesc)),
             errdetail("It is no table of this server."),
             errhint("Entries that come now (tier 0) need a table for a partition.")));
  }
  auto* leaf = static_cast<RawLeaf*>(palloc0(sizeof(RawLeaf)));
  leaf->info = info;
  leaf->columns = raw_columns(info->ri_RelationDesc, table->estate);
  leaf->has_triggers = table->new_rows != nullptr || raw_has_triggers(info, table->own_trigger);
  leaf->plain = !leaf->has_triggers && raw_is_plain(info);
  leaf->is_of_place = raw_is_of_place(RelationGetRelid(info->ri_RelationDesc));
  leaf->view = raw_view(info->ri_RelationDesc, table->estate);
  leaf->slot = table_slot_create(info->ri_RelationDesc, &table->estate->es_tupleTable);
  table->leaves = lappend(table->leaves, leaf);
  if (leaf->has_triggers && !table->fires) {
    raw_say_that_sink_records("on");
    table->fires = true;
  }
  return leaf;
}

bool raw_same_place(const RawRow& a, const RawRow& b) {
  namespace column = entry_column;
  const auto book = [](const RawRow& row) {
    return row.entry->nulls[column::book] ? std::string_view() : payload_of(row.entry->values[column::book]);
  };
  return a.entry->values[column::business_date] == b.entry->values[column::business_date] &&
         a.entry->nulls[column::business_date] == b.entry->nulls[column::business_date] && book(a) == book(b);
}

void raw_route(RawEntryTable* table, RawRow* rows, std::size_t count) {
  for (std::size_t i = 0; i < count; i++) {
    if (i > 0 && rows[i - 1].leaf->is_of_place && raw_same_place(rows[i - 1], rows[i])) {
      rows[i].leaf = rows[i - 1].leaf;
      continue;
    }
    raw_take_columns(table->columns, table->estate, rows[i]);
    raw_show(table->view, rows[i]);
    ResultRelInfo* info =
        ExecFindPartition(table->state, table->root, table->routing, table->view, table->estate);
    rows[i].leaf = raw_leaf(table, info);
  }
}

void raw_fill_slot(const RawLeaf& leaf, const RawRow& row) {
  ExecClearTuple(leaf.slot);
  const auto count = static_cast<std::size_t>(leaf.columns.count);
  std::memcpy(leaf.slot->tts_values, row.values, count * sizeof(Datum));
  std::memcpy(leaf.slot->tts_isnull, row.nulls, count * sizeof(bool));
  ExecStoreVirtualTuple(leaf.slot);
}

// What a trigger, or a generated column, made of the row.
void raw_take_back(const RawLeaf& leaf, RawRow& row) {
  slot_getallattrs(leaf.slot);
  for (int i = 0; i < leaf.columns.count; i++) {
    const int ours = leaf.columns.source[i];
    if (ours < 0) continue;
    const FormData_pg_attribute* attribute = TupleDescAttr(RelationGetDescr(leaf.info->ri_RelationDesc), i);
    row.entry->nulls[ours] = leaf.slot->tts_isnull[i];
    if (!leaf.slot->tts_isnull[i]) {
      row.entry->values[ours] = datumCopy(leaf.slot->tts_values[i], attribute->attbyval, attribute->attlen);
    }
  }
}

// ExecInsert's way with ON CONFLICT DO NOTHING.
bool raw_insert_one(RawEntryTable* table, RawRow& row) {
  const RawLeaf& leaf = *row.leaf;
  ResultRelInfo* info = leaf.info;
  const Relation relation = info->ri_RelationDesc;
  const TupleConstr* constraints = RelationGetDescr(relation)->constr;
  EState* estate = table->estate;
  raw_fill_slot(leaf, row);
  leaf.slot->tts_tableOid = RelationGetRelid(relation);
  const bool changes =
      leaf.has_triggers && info->ri_TrigDesc != nullptr && info->ri_TrigDesc->trig_insert_before_row;
  if (changes && !ExecBRInsertTriggers(estate, info, leaf.slot)) return false;
  if (constraints != nullptr && constraints->has_generated_stored)
    ExecComputeStoredGenerated(info, estate, leaf.slot, CMD_INSERT);
  if (changes) ExecPartitionCheck(info, leaf.slot, estate, true);
  if (constraints != nullptr) ExecConstraints(info, leaf.slot, estate);
  List* recheck = nullptr;
  for (bool conflicts = true; conflicts;) {
    CHECK_FOR_INTERRUPTS();
    if (!raw_check_index_constraints(info, leaf.slot, estate)) return false;
    const std::uint32_t token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
    table_tuple_insert_speculative(relation, leaf.slot, estate->es_output_cid, 0, nullptr, token);
    conflicts = false;
    recheck = raw_insert_index_tuples(info, leaf.slot, estate, &conflicts);
    table_tuple_complete_speculative(relation, leaf.slot, token, !conflicts);
    SpeculativeInsertionLockRelease(GetCurrentTransactionId());
  }
  if (leaf.has_triggers) ExecARInsertTriggers(estate, info, leaf.slot, recheck, table->new_rows);
  if (changes) raw_take_back(leaf, row);
  ExecClearTuple(leaf.slot);
  return true;
}

bool raw_some_are_there(RawEntryTable* table, RawRow** rows, std::size_t count) {
  for (std::size_t i = 0; i < looked_up; i++) {
    const RawRow& row = *rows[(count - 1) * i / (looked_up - 1)];
    raw_fill_slot(*row.leaf, row);
    ItemPointerSetInvalid(&row.leaf->slot->tts_tid);
    if (!raw_check_index_constraints(row.leaf->info, row.leaf->slot, table->estate)) return true;
  }
  return false;
}

// The rows' tuples into the pages: chunk by chunk, each tuple formed and let go.
void raw_insert_tuples(RawEntryTable* table, RawRow** rows, std::size_t count) {
  const RawLeaf& leaf = *rows[0]->leaf;
  const Relation relation = leaf.info->ri_RelationDesc;
  const TupleDesc described = RelationGetDescr(relation);
  const std::size_t slots_made = count < chunk_rows_max ? count : chunk_rows_max;
  auto** slots = static_cast<TupleTableSlot**>(palloc(slots_made * sizeof(void*)));
  for (std::size_t i = 0; i < slots_made; i++)
    slots[i] = MakeSingleTupleTableSlot(described, &TTSOpsHeapTuple);
  const MemoryContext chunk_memory =
      AllocSetContextCreate(CurrentMemoryContext, "entry tuples", ALLOCSET_DEFAULT_SIZES);
  for (std::size_t from = 0; from < count;) {
    CHECK_FOR_INTERRUPTS();
    const MemoryContext before = MemoryContextSwitchTo(chunk_memory);
    std::size_t taken = 0;
    for (std::size_t bytes = 0; taken < slots_made && from + taken < count && bytes < chunk_bytes_max;
         taken++) {
      HeapTuple tuple = heap_form_tuple(described, rows[from + taken]->values, rows[from + taken]->nulls);
      bytes += tuple->t_len;
      tuple->t_tableOid = RelationGetRelid(relation);
      ExecStoreHeapTuple(tuple, slots[taken], true);
    }
    heap_multi_insert(relation, slots, static_cast<int>(taken), table->estate->es_output_cid, 0, nullptr);
    for (std::size_t i = 0; i < taken; i++) {
      rows[from + i]->tid = slots[i]->tts_tid;
      ExecClearTuple(slots[i]);
    }
    MemoryContextSwitchTo(before);
    MemoryContextReset(chunk_memory);
    from += taken;
  }
  for (std::size_t i = 0; i < slots_made; i++) ExecDropSingleTupleTableSlot(slots[i]);
  MemoryContextDelete(chunk_memory);
}

// The rows that an index holds, with its columns' values.
std::size_t raw_index_items(RawEntryTable* table, RawRow** rows, std::size_t count, int number,
                            IndexItem* items) {
  const RawLeaf& leaf = *rows[0]->leaf;
  IndexInfo* info = leaf.info->ri_IndexRelationInfo[number];
  const auto columns = static_cast<std::size_t>(info->ii_NumIndexAttrs);
  auto* values =
      static_cast<Datum*>(MemoryContextAllocHuge(CurrentMemoryContext, count * columns * sizeof(Datum)));
  auto* nulls = static_cast<bool*>(palloc(count * columns));
  ExprContext* context = GetPerTupleExprContext(table->estate);
  context->ecxt_scantuple = leaf.view;
  if (info->ii_Predicate != nullptr && info->ii_PredicateState == nullptr) {
    info->ii_PredicateState = ExecPrepareQual(info->ii_Predicate, table->estate);
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; i++) {
    if (rows[i]->is_out) continue;
    raw_show(leaf.view, *rows[i]);
    if (info->ii_PredicateState != nullptr) {
      ResetExprContext(context);
      if (!ExecQual(info->ii_PredicateState, context)) continue;
    }
    IndexItem& item = items[kept];
    item = {values + kept * columns, nulls + kept * columns, rows[i]->tid, rows[i], false};
    if (info->ii_Expressions == nullptr) {
      for (std::size_t c = 0; c < columns; c++) {
        const int attribute = info->ii_IndexAttrNumbers[c] - 1;
        item.values[c] = rows[i]->values[attribute];
        item.nulls[c] = rows[i]->nulls[attribute];
      }
    } else {
      FormIndexDatum(info, leaf.view, table->estate, item.values, item.nulls);
      const TupleDesc described = RelationGetDescr(leaf.info->ri_IndexRelationDescs[number]);
      for (std::size_t c = 0; c < columns; c++) {
        const FormData_pg_attribute* attribute = TupleDescAttr(described, static_cast<int>(c));
        if (!item.nulls[c])
          item.values[c] = datumCopy(item.values[c], attribute->attbyval, attribute->attlen);
      }
    }
    kept++;
  }
  return kept;
}

// Returns how many keys may be there twice; their rows are marked as out.
std::size_t raw_insert_index(RawEntryTable* table, RawRow** rows, std::size_t count, int number) {
  const RawLeaf& leaf = *rows[0]->leaf;
  const MemoryContext memory =
      AllocSetContextCreate(CurrentMemoryContext, "index entries", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext before = MemoryContextSwitchTo(memory);
  auto* items = static_cast<IndexItem*>(MemoryContextAllocHuge(memory, count * sizeof(IndexItem)));
  IndexBatch batch{};
  batch.table = leaf.info->ri_RelationDesc;
  batch.index = leaf.info->ri_IndexRelationDescs[number];
  batch.info = leaf.info->ri_IndexRelationInfo[number];
  batch.items = items;
  batch.count = raw_index_items(table, rows, count, number, items);
  raw_insert_batch(batch);
  std::size_t twice = 0;
  for (std::size_t i = 0; i < batch.count; i++) {
    if (!items[i].may_be_twice) continue;
    static_cast<RawRow*>(items[i].row)->is_out = true;
    twice++;
  }
  MemoryContextSwitchTo(before);
  MemoryContextDelete(memory);
  return twice;
}

// Takes the marked rows out again and puts each in the executor's way.
void raw_insert_again(RawEntryTable* table, RawRow** rows, std::size_t count) {
  CommandCounterIncrement();
  for (std::size_t i = 0; i < count; i++) {
    if (rows[i]->is_out)
      simple_table_tuple_delete(rows[i]->leaf->info->ri_RelationDesc, &rows[i]->tid,
                                table->estate->es_snapshot);
  }
  CommandCounterIncrement();
  table->estate->es_output_cid = GetCurrentCommandId(true);
  for (std::size_t i = 0; i < count; i++) {
    if (rows[i]->is_out) rows[i]->entry->stored = raw_insert_one(table, *rows[i]);
  }
}

void raw_insert_indexes(RawEntryTable* table, RawRow** rows, std::size_t count) {
  const ResultRelInfo* info = rows[0]->leaf->info;
  std::size_t twice = 0;
  for (const bool unique : {true, false}) {
    for (int i = 0; i < info->ri_NumIndices; i++) {
      if (info->ri_IndexRelationDescs[i] == nullptr || !info->ri_IndexRelationInfo[i]->ii_ReadyForInserts)
        continue;
      if (info->ri_IndexRelationInfo[i]->ii_Unique == unique)
        twice += raw_insert_index(table, rows, count, i);
    }
  }
  if (twice > 0) raw_insert_again(table, rows, count);
}

bool raw_has_what_it_must(TupleDesc described, const RawRow& row) {
  for (int i = 0; i < described->natts; i++) {
    if (row.nulls[i] && TupleDescAttr(described, i)->attnotnull) return false;
  }
  return true;
}

// Our own checks are not evaluated for many rows that pass them. Nobody takes other checks for ours.
void raw_check(RawEntryTable* table, RawRow** rows, std::size_t count) {
  const RawLeaf& leaf = *rows[0]->leaf;
  const Relation relation = leaf.info->ri_RelationDesc;
  const bool are_ours = count >= many_rows && raw_checks_are_ours(relation);
  for (std::size_t i = 0; i < count; i++) {
    rows[i]->entry->stored = true;
    if (are_ours && passes_our_checks(*rows[i]->entry) &&
        raw_has_what_it_must(RelationGetDescr(relation), *rows[i])) {
      continue;
    }
    raw_show(leaf.view, *rows[i]);
    ExecConstraints(leaf.info, leaf.view, table->estate);
    ResetPerTupleExprContext(table->estate);
  }
}

void raw_insert_leaf(RawEntryTable* table, RawRow** rows, std::size_t count) {
  RawLeaf* leaf = rows[0]->leaf;
  for (std::size_t i = 0; i < count; i++) raw_take_columns(leaf->columns, table->estate, *rows[i]);
  if (!leaf->plain || count <= few_rows || raw_some_are_there(table, rows, count)) {
    for (std::size_t i = 0; i < count; i++) {
      rows[i]->entry->stored = raw_insert_one(table, *rows[i]);
      ResetPerTupleExprContext(table->estate);
    }
    return;
  }
  raw_check(table, rows, count);
  raw_insert_tuples(table, rows, count);
  raw_insert_indexes(table, rows, count);
}

void raw_insert(RawEntryTable* table, EntryRow* entries, std::size_t count) {
  const MemoryContext before = MemoryContextSwitchTo(table->memory);
  auto* rows = static_cast<RawRow*>(MemoryContextAllocZero(table->memory, count * sizeof(RawRow)));
  auto** of_leaf = static_cast<RawRow**>(palloc(count * sizeof(void*)));
  for (std::size_t i = 0; i < count; i++) rows[i].entry = &entries[i];
  raw_route(table, rows, count);
  ListCell* cell = nullptr;
  foreach (cell, table->leaves) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; i++) {
      if (rows[i].leaf == lfirst(cell)) of_leaf[found++] = &rows[i];
    }
    if (found > 0) raw_insert_leaf(table, of_leaf, found);
  }
  MemoryContextSwitchTo(before);
}

}  // namespace

EntryTable::EntryTable(const RowMemory& memory) {
  const MemoryContext context = memory.context();
  raw_ = guarded([=] { return raw_open(context); });
}

Oid EntryTable::owner() const {
  return raw_->relation->rd_rel->relowner;
}

void EntryTable::insert(EntryRow* rows, std::size_t count) {
  RawEntryTable* raw = raw_;
  guarded([=] { raw_insert(raw, rows, count); });
}

void EntryTable::close() {
  RawEntryTable* raw = raw_;
  guarded([=] { raw_close(raw); });
}

}  // namespace pg_reconcile::pg
