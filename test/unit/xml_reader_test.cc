// XML as events: every encoding that banks declare, torn files, and what is built to hurt a parser.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "core/statement/xml_reader.h"

using namespace pg_reconcile::core;

namespace {

struct Outline {
  std::string text;  // <a x=1>[text]</a>
  std::string problem;
};

Outline outline(const std::string& bytes, std::size_t chunk = 65536, XmlLimits limits = {}) {
  MemorySource source(bytes, chunk);
  NoInterrupts interrupts;
  XmlReader reader(source, interrupts, limits);
  Outline out;
  XmlEvent event;
  bool in_text = false;
  while (reader.next(event)) {
    if (event.kind != XmlEvent::Kind::text && in_text) {
      out.text += "]";
      in_text = false;
    }
    switch (event.kind) {
      case XmlEvent::Kind::start:
        out.text += "<" + std::string(event.name);
        for (const XmlAttribute& attribute : event.attributes)
          out.text += " " + std::string(attribute.name) + "=" + std::string(attribute.value);
        out.text += ">";
        break;
      case XmlEvent::Kind::end:
        out.text += "</" + std::string(event.name) + ">";
        break;
      case XmlEvent::Kind::text:
        if (!in_text) out.text += "[";
        in_text = true;
        out.text += event.text;
        break;
    }
  }
  out.problem = reader.problem();
  return out;
}

// Bytes without end, made as they are asked for.
class Endless final : public ByteSource {
 public:
  Endless(std::string start, std::function<std::string()> more, std::int64_t bytes_max)
      : rest_(std::move(start)), more_(std::move(more)), left_(bytes_max) {}
  std::size_t read(std::span<char> into) override {
    while (rest_.size() < into.size() && left_ > 0) {
      const std::string more = more_();
      rest_ += more;
      left_ -= static_cast<std::int64_t>(more.size());
    }
    const std::size_t count = std::min(rest_.size(), into.size());
    std::copy_n(rest_.begin(), count, into.begin());
    rest_.erase(0, count);
    handed_out += static_cast<std::int64_t>(count);
    return count;
  }
  std::int64_t handed_out = 0;

 private:
  std::string rest_;
  std::function<std::string()> more_;
  std::int64_t left_;
};

std::string problem_of(ByteSource& source) {
  NoInterrupts interrupts;
  XmlReader reader(source, interrupts);
  XmlEvent event;
  while (reader.next(event)) {
  }
  return reader.problem();
}

std::string wide(const std::string& ascii, bool big) {
  std::string out;
  for (char c : ascii) {
    if (big) out += '\0';
    out += c;
    if (!big) out += '\0';
  }
  return out;
}

}  // namespace

TEST_CASE("xml: elements, attributes, the five entities, CDATA; prefixes are gone") {
  const std::string document =
      "\n <?xml version=\"1.0\"?>\n<n:a xmlns:n=\"urn:x\" k=\"1 &lt; 2\">\n <b>x &amp; &#228; "
      "<![CDATA[<y>]]></b>"
      "\n <c/><!-- no --><d> </d></n:a>\n";
  const std::string expected = "<a xmlns:n=urn:x k=1 < 2>[\n ]<b>[x & \xC3\xA4 <y>]</b><c></c><d>[ ]</d></a>";
  for (std::size_t chunk : {1U, 2U, 7U, 65536U}) {
    const Outline read = outline(document, chunk);
    CHECK(read.text == expected);
    CHECK(read.problem.empty());
  }
}

TEST_CASE("xml: the encoding that the document declares, or that its first bytes show") {
  const auto declared = [](const std::string& name, const std::string& text) {
    return outline("<?xml version='1.0' encoding='" + name + "'?><a>" + text + "</a>", 3);
  };
  CHECK(declared("utf-8", "\xC3\xA9").text == "<a>[\xC3\xA9]</a>");
  CHECK(declared("ISO-8859-1", "\xE9").text == "<a>[\xC3\xA9]</a>");
  CHECK(declared("windows-1252", "\x80").text == "<a>[\xE2\x82\xAC]</a>");
  CHECK(declared("GB18030", "\xD6\xD0\x81\x30\x81\x30").text == "<a>[\xE4\xB8\xAD\xC2\x80]</a>");
  CHECK(declared("gbk", "\xD6\xD0").text == "<a>[\xE4\xB8\xAD]</a>");
  CHECK(declared("UTF-16", "x").text == "<a>[x]</a>");
  const std::string wide_document = "<?xml version='1.0' encoding='UTF-16'?><a>x</a>";
  CHECK(outline("\xFF\xFE" + wide(wide_document, false), 3).text == "<a>[x]</a>");
  CHECK(outline("\xFE\xFF" + wide(wide_document, true), 3).text == "<a>[x]</a>");
  CHECK(outline(wide(wide_document, false)).text == "<a>[x]</a>");
  CHECK(outline("\xEF\xBB\xBF<a>x</a>").text == "<a>[x]</a>");
  CHECK(declared("UTF-7", "x").problem == "it declares the encoding UTF-7, which is not known here");
  CHECK(declared("ISO-2022-CN-EXT", "x").problem ==
        "it declares the encoding ISO-2022-CN-EXT, which is not known here");
  CHECK(declared("utf-8", "\xE9").problem ==
        "line 1: it is no well-formed XML: not well-formed (invalid token)");
  CHECK(declared("gb18030", "\xFF").problem == "byte 43 is no valid text in the encoding GB18030");
}

TEST_CASE("xml: a bad record is found by its line, its byte and its text") {
  const std::string before = "<a>\n  \xE9\n  ";
  for (const std::string& head : {std::string("<?xml version='1.0' encoding='latin1'?>"), std::string()}) {
    const std::string start = head.empty() ? "<a>\n  \xC3\xA9\n  " : head + before;
    const std::string document = start + "<b>one</b> <b>two</b></a>";
    for (std::size_t chunk : {1U, 5U, 65536U}) {
      MemorySource source(document, chunk);
      NoInterrupts interrupts;
      XmlReader reader(source, interrupts);
      XmlEvent event;
      RowPlace place;
      std::string held;
      while (reader.next(event)) {
        if (event.name != "b") continue;
        if (event.kind == XmlEvent::Kind::start) {
          reader.hold(0, event);
          if (held.empty()) place = reader.place_of(event);
        } else if (event.kind == XmlEvent::Kind::end) {
          held += reader.held(0, event.end_offset);
        }
      }
      CHECK(reader.problem().empty());
      CHECK(place.line == 3);
      CHECK(place.byte_offset == static_cast<std::int64_t>(start.size()));
      CHECK(held == "<b>one</b><b>two</b>");
    }
  }
}

TEST_CASE("xml: what is torn or no XML is said") {
  CHECK(outline("").problem == "line 1: it is no well-formed XML: no element found");
  CHECK(outline("order;amount\n1;2\n").problem ==
        "line 1: it is no well-formed XML: not well-formed (invalid token)");
  CHECK(outline("<a>\n<b>x</b>\n").problem == "line 3: the file ends in the middle of the document");
  CHECK(outline("<a>\n<b").problem == "line 2: the file ends in the middle of the document");
  CHECK(outline("<a>\n<b>x</c></a>").problem == "line 2: it is no well-formed XML: mismatched tag");
  CHECK(outline("<a/><a/>").problem == "line 1: it is no well-formed XML: junk after document element");
  CHECK(outline("<a>&euro;</a>").problem == "line 1: it is no well-formed XML: undefined entity");
}

TEST_CASE("xml: entity bombs, external entities and DTDs are refused") {
  const std::string refused = "it declares a DTD, which could declare entities; no statement needs one";
  std::string laughs = "<!DOCTYPE l [<!ENTITY a \"ha\">";
  for (char c = 'b'; c < 'l'; c++) {
    laughs += std::string("<!ENTITY ") + c + " \"";
    for (int i = 0; i < 10; i++) laughs += std::string("&") + static_cast<char>(c - 1) + ";";
    laughs += "\">";
  }
  CHECK(outline(laughs + "]><l>&k;</l>").problem == "line 1: " + refused);
  CHECK(outline("<!DOCTYPE a [<!ENTITY x \"" + std::string(100000, 'x') + "\">]><a>&x;&x;</a>").problem ==
        "line 1: " + refused);
  CHECK(outline("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>").problem ==
        "line 1: " + refused);
  CHECK(outline("<!DOCTYPE a SYSTEM \"http://127.0.0.1/x.dtd\"><a/>").problem == "line 1: " + refused);
}

TEST_CASE("xml: depth, names, tags and comments have bounds, and reading stops there") {
  const std::int64_t hundred_megabytes = 100000000;
  Endless deep(
      "", [] { return std::string("<a>"); }, hundred_megabytes);
  CHECK(problem_of(deep) == "line 1: its elements are nested more than 64 deep");
  int n = 0;
  Endless named(
      "<a>", [&] { return "<n" + std::to_string(n++) + "/>"; }, hundred_megabytes);
  CHECK(problem_of(named) == "line 1: it has more than 4096 different names");
  Endless comment(
      "<a><!--", [] { return std::string(1000, 'x'); }, hundred_megabytes);
  CHECK(problem_of(comment) == "line 1: it has a tag or a comment of more than 262144 bytes");
  Endless tag(
      "<a x='", [] { return std::string(1000, 'x'); }, hundred_megabytes);
  CHECK(problem_of(tag) == "line 1: it has a tag or a comment of more than 262144 bytes");
  Endless name(
      "<", [] { return std::string(1000, 'x'); }, hundred_megabytes);
  CHECK(problem_of(name) == "line 1: it has a tag or a comment of more than 262144 bytes");
  for (const Endless* source : {&deep, &named, &comment, &tag, &name}) CHECK(source->handed_out < 1000000);
}

TEST_CASE("xml: text without end comes in pieces") {
  Endless text(
      "<a>", [] { return std::string(32768, 'x'); }, 50000000);
  NoInterrupts interrupts;
  XmlReader reader(text, interrupts);
  XmlEvent event;
  std::size_t longest = 0;
  while (reader.next(event)) longest = std::max(longest, event.text.size());
  CHECK(reader.problem() == "line 1: the file ends in the middle of the document");
  CHECK(longest <= 65536);
}
