// CODA: lines made up here, and real ones where they are.
#include <doctest/doctest.h>

#include "core/statement/coda_framer.h"
#include "test/unit/framed.h"
#include "test/unit/statement_reading.h"

namespace test = pg_reconcile::test;
using namespace pg_reconcile::core;
using test::Framed;
using test::framed;

namespace {

// A line of 128 columns with texts at the columns where they start.
std::string columns(std::initializer_list<std::pair<std::size_t, std::string>> texts) {
  std::string line(128, ' ');
  for (const auto& [first, text] : texts) line.replace(first - 1, text.size(), text);
  return line + "\r\n";
}

const std::string header = columns({{1, "0000024112612305"}, {25, "REF1"}, {61, "KREDBEBB"}, {128, "2"}});

std::string balance(const std::string& record, std::size_t account, const std::string& sign_amount,
                    const std::string& date) {
  return columns({{1, record},
                  {account, "BE68539007547034"},
                  {account + 34, "EUR"},
                  {account + 37, sign_amount},
                  {account + 53, date},
                  {128, "0"}});
}

std::string movement(const std::string& number, const std::string& sign_amount, const std::string& code,
                     const std::string& communication, const std::string& date = "241126") {
  return columns({{1, "21" + number},
                  {11, "BANKREF" + number.substr(0, 4)},
                  {32, sign_amount},
                  {48, date},
                  {54, code},
                  {62, communication},
                  {116, date},
                  {122, "117"},
                  {125, "0"},
                  {128, "0"}});
}

std::string trailer(const std::string& records, const std::string& debits, const std::string& credits) {
  return columns({{1, "9"}, {17, records}, {23, debits}, {38, credits}, {128, "2"}});
}

const std::string opening = balance("12117", 6, "0000000000100000", "231126");

std::string whole(const std::string& movements, const std::string& closing, const std::string& end) {
  return header + opening + movements + balance("8117", 5, closing, "241126") + end;
}

Framed read(const std::string& text, std::size_t chunk = 65536) {
  CodaFramer framer({Charset::utf8, Charset::latin1});
  return framed(framer, text, chunk);
}

const std::string paid =
    movement("00010000", "0000000000012500", "00150000", "1101123456789012") +
    columns({{1, "2200010000"}, {11, "rest"}, {64, "ORDER-1"}, {99, "GKCCBEBB"}, {128, "0"}}) +
    columns({{1, "2300010000"}, {11, "BE71096123456769"}, {48, "CAF\xC9 SA"}, {128, "1"}}) +
    columns({{1, "3100010001"}, {40, "0more to say"}, {128, "0"}});
const std::string split = movement("00020000", "1000000000030000", "00500000", "0two together") +
                          movement("00020001", "1000000000010000", "00500000", "0one") +
                          movement("00020002", "1000000000020000", "00500000", "0other");
const std::string good_end = trailer("000009", "000000000030000", "000000000012500");

}  // namespace

TEST_CASE("coda: movements with what belongs to them; parts of a sum are not counted twice") {
  const Framed file = read(whole(paid + split, "0000000000082500", good_end));
  REQUIRE(file.statements.size() == 1);
  const auto& statement = file.statements[0];
  for (const auto& bad : statement.bad) MESSAGE(bad.reason);
  CHECK(statement.all_agree());
  CHECK(statement.controls.size() == 4);
  CHECK(statement.meta.at("account") == "BE68539007547034");
  CHECK(statement.meta.at("bank") == "KREDBEBB");
  CHECK(statement.meta.at("opening_balance") == "100.00");
  CHECK(statement.meta.at("closing_balance") == "82.50");
  CHECK(statement.meta.at("business_date") == "2026-11-24");
  CHECK(statement.meta.at("statement_no") == "117");
  REQUIRE(statement.records.size() == 4);
  const auto& first = statement.records[0];
  CHECK(first["amount"] == "12.50");
  CHECK(first["structured_communication"] == "123456789012");
  CHECK(first["customer_reference"] == "ORDER-1");
  CHECK(first["counterparty_account"] == "BE71096123456769");
  CHECK(first["counterparty_name"] == "CAFÉ SA");
  CHECK(first["information"] == "more to say");
  CHECK(first["value_date"] == "2026-11-24");
  CHECK(statement.records[1].type == "movement");
  CHECK(statement.records[1]["amount"] == "-30.00");
  CHECK(statement.records[2].type == "detail");
  CHECK(statement.records[3]["communication"] == "other");
}

TEST_CASE("coda: what differs, is missing or can't be read is said") {
  const auto disagrees = [](const std::string& text, const char* control) {
    const Framed file = read(text);
    REQUIRE(file.statements[0].control(control) != nullptr);
    return !file.statements[0].agrees(control);
  };
  CHECK(disagrees(whole(paid + split, "0000000000082510", good_end), "new balance"));
  CHECK(disagrees(
      whole(paid + split, "0000000000082500", trailer("000010", "000000000030000", "000000000012500")),
      "records"));
  CHECK(disagrees(
      whole(paid + split, "0000000000082500", trailer("000009", "000000000060000", "000000000012500")),
      "debits"));
  CHECK(disagrees(
      whole(paid + split, "0000000000082500", trailer("000009", "000000000030000", "000000000012501")),
      "credits"));
  CHECK(disagrees(whole(paid + split, "0000000000082500", ""), "record 9"));
  CHECK(disagrees(header + opening + paid, "new balance"));
  const Framed february =
      read(whole(movement("00010000", "0000000000012500", "00150000", "0x", "310226"), "0000000000100000",
                 trailer("000003", "000000000000000", "000000000000000")));
  REQUIRE(february.bad_rows() == 1);
  CHECK(february.statements[0].bad[0].column == "entry_date");
  CHECK(read(whole(movement("00010000", "2000000000012500", "00150000", "0x"), "0000000000100000", ""))
            .bad_rows() == 1);
  CHECK(read(header + opening + "2200010000" + std::string(60, ' ') + "x\r\n").bad_rows() == 1);
  CHECK(read(header + opening + std::string(200, 'x') + "\r\n").bad_rows() == 1);
  std::string first_version = header;
  first_version[127] = '1';
  CHECK(read(first_version).rejected == "line 1: it says CODA version '1', and 2 is known");
  CHECK(read("").rejected == "it is no CODA file: it does not start with a record 0");
  CHECK(read("order;amount;a line that is as long as one of CODA might be\n").rejected);
}

TEST_CASE("coda: several statements, chunks of any size") {
  const std::string one = whole(paid + split, "0000000000082500", good_end);
  const Framed file = read(one + one);
  REQUIRE(file.statements.size() == 2);
  for (const auto& statement : file.statements) CHECK(statement.all_agree());
  for (std::size_t chunk : {1UL, 7UL, 100UL}) CHECK(read(one, chunk).statements[0].all_agree());
}

TEST_CASE("coda: the shipped document takes sums once") {
  const auto reading =
      test::read_file("coda", whole(paid + split, "0000000000082500", good_end), "x.cod", "UTC", "EUR");
  REQUIRE(!reading.summary.rejected);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  REQUIRE(reading.rows.entries.size() == 2);
  CHECK(reading.summary.skipped == 2);
  CHECK(reading.entry(0).match_key == "123456789012");
  CHECK(reading.entry(1).amount == test::decimal("-30"));
  CHECK(reading.summary.closing_balance == test::decimal("82.5"));
}

TEST_CASE("coda: real files" * doctest::skip(test::samples().empty())) {
  const auto sample = [](const char* name) {
    const std::string bytes = test::sample("coda", name);
    REQUIRE(!bytes.empty());
    return read(bytes);
  };
  CHECK(sample("faulty_version.txt").rejected);
  CHECK(sample("foreign_account.txt").statements[0].all_agree());
  const Framed single = sample("single_statement.txt");
  REQUIRE(single.statements.size() == 1);
  CHECK(single.statements[0].all_agree());
}
