// ACH returns: records made up here, and real files where they are.
#include <doctest/doctest.h>

#include <filesystem>

#include "core/statement/bai2_framer.h"
#include "core/statement/cfonb120_framer.h"
#include "core/statement/coda_framer.h"
#include "core/statement/mt940_framer.h"
#include "core/statement/nacha_framer.h"
#include "test/unit/framed.h"
#include "test/unit/statement_reading.h"

namespace test = pg_reconcile::test;
using namespace pg_reconcile::core;
using test::Framed;
using test::framed;

namespace {

std::string columns(std::initializer_list<std::pair<std::size_t, std::string>> texts) {
  std::string line(94, ' ');
  for (const auto& [first, text] : texts) line.replace(first - 1, text.size(), text);
  return line + "\n";
}

const std::string header =
    columns({{1, "101"}, {5, "231380104"}, {15, "121042882"}, {24, "261231"}, {34, "A094101"}, {41, "BANK"}});

std::string batch(const std::string& entries, const std::string& control) {
  return columns({{1, "5200SHOP"},
                  {41, "1234567890PPDRETURN"},
                  {70, "261230"},
                  {76, "004"},
                  {79, "1121042880000001"}}) +
         entries + columns({{1, "8200" + control}, {45, "1234567890"}, {80, "121042880000001"}});
}

std::string entry(const std::string& code, const std::string& cents, const std::string& addenda) {
  return columns({{1, "6" + code + "231380104987654321"},
                  {30, cents},
                  {40, "CUSTOMER-1"},
                  {55, "EVA"},
                  {79, "1"},
                  {80, "121042880000009"}}) +
         addenda;
}

std::string addenda(const std::string& code, const std::string& more = "") {
  return columns(
      {{1, "799" + code + "091000010000042"}, {28, "09100001"}, {36, more}, {80, "121042880000009"}});
}

std::string nines(int lines) {
  std::string text;
  for (int i = 0; i < lines; i++) text += std::string(94, '9') + "\n";
  return text;
}

// Two returns of 10.00 and 2.50 and a notice of change.
const std::string change =
    columns({{1, "798C01091000010000043"}, {28, "09100001"}, {36, "1918171614"}, {80, "121042880000009"}});
const std::string entries = entry("26", "0000001000", addenda("R01", "NOT SUFFICIENT FUNDS")) +
                            entry("21", "0000000250", addenda("R03")) + entry("21", "0000000000", change);
const std::string good_batch = batch(entries,
                                     "000006"
                                     "0069414030"
                                     "000000001000"
                                     "000000000250");

std::string trailer(const std::string& batches, const std::string& blocks, const std::string& rest) {
  return columns({{1, "9" + batches + blocks + rest}});
}
const std::string good_rest =
    "00000006"
    "0069414030"
    "000000001000"
    "000000000250";

std::string whole() {
  return header + good_batch + trailer("000001", "000001", good_rest);  // ten records
}

Framed read(const std::string& text, std::size_t chunk = 65536) {
  NachaFramer framer;
  return framed(framer, text, chunk);
}

}  // namespace

TEST_CASE("nacha: returns, notices of change, and every total of batch and file") {
  const Framed file = read(whole());
  REQUIRE(file.statements.size() == 1);
  const auto& statement = file.statements[0];
  for (const auto& bad : statement.bad) MESSAGE(bad.reason);
  for (const auto& line : statement.controls) {
    CAPTURE(line.name + " " + line.stated + " " + line.computed);
    CHECK(line.agrees);
  }
  CHECK(statement.controls.size() == 7);
  CHECK(statement.meta.at("business_date") == "2026-12-31");
  REQUIRE(statement.records.size() == 3);
  const auto& debit = statement.records[0];
  CHECK(debit.type == "return");
  CHECK(debit["amount"] == "-10.00");  // collected, and taken back
  CHECK(debit["return_code"] == "R01");
  CHECK(debit["original_trace"] == "091000010000042");
  CHECK(debit["information"] == "NOT SUFFICIENT FUNDS");
  CHECK(debit["individual_id"] == "CUSTOMER-1");
  CHECK(debit["effective_date"] == "2026-12-30");
  CHECK(debit["settlement_date"] == "2027-01-04");  // day 004 behind the turn of the year
  CHECK(statement.records[1]["amount"] == "2.50");
  CHECK(statement.records[2].type == "notice_of_change");
  CHECK(statement.records[2]["corrected_data"] == "1918171614");
}

TEST_CASE("nacha: dishonored and contested returns, entries and prenotifications") {
  const auto type_of = [](const std::string& record) {
    const Framed file = read(header + batch(record, ""));
    REQUIRE(file.records() == 1);
    return file.statements[0].records[0].type + " " + file.statements[0].records[0]["amount"];
  };
  const std::string dishonored =
      columns({{1, "799R68091000010000042"}, {39, "091000010000050"}, {54, "00401"}, {59, "UNTIMELY"}});
  const std::string contested = columns(
      {{1, "799R73091000010000042"}, {39, "091000010000050"}, {54, "00401"}, {59, "091000010000051"}});
  CHECK(type_of(entry("26", "0000001000", dishonored)) == "dishonored_return 10.00");
  CHECK(type_of(entry("26", "0000001000", contested)) == "contested_return -10.00");
  CHECK(type_of(entry("27", "0000001000", "")) == "entry -10.00");
  CHECK(type_of(entry("28", "0000000000", "")) == "prenotification 0.00");
}

TEST_CASE("nacha: what differs or is missing is said") {
  const auto differs = [](std::string text, const std::string& from, const std::string& to,
                          const char* control) {
    const std::size_t at = text.rfind(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    const Framed file = read(text);
    CAPTURE(control);
    REQUIRE(file.statements[0].control(control) != nullptr);
    return !file.statements[0].agrees(control);
  };
  CHECK(differs(whole(),
                "00000006"
                "0069414030",
                "00000007"
                "0069414030",
                "file entries and addenda"));
  CHECK(differs(whole(), "0069414030", "0069414031", "file entry hash"));
  CHECK(differs(whole(), "000000001000", "000000001001", "file debits"));
  CHECK(differs(whole(), "000000000250", "000000000251", "file credits"));
  CHECK(differs(whole(), "9000001000001", "9000002000001", "file batches"));
  CHECK(differs(whole(), "9000001000001", "9000001000002", "file blocks"));
  CHECK(differs(whole(), "8200000006", "8200000005", "batch controls"));
  CHECK(differs(whole(), "8200000006", "8200000005", "batch 0000001 entries and addenda"));
  CHECK(!read(header + good_batch).statements[0].agrees("file control"));
  CHECK(!read(header + good_batch.substr(0, 95 * 3)).statements[0].agrees("batch 0000001"));
  CHECK(read(header + batch(entry("2X", "0000001000", ""), "")).bad_rows() == 1);
  CHECK(read(header + batch(entry("27", "00000A1000", ""), "")).bad_rows() == 1);
  CHECK(read(header + entry("27", "0000001000", "")).bad_rows() == 1);
  CHECK(read(header + addenda("R01")).bad_rows() == 1);
  CHECK(read(header + "6short\n").bad_rows() == 1);
  CHECK(read(header + batch(entry("26", "0000001000", addenda("X01")), "")).bad_rows() == 1);
  CHECK(read("").rejected == "it is no ACH file: no record 1, 5 or 6");
}

TEST_CASE("nacha: without line ends, with filling, in chunks of any size") {
  std::string text = whole() + nines(10);
  const std::size_t at = text.rfind("9000001000001");
  text.replace(at, 13, "9000001000002");
  for (std::size_t chunk : {1UL, 93UL, 95UL, 1000UL}) CHECK(read(text, chunk).statements[0].all_agree());
  std::string joined = text;
  std::erase(joined, '\n');
  CHECK(read(joined).statements[0].all_agree());
  CHECK(read(whole() + whole()).statements.size() == 2);
}

TEST_CASE("nacha.return: the shipped document") {
  const auto reading = test::read_file("nacha.return", whole(), "return.ach");
  REQUIRE(!reading.summary.rejected);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.skipped == 1);
  REQUIRE(reading.rows.entries.size() == 2);
  CHECK(reading.entry(0).kind == "reversal");
  CHECK(reading.entry(0).amount == test::decimal("-10"));
  CHECK(reading.entry(0).order_key == "091000010000042");
  CHECK(reading.entry(0).account == "1234567890");
  std::string unauthorised = whole();
  unauthorised.replace(unauthorised.find("R01"), 3, "R10");
  CHECK(test::read_file("nacha.return", unauthorised, "return.ach").entry(0).kind == "chargeback");
  // An entry that is no return is for a person.
  const auto forward =
      test::read_file("nacha.return", header + batch(entry("27", "0000001000", ""), ""), "x.ach");
  CHECK(forward.rows.bad.size() == 1);
}

TEST_CASE("nacha: real files" * doctest::skip(test::samples().empty())) {
  for (const char* name : {"ppd-debit.ach", "testdata_ppd-mixedDebitCredit.ach", "segmentFile-ppd-credit.ach",
                           "web-credit.ach", "cor-read.ach", "contested-return.ach", "issue702.ach"}) {
    CAPTURE(name);
    const std::string bytes = test::sample("nacha_ach", name);
    REQUIRE(!bytes.empty());
    CHECK(read(bytes).statements[0].all_agree());
  }
  const Framed large = read(test::sample("nacha_ach", "20110805A.ach"));
  CHECK(large.statements[0].agrees("file entry hash"));
  CHECK(large.statements[0].agrees("file debits"));
  CHECK(!large.statements[0].agrees("file batches"));  // it states 5 and has 4
  CHECK(!read(test::sample("nacha_ach", "no_control.txt")).statements[0].agrees("file control"));
  CHECK(!read(test::sample("nacha_ach", "crashers_0.ach")).statements[0].all_agree());
}

TEST_CASE("no file of any format breaks a bank's frame" * doctest::skip(test::samples().empty())) {
  const std::vector<Charset> charsets = {Charset::utf8, Charset::latin1};
  std::vector<std::unique_ptr<Framer>> framers;
  framers.push_back(std::make_unique<Mt940Framer>(Mt940Framer::Message::mt940, charsets));
  framers.push_back(std::make_unique<Mt940Framer>(Mt940Framer::Message::mt942, charsets));
  framers.push_back(std::make_unique<Bai2Framer>(true, charsets));
  framers.push_back(std::make_unique<Cfonb120Framer>(charsets));
  framers.push_back(std::make_unique<CodaFramer>(charsets));
  framers.push_back(std::make_unique<NachaFramer>());
  std::size_t files = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(test::samples())) {
    if (!file.is_regular_file()) continue;
    files++;
    const std::string bytes = test::file_text(file.path());
    for (const auto& framer : framers) {
      const Framed result = framed(*framer, bytes);
      CHECK(result.records() <= bytes.size());
    }
  }
  CHECK(files > 50);
}
