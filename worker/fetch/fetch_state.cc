#include "worker/fetch/fetch_state.h"

#include <utility>

#include "core/error.h"
#include "extension/pg/callback_role.h"
#include "extension/pg/background.h"
#include "extension/pg/valid_text.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/acl.h>
}

namespace pg_reconcile::worker {
namespace {

using pg::Argument;

// What a channel says comes in whatever encoding it likes.
Argument said(std::string text) {
  pg::make_valid(text.data());
  return Argument::text(text);
}

Argument number_or_null(const std::optional<std::int64_t>& value) {
  return value ? Argument::int8(*value) : Argument::null(INT8OID);
}

void read_link_settings(pg::Spi& spi, FetchSettings& settings) {
  spi.run(
      "SELECT h FROM reconcile.source s, pg_catalog.jsonb_array_elements_text(s.options->'headers') h"
      " WHERE s.source_id = $1",
      {Argument::int4(settings.source_id)});
  for (std::uint64_t row = 0; row < spi.rows(); row++) settings.headers.push_back(spi.text(row, 0));
  spi.run(
      "SELECT options->>'url_function', options->>'url_role', options->'link'->>'url', "
      "options->'link'->>'digest',"
      "       options->>'link_function' FROM reconcile.source WHERE source_id = $1",
      {Argument::int4(settings.source_id)});
  if (spi.rows() == 0) return;
  settings.url_function = spi.text(0, 0);
  settings.url_role = spi.text(0, 1);
  settings.link_url = spi.text(0, 2);
  settings.link_digest = spi.text(0, 3);
  settings.link_function = spi.text(0, 4);
  settings.answers.signed_url = !settings.url_function.empty();
}

// The function's name, quoted. Also checked when it was set; the owner, who decides what it does, may be
// another one since.
std::string runnable(pg::Spi& spi, const std::string& function, const std::string& arguments,
                     const std::string& role) {
  spi.run(
      "SELECT pg_catalog.pg_has_role(p.proowner, r.oid, 'MEMBER'), pg_catalog.format('%I.%I', n.nspname, "
      "p.proname)"
      "  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace, "
      "pg_catalog.pg_roles r"
      " WHERE p.oid = reconcile.function_named($1, $2) AND r.rolname = $3",
      {Argument::text(function), Argument::text(arguments), Argument::text(role)});
  if (spi.rows() > 0 && spi.boolean(0, 0)) return spi.text(0, 1);
  throw core::Error(core::sqlstate::insufficient_privilege,
                    "function " + function + " cannot be run as \"" + role + "\"",
                    "It is gone, or its owner is no member of that role.",
                    "Name another one in the options url_function and url_role of the source.");
}

// What a callback (channel, account, `argument`) answers, run as its own role.
SignedAddress ask(const FetchSettings& settings, const std::string& function,
                  const std::string& argument_types, const Argument& argument) {
  SignedAddress address;
  pg::in_transaction("asking for an address", [&] {
    pg::Spi spi;
    const std::string name = runnable(spi, function, argument_types, settings.url_role);
    const char* role_name = settings.url_role.c_str();
    const Oid role = pg::guarded([=] { return get_role_oid(role_name, false); });
    const pg::CallbackRole acting(role);
    spi.run(
        "SELECT coalesce(a.url, ''), h.line FROM " + name +
            "($1, $2, $3) AS a (url, headers) LEFT JOIN LATERAL pg_catalog.unnest(a.headers) AS h (line) "
            "ON true",
        {Argument::text(settings.channel),
         settings.account.empty() ? Argument::null(TEXTOID) : Argument::text(settings.account), argument});
    acting.put_settings_back();
    for (std::uint64_t row = 0; row < spi.rows(); row++) {
      address.url = spi.text(row, 0);
      if (!spi.text(row, 1).empty()) address.headers.push_back(spi.text(row, 1));
    }
  });
  return address;
}

}  // namespace

FetchSettings load_fetch_settings(std::int32_t source_id) {
  FetchSettings settings;
  pg::in_transaction("loading what to fetch", [&] {
    pg::Spi spi;
    spi.run(
        "SELECT s.name, s.channel, s.account, s.location, s.server,"
        "       coalesce(extract(epoch FROM (s.options->>'every')::interval), 1800)::int8 * 1000,"
        "       coalesce(extract(epoch FROM (s.options->>'give_up_after')::interval), 90 * 86400)::int8 * "
        "1000,"
        "       coalesce(s.options->>'not_found', 'not_ready'), coalesce(s.options->>'files', '1')::int8,"
        "       coalesce(s.options->>'bytes_max', '10737418240')::int8,"
        "       coalesce(s.options->>'stall_seconds', '60')::int8, s.options->>'digest_file',"
        "       coalesce(s.options->>'digest_of', 'file') = 'content', s.options ? 'decrypt'"
        "  FROM reconcile.source s WHERE s.source_id = $1",
        {Argument::int4(source_id)});
    if (spi.rows() == 0) return;
    settings.source_id = source_id;
    settings.source = spi.text(0, 0);
    settings.channel = spi.text(0, 1);
    settings.account = spi.text(0, 2);
    settings.location = spi.text(0, 3);
    settings.server = spi.text(0, 4);
    settings.policy.every_ms = spi.int8(0, 5);
    settings.policy.give_up_ms = spi.int8(0, 6);
    settings.answers.not_found = core::not_found_policy(spi.text(0, 7)).value_or(core::Outcome::not_ready);
    settings.files = spi.int8(0, 8);
    settings.bytes_max = spi.int8(0, 9);
    settings.stall_seconds = spi.int8(0, 10);
    settings.digest_file = spi.text(0, 11);
    settings.digest_of_content = spi.boolean(0, 12);
    settings.decrypts = spi.boolean(0, 13);
    read_link_settings(spi, settings);
  });
  return settings;
}

std::optional<DueDay> next_fetch_day(std::int32_t source_id) {
  std::optional<DueDay> due;
  pg::in_transaction("looking for a day to ask for", [&] {
    pg::Spi spi;
    spi.run(
        "SELECT business_date - date '2000-01-01', failures, due_in_ms, since_end_ms"
        "  FROM reconcile.next_fetch_day($1)",
        {Argument::int4(source_id)});
    if (spi.rows() == 0) return;
    due = DueDay{static_cast<core::Date>(spi.int8(0, 0)), static_cast<std::int32_t>(spi.int8(0, 1)),
                 spi.int8(0, 2), spi.int8(0, 3)};
  });
  return due;
}

void note_fetch_day(const FetchSettings& settings, core::Date day, const core::DayDecision& decision,
                    const core::Answer& answer) {
  pg::in_transaction("noting what a day's asking has come to", [&] {
    pg::Spi spi;
    spi.run(
        "UPDATE reconcile.fetch_day SET state = $3, attempts = attempts + 1, failures = $4,"
        "       asked_at = pg_catalog.clock_timestamp(), message = nullif($6, ''),"
        "       next_attempt_at = pg_catalog.clock_timestamp() + $5 * interval '1 millisecond'"
        " WHERE source_id = $1 AND business_date = $2",
        {Argument::int4(settings.source_id), Argument::date(day),
         Argument::text(std::string_view(core::day_state_name(decision.state))),
         Argument::int4(decision.failures), number_or_null(decision.next_in_ms), said(answer.reason)});
    if (decision.state != core::DayState::empty) return;
    spi.run("SELECT reconcile.record_empty_day($1, $2, $3)",
            {Argument::int4(settings.source_id), Argument::date(day), said(answer.reason)});
  });
}

FetchFile load_fetch_file(std::int32_t source_id, core::Date day, const std::string& name) {
  FetchFile file;
  pg::in_transaction("looking for a file's transfer", [&] {
    pg::Spi spi;
    spi.run(
        "SELECT state, coalesce(remote_bytes, -1), coalesce(remote_modified, -1), remote_etag FROM "
        "reconcile.fetch_file"
        " WHERE source_id = $1 AND business_date = $2 AND name = $3",
        {Argument::int4(source_id), Argument::date(day), Argument::text(name)});
    if (spi.rows() == 0) return;
    file.state = spi.text(0, 0);
    if (spi.int8(0, 1) >= 0) file.version.bytes = spi.int8(0, 1);
    if (spi.int8(0, 2) >= 0) file.version.modified = spi.int8(0, 2);
    file.version.etag = spi.text(0, 3);
  });
  return file;
}

void note_partial(std::int32_t source_id, core::Date day, const std::string& name,
                  const core::RemoteVersion& version) {
  pg::in_transaction("noting that a transfer has begun", [&] {
    pg::Spi spi;
    spi.run(
        "INSERT INTO reconcile.fetch_file AS f"
        "       (source_id, business_date, name, state, remote_bytes, remote_modified, remote_etag)"
        " VALUES ($1, $2, $3, 'partial', $4, $5, nullif($6, ''))"
        " ON CONFLICT (source_id, business_date, name) DO UPDATE"
        "    SET state = 'partial', attempts = f.attempts + 1, remote_bytes = excluded.remote_bytes,"
        "        remote_modified = excluded.remote_modified, remote_etag = excluded.remote_etag, message = "
        "NULL,"
        "        finished_at = NULL",
        {Argument::int4(source_id), Argument::date(day), Argument::text(name), number_or_null(version.bytes),
         number_or_null(version.modified), said(version.etag)});
  });
}

void note_fetched(std::int32_t source_id, core::Date day, const std::string& name, std::int64_t bytes,
                  const std::string& sha256) {
  pg::in_transaction("noting that a file is here", [&] {
    pg::Spi spi;
    spi.run(
        "INSERT INTO reconcile.fetch_file AS f (source_id, business_date, name, state, bytes, sha256)"
        " VALUES ($1, $2, $3, 'fetched', $4, pg_catalog.decode($5, 'hex'))"
        " ON CONFLICT (source_id, business_date, name) DO UPDATE"
        "    SET state = 'fetched', bytes = excluded.bytes, sha256 = excluded.sha256, message = NULL",
        {Argument::int4(source_id), Argument::date(day), Argument::text(name), Argument::int8(bytes),
         Argument::text(sha256)});
  });
}

void note_refused(std::int32_t source_id, core::Date day, const std::string& name,
                  const std::string& reason) {
  pg::in_transaction("noting that a file is refused", [&] {
    pg::Spi spi;
    spi.run(
        "INSERT INTO reconcile.fetch_file AS f (source_id, business_date, name, state, message, finished_at)"
        " VALUES ($1, $2, $3, 'refused', $4, pg_catalog.clock_timestamp())"
        " ON CONFLICT (source_id, business_date, name) DO UPDATE"
        "    SET state = 'refused', message = excluded.message, finished_at = excluded.finished_at",
        {Argument::int4(source_id), Argument::date(day), Argument::text(name), said(reason)});
  });
}

std::string ingest_fetched(const FetchSettings& settings, core::Date day, const std::string& name,
                           const std::string& stored_path, const std::string& file_name) {
  std::string outcome;
  pg::in_transaction("taking a file in", [&] {
    pg::Spi spi;
    spi.run("SELECT reconcile.ingest_stored($1, $2, $3, $4)",
            {Argument::text(settings.source), Argument::text(stored_path), Argument::text(file_name),
             Argument::date(day)});
    const std::int64_t statement = spi.int8(0, 0);
    spi.run(
        "UPDATE reconcile.fetch_file f SET state = 'done', statement_id = $4, finished_at = "
        "pg_catalog.clock_timestamp(),"
        "       message = s.state || coalesce(': ' || s.reason, '')"
        "  FROM reconcile.statement s"
        " WHERE f.source_id = $1 AND f.business_date = $2 AND f.name = $3 AND s.statement_id = $4"
        " RETURNING f.message",
        {Argument::int4(settings.source_id), Argument::date(day), Argument::text(name),
         Argument::int8(statement)});
    if (spi.rows() > 0) outcome = spi.text(0, 0);
  });
  return outcome;
}

SignedAddress ask_for_address(const FetchSettings& settings, core::Date day) {
  return ask(settings, settings.url_function, "text, text, date", Argument::date(day));
}

SignedAddress ask_for_link(const FetchSettings& settings, const std::string& url) {
  return ask(settings, settings.link_function, "text, text, text", Argument::text(url));
}

}  // namespace pg_reconcile::worker
