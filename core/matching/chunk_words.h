// Records of words in chunks: written by one process, read by another in the order they were written.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/matching/chunk.h"

namespace pg_reconcile::core {

class WordWriter {
 public:
  explicit WordWriter(ChunkStore& store) : store_(store) {}
  void word(std::uint64_t value) { words_.append(value, store_); }
  // Eight bytes a word; the reader has to know the length.
  void text(std::string_view bytes) {
    while (!bytes.empty()) {
      std::uint64_t value = 0;
      const std::size_t taken = std::min(bytes.size(), sizeof(value));
      std::memcpy(&value, bytes.data(), taken);
      word(value);
      bytes.remove_prefix(taken);
    }
  }
  ChunkReference finish() { return words_.finish(store_); }

 private:
  ChunkStore& store_;
  ChunkWriter<std::uint64_t> words_;
};

class WordReader {
 public:
  // Chunks are linked newest first.
  WordReader(ChunkStore& store, ChunkReference newest) : store_(store) {
    for (ChunkReference reference = newest; reference != 0;) {
      chunks_.push_back(reference);
      reference = store.read(reference)->next;
    }
  }
  bool at_end() { return next_ == words_.size() && !load(); }
  std::uint64_t take() {
    if (next_ == words_.size()) load();
    return words_[next_++];
  }
  std::string take_text(std::size_t bytes) {
    std::string text;
    text.reserve(bytes);
    while (text.size() < bytes) {
      const std::uint64_t value = take();
      text.append(reinterpret_cast<const char*>(&value), std::min(sizeof(value), bytes - text.size()));
    }
    return text;
  }

 private:
  bool load() {
    if (chunks_.empty()) return false;
    const Chunk* chunk = store_.read(chunks_.back());
    chunks_.pop_back();
    words_.resize(chunk->used / sizeof(std::uint64_t));
    std::memcpy(words_.data(), chunk->payload(), chunk->used);
    next_ = 0;
    return true;
  }

  ChunkStore& store_;
  std::vector<ChunkReference> chunks_;
  std::vector<std::uint64_t> words_;
  std::size_t next_ = 0;
};

}  // namespace pg_reconcile::core
