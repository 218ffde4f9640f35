// The parts of an xlsx file: a zip of XML documents, which refer to each other in any order. So its packed
// bytes are put into a temporary file first, and each part is unpacked as a stream.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/interrupts.h"
#include "core/statement/byte_source.h"

namespace pg_reconcile::core {

// What is wrong with the file, for FrameSink::reject.
struct XlsxProblem {
  std::string reason;
};

struct XlsxLimits {
  std::int64_t package_bytes_max = 1073741824;
  std::int64_t part_bytes_max = 8589934592;  // unpacked
  std::int64_t ratio_max = 200;              // of a part: unpacked : packed
  int parts_max = 10000;
};

class XlsxPackage {
 public:
  // Throws XlsxProblem, as everything below does.
  XlsxPackage(ByteSource& source, Interrupts& interrupts, XlsxLimits limits);
  ~XlsxPackage();
  XlsxPackage(const XlsxPackage&) = delete;
  XlsxPackage& operator=(const XlsxPackage&) = delete;

  // The bytes of a part such as "xl/workbook.xml"; nullptr: there is none.
  [[nodiscard]] std::unique_ptr<ByteSource> open(std::string_view part) const;

  // Relationships of a part: id or the last word of the type -> the part it leads to.
  struct Relation {
    std::string id;
    std::string type;    // "worksheet", "sharedStrings", "styles", "officeDocument"
    std::string target;  // a part
  };
  [[nodiscard]] std::vector<Relation> relations_of(std::string_view part) const;

 private:
  Interrupts& interrupts_;
  XlsxLimits limits_;
  void fill(ByteSource& source);

  int descriptor_;  // of a file that has no name any more
};

}  // namespace pg_reconcile::core
