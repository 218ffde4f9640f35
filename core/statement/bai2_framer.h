// The frame "bai2": a statement is an account (record 03) of a group (02), a record is a transaction detail
// (16) with the 88 that go on with it.
//
// Settings: {"type": "bai2", "detail": "complete" | "partial"}. "complete" (the default): the details of an
// account are all its movements, so that total credits (100), total debits (400) and ledger balances (010,
// 015) are checked against them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/statement/charset.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

struct FormatDocument;

class Bai2Framer final : public Framer {
 public:
  Bai2Framer(bool complete_detail, std::vector<Charset> charsets)
      : complete_detail_(complete_detail), charsets_(std::move(charsets)) {}

  void read(ByteSource& source, std::string_view file_name, FrameSink& sink, Interrupts& interrupts) override;
  [[nodiscard]] std::vector<std::string> columns() const override;
  // "transaction"; "note" is type code 890, which moves no money.
  [[nodiscard]] std::vector<std::string> types() const override { return {"transaction", "note"}; }

 private:
  bool complete_detail_;
  std::vector<Charset> charsets_;
};

[[nodiscard]] std::unique_ptr<Framer> make_bai2_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
