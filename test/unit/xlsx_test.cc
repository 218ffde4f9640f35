// Workbooks of a writer that is not ours (openpyxl), of people's spreadsheet programs, and broken on purpose.
#include <archive.h>
#include <archive_entry.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "core/statement/xlsx_workbook.h"
#include "test/unit/format_reading.h"

using namespace format_reading;

namespace {

// A workbook that openpyxl wrote.
std::string written(const std::string& arguments) {
  std::string path = (fs::temp_directory_path() / "pg_reconcile_xlsx_XXXXXX").string();
  const int descriptor = mkstemp(path.data());
  REQUIRE(descriptor >= 0);
  close(descriptor);
  const std::string kind = arguments.substr(0, arguments.find(' '));
  const std::string rest = arguments.substr(kind.size());
  const std::string command = "/usr/bin/python3 '" + above("test/unit/xlsx_writer.py").string() + "' " +
                              kind + " '" + path + "'" + rest;
  REQUIRE(std::system(command.c_str()) == 0);  // NOLINT(cert-env33-c)
  std::string bytes = file_text(path);
  fs::remove(path);
  return bytes;
}

using Parts = std::vector<std::pair<std::string, std::string>>;

std::string zipped(const Parts& parts) {
  std::string out(64 << 20, '\0');
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_zip(writer);
  REQUIRE(archive_write_open_memory(writer, out.data(), out.size(), &used) == ARCHIVE_OK);
  for (const auto& [name, text] : parts) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(writer, entry);
    archive_write_data(writer, text.data(), text.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

const std::string workbook_xml =
    "<workbook xmlns:r=\"u\"><workbookPr date1904=\"0\"/><sheets><sheet name=\"one\" sheetId=\"1\" "
    "r:id=\"r1\"/></sheets></workbook>";
const std::string relations_xml =
    "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" Target=\"worksheets/sheet1.xml\"/>"
    "<Relationship Id=\"r2\" Type=\"http://x/sharedStrings\" "
    "Target=\"/xl/sharedStrings.xml\"/></Relationships>";

// A workbook with one sheet; its first row has the names.
std::string hand_made(const std::string& rows, const std::string& texts = "<sst/>") {
  return zipped({{"[Content_Types].xml", "<Types/>"},
                 {"xl/workbook.xml", workbook_xml},
                 {"xl/_rels/workbook.xml.rels", relations_xml},
                 {"xl/worksheets/sheet1.xml",
                  "<worksheet><sheetData><row r=\"1\"><c t=\"inlineStr\"><is><t>order_key</t></is></c>"
                  "<c t=\"str\"><v>kind</v></c><c t=\"str\"><v>amount</v></c><c "
                  "t=\"str\"><v>business_date</v></c></row>" +
                      rows + "</sheetData></worksheet>"},
                 {"xl/sharedStrings.xml", texts}});
}

std::vector<Statement> read_xlsx(const std::string& bytes) {
  return read(built_in("generic.xlsx"), bytes);
}

std::string rejected(const std::string& bytes) {
  return read_xlsx(bytes)[0].summary.rejected.value_or("");
}

}  // namespace

TEST_CASE("xlsx: a table below a preamble, on the visible sheet that has it") {
  for (const char* epoch : {"generic", "generic 1904"}) {
    const Statement read = read_xlsx(written(epoch))[0];
    CHECK(read.summary.rejected.value_or("") == "");
    CHECK(read.meta("account") == "a7");
    REQUIRE(read.entries.size() == 3);
    CHECK(read.entries[0].order_key == "A1");
    CHECK(read.entries[0].amount == *Decimal::parse("10.5"));
    CHECK(read.entries[0].fee == *Decimal::parse("0.06"));
    CHECK(attribute(read.entries[0], "shop") == "s, 1");
    CHECK(attribute(read.entries[0], "paid") == "TRUE");
    CHECK(date_text(*read.entries[0].value_date) == "2026-11-22");
    const std::int64_t second = 1000000;
    CHECK(*read.entries[0].occurred_at ==
          (*days_from_civil(2026, 11, 21) * 86400LL + 10 * 3600 + 30 * 60 + 15) * second);
    CHECK(attribute(read.entries[1], "shop") == "say \"x\"\ntwice");
    CHECK(attribute(read.entries[1], "paid") == "FALSE");
    CHECK(read.entries[1].amount == *Decimal::parse("-2.50"));
    CHECK(read.entries[2].order_key == "20881234");
    REQUIRE(read.bad.size() == 1);  // an identifier that the program has rounded
    CHECK(read.bad[0].place.line == 7);
    CHECK(read.bad[0].raw.find(",payment,1,") != std::string::npos);
    CHECK(read.summary.verdict == ControlVerdict::mismatch);
    CHECK(read.summary.controls.size() == 2);
  }
}

TEST_CASE("xlsx: a sheet by its name") {
  std::string format = built_in("generic.xlsx");
  format.replace(format.find("\"type\": \"xlsx\""), 14, "\"type\": \"xlsx\", \"sheet\": \"old\"");
  CHECK(read(format, written("generic"))[0].entries.at(0).order_key == "HIDDEN");
  format.replace(format.find("\"old\""), 5, "\"new\"");
  CHECK(read(format, written("generic"))[0].summary.rejected.value_or("") ==
        "it has no sheet \"new\"; its sheets: cover, old, \xC3\x9C"
        "bersicht");
}

TEST_CASE("xlsx: what cells may be") {
  const Statement read = read_xlsx(
      hand_made("<row r=\"3\"><c r=\"A3\" t=\"s\"><v>0</v></c><c r=\"B3\" t=\"s\"><v>1</v></c><c "
                "r=\"C3\"><f>1+1</f><v>2</v></c>"
                "<c r=\"D3\" t=\"d\"><v>2026-11-21</v></c></row>"
                "<row><c t=\"inlineStr\"><is><r><t>A</t></r><rPh><t>no</t></rPh><r><t "
                "xml:space=\"preserve\"> 2</t></r></is></c>"
                "<c t=\"s\"><v>1</v></c><c t=\"e\"><v>#N/A</v></c><c t=\"str\"><v>2026-11-21</v></c></row>"
                "<row r=\"9\"><c r=\"A9\" t=\"s\"><v>7</v></c></row>"
                "<row r=\"10\"><c r=\"ZZZ10\"><v>7</v></c></row>"
                "<row r=\"11\"><c r=\"C11\"><v>7</v></c><c r=\"E11\"><v>8</v></c></row><row r=\"12\"/>",
                "<sst><si><r><rPr/><t>A</t></r><r><t>1</t></r><rPh sb=\"0\" "
                "eb=\"1\"><t>x</t></rPh></si><si><t>payment</t></si></sst>"))[0];
  REQUIRE(read.entries.size() == 1);
  CHECK(read.entries[0].order_key == "A1");
  CHECK(read.entries[0].amount == *Decimal::parse("2"));
  CHECK(read.places[0].line == 3);
  REQUIRE(read.bad.size() == 4);
  CHECK(read.bad[0].value == "#N/A");
  CHECK(read.bad[0].place.line == 4);
  CHECK(read.bad[1].reason == "refers to a text that the file does not have");
  CHECK(read.bad[2].reason == "has more than 4096 values");
  CHECK(read.bad[3].reason == "has 5 values where the header has 4");
  CHECK(read.summary.rows == 5);
}

TEST_CASE("xlsx: numbers keep their text, and dates are what they show") {
  using Kind = XlsxNumberKind;
  CHECK(xlsx_number_kind("yyyy\\-mm\\-dd") == Kind::date);
  CHECK(xlsx_number_kind("[$-409]m/d/yy h:mm AM/PM;@") == Kind::moment);
  CHECK(xlsx_number_kind("mm:ss.0") == Kind::time);
  CHECK(xlsx_number_kind("[h]:mm") == Kind::time);
  CHECK(xlsx_number_kind("mmm yy") == Kind::date);
  CHECK(xlsx_number_kind("General") == Kind::number);
  CHECK(xlsx_number_kind("#,##0.00 \"days\"") == Kind::number);
  CHECK(xlsx_number_kind("[Red]0.00;[Blue]-0.00") == Kind::number);
  CHECK(xlsx_number_kind("\"") == Kind::number);
  CHECK(xlsx_number_kind("[") == Kind::number);
  CHECK(xlsx_date_text("46347", Kind::date, false) == "2026-11-21");
  CHECK(xlsx_date_text("46347", Kind::moment, false) == "2026-11-21 00:00:00");
  CHECK(xlsx_date_text("46347.4376736111", Kind::moment, false) == "2026-11-21 10:30:15");
  CHECK(xlsx_date_text("46347.99999999999999", Kind::date, false) == "2026-11-22");
  CHECK(xlsx_date_text("44885", Kind::date, true) == "2026-11-21");
  CHECK(xlsx_date_text("59", Kind::date, false) == "1900-02-28");
  CHECK(xlsx_date_text("61", Kind::date, false) == "1900-03-01");
  CHECK(xlsx_date_text("0.5", Kind::time, false) == "12:00:00");
  CHECK(xlsx_date_text("0.00001157", Kind::time, false) == "00:00:01");
  for (const char* none : {"-1", "2958466", "1e5", "x", ""})
    CHECK(xlsx_date_text(none, Kind::date, false) == none);
}

TEST_CASE("xlsx: files that are none, broken ones, bombs") {
  CHECK(rejected("") == "it is empty: 0 bytes");
  CHECK(rejected("order_key,kind\n") == "it is no xlsx file");
  CHECK(rejected("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") ==
        "it is an Excel file of the old kind (.xls), or has a password: save it as .xlsx without one");
  CHECK(rejected(zipped({{"a.csv", "x"}})) == "it is a zip, but no xlsx file: it has no workbook");
  CHECK(rejected(zipped({{"xl/workbook.xml", workbook_xml}})) ==
        "no sheet has a header row with the columns order_key, kind, amount");
  CHECK(rejected(zipped({{"xl/workbook.xml", "<!DOCTYPE a [<!ENTITY b \"c\">]><workbook/>"}}))
            .starts_with("its workbook: line 1: it declares a DTD"));
  CHECK(rejected(written("empty")) == "no sheet has a header row with the columns order_key, kind, amount");
  CHECK(rejected(hand_made("<row><c><v>1")) == "sheet one: line 1: it is no well-formed XML: mismatched tag");
  const std::string whole = written("generic");
  for (std::size_t size : {4UL, 100UL, whole.size() / 2, whole.size() - 30}) {
    const auto read = read_xlsx(whole.substr(0, size));
    CHECK((read[0].summary.rejected || read[0].entries.size() == 3));
  }
  CHECK(rejected(hand_made("<!-- " + std::string(60000000, ' ') + "-->")) != "");
  CHECK(rejected(hand_made("<row>" + std::string(50000000, ' ') + "</row>")) ==
        "it unpacks to more than 200 times its size: this looks like a zip bomb");
  std::string texts = "<sst>";
  for (int i = 0; i < 18000000; i++) texts += "<si/>";
  CHECK(rejected(hand_made("", texts + "</sst>")) != "");
}

TEST_CASE("xlsx: a large sheet is read row by row") {
  const Statement read = read_xlsx(written("big 30000"))[0];
  CHECK(read.summary.rejected.value_or("") == "");
  CHECK(read.entries.size() == 30000);
  CHECK(read.sum() == *Decimal::parse("37500"));
}

TEST_CASE("xlsx: files of other people" * doctest::skip(!fs::exists(samples() / "generic_csv"))) {
  // The same statements as text and as workbooks.
  const std::string common =
      R"("header": {"columns": ["Date", "Label", "Amount"]}, "map": {"order_key": "Label", "kind": {"const": "payment"},
         "amount": {"column": "Amount", "format": "1,234.56"}, "status": {"const": "success"},
         "business_date": {"column": "Date", "format": ["MM/dd/yyyy", "yyyy-MM-dd", "iso8601"]}}})";
  const auto with_frame = [&](const std::string& frame) {
    return R"({"book": "bank", "frame": {"type": ")" + frame + R"("}, )" + common;
  };
  const fs::path folder = samples() / "generic_csv";
  const auto text = read(with_frame("csv"),
                         file_text(folder / "OCA-bank-statement-import__fixtures_sample_statement_en.csv"));
  const auto book = read(with_frame("xlsx"),
                         file_text(folder / "OCA-bank-statement-import__fixtures_sample_statement_en.xlsx"));
  REQUIRE(text[0].entries.size() == 2);
  REQUIRE(book[0].entries.size() == 2);
  for (std::size_t i = 0; i < 2; i++) {
    CHECK(text[0].entries[i].amount == book[0].entries[i].amount);
    CHECK(text[0].entries[i].business_date == book[0].entries[i].business_date);
    CHECK(text[0].entries[i].order_key == book[0].entries[i].order_key);
  }
  for (const auto& file : fs::recursive_directory_iterator(samples())) {
    if (file.is_regular_file()) CHECK(rejected(file_text(file.path())) != "");
  }
}
