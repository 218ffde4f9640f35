// An internal subtransaction: the one place where an error of the backend may be caught and lived with.
#pragma once

#include <cstdint>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

namespace detail {
struct SubtransactionState {
  MemoryContext memory;
  ResourceOwner owner;
};
SubtransactionState begin_subtransaction();
void commit_subtransaction(const SubtransactionState& state);
void rollback_subtransaction(const SubtransactionState& state);

// Grows with every rollback: who holds something that a rollback frees (SPI's rows) compares.
[[nodiscard]] std::uint64_t rollback_count() noexcept;
}  // namespace detail

// Runs `work` and commits it. When it throws, rolls it back (locks, SPI stack, resources) and rethrows the
// exception in the outer transaction's context, where it may be caught and lived with.
template <class Work>
void in_subtransaction(Work&& work) {
  const detail::SubtransactionState state = detail::begin_subtransaction();
  try {
    work();
    detail::commit_subtransaction(state);
  } catch (...) {
    detail::rollback_subtransaction(state);
    throw;
  }
}

}  // namespace pg_reconcile::pg
