// The frame `camt`: bank statements (camt.053), account reports (camt.052) and notifications (camt.054) of
// ISO 20022, versions 2 to 14, also without a namespace. docs/formats/camt.053.md names the columns.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "core/statement/format_document.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

class CamtFramer final : public Framer {
 public:
  // `messages`: which of camt.052, camt.053, camt.054 the format takes; empty: all.
  explicit CamtFramer(std::set<std::string, std::less<>> messages) : messages_(std::move(messages)) {}

  void read(ByteSource& source, std::string_view file_name, FrameSink& sink, Interrupts& interrupts) override;
  [[nodiscard]] std::vector<std::string> types() const override { return {"Ntry", "TxDtls", "rest"}; }

 private:
  std::set<std::string, std::less<>> messages_;
};

[[nodiscard]] std::unique_ptr<Framer> make_camt_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
