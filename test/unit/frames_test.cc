// The frames of lines with records of their own: fixed widths and tagged records, on files made here.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "core/statement/declarative_reader.h"

using namespace pg_reconcile::core;

namespace {

struct Collected final : RowSink {
  std::vector<Entry> entries;
  std::vector<RowPlace> places;
  std::vector<std::string> bad;
  int statements = 1;

  void row(const RowPlace& place, std::string_view, Entry& entry) override {
    places.push_back(place);
    entries.push_back(entry);
  }
  void bad_row(const BadRow& row) override {
    bad.push_back(std::to_string(row.place.line) + ": " + std::string(row.reason));
  }
  void next_statement() override { statements++; }
};

struct Reading {
  std::vector<StatementSummary> statements;
  Collected rows;
};

Reading read(const std::string& format, const std::string& bytes, const std::string& file_name = "f.txt",
             std::size_t chunk = 65536) {
  static FixedOffsets zones;
  NoInterrupts interrupts;
  MappingDefaults defaults;
  defaults.channel = "c";
  defaults.account = "a";
  defaults.time_zone = "+08:00";
  DeclarativeReader reader(FormatDocument::compile(format, zones), defaults, zones);
  MemorySource source(bytes, chunk);
  Reading reading;
  reading.statements = reader.read(source, file_name, reading.rows, interrupts);
  return reading;
}

std::string complaint(const std::string& format) {
  FixedOffsets zones;
  try {
    FormatDocument::compile(format, zones);
  } catch (const Error& error) {
    return error.detail();
  }
  return "";
}

Decimal decimal(std::string_view text) {
  return *Decimal::parse(text);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

const std::string fixed_format = R"json({
  "format": "f", "book": "trade", "decode": {"charsets": ["gb18030"]},
  "empty": {"content": ["NO DATA"]},
  "frame": {"type": "fixed", "separator": " ", "comment": "^#", "fields": [
    {"name": "type", "width": 3}, {"name": "order", "width": 6}, {"name": "time", "width": 10},
    {"name": "amount", "width": 8}, {"name": "shop", "width": 6}, {"width": 2}]},
  "meta": {"business_date": {"in": "file_name", "match": "(\\d{6})",
                  "format": "yyMMdd"
}
}
, "stop": {"match": "^END", "required": true},
           "record": {"column": "type", "kinds": {"S22": "payment", "S30": "refund", "S99": "skip"}},
                      "map": {
      "kind": "@kind",
      "order_key": "order",
      "status": {"const": "success"},
      "currency": {"const": "CNY"},
      "amount": {"column": "amount", "scale": 2, "sign": {"by": "kind", "negative": ["refund"]}},
      "occurred_at": {"column": "time", "format": "MMddHHmmss", "year_near": "@business_date"}
    },
      "control": [ {"match": "^END(\\d+)", "totals": [ {"count": true, "of": ["S22", "S30"]} ]} ]
})json";

// \xD6\xD0\xCE\xC4: two characters, four bytes of GBK.
const std::string fixed_file =
    "# head\r\n"
    "S22 A1     1231235959 00001000 \xD6\xD0\xCE\xC4   00\r\n"
    "S30 A2     0101000001 00000250 s        \r\n"
    "S99 A3     0101000001 00000001 s      00\r\n"
    "END2\r\n";

// As Norma 43 is shaped: an account, its movements with continuations, its totals, the end of the file.
const std::string tagged_fixed_format = R"json({
  "format": "n", "book": "bank",
  "frame": {"type": "tagged", "layout": "fixed", "code": {"start": 1, "width": 2}, "records": {
    "11": {"is": "fact", "starts_statement": true, "fields": [{"width": 2}, {"name": "account", "width": 4},
           {"name": "mark", "width": 1}, {"name": "opening", "width": 6}, {"name": "currency", "width": 3}]},
    "22": {"fields": [{"width": 2}, {"name": "date", "width": 6}, {"name": "mark", "width": 1},
           {"name": "amount", "width": 6}, {"name": "ref", "width": 4}]},
    "23": {"is": "continuation", "shorter": true, "fields": [{"width": 2}, {"name": "text", "width": 20}]},
    "33": {"is": "fact", "fields": [{"width": 2}, {"name": "debits", "width": 3}, {"name": "debit", "width": 6},
           {"name": "credits", "width": 3}, {"name": "credit", "width": 6}, {"name": "mark", "width": 1},
           {"name": "closing", "width": 6}]},
    "88": {"is": "end", "fields": [{"width": 2}, {"name": "count", "width": 4}]}}},
  "meta": {
    "account": {"record": "11", "value": "account"},
    "opening_balance": {"record": "11", "value":
      {"column": "opening", "scale": 2, "sign": {"mark_column": "mark", "negative": ["1"], "positive": ["2"]}}},
    "closing_balance": {"record": "33", "value":
      {"column": "closing", "scale": 2, "sign": {"mark_column": "mark", "negative": ["1"], "positive": ["2"]}}}},
  "map": {
    "account": "@account", "kind": {"const": "transfer"}, "order_key": "ref", "status": {"const": "success"},
    "currency": "11.currency", "business_date": {"column": "date", "format": "yyMMdd"},
    "amount": {"column": "amount", "scale": 2, "sign": {"mark_column": "mark", "negative": ["1"]}},
    "attributes": {"text": "23.text"}},
  "control": [
    {"record": "33", "totals": {
      "debits": {"count": true, "where": {"mark": ["1"]}}, "debit": {"sum": "amount", "where": {"mark": ["1"]}},
      "credits": {"count": true, "where": {"mark": ["2"]}}, "credit": {"sum": "amount", "where": {"mark": ["2"]}}}},
    {"balance": true, "sum": {"column": "amount", "scale": 2, "sign": {"mark_column": "mark", "negative": ["1"]}}}]
})json";

const std::string tagged_fixed_file =
    "1100012001000EUR\n"
    "222611211000300R001\n"
    "23rent of\n"
    "23November\n"
    "222611212000150R002\n"
    "330010003000010001502000850\n"
    "1100021000000EUR\n"
    "330000000000000000001000000\n"
    "880006\n";

// As PayPal's reports are shaped: a record that names the columns of another.
const std::string tagged_csv_format = R"json({
  "format": "p", "book": "trade",
  "frame": {"type": "tagged", "records": {
    "RH": {"is": "fact", "names": ["generated", null, "account"], "shorter": true},
    "CH": {"is": "names", "of": ["SB"]}, "SB": {}, "SC": {"is": "fact", "names": ["rows"]},
    "FF": {"is": "end", "names": ["rows"]}, "SF": {"is": "skip"}}},
  "meta": {"account": {"record": "RH", "value": "account"}},
  "header": {"aliases": {"Transaction  Debit or Credit": "Debit or Credit"}, "optional": ["Note"]},
  "map": {
    "account": "RH.account", "kind": {"const": "payment"}, "order_key": "Invoice ID",
    "status": {"const": "success"}, "currency": "Currency", "occurred_at": "Date",
    "amount": {"column": "Gross", "scale": 2, "sign": {"mark_column": "Debit or Credit", "negative": ["DR"]}},
    "attributes": ["Note"]},
  "control": [{"record": "SC", "totals": {"rows": {"count": true, "of": ["SB"]}}}]
})json";

const std::string tagged_csv_file =
    "\"RH\",2026-11-22,A,M1,,\n"
    "CH,Invoice ID,Date,Transaction  Debit or Credit,Gross,Currency\n"
    "SB,\"I,\n1\",2026-11-21T10:00:00Z,CR,15000,JPY\n"
    "SB,I2,2026-11-21T10:00:00Z,DR,134,GBP,,\n"
    "SF,what,ever\nSC,2\nFF,2\n";

}  // namespace

TEST_CASE("fixed widths are counted in bytes of the file's charset, and a year comes from the file's name") {
  for (std::size_t chunk : {1UL, 7UL, 65536UL}) {
    const Reading reading = read(fixed_format, fixed_file, "INN270101ZM.txt", chunk);
    REQUIRE(!reading.statements[0].rejected);
    REQUIRE(reading.rows.bad.empty());
    REQUIRE(reading.rows.entries.size() == 2);
    CHECK(reading.statements[0].skipped == 1);
    CHECK(reading.statements[0].verdict == ControlVerdict::agreed);
    const Entry& payment = reading.rows.entries[0];
    CHECK(payment.amount == decimal("10"));
    CHECK(payment.attributes.back().second == "中文");
    const Entry& refund = reading.rows.entries[1];
    CHECK(refund.amount == decimal("-2.5"));
    // 31 December 2026, 23:59:59 and 1 January 2027, 00:00:01.
    CHECK(*refund.occurred_at - *payment.occurred_at == 2000000);
    CHECK(date_text(static_cast<Date>(*payment.occurred_at / 86400000000)) == "2026-12-31");
    CHECK(reading.rows.places[1].byte_offset == 8 + 42);
  }
}

TEST_CASE("fixed records of another length, without separators or with torn characters are set aside") {
  const Reading reading = read(fixed_format,
                               "S22 A1     1231235959 00001000 s      0\n"
                               "S22 A1     1231235959x00001000 s      00\n"
                               "S22 A1     1231235959 00001000 abcde\xD6 00\n"
                               "S22 A1     0230235959 00001000 s      00\n"
                               "S22 A1     1231235959 00001e40 s      00\n"
                               "S22 A1     1231235959 0000",
                               "INN270101ZM.txt");
  REQUIRE(reading.rows.bad.size() == 6);
  CHECK(reading.rows.bad[0] == "1: has 39 bytes where a record has 40");
  CHECK(reading.rows.bad[1] == "2: has no separator after byte 21");
  CHECK(reading.rows.bad[2] == "3: has bytes that are no valid text");
  CHECK(reading.rows.bad[3] == "4: is no time written as MMddHHmmss");  // 30 February
  CHECK(reading.rows.bad[4] == "5: is no amount");
  CHECK(reading.rows.bad[5] == "6: has 26 bytes where a record has 40, and the file ends inside it");
  CHECK(reading.statements[0].verdict == ControlVerdict::mismatch);
  CHECK(*read(fixed_format, "").statements[0].rejected == "it is empty: 0 bytes");
  CHECK(read(fixed_format, "NO DATA\n").statements[0].empty);
}

TEST_CASE("tagged records of fixed width: accounts are statements, facts are columns, continuations join") {
  for (std::size_t chunk : {1UL, 5UL, 65536UL}) {
    const Reading reading = read(tagged_fixed_format, tagged_fixed_file, "f", chunk);
    REQUIRE(reading.rows.bad.empty());
    REQUIRE(reading.statements.size() == 2);
    CHECK(reading.rows.statements == 2);
    const StatementSummary& first = reading.statements[0];
    REQUIRE(!first.rejected);
    CHECK(first.account == "0001");
    CHECK(first.opening_balance == decimal("10"));
    CHECK(first.closing_balance == decimal("8.5"));
    CHECK(first.verdict == ControlVerdict::agreed);
    REQUIRE(first.controls.size() == 5);
    CHECK(first.controls[4].name == "closing balance");
    CHECK(reading.statements[1].account == "0002");
    CHECK(reading.statements[1].entries == 0);
    CHECK(reading.statements[1].verdict == ControlVerdict::agreed);
    REQUIRE(reading.rows.entries.size() == 2);
    CHECK(reading.rows.entries[0].amount == decimal("-3"));
    CHECK(reading.rows.entries[0].account == "0001");
    CHECK(reading.rows.entries[0].currency == "EUR");
    CHECK(reading.rows.entries[0].attributes[0].second == "rent of November");
    CHECK(reading.rows.entries[1].attributes.empty());
    CHECK(reading.rows.places[1].line == 5);
  }
}

TEST_CASE(
    "tagged totals that differ name what is stated and what the rows give; a torn file is no whole one") {
  const Reading wrong = read(tagged_fixed_format, replaced(tagged_fixed_file, "330010003000010001502000850",
                                                           "330010003010010001502000851"));
  const StatementSummary& summary = wrong.statements[0];
  CHECK(summary.verdict == ControlVerdict::mismatch);
  for (const ControlLine& line : summary.controls) {
    CAPTURE(line.name);
    const bool differs = line.name == "debit" || line.name == "closing balance";
    CHECK(line.agrees == !differs);
    if (line.name == "debit") CHECK(line.stated == "000301");
    if (line.name == "debit") CHECK(line.computed == "300.00");
    if (line.name == "closing balance") CHECK(line.stated == "8.51");
    if (line.name == "closing balance") CHECK(line.computed == "8.50");
  }
  const Reading torn = read(tagged_fixed_format, replaced(tagged_fixed_file, "880006\n", ""));
  CHECK(torn.statements[1].verdict == ControlVerdict::mismatch);
  const Reading strange = read(tagged_fixed_format, "23text\n99x\n" + tagged_fixed_file);
  REQUIRE(strange.rows.bad.size() == 2);
  CHECK(strange.rows.bad[0] == "1: continues a row, and there is none before it");
  CHECK(strange.rows.bad[1] == "2: is a record that the format does not know: '99'");
  CHECK(*read(tagged_fixed_format, "hello world\n").statements[0].rejected ==
        "it has none of the records that the format knows");
}

TEST_CASE("tagged records of separated values: one record names the columns of another") {
  const Reading reading = read(tagged_csv_format, tagged_csv_file);
  REQUIRE(!reading.statements[0].rejected);
  REQUIRE(reading.rows.bad.empty());
  REQUIRE(reading.rows.entries.size() == 2);
  CHECK(reading.statements.size() == 1);
  CHECK(reading.statements[0].verdict == ControlVerdict::agreed);
  CHECK(reading.rows.entries[0].order_key == "I,\n1");
  CHECK(reading.rows.entries[0].amount == decimal("150"));  // x100 for yen too
  CHECK(reading.rows.entries[1].amount == decimal("-1.34"));
  CHECK(reading.rows.entries[1].account == "M1");
  const Reading early = read(tagged_csv_format, "SB,I2,2026-11-21T10:00:00Z,DR,134,GBP\nFF,1\n");
  REQUIRE(!early.rows.bad.empty());
  CHECK(early.rows.bad[0] == "1: comes before the record that names its columns");
  const Reading lacks = read(tagged_csv_format, replaced(tagged_csv_file, ",Gross,", ",Net,"));
  CHECK(*lacks.statements[0].rejected == "the header lacks columns that the format reads: Gross");
}

TEST_CASE("a names record without codes names every record that follows: two headers in one file") {
  const std::string format = R"json({
    "format": "d", "book": "settlement",
    "frame": {"type": "tagged", "records": {"ROW": {"is": "names"}, "HEADER": {"is": "fact"}, "PAYMENT": {}}},
    "meta": {"transfer": {"record": "HEADER", "value": "ID"}},
    "map": {"kind": {"const": "payment"}, "order_key": "NO", "amount": "NET", "currency": "HEADER.CURRENCY",
            "status": {"const": "success"}, "business_date": "HEADER.DATE", "settlement_ref": "@transfer"},
    "control": [{"record": "HEADER", "totals": {"TOTAL": {"sum": "NET", "round": 2}}}]
  })json";
  const Reading reading = read(format,
                               "ROW,CURRENCY,TOTAL,DATE,ID\nHEADER,USD,3.01,2026-11-21,T9\n"
                               "ROW,NO,NET\nPAYMENT,1,1.0049\nPAYMENT,2,2.0002\n");
  REQUIRE(!reading.statements[0].rejected);
  REQUIRE(reading.rows.entries.size() == 2);
  CHECK(reading.rows.entries[1].currency == "USD");
  CHECK(reading.rows.entries[1].settlement_ref == "T9");
  CHECK(reading.statements[0].verdict == ControlVerdict::agreed);
  CHECK(reading.statements[0].controls[0].computed == "3.01");
}

TEST_CASE("a frame that is wrong names the path and what was expected") {
  const auto fixed = [](const std::string& from, const std::string& to) {
    return complaint(replaced(fixed_format, from, to));
  };
  CHECK(fixed("\"width\": 3", "\"width\": 0") ==
        "at $.frame.fields[0].width: expected an integer from 1 to 65536, found 0");
  CHECK(fixed("\"name\": \"order\"", "\"name\": \"type\"") ==
        "at $.frame.fields[1].name: this name comes twice");
  CHECK(fixed("\"name\": \"type\"", "\"name\": \"@type\"")
            .starts_with("at $.frame.fields[0].name: expected a name"));
  CHECK(fixed("\"comment\"", "\"coment\"").starts_with("at $.frame.coment: unknown word"));
  CHECK(fixed("\"order_key\": \"order\"", "\"order_key\": \"odrer\"")
            .starts_with("at $.map: column \"odrer\" is none of the frame's: type, order"));
  CHECK(fixed("\"of\": [\"S22\"", "\"of\": [\"S23\"")
            .starts_with("at $.control[0].totals[0].of: expected row types"));
  CHECK(fixed("\"comment\": \"^#\"", "\"trim\": \"left\"") ==
        "at $.frame.trim: expected none, right or both, found \"left\"");
  CHECK(fixed("\"comment\": \"^#\"", "\"line_end\": \"crlf\"") ==
        "at $.frame.line_end: expected lf or cr, found \"crlf\"");

  const auto tagged = [](const std::string& from, const std::string& to) {
    return complaint(replaced(tagged_csv_format, from, to));
  };
  CHECK(tagged("\"is\": \"skip\"", "\"is\": \"drop\"") ==
        "at $.frame.records.SF.is: expected row, fact, names, continuation, skip or end, found \"drop\"");
  CHECK(tagged("\"is\": \"names\", \"of\": [\"SB\"]", "\"is\": \"skip\"")
            .starts_with("at $.frame.records.SB: expected"));
  CHECK(
      tagged("\"of\": [\"SB\"]", "\"of\": [\"SX\"]").starts_with("at $.frame.records.CH.of: expected codes"));
  CHECK(tagged("\"names\": [\"rows\"]", "\"fields\": []")
            .starts_with("at $.frame.records.SC.fields: only records"));
  CHECK(tagged("\"shorter\": true", "\"join\": \"x\"") ==
        "at $.frame.records.RH.join: this word is only for continuations");
  CHECK(tagged("\"record\": \"RH\", \"value\"", "\"record\": \"RH\", \"valeu\"")
            .starts_with("at $.meta.account.valeu: unknown word"));
  CHECK(tagged("{\"record\": \"SC\", \"totals\"", "{\"balance\": true, \"totals\"")
            .starts_with("at $.control[0].totals: unknown word"));
  CHECK(tagged("{\"count\": true, \"of\": [\"SB\"]}",
               "{\"sum\": {\"column\": \"x\", \"sign\": {\"by\": \"kind\", \"negative\": [\"refund\"]}}}")
            .find("nothing goes by a canonical field") != std::string::npos);
  CHECK(tagged("\"count\": true", "\"count\": true, \"where\": {}")
            .find("at $.control[0].totals.rows.where: expected") == 0);
  CHECK(tagged("\"header\": {", "\"header\": {\"columns\": [\"x\"], ")
            .starts_with("at $.header.columns: unknown word"));
}
