#include "extension/pg/random_secret.h"

extern "C" {
#include <port.h>
}

namespace pg_reconcile::pg {

core::KeyedHash::Secret random_secret() {
  core::KeyedHash::Secret secret;
  if (!pg_strong_random(secret.data(), secret.size())) {
    throw core::Error(core::sqlstate::internal_error, "could not generate random values",
                      "The system's source of strong random numbers failed.",
                      "Check that the server process can read /dev/urandom.");
  }
  return secret;
}

}  // namespace pg_reconcile::pg
