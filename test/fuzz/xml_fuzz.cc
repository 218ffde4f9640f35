// XML events are the same whatever pieces the bytes come in, nest properly, and end.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/xml_reader.h"

namespace {

using namespace pg_reconcile::core;

struct Outline {
  std::string text;
  std::string problem;
};

Outline outline(std::string_view bytes, std::size_t chunk) {
  MemorySource source(bytes, chunk);
  NoInterrupts interrupts;
  XmlReader reader(source, interrupts);
  Outline out;
  XmlEvent event;
  std::vector<std::string> open;
  std::int64_t last = 0;
  while (reader.next(event)) {
    if (event.offset < last) std::abort();
    last = event.offset;
    switch (event.kind) {
      case XmlEvent::Kind::start:
        open.emplace_back(event.name);
        reader.hold(0, event);
        out.text += "<" + open.back() + std::to_string(reader.place_of(event).byte_offset);
        for (const XmlAttribute& attribute : event.attributes)
          out.text.append(attribute.name).append("=").append(attribute.value);
        out.text += '>';
        break;
      case XmlEvent::Kind::end:
        if (open.empty() || open.back() != event.name) std::abort();
        open.pop_back();
        out.text.append("</>").append(reader.held(0, event.end_offset));
        break;
      case XmlEvent::Kind::text:
        out.text += event.text;
        break;
    }
  }
  out.problem = reader.problem();
  if (out.problem.empty() && !open.empty()) std::abort();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(bytes), size);
  const Outline whole = outline(file, 65536);
  const Outline pieces = outline(file, 3);
  if (whole.text != pieces.text || whole.problem != pieces.problem) std::abort();
  return 0;
}
