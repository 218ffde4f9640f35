// The frame `tagged`: every line says by a code which record it is, and each record has fields of its own:
// PayPal's SH/CH/SB/SF, Norma 43's 11/22/23/33/88, Trustly's H/I/F/L, dLocal's two headers.
#pragma once

#include <memory>

#include "core/statement/format_document.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

[[nodiscard]] std::unique_ptr<Framer> make_tagged_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
