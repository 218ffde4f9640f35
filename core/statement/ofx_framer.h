// The frame `ofx`: bank and credit-card statements of Open Financial Exchange (also QFX), as SGML and as XML.
// docs/formats/ofx.md names the columns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/statement/format_document.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

class OfxFramer final : public Framer {
 public:
  void read(ByteSource& source, std::string_view file_name, FrameSink& sink, Interrupts& interrupts) override;
  [[nodiscard]] std::vector<std::string> types() const override { return {"STMTTRN", "STMTTRNP"}; }
};

[[nodiscard]] std::unique_ptr<Framer> make_ofx_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
