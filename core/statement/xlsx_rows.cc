#include "core/statement/xlsx_rows.h"

#include <charconv>

#include "core/mapping/expression.h"

namespace pg_reconcile::core {
namespace {

std::string_view attribute_of(const XmlEvent& event, std::string_view name) {
  for (const XmlAttribute& attribute : event.attributes) {
    if (attribute.name == name) return attribute.value;
  }
  return {};
}

// "AB12" -> 27; columns_max and more: too far right.
std::optional<std::size_t> column_of(std::string_view reference) {
  std::size_t column = 0;
  std::size_t letters = 0;
  for (char c : reference) {
    if (c < 'A' || c > 'Z') break;
    if (++letters > 4) return XlsxRows::columns_max;
    column = column * 26 + static_cast<std::size_t>(c - 'A') + 1;
  }
  return letters == 0 ? std::nullopt : std::optional(column - 1);
}

}  // namespace

bool XlsxRows::next(XlsxRow& row) {
  XmlEvent event;
  while (reader_.next(event)) {
    if (event.kind != XmlEvent::Kind::start || event.name != "row") continue;
    row.values.clear();
    row.problem.clear();
    row.byte_offset = reader_.place_of(event).byte_offset;
    row.number = last_row_ + 1;
    const std::string_view given = attribute_of(event, "r");
    std::int64_t number = 0;
    if (std::from_chars(given.data(), given.data() + given.size(), number).ec == std::errc() && number > 0)
      row.number = number;
    last_row_ = row.number;
    row_bytes_ = 0;
    read_row(row);
    if (!problem().empty()) return false;
    while (!row.values.empty() && mapping::trimmed(row.values.back()).empty()) row.values.pop_back();
    return true;
  }
  return false;
}

void XlsxRows::read_row(XlsxRow& row) {
  XmlEvent event;
  Cell cell;
  std::size_t next_column = 0;
  while (reader_.next(event)) {
    if (event.kind == XmlEvent::Kind::end && event.name == "row") return;
    if (event.kind != XmlEvent::Kind::start || event.name != "c") continue;
    read_cell(event, next_column, row, cell);
    next_column = cell.column + 1;
  }
}

void XlsxRows::read_cell(const XmlEvent& start, std::size_t next_column, XlsxRow& row, Cell& cell) {
  cell.type = attribute_of(start, "t");
  cell.style = attribute_of(start, "s");
  cell.column = column_of(attribute_of(start, "r")).value_or(next_column);
  cell.text.clear();
  cell.has_value = false;
  XmlEvent event;
  bool in_value = false;
  bool phonetic = false;
  while (reader_.next(event)) {
    if (event.kind == XmlEvent::Kind::text) {
      if (!in_value || phonetic || row_bytes_ > row_bytes_max) continue;
      cell.text += event.text;
      row_bytes_ += event.text.size();
      continue;
    }
    const bool starts = event.kind == XmlEvent::Kind::start;
    if (event.name == "c" && !starts) break;
    if (event.name == "rPh") phonetic = starts;
    if (event.name == "v" || event.name == "t") {
      in_value = starts;
      cell.has_value = true;
    }
  }
  store(cell, row);
}

void XlsxRows::store(Cell& cell, XlsxRow& row) {
  if (!cell.has_value || cell.text.empty()) return;
  if (row_bytes_ > row_bytes_max) {
    row.problem = "is longer than 1 MB";
    return;
  }
  if (cell.column >= columns_max) {
    row.problem = "has more than 4096 values";
    return;
  }
  if (row.values.size() <= cell.column) row.values.resize(cell.column + 1);
  std::string& value = row.values[cell.column];
  if (cell.type == "s") {
    std::string_view text;
    if (!workbook_.shared_text(cell.text, text)) {
      row.problem = "refers to a text that the file does not have";
      return;
    }
    row_bytes_ += text.size();
    value = text;
  } else if (cell.type == "b") {
    value = cell.text == "1" || cell.text == "true" ? "TRUE" : "FALSE";
  } else if (cell.type.empty() || cell.type == "n") {
    value = workbook_.number_text(cell.text, cell.style);
  } else {  // str, inlineStr, d, e
    value = cell.text;
  }
}

}  // namespace pg_reconcile::core
