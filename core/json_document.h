// Reading a JSON document that a person wrote: every complaint names the path and says what was expected
// there.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

namespace pg_reconcile::core {

class JsonNode {
 public:
  // Parses `text`. `subject` ("mapping", "format") is what messages call the document, `guide` the page that
  // describes it. Throws core::Error 22023.
  static JsonNode parse(std::string_view text, std::string_view subject,
                        std::string_view guide = "docs/formats.md");

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_object() const;
  [[nodiscard]] bool is_array() const;
  [[nodiscard]] bool is_text() const;
  [[nodiscard]] bool is_number() const;
  [[nodiscard]] bool is_boolean() const;
  [[nodiscard]] bool is_null() const;

  // "at <path>: expected <expected>, found <what is there>".
  [[noreturn]] void expected(std::string_view what) const;
  // "at <path>: <problem>".
  [[noreturn]] void fail(const std::string& problem) const;

  // Objects. `members` come in the order of the text.
  [[nodiscard]] std::optional<JsonNode> find(std::string_view key) const;
  [[nodiscard]] JsonNode at(std::string_view key, std::string_view expected_there) const;
  [[nodiscard]] std::vector<std::pair<std::string, JsonNode>> members() const;
  void allow_only(std::initializer_list<std::string_view> keys) const;

  // Values.
  [[nodiscard]] std::vector<JsonNode> items() const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::int64_t integer(std::int64_t least, std::int64_t most) const;
  // nullopt for what is no number, has a fraction or an exponent, or needs more than 64 bits.
  [[nodiscard]] std::optional<std::int64_t> whole_number() const;
  [[nodiscard]] std::vector<std::string> texts() const;  // an array of texts, or one text
  [[nodiscard]] std::string text_in(std::initializer_list<std::string_view> words) const;
  [[nodiscard]] std::string scalar_text() const;  // a text, an integer or a boolean, as text

  [[nodiscard]] std::string serialized() const;

 private:
  struct Document;
  JsonNode(std::shared_ptr<const Document> document, const boost::json::value* value, std::string path);

  std::shared_ptr<const Document> document_;
  const boost::json::value* value_;
  std::string path_;
};

}  // namespace pg_reconcile::core
