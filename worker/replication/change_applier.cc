#include "worker/replication/change_applier.h"

#include <utility>
#include <variant>

#include "core/error.h"
#include "extension/pg/spi.h"

namespace pg_reconcile::worker {
namespace {

std::string explain(const core::Rejection& rejection) {
  std::string text = rejection.field + ": " + rejection.reason;
  if (!rejection.column.empty())
    text += " (column \"" + rejection.column + "\", value \"" + rejection.value + "\")";
  return text;
}

// What the stream itself makes impossible is not repaired by trying again.
template <class Call>
auto or_pause(Call&& call) {
  try {
    return call();
  } catch (const core::Error& error) {
    throw SourceStop("paused", error);
  }
}

}  // namespace

ChangeApplier::ChangeApplier(const SourceConfiguration& source, const RemoteTable& table,
                             core::Normaliser normaliser)
    : source_(source), table_(table), normaliser_(std::move(normaliser)) {}

void ChangeApplier::load_superseded() {
  pg::Spi spi;
  spi.run("SELECT reconcile.source_has_entries($1)", {pg::Argument::int4(source_.id)});
  has_entries_ = spi.boolean(0, 0);
  spi.run("SELECT k FROM reconcile.keys_deleted_after_sign_off($1, $2) k",
          {pg::Argument::int4(source_.id), pg::Argument::int8(superseded_keys_max + 1)});
  for (std::uint64_t row = 0; row < spi.rows(); row++) superseded_.insert(spi.text(row, 0));
  // Of rows that no account or day takes there may be very many, and no run waits for them.
  spi.run(
      "SELECT e.source_key FROM reconcile.source_error e WHERE e.source_id = $1 AND e.settled_at IS NULL "
      "AND e.source_key IS NOT NULL ORDER BY e.stage LIMIT $2",
      {pg::Argument::int4(source_.id), pg::Argument::int8(superseded_keys_max)});
  for (std::uint64_t row = 0; row < spi.rows(); row++) unsettled_.insert(spi.text(row, 0));
}

void ChangeApplier::settle(const std::string& key) {
  if (unsettled_.empty() || unsettled_.erase(key) == 0) return;
  for (Quarantined& row : quarantined_) row.settled = row.settled || row.source_key == key;
  settled_.push_back(key);
}

void ChangeApplier::store_set_aside() {
  if (!settled_.empty()) {
    pg::Spi spi;
    settle_quarantined(spi, source_.id, settled_);
    settled_.clear();
  }
  for (pg::EntrySink::Refused& refused : sink_->take_refused()) {
    Quarantined row;
    kept_.restore(refused.row, row);
    row.relation = source_.table_name();
    row.source_key = std::move(refused.source_key);
    row.stage = "placing";
    if (unsettled_.size() < superseded_keys_max) unsettled_.insert(row.source_key);
    row.reason = std::move(refused.reason);
    quarantined_.push_back(std::move(row));
  }
  if (quarantined_.empty()) return;
  pg::Spi spi;  // a new one each time: it keeps the arguments of all its statements
  for (const Quarantined& row : quarantined_) store_quarantined(spi, source_.id, row);
  set_aside_ += quarantined_.size();
  quarantined_.clear();
}

void ChangeApplier::write_some(std::size_t rows_min) {
  if (quarantined_.size() >= set_aside_rows_max) store_set_aside();
  if (sink_->buffered() < rows_min && kept_.bytes() < pg::EntrySink::buffer_bytes_max) return;
  flush_sink();
  pulse_();
}

void ChangeApplier::flush_sink() {
  sink_->flush();
  store_set_aside();
  kept_.clear();
}

void ChangeApplier::store_new(const std::string& key) {
  if (may_all_be_stored_ || superseded_.size() > superseded_keys_max || superseded_.contains(key)) {
    sink_->update(key, entry_, row_);
  } else {
    sink_->insert(key, entry_, row_);
  }
}

void ChangeApplier::store_removal(const std::string& key) {
  if (superseded_.size() <= superseded_keys_max) superseded_.insert(key);
  settle(key);
  sink_->remove(key);
}

void ChangeApplier::begin_batch() {
  sink_.emplace(source_.id, std::nullopt);
  kept_.clear();
  quarantined_.clear();
  settled_.clear();
  set_aside_ = 0;
  changes_ = 0;
}

std::optional<core::pgoutput::Commit> ChangeApplier::apply(std::string_view bytes) {
  namespace po = core::pgoutput;
  write_some(write_rows);
  const po::Message message = decoder_.decode(bytes);
  if (const auto* commit = std::get_if<po::Commit>(&message)) return *commit;
  if (const auto* begin = std::get_if<po::Begin>(&message)) {
    commit_lsn_ = begin->commit_lsn;
    commit_time_ = begin->commit_time;
  } else if (const auto* relation = std::get_if<po::Relation>(&message)) {
    describe(*relation);
  } else if (const auto* added = std::get_if<po::Insert>(&message)) {
    if (auto* table = known(added->relation)) insert(*table, *added);
  } else if (const auto* changed = std::get_if<po::Update>(&message)) {
    if (auto* table = known(changed->relation)) update(*table, *changed);
  } else if (const auto* removed = std::get_if<po::Delete>(&message)) {
    if (auto* table = known(removed->relation)) remove(*table, *removed);
  } else if (const auto* emptied = std::get_if<po::Truncate>(&message)) {
    truncate(*emptied);
  }
  return std::nullopt;
}

void ChangeApplier::describe(const core::pgoutput::Relation& relation) {
  auto& slot = relations_[relation.id];
  slot.reset();
  if (relation.schema != source_.schema || relation.name != source_.table) return;
  or_pause([&] { slot.emplace(source_.table_name(), relation, table_.key_columns, normaliser_.columns()); });
}

core::ReplicatedTable* ChangeApplier::known(std::uint32_t relation) {
  const auto found = relations_.find(relation);
  if (found == relations_.end()) {
    throw core::Error(core::sqlstate::protocol_violation,
                      "the stream changes a table that it has not described",
                      "Relation " + std::to_string(relation) + ".", "The worker connects again by itself.");
  }
  return found->second ? &*found->second : nullptr;
}

void ChangeApplier::insert(core::ReplicatedTable& table, const core::pgoutput::Insert& insert) {
  changes_++;
  const std::string key = or_pause([&] { return table.source_key(insert.row); });
  if (normalise(table.record(insert.row), "insert", key) == core::NormaliseOutcome::entry) {
    store_new(key);
  }
}

void ChangeApplier::update(core::ReplicatedTable& table, const core::pgoutput::Update& update) {
  changes_++;
  const std::string key = or_pause([&] { return table.source_key(update.row); });
  if (update.old_kind != core::pgoutput::OldTuple::none) {
    const std::string old_key = or_pause([&] { return table.source_key(update.old_row); });
    if (old_key != key) store_removal(old_key);
  }
  const core::RawRecord record =
      or_pause([&] { return table.record(update.row, update.old_kind, update.old_row); });
  switch (normalise(record, "update", key)) {
    case core::NormaliseOutcome::entry:
      sink_->update(key, entry_, row_);
      break;
    case core::NormaliseOutcome::skipped:
      store_removal(key);  // the row was a movement and is none any more
      break;
    case core::NormaliseOutcome::rejected:
      break;  // the last version that could be read stays, the new one is in quarantine
  }
}

void ChangeApplier::remove(core::ReplicatedTable& table, const core::pgoutput::Delete& removal) {
  changes_++;
  store_removal(or_pause([&] { return table.source_key(removal.old_row); }));
}

void ChangeApplier::truncate(const core::pgoutput::Truncate& truncate) {
  for (const std::uint32_t relation : truncate.relations) {
    if (known(relation) == nullptr) continue;
    changes_++;
    remove_stored([](const std::string&) { return false; });
  }
}

void ChangeApplier::apply_copied(const std::vector<std::optional<std::string_view>>& fields,
                                 core::Lsn position) {
  write_some(write_rows);
  changes_++;
  may_all_be_stored_ = has_entries_;
  commit_lsn_ = position;
  commit_time_.reset();
  copied_fields_.clear();
  for (std::size_t i = 0; i < fields.size(); i++)
    copied_fields_.push_back({table_.published_columns[i], fields[i]});
  const core::RawRecord record{copied_fields_};
  std::vector<std::string_view> key_values;
  for (const std::string& column : table_.key_columns) {
    std::size_t hint = 0;
    const core::RawField* field = record.find(column, hint);
    if (field == nullptr || !field->value) {
      throw SourceStop("paused",
                       core::Error(core::sqlstate::undefined_column,
                                   "key column \"" + column + "\" of table " + source_.table_name() +
                                       " is not published, or NULL",
                                   {}, "Name columns that are NOT NULL in the source's option \"key\"."));
    }
    key_values.push_back(*field->value);
  }
  copied_key_ = core::replication_source_key(source_.table_name(), key_values);
  if (normalise(record, "copy", copied_key_) == core::NormaliseOutcome::entry) store_new(copied_key_);
}

core::NormaliseOutcome ChangeApplier::normalise(const core::RawRecord& record, const char* operation,
                                                const std::string& key) {
  const core::NormaliseOutcome outcome = normaliser_.normalise(record, entry_, rejection_);
  if (outcome == core::NormaliseOutcome::rejected) {
    quarantine(operation, key, record, explain(rejection_));
    if (++rejected_in_a_row_ >= source_.reject_limit) {
      throw SourceStop(
          "paused",
          core::Error(core::sqlstate::invalid_parameter_value,
                      std::to_string(rejected_in_a_row_) + " rows in a row could not become entries",
                      "The last one: " + key + ": " + explain(rejection_) + ".",
                      "Mend the source's mapping, then SELECT reconcile.resume_source(...)."));
    }
  } else {
    rejected_in_a_row_ = 0;
    settle(key);
    if (outcome == core::NormaliseOutcome::entry)
      row_ = kept_.keep(operation, commit_lsn_, commit_time_, record);
  }
  return outcome;
}

void ChangeApplier::quarantine(const char* operation, const std::string& key, const core::RawRecord& record,
                               const std::string& reason) {
  Quarantined row;
  row.position = commit_lsn_;
  row.committed_at = commit_time_;
  row.relation = source_.table_name();
  row.operation = operation;
  row.source_key = key;
  unsettled_.insert(key);
  for (const core::RawField& field : record.fields) {
    row.names.emplace_back(field.name);
    row.values.emplace_back(field.value ? std::optional<std::string>(*field.value) : std::nullopt);
  }
  row.reason = reason;
  quarantined_.push_back(std::move(row));
}

std::vector<std::string> ChangeApplier::next_stored_keys(const std::string& after) {
  pg::Spi spi;
  spi.run("SELECT k FROM reconcile.stored_keys($1, $2, $3) k",
          {pg::Argument::int4(source_.id), pg::Argument::text(std::string_view(after)),
           pg::Argument::int8(stored_keys_rows)});
  std::vector<std::string> keys;
  for (std::uint64_t row = 0; row < spi.rows(); row++) keys.push_back(spi.text(row, 0));
  return keys;
}

void ChangeApplier::finish_batch(Progress& progress) {
  flush_sink();
  progress.quarantined += set_aside_;
  progress.applied += changes_;
  sink_.reset();
}

}  // namespace pg_reconcile::worker
