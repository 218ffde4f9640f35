// What every source yields: named texts, as the source wrote them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace pg_reconcile::core {

// One field of a record. `value` is disengaged for SQL NULL, for a field that the source doesn't state.
struct RawField {
  std::string_view name;
  std::optional<std::string_view> value;
};

// A record as views into the source's buffer: valid until the source is asked for the next one. Names are
// unique. The order of fields is the same for all records of one stream, so that a reader may remember
// positions.
struct RawRecord {
  std::span<const RawField> fields;
  std::span<const RawField> context = {};  // what is known about the record from elsewhere: "@account"

  [[nodiscard]] const RawField* find(std::string_view name, std::size_t& position_hint) const {
    if (position_hint < fields.size() + context.size() && at(position_hint).name == name)
      return &at(position_hint);
    for (std::size_t i = 0; i < fields.size() + context.size(); i++) {
      if (at(i).name == name) {
        position_hint = i;
        return &at(i);
      }
    }
    return nullptr;
  }

 private:
  [[nodiscard]] const RawField& at(std::size_t i) const {
    return i < fields.size() ? fields[i] : context[i - fields.size()];
  }
};

}  // namespace pg_reconcile::core
