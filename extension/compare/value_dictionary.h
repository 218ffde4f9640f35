// Numbers the distinct values of a column whose equality only its type knows.
//
// Two values get the same number exactly when the type's own operator says that they are equal: the hash
// function picks candidates, the operator decides. So jsonb, arrays, ranges, composites, citext, text under a
// nondeterministic collation and any extension's type compare as PostgreSQL compares them, and whoever hashes
// rows needs no knowledge of types. A type with an order and no hash function (tsvector) is found by its
// order. Memory: one copy of each distinct value.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// How a type's values are compared, under a collation. Functions are looked up once.
struct TypeOperations {
  Oid type = InvalidOid;
  Oid collation = InvalidOid;
  std::int16_t length = 0;
  bool by_value = false;
  FmgrInfo* equal = nullptr;    // nullptr: the type has no equality
  FmgrInfo* hash = nullptr;     // extended hash, nullptr: none
  FmgrInfo* compare = nullptr;  // btree support, nullptr: none
  FmgrInfo* output = nullptr;
};

// Looks the type up in the type cache; functions live in the current memory context.
TypeOperations operations_of(Oid type, Oid collation);

// Three-way order of two values. Only with `compare`.
int compare_values(const TypeOperations& operations, Datum a, Datum b);

class ValueDictionary {
 public:
  ValueDictionary(const TypeOperations& operations, std::uint64_t hash_seed);
  ~ValueDictionary();
  ValueDictionary(const ValueDictionary&) = delete;
  ValueDictionary& operator=(const ValueDictionary&) = delete;

  // Keeps a copy of `value` when it is new.
  std::uint64_t identify(Datum value);

 private:
  struct Known {
    Datum value;
    std::uint32_t next;
  };
  struct Ordered {
    Datum value;
    std::uint64_t number;
  };
  struct Before {
    const TypeOperations* operations;
    bool operator()(const Ordered& a, const Ordered& b) const {
      return compare_values(*operations, a.value, b.value) < 0;
    }
  };
  static constexpr std::uint32_t none = 0xFFFFFFFFU;

  std::uint64_t identify_by_hash(Datum value);
  std::uint64_t identify_by_order(Datum value);
  Datum keep(Datum value);

  TypeOperations operations_;
  std::uint64_t hash_seed_;
  MemoryContext memory_;
  std::unordered_map<std::uint64_t, std::uint32_t> heads_;
  std::vector<Known> known_;
  std::set<Ordered, Before> ordered_;
};

}  // namespace pg_reconcile::pg
