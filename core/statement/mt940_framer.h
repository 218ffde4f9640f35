// The frames "mt940" (SWIFT's customer statement) and "mt942" (its interim report): a record is a field 61
// with the fields 86 below it, a statement is a message.
//
// What banks do beside the standard is read: no envelope or several messages in one, SWIFT's control
// characters, no :20:, statements that follow each other without "-", the account as an IBAN with the
// currency behind it, blanks for the entry date, a reference that goes on in the next line, text above or
// below field 86, :NS:. What can't be proved is said: a 61 that can't be read is a bad row, a message without
// closing balance does not agree.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/statement/charset.h"
#include "core/statement/framer.h"

namespace pg_reconcile::core {

struct FormatDocument;

class Mt940Framer final : public Framer {
 public:
  enum class Message { mt940, mt942 };

  Mt940Framer(Message message, std::vector<Charset> charsets)
      : message_(message), charsets_(std::move(charsets)) {}

  void read(ByteSource& source, std::string_view file_name, FrameSink& sink, Interrupts& interrupts) override;
  [[nodiscard]] std::vector<std::string> columns() const override;
  // "booked", and "expected" for the EC and ED of an MT942.
  [[nodiscard]] std::vector<std::string> types() const override { return {"booked", "expected"}; }

 private:
  Message message_;
  std::vector<Charset> charsets_;
};

[[nodiscard]] std::unique_ptr<Framer> make_mt940_framer(const FormatDocument& format);
[[nodiscard]] std::unique_ptr<Framer> make_mt942_framer(const FormatDocument& format);

}  // namespace pg_reconcile::core
