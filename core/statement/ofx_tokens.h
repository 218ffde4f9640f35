// OFX as it is found: SGML whose elements are not closed, XML, and what lies between. Tags are taken as they
// come; the text behind one is its value.
//
// Source: OFX 1.0.2 to 2.2, sections 1 and 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/statement/charset.h"
#include "core/statement/statement.h"
#include "core/statement/xml_input.h"

namespace pg_reconcile::core {

struct OfxToken {
  enum class Kind { open, close, value };  // <STMTTRN>, </STMTTRN>, <NAME>text
  Kind kind = Kind::open;
  std::string name;   // in capitals
  std::string value;  // in UTF-8; without outer white space
  bool valid = true;  // the value's bytes are text
  std::int64_t offset = 0;
  std::int64_t end_offset = 0;
};

class OfxTokens {
 public:
  static constexpr std::size_t token_bytes_max = 65536;

  OfxTokens(ByteSource& source, Interrupts& interrupts) : input_(source, interrupts) {}

  // False at the end, or when it can't be read on: then problem() says why.
  bool next(OfxToken& token);
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] std::int64_t bytes_read() const { return input_.bytes_read(); }

  RowPlace place_of(const OfxToken& token);
  // Text from here on stays reachable for text_between, until it is called with nullopt.
  void keep_from(std::optional<std::int64_t> offset) { kept_ = offset; }
  [[nodiscard]] std::string_view text_between(std::int64_t from, std::int64_t to) const;

 private:
  XmlInput input_;
  std::string problem_;
  bool preamble_read_ = false;
  std::int64_t position_ = 0;
  std::int64_t token_from_ = 0;
  std::optional<std::int64_t> kept_;
  std::optional<Charset> charset_;  // of values that are no UTF-8; nullopt: Windows-1252
  bool charset_known_ = true;

  std::optional<std::int64_t> find(std::string_view text, std::int64_t from);
  bool read_preamble();
  void read_charset(std::string_view preamble);
  bool read_tag(OfxToken& token);
  bool skip_markup();
  bool read_value(OfxToken& token);
  [[nodiscard]] std::string decoded(std::string_view bytes, bool& valid) const;
};

}  // namespace pg_reconcile::core
