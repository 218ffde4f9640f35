#include "extension/run/control_query.h"

#include "extension/pg/callback_role.h"
#include "extension/run/day_reader.h"

extern "C" {
#include <utils/acl.h>
}

namespace pg_reconcile {

std::map<std::string, core::CountAndAmount> query_control(pg::Spi& spi, const LegConfig& leg,
                                                          core::Date day) {
  using pg::Argument;
  spi.run(
      "SELECT p.oid::regproc::text, pg_has_role(p.proowner, $2::name, 'MEMBER'), p.proowner::regrole::text "
      "FROM pg_proc p WHERE p.oid = to_regprocedure($1)",
      {Argument::text(leg.control_function), Argument::text(leg.control_role)});
  if (spi.rows() == 0) {
    throw core::Error(core::sqlstate::undefined_object,
                      "control query " + leg.control_function + " of leg \"" + leg.leg + "\" does not exist",
                      "", "Name another one with reconcile.set_control_query().");
  }
  // Also checked when it was set; the owner, who decides what it does, may be another one since.
  if (!spi.boolean(0, 1)) {
    throw core::Error(core::sqlstate::insufficient_privilege,
                      "permission denied to run " + leg.control_function + " as \"" + leg.control_role + "\"",
                      "Its owner " + spi.text(0, 2) + " is no member of that role.",
                      "Give the function to a member of the role, or run it as a role of its owner's.");
  }
  const std::string function = spi.text(0, 0);
  const char* role_name = leg.control_role.c_str();
  const Oid role = pg::guarded([=] { return get_role_oid(role_name, false); });
  std::map<std::string, core::CountAndAmount> counted;
  const pg::CallbackRole acting(role);
  spi.run("SELECT c.currency::text, sum(c.entries)::bigint, sum(c.amount)::text FROM " + function +
              "($1, $2, $3) AS c (currency, entries, amount) GROUP BY 1",
          {Argument::text(leg.channel), Argument::text(leg.account), Argument::date(day)});
  acting.put_settings_back();
  for (std::uint64_t i = 0; i < spi.rows(); i++) {
    counted[spi.text(i, 0)] = {spi.int8(i, 1), exact_decimal(spi.text(i, 2))};
  }
  return counted;
}

}  // namespace pg_reconcile
