#include "extension/pg/subtransaction.h"

extern "C" {
#include <access/xact.h>
#include <utils/resowner.h>
}

namespace pg_reconcile::pg::detail {
namespace {

std::uint64_t rollbacks = 0;

}  // namespace

std::uint64_t rollback_count() noexcept {
  return rollbacks;
}

SubtransactionState begin_subtransaction() {
  const SubtransactionState state{CurrentMemoryContext, CurrentResourceOwner};
  guarded([] { BeginInternalSubTransaction(nullptr); });
  MemoryContextSwitchTo(state.memory);
  return state;
}

void commit_subtransaction(const SubtransactionState& state) {
  guarded([] { ReleaseCurrentSubTransaction(); });
  MemoryContextSwitchTo(state.memory);
  CurrentResourceOwner = state.owner;
}

void rollback_subtransaction(const SubtransactionState& state) {
  rollbacks++;
  guarded([] { RollbackAndReleaseCurrentSubTransaction(); });
  MemoryContextSwitchTo(state.memory);
  CurrentResourceOwner = state.owner;
}

}  // namespace pg_reconcile::pg::detail
