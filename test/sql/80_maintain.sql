-- Upkeep: what maintain() does to the lists, and that every check of verify() can fail. maintain() commits, so this file
-- runs outside a transaction: its database is thrown away.
SET client_min_messages = error;
SELECT plan(35);

SELECT ok(bool_and(ok), 'without entry tables, nothing is wrong: ' || coalesce(string_agg(details, '; '), ''))
FROM reconcile.verify();
SELECT reconcile.create_channel('alipay', 'UTC', 'CNY', account => 'a', first_date => current_date - 10);

-- ---- partitions ahead
SELECT ok((SELECT ok FROM reconcile.verify() WHERE "check" = 'partitions ahead'), 'no partition is missing after installation');
SELECT format('DROP TABLE %s', i.inhrelid::regclass) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'reconcile.entry_bank'::regclass
  AND pg_get_expr(c.relpartbound, c.oid) LIKE format('FOR VALUES FROM (''%s''%%', date_trunc('month', current_date + 40)::date) \gexec
SELECT ok(NOT (SELECT ok FROM reconcile.verify() WHERE "check" = 'partitions ahead'), 'given one that is');
CALL reconcile.maintain();
SELECT ok((SELECT ok FROM reconcile.verify() WHERE "check" = 'partitions ahead'), 'maintain() makes them');
SELECT reconcile.ensure_month((current_date - 5)::date);

-- ---- totals
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, fee, status, effective,
                             business_date, recon_date, source_id, source_key)
SELECT 'alipay', 'a', b.book, 'payment', 'o' || n, 'o' || n, n, 'CNY', 0.01, 'success', true, current_date - 5,
       current_date - 5, 1, b.book || n
FROM generate_series(1, 20) n, (VALUES ('internal'), ('trade')) b (book) WHERE NOT (b.book = 'trade' AND n = 20);
DELETE FROM reconcile.entry WHERE order_key = 'o7' AND tier = 0;
UPDATE reconcile.entry SET amount = amount + 1 WHERE order_key = 'o8' AND tier = 0;
UPDATE reconcile.entry SET amount = amount + 1 WHERE order_key = 'o10' AND book = 'trade' AND tier = 0;
CREATE TEMPORARY TABLE before AS
SELECT book, kind, currency, sum(entries) AS entries, sum(amount) AS amount, sum(fee) AS fee,
       mod(sum(digest), 2::numeric ^ 128) AS digest
FROM reconcile.entry_total GROUP BY 1, 2, 3;
SELECT cmp_ok((SELECT count(*) FROM reconcile.entry_total), '>', 40::bigint, 'a delta a change');
-- a transaction that is still running: its deltas are not touched, and neither is what it may still look at
CREATE EXTENSION IF NOT EXISTS dblink;
SELECT dblink_connect('other', format('host=%L dbname=%L user=postgres', current_setting('unix_socket_directories'), current_database()));
SELECT dblink_exec('other', $$BEGIN; INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency,
  entries, amount, fee, digest) VALUES ('alipay', 'a', current_date - 5, 'trade', 'payment', 'CNY', 0, 0, 0, 0)$$);
INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, amount, fee, digest)
VALUES ('alipay', 'a', current_date - 5, 'trade', 'payment', 'CNY', 0, 0, 0, 0);
CALL reconcile.maintain();
SELECT is((SELECT count(*) FROM reconcile.entry_total WHERE book = 'trade'), 2::bigint,
          'what was written after the oldest running transaction began is not folded yet');
SELECT dblink_exec('other', 'COMMIT');
SELECT dblink_disconnect('other');
SELECT is((SELECT count(*) FROM reconcile.entry_total), 4::bigint, 'it is there as it was');
CALL reconcile.maintain();
SELECT is((SELECT count(*) FROM reconcile.entry_total), 2::bigint, 'then one row a key');
SELECT set_eq('SELECT book, kind, currency, entries, amount, fee, mod(digest, 2::numeric ^ 128) FROM reconcile.entry_total',
              'SELECT * FROM before', 'with the same sums');
SELECT ok((SELECT ok FROM reconcile.verify() WHERE "check" = 'entry totals'), 'which are the entries''');

-- ---- changes
CREATE TEMPORARY TABLE changes AS SELECT * FROM reconcile.entry_change;
SELECT cmp_ok((SELECT count(*) FROM changes), '>', 40::bigint, 'no run has seen the changes: they stay');
SELECT is((SELECT state FROM reconcile.run('alipay', current_date - 5, force => true)), 'succeeded', 'given a run');
-- a run that failed is asked about its changes for an hour, and not for ever after
INSERT INTO reconcile.run (channel, account, leg, business_date, state, method, snapshot, finished_at)
VALUES ('alipay', 'a', 'internal-trade', current_date - 5, 'failed', 'batch', '1:1:', now());
CALL reconcile.maintain();
SELECT cmp_ok((SELECT count(*) FROM reconcile.entry_change), '>', 40::bigint, 'what a failed run has not seen stays');
UPDATE reconcile.run SET finished_at = now() - interval '3 hours' WHERE state = 'failed';
CALL reconcile.maintain();
SELECT is((SELECT count(*) FROM reconcile.entry_change), 0::bigint, 'what the run has seen is forgotten');
SELECT is(reconcile.next_run_day('alipay', 'a', 'internal-trade', now()), current_date - 4, 'and the day does not run again');
UPDATE reconcile.entry SET amount = amount + 1 WHERE order_key = 'o9' AND tier = 0;
CALL reconcile.maintain();
SELECT is((SELECT count(*) FROM reconcile.entry_change), 4::bigint, 'what it has not seen stays');
SELECT is(reconcile.next_run_day('alipay', 'a', 'internal-trade', now()), current_date - 5, 'and the day runs again');
-- a dump restored into another cluster, where transaction ids start again
UPDATE reconcile.run SET cluster = 1, snapshot = '9000000000:9000000000:' WHERE current;
SELECT is(reconcile.next_run_day('alipay', 'a', 'internal-trade', now()), current_date - 5,
          'a change after a restore is news to a run from before it, whatever the ids say');
UPDATE reconcile.entry_change SET cluster = 1, xid = '8000000000';
SELECT is(reconcile.next_run_day('alipay', 'a', 'internal-trade', now()), current_date - 4, 'restored changes compare with restored runs');
SELECT is((SELECT count(*) FROM reconcile.run('alipay', current_date - 5, force => true) WHERE state = 'succeeded'), 1::bigint, 'it runs');
UPDATE reconcile.entry_change SET xid = '8000000000000';
CALL reconcile.maintain();
SELECT is((SELECT count(*) FROM reconcile.entry_change), 0::bigint, 'and a run here has seen all that was restored');

-- ---- verify() finds what is wrong
CREATE FUNCTION pg_temp.verdict(name text) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN ok THEN 'ok' ELSE details END FROM reconcile.verify() WHERE "check" = name $$;
SELECT ok(bool_and(ok), 'all is well: ' || coalesce(string_agg("check" || ': ' || details, '; '), '')) FROM reconcile.verify();

BEGIN;
UPDATE reconcile.entry_total SET amount = amount + 0.01 WHERE book = 'trade';
SELECT pg_temp.verdict('entry totals') AS verdict \gset
ROLLBACK;
SELECT matches(:'verdict'::text, '^alipay a, .*, trade book, payment, CNY: entries 18, amount .*; counted 18', 'a total that is off by a cent');
BEGIN;
UPDATE reconcile.entry_total SET digest = digest + 1 WHERE book = 'trade';
SELECT pg_temp.verdict('entry totals') AS verdict \gset
ROLLBACK;
SELECT matches(:'verdict'::text, 'other contents', 'equal sums over other rows');
BEGIN;
SELECT reconcile.ensure_month((current_date + 39)::date);
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, amount, currency, status, effective, business_date, recon_date, source_id, source_key)
VALUES ('alipay', 'a', 'trade', 'payment', 'o1', 1, 'CNY', 'success', true, current_date + 39, current_date + 39, 1, 'trade1');
SELECT pg_temp.verdict('source keys') AS verdict \gset
ROLLBACK;
SELECT matches(:'verdict'::text, '^source 1, key trade1: 2 entries, in reconcile', 'a source key in two months');
BEGIN;
DELETE FROM reconcile.entry WHERE source_key = 'internal20' AND tier = 0;
SELECT pg_temp.verdict('open items') AS verdict \gset
ROLLBACK;
SELECT is(:'verdict'::text, 'alipay a, internal: source 1, key internal20', 'an open item without its entry');
BEGIN;
UPDATE reconcile.entry SET fee = 0.02 WHERE source_key = 'trade3' AND tier = 0;
SELECT count(*) FROM reconcile.run('alipay', current_date - 5, force => true);
DELETE FROM reconcile.entry WHERE source_key = 'trade3' AND tier = 0;
SELECT pg_temp.verdict('match items') AS verdict \gset
ROLLBACK;
SELECT is(:'verdict'::text, 'alipay a, trade: source 1, key trade3', 'a stored match without its entry');
BEGIN;
UPDATE reconcile.discrepancy_event SET details = details || '{"x": 1}' WHERE event_id = (SELECT min(event_id) FROM reconcile.discrepancy_event);
SELECT pg_temp.verdict('event chain') AS verdict \gset
ROLLBACK;
SELECT matches(:'verdict'::text, '^event \d+ of discrepancy \d+ is not as it was recorded$', 'an event that was changed');
BEGIN;
SELECT reconcile.assign(discrepancy_id, 'postgres') FROM reconcile.discrepancy;
DELETE FROM reconcile.discrepancy_event WHERE event_id = (SELECT min(event_id) FROM reconcile.discrepancy_event);
SELECT pg_temp.verdict('event chain') AS verdict \gset
ROLLBACK;
SELECT matches(:'verdict'::text, 'does not follow the event before it', 'an event that was removed');
BEGIN;
SELECT format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', inhrelid::regclass) AS command FROM pg_inherits
WHERE inhparent = 'reconcile.entry_trade'::regclass LIMIT 1 \gexec
SELECT pg_temp.verdict('row level security') AS verdict \gset
ROLLBACK;
SELECT matches(:'verdict'::text, '^reconcile.entry_trade_p.*: row level security is off$', 'a leaf without row level security');
BEGIN;
ALTER TABLE reconcile.entry DISABLE TRIGGER entry_recorded;
SELECT pg_temp.verdict('row level security') AS verdict \gset
ROLLBACK;
SELECT is(:'verdict'::text, 'reconcile.entry: its trigger entry_recorded is gone or off', 'the trigger switched off');
BEGIN;
DROP POLICY channel_access ON reconcile.entry;
SELECT pg_temp.verdict('row level security') AS verdict \gset
ROLLBACK;
SELECT is(:'verdict'::text, 'reconcile.entry: its policy channel_access is gone', 'the policy dropped');
BEGIN;
GRANT SELECT ON reconcile.run TO PUBLIC;
SELECT pg_temp.verdict('public grants') AS verdict \gset
ROLLBACK;
SELECT is(:'verdict'::text, 'reconcile.run: PUBLIC has SELECT', 'a grant to PUBLIC');
BEGIN;
GRANT EXECUTE ON FUNCTION reconcile.verify() TO PUBLIC;
SELECT pg_temp.verdict('public grants') AS verdict \gset
ROLLBACK;
SELECT is(:'verdict'::text, 'reconcile.verify(): PUBLIC has EXECUTE', 'also on a function');
BEGIN;
SELECT reconcile.ensure_month((current_date + 40)::date);
SELECT format('DROP TABLE %s', c.oid::regclass) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'reconcile.entry_bank'::regclass
  AND pg_get_expr(c.relpartbound, c.oid) LIKE format('FOR VALUES FROM (''%s''%%', date_trunc('month', current_date + 40)::date) \gexec
SELECT pg_temp.verdict('partitions ahead') AS verdict \gset
ROLLBACK;
SELECT matches(:'verdict'::text, 'reconcile.entry_bank has no partition for', 'a month that is missing');

SELECT * FROM finish();
