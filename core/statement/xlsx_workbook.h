// What the cells of an xlsx file refer to: sheets, shared texts, and which styles are dates.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/interrupts.h"
#include "core/statement/xlsx_package.h"

namespace pg_reconcile::core {

struct XlsxSheet {
  std::string name;
  std::string part;
  bool hidden = false;
};

// How a cell's number is shown.
enum class XlsxNumberKind { number, date, moment, time };

class XlsxWorkbook {
 public:
  static constexpr std::size_t text_bytes_max = 134217728;  // of all shared texts
  static constexpr std::size_t styles_max = 65536;

  // Throws XlsxProblem.
  XlsxWorkbook(const XlsxPackage& package, Interrupts& interrupts);

  [[nodiscard]] const std::vector<XlsxSheet>& sheets() const { return sheets_; }
  // False: there is no such text.
  [[nodiscard]] bool shared_text(std::string_view index, std::string_view& text) const;
  // The text of a cell's number: a date where its style says so, else as it is written.
  [[nodiscard]] std::string number_text(std::string_view number, std::string_view style) const;

 private:
  std::vector<XlsxSheet> sheets_;
  bool from_1904_ = false;
  std::string texts_;
  std::vector<std::size_t> text_ends_;
  std::vector<XlsxNumberKind> styles_;

  void read_sheets(const XlsxPackage& package, const std::string& part, Interrupts& interrupts);
  void read_texts(ByteSource& source, Interrupts& interrupts);
  void read_styles(ByteSource& source, Interrupts& interrupts);
};

// What a number format shows: "yyyy-mm-dd", "0.00", "[h]:mm".
[[nodiscard]] XlsxNumberKind xlsx_number_kind(std::string_view format_code);

// The date of a serial number: "2026-11-21", "2026-11-21 10:30:00", "10:30:00"; the number itself where it is
// none.
[[nodiscard]] std::string xlsx_date_text(std::string_view number, XlsxNumberKind kind, bool from_1904);

}  // namespace pg_reconcile::core
