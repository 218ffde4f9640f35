// The declarative format engine on files made here, and on real samples where they are.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/statement/declarative_reader.h"

using namespace pg_reconcile::core;

namespace {

namespace fs = std::filesystem;

struct Shanghai final : TimeZones {
  std::optional<std::int32_t> offset_of_local(std::string_view zone, std::int64_t local) override {
    if (zone == "Asia/Shanghai") return 8 * 3600;
    return FixedOffsets().offset_of_local(zone, local);
  }
};

struct Collected final : RowSink {
  struct Bad {
    RowPlace place;
    std::string raw, field, column, value, reason;
  };
  std::vector<RowPlace> places;
  std::vector<Entry> entries;
  std::vector<Bad> bad;

  void row(const RowPlace& place, std::string_view, Entry& entry) override {
    places.push_back(place);
    entries.push_back(entry);
  }
  void bad_row(const BadRow& row) override {
    bad.push_back({row.place, std::string(row.raw), std::string(row.field), std::string(row.column),
                   std::string(row.value), std::string(row.reason)});
  }
  void next_statement() override { FAIL("a csv file is one statement"); }
};

struct Reading {
  StatementSummary summary;
  Collected rows;

  [[nodiscard]] Decimal sum_of_amounts() const {
    Decimal sum;
    for (const Entry& entry : rows.entries) sum += entry.amount;
    return sum;
  }
};

std::string file_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Tests run in the build tree or anywhere below the project.
fs::path above(const fs::path& relative) {
  for (fs::path at = fs::absolute(__FILE__).parent_path(); at != at.root_path(); at = at.parent_path()) {
    if (fs::exists(at / relative)) return at / relative;
  }
  return {};
}

std::string built_in(const std::string& name) {
  return file_text(above("sql/formats/" + name + ".json"));
}

MappingDefaults channel(const std::string& name = "alipay") {
  MappingDefaults defaults;
  defaults.channel = name;
  return defaults;
}

Reading read(const std::string& format, const std::string& bytes, const std::string& file_name = "bill.csv",
             MappingDefaults defaults = channel(), std::size_t chunk = 65536) {
  static Shanghai zones;
  NoInterrupts interrupts;
  DeclarativeReader reader(FormatDocument::compile(format, zones), std::move(defaults), zones);
  MemorySource source(bytes, chunk);
  Reading reading;
  reading.summary = reader.read(source, file_name, reading.rows, interrupts).front();
  return reading;
}

MappingDefaults generic_defaults() {
  MappingDefaults defaults = channel("shop");
  defaults.account = "a1";
  defaults.currency = "CNY";
  defaults.time_zone = "Asia/Shanghai";
  return defaults;
}

Reading read_generic(const std::string& bytes, std::size_t chunk = 65536) {
  return read(built_in("generic.csv"), bytes, "shop_2026-11-21.csv", generic_defaults(), chunk);
}

Decimal decimal(std::string_view text) {
  return *Decimal::parse(text);
}

fs::path samples() {
  if (const char* given = std::getenv("PG_RECONCILE_SAMPLES")) return given;
  return above("shared/samples");
}

const ControlLine* control(const StatementSummary& summary, const std::string& name) {
  for (const ControlLine& line : summary.controls) {
    if (line.name == name) return &line;
  }
  return nullptr;
}

std::string complaint(const std::string& format) {
  Shanghai zones;
  try {
    FormatDocument::compile(format, zones);
  } catch (const Error& error) {
    return error.detail();
  }
  return "";
}

}  // namespace

TEST_CASE("a generic CSV: rows, meta, controls, the day from the file name") {
  const Reading reading = read_generic(
      "#account=a7\r\norder_key,kind,amount,fee,settle_amount,occurred_at,shop\r\n"
      "A1,payment,10.00,0.06,10.00,2026-11-21 10:00:00,s1\r\n"
      "A2,refund,2.50,,,2026-11-21 11:00:00,\"a \"\"b\"\", c\"\r\n"
      "#control,count=2,amount=12.50\r\n");
  const StatementSummary& summary = reading.summary;
  REQUIRE(!summary.rejected);
  CHECK(summary.verdict == ControlVerdict::agreed);
  CHECK(summary.entries == 2);
  CHECK(summary.account == "a7");
  CHECK(date_text(*summary.business_date) == "2026-11-21");
  CHECK(reading.rows.entries[0].net == decimal("9.94"));
  CHECK(reading.rows.entries[1].amount == decimal("-2.5"));
  CHECK(reading.rows.entries[1].attributes[0].second == "a \"b\", c");
  CHECK(reading.rows.places[1].row_no == 2);
  CHECK(reading.rows.places[1].line == 4);
  CHECK(reading.rows.places[1].byte_offset == 123);
}

TEST_CASE("a header of one name, thousands of times, is read at once") {
  std::string header = "order_key,kind,amount,occurred_at";
  std::string row = "A1,payment,1.00,2026-11-21 10:00:00";
  for (int i = 0; i < 4092; i++) {
    header += ",x";
    row += ",v" + std::to_string(i);
  }
  const Reading reading = read_generic(header + "\n" + row + "\n");
  REQUIRE(reading.rows.entries.size() == 1);
  const auto& attributes = reading.rows.entries[0].attributes;
  REQUIRE(attributes.size() == 4092);
  CHECK(attributes.front() == std::pair<std::string, std::optional<std::string>>("x", "v0"));
  CHECK(attributes.back() == std::pair<std::string, std::optional<std::string>>("x (4092)", "v4091"));
}

TEST_CASE("totals that never end are not collected for ever, and the file is not accepted for them") {
  std::string text = "order_key,kind,amount,occurred_at\nA1,payment,1.00,2026-11-21 10:00:00\n";
  for (int i = 0; i < 2000; i++) text += "#control,count=1,amount=1.00\n";
  const Reading reading = read_generic(text);
  CHECK(reading.summary.verdict == ControlVerdict::mismatch);
  CHECK(reading.summary.controls.size() == 1001);
  REQUIRE(control(reading.summary, "totals") != nullptr);
}

TEST_CASE("chunks of any size give the same rows") {
  std::string text = "order_key,kind,amount,occurred_at,note\n";
  for (int i = 0; i < 200; i++) {
    text += "A" + std::to_string(i) + ",payment,1." + std::to_string(10 + i % 80) +
            ",2026-11-21 10:00:00,\"支付宝\n第二行\"\n";
  }
  const Reading whole = read_generic(text);
  REQUIRE(whole.rows.entries.size() == 200);
  CHECK(whole.rows.entries[7].attributes[0].second == "支付宝\n第二行");
  for (std::size_t chunk : {1UL, 2UL, 3UL, 7UL, 64UL, 1000UL}) {
    const Reading parts = read_generic(text, chunk);
    CHECK(parts.rows.entries.size() == 200);
    CHECK(parts.sum_of_amounts() == whole.sum_of_amounts());
    CHECK(parts.rows.places[199].byte_offset == whole.rows.places[199].byte_offset);
  }
}

TEST_CASE("bad rows are set aside with line, offset, raw text and reason; the good ones stay") {
  const Reading reading = read_generic(
      "order_key,kind,amount,occurred_at,currency\n"
      "A1,payment,10.00,2026-11-21 10:00:00,CNY\n"
      "A2,payment,ten,2026-11-21 10:00:00,CNY\n"
      "A3,payment,1.00,2026-11-21 10:00:00,ZZZ\n"
      "4.0E+27,payment,1.00,2026-11-21 10:00:00,CNY\n"
      "A5,payment,1.00,2026-11-21 10:00:00,CNY,x\n"
      "A6,pay\xFFment,1.00,2026-11-21 10:00:00,CNY\n"
      "A7,gift,1.00,2026-11-21 10:00:00,CNY\n"
      "A8,payment,7.00,2026-11-21 10:00:00,CNY\n"
      "#control,count=8,amount=20.00\n"
      "A9,payment,1");
  const auto& bad = reading.rows.bad;
  REQUIRE(bad.size() == 7);
  CHECK(reading.summary.entries == 2);
  CHECK(reading.summary.rows == 9);
  CHECK(bad[0].place.line == 3);
  CHECK(bad[0].place.row_no == 2);
  CHECK(bad[0].place.byte_offset == 84);
  CHECK(bad[0].raw == "A2,payment,ten,2026-11-21 10:00:00,CNY");
  CHECK(bad[0].value == "ten");
  CHECK(bad[0].reason == "is no amount");
  CHECK(bad[1].field == "currency");
  CHECK(bad[1].reason == "is no currency of ISO 4217");
  CHECK(bad[2].reason.find("spreadsheet") != std::string::npos);
  CHECK(bad[3].reason == "has 6 values where the header has 5");
  CHECK(bad[4].raw == "A6,pay\\xFFment,1.00,2026-11-21 10:00:00,CNY");
  CHECK(bad[4].reason == "has bytes that are no valid text");
  CHECK(bad[5].reason == "is no entry kind");
  CHECK(bad[6].reason == "has 3 values where the header has 5, and the file ends inside it");
  // What could not be taken in is missing from the totals: the day does not close in silence.
  CHECK(reading.summary.verdict == ControlVerdict::mismatch);
}

TEST_CASE("on_bad_row reject_file gives the file up at the first bad row") {
  std::string format = built_in("generic.csv");
  const std::string word = "\"on_bad_row\": \"quarantine\"";
  format.replace(format.find(word), word.size(), "\"on_bad_row\": \"reject_file\"");
  const Reading reading = read(format,
                               "order_key,kind,amount,occurred_at\nA1,payment,x,2026-11-21 10:00:00\n"
                               "A2,payment,1,2026-11-21 10:00:00\n",
                               "a.csv", generic_defaults());
  REQUIRE(reading.summary.rejected);
  CHECK(*reading.summary.rejected ==
        "line 2 is bad, and the format rejects the file for that: amount is no amount");
  CHECK(reading.rows.entries.empty());
}

TEST_CASE("a quote that is never closed costs its own row, not the rest of the file") {
  const Reading reading = read_generic(
      "order_key,kind,amount,occurred_at\n\"A1,payment,1.00,2026-11-21 10:00:00\n"
      "A2,payment,1.00,2026-11-21 10:00:00\nA3,payment,1.00,2026-11-21 10:00:00\n");
  CHECK(reading.rows.bad.size() == 1);
  CHECK(reading.rows.entries.size() == 2);
  CHECK(reading.rows.bad[0].reason == "has a quoted value that never ends");
}

TEST_CASE("encodings: byte order marks, UTF-16, GB18030 with invalid bytes") {
  const std::string text = "order_key,kind,amount,occurred_at,note\nA1,payment,1.00,2026-11-21 10:00:00,n\n";
  CHECK(read_generic("\xEF\xBB\xBF" + text).rows.entries.size() == 1);
  std::string little = "\xFF\xFE";
  std::string big = "\xFE\xFF";
  for (char c : text) {
    little += std::string{c, '\0'};
    big += std::string{'\0', c};
  }
  for (std::size_t chunk : {1UL, 2UL, 3UL, 65536UL}) {
    CHECK(read_generic(little, chunk).rows.entries.size() == 1);
    CHECK(read_generic(big, chunk).rows.entries.size() == 1);
  }
  // GBK: 中文, then a line with a lead byte torn before a comma.
  const Reading reading = read_generic(
      "order_key,kind,amount,occurred_at,note\nA1,payment,1.00,2026-11-21 10:00:00,\xD6\xD0\xCE\xC4\n"
      "A2,payment,1.00,2026-11-21 10:00:00,\xD6\xD0\xCE\nA3,payment,1.00,2026-11-21 10:00:00,\xB1\x7C\n");
  REQUIRE(reading.rows.entries.size() == 2);
  CHECK(reading.rows.entries[0].attributes[0].second == "中文");
  REQUIRE(reading.rows.bad.size() == 1);
  CHECK(reading.rows.bad[0].raw == "A2,payment,1.00,2026-11-21 10:00:00,\\xD6\\xD0\\xCE");
}

TEST_CASE("files that are no statement are rejected with a reason") {
  CHECK(*read_generic("").summary.rejected == "it is empty: 0 bytes");
  CHECK(*read_generic("hello\nworld\n").summary.rejected ==
        "no header line with the columns order_key, kind, amount was found");
  CHECK(
      *read(built_in("alipay.trade"), "支付宝交易号,商户订单号,业务类型,订单金额（元）\n").summary.rejected ==
      "the header lacks columns that the format reads: 商家实收(元), 完成时间");
  const Reading no_rows = read_generic("order_key,kind,amount,occurred_at\n");
  CHECK(!no_rows.summary.rejected);
  CHECK(no_rows.summary.entries == 0);
  const Reading long_line = read_generic("order_key,kind,amount,occurred_at\n" + std::string(3000000, 'x') +
                                         "\nA1,payment,1.00,2026-11-21 10:00:00\n");
  CHECK(long_line.rows.bad[0].reason == "is longer than 1 MB");
  CHECK(long_line.rows.entries.size() == 1);
}

TEST_CASE("a file of bad rows alone is given up, not stored row by row for ever") {
  std::string text = "order_key,kind,amount,occurred_at\n";
  for (int i = 0; i < 20000; i++) text += "x\n";
  const Reading reading = read_generic(text);
  REQUIRE(reading.summary.rejected);
  CHECK(reading.rows.bad.size() == 10000);
}

TEST_CASE("WeChat: bare commas, refund columns, revoked rows, empty bill, summary") {
  const std::string header =
      "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
      "付款银行,货币种类,"
      "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,"
      "商户数据包,"
      "手续费,费率,订单金额,申请退款金额,费率备注\n";
  const auto row = [](const std::string& status, const std::string& amounts_and_refund,
                      const std::string& rest) {
    return "`2026-11-21 10:00:00,`wx1,`1600,`0,`,`4200001,`S1,`u,`NATIVE,`" + status + ",`OTHERS,`CNY," +
           amounts_and_refund + rest + "\n";
  };
  const std::string bill =
      header +
      row("SUCCESS", "`9.00,`0.00,`0,`0,`0.00,`0.00,`,`,`WALMART HONG KONG CO.,LIMITED,`d",
          ",`0.05400,`0.60%,`10.00,`0.00,`") +
      row("REFUND", "`0.00,`0.00,`5000001,`R1,`4.50,`0.00,`ORIGINAL,`PROCESSING,`a,`b,`d",
          ",`-0.02700,`0.60%,`0.00,`5.00,`") +
      row("REVOKED", "`0.00,`0.00,`0,`0,`9.00,`0.00,`,`,`x,`d", ",`-0.05400,`0.60%,`0.00,`10.00,`") +
      "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\n"
      "`3,`9.00,`13.50,`0.00,`-0.02700,`10.00,`15.00";
  const Reading reading =
      read(built_in("wechat.trade"), bill, "1600All2026-11-21_2026-11-21.csv", channel("wechat"));
  REQUIRE(!reading.summary.rejected);
  REQUIRE(reading.rows.bad.empty());
  REQUIRE(reading.rows.entries.size() == 3);
  const Entry& payment = reading.rows.entries[0];
  CHECK(payment.account == "1600");
  CHECK(payment.amount == decimal("10"));
  CHECK(payment.settle_amount == decimal("9"));
  CHECK(payment.fee == decimal("0.054"));
  CHECK(payment.net == decimal("8.946"));
  CHECK(payment.match_key == "S1");
  CHECK(payment.channel_ref == "4200001");
  const Entry& refund = reading.rows.entries[1];
  CHECK(refund.kind == "refund");
  CHECK(refund.status == "success");
  CHECK(refund.source_status == "REFUND/PROCESSING");
  CHECK(refund.amount == decimal("-5"));
  CHECK(refund.settle_amount == decimal("-4.5"));
  CHECK(refund.fee == decimal("-0.027"));
  CHECK(refund.match_key == "S1/R1");
  CHECK(refund.channel_ref == "5000001");
  CHECK(refund.original_ref == "4200001");
  const Entry& reversal = reading.rows.entries[2];
  CHECK(reversal.kind == "reversal");
  CHECK(reversal.amount == decimal("-10"));
  CHECK(reversal.match_key == "S1");
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.controls.size() == 7);
  CHECK(date_text(*reading.summary.business_date) == "2026-11-21");

  const Reading empty = read(built_in("wechat.trade"),
                             "<xml><return_code><![CDATA[FAIL]]></return_code>"
                             "<return_msg><![CDATA[No Bill Exist]]></return_msg></xml>",
                             "20261121.csv", channel("wechat"));
  CHECK(empty.summary.empty);
  CHECK(!empty.summary.rejected);
  CHECK(date_text(*empty.summary.business_date) == "2026-11-21");
  CHECK(read(built_in("wechat.trade"), "{\"code\":\"NO_STATEMENT_EXIST\",\"message\":\"账单不存在\"}\n",
             "20261121.csv", channel("wechat"))
            .summary.empty);

  // The words of an empty day in a customer's text, in a bill and in one whose layout is not known any more.
  const std::string words = "No Bill Exist";
  std::string quoting = bill;
  quoting.replace(quoting.find("WALMART"), 7, words);
  const Reading full =
      read(built_in("wechat.trade"), quoting, "1600All2026-11-21_2026-11-21.csv", channel("wechat"));
  CHECK(!full.summary.empty);
  CHECK(full.rows.entries.size() == 3);
  CHECK(full.summary.verdict == ControlVerdict::agreed);
  quoting.replace(quoting.find("微信订单号"), std::string("微信订单号").size(), "订单");
  const Reading unknown =
      read(built_in("wechat.trade"), quoting, "1600All2026-11-21_2026-11-21.csv", channel("wechat"));
  CHECK(!unknown.summary.empty);
  REQUIRE(unknown.summary.rejected);
  CHECK(unknown.summary.rejected->starts_with("no header line"));
  const Reading other =
      read(built_in("wechat.trade"), words + std::string(70000, '\n'), "20261121.csv", channel("wechat"));
  CHECK(!other.summary.empty);
}

TEST_CASE("A format without a header line: an empty day is an answer without rows") {
  const std::string format =
      R"({"format": "f", "book": "trade", "frame": {"type": "csv"}, "header": {"names": ["no", "paid", "at", "text"]},
          "empty": {"content": ["NO DATA"]},
          "map": {"order_key": "no", "kind": {"const": "payment"}, "status": {"const": "success"},
                  "amount": "paid", "currency": {"const": "CNY"}, "occurred_at": "at"}})";
  CHECK(read(format, "Dear customer\nNO DATA\n", "f.csv", generic_defaults()).summary.empty);
  const Reading full = read(format, "1,5.00,2026-11-21T10:00:00Z,NO DATA\n", "f.csv", generic_defaults());
  CHECK(!full.summary.empty);
  CHECK(full.rows.entries.size() == 1);
}

TEST_CASE(
    "WeChat: SUCCESS has no refund columns, the old layout one total for both amounts, providers name "
    "merchants") {
  const std::string success =
      "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
      "付款银行,货币种类,"
      "应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注\n"
      "`2026-11-21 "
      "10:00:00,`wx1,`1600,`1699,`,`42,`S1,`u,`NATIVE,`SUCCESS,`O,`CNY,`9.00,`0.00,`a,b,`,`0.05400,`0.60%,"
      "`10.00,`\n"
      "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\n"
      "`1,`9.00,`0.00,`0.00,`0.05400,`10.00,`0.00\n";
  const Reading reading = read(built_in("wechat.trade"), success, "b.csv", channel("wechat"));
  REQUIRE(reading.rows.entries.size() == 1);
  CHECK(reading.rows.entries[0].account == "1699");
  CHECK(reading.summary.verdict == ControlVerdict::agreed);

  const std::string old =
      "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
      "货币种类,"
      "总金额,企业红包金额,微信退款单号,商户退款单号,退款金额,企业红包退款金额,退款类型,退款状态,商品名称,"
      "商户数据包,"
      "手续费,费率\n"
      "`2014-11-10 "
      "16:33:45,`wx2,`1000,`0,`1000,`1001,`1415,`u,`MICROPAY,`SUCCESS,`CFT,`CNY,`0.01,`0.0,`0,`0,`0,`0,`,`,"
      "`body,`data,`0,`0.60%\n"
      "总交易单数,总交易额,总退款金额,总企业红包退款金额,手续费总金额\n`1,`0.01,`0.0,`0.0,`0\n";
  const Reading older = read(built_in("wechat.trade"), old, "b.csv", channel("wechat"));
  REQUIRE(older.rows.entries.size() == 1);
  CHECK(older.rows.entries[0].amount == decimal("0.01"));
  CHECK(older.rows.entries[0].settle_amount == decimal("0.01"));
  CHECK(older.summary.verdict == ControlVerdict::agreed);
}

TEST_CASE("Alipay: torn before its end mark, wrong totals, missing totals") {
  const std::string start =
      "#支付宝业务明细查询\n#账号：[2088]\n"
      "#起始日期：[2026年11月21日 00:00:00]   终止日期：[2026年11月22日 00:00:00]\n#---业务明细列表----\n"
      "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,订单金额（元）,商家实收（元）,退款批次号/"
      "请求号,服务费（元）\n"
      "2026112122\t,A1\t,交易,a,b,2026-11-21 09:00:00,2026-11-21 10:00:00,10.00,9.00,\t,-0.05\n"
      "2026112122\t,A1\t,退款,a,2026-11-21 09:00:00,2026-11-21 11:00:00,-4.00,-4.00,R1\t,0.02\n";
  const std::string end = "#---业务明细列表结束---\n";
  const Reading good =
      read(built_in("alipay.trade"), start + end +
                                         "#交易合计：1笔，商家实收共9.00元，商家优惠共1.00元\n"
                                         "#退款合计：1笔，商家实收退款共-4.00元，商家优惠退款共0.00元\n");
  REQUIRE(good.rows.bad.empty());
  CHECK(good.summary.verdict == ControlVerdict::agreed);
  CHECK(good.summary.account == "2088");
  CHECK(date_text(*good.summary.business_date) == "2026-11-21");
  const Entry& payment = good.rows.entries[0];
  CHECK(payment.channel_ref == "2026112122");
  CHECK(payment.amount == decimal("10"));
  CHECK(payment.settle_amount == decimal("9"));
  CHECK(payment.fee == decimal("0.05"));
  CHECK(payment.net == decimal("8.95"));
  const Entry& refund = good.rows.entries[1];
  CHECK(refund.match_key == "A1/R1");
  CHECK(refund.amount == decimal("-4"));
  CHECK(refund.fee == decimal("-0.02"));
  CHECK(refund.occurred_at.value() - payment.occurred_at.value() == 3600LL * 1000000);

  const Reading torn = read(built_in("alipay.trade"), start);
  CHECK(torn.summary.verdict == ControlVerdict::mismatch);
  CHECK(control(torn.summary, "end mark") != nullptr);
  CHECK(*read(built_in("alipay.trade"), start + end).summary.rejected == "it states no control totals");
  const Reading wrong = read(built_in("alipay.trade"), start + end + "#交易合计：1笔，商家实收共9.01元\n");
  CHECK(wrong.summary.verdict == ControlVerdict::mismatch);
  CHECK(control(wrong.summary, "交易商家实收")->stated == "9.01");
  CHECK(control(wrong.summary, "交易商家实收")->computed == "9.00");
}

TEST_CASE("a format that is wrong names the path and what was expected") {
  CHECK(complaint("{}") ==
        "at $.book: expected the book of the entries (internal, trade, fund, settlement, bank, notify), "
        "found nothing");
  const std::string format = built_in("generic.csv");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = format;
    changed.replace(changed.find(from), from.size(), to);
    return complaint(changed);
  };
  CHECK(with("\"type\": \"csv\"", "\"type\": \"edifact\"").starts_with("at $.frame.type: expected csv, "));
  CHECK(with("\"gb18030\"", "\"ebcdic\"").starts_with("at $.decode.charsets[1]: expected utf-8, gb18030"));
  CHECK(with("\"amount\": {\"column\"", "\"amount\": {\"colunm\"")
            .starts_with("at $.map.amount.colunm: unknown word"));
  CHECK(with("{\"count\": true}, {\"sum\"", "{\"sum\"")
            .starts_with("at $.control[0].totals: expected one total per"));
  CHECK(with("\"^#control,count=(", "\"^#control,count=((")
            .starts_with("at $.control[0].match: expected a regular"));
  CHECK(with("\"warn\"", "\"ignore\"") == "at $.missing_control: expected warn or reject, found \"ignore\"");
}

TEST_CASE("the real samples give the counts and sums of their index") {
  const fs::path root = samples();
  if (root.empty() || !fs::exists(root / "INDEX.md")) {
    MESSAGE("SKIPPED: no samples; set PG_RECONCILE_SAMPLES to their folder");
    return;
  }
  for (const char* name : {"gh-qding-payment__trade_detail_20190916.utf8.csv",
                           "derived__20880211096256330156_20190916_业务明细.gbk.csv"}) {
    CAPTURE(name);
    const Reading reading = read(built_in("alipay.trade"), file_text(root / "alipay_merchant" / name), name);
    CHECK(!reading.summary.rejected);
    CHECK(reading.summary.verdict == ControlVerdict::agreed);
    CHECK(reading.summary.entries == 10);
    CHECK(reading.summary.bad_rows == 0);
    CHECK(reading.sum_of_amounts() == decimal("0.02"));
    CHECK(reading.summary.account == "20880211096256330156");
    CHECK(date_text(*reading.summary.business_date) == "2019-09-16");
    CHECK(reading.rows.entries[1].match_key.value() == "service_1568601259302/re_test_1568602607356");
  }
  const auto wechat = [&](const char* name) {
    return read(built_in("wechat.trade"), file_text(root / "wechat_merchant" / name), name,
                channel("wechat"));
  };
  const Reading twenty = wechat("derived__v2_downloadbill_20201129_bom_crlf.csv");
  CHECK(twenty.summary.verdict == ControlVerdict::agreed);
  CHECK(twenty.summary.entries == 20);
  CHECK(twenty.sum_of_amounts() == decimal("0.20"));
  CHECK(date_text(*twenty.summary.business_date) == "2020-11-29");
  const Reading three = wechat("gh-go-wechatpay-sdk__v3_tradebill_20210128.csv");
  CHECK(three.summary.verdict == ControlVerdict::agreed);
  CHECK(three.summary.entries == 3);
  CHECK(three.sum_of_amounts() == decimal("0.03"));
  for (const char* excerpt : {"binarywang-WxJava__pay_bill_result_all_content.csv",
                              "binarywang-WxJava__pay_bill_result_refund_content.csv"}) {
    const Reading reading = wechat(excerpt);
    CAPTURE(excerpt);
    CHECK(!reading.summary.rejected);
    CHECK(reading.summary.entries == 1);
    CHECK(reading.summary.verdict == ControlVerdict::mismatch);
  }
  CHECK(wechat("devdoc__no_bill_exist_v2.xml").summary.empty);
}
