#include "extension/compare/contested_keys.h"

#include <algorithm>
#include <map>
#include <string>

#include "extension/compare/row_hasher.h"
#include "extension/pg/settings.h"

extern "C" {
#include <utils/memutils.h>
}

namespace pg_reconcile::pg {
namespace {

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

ContestedKeys::ContestedKeys(const ComparePlan& plan, ResultWriter* writer, CompareSummary& summary)
    : plan_(plan), writer_(writer), summary_(summary) {
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

void ContestedKeys::resolve(ContestedRows& left, ContestedRows& right) {
  left.sort();
  right.sort();
  const MemoryContext before = MemoryContextSwitchTo(memory_);
  while (!left.is_at_end() || !right.is_at_end()) {
    check_for_interrupts();
    const std::uint64_t key =
        right.is_at_end() || (!left.is_at_end() && left.key() < right.key()) ? left.key() : right.key();
    if (tolerance_columns_.empty()) {
      pair_in_order(key, left, right);
    } else {
      std::vector<Row> left_rows = load(key, left, 0);
      std::vector<Row> right_rows = load(key, right, left_rows.size());
      pair_close(left_rows, right_rows);
      report(left_rows, right_rows);
    }
    MemoryContextReset(memory_);
    if (!scratch_->isReset) MemoryContextReset(scratch_);
  }
  MemoryContextSwitchTo(before);
}

// Nothing but the two rows at hand is in memory, however many a key has.
void ContestedKeys::pair_in_order(std::uint64_t key, ContestedRows& left, ContestedRows& right) {
  for (;;) {
    const bool in_left = !left.is_at_end() && left.key() == key;
    const bool in_right = !right.is_at_end() && right.key() == key;
    if (!in_left && !in_right) break;
    check_for_interrupts();
    if (in_left && in_right) {
      write_mismatch(left.row(), right.row());
    } else if (in_left) {
      write_duplicate(core::Side::left, left.row());
    } else {
      write_duplicate(core::Side::right, right.row());
    }
    if (in_left) left.advance();
    if (in_right) right.advance();
    MemoryContextReset(memory_);
  }
}

std::vector<ContestedKeys::Row> ContestedKeys::load(std::uint64_t key, ContestedRows& rows,
                                                    std::size_t others) {
  // What pairing takes for each: the row, its class, its signature.
  constexpr std::uint64_t row_bytes = 256;
  const std::uint64_t limit = memory_limit();
  std::vector<Row> loaded;
  for (; !rows.is_at_end() && rows.key() == key; rows.advance()) {
    check_for_interrupts();
    loaded.emplace_back();
    static_cast<RowValues&>(loaded.back()) = rows.copy_row();
    if (MemoryContextMemAllocated(memory_, false) + (loaded.size() + others) * row_bytes > limit)
      refuse(loaded.back());
  }
  return loaded;
}

void ContestedKeys::refuse(const RowValues& row) {
  std::string key;
  for (std::size_t i = 0; i < plan_.key_count; i++) {
    FmgrInfo* output = plan_.columns[i].operations.output;
    const Datum value = row.values[i];
    key += (i == 0 ? "" : ", ") + plan_.columns[i].left_name + " = " +
           (row.nulls[i] ? "NULL" : guarded([=] { return OutputFunctionCall(output, value); }));
  }
  throw core::Error(
      core::sqlstate::program_limit_exceeded, "too many rows of one key are to be paired within tolerance",
      "The rows of the key (" + key + ") that have no equal on the other side take more than the " +
          std::to_string(memory_limit() >> 20) + " MB of pg_reconcile.memory_limit.",
      "Add a column to key that tells the rows apart, raise pg_reconcile.memory_limit, or leave tolerance "
      "out.");
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

std::vector<std::size_t> ContestedKeys::differing(const RowValues& left, const RowValues& right) {
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
  for (; l < left.size() && r < right.size(); l = skip_paired(left, l + 1), r = skip_paired(right, r + 1))
    write_mismatch(left[l], right[r]);
  for (; l < left.size(); l = skip_paired(left, l + 1)) write_duplicate(core::Side::left, left[l]);
  for (; r < right.size(); r = skip_paired(right, r + 1)) write_duplicate(core::Side::right, right[r]);
}

void ContestedKeys::write_mismatch(const RowValues& left, const RowValues& right) {
  summary_.mismatched++;
  if (writer_ != nullptr) writer_->write_mismatch(left, right, differing(left, right));
}

void ContestedKeys::write_duplicate(core::Side side, const RowValues& row) {
  const bool is_left = side == core::Side::left;
  (is_left ? summary_.duplicate_left : summary_.duplicate_right)++;
  if (writer_ != nullptr)
    writer_->write_single(is_left ? ResultKind::duplicate_left : ResultKind::duplicate_right, row);
}

}  // namespace pg_reconcile::pg
