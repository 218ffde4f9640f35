// The frame "nacha": ACH files in records of 94 columns, with or without line ends. The file is a statement,
// an entry detail (6) with its addenda (7) is a record. Source: Nacha Operating Rules, appendices three and
// four.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/statement/framer.h"

namespace pg_reconcile::core {

struct FormatDocument;

class NachaFramer final : public Framer {
 public:
  void read(ByteSource& source, std::string_view file_name, FrameSink& sink, Interrupts& interrupts) override;
  [[nodiscard]] std::vector<std::string> columns() const override;
  // By the addenda: 99 with R01 to R60 and R80 on, R61 to R70, R71 to R79; 98; none of them.
  [[nodiscard]] std::vector<std::string> types() const override {
    return {"return",           "dishonored_return", "contested_return",
            "notice_of_change", "prenotification",   "entry"};
  }
};

[[nodiscard]] std::unique_ptr<Framer> make_nacha_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
