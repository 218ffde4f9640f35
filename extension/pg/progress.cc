#include "extension/pg/progress.h"

#include <algorithm>
#include <cstring>

#include "extension/pg/compat.h"

extern "C" {
#include <access/xact.h>
#include <storage/ipc.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile::pg {
namespace {

// This process's slot; looked up once. A slot that is never found stays null: not preloaded.
ProgressSlot* own_slot = nullptr;
bool own_slot_is_known = false;

// Readers that saw an even count before and the same one after have a consistent copy.
class Writing {
 public:
  explicit Writing(ProgressSlot* slot) : slot_(slot) {
    pg_atomic_write_u32(&slot_->changes, pg_atomic_read_u32(&slot_->changes) + 1);
    pg_write_barrier();
  }
  ~Writing() {
    pg_write_barrier();
    pg_atomic_write_u32(&slot_->changes, pg_atomic_read_u32(&slot_->changes) + 1);
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

 private:
  ProgressSlot* slot_;
};

void free_slot() {
  if (own_slot == nullptr || own_slot->command == Command::none) return;
  const Writing writing(own_slot);
  own_slot->command = Command::none;
  own_slot->depth = 0;
}

void raw_process_ends(int, Datum) {
  free_slot();
}

void raw_transaction_ends(XactEvent event, void*) {
  // A commit inside a command is none of our business; after an abort no command can be left.
  if (event == XACT_EVENT_ABORT) free_slot();
}

ProgressSlot* raw_find_slot() {
  void** variable = find_rendezvous_variable(progress_variable);
  auto* memory = static_cast<ProgressMemory*>(*variable);
  if (memory == nullptr || MyProc == nullptr) return nullptr;
  const int index = process_number();
  if (index < 0 || static_cast<std::uint32_t>(index) >= memory->slots_max) return nullptr;
  RegisterXactCallback(raw_transaction_ends, nullptr);
  before_shmem_exit(raw_process_ends, 0);
  return &memory->slots[index];
}

void copy_name(char* target, std::string_view name) {
  const int limit = static_cast<int>(ProgressSlot::name_bytes_max) - 1;
  const int length = name.size() <= static_cast<std::size_t>(limit)
                         ? static_cast<int>(name.size())
                         : pg_mbcliplen(name.data(), static_cast<int>(name.size()), limit);
  std::memcpy(target, name.data(), static_cast<std::size_t>(length));
  target[length] = '\0';
}

// The slot when this process shows a command and the caller is not nested in it.
ProgressSlot* shown() {
  return own_slot != nullptr && own_slot->command != Command::none && own_slot->depth == 1 ? own_slot
                                                                                           : nullptr;
}

}  // namespace

Progress::Progress(Command command, const ProgressSubject& subject) : slot_(nullptr) {
  if (!own_slot_is_known) {
    own_slot = guarded([] { return raw_find_slot(); });
    own_slot_is_known = true;
  }
  slot_ = own_slot;
  if (slot_ == nullptr) return;
  if (slot_->command != Command::none) {
    slot_->depth++;
    return;
  }
  const TimestampTz now = GetCurrentTimestamp();
  const Writing writing(slot_);
  slot_->command = command;
  slot_->depth = 1;
  slot_->pid = MyProcPid;
  slot_->database = MyDatabaseId;
  slot_->phase = Phase::waiting_for_lock;
  slot_->has_business_date = subject.business_date.has_value();
  slot_->business_date = subject.business_date.value_or(0);
  slot_->started_at = now;
  slot_->phase_started_at = now;
  slot_->rows_expected = -1;
  slot_->bytes_expected = -1;
  pg_atomic_write_u64(&slot_->rows_done, 0);
  pg_atomic_write_u64(&slot_->bytes_done, 0);
  pg_atomic_write_u64(&slot_->bytes_spilled, 0);
  pg_atomic_write_u32(&slot_->workers, 0);
  copy_name(slot_->channel, subject.channel);
  copy_name(slot_->account, subject.account);
  copy_name(slot_->leg, subject.leg);
}

Progress::~Progress() {
  if (slot_ == nullptr || slot_->command == Command::none) return;
  if (slot_->depth > 1) {
    slot_->depth--;
  } else {
    free_slot();
  }
}

void Progress::day(std::int32_t business_date) {
  ProgressSlot* slot = shown();
  if (slot == nullptr) return;
  const Writing writing(slot);
  slot->has_business_date = true;
  slot->business_date = business_date;
}

void Progress::phase(Phase phase, std::optional<std::int64_t> rows_expected,
                     std::optional<std::int64_t> bytes_expected) {
  ProgressSlot* slot = shown();
  if (slot == nullptr) return;
  const TimestampTz now = GetCurrentTimestamp();
  const Writing writing(slot);
  slot->phase = phase;
  slot->phase_started_at = now;
  slot->rows_expected = rows_expected.value_or(-1);
  slot->bytes_expected = bytes_expected.value_or(-1);
  pg_atomic_write_u64(&slot->rows_done, 0);
  pg_atomic_write_u64(&slot->bytes_done, 0);
}

void Progress::rows_done(std::uint64_t rows) {
  ProgressSlot* slot = shown();
  if (slot != nullptr) pg_atomic_write_u64(&slot->rows_done, rows);
}

void Progress::bytes_done(std::uint64_t bytes) {
  ProgressSlot* slot = shown();
  if (slot != nullptr) pg_atomic_write_u64(&slot->bytes_done, bytes);
}

void Progress::bytes_spilled(std::uint64_t bytes) {
  ProgressSlot* slot = shown();
  if (slot != nullptr) pg_atomic_write_u64(&slot->bytes_spilled, bytes);
}

void Progress::workers(std::uint32_t count) {
  ProgressSlot* slot = shown();
  if (slot != nullptr) pg_atomic_write_u32(&slot->workers, count);
}

}  // namespace pg_reconcile::pg
