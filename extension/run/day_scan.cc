#include "extension/run/day_scan.h"

#include <algorithm>
#include <cstring>

#include "extension/pg/block_ranges.h"
#include "extension/pg/progress.h"
#include "extension/pg/settings.h"
#include "extension/values/payload.h"

extern "C" {
#include <catalog/namespace.h>
#include <storage/lmgr.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
}

namespace pg_reconcile {

static_assert(MaxHeapTuplesPerPage < (1 << core::DayPlace::offset_bits));

// What a worker needs beside the state of the match. Both books' blocks and the scope's texts follow it.
struct SharedDay {
  struct Book {
    Oid table;
    std::uint32_t blocks;
    std::int64_t expected_rows;
    AttrNumber attributes[heap_columns.size()];
    pg_atomic_uint64 next_block;        // handed out so far
    pg_atomic_uint32 states_reference;  // an entry has a channel_ref
  };
  core::KeyedHash::Secret secret;
  core::DayPairing pairing;
  core::Date day;
  std::uint32_t text_bytes;
  std::uint32_t decided_count;
  Book books[2];
  pg_atomic_uint64 currencies[core::DayPlace::currencies_max];  // numbered as they come; 0: free

  // Two words each: nothing here is aligned to 16 bytes.
  [[nodiscard]] core::Hash128* decided() { return reinterpret_cast<core::Hash128*>(this + 1); }
  [[nodiscard]] BlockNumber* blocks() { return reinterpret_cast<BlockNumber*>(decided() + decided_count); }
  [[nodiscard]] char* texts() {
    return reinterpret_cast<char*>(blocks() + books[0].blocks + books[1].blocks);
  }
};

namespace {

constexpr std::uint64_t blocks_at_once = 32;
constexpr std::size_t probed_blocks = 8;

core::Hash128 halves(core::uint128 value) {
  return {static_cast<std::uint64_t>(value), static_cast<std::uint64_t>(value >> 64)};
}

std::uint64_t require_currency_word(std::string_view currency) {
  const std::optional<std::uint64_t> word = core::currency_word(currency);
  if (!word || *word == 0) {
    throw core::Error(core::sqlstate::data_corrupted, "an entry has no currency",
                      "Its currency is \"" + std::string(currency) + "\".",
                      "SELECT * FROM reconcile.verify() lists entries that cannot be.");
  }
  return *word;
}

// channel, account and kinds, each ended by a zero byte.
std::string texts_of(const DayScope& scope) {
  std::string texts = scope.channel + '\0' + scope.account + '\0';
  for (const std::string& kind : scope.kinds) texts += kind + '\0';
  return texts;
}

DayScope scope_of(SharedDay* shared) {
  DayScope scope{shared->day, {}, {}, {}};
  const char* text = shared->texts();
  const char* end = text + shared->text_bytes;
  const auto next = [&text] {
    std::string value(text);
    text += value.size() + 1;
    return value;
  };
  scope.channel = next();
  scope.account = next();
  while (text < end) scope.kinds.push_back(next());
  return scope;
}

// ---- what each process does -----------------------------------------------------------------------------

// The entries of one book that this process reads.
class BookScan {
 public:
  BookScan(SharedDay* shared, const DayScope& scope, core::Side side, core::DayLog& log,
           pg::MatchParticipant& match)
      : shared_(shared),
        scope_(scope),
        side_(side),
        log_(log),
        match_(match),
        hash_(shared->secret),
        maker_(shared->pairing.key, hash_) {}

  void run() {
    SharedDay::Book& book = shared_->books[index()];
    if (book.blocks == 0) return;
    const BlockNumber* blocks =
        shared_->blocks() + (side_ == core::Side::left ? 0 : shared_->books[0].blocks);
    pg::HeapScan scan(book.table, blocks[book.blocks - 1] + 1, book.attributes);
    for (;;) {
      const std::uint64_t from = pg_atomic_fetch_add_u64(&book.next_block, blocks_at_once);
      if (from >= book.blocks) break;
      for (std::uint64_t i = from; i < std::min<std::uint64_t>(from + blocks_at_once, book.blocks); i++) {
        const BlockNumber block = blocks[i];
        scan.read_block(block, [&](const Datum* values, const bool* nulls, OffsetNumber offset) {
          take(block, offset, values, nulls);
        });
      }
      match_.publish_rows();
    }
    if (states_reference_) pg_atomic_write_u32(&book.states_reference, 1);
    for (const core::DaySums& sums : sums_) log_.sums(side_, sums);
    log_.identities(side_, identities_);
  }

 private:
  [[nodiscard]] std::size_t index() const { return static_cast<std::size_t>(side_); }

  void take(BlockNumber block, OffsetNumber offset, const Datum* values, const bool* nulls) {
    if (!scope_.holds(values)) return;
    const std::optional<std::size_t> kind = kind_of(pg::payload_of(values[heap_kind]));
    if (!kind) return;
    const EntryFields fields = fields_of(values, nulls);
    const std::uint64_t currency = require_currency_word(fields.currency);
    core::DaySums& sums = sums_of(currency);
    sums.in.add(fields.amount);
    sums.digest += row_hash_of(fields, values, nulls, hasher_);
    const core::uint128 identity = fields.identity();
    identities_ += identity;
    if (fields.touches_refunds()) log_.refunded_order(side_, fields.order_key);
    states_reference_ = states_reference_ || fields.channel_ref.has_value();

    const core::DayPlace place{block, offset, number_of(currency)};
    const bool decided = is_decided(identity);
    const std::optional<core::CompactRow> row =
        maker_.row(fields, *kind, currency, decided ? core::DayPlace{} : place);
    if (decided || !row) log_.rest(side_, place);
    if (row) {
      match_.add(*row);
    } else {
      match_.count_row();
    }
  }

  [[nodiscard]] bool is_decided(core::uint128 identity) const {
    if (shared_->decided_count == 0) return false;
    const core::Hash128* decided = shared_->decided();
    return std::binary_search(decided, decided + shared_->decided_count, halves(identity));
  }

  // Most entries are of the kind of the one before.
  std::optional<std::size_t> kind_of(std::string_view name) {
    if (!last_kind_ || scope_.kinds[*last_kind_] != name) last_kind_ = scope_.kind(name);
    return last_kind_;
  }

  core::DaySums& sums_of(std::uint64_t currency) {
    if (last_sums_ < sums_.size() && sums_[last_sums_].currency == currency) return sums_[last_sums_];
    for (last_sums_ = 0; last_sums_ < sums_.size(); last_sums_++) {
      if (sums_[last_sums_].currency == currency) return sums_[last_sums_];
    }
    sums_.push_back({currency, {}, 0});
    return sums_.back();
  }

  // The currency's number, the same for all processes.
  std::uint32_t number_of(std::uint64_t currency) {
    if (currency == last_currency_) return last_number_;
    std::uint32_t number = 0;
    for (; number < core::DayPlace::currencies_max; number++) {
      std::uint64_t there = pg_atomic_read_u64(&shared_->currencies[number]);
      if (there == 0 && pg_atomic_compare_exchange_u64(&shared_->currencies[number], &there, currency)) break;
      if (there == currency) break;
    }
    last_currency_ = currency;
    last_number_ = number;
    return number;
  }

  SharedDay* shared_;
  const DayScope& scope_;
  core::Side side_;
  core::DayLog& log_;
  pg::MatchParticipant& match_;
  core::KeyedHash hash_;
  DayRowMaker maker_;
  core::RowHasher hasher_;
  std::vector<core::DaySums> sums_;
  std::size_t last_sums_ = 0;
  std::optional<std::size_t> last_kind_;
  core::uint128 identities_ = 0;
  bool states_reference_ = false;
  std::uint64_t last_currency_ = 0;
  std::uint32_t last_number_ = 0;
};

class DayTask final : public pg::MatchTask {
 public:
  // `known`: what the leader adds of each book.
  DayTask(SharedDay* shared, DayScope scope, std::array<const KnownRows*, 2> known)
      : shared_(shared), scope_(std::move(scope)), known_(known) {}

  void read(core::Side side, pg::MatchParticipant& match) override {
    const auto index = static_cast<std::size_t>(side);
    pg::Progress::phase(side == core::Side::left ? pg::Phase::reading_left : pg::Phase::reading_right,
                        shared_->books[index].expected_rows);
    if (const KnownRows* known = known_[index]) {
      for (const core::CompactRow& row : known->rows) match.add(row);
      if (known->states_reference) pg_atomic_write_u32(&shared_->books[index].states_reference, 1);
    }
    BookScan(shared_, scope_, side, log(match), match).run();
  }

  void match(pg::MatchParticipant& match) override {
    core::DayPairing pairing = shared_->pairing;
    if (pg_atomic_read_u32(&shared_->books[0].states_reference) == 0 ||
        pg_atomic_read_u32(&shared_->books[1].states_reference) == 0) {
      pairing = pairing.with_silent_book();
    }
    pg::BackendInterrupts interrupts;
    core::DayPartMatcher matcher(pairing, log(match), interrupts);
    match.match(matcher, nullptr, interrupts);
    for (std::size_t i = 0; i < matcher.fees().size(); i++) {
      const core::Decimal fees = matcher.fees()[i];
      if (!fees.is_zero()) log(match).fees(pg_atomic_read_u64(&shared_->currencies[i]), fees);
    }
    match.publish_findings(log(match).finish());
  }

 private:
  core::DayLog& log(pg::MatchParticipant& match) {
    if (!log_) log_.emplace(match.findings());
    return *log_;
  }

  SharedDay* shared_;
  DayScope scope_;
  std::array<const KnownRows*, 2> known_;
  std::optional<core::DayLog> log_;
};

// ---- the leader -----------------------------------------------------------------------------------------

std::size_t shared_bytes(const DayMatchRequest& request) {
  return sizeof(SharedDay) + request.decided.size() * sizeof(core::Hash128) +
         (request.tables[0]->blocks.size() + request.tables[1]->blocks.size()) * sizeof(BlockNumber) +
         texts_of(request.scope).size();
}

void fill(SharedDay* shared, const DayMatchRequest& request) {
  shared->secret = *request.secret;
  shared->pairing = request.pairing;
  shared->day = request.scope.day;
  const std::string texts = texts_of(request.scope);
  shared->text_bytes = static_cast<std::uint32_t>(texts.size());
  for (std::size_t side = 0; side < 2; side++) {
    SharedDay::Book& book = shared->books[side];
    const DayTable& table = *request.tables[side];
    book.table = table.table;
    book.blocks = static_cast<std::uint32_t>(table.blocks.size());
    book.expected_rows = table.expected_rows;
    std::copy(table.attributes.begin(), table.attributes.end(), book.attributes);
    pg_atomic_init_u64(&book.next_block, 0);
    pg_atomic_init_u32(&book.states_reference, 0);
  }
  for (pg_atomic_uint64& currency : shared->currencies) pg_atomic_init_u64(&currency, 0);
  shared->decided_count = static_cast<std::uint32_t>(request.decided.size());
  std::transform(request.decided.begin(), request.decided.end(), shared->decided(), halves);
  std::sort(shared->decided(), shared->decided() + shared->decided_count);
  BlockNumber* to = shared->blocks();
  for (const DayTable* table : request.tables) to = std::copy(table->blocks.begin(), table->blocks.end(), to);
  std::memcpy(shared->texts(), texts.data(), texts.size());
}

template <class Match>
std::uint64_t take_results(Match& match, core::DayLogReader& reader) {
  match.self().for_each_findings([&reader](core::ChunkStore& store, core::ChunkReference newest) {
    core::replay(store, newest, reader);
  });
  match.self().close();
  return pg_atomic_read_u64(&match.state().matched);
}

Oid raw_entry_table() {
  return get_relname_relid("entry", get_namespace_oid("reconcile", false));
}

Oid heap_partition(const std::string& book, core::Date day) {
  const char* text = book.c_str();
  const Oid entry = pg::guarded([] { return raw_entry_table(); });
  if (!OidIsValid(entry)) return InvalidOid;
  const Datum values[] = {pg::guarded([=] { return CStringGetTextDatum(text); }), DateADTGetDatum(day)};
  const Oid leaf = pg::partition_for(entry, values);
  if (!OidIsValid(leaf)) return InvalidOid;
  pg::guarded([=] { LockRelationOid(leaf, AccessShareLock); });
  return pg::reason_against_heap_scan(leaf, true).empty() ? leaf : InvalidOid;
}

struct NamedEntries {
  std::uint64_t rows = 0;
  std::uint64_t keys = 0;
  std::uint64_t references = 0;
};

NamedEntries probe(const DayScope& scope, const DayTable& table) {
  NamedEntries found;
  if (table.blocks.empty()) return found;
  pg::HeapScan scan(table.table, table.blocks.back() + 1, table.attributes);
  const std::size_t step = std::max<std::size_t>(table.blocks.size() / probed_blocks, 1);
  for (std::size_t i = 0; i < table.blocks.size(); i += step) {
    scan.read_block(table.blocks[i], [&](const Datum* values, const bool* nulls, OffsetNumber) {
      if (!scope.holds(values)) return;
      found.rows++;
      if (!nulls[heap_match_key]) found.keys++;
      if (!nulls[heap_channel_ref]) found.references++;
    });
  }
  return found;
}

}  // namespace

ActiveSnapshot::ActiveSnapshot(const pg::HeldSnapshot& snapshot) {
  const Snapshot held = snapshot.get();
  pg::guarded([=] { PushActiveSnapshot(held); });
}

ActiveSnapshot::~ActiveSnapshot() {
  if (!pg::detail::abort_is_due()) PopActiveSnapshot();
}

bool DayScope::holds(const Datum* values) const {
  return DatumGetBool(values[heap_effective]) && DatumGetDateADT(values[heap_business_date]) == day &&
         DatumGetDateADT(values[heap_recon_date]) == day && pg::payload_of(values[heap_channel]) == channel &&
         pg::payload_of(values[heap_account]) == account;
}

std::optional<std::size_t> DayScope::kind(std::string_view name) const {
  const auto found = std::find(kinds.begin(), kinds.end(), name);
  if (found == kinds.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kinds.begin());
}

DayTable day_table(const pg::HeldSnapshot& snapshot, const std::string& book, core::Date day) {
  DayTable found;
  const Oid table = heap_partition(book, day);
  found.table = table;
  if (!OidIsValid(table)) return found;
  const ActiveSnapshot active(snapshot);
  for (std::size_t i = 0; i < heap_columns.size(); i++) {
    const char* column = heap_columns[i];
    found.attributes[i] = pg::guarded([=] { return get_attnum(table, column); });
  }
  found.blocks = pg::blocks_of_day(table, "business_date", day);
  return found;
}

std::optional<core::CompactRow> DayRowMaker::row(const EntryFields& fields, std::size_t kind,
                                                 std::uint64_t currency, const core::DayPlace& place) const {
  if (key_ == core::DayKey::none) return std::nullopt;
  const bool by_key = key_ == core::DayKey::match_key;
  const std::optional<std::string_view>& name = by_key ? fields.match_key : fields.channel_ref;
  const std::optional<std::string_view>& other = by_key ? fields.channel_ref : fields.match_key;
  if (!name) return std::nullopt;
  const core::Hash128 key =
      core::day_key(hash_, hash_(name->data(), name->size()), fields.amount, kind, currency);
  std::optional<core::Hash128> other_name;
  if (other) other_name = hash_(other->data(), other->size());
  std::uint32_t fee = core::FeeCode::none;
  if (fields.fee) {
    fee = fields.fee_currency == fields.currency ? core::FeeCode::of(*fields.fee) : core::FeeCode::other;
  }
  return core::DayRow::make(key, other_name, fee, place);
}

bool prefers_match_key(const pg::HeldSnapshot& snapshot, const DayScope& scope,
                       std::array<const DayTable*, 2> tables) {
  const ActiveSnapshot active(snapshot);
  std::array<NamedEntries, 2> found;
  for (std::size_t i = 0; i < 2; i++) found[i] = probe(scope, *tables[i]);
  // Of a hundred.
  const auto least = [&found](std::uint64_t NamedEntries::*names) {
    std::uint64_t share = 100;
    for (const NamedEntries& entries : found) {
      share = std::min(share, entries.*names * 100 / std::max<std::uint64_t>(entries.rows, 1));
    }
    return share;
  };
  return least(&NamedEntries::keys) > least(&NamedEntries::references);
}

std::uint64_t match_day_tables(const DayMatchRequest& request, core::DayLogReader& reader) {
  const ActiveSnapshot active(*request.snapshot);
  const std::uint64_t blocks = request.tables[0]->blocks.size() + request.tables[1]->blocks.size();
  const auto rows =
      static_cast<std::uint64_t>(request.tables[0]->expected_rows + request.tables[1]->expected_rows);
  const pg::Workers workers = pg::workers_for_blocks(blocks);
  const pg::MatchSize size{static_cast<std::uint32_t>(workers.count) + 1, rows, pg::memory_limit()};
  if (workers.count > 0) {
    pg::MatchWorkers match("reconcile_day_worker", shared_bytes(request), size);
    auto* shared = static_cast<SharedDay*>(match.plan());
    fill(shared, request);
    match.launch();
    DayTask task(shared, request.scope, request.known);
    match.run(task);
    return take_results(match, reader);
  }
  const auto memory = std::make_unique<std::uint64_t[]>(shared_bytes(request) / sizeof(std::uint64_t) + 1);
  auto* shared = reinterpret_cast<SharedDay*>(memory.get());
  fill(shared, request);
  pg::MatchAlone match(size);
  DayTask task(shared, request.scope, request.known);
  match.run(task);
  return take_results(match, reader);
}

}  // namespace pg_reconcile

namespace {

struct WorkerArguments {
  dsm_segment* segment;
  shm_toc* toc;
};

void run_worker(void* argument) {
  using namespace pg_reconcile;
  const auto* arguments = static_cast<WorkerArguments*>(argument);
  pg::MatchWorker worker(arguments->segment, arguments->toc);
  auto* shared = static_cast<SharedDay*>(worker.plan());
  DayTask task(shared, scope_of(shared), {nullptr, nullptr});
  worker.run(task);
}

}  // namespace

extern "C" {
PGDLLEXPORT void reconcile_day_worker(dsm_segment* segment, shm_toc* toc);

void reconcile_day_worker(dsm_segment* segment, shm_toc* toc) {
  WorkerArguments arguments{segment, toc};
  pg_reconcile::pg::enter_callback(run_worker, &arguments);
}
}
