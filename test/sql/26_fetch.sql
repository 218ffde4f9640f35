-- Sources that fetch: what is refused when they are created, which days they ask for, and what is said of a missing day.
-- The transfers themselves: test/cluster/14*_fetch_*.pl.
BEGIN;
SELECT plan(32);
SET LOCAL client_min_messages = error;
CREATE ROLE fetch_admin LOGIN IN ROLE reconcile_admin;
CREATE ROLE signer NOLOGIN;
GRANT signer TO fetch_admin;
SELECT reconcile.create_channel('bank', 'Asia/Shanghai', 'CNY', account => '6222', first_date => current_date - 5);
CREATE SERVER bank_sftp FOREIGN DATA WRAPPER reconcile_source OPTIONS (host 'bank.example');
CREATE FUNCTION pg_temp.create_with(location text, options jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; detail text;
BEGIN
  PERFORM reconcile.create_file_source('s' || md5(location || options::text), 'bank', 'generic.csv', location, account => '6222', options => options);
  RETURN 'created';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
  RETURN concat_ws(' ', state, message || CASE WHEN detail <> '' THEN ':' ELSE '' END, nullif(detail, ''));
END $$;

-- ---- locations and options ----
SELECT is(pg_temp.create_with('sftp://bills/*.zip', '{"server": "bank_sftp"}'),
  '22023 location "sftp://bills/*.zip" is not valid: It has no date, and every day is asked for by its own.', 'a location without a day');
SELECT is(pg_temp.create_with('sftp://{yyyyMMdd}.zip', '{}'), '22023 sftp://{yyyyMMdd}.zip needs the option server', 'sftp without a server');
SELECT is(pg_temp.create_with('sftp://{yyyyMMdd}.zip', '{"server": "nobody"}'), '42704 there is no server "nobody" of the wrapper reconcile_source', 'a server that is not there');
SELECT is(pg_temp.create_with('sftp://{yyyyMMdd}.zip', '{"server": "bank_sftp", "evry": "1 hour"}'), '22023 unknown option "evry" of a file source', 'an option that is none');
SELECT is(pg_temp.create_with('/srv/{yyyyMMdd}.zip', '{"every": "1 hour"}'), '22023 unknown option "every" of a file source', 'a folder of this server has no rhythm');
SELECT is(pg_temp.create_with('sftp://{yyyyMMdd}.zip', format('{"server": "bank_sftp", %s}', o.option)::jsonb),
          format('22023 option "%s" is not one that sftp can have: %s', o.name, o.value), 'option ' || o.name)
FROM (VALUES ('"every": "0"', 'every', '"0"'), ('"files": 0', 'files', '0'), ('"bytes_max": -1', 'bytes_max', '-1'),
             ('"not_found": "failed"', 'not_found', '"failed"'), ('"digest_of": "x"', 'digest_of', '"x"'), ('"decrypt": "rot13"', 'decrypt', '"rot13"'),
             ('"url_function": "a.b"', 'url_function', '"a.b"')) AS o (option, name, value);
SELECT matches(pg_temp.create_with('sftp://{yyyyMMdd}.zip', '{"server": "bank_sftp", "ask_after": "soon"}'), '^22007', 'what is no interval');
SELECT throws_ok($$ ALTER SERVER bank_sftp OPTIONS (ADD password 'x') $$, 'HV00D', NULL, 'a server holds no password');
SELECT throws_ok($$ ALTER SERVER bank_sftp OPTIONS (ADD tls 'none') $$, '22023', NULL, 'nor goes without TLS');
SET LOCAL ROLE fetch_admin;
SELECT throws_ok($$ CREATE SERVER mine FOREIGN DATA WRAPPER reconcile_source OPTIONS (host 'h', known_hosts '/etc/passwd') $$, '42501', NULL,
  'only a superuser names a file that the server reads');
SELECT lives_ok($$ CREATE SERVER mine FOREIGN DATA WRAPPER reconcile_source OPTIONS (host 'h', host_key_sha256 'SHA256:x') $$, 'others state the key itself');
SELECT is(pg_temp.create_with('sftp://{yyyyMMdd}.zip', '{"server": "bank_sftp"}'), '42501 permission denied for server "bank_sftp"', 'nobody uses another''s server');
RESET ROLE;

-- ---- functions that sign ----
CREATE SCHEMA signing;
CREATE FUNCTION signing.address(channel text, account text, day date) RETURNS TABLE (url text, headers text[]) LANGUAGE sql AS $$ SELECT NULL::text, NULL::text[] $$;
SELECT matches(pg_temp.create_with('https://h/{yyyyMMdd}', '{"url_function": "signing.nothing", "url_role": "signer"}'),
  'there is no function signing.nothing\(text, text, date\)', 'a function that is not there');
SELECT matches(pg_temp.create_with('https://h/{yyyyMMdd}', '{"url_function": "signing.address(); DROP TABLE x", "url_role": "signer"}'), '^22023|^42602', 'a name that is none');
ALTER FUNCTION signing.address(text, text, date) OWNER TO signer;
SET LOCAL ROLE fetch_admin;
SELECT is(pg_temp.create_with('https://h/{yyyyMMdd}', '{"url_function": "signing.address", "url_role": "reconcile_owner"}'),
  '42501 permission denied to run signing.address as "reconcile_owner"', 'nobody lends a role that is not theirs');
SELECT is(pg_temp.create_with('https://h/{yyyyMMdd}', '{"url_function": "signing.address", "url_role": "signer"}'), 'created', 'a role of one''s own');
RESET ROLE;

-- ---- days ----
SELECT reconcile.create_file_source('bank bills', 'bank', 'generic.csv', 'sftp://bills/{yyyyMMdd}.csv', account => '6222',
                                    options => '{"server": "bank_sftp", "ask_after": "-1 day"}') AS bank_source \gset
SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date AS today \gset
SELECT reconcile.waive_statement('bank', '6222', 'trade', :'today'::date - 2, 'closed');
SELECT is((SELECT due_in_ms <= 0 AND since_end_ms > 0 FROM reconcile.next_fetch_day(:bank_source)), true, 'days that have ended are asked for');
SELECT is((SELECT max(business_date) FROM reconcile.fetch_day WHERE source_id = :bank_source), :'today'::date - 1, 'up to yesterday, in the channel''s time zone');
SELECT is((SELECT count(*) FROM reconcile.fetch_day WHERE source_id = :bank_source AND business_date = :'today'::date - 2), 0::bigint, 'but for those that are waived');
SELECT is((SELECT location FROM reconcile.source_status WHERE source = 'bank bills'), 'sftp://bills/{yyyyMMdd}.csv', 'source_status says from where');
UPDATE reconcile.fetch_day SET state = 'awaited', attempts = 3, message = 'there is no file bills/x.csv', next_attempt_at = '2026-11-21 02:00:00+00'
WHERE source_id = :bank_source AND business_date = :'today'::date - 1;
SELECT is((SELECT reason FROM reconcile.statement_status WHERE channel = 'bank' AND business_date = :'today'::date - 1),
  'source "bank bills": awaited, there is no file bills/x.csv (asked 3 times, next at 2026-11-21 10:00:00)', 'statement_status says what asking has come to');
SELECT reconcile.record_empty_day(:bank_source, :'today'::date - 1, 'no movements') AS empty_statement \gset
SELECT is(reconcile.record_empty_day(:bank_source, :'today'::date - 1, 'again'), :empty_statement::bigint, 'an empty day is one statement');
SELECT is((SELECT state || ' ' || entry_count FROM reconcile.statement_status WHERE channel = 'bank' AND business_date = :'today'::date - 1), 'accepted 0', 'without entries');
UPDATE reconcile.fetch_day SET state = 'empty', next_attempt_at = NULL WHERE source_id = :bank_source;
SELECT is((SELECT count(*) FROM reconcile.next_fetch_day(:bank_source)), 0::bigint, 'what is settled is not asked for');
SELECT reconcile.fetch_again('bank bills', :'today'::date - 1);
SELECT is((SELECT business_date FROM reconcile.next_fetch_day(:bank_source)), :'today'::date - 1, 'unless somebody says so');
SELECT throws_ok($$ SELECT reconcile.fetch_again('nothing', current_date) $$, '42704', NULL, 'a source that is not there');
SELECT * FROM finish();
ROLLBACK;
