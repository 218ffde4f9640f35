// The texts of an element's leaves, named by their paths: "Refs/EndToEndId", "Amt", "Amt@Ccy".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pg_reconcile::core {

class XmlLeaves {
 public:
  static constexpr std::size_t leaves_max = 500;
  static constexpr std::size_t bytes_max = 262144;

  void clear() {
    leaves_.clear();
    bytes_ = 0;
    overflow_ = false;
  }

  // A leaf that comes again is joined to the first with a line end.
  void add(std::string_view path, std::string_view text) {
    if (leaves_.size() >= leaves_max || bytes_ + path.size() + text.size() > bytes_max) {
      overflow_ = true;
      return;
    }
    bytes_ += path.size() + text.size() + 1;
    for (auto& [known, value] : leaves_) {
      if (known != path) continue;
      value += '\n';
      value += text;
      return;
    }
    leaves_.emplace_back(path, text);
  }

  // "" where there is no such leaf.
  [[nodiscard]] std::string_view find(std::string_view path) const {
    for (const auto& [known, value] : leaves_) {
      if (known == path) return value;
    }
    return {};
  }
  [[nodiscard]] std::string_view first_of(std::initializer_list<std::string_view> paths) const {
    for (std::string_view path : paths) {
      const std::string_view value = find(path);
      if (!value.empty()) return value;
    }
    return {};
  }

  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const { return leaves_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] bool overflow() const { return overflow_; }

 private:
  std::vector<std::pair<std::string, std::string>> leaves_;
  std::size_t bytes_ = 0;
  bool overflow_ = false;
};

}  // namespace pg_reconcile::core
