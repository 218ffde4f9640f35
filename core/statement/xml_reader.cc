#include "core/statement/xml_reader.h"

#include <expat.h>

#include <algorithm>
#include <array>
#include <new>
#include <optional>
#include <unordered_set>
#include <vector>

#include "core/error.h"
#include "core/statement/charset.h"

namespace pg_reconcile::core {
namespace {

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string_view local_name(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

}  // namespace

struct XmlReader::Parser {
  // An event with its texts as places in `texts`, which moves while it grows.
  struct Noted {
    XmlEvent::Kind kind;
    std::string_view name;
    std::size_t text_from;
    std::size_t text_size;
    std::size_t attributes_from;
    std::size_t attributes_count;
    std::int64_t offset;
    std::int64_t end_offset;
  };
  struct NotedAttribute {
    std::string_view name;
    std::size_t from;
    std::size_t size;
  };
  struct Held {
    std::int64_t from = -1;
    std::string text;
  };

  XmlInput input;
  XmlLimits limits;
  XML_Parser expat;
  std::unordered_set<std::string> names;
  std::vector<Noted> events;
  std::size_t position = 0;
  std::string texts;
  std::vector<NotedAttribute> noted_attributes;
  std::vector<XmlAttribute> attributes;  // of the event handed out last
  std::array<Held, holds> held;
  std::string refusal;                         // why a callback stopped
  std::string failure;                         // why there will be no more events ...
  std::optional<std::int64_t> failure_offset;  // ... and where
  std::string problem;                         // the same, once all events are taken
  bool out_of_memory = false;
  bool ended = false;
  std::size_t depth = 0;
  bool behind_end = false;  // the last event was the end of an element
  std::int64_t fed = 0;
  std::int64_t unread = 0;  // where the token starts that no event has been made of

  Parser(ByteSource& source, Interrupts& interrupts, XmlLimits given)
      : input(source, interrupts), limits(given), expat(XML_ParserCreate("UTF-8")) {
    if (expat == nullptr) throw std::bad_alloc();
    XML_SetUserData(expat, this);
    XML_SetElementHandler(expat, on_start, on_end);
    XML_SetCharacterDataHandler(expat, on_text);
    XML_SetStartDoctypeDeclHandler(expat, on_doctype);
    XML_SetParamEntityParsing(expat, XML_PARAM_ENTITY_PARSING_NEVER);
  }
  ~Parser() { XML_ParserFree(expat); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // What expat calls. Nothing may be thrown into its frames.
  static void XMLCALL on_start(void* self, const XML_Char* name, const XML_Char** attributes) {
    static_cast<Parser*>(self)->note([&](Parser& parser) { parser.start(name, attributes); });
  }
  static void XMLCALL on_end(void* self, const XML_Char* name) {
    static_cast<Parser*>(self)->note([&](Parser& parser) { parser.end(name); });
  }
  static void XMLCALL on_text(void* self, const XML_Char* text, int size) {
    static_cast<Parser*>(self)->note([&](Parser& parser) {
      parser.text({text, static_cast<std::size_t>(size)});
    });
  }
  static void XMLCALL on_doctype(void* self, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    static_cast<Parser*>(self)->note([](Parser& parser) {
      parser.refuse("it declares a DTD, which could declare entities; no statement needs one");
    });
  }

  template <typename What>
  void note(What&& what) noexcept {
    if (!refusal.empty() || out_of_memory) return;
    try {
      what(*this);
    } catch (...) {  // a vector or a string that could not grow
      out_of_memory = true;
      XML_StopParser(expat, XML_FALSE);
    }
  }

  void refuse(std::string why) {
    refusal = std::move(why);
    XML_StopParser(expat, XML_FALSE);
  }

  std::string_view known(std::string_view name) {
    if (name.size() > limits.name_bytes_max) {
      refuse("it has a name of more than " + std::to_string(limits.name_bytes_max) + " bytes");
      return {};
    }
    const auto [at, is_new] = names.emplace(name);
    if (is_new && names.size() > limits.names_max) {
      refuse("it has more than " + std::to_string(limits.names_max) + " different names");
    }
    return *at;
  }

  void add(XmlEvent::Kind kind, std::string_view name) {
    const std::int64_t offset = XML_GetCurrentByteIndex(expat);
    events.push_back({kind, name, texts.size(), 0, noted_attributes.size(), 0, offset,
                      offset + XML_GetCurrentByteCount(expat)});
  }

  void start(std::string_view name, const XML_Char** given) {
    behind_end = false;
    if (++depth > limits.depth_max) {
      return refuse("its elements are nested more than " + std::to_string(limits.depth_max) + " deep");
    }
    if (XML_GetCurrentByteCount(expat) > static_cast<int>(limits.token_bytes_max)) {
      return refuse("it has a tag of more than " + std::to_string(limits.token_bytes_max) + " bytes");
    }
    add(XmlEvent::Kind::start, local_name(known(name)));
    for (; *given != nullptr && refusal.empty(); given += 2) {
      const std::string_view value = given[1];
      noted_attributes.push_back({known(given[0]), texts.size(), value.size()});
      texts += value;
      events.back().attributes_count++;
    }
  }

  void end(std::string_view name) {
    behind_end = true;
    depth--;
    add(XmlEvent::Kind::end, local_name(known(name)));
  }

  void text(std::string_view piece) {
    if (behind_end && is_blank(piece)) return;  // between elements
    behind_end = false;
    if (events.empty() || events.back().kind != XmlEvent::Kind::text) add(XmlEvent::Kind::text, {});
    texts += piece;
    events.back().text_size += piece.size();
  }

  // Said once the events before it have been taken: places are asked for in ascending order.
  void fail(std::string why) {
    failure = std::move(why);
    failure_offset = std::max<std::int64_t>(XML_GetErrorByteIndex(expat), 0);
  }

  void explain() {
    if (out_of_memory) throw std::bad_alloc();
    if (!refusal.empty()) {
      fail(refusal);
      return;
    }
    const XML_Error error = XML_GetErrorCode(expat);
    if (error == XML_ERROR_NO_MEMORY) throw std::bad_alloc();
    const bool torn = ended && (error == XML_ERROR_NO_ELEMENTS || error == XML_ERROR_UNCLOSED_TOKEN ||
                                error == XML_ERROR_UNCLOSED_CDATA_SECTION);
    fail(torn && depth > 0 ? "the file ends in the middle of the document"
                           : "it is no well-formed XML: " + std::string(XML_ErrorString(error)));
  }

  std::string explained() {
    if (!failure_offset) return failure;
    return "line " + std::to_string(input.place_of(*failure_offset).line) + ": " + failure;
  }

  // Makes events of the next piece of the file. False: there are no more.
  bool read_on() {
    events.clear();
    position = 0;
    texts.clear();
    noted_attributes.clear();
    while (events.empty() && !ended && failure.empty()) {
      const std::string_view piece = input.next(unread);
      if (piece.empty() && !input.problem().empty()) {  // what could be read goes first
        failure = input.problem();
        failure_offset.reset();
        break;
      }
      for (Held& hold : held) {
        if (hold.from >= 0)
          hold.text += piece.substr(0, held_bytes_max - std::min(held_bytes_max, hold.text.size()));
      }
      ended = piece.empty();
      fed += static_cast<std::int64_t>(piece.size());
      if (XML_Parse(expat, piece.data(), static_cast<int>(piece.size()), ended ? 1 : 0) != XML_STATUS_OK) {
        explain();
        break;
      }
      unread = std::clamp<std::int64_t>(XML_GetCurrentByteIndex(expat), unread, fed);
      if (fed - unread > static_cast<std::int64_t>(limits.token_bytes_max)) {
        fail("it has a tag or a comment of more than " + std::to_string(limits.token_bytes_max) + " bytes");
      }
    }
    return !events.empty();
  }
};

XmlReader::XmlReader(ByteSource& source, Interrupts& interrupts, XmlLimits limits)
    : parser_(std::make_unique<Parser>(source, interrupts, limits)) {}

XmlReader::~XmlReader() = default;

bool XmlReader::next(XmlEvent& event) {
  Parser& parser = *parser_;
  if (parser.position == parser.events.size() && !parser.read_on()) {
    if (parser.problem.empty()) parser.problem = parser.explained();
    return false;
  }
  const Parser::Noted& noted = parser.events[parser.position++];
  const std::string_view texts = parser.texts;
  event.kind = noted.kind;
  event.name = noted.name;
  event.text = texts.substr(noted.text_from, noted.text_size);
  event.offset = noted.offset;
  event.end_offset = noted.end_offset;
  parser.attributes.clear();
  for (std::size_t i = 0; i < noted.attributes_count; i++) {
    const auto& attribute = parser.noted_attributes[noted.attributes_from + i];
    parser.attributes.push_back({attribute.name, texts.substr(attribute.from, attribute.size)});
  }
  event.attributes = parser.attributes;
  return true;
}

const std::string& XmlReader::problem() const {
  return parser_->problem;
}

std::int64_t XmlReader::bytes_read() const {
  return parser_->input.bytes_read();
}

RowPlace XmlReader::place_of(const XmlEvent& event) {
  const XmlInput::Place place = parser_->input.place_of(event.offset);
  return {0, place.line, place.byte_offset};
}

void XmlReader::hold(std::size_t slot, const XmlEvent& event) {
  Parser::Held& hold = parser_->held[slot];
  hold.from = event.offset;
  hold.text = parser_->input.text_from(event.offset).substr(0, held_bytes_max);
}

std::string_view XmlReader::held(std::size_t slot, std::int64_t end_offset) const {
  const Parser::Held& hold = parser_->held[slot];
  if (hold.from < 0 || end_offset < hold.from) return {};
  return std::string_view(hold.text).substr(
      0, std::min(hold.text.size(), static_cast<std::size_t>(end_offset - hold.from)));
}

}  // namespace pg_reconcile::core
