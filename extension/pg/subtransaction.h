// An internal subtransaction: the one place where an error of the backend may be caught and lived with.
#pragma once

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// Runs `work`; on success commits the subtransaction and returns true. When `work` throws, rolls it back (locks,
// SPI stack, resources) and rethrows the exception in the outer transaction's context, where catching is safe.
template <class Work>
void in_subtransaction(Work&& work);

namespace detail {
struct SubtransactionState {
  MemoryContext memory;
  ResourceOwner owner;
};
SubtransactionState begin_subtransaction();
void commit_subtransaction(const SubtransactionState& state);
void rollback_subtransaction(const SubtransactionState& state);
}  // namespace detail

template <class Work>
void in_subtransaction(Work&& work) {
  const detail::SubtransactionState state = detail::begin_subtransaction();
  try {
    work();
  } catch (...) {
    detail::rollback_subtransaction(state);
    throw;
  }
  detail::commit_subtransaction(state);
}

}  // namespace pg_reconcile::pg
