#include "extension/run/stored_rows.h"

namespace pg_reconcile {

void LocatedRows::add(const EntryLocation& location, std::int64_t number) {
  Leaf& leaf = leaves_[location.table];
  leaf.tuples.push_back("(" + std::to_string(location.tuple >> 16) + "," +
                        std::to_string(location.tuple & 0xffff) + ")");
  leaf.numbers.push_back(number);
}

void LocatedRows::for_each_leaf(pg::Spi& spi,
                                const std::function<void(const std::string& leaf, const pg::Argument& tuples,
                                                         const pg::Argument& numbers)>& use) const {
  for (const auto& [table, leaf] : leaves_) {
    spi.run("SELECT $1::oid::regclass::text", {pg::Argument::int8(table)});
    const std::string name = spi.text(0, 0);
    use(name, pg::Argument::text_array(leaf.tuples), pg::Argument::int8_array(leaf.numbers));
  }
}

}  // namespace pg_reconcile
