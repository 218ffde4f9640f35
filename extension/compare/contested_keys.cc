#include "extension/compare/contested_keys.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>

#include "extension/compare/row_hasher.h"
#include "extension/compare/sort_prefix.h"

extern "C" {
#include <access/htup_details.h>
#include <utils/memutils.h>
}

namespace pg_reconcile::pg {
namespace {

void raw_load(MinimalTuple tuple, TupleDesc description, RowValues row) {
  HeapTupleData heap = {};
  heap.t_len = tuple->t_len + MINIMAL_TUPLE_OFFSET;
  heap.t_data = reinterpret_cast<HeapTupleHeader>(reinterpret_cast<char*>(tuple) - MINIMAL_TUPLE_OFFSET);
  heap_deform_tuple(&heap, description, row.values, row.nulls);
  for (int i = 0; i < description->natts; i++) {
    if (TupleDescAttr(description, i)->attlen == -1 && !row.nulls[i])
      row.values[i] = raw_detoast(row.values[i]);
  }
}

// Types that have equality and no order are ordered by their text.
int compare_texts(const TypeOperations& operations, Datum a, Datum b) {
  FmgrInfo* output = operations.output;
  return guarded([=] { return strcmp(OutputFunctionCall(output, a), OutputFunctionCall(output, b)); });
}

// What comparing values allocates is let go every few thousand comparisons, however many there are.
class ScratchMemory {
 public:
  explicit ScratchMemory(MemoryContext scratch)
      : scratch_(scratch), before_(MemoryContextSwitchTo(scratch)) {}
  ~ScratchMemory() { MemoryContextSwitchTo(before_); }
  ScratchMemory(const ScratchMemory&) = delete;
  ScratchMemory& operator=(const ScratchMemory&) = delete;

  void tick() {
    constexpr std::uint64_t reset_every = 4096;
    if (++ticks_ % reset_every != 0) return;
    check_for_interrupts();
    MemoryContextReset(scratch_);
  }

 private:
  MemoryContext scratch_;
  MemoryContext before_;
  std::uint64_t ticks_ = 0;
};

}  // namespace

struct ContestedKeys::Class {
  std::vector<std::optional<Position>> positions;  // of each tolerance column; nullopt: NULL, NaN, infinite
  std::vector<Row*> rows;
};

class ContestedKeys::Distance final : public core::Closeness {
 public:
  Distance(const ContestedKeys& keys, const std::vector<Class>& left, const std::vector<Class>& right)
      : keys_(keys), left_(left), right_(right), scratch_(keys.scratch_) {
    // A column whose values are all NULL or infinite is equal throughout: the signature says so.
    for (std::size_t i = 0; i < keys.tolerance_columns_.size(); i++) {
      if (left.front().positions[i]) measured_.push_back(i);
    }
  }

  [[nodiscard]] bool single_column() const { return measured_.size() <= 1; }

  int leading_order(std::size_t left, std::size_t right) override {
    scratch_.tick();
    return measured_.empty() ? 0 : order(measured_.front(), left_[left], right_[right]);
  }
  bool leading_within(std::size_t left, std::size_t right) override {
    scratch_.tick();
    return measured_.empty() || within(measured_.front(), left, right);
  }
  bool others_within(std::size_t left, std::size_t right) override {
    return std::all_of(measured_.begin() + 1, measured_.end(),
                       [&](std::size_t column) { return within(column, left, right); });
  }

 private:
  [[nodiscard]] const ColumnTolerance& tolerance(std::size_t i) const {
    return *keys_.plan_.columns[keys_.tolerance_columns_[i]].tolerance;
  }
  int order(std::size_t i, const Class& a, const Class& b) {
    return tolerance(i).order(*a.positions[i], *b.positions[i]);
  }
  bool within(std::size_t i, std::size_t left, std::size_t right) {
    return tolerance(i).within(*left_[left].positions[i], *right_[right].positions[i]);
  }

  const ContestedKeys& keys_;
  const std::vector<Class>& left_;
  const std::vector<Class>& right_;
  ScratchMemory scratch_;
  std::vector<std::size_t> measured_;
};

ContestedKeys::ContestedKeys(const ComparePlan& plan, TupleDesc left, TupleDesc right, ResultWriter* writer,
                             CompareSummary& summary)
    : plan_(plan), left_(left), right_(right), writer_(writer), summary_(summary) {
  for (std::size_t i = 0; i < plan.columns.size(); i++) {
    if (plan.columns[i].tolerance) tolerance_columns_.push_back(i);
  }
  memory_ = guarded([] {
    return AllocSetContextCreate(CurrentMemoryContext, "reconcile.compare one key", ALLOCSET_DEFAULT_SIZES);
  });
  scratch_ = guarded([] {
    return AllocSetContextCreate(CurrentMemoryContext, "reconcile.compare scratch", ALLOCSET_DEFAULT_SIZES);
  });
}

void ContestedKeys::resolve(std::span<const MinimalTuple> left_held,
                            std::span<const MinimalTuple> right_held) {
  check_for_interrupts();
  const MemoryContext before = MemoryContextSwitchTo(memory_);
  std::vector<Row> left = load(left_held, left_);
  std::vector<Row> right = load(right_held, right_);
  sort(left);
  sort(right);
  if (!tolerance_columns_.empty()) pair_close(left, right);
  report(left, right);
  MemoryContextSwitchTo(before);
  MemoryContextReset(memory_);
  MemoryContextReset(scratch_);
}

std::vector<ContestedKeys::Row> ContestedKeys::load(std::span<const MinimalTuple> held,
                                                    TupleDesc description) {
  std::vector<Row> rows(held.size());
  const auto columns = static_cast<std::size_t>(description->natts);
  for (std::size_t i = 0; i < held.size(); i++) {
    const MinimalTuple tuple = held[i];
    const RowValues values = guarded([=] {
      const RowValues loaded{static_cast<Datum*>(palloc(columns * sizeof(Datum))),
                             static_cast<bool*>(palloc(columns * sizeof(bool)))};
      raw_load(tuple, description, loaded);
      return loaded;
    });
    static_cast<RowValues&>(rows[i]) = values;
    rows[i].image = row_image(plan_, values.values, values.nulls, image_bytes_);
    if (plan_.key_count < columns) {
      const std::size_t first = plan_.key_count;
      rows[i].prefix = values.nulls[first]
                           ? std::numeric_limits<double>::infinity()
                           : sort_prefix(plan_.columns[first].operations.type, values.values[first]);
    }
  }
  return rows;
}

int ContestedKeys::compare(const Row& a, const Row& b) {
  if (a.prefix != b.prefix) return a.prefix < b.prefix ? -1 : 1;
  for (std::size_t i = plan_.key_count; i < plan_.columns.size(); i++) {
    if (a.nulls[i] || b.nulls[i]) {
      if (a.nulls[i] == b.nulls[i]) continue;
      return a.nulls[i] ? 1 : -1;
    }
    const TypeOperations& operations = plan_.columns[i].operations;
    const int order = operations.compare != nullptr ? compare_values(operations, a.values[i], b.values[i])
                                                    : compare_texts(operations, a.values[i], b.values[i]);
    if (order != 0) return order;
  }
  return a.image < b.image ? -1 : static_cast<int>(a.image > b.image);
}

void ContestedKeys::sort(std::vector<Row>& rows) {
  if (rows.size() < 2) return;
  ScratchMemory scratch(scratch_);
  std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    scratch.tick();
    return compare(a, b) < 0;
  });
}

// What must be equal exactly for two rows to be close: the columns without tolerance, and of the others
// whether there is a distance at all and if not, the value.
std::string ContestedKeys::signature_of(const Row& row) {
  left_bytes_.clear();
  for (std::size_t i = plan_.key_count; i < plan_.columns.size(); i++) {
    const ColumnPair& column = plan_.columns[i];
    const bool measured = column.tolerance && !row.nulls[i] && column.tolerance->position(row.values[i]);
    left_bytes_.append_value(static_cast<unsigned char>(measured ? 1 : 0));
    if (!measured) encode_nullable(column, row.values[i], row.nulls[i], left_bytes_);
  }
  return std::string(left_bytes_.view());
}

void ContestedKeys::pair_close(std::vector<Row>& left, std::vector<Row>& right) {
  std::map<std::string, std::pair<std::vector<Row*>, std::vector<Row*>>> alike;
  for (Row& row : left) alike[signature_of(row)].first.push_back(&row);
  for (Row& row : right) alike[signature_of(row)].second.push_back(&row);
  for (auto& [signature, sides] : alike) {
    if (!sides.first.empty() && !sides.second.empty()) pair_alike(sides.first, sides.second);
  }
}

std::vector<ContestedKeys::Class> ContestedKeys::classes_of(std::vector<Row*>& rows) {
  std::vector<Class> classes;
  for (Row* row : rows) {
    Class one;
    for (const std::size_t column : tolerance_columns_) {
      one.positions.push_back(
          row->nulls[column] ? std::nullopt : plan_.columns[column].tolerance->position(row->values[column]));
    }
    one.rows.push_back(row);
    classes.push_back(std::move(one));
  }
  const auto order = [&](const Class& a, const Class& b) {
    for (std::size_t i = 0; i < tolerance_columns_.size(); i++) {
      if (!a.positions[i]) continue;  // then neither has b
      const int found =
          plan_.columns[tolerance_columns_[i]].tolerance->order(*a.positions[i], *b.positions[i]);
      if (found != 0) return found;
    }
    return 0;
  };
  {
    ScratchMemory scratch(scratch_);
    std::stable_sort(classes.begin(), classes.end(), [&](const Class& a, const Class& b) {
      scratch.tick();
      return order(a, b) < 0;
    });
  }
  std::size_t kept = 0;
  for (std::size_t i = 1; i < classes.size(); i++) {
    if (order(classes[kept], classes[i]) == 0) {
      classes[kept].rows.push_back(classes[i].rows.front());
    } else if (++kept != i) {
      classes[kept] = std::move(classes[i]);
    }
  }
  classes.resize(kept + 1);
  return classes;
}

void ContestedKeys::pair_alike(std::vector<Row*>& left_rows, std::vector<Row*>& right_rows) {
  std::vector<Class> left = classes_of(left_rows);
  std::vector<Class> right = classes_of(right_rows);
  const auto counts_of = [](const std::vector<Class>& classes) {
    std::vector<std::uint64_t> counts;
    for (const Class& one : classes) counts.push_back(one.rows.size());
    return counts;
  };
  Distance distance(*this, left, right);
  BackendInterrupts interrupts;
  const auto pairs = core::pair_within_tolerance(counts_of(left), counts_of(right), distance,
                                                 distance.single_column(), interrupts);
  if (!pairs) {
    throw core::Error(core::sqlstate::program_limit_exceeded, "too many rows of one key are within tolerance",
                      std::to_string(left_rows.size()) + " rows on the left and " +
                          std::to_string(right_rows.size()) + " on the right share one key, and more than " +
                          std::to_string(core::pair_checks_max) + " pairs of them are close.",
                      "Add a column to key that tells the rows apart, or leave all tolerances but one.");
  }
  for (const core::PairedCount& pair : *pairs) {
    for (std::uint64_t i = 0; i < pair.count; i++) {
      for (Class* one : {&left[pair.left], &right[pair.right]}) {
        one->rows.back()->paired = true;
        one->rows.pop_back();
      }
    }
    summary_.matched += pair.count;
  }
}

std::vector<std::size_t> ContestedKeys::differing(const Row& left, const Row& right) {
  std::vector<std::size_t> columns;
  for (std::size_t i = plan_.key_count; i < plan_.columns.size(); i++) {
    const ColumnPair& column = plan_.columns[i];
    if (column.tolerance && !left.nulls[i] && !right.nulls[i]) {
      const auto a = column.tolerance->position(left.values[i]);
      const auto b = column.tolerance->position(right.values[i]);
      if (a && b) {
        if (!column.tolerance->within(*a, *b)) columns.push_back(i);
        continue;
      }
    }
    left_bytes_.clear();
    right_bytes_.clear();
    encode_nullable(column, left.values[i], left.nulls[i], left_bytes_);
    encode_nullable(column, right.values[i], right.nulls[i], right_bytes_);
    if (left_bytes_.view() != right_bytes_.view()) columns.push_back(i);
  }
  return columns;
}

void ContestedKeys::report(const std::vector<Row>& left, const std::vector<Row>& right) {
  const auto skip_paired = [](const std::vector<Row>& rows, std::size_t i) {
    while (i < rows.size() && rows[i].paired) i++;
    return i;
  };
  std::size_t l = skip_paired(left, 0);
  std::size_t r = skip_paired(right, 0);
  for (; l < left.size() && r < right.size(); l = skip_paired(left, l + 1), r = skip_paired(right, r + 1)) {
    summary_.mismatched++;
    if (writer_ != nullptr) writer_->write_mismatch(left[l], right[r], differing(left[l], right[r]));
  }
  for (; l < left.size(); l = skip_paired(left, l + 1)) {
    summary_.duplicate_left++;
    if (writer_ != nullptr) writer_->write_single(ResultKind::duplicate_left, left[l]);
  }
  for (; r < right.size(); r = skip_paired(right, r + 1)) {
    summary_.duplicate_right++;
    if (writer_ != nullptr) writer_->write_single(ResultKind::duplicate_right, right[r]);
  }
}

}  // namespace pg_reconcile::pg
