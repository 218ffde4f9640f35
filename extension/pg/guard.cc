#include "extension/pg/guard.h"

#include <new>

#include "extension/pg/compat.h"
#include "extension/pg/valid_text.h"

extern "C" {
#include <access/xact.h>
}

namespace pg_reconcile::pg {
namespace {

// The (sub)transaction that an error has doomed. A backend has one thread: a plain variable will do.
struct Doomed {
  LocalTransactionId transaction = InvalidLocalTransactionId;
  SubTransactionId subtransaction = InvalidSubTransactionId;
};
Doomed doomed;

// Copies the error on top of PostgreSQL's stack; NULL when there is no memory for the copy.
ErrorData* raw_copy_error(MemoryContext* owner) {
  // volatile: read after a longjmp.
  ErrorData* volatile copy = nullptr;
  MemoryContext volatile context = nullptr;
  sigjmp_buf* const outer = PG_exception_stack;
  sigjmp_buf here;
  if (sigsetjmp(here, 0) == 0) {
    PG_exception_stack = &here;
    context = AllocSetContextCreate(TopMemoryContext, "pg_reconcile error", ALLOCSET_SMALL_SIZES);
    MemoryContextSwitchTo(context);
    copy = CopyErrorData();
  } else {
    copy = nullptr;
  }
  PG_exception_stack = outer;
  FlushErrorState();
  if (copy == nullptr && context != nullptr) {
    MemoryContextSwitchTo(TopMemoryContext);
    MemoryContextDelete(context);
  }
  *owner = context;
  return copy;
}

}  // namespace

ErrorData* PostgresError::hand_over() const noexcept {
  if (error_->context != nullptr) MemoryContextSetParent(error_->context, ErrorContext);
  error_->context = nullptr;
  return error_->data;
}

namespace detail {

void GuardFrame::throw_caught_error() const {
  PG_exception_stack = exception_stack_;
  error_context_stack = context_stack_;
  MemoryContext owner = nullptr;
  ErrorData* const data = raw_copy_error(&owner);
  MemoryContextSwitchTo(memory_);
  doomed = {local_transaction_id(), GetCurrentSubTransactionId()};
  if (data == nullptr) throw std::bad_alloc();
  throw PostgresError(std::make_shared<OwnedErrorData>(owner, data));
}

bool abort_is_due() noexcept {
  return doomed.transaction != InvalidLocalTransactionId && doomed.transaction == local_transaction_id() &&
         doomed.subtransaction == GetCurrentSubTransactionId();
}

}  // namespace detail

namespace {

// What leaves the catch block: trivially destructible, so that ereport may longjmp over it. Not zeroed: an
// aggregate's transition comes through here for every row.
struct Raised {
  Raised() noexcept { state[0] = message[0] = detail[0] = hint[0] = '\0'; }
  ErrorData* postgres = nullptr;  // set: re-raise as it is
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
    raised.postgres = e.hand_over();
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

int sql_state_code(const char* s) {
  return MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]);
}

[[noreturn]] void raw_raise(Raised& raised) {
  if (raised.postgres != nullptr) ReThrowError(raised.postgres);
  // Cut to fit: neither a torn character nor unknown bytes may reach the client.
  make_valid(raised.message);
  make_valid(raised.detail);
  make_valid(raised.hint);
  ereport(ERROR, (errcode(sql_state_code(raised.state)), errmsg_internal("%s", raised.message),
                  raised.detail[0] != '\0' ? errdetail_internal("%s", raised.detail) : 0,
                  raised.hint[0] != '\0' ? errhint("%s", raised.hint) : 0));
  pg_unreachable();
}

}  // namespace

namespace {

// What the body may have left in another state when it throws.
class EntryState {
 public:
  void restore() const noexcept {
    PG_exception_stack = exception_stack_;
    error_context_stack = context_stack_;
    MemoryContextSwitchTo(memory_);
    doomed = {};
  }

 private:
  sigjmp_buf* exception_stack_ = PG_exception_stack;
  ErrorContextCallback* context_stack_ = error_context_stack;
  MemoryContext memory_ = CurrentMemoryContext;
};

}  // namespace

Datum enter(FunctionCallInfo fcinfo, FunctionBody body) {
  Raised raised;
  const EntryState state;
  try {
    const Datum result = body(fcinfo);
    if (!detail::abort_is_due()) return result;
    describe(raised, core::sqlstate::internal_error,
             "a database error was caught outside a subtransaction and ignored",
             "The transaction cannot go on after it.", "This is a defect of pg_reconcile: please report it.");
  } catch (...) {
    describe_current_exception(raised);
  }
  state.restore();
  raw_raise(raised);
}

void enter_callback(void (*body)(void*), void* argument) {
  Raised raised;
  const EntryState state;
  try {
    body(argument);
    return;
  } catch (...) {
    describe_current_exception(raised);
  }
  state.restore();
  raw_raise(raised);
}

}  // namespace pg_reconcile::pg
