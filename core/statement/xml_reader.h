// XML as a stream of events, in bounded memory: a piece of the file at a time, no DTD, no entity beyond the
// five, no network, no tree.
//
// Expat calls back from C, so the callbacks only note what there was in a piece; the events are handed out
// afterwards, and nobody's exception has to cross a C frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/statement/statement.h"
#include "core/statement/xml_input.h"

namespace pg_reconcile::core {

struct XmlLimits {
  std::size_t depth_max = 64;
  std::size_t names_max = 4096;  // different names of elements and attributes
  std::size_t name_bytes_max = 256;
  std::size_t token_bytes_max = 262144;  // one tag with its attributes, one comment
};

struct XmlAttribute {
  std::string_view name;
  std::string_view value;
};

// Views live until the next call of XmlReader::next, names as long as the reader.
struct XmlEvent {
  enum class Kind { start, end, text };
  Kind kind = Kind::text;
  std::string_view name;  // without namespace prefix
  std::string_view text;  // a piece of it: more may follow
  std::span<const XmlAttribute> attributes;
  std::int64_t offset = 0;      // in the text: for place_of and hold
  std::int64_t end_offset = 0;  // behind the tag
};

class XmlReader {
 public:
  // A record that turns out to be bad is shown by its start.
  static constexpr std::size_t held_bytes_max = 4096;
  static constexpr std::size_t holds = 2;

  XmlReader(ByteSource& source, Interrupts& interrupts, XmlLimits limits = {});
  ~XmlReader();
  XmlReader(const XmlReader&) = delete;
  XmlReader& operator=(const XmlReader&) = delete;

  // False at the end of the document, or when it can't be read on: then problem() says why.
  bool next(XmlEvent& event);
  [[nodiscard]] const std::string& problem() const;
  [[nodiscard]] std::int64_t bytes_read() const;

  // Line and byte of an event. Asked for in ascending order.
  RowPlace place_of(const XmlEvent& event);

  // Remembers the text from the event on, in one of `holds` slots; held() is its start, up to `end_offset`.
  void hold(std::size_t slot, const XmlEvent& event);
  [[nodiscard]] std::string_view held(std::size_t slot, std::int64_t end_offset) const;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace pg_reconcile::core
