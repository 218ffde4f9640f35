// BAI2: what banks write, in files made up here, and real ones where they are.
#include <doctest/doctest.h>

#include "core/statement/bai2_framer.h"
#include "core/statement/bai2_record.h"
#include "test/unit/framed.h"
#include "test/unit/statement_reading.h"

namespace test = pg_reconcile::test;
using namespace pg_reconcile::core;
using test::Framed;
using test::framed;

namespace {

Framed read(const std::string& text, std::size_t chunk = 65536, bool complete = true) {
  Bai2Framer framer(complete, {Charset::utf8, Charset::latin1});
  return framed(framer, text, chunk);
}

const std::string head = "01,BANK,SHOP,261125,0600,77,80,,2/\n02,SHOP,BANK,1,261124,2359,USD,2/\n";

// One account: `records` are those between 03 and 49, `total` the sum of every amount.
std::string file_of(const std::string& account, const std::string& records, const std::string& total,
                    int count) {
  return head + account + records + "49," + total + "," + std::to_string(count) + "/\n98," + total + ",1," +
         std::to_string(count + 2) + "/\n99," + total + ",1," + std::to_string(count + 4) + "/\n";
}

}  // namespace

TEST_CASE("bai2: an account with balances, credits, debits and every funds type") {
  const Framed file =
      read(file_of("03,12345,USD,010,10000,,,015,10900,,,100,1500,3,,400,600,1,V,261125,/\n",
                   "16,195,500,S,100,200,200,B1,C1,WIRE, FROM A/B CO/\n"
                   "16,142,700,V,261126,0900,B2,C2,PAYOUT/\n16,108,300,D,2,0,100,1,200,B3,,/\n"
                   "16,451,600,Z,B4,ORDER-9,ACH DEBIT/\n16,890,0,,,,NOTE ONLY/\n",
                   "25100", 7));
  REQUIRE(file.statements.size() == 1);
  const auto& statement = file.statements[0];
  CHECK(statement.all_agree());
  CHECK(statement.controls.size() == 13);
  CHECK(statement.meta.at("account") == "12345");
  CHECK(statement.meta.at("business_date") == "2026-11-24");
  CHECK(statement.meta.at("opening_balance") == "100.00");
  CHECK(statement.meta.at("closing_balance") == "109.00");
  CHECK(statement.meta.at("summary_100") == "15.00");
  REQUIRE(statement.records.size() == 5);
  const auto& wire = statement.records[0];
  CHECK(wire["amount"] == "5.00");
  CHECK(wire["immediate"] == "1.00");
  CHECK(wire["later"] == "2.00");
  CHECK(wire["bank_reference"] == "B1");
  CHECK(wire["customer_reference"] == "C1");
  CHECK(wire["text"] == "WIRE, FROM A/B CO");
  CHECK(statement.records[1]["value_date"] == "2026-11-26");
  CHECK(statement.records[1]["value_time"] == "0900");
  CHECK(statement.records[2]["distribution"] == "0:100 1:200");
  CHECK(statement.records[2]["bank_reference"] == "B3");
  CHECK(statement.records[3]["amount"] == "-6.00");
  CHECK(statement.records[3]["customer_reference"] == "ORDER-9");
  CHECK(statement.records[4].type == "note");
}

TEST_CASE("bai2: 88 goes on between fields, in the middle of one, and in a text") {
  const Framed file = read(file_of("03,12345,USD,010,100/\n88,00,,,015,13000,,/\n",
                                   "16,142,20\n88,00,,B1,C1,FIRST LINE/\n88,SECOND, LINE/\n"
                                   "16,142,1000,,B2/\n88,C2,TEXT W\n88,ORD/\n",
                                   "16100", 9));
  REQUIRE(file.records() == 2);
  const auto& records = file.statements[0].records;
  // Two fields on either side of a slash, so the opening balance is 1.00 and has a count of "00".
  CHECK(file.statements[0].meta.at("opening_balance") == "1.00");
  CHECK(records[0]["amount"] == "20.00");
  CHECK(records[0]["text"] == "FIRST LINE SECOND, LINE");
  CHECK(records[0].raw == "16,142,20\n88,00,,B1,C1,FIRST LINE/\n88,SECOND, LINE/");
  CHECK(records[1]["customer_reference"] == "C2");
  CHECK(records[1]["text"] == "TEXT WORD");
  CHECK(file.statements[0].agrees("49 account total"));
  CHECK(file.statements[0].agrees("49 records"));
}

TEST_CASE("bai2: files without slashes, several records in a line, slashes in texts") {
  const Framed plain = read(
      "01,BANK,SHOP,261125,0600,77,80,,2\n02,SHOP,BANK,1,261124,2359,USD,2\n03,1,USD,010,100,,\n88,015,300,,"
      "\n"
      "16,142,200,,B1,C1,TEXT\n88,MORE\n49,600,5\n98,600,1,7\n99,600,1,9\n");
  CHECK(plain.statements[0].all_agree());
  CHECK(plain.statements[0].records.at(0)["text"] == "TEXT MORE");

  const Framed joined =
      read(head +
           "03,1,USD,010,100,,/ 16,142,200,,B1,C1,PAID 1/ 16,50 EACH/  49,300,3/\n98,300,1,5/  99,300,1,7/");
  REQUIRE(joined.records() == 1);
  CHECK(joined.statements[0].records[0]["text"] == "PAID 1/ 16,50 EACH");
  CHECK(joined.statements[0].all_agree());

  std::vector<Bai2Piece> pieces;
  split_bai2_line("16,142,1,,,,a / 88,b/ 49,1,2/", pieces);
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[1].code == "88");
  CHECK(pieces[2].text == "49,1,2/");
}

TEST_CASE("bai2: decimals of the currency, and the accounts of a file") {
  const Framed file = read(
      "01,BANK,SHOP,261125,0600,77,80,,2/\n02,SHOP,BANK,1,261124,2359,JPY,2/\n03,1,,015,500,,/"
      "\n16,142,500,,,,/\n49,1000,3/\n"
      "03,2,KWD,015,1500,,/\n16,142,1500,,,,/\n49,3000,3/\n03,2,KWD,,,,/\n49,0,2/\n98,4000,3,10/"
      "\n99,4000,1,12/\n");
  REQUIRE(file.statements.size() == 3);
  for (const auto& statement : file.statements) CHECK(statement.all_agree());
  CHECK(file.statements[0].records[0]["amount"] == "500");
  CHECK(file.statements[0].meta.at("currency") == "JPY");
  CHECK(file.statements[1].records[0]["amount"] == "1.500");
  CHECK(!file.statements[1].meta.contains("part"));
  CHECK(file.statements[2].meta.at("part") == "2");
}

TEST_CASE("bai2: what does not add up is said") {
  const std::string good =
      file_of("03,1,USD,010,0,,,015,200,,,100,200,1,/\n", "16,142,200,,B,C,T/\n", "600", 3);
  CHECK(read(good).statements[0].all_agree());
  const auto differs = [&](const std::string& from, const std::string& to, const char* control) {
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
    const Framed file = read(text);
    CAPTURE(control);
    REQUIRE(file.statements[0].control(control) != nullptr);
    return !file.statements[0].agrees(control);
  };
  CHECK(differs("49,600", "49,601", "49 account total"));
  CHECK(differs("49,600,3", "49,600,4", "49 records"));
  CHECK(differs("98,600,1,5", "98,600,2,5", "98 accounts"));
  CHECK(differs("98,600,1,5", "98,600,1,6", "98 records"));
  CHECK(differs("99,600", "99,", "99 file total"));
  CHECK(differs("100,200,1", "100,201,1", "100 total credits"));
  CHECK(differs("100,200,1", "100,200,2", "100 total credits count"));
  CHECK(differs("015,200", "015,300", "015 closing ledger"));
  CHECK(differs("99,600,1,7/\n", "", "99 file total"));
  const std::string torn = good.substr(0, good.find("49,"));
  for (const char* control : {"49 account total", "98 group total", "99 file total"}) {
    REQUIRE(read(torn).statements[0].control(control) != nullptr);
    CHECK(!read(torn).statements[0].agrees(control));
  }
  // A bank that does not list every movement.
  std::string partial = good;
  partial.replace(partial.find("100,200"), 7, "100,900");
  CHECK(!read(partial).statements[0].agrees("100 total credits"));
  CHECK(read(partial, 65536, false).statements[0].control("100 total credits") == nullptr);
}

TEST_CASE("bai2: records that can't be read are set aside, and the totals prove nothing then") {
  const auto reason = [](const std::string& record) {
    const Framed file = read(file_of("03,1,USD,,,,/\n", record, "200", 3));
    REQUIRE(file.bad_rows() == 1);
    const auto& bad = file.statements[0].bad[0];
    return bad.column + " '" + bad.value + "' " + bad.reason;
  };
  CHECK(reason("16,142,2.00,,B,C,T/\n") == "amount '2.00' is no amount in minor units");
  CHECK(reason("16,14,200,,B,C,T/\n") == "type_code '14' is no type code of three digits");
  CHECK(reason("16,721,200,,B,C,T/\n") ==
        "type_code '721' says neither credit (100 to 399) nor debit (400 to 699)");
  CHECK(reason("16,142,200,Q,B,C,T/\n") == "funds_type 'Q' is no funds type of BAI2");
  CHECK(reason("16,142,200,D,9999999999,B,C,T/\n") == "funds_type 'D' is no funds type of BAI2");
  CHECK(reason("16,142,200,V,260230,,B,C,T/\n") ==
        "value_date '260230' is no date of the calendar written as yyMMdd");
  CHECK(!read(file_of("03,1,USD,,,,/\n", "16,142,2.00,,B,C,T/\n", "200", 3))
             .statements[0]
             .agrees("49 account total"));
  CHECK(!read(file_of("03,1,USD,010,1.00,,/\n", "", "0", 2)).statements[0].agrees("49 account total"));
  const Framed custom = read(file_of("03,1,USD,,,,/\n", "16,921,200,,B,C,T/\n16,961,50,,B,C,T/\n", "250", 4));
  CHECK(custom.warnings.size() == 2);
  CHECK(custom.statements[0].records[1]["amount"] == "-0.50");
  CHECK(read(head + "16,142,200,,B,C,T/\n").bad_rows() == 1);
  CHECK(read(head + "88,more/\nwhat is this\n").statements[0].outside.size() == 1);
  CHECK(read("").rejected);
  CHECK(read("order,amount\n").rejected ==
        "it is no BAI2 file: it starts with \"order,amount\" where a record 01 is expected");
  CHECK(read("01,A,B,261125,0600,7,,,2/\n02,A,B,4,261124,,USD,2/\n03,1,,/\n").rejected ==
        "line 2: group status 4 says that it is a test");
}

TEST_CASE("bai2: chunks of any size give the same, and a record without end is bounded") {
  const std::string text =
      file_of("03,1,USD,010,0,,,015,200,,,100,200,1,/\n", "16,142,200,,B,C,Caf\xE9/\n", "600", 3);
  for (std::size_t chunk : {1UL, 3UL, 64UL}) {
    const Framed file = read(text, chunk);
    CHECK(file.statements[0].all_agree());
    CHECK(file.statements[0].records.at(0)["text"] == "Café");
  }
  std::string long_text = head + "03,1,USD,,,,/\n16,142,200,,B,C,T/\n";
  for (int i = 0; i < 200000; i++) long_text += "88,again/\n";
  const Framed heap = read(long_text);
  REQUIRE(heap.bad_rows() == 1);
  CHECK(heap.statements[0].bad[0].reason == "goes on for more than 1 MB");
  Bai2Framer framer(true, {Charset::utf8, Charset::latin1});
  test::EndlessLine line(head + "03,1,USD,,,,/\n16,142,200,,B,C,", '/', 64 << 20);
  Framed result;
  NoInterrupts interrupts;
  framer.read(line, "file", result, interrupts);
  CHECK(!result.statements[0].agrees("49 account total"));
}

TEST_CASE("bai2: the shipped document") {
  const auto reading =
      test::read_file("bai2", file_of("03,12345,USD,010,10000,,,015,10700,,/\n",
                                      "16,195,1500,,B1,P-1,PAYOUT/\n16,557,500,,B2,ORDER-9,RETURN/"
                                      "\n16,698,300,,,,FEE/\n16,890,,,,,NOTE/\n",
                                      "23000", 6));
  REQUIRE(!reading.summary.rejected);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.skipped == 1);
  REQUIRE(reading.rows.entries.size() == 3);
  CHECK(reading.entry(0).kind == "transfer");
  CHECK(reading.entry(0).settlement_ref == "P-1");
  CHECK(reading.entry(1).kind == "chargeback");
  CHECK(reading.entry(1).amount == test::decimal("-5"));
  CHECK(reading.entry(2).kind == "fee");
  CHECK(reading.entry(2).book == "bank");
  CHECK(reading.summary.closing_balance == test::decimal("107"));
}

TEST_CASE("bai2: real files" * doctest::skip(test::samples().empty())) {
  const auto sample = [](const char* name) {
    const std::string bytes = test::sample("bai2", name);
    REQUIRE(!bytes.empty());
    return read(bytes);
  };
  const Framed first = sample("sample1.txt");
  REQUIRE(first.statements.size() == 2);
  CHECK(first.statements[0].control("49 account total")->computed == "834000");
  CHECK(first.statements[1].control("99 file total")->computed == "1280000");
  for (const auto& statement : first.statements) CHECK(statement.all_agree());
  CHECK(first.records() == 17);
  const Framed second = sample("sample2.txt");
  CHECK(second.statements.size() == 5);
  CHECK(second.statements[4].control("99 file total")->computed == "345450000");
  for (const auto& statement : second.statements) CHECK(statement.agrees("49 account total"));
  const Framed third = sample("sample3.txt");
  CHECK(third.statements.size() == 15);
  for (const auto& statement : third.statements) CHECK(statement.all_agree());
  CHECK(sample("parseError.txt").rejected);
}
