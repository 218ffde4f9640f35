// The frame "cfonb120": French account statements in lines of 120 columns. A statement is a record 01 (old
// balance) to 07 (new balance), a record is a movement 04 with the 05 below it. Source: CFONB, "Relevé de
// compte sur support informatique", and its list of qualifiers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/statement/charset.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

struct FormatDocument;

class Cfonb120Framer final : public Framer {
 public:
  explicit Cfonb120Framer(std::vector<Charset> charsets) : charsets_(std::move(charsets)) {}

  void read(ByteSource& source, std::string_view file_name, FrameSink& sink, Interrupts& interrupts) override;
  [[nodiscard]] std::vector<std::string> columns() const override;

 private:
  std::vector<Charset> charsets_;
};

[[nodiscard]] std::unique_ptr<Framer> make_cfonb120_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
