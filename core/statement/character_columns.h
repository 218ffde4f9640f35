// A line of fixed columns, counted in characters: a bank's Latin-1 is UTF-8 here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pg_reconcile::core {

class CharacterColumns {
 public:
  // `width`: how many columns a line has. Blanks at its end may be missing, and blanks behind it don't count.
  explicit CharacterColumns(std::size_t width) : width_(width) {}

  // False: something stands behind the last column, or the line has fewer than `least` columns. `text` must
  // outlive the use.
  bool take(std::string_view text, std::size_t least);
  // Columns `first` to `last`, counted from 1 as the formats' documents do; shorter where the line ends.
  [[nodiscard]] std::string_view raw(std::size_t first, std::size_t last) const;
  // Without outer blanks.
  [[nodiscard]] std::string_view at(std::size_t first, std::size_t last) const;
  [[nodiscard]] char at(std::size_t column) const;  // ' ' for what is missing or no ASCII
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::size_t width_;
  std::string_view text_;
  std::size_t size_ = 0;
  bool ascii_ = true;
  std::vector<std::size_t> starts_;  // of every character, and the end; empty for ASCII
};

}  // namespace pg_reconcile::core
