// reconcile.mapping_channels: a mapping is checked when it is stored, by the code that will execute it.
#include <optional>
#include <string>

#include "core/mapping/normaliser.h"
#include "extension/pg/spi.h"
#include "extension/pg/time_zones.h"

extern "C" {
#include <utils/builtins.h>
#include <utils/jsonb.h>
}

namespace pg_reconcile::source {
namespace {

std::string text_argument(FunctionCallInfo fcinfo, int position) {
  if (PG_ARGISNULL(position)) return {};
  const Datum value = PG_GETARG_DATUM(position);
  return pg::guarded([=] { return TextDatumGetCString(value); });
}

}  // namespace
}  // namespace pg_reconcile::source

PG_RECONCILE_FUNCTION(reconcile_mapping_channels) {
  using namespace pg_reconcile;
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  const Datum mapping = PG_GETARG_DATUM(0);
  const char* document =
      pg::guarded([=] { return DatumGetCString(DirectFunctionCall1(jsonb_out, mapping)); });
  core::MappingDefaults defaults;
  defaults.channel = source::text_argument(fcinfo, 1);
  defaults.account = source::text_argument(fcinfo, 2);
  defaults.book = source::text_argument(fcinfo, 3);
  defaults.currency = source::text_argument(fcinfo, 4);
  defaults.time_zone = source::text_argument(fcinfo, 5);
  pg::TimeZones zones;
  const core::Normaliser normaliser = core::Normaliser::compile(document, defaults, zones);
  if (normaliser.channels().empty()) PG_RETURN_NULL();
  PG_RETURN_DATUM(pg::Argument::text_array(normaliser.channels()).value);
}
