// The frame "coda": Belgian account statements (CODA, version 2) in lines of 128 columns. A statement is an
// old balance (1) to a new one (8), a record is a movement (21) with its 22, 23 and 31 to 33. Source:
// Febelfin, "Standard coded statements of account (CODA)".
//
// A movement may be the sum of several, which follow it with detail numbers of their own. The sum is a record
// "movement" and counts; its parts are records "detail", which a document skips or takes in place of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/statement/charset.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

struct FormatDocument;

class CodaFramer final : public Framer {
 public:
  explicit CodaFramer(std::vector<Charset> charsets) : charsets_(std::move(charsets)) {}

  void read(ByteSource& source, std::string_view file_name, FrameSink& sink, Interrupts& interrupts) override;
  [[nodiscard]] std::vector<std::string> columns() const override;
  [[nodiscard]] std::vector<std::string> types() const override { return {"movement", "detail"}; }

 private:
  std::vector<Charset> charsets_;
};

[[nodiscard]] std::unique_ptr<Framer> make_coda_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
