// Where in a document a reader of events stands: the path below a chosen element, and the text of a leaf.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/mapping/expression.h"
#include "core/statement/xml_reader.h"

namespace pg_reconcile::core {

class XmlPath {
 public:
  static constexpr std::size_t text_bytes_max = 65536;  // of one leaf

  void start(const XmlEvent& event) {
    if (!levels_.empty()) levels_.back().has_child = true;
    levels_.push_back({path_.size(), false});
    if (!path_.empty()) path_ += '/';
    path_ += event.name;
    text_.clear();
    too_long_ = false;
  }
  void text(const XmlEvent& event) {
    const std::size_t room = text_bytes_max - text_.size();
    too_long_ = too_long_ || event.text.size() > room;
    text_ += event.text.substr(0, room);
  }
  // After the end of an element has been looked at.
  void end() {
    path_.resize(levels_.back().size_before);
    levels_.pop_back();
    text_.clear();
  }

  [[nodiscard]] std::size_t depth() const { return levels_.size(); }
  [[nodiscard]] bool is_leaf() const { return !levels_.back().has_child; }
  [[nodiscard]] bool too_long() const { return too_long_; }
  [[nodiscard]] std::string_view leaf_text() const { return mapping::trimmed(text_); }
  // The path below the element at `depth` (1: the root).
  [[nodiscard]] std::string_view below(std::size_t depth) const {
    if (depth >= levels_.size()) return {};
    return std::string_view(path_).substr(levels_[depth].size_before + 1);
  }

 private:
  struct Level {
    std::size_t size_before;  // of path_
    bool has_child;
  };
  std::string path_;
  std::vector<Level> levels_;
  std::string text_;
  bool too_long_ = false;
};

}  // namespace pg_reconcile::core
