-- What nobody recorded: an incremental run goes by what was recorded, so a sign-off after one looks at what is stored.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(12);
\ir rules/world.sql
SELECT current_date - 10 AS d, current_date - 9 AS d1 \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a');
DROP ROLE IF EXISTS test_unrecorded_preparer;
CREATE ROLE test_unrecorded_preparer LOGIN;
GRANT reconcile_operator TO test_unrecorded_preparer;
CREATE FUNCTION public.run_as_preparer(p_method text) RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', r.method, r.state, regexp_replace(r.batch_reason, '\d+', 'n')) FROM reconcile.run('pay', current_date - 10, method => p_method) r
$$;

SELECT say('internal', 'k' || n, '10', :'d'), say('trade', 'k' || n, '10', :'d') FROM generate_series(1, 4) n \g /dev/null
SET SESSION AUTHORIZATION test_unrecorded_preparer;
SELECT is(run_as_preparer('batch'), 'batch succeeded', 'a day');
RESET SESSION AUTHORIZATION;

-- A prior-period entry counts for the day, too.
INSERT INTO reconcile.entry SELECT (jsonb_populate_record(e, jsonb_build_object('source_key', 'prior', 'order_key', 'prior', 'match_key', 'prior', 'business_date', :'d'::date - 1))).*
FROM reconcile.entry e WHERE e.source_key = 'k1';
SET SESSION AUTHORIZATION test_unrecorded_preparer;
SELECT is(run_as_preparer('incremental'), 'incremental succeeded', 'and what came to it');
RESET SESSION AUTHORIZATION;
SELECT is((SELECT count(*) FROM reconcile.total_differences('pay', :'d', :'d', 'a')), 0::bigint, 'what is stored is what was counted');

SET session_replication_role = replica;
UPDATE reconcile.entry SET amount = 99 WHERE source_key = 'k1' AND book = 'trade';
RESET session_replication_role;
SELECT is((SELECT count(*) FROM reconcile.total_differences('pay', :'d', :'d', 'b')), 0::bigint, 'in its account alone');
SELECT say('internal', 'late', '5', :'d'), say('trade', 'late', '5', :'d') \g /dev/null
SET SESSION AUTHORIZATION test_unrecorded_preparer;
SELECT is(run_as_preparer('incremental'), 'incremental succeeded', 'an incremental run reads what changed');
RESET SESSION AUTHORIZATION;
SELECT matches(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d')),
  'cannot be signed off \| trade book, payment, CNY: entries 6, amount 144; counted 6, 55(\.00)?: changed with triggers off\. \|', 'a sign-off finds what nobody recorded');

-- A batch finds it, and until one succeeds neither a sign-off nor an incremental run goes on from what stood before.
SET SESSION AUTHORIZATION test_unrecorded_preparer;
SELECT is(run_as_preparer('batch'), 'batch failed', 'a batch fails');
SELECT matches(run_as_preparer('incremental'), '^batch failed', 'and so does what comes after it');
RESET SESSION AUTHORIZATION;
SELECT matches(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d')), 'cannot be signed off \| leg internal-trade: run \d+ failed; trade book', 'which a sign-off says');
UPDATE reconcile.entry SET amount = 10 WHERE source_key = 'k1' AND book = 'trade';
SELECT reconcile.recount_totals('pay', :'d', :'d') \g /dev/null
SET SESSION AUTHORIZATION test_unrecorded_preparer;
SELECT is(run_as_preparer('incremental'), 'batch succeeded run n failed', 'put right, the day runs');
RESET SESSION AUTHORIZATION;
UPDATE reconcile.discrepancy SET owner = 'test_unrecorded_preparer';
SELECT matches(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d')), '^nothing was refused$', 'and is signed off');

-- No setting of a session keeps what a source changes from being recorded.
SET pg_reconcile.sink_records = on;
SELECT reconcile.change_entries(1, NULL, ARRAY['D'], ARRAY['k2'], ARRAY[NULL]::text[], ARRAY[NULL]::text[], ARRAY[NULL]::text[],
  ARRAY[NULL]::text[], NULL, ARRAY[NULL]::text[], NULL, NULL, NULL, ARRAY[NULL]::text[], ARRAY[NULL]::text[], NULL, NULL, NULL, NULL,
  NULL, ARRAY[NULL]::text[], NULL, ARRAY[NULL]::timestamptz[], NULL, ARRAY[NULL]::date[], NULL, NULL) \g /dev/null
SELECT is((SELECT count(*) FROM reconcile.total_differences()), 0::bigint, 'a source''s changes are counted');
SELECT * FROM finish();
DROP ROLE test_unrecorded_preparer;
