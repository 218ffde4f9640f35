// Records of 94 bytes, with line ends between them or without.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/interrupts.h"
#include "core/statement/byte_source.h"
#include "core/statement/statement.h"

namespace pg_reconcile::core {

class NachaRecordReader {
 public:
  static constexpr std::size_t record_bytes = 94;

  NachaRecordReader(ByteSource& source, Interrupts& interrupts) : source_(source), interrupts_(interrupts) {}

  // False at the end of the file. Empty lines are no records.
  bool next();
  // The record, filled up with blanks.
  [[nodiscard]] const std::string& record() const { return record_; }
  // How many bytes of it the file has.
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const RowPlace& place() const { return place_; }
  // Columns from 1, without outer blanks.
  [[nodiscard]] std::string_view at(std::size_t first, std::size_t last) const;
  [[nodiscard]] bool is_text() const;  // printable ASCII alone

 private:
  ByteSource& source_;
  Interrupts& interrupts_;
  std::string buffer_;
  std::size_t position_ = 0;
  std::int64_t base_ = 0;
  std::int64_t line_ = 1;
  std::string record_;
  std::size_t size_ = 0;
  RowPlace place_;

  bool fill();
  bool skip_line_ends();
};

}  // namespace pg_reconcile::core
