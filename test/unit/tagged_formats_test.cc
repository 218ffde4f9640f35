// The shipped documents of tagged files: each on a file written here in its shape, and on a real one where
// there is one.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>

#include "test/unit/statement_reading.h"

using namespace pg_reconcile::core;
using namespace pg_reconcile::test;

namespace {

void require_clean(const FileReading& reading) {
  CAPTURE(reading.summary.rejected.value_or(""));
  REQUIRE(!reading.summary.rejected);
  for (const auto& bad : reading.rows.bad)
    MESSAGE(bad.place.line, " ", bad.field, " ", bad.column, " '", bad.value, "' ", bad.reason);
  REQUIRE(reading.rows.bad.empty());
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::optional<std::string> attribute(const Entry& entry, const std::string& name) {
  for (const auto& [key, value] : entry.attributes) {
    if (key == name) return value;
  }
  return std::nullopt;
}

const std::string norma43_day =
    "110049123450000000172611202611202000000001000009783BODEGA NORTE\r\n"
    "22    12342611202611210300010000000000123400000004230000000000000000000000000000\r\n"
    "2301RECIBO LUZ\r\n"
    "2302CA\xD1"
    "O ROTO\r\n"
    "22    1234261120261120020992000000000050000000000000REF100000042INV-7           \r\n"
    "240184000000000005600\r\n"
    "22    12342611202611201400910000000000000500000000000000000000000000000000000000\r\n"
    "3300491234500000001700002000000000012390000100000000005000200000000103761978\r\n"
    "110049123450000000182611202611202000000000000009783\r\n"
    "3300491234500000001800000000000000000000000000000000000000200000000000000978\r\n"
    "88999999999999999999000010\r\n";

}  // namespace

TEST_CASE("norma43: accounts, marks before cents, references and lines of text") {
  const FileReading reading = read_file("norma43", norma43_day, "n43.txt", "Europe/Madrid", "EUR");
  require_clean(reading);
  REQUIRE(reading.summaries.size() == 2);
  CHECK(reading.summary.account == "004912345000000017");
  CHECK(date_text(*reading.summary.business_date) == "2026-11-20");
  CHECK(reading.summary.opening_balance == decimal("1000"));
  CHECK(reading.summary.closing_balance == decimal("1037.61"));
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.controls.size() == 5);
  CHECK(reading.summaries[1].account == "004912345000000018");
  CHECK(reading.summaries[1].verdict == ControlVerdict::agreed);
  REQUIRE(reading.rows.entries.size() == 3);
  const Entry& bill = reading.entry(0);
  CHECK(bill.account == "004912345000000017");
  CHECK(bill.kind == "transfer");
  CHECK(bill.sub_kind == "03/000");
  CHECK(bill.amount == decimal("-12.34"));
  CHECK(bill.currency == "EUR");
  CHECK(bill.order_key == "0000000423");  // references of zeros are none
  CHECK(!bill.match_key);
  CHECK(date_text(*bill.business_date) == "2026-11-20");
  CHECK(date_text(*bill.value_date) == "2026-11-21");
  CHECK(attribute(bill, "concept") == "RECIBO LUZ CAÑO ROTO");
  const Entry& income = reading.entry(1);
  CHECK(income.amount == decimal("50"));
  CHECK(income.match_key == "REF100000042");
  CHECK(attribute(income, "reference_2") == "INV-7");
  CHECK(attribute(income, "original_currency") == "840");
  CHECK(attribute(income, "original_amount") == "00000000005600");
  CHECK(reading.entry(2).kind == "chargeback");
}

TEST_CASE("norma43: totals that differ, unknown currencies and marks, a torn file") {
  const auto read = [](const std::string& bytes) {
    return read_file("norma43", bytes, "n43.txt", "Europe/Madrid", "EUR");
  };
  const FileReading wrong = read(replaced(norma43_day, "1000000000012340", "1000000000012350"));
  CHECK(wrong.summary.verdict == ControlVerdict::mismatch);
  CHECK(!wrong.control("debit")->agrees);
  CHECK(!wrong.control("closing balance")->agrees);
  CHECK(wrong.control("credit")->agrees);
  CHECK(wrong.summaries[1].verdict == ControlVerdict::agreed);
  const FileReading currency = read(replaced(norma43_day, "9783BODEGA", "9993BODEGA"));
  REQUIRE(currency.rows.bad.size() == 3);
  CHECK(currency.rows.bad[0].value == "999");
  const FileReading mark = read(replaced(norma43_day, "140091", "140093"));
  REQUIRE(mark.rows.bad.size() == 1);
  CHECK(mark.summary.verdict == ControlVerdict::mismatch);
  const FileReading torn = read(norma43_day.substr(0, norma43_day.find("88999")));
  CHECK(torn.summaries.back().verdict == ControlVerdict::mismatch);
}

TEST_CASE("norma43: a real file whose totals are wrong on purpose") {
  if (samples().empty()) {
    MESSAGE("SKIPPED: no samples; set PG_RECONCILE_SAMPLES to their folder");
    return;
  }
  const FileReading reading =
      read_file("norma43", sample("norma43", "example1.n43"), "n43.txt", "Europe/Madrid", "EUR");
  require_clean(reading);
  REQUIRE(reading.rows.entries.size() == 4);
  Decimal sum;
  for (const Entry& entry : reading.rows.entries) sum += entry.amount;
  CHECK(sum == decimal("49.36"));
  CHECK(reading.summary.opening_balance == decimal("1234.56"));
  CHECK(reading.summary.verdict == ControlVerdict::mismatch);
}

namespace {

const std::string paypal_head =
    "\"RH\",2026/11/21 02:05:05 -0800,\"A\",\"M1\",008,\n"
    "\"FH\",01\n"
    "\"SH\",2026/11/20 00:00:00 -0800,2026/11/20 23:59:59 -0800,\"M1\",\"\"\n"
    "\"CH\",\"Transaction ID\",\"Invoice ID\",\"PayPal Reference "
    "ID\",\"Transaction Event Code\","
    "\"Transaction Initiation Date\",\"Transaction Completion "
    "Date\",\"Transaction  Debit or Credit\","
    "\"Gross Transaction Amount\",\"Gross Transaction Currency\",\"Fee Debit "
    "or Credit\",\"Fee Amount\","
    "\"Fee Currency\",\"Transactional Status\",\"Custom Field\"\n";
const std::string paypal_foot = "\"SF\"\n\"SC\",6\n\"RF\"\n\"RC\",6\n\"FF\",6\n";

std::string paypal_row(const std::string& id, const std::string& invoice, const std::string& original,
                       const std::string& code, const std::string& amount, const std::string& fee,
                       const std::string& status) {
  return "\"SB\",\"" + id + "\",\"" + invoice + "\",\"" + original + "\"," + code +
         ",2026/11/20 23:59:55 -0800,2026/11/20 23:59:58 -0800," + amount + "," + fee + ",\"" + status +
         "\",\"\"\n";
}

const std::string paypal_rows = paypal_row("T1", "I1", "", "T0006", "CR,15000,JPY", "DR,4300,JPY", "S") +
                                paypal_row("T2", "I1", "T1", "T1107", "DR,5000,JPY", "CR,1000,JPY", "S") +
                                paypal_row("T3", "I1", "T1", "T1201", "DR,300,USD", ",,", "") +
                                paypal_row("T4", "", "", "T0400", "DR,10000,USD", ",,", "P") +
                                paypal_row("T5", "I2", "", "T1302", "CR,1560,CAD", ",,", "V") +
                                paypal_row("T6", "I3", "", "T0000", "CR,1560,CAD", ",,", "D");

}  // namespace

TEST_CASE(
    "paypal.trr: hundredths of every currency, debit and credit marks, "
    "event codes and statuses") {
  const FileReading reading =
      read_file("paypal.trr", paypal_head + paypal_rows + paypal_foot, "TRR-20261120.01.008.CSV");
  require_clean(reading);
  CHECK(reading.summaries.size() == 1);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.control("rows")->computed == "6");
  CHECK(reading.summary.account == "M1");
  CHECK(date_text(*reading.summary.business_date) == "2026-11-20");
  CHECK(reading.summary.skipped == 1);  // an authorization moves nothing
  REQUIRE(reading.rows.entries.size() == 5);
  const Entry& payment = reading.entry(0);
  CHECK(payment.account == "M1");
  CHECK(payment.kind == "payment");
  CHECK(payment.amount == decimal("150"));  // yen too
  CHECK(payment.fee == decimal("43"));
  CHECK(payment.net == decimal("107"));
  CHECK(payment.match_key == "I1");
  CHECK(payment.channel_ref == "T1");
  CHECK(!payment.original_ref);
  const Entry& refund = reading.entry(1);
  CHECK(refund.kind == "refund");
  CHECK(refund.amount == decimal("-50"));
  CHECK(refund.fee == decimal("-10"));
  CHECK(refund.net == decimal("-40"));
  CHECK(refund.original_ref == "T1");
  CHECK(reading.entry(2).kind == "chargeback");
  CHECK(reading.entry(2).status == "success");
  CHECK(reading.entry(3).kind == "payout");
  CHECK(reading.entry(3).status == "pending");
  CHECK(reading.entry(3).order_key == "T4");
  CHECK(reading.entry(4).status == "failed");
}

TEST_CASE(
    "paypal.trr: a count that differs, a torn file, a mark and a status "
    "that nobody knows") {
  const auto read = [](const std::string& bytes) { return read_file("paypal.trr", bytes); };
  const FileReading wrong = read(paypal_head + paypal_rows + replaced(paypal_foot, "\"SC\",6", "\"SC\",7"));
  CHECK(wrong.summary.verdict == ControlVerdict::mismatch);
  CHECK(read(paypal_head + paypal_rows).summary.verdict == ControlVerdict::mismatch);
  const FileReading mark = read(paypal_head + replaced(paypal_rows, "CR,15000", "XX,15000") + paypal_foot);
  REQUIRE(mark.rows.bad.size() == 1);
  CHECK(mark.summary.verdict == ControlVerdict::mismatch);
  const FileReading status = read(paypal_head + replaced(paypal_rows, "\"D\"", "\"Q\"") + paypal_foot);
  REQUIRE(status.rows.bad.size() == 1);
  CHECK(status.rows.bad[0].value == "Q");
  // A second section is another account's statement.
  const std::string second = "SH,2026/11/20 00:00:00 -0800,2026/11/20 23:59:59 -0800,M2,\nSF\nSC,0\n";
  const FileReading two =
      read(paypal_head + paypal_rows + replaced(paypal_foot, "\"RF\"\n", second + "\"RF\"\n"));
  require_clean(two);
  REQUIRE(two.summaries.size() == 2);
  CHECK(two.summaries[1].account == "M2");
  CHECK(two.summaries[1].verdict == ControlVerdict::agreed);
}

TEST_CASE("paypal.trr: real files") {
  if (samples().empty()) {
    MESSAGE("SKIPPED: no samples; set PG_RECONCILE_SAMPLES to their folder");
    return;
  }
  const FileReading donation =
      read_file("paypal.trr", sample("paypal_stl_trr", "trr_express_checkout_donation.csv"));
  require_clean(donation);
  REQUIRE(donation.rows.entries.size() == 1);
  CHECK(donation.entry(0).amount == decimal("150"));
  CHECK(donation.entry(0).fee == decimal("43"));
  CHECK(donation.entry(0).net == decimal("107"));
  const FileReading excerpt =
      read_file("paypal.trr", sample("paypal_stl_trr", "trr_express_with_non_data_rows.csv"));
  require_clean(excerpt);
  CHECK(excerpt.rows.entries.size() == 1);
  CHECK(excerpt.control("rows")->stated == "20039");  // of the whole file
  CHECK(excerpt.summary.verdict == ControlVerdict::mismatch);
  const FileReading voided = read_file("paypal.trr", sample("paypal_stl_trr", "trr_void.csv"));
  require_clean(voided);
  CHECK(voided.summary.skipped == 1);
}

namespace {

const std::string dlocal_file =
    "ROW_TYPE,SETTLEMENT_CURRENCY,NUMBER_OF_ITEMS,GROSS_TOTAL_AMOUNT,FEE_TOTAL_AMOUNT,NET_TOTAL_AMOUNT,"
    "TRANSFER_DATE,TRANSFER_ID,,,,,,\n"
    "HEADER,USD,4,15.62,-10.11,5.51,2026-11-21,77,,,,,,\n"
    "ROW_TYPE,MID,CREATION_DATE,APPROVED_DATE,TRANSACTION_ID,DLOCAL_TRANSACTION_ID,LOCAL_AMOUNT,"
    "LOCAL_CURRENCY,FX_RATE,GROSS_AMOUNT,FEE_AMOUNT,NET_AMOUNT,PAYMENT_TYPE,STATUS\n"
    "CAPTURE,9,2026-11-01 10:00:00,2026-11-01 10:00:02,P1,D-1,100,BRL,5,20.0049,-0.1049,19.9,CARD,PAID\n"
    "REFUND,9,2026-11-02 10:00:00,,P1,D-2,10,BRL,5,-2.0001,0,-2.0001,CARD,PAID\n"
    "ADJUSTMENT,9,2026-11-02 11:00:00,2026-11-02 11:00:00,,D-3,0,,0,-2.38,0,-2.38,DEBIT NOTE,\n"
    "SETTLEMENT_FEE,9,,,,77,0,,0,0,-10,-10,,\n";

}  // namespace

TEST_CASE("dlocal.settlement: two headers, local and transferred amounts, charges of the transfer") {
  const FileReading reading = read_file("dlocal.settlement", dlocal_file);
  require_clean(reading);
  for (const ControlLine& line : reading.summary.controls)
    CHECK_MESSAGE(line.agrees, line.name, " ", line.stated, " ", line.computed);
  CHECK(reading.summary.controls.size() == 3);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(date_text(*reading.summary.business_date) == "2026-11-21");
  REQUIRE(reading.rows.entries.size() == 4);
  const Entry& payment = reading.entry(0);
  CHECK(payment.account == "9");
  CHECK(payment.kind == "payment");
  CHECK(payment.match_key == "P1");
  CHECK(payment.channel_ref == "D-1");
  CHECK(payment.amount == decimal("100"));
  CHECK(payment.currency == "BRL");
  CHECK(payment.settle_amount == decimal("20.0049"));
  CHECK(payment.settlement_currency == "USD");
  CHECK(payment.fee == decimal("0.1049"));
  CHECK(payment.net == decimal("19.9"));
  CHECK(payment.settlement_ref == "77");
  CHECK(date_text(*payment.business_date) == "2026-11-21");
  CHECK(reading.entry(1).amount == decimal("-10"));
  CHECK(reading.entry(1).occurred_at);
  CHECK(reading.entry(2).kind == "adjustment");
  CHECK(reading.entry(2).amount == decimal("-2.38"));
  CHECK(reading.entry(2).currency == "USD");
  const Entry& charge = reading.entry(3);
  CHECK(charge.kind == "fee");
  CHECK(charge.amount == decimal("-10"));
  CHECK(charge.order_key == "77");
  CHECK(date_text(*charge.business_date) == "2026-11-21");
}

TEST_CASE("dlocal.settlement: wrong totals, other rows, a net that is none") {
  const FileReading wrong = read_file("dlocal.settlement", replaced(dlocal_file, "15.62", "15.65"));
  CHECK(wrong.summary.verdict == ControlVerdict::mismatch);
  CHECK(!wrong.control("GROSS_TOTAL_AMOUNT")->agrees);
  const FileReading other = read_file("dlocal.settlement", replaced(dlocal_file, "ADJUSTMENT,", "BALANCE,"));
  REQUIRE(other.rows.bad.size() == 1);
  CHECK(other.summary.verdict == ControlVerdict::mismatch);
  const FileReading net = read_file("dlocal.settlement", replaced(dlocal_file, ",19.9,", ",19.8,"));
  REQUIRE(net.rows.bad.size() == 1);
  CHECK(net.rows.bad[0].field == "net");
}

TEST_CASE("dlocal.settlement: a real file") {
  if (samples().empty()) {
    MESSAGE("SKIPPED: no samples; set PG_RECONCILE_SAMPLES to their folder");
    return;
  }
  const FileReading reading = read_file("dlocal.settlement", sample("dlocal", "20260110.csv"));
  require_clean(reading);
  CHECK(reading.rows.entries.size() == 6);
  CHECK(reading.control("GROSS_TOTAL_AMOUNT")->agrees);
  CHECK(reading.control("GROSS_TOTAL_AMOUNT")->computed == "259.70");
  CHECK(reading.control("FEE_TOTAL_AMOUNT")->agrees);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
}
