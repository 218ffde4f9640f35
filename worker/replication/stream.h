// The stream after the initial copy: receive, apply, store the position with the data, confirm what is
// stored.
#pragma once

#include <cstdint>
#include <optional>

#include "core/mapping/entry.h"
#include "worker/local_source.h"
#include "worker/replication/change_applier.h"
#include "worker/replication/connection.h"
#include "worker/replication/message_queue.h"
#include "worker/replication/slot.h"

namespace pg_reconcile::worker {

class Stream {
 public:
  // `stored`: where the stream goes on. The queries' connection is asked for the source's clock while it is
  // idle.
  Stream(Connection& replication, Connection& queries, const SourceConfiguration& source,
         const RemoteSystem& system, ChangeApplier& applier, core::Lsn stored);

  // Never returns: ends by an error, or with the process.
  [[noreturn]] void run();

 private:
  // What the source's clock said while its WAL ended at `lsn`: when everything up to there has been received
  // and applied, nothing that was committed before `time` is missing here.
  struct Horizon {
    core::Lsn lsn;
    core::TimestampTz time;
  };

  static constexpr std::int64_t idle_store_ms = 1'000;    // how fresh source_time is while nothing happens
  static constexpr std::int64_t status_ms = 10'000;       // the server hears of us at least so often
  static constexpr std::int64_t pulse_ms = 5'000;         // the same, in the middle of a long batch
  static constexpr std::int64_t silence_ms_max = 60'000;  // then the connection is taken as dead
  static constexpr std::size_t batch_messages_max = 20'000;
  static constexpr std::size_t batch_bytes_max = 16u << 20;

  bool receive_some();
  void handle(std::string_view frame);
  void apply_complete();
  void apply_oversized();
  void finish();
  [[noreturn]] static void fail_silent();
  void rest_if_due();
  void ask_source_clock();
  void store_idle_position();
  void send_status(bool reply_requested);
  core::Lsn caught_up() const;
  std::optional<core::TimestampTz> source_time_now();

  Connection& replication_;
  Connection& queries_;
  const SourceConfiguration& source_;
  const RemoteSystem& system_;
  ChangeApplier& applier_;
  MessageQueue queue_;
  core::Lsn stored_;
  core::Lsn received_;                       // the newest position that the server has announced
  core::Lsn announced_ = core::invalid_lsn;  // by a keepalive between transactions: all before it has arrived
  core::Lsn applied_commit_ = core::invalid_lsn;  // end of the newest transaction in the current batch
  std::optional<core::TimestampTz> commit_time_;  // of the newest transaction in the current batch
  std::optional<core::TimestampTz> stored_time_;
  std::optional<Horizon> horizon_;
  std::int64_t last_frame_ms_;
  std::int64_t last_status_ms_ = 0;
  std::int64_t last_idle_ms_ = 0;
};

}  // namespace pg_reconcile::worker
