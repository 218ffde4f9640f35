// What is suggested for files that nobody described: it compiles, and it reads them.
#include <doctest/doctest.h>

#include <string>

#include "core/error.h"
#include "core/json_document.h"
#include "core/statement/column_guess.h"
#include "core/statement/format_suggestion.h"
#include "test/unit/statement_reading.h"

using namespace pg_reconcile::core;
using namespace pg_reconcile::test;

namespace {

struct Tried {
  std::string document;
  StatementSummary summary;
  CollectedRows rows;

  [[nodiscard]] const Entry& entry(std::size_t index) const { return rows.entries.at(index); }
};

Tried try_suggestion(const std::string& bytes, const std::string& file_name = "shop_2026-11-21.csv") {
  Tried tried;
  tried.document = suggest_format(bytes, "");
  CAPTURE(tried.document);
  static FewZones zones;
  NoInterrupts interrupts;
  MappingDefaults defaults;
  defaults.channel = "c";
  defaults.account = "a1";
  defaults.currency = "EUR";
  defaults.time_zone = "Asia/Shanghai";
  DeclarativeReader reader(FormatDocument::compile(tried.document, zones), defaults, zones);
  MemorySource source(bytes);
  tried.summary = reader.read(source, file_name, tried.rows, interrupts).front();
  CHECK(tried.summary.rejected.value_or("") == "");
  for (const auto& bad : tried.rows.bad)
    MESSAGE(tried.document, bad.field, " '", bad.value, "' ", bad.reason);
  return tried;
}

std::string member(const std::string& document, std::initializer_list<const char*> path) {
  JsonNode node = JsonNode::parse(document, "format");
  for (const char* key : path) node = node.at(key, "");
  return node.is_text() ? node.text() : node.serialized();
}

std::string refusal(const std::string& bytes) {
  try {
    (void)suggest_format(bytes, "");
  } catch (const Error& error) {
    CHECK(std::string(error.state()) == "22023");
    return error.detail();
  }
  return "";
}

}  // namespace

TEST_CASE("a plain English table: names, kinds and status by their words") {
  const Tried tried = try_suggestion(
      "Order ID,Transaction ID,Type,Amount,Fee,Currency,Status,Created\n"
      "A-1,ch_1,Sale,10.00,0.30,USD,Succeeded,2026-11-21 10:00:00\n"
      "A-2,ch_2,Sale,20.00,0.60,USD,Failed,2026-11-21 11:00:00\n"
      "A-1,re_1,Refund,4.00,0.00,USD,Succeeded,2026-11-21 12:00:00\n");
  REQUIRE(tried.rows.entries.size() == 3);
  CHECK(tried.entry(0).order_key == "A-1");
  CHECK(tried.entry(0).channel_ref == "ch_1");
  CHECK(tried.entry(0).kind == "payment");
  CHECK(tried.entry(0).fee == decimal("0.30"));
  CHECK(tried.entry(0).currency == "USD");
  CHECK(tried.entry(1).status == "failed");
  CHECK(tried.entry(2).kind == "refund");
  CHECK(tried.entry(2).amount == decimal("-4"));
}

TEST_CASE("a German bank: semicolons, comma decimals, a preamble, a line that ends it, credit and debit") {
  const Tried tried = try_suggestion(
      "Konto;DE89370400440532013000\nZeitraum;01.11.2026 - 30.11.2026\n\n"
      "Buchungstag;Verwendungszweck;Soll;Haben;Saldo\n"
      "18.11.2026;\"Rechnung 17; Tee\";;1.100,00;2.100,00\n19.11.2026;Miete;500,25;;1.599,75\n"
      "Summe: 2 Umsätze\n");
  REQUIRE(tried.rows.entries.size() == 2);
  CHECK(member(tried.document, {"frame", "separator"}) == ";");
  CHECK(member(tried.document, {"book"}) == "bank");
  CHECK(member(tried.document, {"stop", "match"}) == "^Summe: ");
  CHECK(tried.entry(0).amount == decimal("1100"));
  CHECK(tried.entry(1).amount == decimal("-500.25"));
  CHECK(date_text(*tried.entry(1).business_date) == "2026-11-19");
}

TEST_CASE("a Chinese table in GB18030, with tabs, its direction in a column") {
  // 订单号 交易时间 收/支 金额 状态, then two rows and a total.
  const std::string bytes =
      "\xB6\xA9\xB5\xA5\xBA\xC5\t\xBD\xBB\xD2\xD7\xCA\xB1\xBC\xE4\t\xCA\xD5/"
      "\xD6\xA7\t\xBD\xF0\xB6\xEE\t\xD7\xB4\xCC\xAC\n"
      "20261121000001\t2026/11/21 10:00:00\t\xCA\xD5\xC8\xEB\t1,234.50\t\xB3\xC9\xB9\xA6\n"
      "20261121000002\t2026/11/21 11:00:00\t\xD6\xA7\xB3\xF6\t5.00\t\xB3\xC9\xB9\xA6\n"
      "\xBA\xCF\xBC\xC6 2\n";
  const Tried tried = try_suggestion(bytes);
  REQUIRE(tried.rows.entries.size() == 2);
  CHECK(member(tried.document, {"decode", "charsets"}) == "[\"gb18030\"]");
  CHECK(member(tried.document, {"stop", "match"}) == "^合计 ");
  CHECK(tried.entry(0).order_key == "20261121000001");
  CHECK(tried.entry(0).amount == decimal("1234.50"));
  CHECK(tried.entry(1).amount == decimal("-5"));
  CHECK(tried.entry(0).status == "success");
}

TEST_CASE("no header: columns are numbered, the amount and the order are guessed") {
  const Tried tried =
      try_suggestion("X-1|2026-11-21T10:00:00Z|10.50|tea\nX-2|2026-11-21T11:00:00Z|1.25|tea\n");
  REQUIRE(tried.rows.entries.size() == 2);
  CHECK(tried.entry(1).order_key == "X-2");
  CHECK(tried.entry(1).amount == decimal("1.25"));
  CHECK(member(tried.document, {"description"}).find("no line of names") != std::string::npos);
}

TEST_CASE("day and month that can be either are said; a date and a time apart are one time") {
  const Tried tried = try_suggestion(
      "Date,Time,Reference,Amount\n03/04/2026,10:00:00,R1,\"1,000.00\"\n05/06/2026,11:00:00,R2,2.00\n");
  REQUIRE(tried.rows.entries.size() == 2);
  CHECK(tried.entry(0).amount == decimal("1000"));
  CHECK(tried.entry(0).occurred_at.has_value());
  CHECK(member(tried.document, {"description"}).find("may be written MM/dd/yyyy, too") != std::string::npos);
}

TEST_CASE("what is no table, and a table without amounts, are refused with a reason") {
  CHECK(refusal("").find("No table was found in it: 0 lines") == 0);
  CHECK(refusal("hello\nworld\n").find("No table was found in it: 2 lines") == 0);
  CHECK(refusal("name,colour\nann,red\nbob,blue\n").find("none of them holds amounts") != std::string::npos);
}

TEST_CASE("the end of a long file says where its data stops") {
  std::string head = "order_no,amount,date\n";
  for (int i = 0; i < 100; i++) head += "A" + std::to_string(i) + ",1.00,2026-11-21\n";
  const std::string document =
      suggest_format(head + "A100,1.", "00,2026-11-21\nA999,1.00,2026-11-21\nTotal 1000\n");
  CHECK(member(document, {"stop", "match"}) == "^Total ");
}

TEST_CASE("names mean the narrow thing first") {
  CHECK(field_of_name("微信订单号") == "channel_ref");
  CHECK(field_of_name("商户订单号") == "order_key");
  CHECK(field_of_name("商户退款单号") == "refund_no");
  CHECK(field_of_name("收入金额（+元）") == "credit");
  CHECK(field_of_name("账户余额（元）") == "balance");
  CHECK(field_of_name("Fee Amount") == "fee");
  CHECK(field_of_name("Colour").empty());
  CHECK(kind_of_word("Chargeback Reversal") == "chargeback_reversal");
  CHECK(status_of_word("支付成功") == "success");
}

TEST_CASE("real files of banks and wallets: what is suggested reads them") {
  if (samples().empty()) {
    MESSAGE("SKIPPED: no samples; set PG_RECONCILE_SAMPLES to their folder");
    return;
  }
  const auto rows = [](const char* folder, const char* ending) {
    CAPTURE(ending);
    const Tried tried = try_suggestion(sample(folder, ending));
    CHECK(tried.summary.bad_rows == 0);
    return tried.rows.entries.size();
  };
  CHECK(rows("generic_csv", "debit_credit.csv") == 2);
  CHECK(rows("generic_csv", "sample_statement_en.csv") == 2);
  CHECK(rows("generic_csv", "multi_currency.csv") == 2);
  CHECK(rows("wechat_merchant", "v2_downloadbill_20201129_bom_crlf.csv") == 20);
  CHECK(rows("alipay_merchant", "业务明细.gbk.csv") == 10);
  CHECK(rows("stripe", "payments_activity.csv") == 2);
  CHECK(rows("checkoutcom", "20260702_00000003k599_1.csv") == 9);
}
