// The boundary between C++ exceptions and PostgreSQL's longjmp.
//
// Two directions, one rule each:
//  - PG_RECONCILE_FUNCTION(name) makes an SQL-callable entry point. Its body may throw anything; the entry point
//    leaves the catch block before it raises, so that no longjmp passes over a C++ frame with destructors.
//  - pg::guarded([&] { return raw_call(...); }) makes one backend call that may ereport. A longjmp ends in the
//    guard and goes on as a C++ exception that holds the whole ErrorData (SQLSTATE, message, detail, hint,
//    context); the entry point re-raises it unchanged. Inside the lambda: one backend call, arguments already
//    computed, nothing with a destructor.
//
// "Catch and go on" is legal only inside pg::Subtransaction (subtransaction.h): elsewhere a caught PostgresError
// must be let through to the entry point.
#pragma once

#include <exception>
#include <type_traits>

#include "core/error.h"
#include "core/interrupts.h"
#include "extension/pg/postgres.h"

namespace pg_reconcile::pg {

// An ereport(ERROR) that was raised under C++ frames. Owns nothing: the ErrorData lives in a memory context that
// outlives the exception and is reclaimed at transaction end.
class PostgresError : public std::exception {
 public:
  explicit PostgresError(ErrorData* data) noexcept : data_(data) {}
  [[nodiscard]] const char* what() const noexcept override { return data_->message ? data_->message : "(no message)"; }
  [[nodiscard]] ErrorData* data() const noexcept { return data_; }
  [[nodiscard]] const char* state() const noexcept { return unpack_sql_state(data_->sqlerrcode); }
  [[nodiscard]] const char* detail() const noexcept { return data_->detail ? data_->detail : ""; }
  [[nodiscard]] const char* hint() const noexcept { return data_->hint ? data_->hint : ""; }

 private:
  ErrorData* data_;
};

namespace detail {

// What must be put back when a backend call longjmps. Trivial on purpose.
struct GuardState {
  sigjmp_buf* exception_stack;
  ErrorContextCallback* context_stack;
  MemoryContext memory;
};

GuardState enter_guard(sigjmp_buf* here) noexcept;
void leave_guard(const GuardState& state) noexcept;
[[noreturn]] void throw_caught_error(const GuardState& state);

}  // namespace detail

template <class Call>
auto guarded(Call&& call) -> std::invoke_result_t<Call> {
  using Result = std::invoke_result_t<Call>;
  static_assert(std::is_void_v<Result> || std::is_trivially_destructible_v<Result>,
                "a guarded call returns something without a destructor");
  sigjmp_buf here;
  const detail::GuardState state = detail::enter_guard(&here);
  if (sigsetjmp(here, 0) != 0) detail::throw_caught_error(state);
  if constexpr (std::is_void_v<Result>) {
    call();
    detail::leave_guard(state);
  } else {
    Result result = call();
    detail::leave_guard(state);
    return result;
  }
}

// CHECK_FOR_INTERRUPTS for C++ frames.
inline void check_for_interrupts() {
  if (INTERRUPTS_PENDING_CONDITION()) {
    guarded([] { ProcessInterrupts(); });
  }
}

class BackendInterrupts final : public core::Interrupts {
 public:
  void poll() override { check_for_interrupts(); }
};

using FunctionBody = Datum (*)(FunctionCallInfo);

// Runs a body that may throw; returns normally or raises with ereport. The outermost C++ frame of an entry point.
Datum enter(FunctionCallInfo fcinfo, FunctionBody body);

// The same for callbacks without arguments that PostgreSQL calls (background worker mains, hooks).
void enter_callback(void (*body)(void*), void* argument);

}  // namespace pg_reconcile::pg

// Defines an SQL-callable function: PG_RECONCILE_FUNCTION(reconcile_compare) { ... use fcinfo, PG_RETURN_* ... }
#define PG_RECONCILE_FUNCTION(name)                                                 \
  static Datum name##_body(FunctionCallInfo fcinfo);                                \
  extern "C" {                                                                      \
  PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                         \
  PG_FUNCTION_INFO_V1(name);                                                        \
  Datum name(PG_FUNCTION_ARGS) { return pg_reconcile::pg::enter(fcinfo, name##_body); } \
  }                                                                                 \
  static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)
