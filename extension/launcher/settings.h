#pragma once

#include "extension/launcher/launcher.h"

namespace pg_reconcile::launcher {

void define_settings();

}  // namespace pg_reconcile::launcher
