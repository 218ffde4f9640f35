// The door through which entries come in: buffers, then writes a batch with its totals and changes in the
// caller's transaction. New entries go to their partitions directly (EntryWriter), updates and deletions
// through reconcile.prepare_entries and change_entries.
//
// An entry without an order key takes its source key for one. Within a buffer the operations on one source
// key are folded into one, so that what is written depends on the last state alone and the order among
// different keys does not matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/mapping/entry.h"
#include "extension/pg/entry_writer.h"

namespace pg_reconcile::pg {

class EntrySink {
 public:
  static constexpr std::size_t buffer_rows_max = 20000;
  static constexpr std::size_t buffer_bytes_max =
      67108864;  // rows may be long: 1 MB in a file, more in a stream

  // An entry that the tables can't take: unknown channel or account, a day outside the channel's life. The
  // caller quarantines it.
  struct Refused {
    std::string source_key;
    std::string reason;
    std::size_t row;  // what the caller called the row: of several operations on the key, the last one's
  };

  EntrySink(std::int32_t source_id, std::optional<std::int64_t> statement_id);

  // Replays change nothing: a source key that the month already holds is left as it is.
  void insert(std::string_view source_key, const core::Entry& entry, std::size_t row = 0);
  // Supersedes what is stored under the key; stores it when there is nothing.
  void update(std::string_view source_key, const core::Entry& entry, std::size_t row = 0);
  void remove(std::string_view source_key);

  [[nodiscard]] std::size_t buffered() const { return buffered_; }
  // Writes what is buffered. Returns how many entries changed since the last call of flush().
  std::uint64_t flush();
  // What was refused since the last call; complete after flush().
  std::vector<Refused> take_refused();

 private:
  enum class Operation : char { insert = 'I', update = 'U', remove = 'D', nothing = '-' };
  struct Buffered {
    Operation operation = Operation::nothing;
    std::size_t hash = 0;
    std::string source_key;
    core::Entry entry;
    std::size_t row = 0;
  };

  Buffered& slot(std::string_view source_key, Operation& previous);
  void index(std::size_t position);
  void hold(Buffered& buffered, Operation operation, const core::Entry& entry, std::size_t row);
  void write();
  void write_inserts();
  void write_changes();

  std::int32_t source_id_;
  std::optional<std::int64_t> statement_id_;
  EntryWriter writer_;
  std::vector<Buffered> operations_;
  std::size_t buffered_ = 0;  // the first so many of operations_; what follows waits to be used again
  // An open-addressing table of positions, from 1, by the keys' hashes; a power of two, at most half full.
  std::vector<std::uint32_t> places_ = std::vector<std::uint32_t>(64);
  std::size_t bytes_ = 0;       // of the texts taken in since the last write
  std::size_t kept_bytes_ = 0;  // at most what operations_ hold of earlier batches
  std::vector<Refused> refused_;
  std::uint64_t changed_ = 0;
};

}  // namespace pg_reconcile::pg
