// The boundary between C++ exceptions and PostgreSQL's longjmp.
//
// Two directions, one rule each:
//  - PG_RECONCILE_FUNCTION(name) makes an SQL-callable entry point. Its body may throw anything; the entry
//  point
//    leaves the catch block before it raises, so that no longjmp passes over a C++ frame with destructors.
//  - pg::guarded([&] { return raw_call(...); }) makes one backend call that may ereport. A longjmp ends in
//  the
//    guard and goes on as a C++ exception that holds the whole ErrorData (SQLSTATE, message, detail, hint,
//    context); the entry point re-raises it unchanged. Inside the lambda: one backend call, arguments already
//    computed, nothing with a destructor.
//
// "Catch and go on" is legal only inside pg::Subtransaction (subtransaction.h): elsewhere a caught
// PostgresError must be let through to the entry point.
#pragma once

#include <exception>
#include <memory>
#include <type_traits>

#include "core/error.h"
#include "core/interrupts.h"
#include "extension/pg/postgres.h"

namespace pg_reconcile::pg {

namespace detail {

// An ErrorData in a memory context of its own, below TopMemoryContext: it outlives the subtransaction it came
// from.
struct OwnedErrorData {
  MemoryContext context;
  ErrorData* data;
  OwnedErrorData(MemoryContext context_in, ErrorData* data_in) noexcept
      : context(context_in), data(data_in) {}
  OwnedErrorData(const OwnedErrorData&) = delete;
  OwnedErrorData& operator=(const OwnedErrorData&) = delete;
  ~OwnedErrorData() {
    if (context != nullptr) MemoryContextDelete(context);
  }
};

}  // namespace detail

// An ereport(ERROR) that was raised under C++ frames. Copies share the ErrorData; the last one frees it.
class PostgresError : public std::exception {
 public:
  explicit PostgresError(std::shared_ptr<detail::OwnedErrorData> error) noexcept : error_(std::move(error)) {}
  [[nodiscard]] const char* what() const noexcept override { return or_empty(data()->message); }
  [[nodiscard]] ErrorData* data() const noexcept { return error_->data; }
  [[nodiscard]] const char* state() const noexcept { return unpack_sql_state(data()->sqlerrcode); }
  [[nodiscard]] const char* detail() const noexcept { return or_empty(data()->detail); }
  [[nodiscard]] const char* hint() const noexcept { return or_empty(data()->hint); }
  [[nodiscard]] const char* context() const noexcept { return or_empty(data()->context); }

  // For the outer edge alone: the ErrorData lives on under PostgreSQL's ErrorContext, which is emptied when
  // the re-raised error has been dealt with.
  [[nodiscard]] ErrorData* hand_over() const noexcept;

 private:
  static const char* or_empty(const char* text) noexcept { return text != nullptr ? text : ""; }
  std::shared_ptr<detail::OwnedErrorData> error_;
};

namespace detail {

// What must be put back when a backend call longjmps, or throws.
class GuardFrame {
 public:
  explicit GuardFrame(sigjmp_buf* here) noexcept
      : exception_stack_(PG_exception_stack),
        context_stack_(error_context_stack),
        memory_(CurrentMemoryContext) {
    PG_exception_stack = here;
  }
  ~GuardFrame() {
    PG_exception_stack = exception_stack_;
    error_context_stack = context_stack_;
  }
  GuardFrame(const GuardFrame&) = delete;
  GuardFrame& operator=(const GuardFrame&) = delete;

  // After the longjmp: takes the error from PostgreSQL's stack and throws it as a PostgresError.
  [[noreturn]] void throw_caught_error() const;

 private:
  sigjmp_buf* exception_stack_;
  ErrorContextCallback* context_stack_;
  MemoryContext memory_;
};

// True while the (sub)transaction that raised an error has not been rolled back: PostgreSQL's own stacks
// (SPI's) wait for that rollback and must be left alone by destructors, and nothing but unwinding is allowed.
[[nodiscard]] bool abort_is_due() noexcept;

}  // namespace detail

// Not to be inlined: a function that calls sigsetjmp keeps the caller's variables out of its registers.
template <class Call>
__attribute__((noinline)) auto guarded(Call&& call) -> std::invoke_result_t<Call> {
  using Result = std::invoke_result_t<Call>;
  static_assert(std::is_void_v<Result> || std::is_trivially_destructible_v<Result>,
                "a guarded call returns something without a destructor");
  sigjmp_buf here;
  const detail::GuardFrame frame(&here);
  if (sigsetjmp(here, 0) != 0) frame.throw_caught_error();
  return call();
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

// Runs a body that may throw; returns normally or raises with ereport. The outermost C++ frame of an entry
// point.
Datum enter(FunctionCallInfo fcinfo, FunctionBody body);

// The same for callbacks without arguments that PostgreSQL calls (background worker mains, hooks).
void enter_callback(void (*body)(void*), void* argument);

}  // namespace pg_reconcile::pg

// Defines an SQL-callable function: PG_RECONCILE_FUNCTION(reconcile_compare) { ... use fcinfo, PG_RETURN_*
// ... }
#define PG_RECONCILE_FUNCTION(name)                      \
  static Datum name##_body(FunctionCallInfo fcinfo);     \
  extern "C" {                                           \
  PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);              \
  PG_FUNCTION_INFO_V1(name);                             \
  Datum name(PG_FUNCTION_ARGS) {                         \
    return pg_reconcile::pg::enter(fcinfo, name##_body); \
  }                                                      \
  }                                                      \
  static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)
