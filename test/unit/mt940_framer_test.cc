// MT940 and MT942: what banks write, in messages made up here, and on real ones where they are.
#include <doctest/doctest.h>

#include "core/statement/mt940_framer.h"
#include "core/statement/mt940_transaction.h"
#include "core/mapping/timestamp_format.h"
#include "test/unit/framed.h"
#include "test/unit/statement_reading.h"

namespace test = pg_reconcile::test;
using namespace pg_reconcile::core;
using test::EndlessLine;
using test::Framed;
using test::framed;
using test::sample;
using test::samples;

namespace {

Framed read(const std::string& text, std::size_t chunk = 65536,
            Mt940Framer::Message message = Mt940Framer::Message::mt940) {
  Mt940Framer framer(message, {Charset::utf8, Charset::latin1});
  return framed(framer, text, chunk);
}

Framed read_942(const std::string& text) {
  return read(text, 65536, Mt940Framer::Message::mt942);
}

std::string message(const std::string& lines, const std::string& closing = "C261124EUR100,00") {
  return ":20:REF1\r\n:25:DE89370400440532013000\r\n:28C:117/1\r\n:60F:C261123EUR100,00\r\n" + lines +
         ":62F:" + closing + "\r\n-\r\n";
}

std::string reason_of(const std::string& field) {
  Mt940Problem problem;
  CHECK(!parse_mt940_transaction(field, problem));
  return problem.part + " '" + problem.value + "' " + problem.reason;
}

Mt940Transaction parsed(const std::string& field) {
  Mt940Problem problem;
  const auto transaction = parse_mt940_transaction(field, problem);
  CAPTURE(problem.reason);
  REQUIRE(transaction);
  return *transaction;
}

}  // namespace

TEST_CASE("mt940: field 61 in all its shapes") {
  const Mt940Transaction full = parsed("2611241125CR1234,50NTRFINV-4711//BANK-9\nsupplement\nmore");
  CHECK(date_text(full.value_date) == "2026-11-24");
  CHECK(date_text(*full.entry_date) == "2026-11-25");
  CHECK(full.mark == "C");
  CHECK(full.funds_code == "R");
  CHECK(full.amount.to_string(2) == "1234.50");
  CHECK(full.type == "NTRF");
  CHECK(full.reference == "INV-4711");
  CHECK(full.bank_reference == "BANK-9");
  CHECK(full.supplementary == "supplement\nmore");

  CHECK(parsed("261124D5,NMSCNONREF").amount.to_string(2) == "-5.00");
  CHECK(parsed("261124RC5,00NTRFX").amount.to_string(2) == "-5.00");  // a credit taken back
  CHECK(parsed("261124RD5,00NTRFX").amount.to_string(2) == "5.00");
  CHECK(parsed("261124RDR5,00NTRFX").funds_code == "R");
  CHECK(parsed("261124EC5,00NTRFX").mark == "EC");
  CHECK(parsed("261124    C5,00NTRFX").reference == "X");  // blanks for the entry date
  CHECK(!parsed("261124C5,00NTRFX").entry_date);
  CHECK(parsed("261124C5,00NCHG").reference.empty());
  CHECK(parsed("261124C5,00N0440121470966      W.P. Jansen").reference == "0121470966");
  CHECK(parsed("261124C5,00N0440121470966      W.P. Jansen").supplementary == "W.P. Jansen");
  CHECK(parsed("261124C5,00NMSC1/2//O/3").bank_reference == "O/3");
  // A line end in the middle of the amount and of the reference.
  CHECK(parsed("2611241124C\n30,00N062NONREF").amount.to_string(2) == "30.00");
  CHECK(parsed("261124C5,00NTRFORDER-47\n11//B77\nrest").reference == "ORDER-4711");
  CHECK(parsed("261124C5,00NTRFORDER-47\n11//B77\nrest").supplementary == "rest");
  CHECK(parsed("261124C5,00NTRFREF1\nhttp://example.org a//b").reference == "REF1");
}

TEST_CASE("mt940: an entry date has the year that brings it nearest to the value date") {
  CHECK(date_text(*parsed("2612311231C5,00NTRF").entry_date) == "2026-12-31");
  CHECK(date_text(*parsed("2612310102C5,00NTRF").entry_date) == "2027-01-02");
  CHECK(date_text(*parsed("2701021231C5,00NTRF").entry_date) == "2026-12-31");
  CHECK(date_text(*parsed("2802280229C5,00NTRF").entry_date) == "2028-02-29");
  CHECK(reason_of("2606300231C5,00NTRF") == "entry_date '0231' is no date of the calendar written as MMdd");
}

TEST_CASE("mt940: what a field 61 can't be read for is said") {
  CHECK(reason_of("260230C5,00NTRF") == "value_date '260230' is no date of the calendar written as yyMMdd");
  CHECK(reason_of("26022") == "value_date '26022' is no date of the calendar written as yyMMdd");
  CHECK(reason_of("261124X5,00NTRF") == "mark 'X5' is none of C, D, RC, RD, EC and ED");
  CHECK(reason_of("261124C,NTRF") == "amount ',' is no amount written as 1234,56");
  CHECK(reason_of("261124C1,2,3NTRF") == "amount '1,2,3' is no amount written as 1234,56");
  CHECK(reason_of("261124C9999999999999999999,00NTRF") ==
        "amount '9999999999999999999,00' is no amount written as 1234,56");
  CHECK(reason_of("261124C5,00") == "type '' is missing: the line ends behind the amount");
}

TEST_CASE("mt940: German details, cut anywhere") {
  const Framed file =
      read(message(":61:2611241124D5,00NDDTNONREF\r\n"
                   ":86:105?00SEPA-LAST\r\nSCHRIFT?10931?20EREF+A-1?21SVWZ+Rechnung?2247\r\n11 vom 1.11."
                   "?23MREF+M1CRED+DE98ZZZ09999999999?30COBADEFFXXX?31DE02120300000000202051\r\n"
                   "?32Muster?33 GmbH?34992?60 mehr?99nichts\r\n",
                   "C261124EUR95,00"));
  REQUIRE(file.records() == 1);
  const auto& record = file.statements[0].records[0];
  CHECK(record["transaction_code"] == "105");
  CHECK(record["posting_text"] == "SEPA-LASTSCHRIFT");
  CHECK(record["primanota"] == "931");
  CHECK(record["end_to_end_id"] == "A-1");
  CHECK(record["purpose"] == "Rechnung4711 vom 1.11.");
  CHECK(record["mandate_id"] == "M1");
  CHECK(record["creditor_id"] ==
        "DE98ZZZ09999999999 mehr?99nichts");  // ?99 is no field, and 60 goes on with 29
  CHECK(record["counterparty_name"] == "Muster GmbH");
  CHECK(record["counterparty_account"] == "DE02120300000000202051");
  CHECK(record["counterparty_bank"] == "COBADEFFXXX");
  CHECK(file.statements[0].all_agree());
}

TEST_CASE("mt940: other ways to write field 86") {
  const Framed file = read(message(
      ":61:2611241124C1,00NTRFNONREF\r\n:86:020>00UEBERWEISUNG>20ORDER 1>32Eva\r\n"
      ":61:2611241124C1,00NTRFNONREF\r\n"
      ":86:/TRTP/SEPA OVERBOEKING/IBAN/NL91ABNA0417164300/BIC/ABNANL2A/NAME/J. Jans\r\n"
      "en/REMI/USTD//Order 4711 / 2/EREF/E-2\r\n"
      ":61:2611241124C1,00NTRFNONREF\r\n:86:/CNTP/NL91ABNA0417164300/ABNANL2A/Jansen/Delft//REMI/x/\r\n"
      ":61:2611241124C1,00NTRFNONREF\r\n:86:Order 4711\r\n\r\n:12:30 paid\r\n:86:second: part\r\n"
      ":61:2611241124C1,00NTRFNONREF\r\n:86:at 2026-11-24T16\r\n:20:37 o'clock\r\n"
      ":61:2611241124C1,00NTRFNONREF\r\nNL91ABNA0417164300\r\n",
      "C261124EUR106,00"));
  REQUIRE(file.records() == 6);
  CHECK(file.statements.size() == 1);
  const auto& records = file.statements[0].records;
  CHECK(records[0]["posting_text"] == "UEBERWEISUNG");
  CHECK(records[0]["purpose"] == "ORDER 1");
  CHECK(records[1]["counterparty_name"] == "J. Jansen");
  CHECK(records[1]["purpose"] == "Order 4711 / 2");
  CHECK(records[1]["end_to_end_id"] == "E-2");
  CHECK(records[2]["counterparty_account"] == "NL91ABNA0417164300");
  CHECK(records[2]["counterparty_name"] == "Jansen");
  CHECK(records[2]["purpose"] == "x");
  CHECK(records[3]["purpose"] == "Order 4711 :12:30 paid second: part");
  CHECK(records[4]["purpose"] == "at 2026-11-24T16 :20:37 o'clock");
  CHECK(records[5]["counterparty_account"] == "NL91ABNA0417164300");
  CHECK(file.statements[0].all_agree());
}

TEST_CASE("mt940: envelopes, several messages, and what stands around them") {
  const std::string body = message(":61:2611241124C5,00NTRFA\r\n", "C261124EUR105,00");
  const std::string bare = body.substr(0, body.size() - 3);
  const std::string wrapped =
      "{1:F01AAAABBCCAXXX0001000001}{2:O9401157261124COBADEFFAXXX00010000012611241157N}{4:\r\n" + bare +
      "-}{5:{CHK:123456789ABC}}{1:F01AAAABBCCAXXX0001000002}{2:I940COBADEFFAXXXN}{4:\r\n" + bare + "-}\r\n";
  const Framed file = read(wrapped);
  REQUIRE(file.statements.size() == 2);
  CHECK(file.statements[0].meta.at("sender") == "COBADEFF");
  CHECK(file.statements[0].all_agree());
  CHECK(file.statements[1].all_agree());

  const Framed controls = read("\x01\r\n" + bare + "-\x03\r\n");
  CHECK(controls.statements[0].all_agree());
  CHECK(controls.warnings.empty());

  // A message of another type is left out, and the file says so.
  const Framed mixed = read(
      "{1:F01A}{2:O9421157261124COBADEFFAXXX0001N}{4:\r\n:20:X\r\n:25:1\r\n:28C:1\r\n"
      ":61:2611241124C5,00NTRFA\r\n-}\r\n{1:F01A}{2:O9401157261124COBADEFFAXXX0001N}{4:\r\n" +
      bare + "-}\r\n");
  CHECK(mixed.records() == 1);
  CHECK(mixed.statements[0].all_agree());
  REQUIRE(mixed.warnings.size() == 1);
  CHECK(mixed.warnings[0] == "line 1: a message of type 942 is left out");

  // No :20:, and the next statement follows without an end of message.
  const std::string headless = bare.substr(bare.find(":25:"));
  const Framed two = read(headless + headless);
  REQUIRE(two.statements.size() == 2);
  CHECK(two.statements[1].all_agree());
}

TEST_CASE("mt940: pages, numbers, accounts and days") {
  const Framed pages = read(
      ":20:A\n:25:NL91ABNA0417164300EUR\n:28C:7/"
      "1\n:60F:C261123EUR10,00\n:61:2611241124C5,00NTRFA\n:62M:C261124EUR15,00\n-\n"
      ":20:A\n:25:NL91 ABNA 0417 1643 "
      "00\n:28C:7/2\n:60M:C261124EUR15,00\n:61:2611241124D1,00NTRFA\n:62F:C261124EUR14,00\n-\n");
  REQUIRE(pages.statements.size() == 2);
  const auto& first = pages.statements[0].meta;
  const auto& second = pages.statements[1].meta;
  CHECK(first.at("account") == "NL91ABNA0417164300");
  CHECK(second.at("account") == "NL91ABNA0417164300");
  CHECK(first.at("statement_no") == "7");
  CHECK(first.at("page") == "1");
  CHECK(!first.contains("last_page"));
  CHECK(second.at("page") == "2");
  CHECK(second.at("last_page") == "true");
  CHECK(first.at("opening_balance") == "10.00");
  CHECK(second.at("closing_balance") == "14.00");
  CHECK(first.at("business_date") == "2026-11-24");
  CHECK(pages.statements[0].all_agree());
  CHECK(pages.statements[1].all_agree());

  // A bank that numbers no pages.
  const Framed unnumbered = read(
      ":20:A\n:25:1\n:28C:7/1\n:60F:C261123EUR10,00\n:62M:C261124EUR10,00\n"
      ":20:A\n:25:1\n:28C:7/1\n:60M:C261124EUR10,00\n:62F:C261124EUR10,00\n");
  REQUIRE(unnumbered.statements.size() == 2);
  CHECK(unnumbered.statements[1].meta.at("page") == "2");

  const Framed week =
      read(message(":61:2611201120C5,00NTRFA\n:61:2611241124C5,00NTRFA\n", "C261124EUR110,00"));
  CHECK(!week.statements[0].meta.contains("business_date"));
  CHECK(week.statements[0].meta.at("period_start") == "2026-11-20");
  CHECK(week.statements[0].meta.at("period_end") == "2026-11-24");
}

TEST_CASE("mt940: what does not add up, or ends too early, does not agree") {
  const std::string movement = ":61:2611241124C5,00NTRFA\r\n";
  CHECK(read(message(movement, "C261124EUR105,00")).statements[0].agrees("closing balance"));
  CHECK(!read(message(movement, "C261124EUR105,01")).statements[0].agrees("closing balance"));
  CHECK(!read(message(movement, "D261124EUR105,00")).statements[0].agrees("closing balance"));
  CHECK(!read(message(movement, "C261124USD105,00")).statements[0].agrees("closing balance"));
  const std::string whole = message(movement, "C261124EUR105,00");
  const Framed torn = read(whole.substr(0, whole.find(":62F:")));
  REQUIRE(torn.statements[0].control("closing balance") != nullptr);
  CHECK(!torn.statements[0].agrees("closing balance"));
  CHECK(torn.statements[0].control("closing balance")->computed == "105.00");

  const Framed bad = read(message(":61:2602301124C5,00NTRFA\r\n:86:text\r\n"));
  REQUIRE(bad.bad_rows() == 1);
  CHECK(bad.statements[0].bad[0].column == "value_date");
  CHECK(bad.statements[0].bad[0].raw == ":61:2602301124C5,00NTRFA\n:86:text");
  CHECK(bad.statements[0].bad[0].place.line == 5);

  const Framed stray = read(whole + ":61:2611241124C5,00NTRFA\r\n");
  CHECK(stray.bad_rows() == 1);
  CHECK(read("").rejected == "it holds no MT940 message: no :20:, :25: or :60F:");
  CHECK(read("order,amount\n1,2\n").rejected == "it holds no MT940 message: no :20:, :25: or :60F:");
  CHECK(read(std::string(":20:A\n:61:2611241124C5,00NTRF\0X\n", 32)).bad_rows() == 1);
}

TEST_CASE("mt942: totals, time of the report, expected movements") {
  const std::string text =
      ":20:X\n:25:1\n:28C:3/1\n:34F:EURD0,\n:34F:EURC0,\n:13D:2611241815+0100\n"
      ":61:2611241124C5,00NTRFA\n:61:2611241124RD1,00NTRFA\n:61:2611241124D2,00NTRFB\n"
      ":61:261125EC9,00NTRFC\n:90D:1EUR2,00\n:90C:2EUR6,00\n-\n";
  const Framed file = read_942(text);
  REQUIRE(file.statements.size() == 1);
  CHECK(file.statements[0].all_agree());
  CHECK(file.statements[0].controls.size() == 4);
  CHECK(file.statements[0].meta.at("business_date") == "2026-11-24");
  CHECK(file.statements[0].meta.at("currency") == "EUR");
  CHECK(file.statements[0].records[3].type == "expected");
  std::string wrong = text;
  wrong.replace(wrong.find("2EUR6"), 5, "2EUR7");
  CHECK(!read_942(wrong).statements[0].agrees("credit sum"));
}

TEST_CASE("mt940: chunks of any size give the same, and a line without end is bounded") {
  const std::string text =
      message(":61:2611241124C5,00NTRFA\r\n:86:166?20Grüße?32Eva\r\n", "C261124EUR105,00");
  const Framed whole = read(text);
  REQUIRE(whole.statements[0].records[0]["purpose"] == "Grüße");
  for (std::size_t chunk : {1UL, 2UL, 7UL, 64UL}) {
    const Framed parts = read(text, chunk);
    REQUIRE(parts.records() == 1);
    CHECK(parts.statements[0].records[0].raw == whole.statements[0].records[0].raw);
  }

  Mt940Framer framer(Mt940Framer::Message::mt940, {Charset::utf8, Charset::latin1});
  constexpr std::int64_t long_line = 64 << 20;
  EndlessLine line(":20:A\n:25:1\n:60F:C261123EUR1,00\n:61:2611241124C5,00NTRFA\n:86:", 'x', long_line);
  Framed result;
  NoInterrupts interrupts;
  framer.read(line, "file", result, interrupts);
  CHECK(result.bad_rows() == 1);

  std::string many = ":61:2611241124C5,00NTRFA\n";
  for (int i = 0; i < 200000; i++) many += ":86:a line of text\n";
  const Framed heap = read(message(many));
  REQUIRE(heap.bad_rows() == 1);
  CHECK(heap.statements[0].bad[0].reason == "goes on for more than 1 MB");
}

TEST_CASE("mt940, mt942: the shipped documents") {
  const auto bank = [](const std::string& format, const std::string& text) {
    return test::read_file(format, text, "statement.sta", "Europe/Amsterdam", "EUR");
  };
  const auto reading =
      bank("mt940", message(":61:2611241124C5,00NTRFORDER-1//B-1\r\n:86:text\r\n"
                            ":61:2611231124D2,00NCHGNONREF\r\n"
                            ":61:2611241124D3,00NMSCNONREF\r\n:86:109?00RUECKLASTSCHRIFT?20EREF+ORDER-0\r\n"
                            ":61:2611241124RC1,00NTRFORDER-2\r\n",
                            "C261124EUR99,00"));
  REQUIRE(!reading.summary.rejected);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.account == "DE89370400440532013000");
  CHECK(reading.summary.closing_balance == test::decimal("99"));
  CHECK(date_text(*reading.summary.business_date) == "2026-11-24");
  REQUIRE(reading.rows.entries.size() == 4);
  CHECK(reading.entry(0).kind == "transfer");
  CHECK(reading.entry(0).match_key == "ORDER-1");
  CHECK(reading.entry(0).channel_ref == "B-1");
  CHECK(reading.entry(0).book == "bank");
  CHECK(reading.entry(1).kind == "fee");
  CHECK(!reading.entry(1).match_key);
  CHECK(date_text(*reading.entry(1).value_date) == "2026-11-23");
  CHECK(date_text(*reading.entry(1).business_date) == "2026-11-24");
  CHECK(reading.entry(2).kind == "chargeback");
  CHECK(reading.entry(2).match_key == "ORDER-0");
  CHECK(reading.entry(2).amount == test::decimal("-3"));
  CHECK(reading.entry(3).kind == "reversal");

  const auto interim =
      bank("mt942",
           ":20:X\n:25:1\n:28C:3/1\n:34F:EUR0,\n:13D:2611241815+0100\n:61:261125EC9,00NTRFC\n"
           ":90D:0EUR0,\n:90C:0EUR0,\n-\n");
  REQUIRE(interim.rows.entries.size() == 1);
  CHECK(interim.entry(0).status == "pending");
  CHECK(interim.summary.verdict == ControlVerdict::agreed);
}

TEST_CASE("mt940: real messages" * doctest::skip(samples().empty())) {
  const auto read_sample = [](const std::string& ending) {
    const std::string bytes = sample("mt940", ending);
    REQUIRE(!bytes.empty());
    return ending.find("mt942") == std::string::npos ? read(bytes) : read_942(bytes);
  };
  // Balances as computed beside the samples.
  for (const char* name : {"sample.mt940", "mBank_mt940.sta", "mBank_mt942.sta", "jejik_sns.sta",
                           "jejik_rabobank-iban.sta", "raphaelm.sta", "long_statement_number.sta"}) {
    CAPTURE(name);
    const Framed file = read_sample(name);
    CHECK(!file.rejected);
    for (const auto& statement : file.statements) CHECK(statement.all_agree());
  }
  for (const char* name : {"details_60-63.sta", "malformed_details.sta", "whitespace.sta",
                           "raiffeisen-cmi.sta", "with_newline_in_tnr.sta"}) {
    CAPTURE(name);
    const Framed file = read_sample(name);
    CHECK(!file.statements[0].agrees("closing balance"));
    CHECK(file.bad_rows() == 0);
  }
  CHECK(read_sample("raphaelm.sta").records() == 9);
  CHECK(read_sample("raiffeisen-cmi.sta").records() == 7);
  for (const char* name : {"february_30.sta", "transaction_details_wrapped.sta", "wrapped_timestamp.sta"}) {
    CAPTURE(name);
    const Framed file = read_sample(name);
    REQUIRE(file.bad_rows() == 1);
    CHECK(file.statements[0].bad[0].column == "value_date");
  }
  CHECK(read_sample("gv_codes.sta").statements[0].records[0]["creditor_id"] == "AB12CDE0000000000000000034");
  CHECK(read_sample("mBank_with_newline_in_tnr.sta")
            .statements[0]
            .records[0]["purpose"]
            .ends_with("TNR: 179301073837502.000001"));
  CHECK(read_sample("multiline.sta").statements[0].meta.at("information").starts_with("FREE TEXT"));
  CHECK(read_sample("invalid_statement.sta").rejected);
  CHECK(read_sample("empty_non_swift.sta").rejected);
}
