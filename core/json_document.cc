#include "core/json_document.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <system_error>

#include <boost/json.hpp>

#include "core/error.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t depth_max = 32;
constexpr std::size_t shown_max = 60;

bool is_plain_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
  });
}

std::string member_path(const std::string& path, std::string_view key) {
  if (is_plain_key(key)) return path + "." + std::string(key);
  return path + "[" +
         boost::json::serialize(boost::json::value(boost::json::string_view(key.data(), key.size()))) + "]";
}

// Without an exponent, as people and jsonb write numbers. To be shown, never to be reckoned with.
std::string written_out(double number) {
  std::array<char, 400> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (end.ec != std::errc{}) return boost::json::serialize(boost::json::value(number));
  return {text.data(), end.ptr};
}

std::string or_list(std::initializer_list<std::string_view> words) {
  std::string text;
  std::size_t i = 0;
  for (std::string_view word : words) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += word;
    i++;
  }
  return text;
}

}  // namespace

struct JsonNode::Document {
  boost::json::value root;
  std::string subject;
  std::string guide;
};

JsonNode::JsonNode(std::shared_ptr<const Document> document, const boost::json::value* value,
                   std::string path)
    : document_(std::move(document)), value_(value), path_(std::move(path)) {}

JsonNode JsonNode::parse(std::string_view text, std::string_view subject, std::string_view guide) {
  auto document = std::make_shared<Document>();
  document->subject = std::string(subject);
  document->guide = std::string(guide);
  boost::json::parse_options options;
  options.max_depth = depth_max;
  boost::json::error_code error;
  document->root = boost::json::parse(boost::json::string_view(text.data(), text.size()), error, {}, options);
  if (error) {
    throw Error(sqlstate::invalid_parameter_value, "the " + document->subject + " is no JSON",
                error.message() + ": " + std::string(text.substr(0, shown_max)),
                "Give a JSON document; " + document->guide + " describes every word.");
  }
  const boost::json::value* root = &document->root;
  return JsonNode(std::move(document), root, "$");
}

bool JsonNode::is_object() const {
  return value_->is_object();
}
bool JsonNode::is_array() const {
  return value_->is_array();
}
bool JsonNode::is_text() const {
  return value_->is_string();
}
bool JsonNode::is_number() const {
  return value_->is_number();
}
bool JsonNode::is_boolean() const {
  return value_->is_bool();
}
bool JsonNode::is_null() const {
  return value_->is_null();
}

void JsonNode::fail(const std::string& problem) const {
  throw Error(sqlstate::invalid_parameter_value, "the " + document_->subject + " is not valid",
              "at " + path_ + ": " + problem, document_->guide + " describes every word, with examples.");
}

void JsonNode::expected(std::string_view what) const {
  std::string found = value_->is_double() ? written_out(value_->get_double()) : serialized();
  if (found.size() > shown_max) {
    std::size_t cut = shown_max;
    while (cut > 0 && (static_cast<unsigned char>(found[cut]) & 0xC0) == 0x80) cut--;
    found = found.substr(0, cut) + "...";
  }
  fail("expected " + std::string(what) + ", found " + found);
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  if (!value_->is_object()) expected("an object");
  const auto* found = value_->get_object().if_contains(boost::json::string_view(key.data(), key.size()));
  if (found == nullptr) return std::nullopt;
  return JsonNode(document_, found, member_path(path_, key));
}

JsonNode JsonNode::at(std::string_view key, std::string_view expected_there) const {
  auto found = find(key);
  if (!found) {
    JsonNode(document_, value_, member_path(path_, key))
        .fail("expected " + std::string(expected_there) + ", found nothing");
  }
  return *found;
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::members() const {
  if (!value_->is_object()) expected("an object");
  std::vector<std::pair<std::string, JsonNode>> list;
  for (const auto& member : value_->get_object()) {
    const std::string key(member.key().data(), member.key().size());
    list.emplace_back(key, JsonNode(document_, &member.value(), member_path(path_, key)));
  }
  return list;
}

void JsonNode::allow_only(std::initializer_list<std::string_view> keys) const {
  for (const auto& [key, node] : members()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      node.fail("unknown word; expected " + or_list(keys));
    }
  }
}

std::vector<JsonNode> JsonNode::items() const {
  if (!value_->is_array()) expected("an array");
  std::vector<JsonNode> list;
  std::size_t i = 0;
  for (const auto& item : value_->get_array()) {
    list.push_back(JsonNode(document_, &item, path_ + "[" + std::to_string(i++) + "]"));
  }
  return list;
}

std::string JsonNode::text() const {
  if (!value_->is_string()) expected("a text");
  const auto& text = value_->get_string();
  return std::string(text.data(), text.size());
}

bool JsonNode::boolean() const {
  if (!value_->is_bool()) expected("true or false");
  return value_->get_bool();
}

std::int64_t JsonNode::integer(std::int64_t least, std::int64_t most) const {
  const std::string range = "an integer from " + std::to_string(least) + " to " + std::to_string(most);
  const auto number = whole_number();
  if (!number || *number < least || *number > most) expected(range);
  return *number;
}

std::optional<std::int64_t> JsonNode::whole_number() const {
  if (!value_->is_int64()) return std::nullopt;
  return value_->get_int64();
}

std::vector<std::string> JsonNode::texts() const {
  if (value_->is_string()) return {text()};
  if (!value_->is_array()) expected("a text or an array of texts");
  std::vector<std::string> list;
  for (const JsonNode& item : items()) list.push_back(item.text());
  return list;
}

std::string JsonNode::text_in(std::initializer_list<std::string_view> words) const {
  if (value_->is_string()) {
    std::string word = text();
    if (std::find(words.begin(), words.end(), word) != words.end()) return word;
  }
  expected(or_list(words));
}

std::string JsonNode::scalar_text() const {
  if (value_->is_string()) return text();
  if (value_->is_int64()) return std::to_string(value_->get_int64());
  if (value_->is_bool()) return value_->get_bool() ? "true" : "false";
  expected("a text (amounts too: numbers with a fraction would pass through floating point)");
}

std::string JsonNode::serialized() const {
  return boost::json::serialize(*value_);
}

}  // namespace pg_reconcile::core
