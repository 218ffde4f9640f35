#include "core/statement/entry_content.h"

#include <doctest/doctest.h>

#include <functional>
#include <vector>

using namespace pg_reconcile::core;

namespace {

KeyedHash::Secret secret(unsigned char first) {
  KeyedHash::Secret bytes;
  for (std::size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<unsigned char>(first + i * 7);
  return bytes;
}

Entry entry() {
  Entry entry;
  entry.channel = "bank";
  entry.account = "a";
  entry.book = "trade";
  entry.kind = "payment";
  entry.order_key = "o1";
  entry.amount = *Decimal::parse("10.00");
  entry.currency = "CNY";
  entry.status = "success";
  entry.occurred_at = 1000;
  entry.business_date = 9000;
  entry.attributes = {{"a", "1"}, {"b", std::nullopt}};
  return entry;
}

}  // namespace

TEST_CASE("every column is content") {
  const std::vector<std::function<void(Entry&)>> changes{
      [](Entry& e) { e.channel = "bang"; },
      [](Entry& e) { e.account = "b"; },
      [](Entry& e) { e.book = "fund"; },
      [](Entry& e) { e.kind = "refund"; },
      [](Entry& e) { e.sub_kind = ""; },
      [](Entry& e) { e.order_key = "o"; },
      [](Entry& e) { e.match_key = "o1"; },
      [](Entry& e) { e.channel_ref = "o1"; },
      [](Entry& e) { e.original_ref = "o1"; },
      [](Entry& e) { e.amount = *Decimal::parse("10.000000000001"); },
      [](Entry& e) { e.currency = "USD"; },
      [](Entry& e) { e.settle_amount = e.amount; },
      [](Entry& e) { e.settlement_currency = "CNY"; },
      [](Entry& e) { e.fx_rate = *Decimal::parse("1"); },
      [](Entry& e) { e.fee = Decimal(); },
      [](Entry& e) { e.net = Decimal(); },
      [](Entry& e) { e.status = "pending"; },
      [](Entry& e) { e.source_status = "success"; },
      [](Entry& e) { e.occurred_at = std::nullopt; },
      [](Entry& e) { e.value_date = 9000; },
      [](Entry& e) { e.business_date = 9001; },
      [](Entry& e) { e.settlement_ref = "o1"; },
      [](Entry& e) {
        e.attributes = {{"a", "1"}};
      },
      [](Entry& e) {
        e.attributes = {{"a", "1"}, {"b", ""}};
      },
      [](Entry& e) {
        e.attributes = {{"a", "1b"}, {"", std::nullopt}};
      },
  };
  EntryContent content(secret(1));
  std::vector<Hash128> seen{content.content(entry())};
  for (const auto& change : changes) {
    Entry changed = entry();
    change(changed);
    const Hash128 hash = content.content(changed);
    for (const Hash128& other : seen) CHECK(hash != other);
    seen.push_back(hash);
  }
}

TEST_CASE("what means the same is the same content") {
  EntryContent content(secret(1));
  Entry other = entry();
  other.amount = *Decimal::parse("10");
  other.attributes = {{"b", std::nullopt}, {"a", "0"}, {"a", "1"}};
  CHECK(content.content(other) == content.content(entry()));
  CHECK(EntryContent(secret(2)).content(entry()) != content.content(entry()));
}

TEST_CASE("a row is named by what both books may call it, not by what it says") {
  EntryContent content(secret(1));
  Entry other = entry();
  other.amount = *Decimal::parse("11");
  other.status = "failed";
  other.attributes.clear();
  CHECK(content.identity(other) == content.identity(entry()));
  other.kind = "refund";
  CHECK(content.identity(other) != content.identity(entry()));
  Entry nameless = entry();
  nameless.order_key.clear();
  CHECK(!content.identity(nameless));
  nameless.channel_ref = "c";
  const auto by_reference = content.identity(nameless);
  nameless.channel_ref.reset();
  nameless.match_key = "c";
  CHECK(content.identity(nameless) != by_reference);
}
