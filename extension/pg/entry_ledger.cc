#include "extension/pg/entry_ledger.h"

#include <optional>

#include "core/money/currency.h"
#include "extension/pg/spi.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/date.h>
}

namespace pg_reconcile::pg {
namespace {

namespace column = entry_column;

void add_number(core::RowHasher& hasher, const std::optional<core::Decimal>& number) {
  if (number) {
    hasher.add(number->to_string());
  } else {
    hasher.add_null();
  }
}

std::string stated(const EntryRow& row, column::Column column) {
  return std::string(row.text(column).value_or(std::string_view()));
}

}  // namespace

EntryLedger::Changes& EntryLedger::changes_of(const EntryRow& row) {
  const Day day(row.text(column::channel).value_or(""), row.text(column::account).value_or(""),
                row.date(column::recon_date), row.text(column::book).value_or(""));
  if (last_ == nullptr || *last_day_ != day) {
    const auto found = days_.try_emplace(day).first;
    last_day_ = &found->first;
    last_ = &found->second;
  }
  return *last_;
}

void EntryLedger::count(Total& total, const EntryRow& row) {
  const auto amount = row.decimal(column::amount);
  const auto fee = row.decimal(column::fee);
  total.entries++;
  if (amount) total.amount += *amount;
  if (fee) total.fee += *fee;
  for (const column::Column text :
       {column::order_key, column::match_key, column::channel_ref, column::kind}) {
    hasher_.add(row.text(text));
  }
  add_number(hasher_, amount);
  hasher_.add(row.text(column::currency));
  add_number(hasher_, fee);
  const core::uint128 hash = hasher_.finish();
  constexpr int half_bits = 64;
  total.digest_high += hash >> half_bits;
  total.digest_low += static_cast<std::uint64_t>(hash);
}

void EntryLedger::add(const EntryRow& row) {
  Changes& changes = changes_of(row);
  changes.rows.push_back(&row);
  if (!row.nulls[column::effective] && DatumGetBool(row.values[column::effective])) {
    const Kind kind(row.text(column::kind).value_or(""), row.text(column::currency).value_or(""));
    count(changes.totals[kind], row);
  }
}

void EntryLedger::write() {
  if (days_.empty()) return;
  write_totals();
  write_changes();
}

void EntryLedger::write_totals() {
  std::vector<std::string> channels;
  std::vector<std::string> accounts;
  std::vector<std::optional<std::int32_t>> days;
  std::vector<std::string> books;
  std::vector<std::string> kinds;
  std::vector<std::string> currencies;
  std::vector<std::int64_t> entries;
  std::vector<std::string> amounts;
  std::vector<std::string> fees;
  std::vector<std::string> high;
  std::vector<std::string> low;
  for (const auto& [day, changes] : days_) {
    for (const auto& [kind, total] : changes.totals) {
      channels.emplace_back(std::get<0>(day));
      accounts.emplace_back(std::get<1>(day));
      days.emplace_back(std::get<2>(day));
      books.emplace_back(std::get<3>(day));
      kinds.emplace_back(kind.first);
      currencies.emplace_back(kind.second);
      entries.push_back(total.entries);
      amounts.push_back(core::amount_text(total.amount, kind.second));
      fees.push_back(total.fee.is_zero() ? "0" : core::amount_text(total.fee, kind.second));
      high.push_back(core::to_string(total.digest_high));
      low.push_back(core::to_string(total.digest_low));
    }
  }
  if (channels.empty()) return;
  Spi spi;
  spi.run(
      "INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, "
      "amount, fee, "
      "digest) SELECT t.channel, t.account, t.recon_date, t.book, t.kind, t.currency, t.entries, "
      "t.amount::numeric, "
      "t.fee::numeric, t.high::numeric * 18446744073709551616 + t.low::numeric FROM unnest($1, $2, $3, $4, "
      "$5, $6, "
      "$7, $8, $9, $10, $11) AS t (channel, account, recon_date, book, kind, currency, entries, amount, fee, "
      "high, low)",
      {Argument::text_array(channels), Argument::text_array(accounts), Argument::date_array(days),
       Argument::text_array(books), Argument::text_array(kinds), Argument::text_array(currencies),
       Argument::int8_array(entries), Argument::text_array(amounts), Argument::text_array(fees),
       Argument::text_array(high), Argument::text_array(low)});
}

// A day that has been run is told which orders changed, for the next run to look at them alone.
void EntryLedger::write_changes() {
  for (const auto& [day, changes] : days_) {
    const auto& [channel, account, recon_date, book] = day;
    Spi spi;
    std::vector<Argument> arguments = {Argument::text(channel), Argument::text(account),
                                       Argument::date(recon_date), Argument::text(book),
                                       Argument::int8(static_cast<std::int64_t>(changes.rows.size()))};
    spi.run(
        "INSERT INTO reconcile.entry_change (channel, account, recon_date, book, entries) SELECT $1, $2, $3, "
        "$4, $5 "
        "WHERE NOT reconcile.day_has_run($1, $2, $3)",
        arguments);
    if (spi.rows() > 0) continue;
    std::vector<std::string> order_keys;
    std::vector<std::optional<std::string>> source_keys;
    for (const EntryRow* row : changes.rows) {
      const bool effective = !row->nulls[column::effective] && DatumGetBool(row->values[column::effective]);
      order_keys.push_back(stated(*row, column::order_key));
      source_keys.push_back(effective ? std::optional(stated(*row, column::source_key)) : std::nullopt);
    }
    arguments.push_back(Argument::int4(source_id_));
    arguments.push_back(Argument::text_array(order_keys));
    arguments.push_back(Argument::text_array(source_keys));
    spi.run(
        "INSERT INTO reconcile.entry_change (channel, account, recon_date, book, entries, source_id, "
        "order_keys, "
        "source_keys) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        arguments);
  }
}

}  // namespace pg_reconcile::pg
