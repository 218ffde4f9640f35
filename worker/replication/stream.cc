#include "worker/replication/stream.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <variant>

#include "core/error.h"
#include "core/protocol/replication_frame.h"
#include "extension/pg/background.h"

extern "C" {
#include <utils/timestamp.h>
}

namespace pg_reconcile::worker {

Stream::Stream(Connection& replication, Connection& queries, const SourceConfiguration& source,
               const RemoteSystem& system, ChangeApplier& applier, core::Lsn stored)
    : replication_(replication),
      queries_(queries),
      source_(source),
      system_(system),
      applier_(applier),
      stored_(stored),
      received_(stored),
      last_frame_ms_(pg::now_ms()) {
  applier_.on_pulse([this] {
    pg::check_for_interrupts();
    if (pg::now_ms() - last_status_ms_ >= pulse_ms) send_status(false);
  });
}

void Stream::run() {
  for (;;) {
    const bool drained = receive_some();
    if (queue_.complete() > 0) {
      apply_complete();
    } else if (!drained) {
      apply_oversized();
    }
    rest_if_due();
    // Also when there is more to read: signals are answered here.
    replication_.wait_readable(drained ? idle_store_ms : 0);
  }
}

// Reads what has arrived, up to a batch. Returns whether that was all.
bool Stream::receive_some() {
  while (const auto frame = replication_.receive()) {
    handle(*frame);
    if (queue_.size() >= batch_messages_max || queue_.bytes() >= batch_bytes_max) return false;
  }
  return true;
}

void Stream::handle(std::string_view bytes) {
  last_frame_ms_ = pg::now_ms();
  const core::ReplicationFrame frame = core::decode_replication_frame(bytes);
  if (const auto* data = std::get_if<core::XLogData>(&frame)) {
    received_ = std::max(received_, data->end);
    queue_.push(data->payload);
    return;
  }
  const auto& keepalive = std::get<core::Keepalive>(frame);
  received_ = std::max(received_, keepalive.end);
  // Inside a transaction the server's word is about what it has read, not about what it has sent.
  if (!queue_.in_transaction()) announced_ = std::max(announced_, keepalive.end);
  if (keepalive.reply_requested) send_status(false);
}

// Everything before this position is applied, once the complete part of the queue is.
core::Lsn Stream::caught_up() const {
  return std::max({stored_, applied_commit_, announced_});
}

std::optional<core::TimestampTz> Stream::source_time_now() {
  if (!horizon_ || caught_up() < horizon_->lsn) return std::nullopt;
  return horizon_->time;
}

// The end of every batch, in its transaction: entries, quarantine, position and progress become durable
// together.
void Stream::finish() {
  Progress progress;
  applier_.finish_batch(progress);
  progress.received = received_;
  progress.lag_bytes = static_cast<std::int64_t>(received_ - std::min(received_, caught_up()));
  std::optional<core::TimestampTz> time = source_time_now();
  if (commit_time_ && (!time || *commit_time_ > *time)) time = commit_time_;
  pg::Spi spi;
  store_position(spi, source_, {caught_up(), time, system_.identifier, system_.timeline});
  store_progress(spi, source_.id, progress);
}

void Stream::apply_complete() {
  const std::size_t count = queue_.complete();
  pg::in_transaction("applying changes", [&] {
    applier_.begin_batch();
    for (std::size_t i = 0; i < count; i++) {
      if ((i & 1023) == 1023) pg::check_for_interrupts();
      if (const auto commit = applier_.apply(queue_[i])) {
        applied_commit_ = commit->end_lsn;
        commit_time_ = commit->commit_time;
      }
    }
    finish();
  });
  queue_.drop(count);
  stored_ = caught_up();
  last_frame_ms_ = pg::now_ms();
  send_status(false);
}

// A source transaction that is larger than a batch: applied as it arrives, in one transaction of ours that
// stays open while we wait for the rest. The only wait of the stream with a transaction open; the memory is
// the sink's.
void Stream::apply_oversized() {
  pg::in_transaction("applying a large transaction", [&] {
    applier_.begin_batch();
    bool committed = false;
    while (!committed) {
      const std::size_t count = queue_.complete() > 0 ? queue_.complete() : queue_.size();
      for (std::size_t i = 0; i < count; i++) {
        if (const auto commit = applier_.apply(queue_[i])) {
          applied_commit_ = commit->end_lsn;
          commit_time_ = commit->commit_time;
          committed = true;
        }
      }
      queue_.drop(count);
      if (committed) break;
      last_frame_ms_ = pg::now_ms();
      if (pg::now_ms() - last_status_ms_ >= idle_store_ms) send_status(true);
      if (receive_some()) replication_.wait_readable(idle_store_ms);
      if (pg::now_ms() - last_frame_ms_ > silence_ms_max) fail_silent();
    }
    finish();
  });
  stored_ = caught_up();
  last_frame_ms_ = pg::now_ms();
  send_status(false);
}

void Stream::fail_silent() {
  throw core::Error(core::sqlstate::connection_failure, "the source's server has been silent for too long",
                    "Nothing came for " + std::to_string(silence_ms_max / 1000) + " s, although asked.",
                    "The worker connects again by itself.");
}

void Stream::rest_if_due() {
  const std::int64_t now = pg::now_ms();
  if (now - last_frame_ms_ > silence_ms_max) fail_silent();
  if (queue_.size() == 0 && now - last_idle_ms_ >= idle_store_ms) {
    last_idle_ms_ = now;
    store_idle_position();
    ask_source_clock();
    send_status(true);  // its keepalive says how far it has read
  } else if (now - last_status_ms_ >= status_ms) {
    send_status(true);
  }
}

// The keepalive alone does not prove that the source has nothing more before its time: the server may be busy
// reading WAL that others have written since. So its clock is read together with the end of its WAL, and the
// time counts when the stream has come that far.
void Stream::ask_source_clock() {
  if (horizon_ && !source_time_now()) return;  // a goal that moves is never reached
  const Rows rows = queries_.query(
      "SELECT ((extract(epoch FROM pg_catalog.clock_timestamp()) - 946684800) * 1000000)::int8::text,"
      " pg_catalog.pg_current_wal_flush_lsn()::text");
  const std::string& time_text = rows.text(0, 0);
  core::TimestampTz time = 0;
  std::from_chars(time_text.data(), time_text.data() + time_text.size(), time);
  const auto lsn = core::parse_lsn(rows.text(0, 1));
  if (lsn) horizon_ = Horizon{*lsn, time};
}

void Stream::store_idle_position() {
  const std::optional<core::TimestampTz> time = source_time_now();
  const core::Lsn position = caught_up();
  const bool newer_time = time && (!stored_time_ || *time > *stored_time_);
  if (position <= stored_ && !newer_time) return;
  pg::in_transaction("storing the position", [&] {
    Progress progress;
    progress.received = received_;
    progress.lag_bytes =
        static_cast<std::int64_t>(horizon_ && horizon_->lsn > position ? horizon_->lsn - position : 0);
    pg::Spi spi;
    store_position(spi, source_, {position, time, system_.identifier, system_.timeline});
    store_progress(spi, source_.id, progress);
  });
  stored_ = position;
  if (time) stored_time_ = time;
}

void Stream::send_status(bool reply_requested) {
  const core::TimestampTz now = pg::guarded([] { return GetCurrentTimestamp(); });
  const auto message =
      core::encode_status_update(std::max(received_, stored_), stored_, now, reply_requested);
  replication_.send(std::string_view(message.data(), message.size()));
  last_status_ms_ = pg::now_ms();
}

}  // namespace pg_reconcile::worker
