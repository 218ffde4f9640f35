// Texts in the order of their bytes: PostgreSQL's sort, which goes to temporary files beyond its memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// Lives inside one transaction. add..., then sort() once, then next()...
class SortedTexts {
 public:
  // Less memory where maintenance_work_mem is less.
  explicit SortedTexts(int memory_kb_max);
  ~SortedTexts();
  SortedTexts(const SortedTexts&) = delete;
  SortedTexts& operator=(const SortedTexts&) = delete;

  void add(std::string_view text);
  void sort();
  // Equal texts come as often as they were added. The view is valid until the next call.
  std::optional<std::string_view> next();

 private:
  void* sort_;  // Tuplesortstate
  std::string current_;
};

}  // namespace pg_reconcile::pg
