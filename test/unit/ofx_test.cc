// OFX as banks write it: SGML that closes nothing, XML, headers that lie.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "test/unit/format_reading.h"

using namespace format_reading;

namespace {

const std::string sgml_header =
    "OFXHEADER:100\r\nDATA:OFXSGML\r\nVERSION:102\r\nSECURITY:NONE\r\nENCODING:USASCII\r\nCHARSET:1252\r\n"
    "COMPRESSION:NONE\r\nOLDFILEUID:NONE\r\nNEWFILEUID:NONE\r\n\r\n";
const std::string xml_header =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<?OFX OFXHEADER=\"200\" VERSION=\"211\" "
    "SECURITY=\"NONE\"?>\n";

std::string sgml(const std::string& transactions) {
  return sgml_header +
         "<OFX>\n<BANKMSGSRSV1><STMTTRNRS><STMTRS>\n<CURDEF>EUR\n<BANKACCTFROM><BANKID>1<ACCTID>DE77\n"
         "</BANKACCTFROM>\n<BANKTRANLIST><DTSTART>20261101<DTEND>20261130\n" +
         transactions +
         "</BANKTRANLIST>\n<LEDGERBAL><BALAMT>1.234<DTASOF>20261130</LEDGERBAL>\n</STMTRS></STMTTRNRS></"
         "BANKMSGSRSV1>\n</OFX>\n";
}

std::vector<Statement> read_ofx(const std::string& bytes, std::size_t chunk = 65536) {
  return read(built_in("ofx"), bytes, chunk);
}

std::string rejected(const std::string& bytes) {
  return read_ofx(bytes)[0].summary.rejected.value_or("");
}

Entry entry_of(const std::string& fields) {
  const auto statements = read_ofx(sgml("<STMTTRN>" + fields + "</STMTTRN>"));
  REQUIRE(statements[0].entries.size() == 1);
  return statements[0].entries[0];
}

const std::string plain = "<TRNTYPE>DEBIT<DTPOSTED>20261120<TRNAMT>-1.00<FITID>F1";

}  // namespace

TEST_CASE("ofx: SGML that closes nothing, in any pieces") {
  const std::string bytes = sgml(
      "<STMTTRN>\n<TRNTYPE>CREDIT\n<DTPOSTED>20261120103000[-5:EST]\n<TRNAMT>+10,50\n<FITID>F1\n<NAME>Ann & "
      "Bob "
      "&amp; Co\n<MEMO>\n<REFNUM>R1\n"
      "<STMTTRN>\n<TRNTYPE>FEE\n<DTPOSTED>20261121000000\n<TRNAMT>-1.5\n<FITID>F2\n<CHECKNUM>0\n");
  for (std::size_t chunk : {1U, 10U, 65536U}) {
    const auto statements = read_ofx(bytes, chunk);
    REQUIRE(statements.size() == 1);
    const Statement& read = statements[0];
    CHECK(read.summary.rejected.value_or("") == "");
    CHECK(read.summary.account == "DE77");
    CHECK(read.summary.closing_balance == *Decimal::parse("1.234"));
    CHECK(read.meta("period_start") == "2026-11-01");
    CHECK(read.meta("period_end") == "2026-11-30");
    REQUIRE(read.entries.size() == 2);
    const Entry& first = read.entries[0];
    CHECK(first.amount == *Decimal::parse("10.50"));
    CHECK(first.currency == "EUR");
    CHECK(first.kind == "transfer");
    CHECK(first.match_key == "R1");
    CHECK(first.channel_ref == "F1");
    CHECK(date_text(*first.business_date) == "2026-11-20");
    CHECK(first.occurred_at.has_value());
    CHECK(attribute(first, "NAME") == "Ann & Bob & Co");
    CHECK(attribute(first, "MEMO").empty());
    CHECK(read.entries[1].kind == "fee");
    CHECK(read.entries[1].order_key == "F2");
    CHECK(read.entries[1].match_key == std::nullopt);
    CHECK(read.entries[1].occurred_at == std::nullopt);  // midnight is a date
    CHECK(read.places[0].line == 17);
    CHECK(read.places[1].byte_offset == static_cast<std::int64_t>(bytes.rfind("<STMTTRN>")));
  }
}

TEST_CASE("ofx: XML, CDATA, empty elements, several accounts, credit cards, what is pending") {
  const std::string bytes =
      xml_header +
      "<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>USD</CURDEF><BANKACCTFROM><ACCTID>A1</ACCTID></"
      "BANKACCTFROM>"
      "<BANKTRANLIST><STMTTRN><TRNTYPE>DEP</TRNTYPE><DTPOSTED>20261120</DTPOSTED><TRNAMT>5</TRNAMT><FITID>1</"
      "FITID>"
      "<NAME><![CDATA[A <b> & "
      "c]]></NAME><MEMO/><CURRENCY><CURRATE>1.1</CURRATE><CURSYM>CAD</CURSYM></CURRENCY></STMTTRN>"
      "</BANKTRANLIST><BANKTRANLISTP><STMTTRNP><TRNTYPE>DEBIT</TRNTYPE><DTTRAN>20261121</DTTRAN><TRNAMT>-2</"
      "TRNAMT>"
      "<NAME>x</NAME></STMTTRNP></BANKTRANLISTP></STMTRS></STMTTRNRS></BANKMSGSRSV1>"
      "<CREDITCARDMSGSRSV1><CCSTMTTRNRS><CCSTMTRS><CURDEF>USD</CURDEF><CCACCTFROM><ACCTID>C2</ACCTID></"
      "CCACCTFROM>"
      "<BANKTRANLIST><STMTTRN><TRNTYPE>POS</TRNTYPE><DTPOSTED>20261122</DTPOSTED><TRNAMT>-7.25</"
      "TRNAMT><FITID>9</FITID>"
      "</STMTTRN></BANKTRANLIST></CCSTMTRS></CCSTMTTRNRS></CREDITCARDMSGSRSV1></OFX>";
  for (std::size_t chunk : {1U, 65536U}) {
    const auto statements = read_ofx(bytes, chunk);
    REQUIRE(statements.size() == 2);
    REQUIRE(statements[0].entries.size() == 2);
    CHECK(statements[0].summary.account == "A1");
    CHECK(statements[0].entries[0].currency == "CAD");
    CHECK(attribute(statements[0].entries[0], "NAME") == "A <b> & c");
    CHECK(statements[0].entries[1].status == "pending");
    CHECK(date_text(*statements[0].entries[1].business_date) == "2026-11-21");
    CHECK(statements[1].summary.account == "C2");
    CHECK(statements[1].sum() == *Decimal::parse("-7.25"));
  }
}

TEST_CASE("ofx: what the header says of the charset is not believed over the bytes") {
  CHECK(attribute(entry_of(plain + "<NAME>Caf\xC3\xA9 \xE2\x82\xAC"), "NAME") == "Caf\xC3\xA9 \xE2\x82\xAC");
  CHECK(attribute(entry_of(plain + "<NAME>Caf\xE9 \x80"), "NAME") == "Caf\xC3\xA9 \xE2\x82\xAC");
  std::string chinese = sgml("<STMTTRN>" + plain + "<NAME>\xD6\xD0\xCE\xC4</STMTTRN>");
  chinese.replace(chinese.find("1252"), 4, "936");
  CHECK(attribute(read_ofx(chinese)[0].entries.at(0), "NAME") == "\xE4\xB8\xAD\xE6\x96\x87");
  const auto aside = read_ofx(sgml("<STMTTRN>" + plain + "<NAME>\x81</STMTTRN>"));
  REQUIRE(aside[0].bad.size() == 1);
  CHECK(aside[0].bad[0].reason == "has bytes that are no valid text");
}

TEST_CASE("ofx: amounts and dates") {
  const auto amount = [](const std::string& text) {
    const auto read =
        read_ofx(sgml("<STMTTRN><TRNTYPE>OTHER<DTPOSTED>20261120<TRNAMT>" + text + "<FITID>1</STMTTRN>"));
    return read[0].entries.empty() ? "aside: " + read[0].bad.at(0).value
                                   : read[0].entries[0].amount.to_string(2);
  };
  CHECK(amount("-80,25") == "-80.25");
  CHECK(amount("12.") == "12.00");
  CHECK(amount("1,234") == "aside: 1,234");
  CHECK(amount("1,234.50") == "aside: 1,234.50");
  CHECK(amount("1.2e3") == "aside: 1.2e3");
  const auto minutes = [](const std::string& text) {
    return entry_of("<TRNTYPE>OTHER<TRNAMT>1<FITID>1<DTPOSTED>" + text).occurred_at.value_or(0) / 60000000;
  };
  CHECK(minutes("20261120") == 0);
  CHECK(minutes("20261120120000[-5:EST]") - minutes("20261120120000") == 300);
  CHECK(minutes("20261120120000.123[-3.5:NST]") - minutes("20261120120000[0:GMT]") == 210);
  CHECK(minutes("202611201200[+9]") - minutes("202611201200") == -540);
  CHECK(read_ofx(sgml("<STMTTRN><TRNAMT>1<FITID>1<DTPOSTED>20261320</STMTTRN>"))[0].bad.size() == 1);
  CHECK(read_ofx(sgml("<STMTTRN><TRNAMT>1<FITID>1<DTPOSTED>Nov 20</STMTTRN>"))[0].bad.size() == 1);
}

TEST_CASE("ofx: a correction is set aside") {
  const auto read = read_ofx(sgml("<STMTTRN>" + plain + "<CORRECTFITID>F0<CORRECTACTION>REPLACE</STMTTRN>"));
  REQUIRE(read[0].bad.size() == 1);
  CHECK(read[0].bad[0].value == "F0");
  CHECK(read[0].summary.verdict == ControlVerdict::mismatch);
}

TEST_CASE("ofx: files that are none, torn files, errors, investments") {
  CHECK(rejected("") == "it is empty: 0 bytes");
  CHECK(rejected("hello") == "it has no element OFX");
  CHECK(rejected("<html></html>") == "it has no element OFX");
  const std::string whole = sgml("<STMTTRN>" + plain + "</STMTTRN>");
  CHECK(rejected(whole.substr(0, whole.size() - 20)) ==
        "the file ends in the middle of the document: </OFX> is missing");
  CHECK(rejected(sgml_header +
                 "<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>15500<SEVERITY>ERROR<MESSAGE>Signon invalid"
                 "</STATUS></SONRS></SIGNONMSGSRSV1></OFX>") ==
        "the bank answered with the error 15500 Signon invalid");
  CHECK(rejected("<OFX></OFX>") == "it has no bank or credit card statement");
  const auto investment = [](const std::string& list) {
    return "<OFX><INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS><CURDEF>USD<INVACCTFROM><ACCTID>I1</"
           "INVACCTFROM><INVTRANLIST>" +
           list + "</INVTRANLIST></INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1></OFX>";
  };
  const std::string bought = "<BUYSTOCK><INVBUY><INVTRAN><FITID>1</INVTRAN><TOTAL>-5</INVBUY></BUYSTOCK>";
  CHECK(rejected(investment(bought)) == "it is an investment statement without bank transactions");
  const auto mixed =
      read_ofx(investment(bought + "<INVBANKTRAN><STMTTRN>" + plain + "</STMTTRN></INVBANKTRAN>"));
  CHECK(mixed[0].entries.size() == 1);
  CHECK(mixed[0].summary.account == "I1");
  CHECK(mixed[0].summary.warnings.size() == 1);
}

TEST_CASE("ofx: tags, values, nesting and transactions have bounds") {
  CHECK(rejected("<OFX><" + std::string(70000, 'A') + "></OFX>") ==
        "it has a tag or a value of more than 64 kB");
  CHECK(rejected("<OFX><A>" + std::string(70000, 'A') + "</OFX>") ==
        "it has a tag or a value of more than 64 kB");
  std::string deep;
  for (int i = 0; i < 40; i++) deep += "<OFX>";
  CHECK(rejected(deep) == "its elements are nested more than 32 deep");
  std::string endless = "<STMTTRN>";
  for (int i = 0; i < 40; i++) endless += "<MEMO>" + std::string(32768, 'x');
  CHECK(rejected(sgml(endless)) == "it has a transaction of more than 1 MB");
}

TEST_CASE("ofx: files of other people" * doctest::skip(!fs::exists(samples() / "ofx"))) {
  const auto sample = [](const std::string& name) { return read_ofx(file_text(samples() / "ofx" / name)); };
  const auto suncorp = sample("jseutter-ofxparse__fixtures_suncorp.ofx");
  CHECK(suncorp.at(0).sum() == *Decimal::parse("-16.85"));
  CHECK(suncorp[0].summary.closing_balance == *Decimal::parse("1234.12"));
  CHECK(suncorp[0].entries.at(0).currency == "AUD");
  CHECK(sample("jseutter-ofxparse__fixtures_td_ameritrade.ofx")[0].summary.rejected.value_or("") ==
        "it is an investment statement without bank transactions");
  const auto belgian = sample("sebastienrousseau-bankstatementparser__test_data_sample.ofx");
  CHECK(belgian.at(0).entries.size() == 2);
  CHECK(belgian[0].sum() == *Decimal::parse("1170.25"));
  const auto quicken = sample("sebastienrousseau-bankstatementparser__test_data_sample.qfx");
  CHECK(quicken.at(0).sum() == *Decimal::parse("-15.00"));
  for (const auto& file : fs::recursive_directory_iterator(samples())) {
    if (!file.is_regular_file()) continue;
    const std::string bytes = file_text(file.path());
    CHECK(read_ofx(bytes)[0].summary.rejected == read_ofx(bytes, 11)[0].summary.rejected);
  }
}
