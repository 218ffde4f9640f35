#include "extension/compare/comparison.h"

#include <algorithm>
#include <array>
#include <memory>

#include "extension/compare/executor_source.h"
#include "extension/compare/filter.h"
#include "extension/compare/row_hasher.h"
#include "extension/pg/progress.h"

extern "C" {
#include <executor/tuptable.h>
#include <utils/memutils.h>
}

namespace pg_reconcile::pg {
namespace {

std::size_t index_of(core::Side side) {
  return static_cast<std::size_t>(side);
}

// What the match leaves over: counted, and remembered where the rows themselves are still needed.
class Leftovers final : public core::MatchSink {
 public:
  Leftovers(CompareSummary& summary, bool report, bool has_tolerance)
      : summary_(summary), report_(report), hold_(report || has_tolerance) {}

  void missing(core::Side present, std::uint64_t ordinal) override {
    (present == core::Side::left ? summary_.missing_right : summary_.missing_left)++;
    if (report_) wanted_[index_of(present)].push_back({ordinal, missing_row});
  }

  void surplus(core::Side present, std::uint64_t ordinal) override {
    (present == core::Side::left ? summary_.duplicate_left : summary_.duplicate_right)++;
    if (report_) wanted_[index_of(present)].push_back({ordinal, surplus_row});
  }

  void contested(std::span<const core::LeftoverRow> left, std::span<const core::LeftoverRow> right) override {
    if (!hold_) {
      const std::size_t pairs = std::min(left.size(), right.size());
      summary_.mismatched += pairs;
      summary_.duplicate_left += left.size() - pairs;
      summary_.duplicate_right += right.size() - pairs;
      return;
    }
    groups_.push_back({held_[0].size(), left.size(), held_[1].size(), right.size()});
    hold(core::Side::left, left);
    hold(core::Side::right, right);
  }

  // Fetches what is remembered: missing and surplus rows go out at once, contested rows are held for
  // resolve().
  void fetch(core::Side side, RowSource& source, ResultWriter* writer);

  void resolve(ContestedKeys& keys) {
    for (const Group& group : groups_) {
      keys.resolve(std::span(held_[0]).subspan(group.left, group.left_count),
                   std::span(held_[1]).subspan(group.right, group.right_count));
    }
  }

 private:
  static constexpr std::uint64_t missing_row = ~std::uint64_t{0};
  static constexpr std::uint64_t surplus_row = missing_row - 1;

  struct Wanted {
    std::uint64_t ordinal;
    std::uint64_t place;  // in held_, or one of the two above
  };
  struct Group {
    std::size_t left;
    std::size_t left_count;
    std::size_t right;
    std::size_t right_count;
  };
  class Fetcher;

  void hold(core::Side side, std::span<const core::LeftoverRow> rows) {
    for (const core::LeftoverRow& row : rows) {
      wanted_[index_of(side)].push_back({row.ordinal, held_[index_of(side)].size()});
      held_[index_of(side)].push_back({nullptr, row.image});
    }
  }

  CompareSummary& summary_;
  bool report_;
  bool hold_;
  std::array<std::vector<Wanted>, 2> wanted_;
  std::array<std::vector<HeldRow>, 2> held_;
  std::vector<Group> groups_;
};

class Leftovers::Fetcher final : public RowVisitor {
 public:
  Fetcher(core::Side side, const std::vector<Wanted>& wanted, std::vector<HeldRow>& held,
          ResultWriter* writer)
      : side_(side), wanted_(wanted), held_(held), writer_(writer) {}

  void visit(std::size_t index, TupleTableSlot* slot) override {
    const std::uint64_t place = wanted_[index].place;
    if (place == missing_row) {
      writer_->write_single(side_ == core::Side::left ? ResultKind::missing_right : ResultKind::missing_left,
                            {slot->tts_values, slot->tts_isnull});
    } else if (place == surplus_row) {
      writer_->write_single(
          side_ == core::Side::left ? ResultKind::duplicate_left : ResultKind::duplicate_right,
          {slot->tts_values, slot->tts_isnull});
    } else {
      held_[place].tuple = guarded([=] { return ExecCopySlotMinimalTuple(slot); });
    }
  }

 private:
  core::Side side_;
  const std::vector<Wanted>& wanted_;
  std::vector<HeldRow>& held_;
  ResultWriter* writer_;
};

void Leftovers::fetch(core::Side side, RowSource& source, ResultWriter* writer) {
  std::vector<Wanted>& wanted = wanted_[index_of(side)];
  std::sort(wanted.begin(), wanted.end(),
            [](const Wanted& a, const Wanted& b) { return a.ordinal < b.ordinal; });
  std::vector<std::uint64_t> ordinals;
  ordinals.reserve(wanted.size());
  for (const Wanted& row : wanted) ordinals.push_back(row.ordinal);
  Fetcher fetcher(side, wanted, held_[index_of(side)], writer);
  source.fetch(ordinals, fetcher);
}

// Random bytes that no input can know.
core::KeyedHash::Secret random_secret() {
  core::KeyedHash::Secret secret;
  if (!pg_strong_random(secret.data(), secret.size())) {
    throw core::Error(core::sqlstate::internal_error, "could not generate random values",
                      "The system's source of strong random numbers failed.",
                      "Check that the server process can read /dev/urandom.");
  }
  return secret;
}

std::uint64_t first_word(const core::KeyedHash::Secret& secret) {
  std::uint64_t word = 0;
  std::memcpy(&word, secret.data(), sizeof(word));
  return word;
}

}  // namespace

CompareSummary run_comparison(const CompareRequest& request, FunctionCallInfo result) {
  const Progress progress(Command::compare, {});
  const ComparedRelation left(request.left_relation);
  const ComparedRelation right(request.right_relation);
  const core::KeyedHash::Secret secret = random_secret();
  const ComparePlan plan = make_plan(left, right, request, first_word(random_secret()));
  if (request.left_filter) check_filter(left, *request.left_filter, "left_filter");
  if (request.right_filter) check_filter(right, *request.right_filter, "right_filter");

  std::unique_ptr<ResultWriter> writer;
  if (result != nullptr) writer = std::make_unique<ResultWriter>(result, plan);

  const bool keep_rows = writer != nullptr || plan.has_tolerance();
  ExecutorSource left_source(ExecutorSource::select_text(plan, core::Side::left, left, request.left_filter),
                             left.name(), plan, keep_rows);
  ExecutorSource right_source(
      ExecutorSource::select_text(plan, core::Side::right, right, request.right_filter), right.name(), plan,
      keep_rows);

  const core::KeyedHash hash(secret);
  RowHasher hasher(plan, hash);
  Progress::phase(Phase::reading_left, left.estimated_rows());
  std::vector<core::CompactRow> left_rows = left_source.read(hasher);
  Progress::phase(Phase::reading_right, right.estimated_rows());
  std::vector<core::CompactRow> right_rows = right_source.read(hasher);

  Progress::phase(Phase::matching, static_cast<std::int64_t>(left_rows.size() + right_rows.size()));
  CompareSummary summary;
  summary.left_rows = left_rows.size();
  summary.right_rows = right_rows.size();
  Leftovers leftovers(summary, writer != nullptr, plan.has_tolerance());
  BackendInterrupts interrupts;
  summary.matched = core::match_rows(std::move(left_rows), std::move(right_rows), leftovers, interrupts);
  if (!keep_rows) return summary;

  Progress::phase(Phase::writing);
  if (writer != nullptr) writer->describe(left_source.description(), right_source.description());
  leftovers.fetch(core::Side::left, left_source, writer.get());
  leftovers.fetch(core::Side::right, right_source, writer.get());
  ContestedKeys keys(plan, left_source.description(), right_source.description(), writer.get(), summary);
  leftovers.resolve(keys);
  return summary;
}

}  // namespace pg_reconcile::pg
