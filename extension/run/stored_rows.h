// Rows of the entry leaves by location: exceptions are few, so they are fetched again instead of being kept.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "extension/pg/spi.h"
#include "extension/run/day_reader.h"

namespace pg_reconcile {

// Locations grouped by leaf, with a number carried along for each.
class LocatedRows {
 public:
  void add(const EntryLocation& location, std::int64_t number);
  // Calls `use(leaf, tuples, numbers)` for each leaf: its qualified name, the tuples as text[] for a cast to
  // tid[], and the numbers beside them.
  void for_each_leaf(pg::Spi& spi,
                     const std::function<void(const std::string& leaf, const pg::Argument& tuples,
                                              const pg::Argument& numbers)>& use) const;

 private:
  struct Leaf {
    std::vector<std::string> tuples;
    std::vector<std::int64_t> numbers;
  };
  std::map<std::uint32_t, Leaf> leaves_;
};

}  // namespace pg_reconcile
