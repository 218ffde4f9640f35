// Core headers first: they refuse to come after PostgreSQL's.
#include "core/matching/byte_buffer.h"
#include "core/matching/match_log.h"
#include "core/matching/row_survey.h"

#include "extension/compare/comparison.h"

#include <algorithm>
#include <array>
#include <memory>
#include <tuple>

#include "extension/compare/executor_source.h"
#include "extension/compare/filter.h"
#include "extension/compare/heap_source.h"
#include "extension/compare/parallel_match.h"
#include "extension/compare/row_hasher.h"
#include "extension/compare/survey.h"
#include "extension/pg/progress.h"
#include "extension/pg/random_secret.h"
#include "extension/pg/settings.h"

extern "C" {
#include <executor/tuptable.h>
#include <funcapi.h>
#include <utils/builtins.h>
#include <utils/memutils.h>
}

namespace pg_reconcile::pg {
namespace {

std::size_t index_of(core::Side side) {
  return static_cast<std::size_t>(side);
}

// What the match leaves over: counted, and remembered where the rows themselves are still needed.
class Leftovers final : public core::MatchReader {
 public:
  Leftovers(const ComparePlan& plan, CompareSummary& summary, bool report)
      : plan_(plan),
        summary_(summary),
        report_(report),
        hold_(report || plan.has_tolerance()),
        faithful_(is_faithful(plan)) {}

  void missing(core::Side present, std::uint64_t ordinal) override {
    (present == core::Side::left ? summary_.missing_right : summary_.missing_left)++;
    if (report_) wanted_[index_of(present)].push_back({ordinal, missing_row});
  }

  void surplus(core::Side present, core::OrdinalRun run) override {
    (present == core::Side::left ? summary_.duplicate_left : summary_.duplicate_right) += run.left_over;
    if (report_) remember(present, std::move(run), surplus_row);
  }

  void contested(core::Side side, core::OrdinalRun run) override {
    if (hold_) {
      remember(side, std::move(run), keys_);
    } else {
      contested_[index_of(side)] += run.left_over;
    }
  }

  void end_key() override {
    keys_++;
    const std::uint64_t pairs = std::min(contested_[0], contested_[1]);
    summary_.mismatched += pairs;
    summary_.duplicate_left += contested_[0] - pairs;
    summary_.duplicate_right += contested_[1] - pairs;
    contested_ = {};
  }

  [[nodiscard]] bool wants_ordinals() const override { return hold_; }

  // Of equal rows that are written differently, those with the smallest image have paired: settles which
  // rows are left over. Before fetch().
  void choose(core::Side side, RowSource& source);

  // Fetches what is remembered: missing and surplus rows go out at once, contested rows to `contested`.
  void fetch(core::Side side, RowSource& source, ResultWriter* writer, ContestedRows& contested);

 private:
  static constexpr std::uint64_t missing_row = ~std::uint64_t{0};
  static constexpr std::uint64_t surplus_row = missing_row - 1;

  struct Wanted {
    std::uint64_t ordinal;
    std::uint64_t use;  // the number of its key, or one of the two above
  };
  // Rows that are equal and may be written differently, of which some are left over.
  struct Run {
    core::OrdinalRun rows;
    std::uint64_t use;
  };
  class ImageReader;
  class Fetcher;

  void remember(core::Side side, core::OrdinalRun run, std::uint64_t use) {
    if (!faithful_ && run.left_over < run.ordinals.size()) {
      runs_[index_of(side)].push_back({std::move(run), use});
    } else {
      want_last(side, run, use);
    }
  }
  void want_last(core::Side side, const core::OrdinalRun& run, std::uint64_t use) {
    for (std::size_t i = run.ordinals.size() - run.left_over; i < run.ordinals.size(); i++)
      wanted_[index_of(side)].push_back({run.ordinals[i], use});
  }

  const ComparePlan& plan_;
  CompareSummary& summary_;
  bool report_;
  bool hold_;
  bool faithful_;
  std::array<std::vector<Wanted>, 2> wanted_;
  std::array<std::vector<Run>, 2> runs_;
  std::uint64_t keys_ = 0;                       // contested ones so far
  std::array<std::uint64_t, 2> contested_ = {};  // rows of the key at hand, when they are only counted
};

struct RowImage {
  std::uint64_t ordinal;
  std::uint64_t image;
};

class Leftovers::ImageReader final : public RowVisitor {
 public:
  ImageReader(const ComparePlan& plan, std::vector<RowImage>& images)
      : plan_(plan), images_(images), memory_(guarded([] {
          return AllocSetContextCreate(CurrentMemoryContext, "reconcile.compare image", ALLOCSET_SMALL_SIZES);
        })) {}
  void visit(std::size_t index, TupleTableSlot* slot) override {
    const MemoryContext before = MemoryContextSwitchTo(memory_);
    images_[index].image = row_image(plan_, slot->tts_values, slot->tts_isnull, scratch_);
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory_);
  }

 private:
  const ComparePlan& plan_;
  std::vector<RowImage>& images_;
  core::ByteBuffer scratch_;
  MemoryContext memory_;
};

class Leftovers::Fetcher final : public RowVisitor {
 public:
  Fetcher(core::Side side, const std::vector<Wanted>& wanted, ContestedRows& contested, ResultWriter* writer)
      : side_(side), wanted_(wanted), contested_(contested), writer_(writer) {}

  void visit(std::size_t index, TupleTableSlot* slot) override {
    const std::uint64_t use = wanted_[index].use;
    if (use == missing_row) {
      writer_->write_single(side_ == core::Side::left ? ResultKind::missing_right : ResultKind::missing_left,
                            {slot->tts_values, slot->tts_isnull});
    } else if (use == surplus_row) {
      writer_->write_single(
          side_ == core::Side::left ? ResultKind::duplicate_left : ResultKind::duplicate_right,
          {slot->tts_values, slot->tts_isnull});
    } else {
      contested_.add(use, {slot->tts_values, slot->tts_isnull});
    }
  }

 private:
  core::Side side_;
  const std::vector<Wanted>& wanted_;
  ContestedRows& contested_;
  ResultWriter* writer_;
};

template <class Row>
std::vector<std::uint64_t> sorted_ordinals(std::vector<Row>& rows) {
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.ordinal < b.ordinal; });
  std::vector<std::uint64_t> ordinals;
  ordinals.reserve(rows.size());
  for (const Row& row : rows) ordinals.push_back(row.ordinal);
  return ordinals;
}

void Leftovers::choose(core::Side side, RowSource& source) {
  std::vector<Run>& runs = runs_[index_of(side)];
  std::vector<RowImage> images;
  for (const Run& run : runs) {
    for (const std::uint64_t ordinal : run.rows.ordinals) images.push_back({ordinal, 0});
  }
  ImageReader reader(plan_, images);
  source.fetch(sorted_ordinals(images), reader);
  const auto image_of = [&images](std::uint64_t ordinal) {
    return std::lower_bound(images.begin(), images.end(), ordinal,
                            [](const RowImage& row, std::uint64_t wanted) { return row.ordinal < wanted; })
        ->image;
  };
  for (Run& run : runs) {
    std::vector<std::uint64_t>& ordinals = run.rows.ordinals;
    std::sort(ordinals.begin(), ordinals.end(), [&](std::uint64_t a, std::uint64_t b) {
      return std::make_tuple(image_of(a), a) < std::make_tuple(image_of(b), b);
    });
    want_last(side, run.rows, run.use);
  }
  runs.clear();
}

void Leftovers::fetch(core::Side side, RowSource& source, ResultWriter* writer, ContestedRows& contested) {
  std::vector<Wanted>& wanted = wanted_[index_of(side)];
  const std::vector<std::uint64_t> ordinals = sorted_ordinals(wanted);
  Fetcher fetcher(side, wanted, contested, writer);
  source.fetch(ordinals, fetcher);
}

std::uint64_t first_word(const core::KeyedHash::Secret& secret) {
  std::uint64_t word = 0;
  std::memcpy(&word, secret.data(), sizeof(word));
  return word;
}

// A request whose names, types and filters have been settled.
struct Prepared {
  ComparedRelation left;
  ComparedRelation right;
  ComparePlan plan;

  explicit Prepared(const CompareRequest& request)
      : left(request.left_relation),
        right(request.right_relation),
        plan(make_plan(left, right, request, first_word(random_secret()))) {
    if (request.left_filter) check_filter(left, *request.left_filter, "left_filter");
    if (request.right_filter) check_filter(right, *request.right_filter, "right_filter");
  }
};

// How each side is read.
class Paths {
 public:
  Paths(const Prepared& prepared, const CompareRequest& request)
      : prepared_(prepared), filters_{request.left_filter, request.right_filter} {
    for (const core::Side side : both_sides) {
      const std::size_t i = index_of(side);
      leaves_[i] = HeapSource::leaves_of(relation(side), side, prepared.plan, filters_[i]);
      if (leaves_[i].reason.empty()) heaps_[i].emplace(relation(side), leaves_[i], side, prepared.plan);
    }
    if (heaps_[0] && heaps_[1]) workers_ = parallel_workers_for(*heaps_[0], *heaps_[1], prepared.plan);
    leave_few_rows_to_executor();
  }

  // Why the executor reads a side; empty: it is read page by page.
  [[nodiscard]] const std::string& reason(core::Side side) const { return leaves_[index_of(side)].reason; }
  [[nodiscard]] bool has_filter(core::Side side) const { return filters_[index_of(side)].has_value(); }
  [[nodiscard]] const Workers& workers() const { return workers_; }

  [[nodiscard]] std::unique_ptr<RowSource> make_source(core::Side side, bool keep_rows) const {
    if (const auto& heap = heaps_[index_of(side)]) return std::make_unique<HeapSource>(*heap);
    return std::make_unique<ExecutorSource>(select_text(side), relation(side).name(), prepared_.plan,
                                            keep_rows);
  }

 private:
  static constexpr core::Side both_sides[] = {core::Side::left, core::Side::right};

  [[nodiscard]] const ComparedRelation& relation(core::Side side) const {
    return side == core::Side::left ? prepared_.left : prepared_.right;
  }
  [[nodiscard]] std::string select_text(core::Side side) const {
    return ExecutorSource::select_text(prepared_.plan, side, relation(side), filters_[index_of(side)]);
  }

  // An index, or the bounds of partitions, may find what a filter wants without a look at every row. But a
  // side that the executor reads leaves the other to one process.
  void leave_few_rows_to_executor() {
    constexpr double few = 0.25;
    double all_pages = 0;
    double mixed = 0;
    std::array<bool, 2> is_better{};
    for (const core::Side side : both_sides) {
      const std::size_t i = index_of(side);
      if (!heaps_[i]) continue;
      const double heap = heaps_[i]->estimated_cost();
      const double executor = filters_[i] ? ExecutorSource::estimated_cost(select_text(side)) : heap;
      is_better[i] = executor < few * heap;
      all_pages += heap / (1 + workers_.count);
      mixed += is_better[i] ? executor : heap;
    }
    if (mixed > all_pages / 2) return;
    for (std::size_t i = 0; i < 2; i++) {
      if (!is_better[i]) continue;
      leaves_[i].reason = "an index or the bounds of partitions find the few rows of its filter";
      heaps_[i].reset();
      workers_ = no_workers;
    }
  }

  inline static const Workers no_workers{0, "the other side is read by the executor"};

  const Prepared& prepared_;
  std::array<std::optional<std::string>, 2> filters_;
  std::array<HeapSource::Leaves, 2> leaves_;
  std::array<std::optional<HeapSource>, 2> heaps_;
  Workers workers_ = no_workers;
};

// How many rows wait, for how they are divided: too many parts cost little, too few are parts that don't fit
// into memory. What a filter or a view lets through nobody knows.
std::uint64_t expected_rows(const HeapSource* heap, const ComparedRelation& relation) {
  constexpr std::int64_t executor_rows_min = 5'000'000;
  if (heap != nullptr) return heap->estimated_rows();
  return static_cast<std::uint64_t>(std::max(relation.estimated_rows().value_or(0), executor_rows_min));
}

// Both sides by this process, whatever reads them.
class SourceTask final : public MatchTask {
 public:
  SourceTask(std::array<RowSource*, 2> sources, std::array<const ComparedRelation*, 2> relations,
             RowHasher& hasher)
      : sources_(sources), relations_(relations), hasher_(hasher) {}

  void read(core::Side side, MatchParticipant& match) override {
    Progress::phase(side == core::Side::left ? Phase::reading_left : Phase::reading_right,
                    relations_[index_of(side)]->estimated_rows());
    sources_[index_of(side)]->read(hasher_, match);
  }
  void match(MatchParticipant& match) override { match_rows(match); }

 private:
  std::array<RowSource*, 2> sources_;
  std::array<const ComparedRelation*, 2> relations_;
  RowHasher& hasher_;
};

// Finds which rows have their equals on the other side, and tells `leftovers` of the others.
class Matching {
 public:
  Matching(const Prepared& prepared, const core::KeyedHash::Secret& secret, RowSource& left, RowSource& right,
           CompareSummary& summary, core::MatchReader& leftovers)
      : prepared_(prepared),
        secret_(secret),
        hash_(secret),
        hasher_(prepared.plan, hash_),
        sources_{&left, &right},
        heaps_{dynamic_cast<HeapSource*>(&left), dynamic_cast<HeapSource*>(&right)},
        summary_(summary),
        leftovers_(leftovers) {}

  void run() {
    if (heaps_[0] != nullptr && heaps_[1] != nullptr) {
      const int workers = parallel_workers_for(*heaps_[0], *heaps_[1], prepared_.plan).count;
      const SurveySize size{static_cast<std::uint32_t>(workers) + 1,
                            heaps_[0]->estimated_rows() + heaps_[1]->estimated_rows(), memory_limit()};
      if (workers > 0 ? survey_in_parallel(size) : survey_alone(size)) return;
      // A row that differs looked like its equal in its mark, which the sums showed: each row by itself,
      // then.
    }
    row_by_row();
  }

 private:
  // Both return false when the survey does not add up; nothing has been reported then.
  bool survey_in_parallel(const SurveySize& size) {
    ParallelMatch match(prepared_.plan, secret_, *heaps_[0], *heaps_[1], size);
    match.run(hasher_);
    return take_results(&match.survey(), match.state(), match.self());
  }

  bool survey_alone(const SurveySize& size) {
    const auto memory = std::make_unique<std::uint64_t[]>(size.state_bytes() / sizeof(std::uint64_t) + 1);
    auto* survey = reinterpret_cast<SurveyState*>(memory.get());
    initialize_survey(survey, size);
    std::array<pg_atomic_uint64, 2> next_blocks;
    for (pg_atomic_uint64& next : next_blocks) pg_atomic_init_u64(&next, 0);
    MatchAlone match({1, size.rows, size.memory_for_rows()});
    SurveyTask task(*survey, {heaps_[0]->side(next_blocks[0]), heaps_[1]->side(next_blocks[1])}, hasher_);
    match.run(task);
    return take_results(survey, match.state(), match.self());
  }

  void row_by_row() {
    MatchAlone match({1, expected_rows(heaps_[0], prepared_.left) + expected_rows(heaps_[1], prepared_.right),
                      memory_limit()});
    SourceTask task(sources_, {&prepared_.left, &prepared_.right}, hasher_);
    match.run(task);
    take_results(nullptr, match.state(), match.self());
  }

  // What was not read again has its equal on the other side.
  bool take_results(SurveyState* survey, MatchState& state, MatchParticipant& match) {
    std::uint64_t rows[2];
    std::uint64_t paired[2];
    for (std::size_t i = 0; i < 2; i++) {
      const std::uint64_t looked_at = pg_atomic_read_u64(&state.rows[i]);
      rows[i] = survey == nullptr ? looked_at : pg_atomic_read_u64(&survey->rows[i]);
      paired[i] = rows[i] - looked_at;
    }
    const bool is_settled =
        survey == nullptr || (pg_atomic_read_u32(&survey->is_unsettled) == 0 && paired[0] == paired[1]);
    if (is_settled) {
      summary_.left_rows = rows[0];
      summary_.right_rows = rows[1];
      summary_.matched = paired[0] + pg_atomic_read_u64(&state.matched);
      match.for_each_findings([this](core::ChunkStore& store, core::ChunkReference newest) {
        core::replay(store, newest, leftovers_);
      });
    }
    match.close();
    return is_settled;
  }

  const Prepared& prepared_;
  const core::KeyedHash::Secret& secret_;
  core::KeyedHash hash_;
  RowHasher hasher_;
  std::array<RowSource*, 2> sources_;
  std::array<HeapSource*, 2> heaps_;
  CompareSummary& summary_;
  core::MatchReader& leftovers_;
};

}  // namespace

CompareSummary run_comparison(const CompareRequest& request, FunctionCallInfo result) {
  const Progress progress(Command::compare, {});
  const Prepared prepared(request);
  const auto& [left, right, plan] = prepared;
  const core::KeyedHash::Secret secret = random_secret();
  std::unique_ptr<ResultWriter> writer;
  if (result != nullptr) writer = std::make_unique<ResultWriter>(result, plan);

  const bool keep_rows = writer != nullptr || plan.has_tolerance();
  const Paths paths(prepared, request);
  const std::unique_ptr<RowSource> left_source = paths.make_source(core::Side::left, keep_rows);
  const std::unique_ptr<RowSource> right_source = paths.make_source(core::Side::right, keep_rows);

  CompareSummary summary;
  Leftovers leftovers(plan, summary, writer != nullptr);
  Matching(prepared, secret, *left_source, *right_source, summary, leftovers).run();
  if (!keep_rows) return summary;

  Progress::phase(Phase::writing);
  if (writer != nullptr) writer->describe(left_source->description(), right_source->description());
  leftovers.choose(core::Side::left, *left_source);
  leftovers.choose(core::Side::right, *right_source);
  // What waited to be matched is gone: the sorts have its memory.
  ContestedRows left_contested(plan, memory_limit() / 4);
  ContestedRows right_contested(plan, memory_limit() / 4);
  leftovers.fetch(core::Side::left, *left_source, writer.get(), left_contested);
  leftovers.fetch(core::Side::right, *right_source, writer.get(), right_contested);
  ContestedKeys(plan, writer.get(), summary).resolve(left_contested, right_contested);
  return summary;
}

namespace {

struct RawPath {
  const char* side;
  const char* relation;
  const char* path;
  const char* reason;
  std::int64_t rows;  // -1: not known
  int workers;
};

void raw_put_path(FunctionCallInfo fcinfo, RawPath path) {
  const auto* set = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  Datum values[] = {CStringGetTextDatum(path.side), CStringGetTextDatum(path.relation),
                    CStringGetTextDatum(path.path), CStringGetTextDatum(path.reason),
                    Int64GetDatum(path.rows),       Int32GetDatum(path.workers)};
  bool nulls[] = {false, false, false, false, path.rows < 0, false};
  tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

}  // namespace

void explain_comparison(const CompareRequest& request, FunctionCallInfo result) {
  const Prepared prepared(request);
  const auto& [left, right, plan] = prepared;
  guarded([=] { InitMaterializedSRF(result, 0); });
  const Paths paths(prepared, request);
  const Workers& workers = paths.workers();
  const auto put = [&](const char* name, core::Side side, const ComparedRelation& relation) {
    const std::string& reason = paths.reason(side);
    std::string why = reason.empty() ? workers.reason : reason;
    if (reason.empty() && paths.has_filter(side)) why += "; its filter is evaluated on every row";
    const RawPath path{name,
                       relation.name().c_str(),
                       reason.empty() ? "heap pages" : "executor",
                       why.c_str(),
                       relation.estimated_rows().value_or(-1),
                       reason.empty() ? workers.count : 0};
    guarded([=] { raw_put_path(result, path); });
  };
  put("left", core::Side::left, left);
  put("right", core::Side::right, right);
}

}  // namespace pg_reconcile::pg
