#include "core/statement/entry_content.h"

#include <map>
#include <string_view>

namespace pg_reconcile::core {
namespace {

template <class Value>
void append_bytes(std::string& bytes, const Value& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

void EntryContent::add(const std::string& text) {
  append_bytes(bytes_, text.size());
  bytes_ += text;
}

void EntryContent::add(const std::optional<std::string>& text) {
  bytes_ += text ? '\1' : '\0';
  if (text) add(*text);
}

void EntryContent::add(const std::optional<Decimal>& amount) {
  bytes_ += amount ? '\1' : '\0';
  if (amount) append_bytes(bytes_, amount->units());
}

template <class Number>
void EntryContent::add_number(const std::optional<Number>& number) {
  bytes_ += number ? '\1' : '\0';
  if (number) append_bytes(bytes_, *number);
}

void EntryContent::add_attributes(const Entry& entry) {
  std::map<std::string_view, const std::optional<std::string>*> sorted;
  for (const auto& [name, value] : entry.attributes) sorted[name] = &value;
  append_bytes(bytes_, sorted.size());
  for (const auto& [name, value] : sorted) {
    append_bytes(bytes_, name.size());
    bytes_ += name;
    add(*value);
  }
}

Hash128 EntryContent::content(const Entry& entry) {
  bytes_.clear();
  for (const std::string* text : {&entry.channel, &entry.account, &entry.book, &entry.kind, &entry.order_key,
                                  &entry.currency, &entry.status}) {
    add(*text);
  }
  for (const auto* text : {&entry.sub_kind, &entry.match_key, &entry.channel_ref, &entry.original_ref,
                           &entry.settlement_currency, &entry.source_status, &entry.settlement_ref}) {
    add(*text);
  }
  append_bytes(bytes_, entry.amount.units());
  for (const auto* amount : {&entry.settle_amount, &entry.fx_rate, &entry.fee, &entry.net}) add(*amount);
  add_number(entry.occurred_at);
  add_number(entry.value_date);
  add_number(entry.business_date);
  add_attributes(entry);
  return hash_(bytes_.data(), bytes_.size());
}

std::optional<Hash128> EntryContent::identity(const Entry& entry) {
  if (entry.order_key.empty() && !entry.match_key && !entry.channel_ref) return std::nullopt;
  bytes_.clear();
  for (const std::string* text :
       {&entry.channel, &entry.account, &entry.book, &entry.kind, &entry.order_key}) {
    add(*text);
  }
  add(entry.match_key);
  add(entry.channel_ref);
  return hash_(bytes_.data(), bytes_.size());
}

}  // namespace pg_reconcile::core
