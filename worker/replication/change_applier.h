// Turns the messages of a stream, and the rows of the initial copy, into operations of the entry sink.
//
// Lives as long as the connection: it remembers what the stream has described. Batches are the caller's
// transactions: begin_batch, apply..., finish_batch, all in one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/mapping/normaliser.h"
#include "core/protocol/pgoutput.h"
#include "core/protocol/replicated_table.h"
#include "extension/pg/entry_sink.h"
#include "worker/local_source.h"
#include "worker/replication/kept_rows.h"
#include "worker/replication/remote_table.h"

namespace pg_reconcile::worker {

class ChangeApplier {
 public:
  ChangeApplier(const SourceConfiguration& source, const RemoteTable& table, core::Normaliser normaliser);

  // Called between writes of a long batch: the server must hear of us although we don't read.
  void on_pulse(std::function<void()> pulse) { pulse_ = std::move(pulse); }

  // In a transaction, before the first batch: which keys an insert may find stored. `has_entries`: any (a
  // resync).
  void load_superseded();
  // After the initial copy: what streams in from now on is new.
  void copy_is_done() { may_all_be_stored_ = false; }
  // Whether it matters which of the source's rows are gone.
  [[nodiscard]] bool must_see_all() const { return has_entries_ || !unsettled_.empty(); }

  void begin_batch();
  // One pgoutput message. Returns the Commit when it was one. Throws SourceStop when going on would be wrong.
  std::optional<core::pgoutput::Commit> apply(std::string_view message);
  // One row of the initial copy; fields in the order of RemoteTable::published_columns.
  void apply_copied(const std::vector<std::optional<std::string_view>>& fields, core::Lsn position);
  // Every stored key that `keep` doesn't hold is removed: what the source no longer has. It is asked for one
  // key after another in the order of their bytes.
  template <class Keep>
  void remove_stored(Keep&& keep);
  // Writes what is buffered and what was quarantined; adds to `progress`.
  void finish_batch(Progress& progress);

  // The source key of the newest copied row.
  [[nodiscard]] const std::string& copied_key() const { return copied_key_; }

 private:
  void describe(const core::pgoutput::Relation& relation);
  core::ReplicatedTable* known(std::uint32_t relation);
  void insert(core::ReplicatedTable& table, const core::pgoutput::Insert& insert);
  void update(core::ReplicatedTable& table, const core::pgoutput::Update& update);
  void remove(core::ReplicatedTable& table, const core::pgoutput::Delete& removal);
  void truncate(const core::pgoutput::Truncate& truncate);
  // Whether the record became an entry (in entry_); a rejected one is quarantined, a skipped one forgotten.
  core::NormaliseOutcome normalise(const core::RawRecord& record, const char* operation,
                                   const std::string& key);
  // Writes the rows in quarantine: they are whole rows, and a batch may be a source's whole table.
  void store_set_aside();
  // What came under the key is not in quarantine, whatever came before.
  void settle(const std::string& key);
  // Hands the buffer to the tables.
  void flush_sink();
  // Writes what is buffered when it is enough to be worth it, and not so much that it takes long.
  void write_some(std::size_t rows_min);
  // Stores entry_ under the key of a row that is new at the source.
  void store_new(const std::string& key);
  void store_removal(const std::string& key);
  void quarantine(const char* operation, const std::string& key, const core::RawRecord& record,
                  const std::string& reason);
  std::vector<std::string> next_stored_keys(const std::string& after);

  static constexpr std::int64_t stored_keys_rows = 4'000;
  static constexpr std::size_t write_rows = 4'000;
  static constexpr std::size_t set_aside_rows_max = 500;

  static constexpr std::size_t superseded_keys_max = 500'000;

  const SourceConfiguration& source_;
  const RemoteTable& table_;
  core::Normaliser normaliser_;
  core::pgoutput::Decoder decoder_;
  // A relation of the stream; disengaged: a table that is not this source's.
  std::map<std::uint32_t, std::optional<core::ReplicatedTable>> relations_;
  std::optional<pg::EntrySink> sink_;
  std::function<void()> pulse_ = [] {};
  // Keys that the source deleted: when one comes back, what is stored under it (a day that was signed off
  // keeps it) must be superseded. All other inserts are new and take the bulk road.
  std::unordered_set<std::string> superseded_;
  bool may_all_be_stored_ = false;
  bool has_entries_ = false;
  KeptRows kept_;        // of what the sink holds
  std::size_t row_ = 0;  // of kept_: the one in entry_
  // Keys with rows in quarantine that nothing has come after, and those that something has come after.
  std::unordered_set<std::string> unsettled_;
  std::vector<std::string> settled_;
  std::vector<Quarantined> quarantined_;
  std::uint64_t set_aside_ = 0;  // rows of this batch that are in quarantine already
  core::Entry entry_;
  core::Rejection rejection_;
  core::Lsn commit_lsn_ = core::invalid_lsn;  // of the source transaction being read
  std::optional<core::TimestampTz> commit_time_;
  std::uint64_t changes_ = 0;
  std::int64_t rejected_in_a_row_ = 0;
  std::vector<core::RawField> copied_fields_;
  std::string copied_key_;
};

template <class Keep>
void ChangeApplier::remove_stored(Keep&& keep) {
  std::vector<std::string> in_quarantine(unsettled_.begin(), unsettled_.end());
  std::sort(in_quarantine.begin(), in_quarantine.end());
  auto waiting = in_quarantine.cbegin();
  const auto settle_one = [&] {
    if (!keep(*waiting)) settle(*waiting);
    ++waiting;
  };
  std::string after;
  for (;;) {
    write_some(1);
    const std::vector<std::string> keys = next_stored_keys(after);
    if (keys.empty()) break;
    after = keys.back();
    for (const std::string& key : keys) {
      while (waiting != in_quarantine.cend() && *waiting <= key) settle_one();
      if (!keep(key)) store_removal(key);
    }
  }
  while (waiting != in_quarantine.cend()) settle_one();
}

}  // namespace pg_reconcile::worker
