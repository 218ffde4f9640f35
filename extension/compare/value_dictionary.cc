#include "extension/compare/value_dictionary.h"

#include "extension/values/collation.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/datum.h>
#include <utils/lsyscache.h>
#include <utils/typcache.h>
}

namespace pg_reconcile::pg {
namespace {

FmgrInfo* raw_function(Oid function) {
  if (!OidIsValid(function)) return nullptr;
  auto* info = static_cast<FmgrInfo*>(palloc(sizeof(FmgrInfo)));
  fmgr_info(function, info);
  return info;
}

// Fills what is trivially copyable; a function of its own because every line may raise.
void raw_look_up(TypeOperations* operations) {
  const TypeCacheEntry* entry =
      lookup_type_cache(operations->type, TYPECACHE_EQ_OPR_FINFO | TYPECACHE_HASH_EXTENDED_PROC_FINFO |
                                              TYPECACHE_CMP_PROC_FINFO);
  operations->length = entry->typlen;
  operations->by_value = entry->typbyval;
  operations->equal = raw_function(entry->eq_opr_finfo.fn_oid);
  operations->hash = raw_function(entry->hash_extended_proc_finfo.fn_oid);
  operations->compare = raw_function(entry->cmp_proc_finfo.fn_oid);
  Oid output = InvalidOid;
  bool is_varlena = false;
  getTypeOutputInfo(operations->type, &output, &is_varlena);
  operations->output = raw_function(output);
}

Datum raw_keep(Datum value, bool by_value, std::int16_t length) {
  if (length == -1 && VARATT_IS_EXTENDED(DatumGetPointer(value))) {
    return PointerGetDatum(pg_detoast_datum(reinterpret_cast<varlena*>(DatumGetPointer(value))));
  }
  return datumCopy(value, by_value, length);
}

}  // namespace

TypeOperations operations_of(Oid type, Oid collation) {
  TypeOperations operations;
  operations.type = type;
  operations.collation = collation;
  TypeOperations* target = &operations;
  guarded([=] { raw_look_up(target); });
  // name's equality and order know collations, its hash does not.
  if (type == NAMEOID && !is_deterministic(collation)) operations.hash = nullptr;
  return operations;
}

int compare_values(const TypeOperations& operations, Datum a, Datum b) {
  FmgrInfo* compare = operations.compare;
  const Oid collation = operations.collation;
  return guarded([=] { return DatumGetInt32(FunctionCall2Coll(compare, collation, a, b)); });
}

ValueDictionary::ValueDictionary(const TypeOperations& operations, std::uint64_t hash_seed)
    : operations_(operations), hash_seed_(hash_seed), ordered_(Before{&operations_}) {
  memory_ = guarded([] {
    return AllocSetContextCreate(CurrentMemoryContext, "reconcile.compare distinct values",
                                 ALLOCSET_DEFAULT_SIZES);
  });
}

ValueDictionary::~ValueDictionary() = default;  // the memory context goes with the query's

Datum ValueDictionary::keep(Datum value) {
  const bool by_value = operations_.by_value;
  const std::int16_t length = operations_.length;
  const MemoryContext memory = memory_;
  return guarded([=] {
    const MemoryContext before = MemoryContextSwitchTo(memory);
    const Datum copy = raw_keep(value, by_value, length);
    MemoryContextSwitchTo(before);
    return copy;
  });
}

std::uint64_t ValueDictionary::identify(Datum value) {
  return operations_.hash != nullptr ? identify_by_hash(value) : identify_by_order(value);
}

std::uint64_t ValueDictionary::identify_by_hash(Datum value) {
  FmgrInfo* hash = operations_.hash;
  FmgrInfo* equal = operations_.equal;
  const Oid collation = operations_.collation;
  const Datum seed = UInt64GetDatum(hash_seed_);
  const std::uint64_t hashed =
      guarded([=] { return DatumGetUInt64(FunctionCall2Coll(hash, collation, value, seed)); });
  const auto head = heads_.try_emplace(hashed, none).first;
  for (std::uint32_t i = head->second; i != none; i = known_[i].next) {
    check_for_interrupts();
    const Datum known = known_[i].value;
    if (guarded([=] { return DatumGetBool(FunctionCall2Coll(equal, collation, known, value)); })) return i;
  }
  if (known_.size() >= none) {
    throw core::Error(
        core::sqlstate::program_limit_exceeded, "too many distinct values in one column",
        "A column holds more than 4,294,967,294 distinct values of a type that has no canonical form.",
        "Compare in parts by left_filter and right_filter.");
  }
  known_.push_back({keep(value), head->second});
  head->second = static_cast<std::uint32_t>(known_.size() - 1);
  return head->second;
}

std::uint64_t ValueDictionary::identify_by_order(Datum value) {
  const auto found = ordered_.find(Ordered{value, 0});
  if (found != ordered_.end()) return found->number;
  const std::uint64_t number = ordered_.size();
  ordered_.insert(Ordered{keep(value), number});
  return number;
}

}  // namespace pg_reconcile::pg
