// The rows of a sheet, one at a time, as the texts that its cells show or hold.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/xlsx_workbook.h"
#include "core/statement/xml_reader.h"

namespace pg_reconcile::core {

struct XlsxRow {
  std::int64_t number = 0;  // as the spreadsheet program shows it
  std::int64_t byte_offset = 0;
  std::vector<std::string> values;  // cells that are not there are empty; none behind the last that is not
  std::string problem;              // why its values can't be told
};

class XlsxRows {
 public:
  static constexpr std::size_t columns_max = 4096;
  static constexpr std::size_t row_bytes_max = 1048576;

  XlsxRows(const XlsxWorkbook& workbook, std::unique_ptr<ByteSource> source, Interrupts& interrupts)
      : workbook_(workbook), source_(std::move(source)), reader_(*source_, interrupts) {}

  // False at the end, or when the sheet can't be read on: then problem() says why.
  bool next(XlsxRow& row);
  [[nodiscard]] const std::string& problem() const { return reader_.problem(); }

 private:
  struct Cell {
    std::string type, style, text;
    std::size_t column = 0;
    bool has_value = false;
  };

  const XlsxWorkbook& workbook_;
  std::unique_ptr<ByteSource> source_;
  XmlReader reader_;
  std::int64_t last_row_ = 0;
  std::size_t row_bytes_ = 0;

  void read_row(XlsxRow& row);
  void read_cell(const XmlEvent& start, std::size_t next_column, XlsxRow& row, Cell& cell);
  void store(Cell& cell, XlsxRow& row);
};

}  // namespace pg_reconcile::core
