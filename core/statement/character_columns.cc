#include "core/statement/character_columns.h"

#include <algorithm>

#include "core/mapping/expression.h"
#include "core/statement/charset.h"

namespace pg_reconcile::core {

bool CharacterColumns::take(std::string_view text, std::size_t least) {
  const std::size_t last = text.find_last_not_of(" \t\r\x1a");
  text_ = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
  ascii_ = is_ascii(text_);
  starts_.clear();
  size_ = text_.size();
  if (!ascii_) {
    for (std::size_t i = 0; i < text_.size(); i++) {
      if ((static_cast<unsigned char>(text_[i]) & 0xC0U) != 0x80U) starts_.push_back(i);
    }
    size_ = starts_.size();
    starts_.push_back(text_.size());
  }
  return size_ >= least && size_ <= width_;
}

std::string_view CharacterColumns::raw(std::size_t first, std::size_t last) const {
  const std::size_t from = std::min(first - 1, size_);
  const std::size_t to = std::min(last, size_);
  if (ascii_) return text_.substr(from, to - from);
  return text_.substr(starts_[from], starts_[to] - starts_[from]);
}

std::string_view CharacterColumns::at(std::size_t first, std::size_t last) const {
  return mapping::trimmed(raw(first, last));
}

char CharacterColumns::at(std::size_t column) const {
  const std::string_view text = raw(column, column);
  return text.size() == 1 ? text[0] : ' ';
}

}  // namespace pg_reconcile::core
