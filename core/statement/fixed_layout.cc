#include "core/statement/fixed_layout.h"

#include <algorithm>
#include <cstdint>

#include "core/statement/format_document.h"

namespace pg_reconcile::core {
namespace {

constexpr std::int64_t field_width_max = 65536;

bool all_blank(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == ' '; });
}

std::string_view without_blanks(std::string_view text, FieldTrim trim) {
  if (trim == FieldTrim::none) return text;
  while (text.ends_with(' ')) text.remove_suffix(1);
  while (trim == FieldTrim::both && text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

}  // namespace

FieldTrim read_trim(const JsonNode& frame) {
  const auto trim = frame.find("trim");
  if (!trim) return FieldTrim::both;
  const std::string word = trim->text_in({"none", "right", "both"});
  if (word == "none") return FieldTrim::none;
  return word == "right" ? FieldTrim::right : FieldTrim::both;
}

FixedLayout FixedLayout::read(const JsonNode& node, char separator, FieldTrim trim, bool shorter) {
  FixedLayout layout;
  layout.separator_ = separator;
  layout.trim_ = trim;
  layout.shorter_ = shorter;
  for (const JsonNode& item : node.items()) {
    item.allow_only({"name", "width"});
    const auto width = static_cast<std::size_t>(
        item.at("width", "the field's width in bytes of the file").integer(1, field_width_max));
    if (layout.width_ > 0 && separator != '\0') layout.width_++;
    const auto name = item.find("name");
    layout.fields_.push_back({layout.width_, width, name.has_value()});
    layout.width_ += width;
    if (!name) continue;
    layout.names_.push_back(column_name(name->text()));
    if (layout.names_.back().empty() || layout.names_.back().starts_with('@')) {
      name->expected("a name that is not empty and does not start with @ (leave it out for filler)");
    }
    if (std::find(layout.names_.begin(), layout.names_.end() - 1, layout.names_.back()) !=
        layout.names_.end() - 1) {
      name->fail("this name comes twice");
    }
  }
  if (layout.names_.empty()) node.expected("at least one field with a name and a width");
  if (layout.width_ > width_max) node.fail("the widths add up to more than 1 MB");
  layout.buffers_.resize(layout.names_.size());
  return layout;
}

bool FixedLayout::check_width(const Line& line, std::string& reason) const {
  const std::size_t size = line.bytes.size();
  if (size == width_ || (size > width_ && all_blank(line.bytes.substr(width_)))) return true;
  if (size < width_ && shorter_) return true;
  reason = "has " + std::to_string(size) + " bytes where a record has " + std::to_string(width_);
  if (!line.terminated && size < width_) reason += ", and the file ends inside it";
  return false;
}

bool FixedLayout::cut(const Line& line, LineReader& lines, std::vector<RawField>& fields,
                      std::string& reason) {
  if (!check_width(line, reason)) return false;
  fields.clear();
  std::size_t named = 0;
  for (const Field& field : fields_) {
    const std::size_t end = field.start + field.width;
    if (separator_ != '\0' && end < width_ && end < line.bytes.size() && line.bytes[end] != separator_) {
      reason = "has no separator after byte " + std::to_string(end);
      return false;
    }
    if (!field.named) continue;
    const std::string& name = names_[named];
    std::string& buffer = buffers_[named++];
    if (field.start >= line.bytes.size()) {
      fields.push_back({name, std::nullopt});
      continue;
    }
    const auto text = lines.decode_part(line.bytes.substr(field.start, field.width), buffer);
    if (!text) {
      reason = name + " has bytes that are no valid text: are the widths counted in bytes?";
      return false;
    }
    fields.push_back({name, without_blanks(*text, trim_)});
  }
  return true;
}

}  // namespace pg_reconcile::core
