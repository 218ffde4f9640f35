// File sources: what a folder holds is the business of reconcile.scan_inbox; when to look is ours.
#include "worker/file/inbox_worker.h"

#include "extension/pg/background.h"

namespace pg_reconcile::worker {
namespace {

constexpr std::int64_t heartbeat_ms = 10'000;

// One file, or one batch of them, a transaction. Returns whether there may be more.
bool scan(const SourceConfiguration& source) {
  std::uint64_t handled = 0;
  pg::in_transaction("looking for files", [&] {
    pg::Spi spi;
    spi.run("SELECT * FROM reconcile.scan_inbox($1)", {pg::Argument::int4(source.id)});
    handled = spi.rows();
  });
  return handled > 0;
}

}  // namespace

void run_inbox(const SourceConfiguration& source) {
  set_state(source.id, "running", "watching the folder");
  std::int64_t last_heartbeat = pg::now_ms();
  for (;;) {
    while (scan(source)) pg::wait_for_latch(0);
    if (pg::now_ms() - last_heartbeat >= heartbeat_ms) {
      last_heartbeat = pg::now_ms();
      pg::in_transaction("noting that the source is watched", [&] {
        pg::Spi spi;
        store_progress(spi, source.id, {});
      });
    }
    pg::wait_for_latch(source.poll_ms);
  }
}

}  // namespace pg_reconcile::worker
