// CFONB 120: lines made up here, and real ones where they are.
#include <doctest/doctest.h>

#include "core/statement/cfonb120_framer.h"
#include "test/unit/framed.h"
#include "test/unit/statement_reading.h"

namespace test = pg_reconcile::test;
using namespace pg_reconcile::core;
using test::Framed;
using test::framed;

namespace {

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string balance(const std::string& code, const std::string& date, const std::string& amount,
                    const std::string& number = "00012345678") {
  return padded(padded(code + "30004    00123EUR2 " + number + "  " + date, 90) + amount, 120) + "\n";
}

std::string movement(const std::string& date, const std::string& amount, const std::string& label,
                     const std::string& operation = "05", const std::string& reject = "  ",
                     const std::string& reference = "") {
  std::string line = "043000401A100123EUR2 00012345678" + operation + date + reject + date;
  line = padded(line + label, 79);
  return padded(padded(padded(line, 81) + "0000042", 90) + amount + reference, 120) + "\n";
}

std::string complement(const std::string& qualifier, const std::string& text) {
  return padded(padded("053000401A100123EUR2 0001234567805241126", 45) + qualifier + text, 120) + "\n";
}

Framed read(const std::string& text, std::size_t chunk = 65536) {
  Cfonb120Framer framer({Charset::utf8, Charset::latin1});
  return framed(framer, text, chunk);
}

std::string statement(const std::string& middle, const std::string& closing) {
  return balance("01", "231126", "0000000010000{") + middle + balance("07", "241126", closing);
}

}  // namespace

TEST_CASE("cfonb120: balances, movements with their complements, overpunched signs") {
  const Framed file = read(
      statement(movement("241126", "0000000001234E", "VIREMENT CLIENT") + complement("NPY", "DUPONT SA") +
                    complement("RCN", padded("ORDER-1", 35) + "ACHAT") + complement("LIB", "premi\xE8re") +
                    complement("LIB", "seconde") + complement("ZZZ", "autre") + complement("   ", "") +
                    movement("241126", "0000000000050}", "FRAIS", "62") +
                    movement("241126", "0000000000100J", "PRLV REJETE", "B1", "12", "REF-9"),
                "0000000011084D"));
  REQUIRE(file.statements.size() == 1);
  const auto& statement = file.statements[0];
  for (const auto& bad : statement.bad) MESSAGE(bad.reason);
  CHECK(statement.all_agree());
  CHECK(statement.meta.at("account") == "300040012300012345678");
  CHECK(statement.meta.at("opening_balance") == "1000.00");
  CHECK(statement.meta.at("closing_balance") == "1108.44");
  CHECK(statement.meta.at("business_date") == "2026-11-24");
  REQUIRE(statement.records.size() == 3);
  const auto& first = statement.records[0];
  CHECK(first["amount"] == "123.45");
  CHECK(first["label"] == "VIREMENT CLIENT");
  CHECK(first["counterparty_name"] == "DUPONT SA");
  CHECK(first["end_to_end_id"] == "ORDER-1");
  CHECK(first["purpose"] == "ACHAT");
  CHECK(first["additional_label"] == "première\nseconde");
  CHECK(first["complements"] == "ZZZ: autre");
  CHECK(first["entry_number"] == "0000042");
  CHECK(statement.records[1]["amount"] == "-5.00");
  CHECK(statement.records[2]["amount"] == "-10.01");
  CHECK(statement.records[2]["reject_code"] == "12");
  CHECK(statement.records[2]["reference"] == "REF-9");
}

TEST_CASE("cfonb120: what does not fit is set aside, and the statement does not agree") {
  const auto bad = [](const std::string& text) {
    const Framed file = read(text);
    std::string reasons;
    for (const auto& part : file.statements) {
      for (const auto& row : part.bad) reasons += row.column + " '" + row.value + "' " + row.reason + "\n";
    }
    return reasons;
  };
  CHECK(bad(statement(movement("310226", "0000000000050}", "X"), "0000000010000{")) ==
        "booking_date '310226' is no date of the calendar written as ddMMyy\n");
  CHECK(bad(statement(movement("241126", "000000000005X}", "X"), "0000000010000{")) ==
        "amount '000000000005X}' is no amount with its sign over the last digit\n");
  CHECK(bad(statement(complement("LIB", "x"), "0000000010000{")) ==
        " '' completes a movement that is not there\n");
  CHECK(bad(statement("99\n", "0000000010000{")) == " '' has 2 columns where 120 are expected\n");
  CHECK(bad(balance("07", "241126", "0000000010000{")) ==
        " '' closes a statement that was not opened: no record 01 before it\n");
  CHECK(bad(movement("241126", "0000000000050}", "X")) ==
        " '' is a movement outside a statement: no record 01 before it\n");
  CHECK(bad(balance("01", "  CART", "0000000010000{") + balance("07", "241126", "0000000010000{")) ==
        "date 'CART' is no date of the calendar written as ddMMyy\n");
  CHECK(!read(balance("01", "231126", "0000000010000{")).statements[0].agrees("new balance"));
  CHECK(!read(statement(movement("241126", "0000000000050}", "X"), "0000000010000{"))
             .statements[0]
             .agrees("new balance"));
  const Framed other = read(balance("01", "231126", "0000000010000{") +
                            balance("07", "241126", "0000000010000{", "00099999999"));
  CHECK(other.bad_rows() == 1);
  CHECK(!other.statements[0].agrees("new balance"));
  CHECK(read("").rejected == "it is no CFONB 120 file: no record 01, 04 or 07");
  CHECK(read("order;amount\n").rejected);
}

TEST_CASE("cfonb120: lines without their blanks, chunks of any size, records without end") {
  std::string text = statement(movement("241126", "0000000001234E", "VIREMENT"), "0000000011234E");
  for (std::size_t chunk : {1UL, 5UL, 64UL}) CHECK(read(text, chunk).statements[0].all_agree());
  std::string stripped;
  for (char c : text) {
    if (c == '\n') stripped.resize(stripped.find_last_not_of(' ') + 1);
    stripped += c;
  }
  CHECK(read(stripped).statements[0].all_agree());
  std::string many = movement("241126", "0000000001234E", "VIREMENT");
  for (int i = 0; i < 20000; i++) many += complement("LIB", "encore");
  const Framed heap = read(statement(many, "0000000010000{"));
  REQUIRE(heap.bad_rows() == 1);
  CHECK(heap.statements[0].bad[0].reason == "goes on for more than 1 MB");
}

TEST_CASE("cfonb120: the shipped document") {
  const auto reading = test::read_file(
      "cfonb120",
      statement(movement("241126", "0000000001234E", "VIREMENT") + complement("RCN", "ORDER-1") +
                    movement("241126", "0000000000050}", "FRAIS", "62") +
                    movement("241126", "0000000000100J", "REJET", "B1", "12"),
                "0000000011084D"),
      "releve.txt", "Europe/Amsterdam", "EUR");
  REQUIRE(!reading.summary.rejected);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  REQUIRE(reading.rows.entries.size() == 3);
  CHECK(reading.entry(0).kind == "transfer");
  CHECK(reading.entry(0).match_key == "ORDER-1");
  CHECK(reading.entry(1).kind == "fee");
  CHECK(reading.entry(2).kind == "chargeback");
  CHECK(reading.entry(2).amount == test::decimal("-10.01"));
}

TEST_CASE("cfonb120: real files" * doctest::skip(test::samples().empty())) {
  const auto sample = [](const char* name) {
    const std::string bytes = test::sample("cfonb120", name);
    REQUIRE(!bytes.empty());
    return read(bytes);
  };
  const Framed example = sample("files_example.txt");
  REQUIRE(example.statements.size() == 2);
  CHECK(example.statements[0].meta.at("opening_balance") == "-190.40");
  CHECK(example.statements[0].meta.at("closing_balance") == "-241.21");
  CHECK(example.statements[1].meta.at("closing_balance") == "-163.72");
  for (const auto& part : example.statements) CHECK(part.all_agree());
  CHECK(sample("invalid_date.txt").bad_rows() == 2);
  CHECK(sample("without_beginning.txt").bad_rows() == 1);
}
