// Records of fixed width: fields known by their widths in bytes of the file's charset, not in characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_document.h"
#include "core/mapping/raw_record.h"
#include "core/statement/line_reader.h"

namespace pg_reconcile::core {

enum class FieldTrim { none, right, both };

class FixedLayout {
 public:
  static constexpr std::size_t width_max = 1048576;

  FixedLayout() = default;
  // `node`: [{"name": ..., "width": ...}]; a field without a name is filler. `separator`: the byte between
  // two fields, '\0' for none. `shorter`: blanks at the end of a line may be missing. Throws core::Error
  // 22023.
  static FixedLayout read(const JsonNode& node, char separator, FieldTrim trim, bool shorter);

  // The record's named fields, as views into the line or into this object's buffers: until the next call.
  // False: it is no such record; `reason` says why.
  bool cut(const Line& line, LineReader& lines, std::vector<RawField>& fields, std::string& reason);

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] std::size_t width() const { return width_; }

 private:
  struct Field {
    std::size_t start;
    std::size_t width;
    bool named;
  };

  std::vector<Field> fields_;
  std::vector<std::string> names_;  // of the named ones
  std::vector<std::string> buffers_;
  std::size_t width_ = 0;
  char separator_ = '\0';
  FieldTrim trim_ = FieldTrim::both;
  bool shorter_ = false;

  bool check_width(const Line& line, std::string& reason) const;
};

// "trim": none, right or both (the default).
[[nodiscard]] FieldTrim read_trim(const JsonNode& frame);

}  // namespace pg_reconcile::core
