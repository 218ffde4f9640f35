#include "extension/pg/entry_sink.h"

#include <algorithm>
#include <functional>
#include <set>
#include <span>
#include <utility>

#include "core/mapping/attributes_json.h"
#include "core/money/currency.h"
#include "extension/pg/entry_places.h"
#include "extension/pg/entry_row.h"
#include "extension/pg/spi.h"

namespace pg_reconcile::pg {
namespace {

using Texts = std::vector<std::optional<std::string>>;

std::optional<std::string> money_text(const std::optional<core::Decimal>& value,
                                      const std::string& currency) {
  if (!value) return std::nullopt;
  return core::amount_text(*value, currency);
}

std::optional<std::string> stated(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

// A batch as the columns that the SQL functions take.
struct Columns {
  Texts operation, source_key, channel, account, book, kind, sub_kind, order_key, match_key, channel_ref,
      original_ref, amount, currency, settle_amount, settlement_currency, fx_rate, fee, net, status,
      source_status, settlement_ref, attributes;
  std::vector<std::optional<std::int64_t>> occurred_at;
  std::vector<std::optional<std::int32_t>> value_date, business_date;

  void add(char operation_code, const std::string& key, const core::Entry& entry) {
    operation.emplace_back(std::string(1, operation_code));
    source_key.emplace_back(key);
    channel.push_back(stated(entry.channel));
    account.push_back(stated(entry.account));
    book.push_back(stated(entry.book));
    kind.push_back(stated(entry.kind));
    sub_kind.push_back(entry.sub_kind);
    order_key.emplace_back(entry.order_key.empty() ? key : entry.order_key);
    match_key.push_back(entry.match_key);
    channel_ref.push_back(entry.channel_ref);
    original_ref.push_back(entry.original_ref);
    amount.emplace_back(core::amount_text(entry.amount, entry.currency));
    currency.push_back(stated(entry.currency));
    const std::string& settled_in = entry.settlement_currency ? *entry.settlement_currency : entry.currency;
    settle_amount.push_back(money_text(entry.settle_amount, settled_in));
    settlement_currency.push_back(entry.settlement_currency);
    fx_rate.push_back(entry.fx_rate ? std::optional(entry.fx_rate->to_string()) : std::nullopt);
    fee.push_back(money_text(entry.fee, settled_in));
    net.push_back(money_text(entry.net, settled_in));
    status.push_back(stated(entry.status));
    source_status.push_back(entry.source_status);
    occurred_at.push_back(entry.occurred_at);
    value_date.push_back(entry.value_date);
    business_date.push_back(entry.business_date);
    settlement_ref.push_back(entry.settlement_ref);
    attributes.push_back(entry.attributes.empty() ? std::nullopt
                                                  : std::optional(core::attributes_json(entry)));
  }

  [[nodiscard]] std::vector<Argument> placement() const {
    return {Argument::text_array(channel),       Argument::text_array(account),
            Argument::text_array(book),          Argument::timestamptz_array(occurred_at),
            Argument::date_array(business_date), Argument::text_array(status)};
  }

  void append_to(std::vector<Argument>& arguments) const {
    for (const Texts* texts : {&source_key, &channel, &account, &book, &kind, &sub_kind, &order_key,
                               &match_key, &channel_ref, &original_ref, &amount, &currency, &settle_amount,
                               &settlement_currency, &fx_rate, &fee, &net, &status, &source_status}) {
      arguments.push_back(Argument::text_array(*texts));
    }
    arguments.push_back(Argument::timestamptz_array(occurred_at));
    arguments.push_back(Argument::date_array(value_date));
    arguments.push_back(Argument::date_array(business_date));
    arguments.push_back(Argument::text_array(settlement_ref));
    arguments.push_back(Argument::text_array(attributes));
  }
};

// What may be long in an entry; codes and numbers are not counted.
std::size_t text_bytes(const core::Entry& entry) {
  std::size_t bytes = entry.channel.size() + entry.account.size() + entry.order_key.size();
  for (const auto* text : {&entry.sub_kind, &entry.match_key, &entry.channel_ref, &entry.original_ref,
                           &entry.source_status, &entry.settlement_ref}) {
    if (*text) bytes += (*text)->size();
  }
  for (const auto& [name, value] : entry.attributes) bytes += name.size() + (value ? value->size() : 0);
  return bytes;
}

std::string call(const char* function, std::size_t arguments) {
  std::string sql = std::string("SELECT * FROM reconcile.") + function + "(";
  for (std::size_t i = 1; i <= arguments; i++) {
    if (i > 1) sql += ", ";
    sql += "$" + std::to_string(i);
  }
  return sql + ")";
}

}  // namespace

EntrySink::EntrySink(std::int32_t source_id, std::optional<std::int64_t> statement_id)
    : source_id_(source_id), statement_id_(statement_id), writer_(source_id) {}

void EntrySink::index(std::size_t position) {
  std::size_t at = operations_[position].hash & (places_.size() - 1);
  while (places_[at] != 0) at = (at + 1) & (places_.size() - 1);
  places_[at] = static_cast<std::uint32_t>(position + 1);
}

EntrySink::Buffered& EntrySink::slot(std::string_view source_key, Operation& previous) {
  if (buffered_ >= buffer_rows_max || bytes_ >= buffer_bytes_max) write();
  const std::size_t hash = std::hash<std::string_view>()(source_key);
  for (std::size_t at = hash & (places_.size() - 1); places_[at] != 0; at = (at + 1) & (places_.size() - 1)) {
    Buffered& known = operations_[places_[at] - 1];
    if (known.hash != hash || known.source_key != source_key) continue;
    previous = known.operation;
    return known;
  }
  previous = Operation::nothing;
  if (buffered_ == operations_.size()) operations_.emplace_back();
  Buffered& fresh = operations_[buffered_];
  fresh.operation = Operation::nothing;
  fresh.hash = hash;
  fresh.source_key = source_key;
  buffered_++;
  if (buffered_ * 2 <= places_.size()) {
    index(buffered_ - 1);
  } else {
    places_.assign(places_.size() * 2, 0);
    for (std::size_t i = 0; i < buffered_; i++) index(i);
  }
  return fresh;
}

void EntrySink::hold(Buffered& buffered, Operation operation, const core::Entry& entry, std::size_t row) {
  buffered.operation = operation;
  buffered.entry = entry;
  buffered.row = row;
  bytes_ += buffered.source_key.size() + text_bytes(entry);
}

void EntrySink::insert(std::string_view source_key, const core::Entry& entry, std::size_t row) {
  Operation previous;
  Buffered& buffered = slot(source_key, previous);
  // A key that was there before this batch and comes again is an update of what is stored.
  const bool stored = previous == Operation::update || previous == Operation::remove;
  hold(buffered, stored ? Operation::update : Operation::insert, entry, row);
}

void EntrySink::update(std::string_view source_key, const core::Entry& entry, std::size_t row) {
  Operation previous;
  Buffered& buffered = slot(source_key, previous);
  hold(buffered, previous == Operation::insert ? Operation::insert : Operation::update, entry, row);
}

void EntrySink::remove(std::string_view source_key) {
  Operation previous;
  Buffered& buffered = slot(source_key, previous);
  if (previous == Operation::nothing) buffered.entry = {};
  buffered.operation = Operation::remove;
}

std::uint64_t EntrySink::flush() {
  write();
  return std::exchange(changed_, 0);
}

std::vector<EntrySink::Refused> EntrySink::take_refused() {
  return std::exchange(refused_, {});
}

void EntrySink::write() {
  write_inserts();
  write_changes();
  // The texts' memory serves the next batch, unless there may be too much of it.
  kept_bytes_ += bytes_;
  if (kept_bytes_ >= buffer_bytes_max) {
    operations_.clear();
    kept_bytes_ = 0;
  }
  std::fill(places_.begin(), places_.end(), 0);
  buffered_ = 0;
  bytes_ = 0;
}

void EntrySink::write_inserts() {
  std::set<AccountName> accounts;
  const AccountName* last = nullptr;
  std::size_t count = 0;
  for (const Buffered& buffered : std::span(operations_).first(buffered_)) {
    if (buffered.operation != Operation::insert) continue;
    count++;
    const core::Entry& entry = buffered.entry;
    if (last != nullptr && last->first == entry.channel && last->second == entry.account) continue;
    last = &*accounts.emplace(entry.channel, entry.account).first;
  }
  if (count == 0) return;
  EntryPlaces places(accounts);
  RowMemory memory;
  std::vector<EntryRow> rows;
  rows.reserve(count);
  std::string refused;
  for (const Buffered& buffered : std::span(operations_).first(buffered_)) {
    if (buffered.operation != Operation::insert) continue;
    const core::Entry& entry = buffered.entry;
    const auto place = places.place(
        {entry.channel, entry.account, entry.book, entry.status, entry.occurred_at, entry.business_date},
        refused);
    if (place) {
      rows.push_back(make_row(memory, {source_id_, statement_id_}, buffered.source_key, entry, *place));
    } else {
      refused_.push_back({buffered.source_key, refused, buffered.row});
    }
  }
  changed_ += writer_.store(rows, memory);
}

void EntrySink::write_changes() {
  Columns columns;
  std::vector<std::size_t> rows;
  for (const Buffered& buffered : std::span(operations_).first(buffered_)) {
    if (buffered.operation == Operation::insert) continue;
    rows.push_back(buffered.row);
    columns.add(static_cast<char>(buffered.operation), buffered.source_key, buffered.entry);
  }
  if (columns.source_key.empty()) return;

  Spi spi;
  spi.run(
      "SELECT u.position, u.reason FROM reconcile.prepare_entries($1, $2, $3, $4, $5, $6) p, "
      "unnest(p.refused_positions, p.refused_reasons) AS u (position, reason)",
      columns.placement());
  for (std::uint64_t i = 0; i < spi.rows(); i++) {
    const auto position = static_cast<std::size_t>(spi.int8(i, 0)) - 1;
    if (*columns.operation[position] != "D") {
      refused_.push_back({*columns.source_key[position], spi.text(i, 1), rows[position]});
    }
  }

  std::vector<Argument> arguments = {
      Argument::int4(source_id_),
      statement_id_ ? Argument::int8(*statement_id_) : Argument::datum(20 /* int8 */, 0, true),
      Argument::text_array(columns.operation)};
  columns.append_to(arguments);
  spi.run(call("change_entries", arguments.size()), arguments);
  changed_ += static_cast<std::uint64_t>(spi.int8(0, 0));
}

}  // namespace pg_reconcile::pg
