// The frame `csv`: lines of separated values between a preamble, a header line and a footer.
#pragma once

#include <memory>

#include "core/statement/format_document.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

[[nodiscard]] std::unique_ptr<Framer> make_csv_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
