// Messages of the stream that have arrived and are not applied: whole source transactions, and perhaps the
// beginning of one more.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pg_reconcile::worker {

class MessageQueue {
 public:
  void push(std::string_view message) {
    bytes_.append(message);
    ends_.push_back(bytes_.size());
    if (message.empty()) return;
    if (message.front() == 'B') in_transaction_ = true;
    if (message.front() == 'C') {
      in_transaction_ = false;
      complete_ = ends_.size();
    }
  }

  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_.size(); }
  // Messages that belong to transactions whose commit has arrived.
  [[nodiscard]] std::size_t complete() const { return complete_; }
  // A begin has arrived and its commit has not.
  [[nodiscard]] bool in_transaction() const { return in_transaction_; }

  [[nodiscard]] std::string_view operator[](std::size_t i) const {
    const std::size_t start = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(start, ends_[i] - start);
  }

  // Forgets the first `count` messages.
  void drop(std::size_t count) {
    if (count == 0) return;
    const std::size_t start = ends_[count - 1];
    bytes_.erase(0, start);
    ends_.erase(ends_.begin(), ends_.begin() + static_cast<std::ptrdiff_t>(count));
    for (std::size_t& end : ends_) end -= start;
    complete_ = complete_ > count ? complete_ - count : 0;
  }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
  std::size_t complete_ = 0;
  bool in_transaction_ = false;
};

}  // namespace pg_reconcile::worker
