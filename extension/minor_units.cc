// reconcile.minor_units(currency) -> integer
#include "core/money/currency.h"
#include "extension/pg/guard.h"

extern "C" {
#include <fmgr.h>
}

PG_RECONCILE_FUNCTION(reconcile_minor_units) {
  using namespace pg_reconcile;
  const Datum argument = PG_GETARG_DATUM(0);
  const text* currency = pg::guarded([=] { return DatumGetTextPP(argument); });
  const auto digits =
      core::minor_unit_digits(std::string_view(VARDATA_ANY(currency), VARSIZE_ANY_EXHDR(currency)));
  if (!digits) PG_RETURN_NULL();
  PG_RETURN_INT32(*digits);
}
