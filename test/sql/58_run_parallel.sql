-- The same day comes to the same, whoever reads it: one process or several, in memory or through temporary files. Three
-- accounts: references in both books, in one book, and keys in one book alone.
SET client_min_messages = warning;
SELECT reconcile.install() \gset
SELECT plan(20);

SELECT reconcile.create_channel('parallel', 'UTC', 'CNY', account => 'both', first_date => current_date - 10);
SELECT reconcile.create_account('parallel', 'silent');
SELECT reconcile.create_account('parallel', 'keyless');
SELECT reconcile.ensure_month((current_date - 3)::date);

-- Of 8 thousand orders an account: some are missing, twice there, of another amount, fee, key or reference, refunded more
-- than paid, without a name, or of a day before.
CREATE TABLE planted AS
SELECT a.account, b.book, n, v,
       CASE WHEN n % 40 = 3 THEN 'refund' ELSE 'payment' END AS kind, 'o' || n / 2 AS order_key,
       CASE WHEN a.account = 'keyless' AND b.book = 'internal' OR n % 97 = 1 THEN NULL
            WHEN n % 501 = 7 AND b.book = 'trade' THEN 'k' || n + 1 ELSE 'k' || n END AS match_key,
       CASE WHEN a.account = 'silent' AND b.book = 'trade' OR n % 89 = (b.book = 'trade')::integer THEN NULL
            WHEN n % 503 = 9 AND b.book = 'trade' THEN 'r' || n + 1 ELSE 'r' || n END AS channel_ref,
       (CASE WHEN n % 40 = 3 THEN -1 ELSE 1 END) * (n % 1000 + CASE WHEN n % 507 = 5 AND b.book = 'trade' THEN 0.01 ELSE 0.5 END) AS amount,
       CASE WHEN n % 50 = 0 THEN 'USD' ELSE 'CNY' END AS currency,
       CASE WHEN n % 3 = 0 THEN NULL WHEN n % 511 = 11 AND b.book = 'trade' THEN 0.07 WHEN n % 70 = 0 THEN 0.000001 ELSE 0.06 END AS fee,
       CASE WHEN n % 60 = 0 THEN 'EUR' END AS settlement_currency,
       CASE WHEN n % 11 = 0 THEN NULL ELSE (current_date - 3)::timestamptz + (n % 7) * interval '1 hour' END AS occurred_at,
       CASE WHEN n % 997 = 13 THEN current_date - 4 ELSE current_date - 3 END AS business_date,
       a.account || n || '/' || v || CASE WHEN n % 1009 = 17 THEN '#1' ELSE '' END AS source_key
FROM (VALUES ('both'), ('silent'), ('keyless')) a (account), (VALUES ('internal'), ('trade')) b (book), generate_series(1, 8000) n,
     generate_series(1, 2) v
WHERE (v = 1 OR n % 211 = 2 AND (b.book = 'trade' OR n % 422 = 2))
  AND NOT (n % 401 = 4 AND b.book = 'trade') AND NOT (n % 403 = 6 AND b.book = 'internal');
SET pg_reconcile.sink_records = 'on';
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, channel_ref, amount, currency, fee, settlement_currency,
  status, effective, occurred_at, business_date, recon_date, source_id, source_key)
SELECT 'parallel', account, book, kind, order_key, match_key, channel_ref, amount, currency, fee, settlement_currency,
       'success', true, occurred_at, business_date, current_date - 3, CASE book WHEN 'trade' THEN 2 ELSE 1 END, source_key
FROM planted ORDER BY md5(source_key || book);
RESET pg_reconcile.sink_records;
INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, amount, fee, digest)
SELECT channel, account, recon_date, book, kind, currency, count(*), sum(amount), coalesce(sum(fee), 0),
       mod(sum(reconcile.row_hash(order_key, match_key, channel_ref, kind, trim_scale(amount)::text, currency, trim_scale(fee)::text)),
           340282366920938463463374607431768211456)
FROM reconcile.entry WHERE channel = 'parallel' GROUP BY 1, 2, 3, 4, 5, 6;

-- What a run has left behind, in a line an account.
CREATE FUNCTION left_behind(p_account text) RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ',
    (SELECT count(*) || '/' || md5(string_agg(concat_ws('|', o.book, o.source_id, o.source_key, o.amount, o.due_date), ',' ORDER BY o.book, o.source_id, o.source_key COLLATE "C"))
     FROM reconcile.open_item o WHERE o.channel = 'parallel' AND o.account = p_account),
    (SELECT count(*) || '/' || md5(string_agg(g.items, ',' ORDER BY g.items COLLATE "C")) FROM (
       SELECT concat_ws('|', g.pass, g.currency, g.differs, string_agg(concat_ws('|', i.book, i.source_key, i.amount, i.fee), ';' ORDER BY i.book, i.source_key COLLATE "C")) AS items
       FROM reconcile.match_group g JOIN reconcile.match_item i USING (group_id)
       WHERE g.channel = 'parallel' AND g.account = p_account GROUP BY g.group_id, g.pass, g.currency, g.differs) g),
    (SELECT count(*) || '/' || md5(string_agg(concat_ws('|', d.item_key, d.entry_kind, d.ordinal, d.kind, d.difference, d.first_entry), ',' ORDER BY d.item_key COLLATE "C", d.entry_kind, d.ordinal))
     FROM reconcile.discrepancy d WHERE d.channel = 'parallel' AND d.account = p_account AND d.cleared_on IS NULL),
    (SELECT md5(string_agg(concat_ws('|', t.currency, t.left_in_count, t.left_in, t.left_matched_count, t.left_matched, t.right_in_count, t.right_in,
                                     t.right_matched_count, t.right_matched, t.residual, t.fee_difference), ',' ORDER BY t.currency))
     FROM reconcile.run_total t JOIN reconcile.run r USING (run_id) WHERE r.channel = 'parallel' AND r.account = p_account AND r.current))
$$;
CREATE TABLE outcome (way text, account text, state text, digest text, entries text, matched text, behind text);
CREATE FUNCTION note(p_way text) RETURNS bigint LANGUAGE sql AS $$
  WITH ran AS MATERIALIZED (
    SELECT r.* FROM unnest(ARRAY['both', 'silent', 'keyless']) a,
    LATERAL reconcile.run('parallel', current_date - 3, account => a, leg => 'internal-trade', force => true) r)
  INSERT INTO outcome (way, account, state, digest, entries, matched)
  SELECT p_way, account, state, digest, left_entries || '/' || right_entries, matched_pairs || '/' || matched_groups FROM ran;
  UPDATE outcome SET behind = left_behind(account) WHERE way = p_way;
  SELECT count(*) FROM outcome WHERE way = p_way AND state = 'succeeded'
$$;

SET max_parallel_workers_per_gather = 0;
SELECT is(note('alone'), 3::bigint, 'one process: every day closes to the cent');
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SELECT is(note('together'), 3::bigint, 'several processes');
SET pg_reconcile.memory_limit = '8MB';
SELECT is(note('little memory'), 3::bigint, 'several processes that have little memory');
SET max_parallel_workers = 0;
SELECT is(note('no worker'), 3::bigint, 'no worker comes');
RESET max_parallel_workers;
SET max_parallel_workers_per_gather = 0;
SELECT is(note('alone, little memory'), 3::bigint, 'one process that has little memory');
RESET pg_reconcile.memory_limit;

SELECT is((SELECT count(DISTINCT digest) FROM outcome o WHERE o.account = a), 1::bigint, 'account ' || a || ': one digest')
FROM unnest(ARRAY['both', 'silent', 'keyless']) a;
SELECT is((SELECT count(DISTINCT (entries, matched)) FROM outcome o WHERE o.account = a), 1::bigint, 'account ' || a || ': one set of counts')
FROM unnest(ARRAY['both', 'silent', 'keyless']) a;
SELECT is((SELECT count(DISTINCT behind) FROM outcome o WHERE o.account = a), 1::bigint, 'account ' || a || ': the same items, matches, discrepancies and totals')
FROM unnest(ARRAY['both', 'silent', 'keyless']) a;
SELECT is((SELECT count(DISTINCT digest) FROM outcome), 3::bigint, 'the digests tell the accounts apart');

-- Twins that nothing tells apart pair in the order of their keys, whatever they were stored as.
SELECT is((SELECT string_agg(i.source_key, ',' ORDER BY i.source_key COLLATE "C") FROM reconcile.open_item i
           WHERE i.channel = 'parallel' AND i.account = 'both' AND i.book = 'trade' AND i.order_key = 'o106'),
          'both213/2', 'of twins the last by its key is left');

-- More entries than the least memory holds: some wait in temporary files.
SELECT reconcile.create_account('parallel', 'large');
SET pg_reconcile.sink_records = 'on';
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, channel_ref, amount, currency, status, effective,
  business_date, recon_date, source_id, source_key)
SELECT 'parallel', 'large', b.book, 'payment', 'l' || n, 'l' || n, 'l' || n, 1, 'CNY', 'success', true,
       current_date - 3, current_date - 3, CASE b.book WHEN 'trade' THEN 2 ELSE 1 END, 'l' || n
FROM generate_series(1, 140000) n, (VALUES ('internal'), ('trade')) b (book) WHERE NOT (n % 10000 = 5 AND b.book = 'trade');
RESET pg_reconcile.sink_records;
INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, amount, fee, digest)
SELECT channel, account, recon_date, book, kind, currency, count(*), sum(amount), 0,
       mod(sum(reconcile.row_hash(order_key, match_key, channel_ref, kind, '1', currency, NULL::text)), 340282366920938463463374607431768211456)
FROM reconcile.entry WHERE channel = 'parallel' AND account = 'large' GROUP BY 1, 2, 3, 4, 5, 6;
SET max_parallel_workers_per_gather = 2;
CREATE TABLE large AS SELECT r.state, r.digest, r.matched_pairs FROM reconcile.run('parallel', current_date - 3, account => 'large', leg => 'internal-trade', force => true) r;
SELECT pg_stat_force_next_flush();
SELECT temp_bytes AS spilled_before FROM pg_stat_database WHERE datname = current_database() \gset
SET pg_reconcile.memory_limit = '8MB';
INSERT INTO large SELECT r.state, r.digest, r.matched_pairs FROM reconcile.run('parallel', current_date - 3, account => 'large', leg => 'internal-trade', force => true) r;
SELECT pg_stat_force_next_flush();
SELECT ok(temp_bytes > :spilled_before + 1000000, 'entries wait in temporary files') FROM pg_stat_database WHERE datname = current_database();
SET max_parallel_workers_per_gather = 0;
INSERT INTO large SELECT r.state, r.digest, r.matched_pairs FROM reconcile.run('parallel', current_date - 3, account => 'large', leg => 'internal-trade', force => true) r;
RESET pg_reconcile.memory_limit;
SELECT is((SELECT count(*) FROM large WHERE state = 'succeeded' AND matched_pairs = 139986), 3::bigint, 'and every one is matched');
SELECT is((SELECT count(DISTINCT digest) FROM large), 1::bigint, 'with the same digest');

-- A row of the partition that changes in the run's own transaction is read as it is then.
BEGIN;
SET LOCAL max_parallel_workers_per_gather = 2;
DELETE FROM reconcile.entry WHERE channel = 'parallel' AND account = 'both' AND book = 'trade' AND source_key = 'both100/1';
SELECT is(note('changed'), 3::bigint, 'a run in the transaction that changed an entry');
COMMIT;
SELECT * FROM finish();
