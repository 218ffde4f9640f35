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

  [[nodiscard]] const RawField* find(std::string_view name, std::size_t& position_hint) const {
    if (position_hint < fields.size() && fields[position_hint].name == name) return &fields[position_hint];
    for (std::size_t i = 0; i < fields.size(); i++) {
      if (fields[i].name == name) {
        position_hint = i;
        return &fields[i];
      }
    }
    return nullptr;
  }
};

}  // namespace pg_reconcile::core
