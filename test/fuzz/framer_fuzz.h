// What holds for every frame, whatever the bytes: it ends, its records lie within the file, and the size of
// the chunks changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/statement/framer.h"

namespace pg_reconcile::core {

struct FrameFingerprint final : FrameSink {
  std::string text;
  std::size_t size = 0;
  bool rejected = false;

  void place(const RowPlace& place) {
    if (place.byte_offset < 0 || static_cast<std::size_t>(place.byte_offset) > size) std::abort();
    text += std::to_string(place.line) + "@" + std::to_string(place.byte_offset) + " ";
  }
  void meta(std::string_view name, std::string_view value) override {
    text.append(name).append("=").append(value).append("\n");
  }
  void record(const FrameRecord& record) override {
    place(record.place);
    text.append(record.type);
    for (const RawField& field : record.fields) {
      if (field.value) text.append(field.name).append(":").append(*field.value).append(";");
    }
    text += '\n';
  }
  void bad(const BadRow& row) override {
    place(row.place);
    text.append(row.column).append(row.value).append(row.reason).append("\n");
  }
  void bad_outside(const BadRow& row) override { bad(row); }
  void control(ControlLine line) override {
    text += line.name + line.stated + line.computed + (line.agrees ? "+\n" : "-\n");
  }
  void warn(std::string warning) override { text += warning + "\n"; }
  void next_statement() override { text += "next\n"; }
  void reject(std::string reason) override {
    text += reason;
    rejected = true;
  }
  [[nodiscard]] bool stopped() const override { return rejected; }
};

inline int fuzz_framer(Framer& framer, const std::uint8_t* bytes, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(bytes), size);
  NoInterrupts interrupts;
  std::string first;
  for (std::size_t chunk : {65536UL, 7UL}) {
    FrameFingerprint print;
    print.size = size;
    MemorySource source(file, chunk);
    framer.read(source, "file", print, interrupts);
    if (chunk == 7 && print.text != first) std::abort();
    first = print.text;
  }
  return 0;
}

}  // namespace pg_reconcile::core
