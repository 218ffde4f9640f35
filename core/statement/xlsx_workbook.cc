#include "core/statement/xlsx_workbook.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <optional>

#include "core/mapping/timestamp_format.h"
#include "core/money/decimal.h"
#include "core/statement/xml_reader.h"

namespace pg_reconcile::core {
namespace {

std::string_view attribute_of(const XmlEvent& event, std::string_view name) {
  for (const XmlAttribute& attribute : event.attributes) {
    const std::size_t colon = attribute.name.rfind(':');
    const bool same = attribute.name == name || (colon != std::string_view::npos &&
                                                 attribute.name.substr(colon + 1) == name && name == "id");
    if (same) return attribute.value;
  }
  return {};
}

std::optional<std::size_t> number_of(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The number formats that need no definition (ECMA-376 18.8.30, with the East Asian ones).
std::optional<XlsxNumberKind> built_in_kind(std::size_t id) {
  if (id == 22) return XlsxNumberKind::moment;
  if ((id >= 18 && id <= 21) || (id >= 45 && id <= 47) || (id >= 32 && id <= 35) || id == 55 || id == 56)
    return XlsxNumberKind::time;
  if ((id >= 14 && id <= 17) || (id >= 27 && id <= 31) || id == 36 || (id >= 50 && id <= 54) || id == 57 ||
      id == 58)
    return XlsxNumberKind::date;
  return std::nullopt;
}

void check(const XmlReader& reader, const char* what) {
  if (!reader.problem().empty()) throw XlsxProblem{std::string(what) + ": " + reader.problem()};
}

}  // namespace

XlsxNumberKind xlsx_number_kind(std::string_view format_code) {
  bool date = false;
  bool time = false;
  for (std::size_t i = 0; i < format_code.size(); i++) {
    const char c = static_cast<char>(format_code[i] | 0x20);
    if (format_code[i] == '"' || format_code[i] == '[') {
      const std::size_t end = format_code.find(format_code[i] == '"' ? '"' : ']', i + 1);
      const std::string_view inside = format_code.substr(i + 1, end - i - 1);
      // Elapsed hours, minutes or seconds; a colour, a condition or a language is no part of a number.
      if (format_code[i] == '[' && !inside.empty() &&
          inside.find_first_not_of("hHmMsS") == std::string_view::npos)
        time = true;
      i = std::min(end, format_code.size() - 1);
    } else if (format_code[i] == '\\' || format_code[i] == '_' || format_code[i] == '*') {
      i++;
    } else if (format_code[i] == ';') {
      break;  // the first section is that of positive numbers
    } else if (c == 'y' || c == 'd') {
      date = true;
    } else if (c == 'h' || c == 's') {
      time = true;
    } else if (c == 'm' && !time) {
      const std::size_t next = format_code.find_first_not_of("mM", i);
      if (next == std::string_view::npos || format_code[next] != ':') date = true;
    }
  }
  if (date && time) return XlsxNumberKind::moment;
  return date ? XlsxNumberKind::date : time ? XlsxNumberKind::time : XlsxNumberKind::number;
}

std::string xlsx_date_text(std::string_view number, XlsxNumberKind kind, bool from_1904) {
  constexpr std::int64_t milliseconds_of_day = 86400000;
  constexpr std::int64_t last_serial = 2958465;  // 9999-12-31
  const std::size_t point = number.find('.');
  // Twelve digits are a tenth of a microsecond; the rest is what floating point left.
  const auto serial = Decimal::parse(point == std::string_view::npos ? number : number.substr(0, point + 13));
  if (!serial || serial->is_negative()) return std::string(number);
  constexpr int128 one = 1000000000000;
  auto days = static_cast<std::int64_t>(serial->units() / one);
  auto milliseconds =
      static_cast<std::int64_t>((serial->units() % one * milliseconds_of_day + one / 2) / one);
  if (milliseconds == milliseconds_of_day) {
    days++;
    milliseconds = 0;
  }
  if (days > last_serial) return std::string(number);
  const bool day_alone = milliseconds == 0 && kind != XlsxNumberKind::moment;
  std::string text;
  if (days > 0 || kind == XlsxNumberKind::date) {
    // In the system of 1900 there is a 29th of February 1900 (60); before it days are one further on.
    const int first_year = from_1904 ? 1904 : 1899;
    const auto epoch =
        from_1904 ? days_from_civil(first_year, 1, 1) : days_from_civil(first_year, 12, days < 60 ? 31 : 30);
    text = date_text(*epoch + static_cast<std::int32_t>(days));
    if (day_alone) return text;
    text += ' ';
  }
  char clock[32];
  const std::int64_t seconds = milliseconds / 1000;
  std::snprintf(clock, sizeof(clock), "%02d:%02d:%02d", static_cast<int>(seconds / 3600),
                static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  text += clock;
  if (milliseconds % 1000 != 0) {
    std::snprintf(clock, sizeof(clock), ".%03d", static_cast<int>(milliseconds % 1000));
    text += clock;
  }
  return text;
}

XlsxWorkbook::XlsxWorkbook(const XlsxPackage& package, Interrupts& interrupts) {
  std::string part = "xl/workbook.xml";
  for (const auto& relation : package.relations_of("")) {
    if (relation.type == "officeDocument") part = relation.target;
  }
  if (part.ends_with(".bin")) throw XlsxProblem{"it is a binary workbook (.xlsb): save it as .xlsx"};
  read_sheets(package, part, interrupts);
  for (const auto& relation : package.relations_of(part)) {
    for (XlsxSheet& sheet : sheets_) {
      if (sheet.part == relation.id) sheet.part = relation.target;
    }
    if (relation.type == "sharedStrings") {
      if (const auto source = package.open(relation.target)) read_texts(*source, interrupts);
    } else if (relation.type == "styles") {
      if (const auto source = package.open(relation.target)) read_styles(*source, interrupts);
    }
  }
}

void XlsxWorkbook::read_sheets(const XlsxPackage& package, const std::string& part, Interrupts& interrupts) {
  constexpr std::size_t sheets_max = 1000;
  const auto source = package.open(part);
  if (source == nullptr) throw XlsxProblem{"it is a zip, but no xlsx file: it has no workbook"};
  XmlReader reader(*source, interrupts);
  XmlEvent event;
  while (reader.next(event)) {
    if (event.kind != XmlEvent::Kind::start) continue;
    if (event.name == "workbookPr") {
      const std::string_view from = attribute_of(event, "date1904");
      from_1904_ = from == "1" || from == "true";
    } else if (event.name == "sheet" && sheets_.size() < sheets_max) {
      const std::string_view state = attribute_of(event, "state");
      sheets_.push_back({std::string(attribute_of(event, "name")), std::string(attribute_of(event, "id")),
                         state == "hidden" || state == "veryHidden"});
    }
  }
  check(reader, "its workbook");
}

void XlsxWorkbook::read_texts(ByteSource& source, Interrupts& interrupts) {
  XmlReader reader(source, interrupts);
  XmlEvent event;
  bool in_text = false;
  int phonetic = 0;
  while (reader.next(event)) {
    if (event.kind == XmlEvent::Kind::text) {
      if (!in_text || phonetic > 0) continue;
      texts_ += event.text;
    } else if (event.name == "t") {
      in_text = event.kind == XmlEvent::Kind::start;
    } else if (event.name == "rPh") {  // how it is pronounced
      phonetic += event.kind == XmlEvent::Kind::start ? 1 : -1;
    } else if (event.name == "si" && event.kind == XmlEvent::Kind::end) {
      text_ends_.push_back(texts_.size());
    }
    if (texts_.size() + text_ends_.size() * sizeof(std::size_t) > text_bytes_max)
      throw XlsxProblem{"its shared texts take more than 128 MB: save it as CSV"};
  }
  check(reader, "its shared texts");
}

void XlsxWorkbook::read_styles(ByteSource& source, Interrupts& interrupts) {
  XmlReader reader(source, interrupts);
  XmlEvent event;
  std::map<std::size_t, XlsxNumberKind> formats;
  bool in_cell_formats = false;
  while (reader.next(event)) {
    if (event.name == "cellXfs") in_cell_formats = event.kind == XmlEvent::Kind::start;
    if (event.kind != XmlEvent::Kind::start) continue;
    if (event.name == "numFmt" && formats.size() < styles_max) {
      if (const auto id = number_of(attribute_of(event, "numFmtId")))
        formats[*id] = xlsx_number_kind(attribute_of(event, "formatCode"));
    } else if (event.name == "xf" && in_cell_formats && styles_.size() < styles_max) {
      const auto id = number_of(attribute_of(event, "numFmtId")).value_or(0);
      const auto found = formats.find(id);
      styles_.push_back(found != formats.end() ? found->second
                                               : built_in_kind(id).value_or(XlsxNumberKind::number));
    }
  }
  check(reader, "its styles");
}

bool XlsxWorkbook::shared_text(std::string_view index, std::string_view& text) const {
  const auto at = number_of(index);
  if (!at || *at >= text_ends_.size()) return false;
  const std::size_t from = *at == 0 ? 0 : text_ends_[*at - 1];
  text = std::string_view(texts_).substr(from, text_ends_[*at] - from);
  return true;
}

std::string XlsxWorkbook::number_text(std::string_view number, std::string_view style) const {
  const auto at = number_of(style);
  const auto kind = at && *at < styles_.size() ? styles_[*at] : XlsxNumberKind::number;
  return kind == XlsxNumberKind::number ? std::string(number) : xlsx_date_text(number, kind, from_1904_);
}

}  // namespace pg_reconcile::core
