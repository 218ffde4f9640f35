#include "core/statement/normalised_csv.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace pg_reconcile::core;

namespace {

Entry plain_entry() {
  Entry entry;
  entry.channel = "bank";
  entry.account = "6222";
  entry.book = "trade";
  entry.kind = "payment";
  entry.order_key = "A1";
  entry.amount = *Decimal::parse("12.5");
  entry.currency = "CNY";
  entry.status = "success";
  return entry;
}

}  // namespace

TEST_CASE("what an entry does not have is nothing between two commas") {
  std::string line;
  append_normalised_csv(line, 7, plain_entry());
  CHECK(line == "7,6222,trade,payment,,A1,,,,12.50,CNY,,,,,,success,,,,,,{}\n");
  const std::string header = normalised_csv_header();
  CHECK(std::count(header.begin(), header.end(), ',') == std::count(line.begin(), line.end(), ','));
}

TEST_CASE("texts are quoted where COPY would read them as something else") {
  Entry entry = plain_entry();
  entry.order_key = "a,\"b\"\nc";
  entry.sub_kind = "";
  entry.match_key = "\\.";
  entry.channel_ref = " x";
  entry.source_status = "支付成功";
  entry.attributes = {{"note", "a,b"}, {"none", std::nullopt}};
  std::string line;
  append_normalised_csv(line, 1, entry);
  CHECK(line ==
        "1,6222,trade,payment,\"\",\"a,\"\"b\"\"\nc\",\"\\.\",\" x\",,12.50,CNY,,,,,,success,支付成功,,,,,"
        "\"{\"\"note\"\":\"\"a,b\"\",\"\"none\"\":null}\"\n");
}

TEST_CASE("times are written in UTC, also before 2000") {
  CHECK(utc_text(0) == "2000-01-01 00:00:00.000000+00");
  CHECK(utc_text(-1) == "1999-12-31 23:59:59.999999+00");
  CHECK(utc_text(849'178'516'500'000) == "2026-11-28 10:55:16.500000+00");
  Entry entry = plain_entry();
  entry.occurred_at = 0;
  entry.value_date = 1;
  entry.business_date = -1;
  std::string line;
  append_normalised_csv(line, 1, entry);
  CHECK(line.find(",2000-01-01 00:00:00.000000+00,2000-01-02,1999-12-31,") != std::string::npos);
}
