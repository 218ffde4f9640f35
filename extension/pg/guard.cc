#include "extension/pg/guard.h"

#include <new>

namespace pg_reconcile::pg {
namespace detail {

GuardState enter_guard(sigjmp_buf* here) noexcept {
  const GuardState state{PG_exception_stack, error_context_stack, CurrentMemoryContext};
  PG_exception_stack = here;
  return state;
}

void leave_guard(const GuardState& state) noexcept {
  PG_exception_stack = state.exception_stack;
  error_context_stack = state.context_stack;
}

void throw_caught_error(const GuardState& state) {
  leave_guard(state);
  // The copy must outlive the frames (and their memory contexts) that the exception is about to unwind.
  MemoryContextSwitchTo(CurTransactionContext != nullptr ? CurTransactionContext : TopMemoryContext);
  ErrorData* data = CopyErrorData();
  FlushErrorState();
  MemoryContextSwitchTo(state.memory);
  throw PostgresError(data);
}

}  // namespace detail

namespace {

// What leaves the catch block: trivially destructible, so that ereport may longjmp over it.
struct Raised {
  ErrorData* postgres;  // set: re-raise as it is
  char state[6];
  char message[1024];
  char detail[2048];
  char hint[1024];
};

void describe(Raised& raised, const char* state, const char* message, const char* detail, const char* hint) {
  snprintf(raised.state, sizeof(raised.state), "%s", state);
  snprintf(raised.message, sizeof(raised.message), "%s", message);
  snprintf(raised.detail, sizeof(raised.detail), "%s", detail);
  snprintf(raised.hint, sizeof(raised.hint), "%s", hint);
}

void describe_current_exception(Raised& raised) {
  try {
    throw;
  } catch (const PostgresError& e) {
    raised.postgres = e.data();
  } catch (const core::Error& e) {
    describe(raised, e.state(), e.what(), e.detail().c_str(), e.hint().c_str());
  } catch (const std::bad_alloc&) {
    describe(raised, core::sqlstate::out_of_memory, "out of memory", "", "");
  } catch (const std::exception& e) {
    describe(raised, core::sqlstate::internal_error, e.what(), "", "");
  } catch (...) {
    describe(raised, core::sqlstate::internal_error, "unknown C++ exception", "", "");
  }
}

int sql_state_code(const char* s) { return MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]); }

// A cut in the middle of a UTF-8 sequence must not reach the client.
void clip_to_encoding(char* text) {
  const int length = static_cast<int>(strlen(text));
  text[pg_mbcliplen(text, length, length)] = '\0';
}

[[noreturn]] void raw_raise(Raised& raised) {
  if (raised.postgres != nullptr) ReThrowError(raised.postgres);
  clip_to_encoding(raised.message);
  clip_to_encoding(raised.detail);
  clip_to_encoding(raised.hint);
  ereport(ERROR, (errcode(sql_state_code(raised.state)), errmsg_internal("%s", raised.message),
                  raised.detail[0] != '\0' ? errdetail_internal("%s", raised.detail) : 0,
                  raised.hint[0] != '\0' ? errhint("%s", raised.hint) : 0));
  pg_unreachable();
}

}  // namespace

Datum enter(FunctionCallInfo fcinfo, FunctionBody body) {
  Raised raised = {};
  try {
    return body(fcinfo);
  } catch (...) {
    describe_current_exception(raised);
  }
  raw_raise(raised);
}

void enter_callback(void (*body)(void*), void* argument) {
  Raised raised = {};
  try {
    body(argument);
    return;
  } catch (...) {
    describe_current_exception(raised);
  }
  raw_raise(raised);
}

}  // namespace pg_reconcile::pg
