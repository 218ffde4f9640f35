// How a long loop in core lets go: it polls, and whoever injected the poll throws.
#pragma once

#include <cstdint>

namespace pg_reconcile::core {

class Interrupts {
 public:
  virtual ~Interrupts() = default;
  // Throws when the work must stop (a cancel, a shutdown). Cheap enough for every few thousand rows.
  virtual void poll() = 0;
};

class NoInterrupts final : public Interrupts {
 public:
  void poll() override {}
};

}  // namespace pg_reconcile::core
