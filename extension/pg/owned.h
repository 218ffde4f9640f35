// C++ objects that live as long as a memory context.
#pragma once

#include <memory>
#include <utility>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// Makes an object that is destroyed when `context` is reset or deleted. Its destructor must not raise.
template <class Object, class... Arguments>
Object* make_owned(MemoryContext context, Arguments&&... arguments) {
  auto object = std::make_unique<Object>(std::forward<Arguments>(arguments)...);
  auto* callback = static_cast<MemoryContextCallback*>(
      guarded([=] { return MemoryContextAllocZero(context, sizeof(MemoryContextCallback)); }));
  callback->func = [](void* made) { delete static_cast<Object*>(made); };
  callback->arg = object.get();
  MemoryContextRegisterResetCallback(context, callback);
  return object.release();
}

}  // namespace pg_reconcile::pg
