// The frame `fixed`: lines whose fields have fixed widths in bytes.
#pragma once

#include <memory>

#include "core/statement/format_document.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

[[nodiscard]] std::unique_ptr<Framer> make_fixed_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
