// reconcile.check_fetch_location: what a worker would make of a location.
#include <string>

#include "core/fetch/location.h"
#include "extension/pg/guard.h"
#include "extension/values/payload.h"

extern "C" {
#include <utils/builtins.h>
}

PG_RECONCILE_FUNCTION(reconcile_check_fetch_location) {
  using namespace pg_reconcile;
  const auto location = core::FetchLocation::compile(pg::payload_in_place(fcinfo->args[0].value));
  const char* scheme = "https";
  if (location.scheme() == core::FetchLocation::Scheme::sftp) scheme = "sftp";
  if (location.scheme() == core::FetchLocation::Scheme::ftps) scheme = "ftps";
  return pg::guarded([=] { return CStringGetTextDatum(scheme); });
}
