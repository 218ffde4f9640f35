#include "core/statement/csv_splitter.h"

namespace pg_reconcile::core {

bool CsvSplitter::is_open(std::string_view text) const {
  if (shape_.quote == '\0') return false;
  bool at_start = true;
  bool open = false;
  for (std::size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (open) {
      if (c != shape_.quote) continue;
      if (i + 1 < text.size() && text[i + 1] == shape_.quote) {
        i++;
      } else {
        open = false;
      }
      continue;
    }
    if (c == shape_.quote && at_start) open = true;
    at_start = c == shape_.separator;
  }
  return open;
}

bool CsvSplitter::split_plain(std::string_view text, std::string& problem) {
  std::size_t i = 0;
  for (;;) {
    if (fields_.size() == fields_max) {
      problem = "has more than 4096 values";
      return false;
    }
    starts_.push_back(i);
    if (shape_.quote != '\0' && i < text.size() && text[i] == shape_.quote) {
      std::size_t from = ++i;
      std::string* joined = nullptr;
      for (;;) {
        const std::size_t quote = text.find(shape_.quote, i);
        if (quote == std::string_view::npos) {
          problem = "has a quoted value that never ends";
          return false;
        }
        if (quote + 1 >= text.size() || text[quote + 1] != shape_.quote) {
          if (joined != nullptr) joined->append(text.substr(from, quote - from));
          fields_.push_back(joined != nullptr ? std::string_view(*joined) : text.substr(from, quote - from));
          i = quote + 1;
          break;
        }
        if (joined == nullptr) joined = &unescaped_.emplace_back();
        joined->append(text.substr(from, quote + 1 - from));
        from = i = quote + 2;
      }
      if (i < text.size() && text[i] != shape_.separator) {
        problem = "has text after the end of a quoted value";
        return false;
      }
    } else {
      const std::size_t end = std::min(text.find(shape_.separator, i), text.size());
      fields_.push_back(text.substr(i, end - i));
      i = end;
    }
    if (i >= text.size()) return true;
    i++;  // the separator; at the very end of the text it opens one more, empty value
  }
}

// A separator counts only where the prefix follows: a bare comma inside a value does not.
bool CsvSplitter::split_prefixed(std::string_view text) {
  const std::string boundary = shape_.separator + shape_.prefix;
  std::size_t i = 0;
  for (;;) {
    if (fields_.size() == fields_max) return false;
    starts_.push_back(i);
    const std::size_t from = i + shape_.prefix.size();
    const std::size_t end = std::min(text.find(boundary, from), text.size());
    fields_.push_back(text.substr(from, end - from));
    if (end == text.size()) return true;
    i = end + 1;
  }
}

const std::vector<std::string_view>* CsvSplitter::split(std::string_view text, std::string& problem) {
  fields_.clear();
  starts_.clear();
  unescaped_.clear();
  if (!shape_.prefix.empty() && text.starts_with(shape_.prefix)) {
    if (split_prefixed(text)) return &fields_;
    problem = "has more than 4096 values";
    return nullptr;
  }
  return split_plain(text, problem) ? &fields_ : nullptr;
}

void CsvSplitter::rejoin(std::string_view text, std::size_t width, std::size_t free_text) {
  const std::size_t surplus = fields_.size() - width;
  const std::size_t last = free_text + surplus;
  const bool prefixed = !shape_.prefix.empty() && text.starts_with(shape_.prefix);
  const std::size_t from = starts_[free_text] + (prefixed ? shape_.prefix.size() : 0);
  const std::size_t end = last + 1 < starts_.size() ? starts_[last + 1] - 1 : text.size();
  fields_[free_text] = text.substr(from, end - from);
  const auto first = fields_.begin() + static_cast<std::ptrdiff_t>(free_text) + 1;
  fields_.erase(first, first + static_cast<std::ptrdiff_t>(surplus));
}

}  // namespace pg_reconcile::core
