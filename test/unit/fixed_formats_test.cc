// The shipped documents of fixed widths: UnionPay's bytes of GBK, times without a year and marks before
// amounts; canonical columns.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "test/unit/statement_reading.h"

using namespace pg_reconcile::core;
using namespace pg_reconcile::test;

namespace {

constexpr int widths[] = {3, 11, 11, 6,  10, 19, 12, 4, 2,  21, 2,  32, 2, 6,  10, 13, 13, 4, 15, 2,  2,
                          6, 2,  4,  32, 1,  21, 15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1,  32, 98};

// Values by field number, from 1; the bytes are counted, not the characters.
std::string zm_row(const std::vector<std::pair<std::size_t, std::string>>& values) {
  std::string row;
  for (std::size_t i = 0; i < std::size(widths); i++) {
    std::string field;
    for (const auto& [number, value] : values) {
      if (number == i + 1) field = value;
    }
    field.resize(static_cast<std::size_t>(widths[i]), ' ');
    row += (i == 0 ? "" : " ") + field;
  }
  return row + "\r\n";
}

const std::string payment = zm_row({{1, "S22"},
                                    {5, "0101000100"},
                                    {7, "000000001000"},
                                    {10, "Q1"},
                                    {12, "A1"},
                                    {16, "D000000000006"},
                                    {17, "C000000000994"},
                                    {28, "777290058110097"},
                                    {31, "\xB2\xE8\xB5\xEA"}});  // 茶店
const std::string refund = zm_row({{1, "S30"},
                                   {5, "1231235959"},
                                   {7, "000000000500"},
                                   {10, "Q2"},
                                   {12, "R1"},
                                   {16, "C000000000003"},
                                   {17, "D000000000497"},
                                   {27, "Q1"},
                                   {28, "777290058110097"},
                                   {41, "A1"}});

FileReading read_zm(const std::string& bytes) {
  return read_file("unionpay.zm", bytes, "INN27010188ZM_777290058110097.txt", "Asia/Shanghai", "CNY");
}

}  // namespace

TEST_CASE("unionpay.zm: a payment and a refund, on both sides of New Year") {
  REQUIRE(payment.size() == 609);
  const FileReading reading = read_zm(payment + refund);
  REQUIRE(!reading.summary.rejected);
  REQUIRE(reading.rows.bad.empty());
  REQUIRE(reading.rows.entries.size() == 2);
  CHECK(date_text(*reading.summary.business_date) == "2027-01-01");
  const Entry& paid = reading.entry(0);
  CHECK(paid.kind == "payment");
  CHECK(paid.account == "777290058110097");
  CHECK(paid.match_key == "A1");
  CHECK(paid.channel_ref == "Q1");
  CHECK(paid.amount == decimal("10"));
  CHECK(paid.fee == decimal("0.06"));
  CHECK(paid.net == decimal("9.94"));
  const Entry& returned = reading.entry(1);
  CHECK(returned.kind == "refund");
  CHECK(returned.order_key == "A1");
  CHECK(returned.match_key == "A1/R1");
  CHECK(returned.original_ref == "Q1");
  CHECK(returned.amount == decimal("-5"));
  CHECK(returned.fee == decimal("-0.03"));
  CHECK(returned.net == decimal("-4.97"));
  CHECK(*paid.occurred_at - *returned.occurred_at == 61LL * 1000000);
  const auto shop =
      std::find(paid.attributes.begin(), paid.attributes.end(),
                std::pair<std::string, std::optional<std::string>>("sub_merchant_name", "茶店"));
  CHECK(shop != paid.attributes.end());
}

TEST_CASE("unionpay.zm: torn rows, other types and wrong nets are set aside") {
  std::string other = payment;
  other.replace(0, 3, "S99");
  std::string wrong = payment;
  wrong.replace(wrong.find("C000000000994"), 13, "C000000000995");
  const FileReading reading = read_zm(payment + other + wrong + refund.substr(0, 300));
  CHECK(reading.rows.entries.size() == 1);
  REQUIRE(reading.rows.bad.size() == 3);
  CHECK(reading.rows.bad[0].value == "S99");
  CHECK(reading.rows.bad[1].field == "net");
  CHECK(reading.rows.bad[2].reason.find("300 bytes where a record has 607") != std::string::npos);
  CHECK(reading.summary.verdict == ControlVerdict::mismatch);
}

TEST_CASE(
    "unionpay.zme: what is put right afterwards is an adjustment by the "
    "mark of its settlement") {
  constexpr int zme_widths[] = {3,  11, 11, 6,  10, 19, 12, 4, 2,  2, 6,
                                10, 4,  12, 13, 13, 15, 15, 1, 12, 2, 135};
  const std::vector<std::pair<std::size_t, std::string>> values = {{1, "E30"},
                                                                   {5, "1231120000"},
                                                                   {7, "000000000500"},
                                                                   {14, "000000000042"},
                                                                   {15, "C000000000000"},
                                                                   {16, "D000000000500"},
                                                                   {17, "777290058110097"}};
  std::string row;
  for (std::size_t i = 0; i < std::size(zme_widths); i++) {
    std::string field;
    for (const auto& [number, value] : values) {
      if (number == i + 1) field = value;
    }
    field.resize(static_cast<std::size_t>(zme_widths[i]), ' ');
    row += (i == 0 ? "" : " ") + field;
  }
  REQUIRE(row.size() == 339);
  const FileReading reading =
      read_file("unionpay.zme", row + "\r\n", "INN27010188ZME_777290058110097.txt", "Asia/Shanghai", "CNY");
  REQUIRE(reading.rows.bad.empty());
  REQUIRE(reading.rows.entries.size() == 1);
  CHECK(reading.entry(0).kind == "adjustment");
  CHECK(reading.entry(0).sub_kind == "E30");
  CHECK(reading.entry(0).amount == decimal("-5"));
  CHECK(reading.entry(0).channel_ref == "000000000042");
}

TEST_CASE("the synthetic sample of UnionPay's own widths") {
  if (samples().empty()) {
    MESSAGE("SKIPPED: no samples; set PG_RECONCILE_SAMPLES to their folder");
    return;
  }
  const FileReading reading = read_file("unionpay.zm", sample("unionpay", ".gbk.txt"),
                                        "INN16060488ZM_777290058110097.txt", "Asia/Shanghai", "CNY");
  REQUIRE(reading.rows.bad.empty());
  REQUIRE(reading.rows.entries.size() == 2);
  CHECK(reading.entry(0).fee == decimal("0.06"));
  CHECK(reading.entry(1).amount == decimal("-5"));
}

TEST_CASE("generic.fixed: canonical columns by their places") {
  const auto field = [](std::string value, std::size_t width) {
    value.resize(width, ' ');
    return value;
  };
  const std::string head = "#account=a7\n#business_date=2026-11-21\n";
  const std::string paid = field("订单1", 64) + field("payment", 20) + field("10.00", 20) + "CNY" +
                           field("2026-11-21 10:00:00", 32) + field("", 10) + field("", 10) + field("", 64) +
                           field("T1", 64) + field("", 64) + field("10.00", 20) + field("0.06", 20) +
                           field("9.94", 20) + "\n";
  const std::string back = field("订单1", 64) + field("refund", 20) + field("2.50", 20) + "\n";
  const std::string foot = "#control,count=2,amount=12.50\n";
  const FileReading reading = read_file("generic.fixed", head + paid + back + foot);
  REQUIRE(!reading.summary.rejected);
  REQUIRE(reading.rows.bad.empty());
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  REQUIRE(reading.rows.entries.size() == 2);
  CHECK(reading.entry(0).order_key == "订单1");
  CHECK(reading.entry(0).match_key == "订单1");
  CHECK(reading.entry(0).account == "a7");
  CHECK(reading.entry(0).channel_ref == "T1");
  CHECK(reading.entry(0).currency == "CNY");
  CHECK(reading.entry(0).fee == decimal("0.06"));
  CHECK(reading.entry(0).net == decimal("9.94"));
  CHECK(reading.entry(0).status == "success");
  CHECK(reading.entry(1).amount == decimal("-2.5"));
  CHECK(date_text(*reading.entry(1).business_date) == "2026-11-21");

  std::string wide = paid;
  wide.replace(wide.find("CNY"), 3, "CNYX");
  const FileReading moved = read_file("generic.fixed", head + wide + back + foot);
  REQUIRE(moved.rows.bad.size() == 1);
  CHECK(moved.summary.verdict == ControlVerdict::mismatch);
  const FileReading wrong =
      read_file("generic.fixed", head + paid + back + "#control,count=2,amount=12.51\n");
  CHECK(wrong.summary.verdict == ControlVerdict::mismatch);
}
