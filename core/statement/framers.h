// The frames that there are, by the name that a format's frame.type says.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/statement/format_document.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

struct FrameType {
  std::string_view name;
  // Reads the settings of the document's "frame" object and throws core::Error 22023 that names the path.
  std::unique_ptr<Framer> (*make)(const FormatDocument& format);
  bool is_table;    // rows below a line of names, which the part "header" knows
  bool takes_stop;  // the part "stop" says where the rows end
};

// nullptr: there is no such frame.
[[nodiscard]] const FrameType* find_frame_type(std::string_view name);
// "csv, fixed ...": for messages.
[[nodiscard]] std::string frame_type_names();

// The framer that the document's frame.type names.
[[nodiscard]] std::unique_ptr<Framer> make_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
