-- Tables and files for bench/run.sh. Variables: compare_rows (of the tables that are compared), small_rows (a tenth of
-- them), rows (of the day that is run and the file that is read), folder.
SET client_min_messages = warning;
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE EXTENSION pg_reconcile;

CREATE TABLE bench_left (order_no text, amount numeric, state text, paid_at timestamptz, buyer text, shop integer, fee numeric, note text);
INSERT INTO bench_left
SELECT 'order' || lpad(i::text, 12, '0'), (i % 100000)::numeric / 100 + 1, 'success', now() - i * interval '10 ms', 'buyer' || i % 1000, i % 50, 0.01, 'a note'
FROM generate_series(1, :compare_rows) i;
-- 0.08 percent differ: missing on either side, another amount.
CREATE TABLE bench_right (LIKE bench_left);
INSERT INTO bench_right
SELECT order_no, CASE WHEN n % 2500 = 7 THEN amount + 1 ELSE amount END, state, paid_at, buyer, shop, fee, note
FROM (SELECT l.*, row_number() OVER (ORDER BY md5(order_no)) AS n FROM bench_left l) s
WHERE n % 5000 <> 3;
INSERT INTO bench_right SELECT 'only' || i, 1, 'success', now(), 'b', 1, 0, 'n' FROM generate_series(1, :compare_rows / 5000) i;
-- Five percent differ.
CREATE TABLE bench_five AS
SELECT order_no, CASE WHEN hashtext(order_no) % 20 = 0 THEN amount + 1 ELSE amount END AS amount, state, paid_at, buyer, shop, fee, note
FROM bench_right;
-- The first rows of both: a tenth, and a day.
CREATE FUNCTION bench_first(part text, count bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE bench_%s_left AS SELECT * FROM bench_left WHERE substr(order_no, 6)::bigint <= %s', part, count);
  EXECUTE format($q$CREATE TABLE bench_%s_right AS SELECT * FROM bench_right
    WHERE CASE WHEN order_no LIKE 'order%%' THEN substr(order_no, 6)::bigint <= %s ELSE substr(order_no, 5)::bigint <= %2$s / 5000 END$q$, part, count);
END $$;
SELECT bench_first('small', :small_rows), bench_first('day', :rows);
VACUUM ANALYZE bench_left, bench_right, bench_five, bench_small_left, bench_small_right, bench_day_left, bench_day_right;
-- Just loaded, partly updated, never vacuumed.
CREATE TABLE bench_fresh WITH (autovacuum_enabled = off) AS SELECT * FROM bench_left;
UPDATE bench_fresh SET note = 'another note' WHERE shop = 7;

-- The same day as entries of two books.
SELECT reconcile.create_channel('bench', 'UTC', 'CNY', account => '1', first_date => current_date - 30);
SET pg_reconcile.sink_records = 'on';
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, channel_ref, amount, currency, status,
  effective, occurred_at, business_date, recon_date, source_id, source_key)
SELECT 'bench', '1', s.book, 'payment', s.order_no, s.order_no, NULL, s.amount, 'CNY', 'success', true,
       (current_date - 2)::timestamptz + interval '12 hours', current_date - 2, current_date - 2, s.source, s.order_no
FROM (SELECT 'internal' AS book, 1 AS source, order_no, amount FROM bench_day_left
      UNION ALL SELECT 'trade', 2, order_no, amount FROM bench_day_right) s;
RESET pg_reconcile.sink_records;
-- What the sink counts as it stores.
INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, amount, fee, digest)
SELECT channel, account, recon_date, book, kind, currency, count(*), sum(amount), 0,
       mod(sum(reconcile.row_hash(order_key, match_key, channel_ref, kind, trim_scale(amount)::text, currency, NULL::text)),
           340282366920938463463374607431768211456)
FROM reconcile.entry GROUP BY 1, 2, 3, 4, 5, 6;
VACUUM ANALYZE reconcile.entry;

-- Late changes of the day, a row at a time, as streams bring them: of ten, five belong to pairs that come late, four
-- correct an amount in both books, one in one book alone.
CREATE FUNCTION reconcile.bench_change(p_changes integer, p_rows bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  keys text[] := ARRAY(SELECT 'order' || lpad((1 + floor(random() * p_rows))::bigint::text, 12, '0') FROM generate_series(1, p_changes * 3 / 10));
BEGIN
  UPDATE reconcile.entry SET amount = amount + 0.01
  WHERE book = 'internal' AND source_id = 1 AND tier = 0 AND source_key = ANY (keys[1:p_changes / 5]);
  UPDATE reconcile.entry SET amount = amount + 0.01 WHERE book = 'trade' AND source_id = 2 AND tier = 0 AND source_key = ANY (keys);
  INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, status, effective, occurred_at,
    business_date, recon_date, source_id, source_key)
  SELECT 'bench', '1', b.book, 'payment', k.key, k.key, 1, 'CNY', 'success', true, now(), current_date - 2, current_date - 2, b.source, k.key
  FROM (SELECT 'late' || i || '/' || clock_timestamp() AS key FROM generate_series(1, p_changes / 4) i) k
  CROSS JOIN (VALUES ('internal', 1), ('trade', 2)) AS b (book, source);
END $$;

-- A channel's file, and the same rows as clean CSV for COPY into a table of the same columns and indexes.
SELECT reconcile.create_channel('benchfile', 'UTC', 'CNY', account => '1', first_date => current_date - 30);
-- In a book of its own: each ingestion finds empty partitions, as COPY finds an empty table.
SELECT reconcile.create_file_source('bench files', 'benchfile', 'generic.csv', NULL, account => '1', book => 'fund',
                                    options => '{"expected": false}');
SELECT :'folder' || '/server/bill.csv' AS bill, :'folder' || '/server/copy.csv' AS copied \gset
COPY (SELECT 'order_key,kind,amount,channel_ref,occurred_at,status,business_date'
      UNION ALL
      SELECT order_no || ',payment,' || amount || ',ref' || order_no || ',' || (current_date - 3) || ' 10:00:00+00,success,' || current_date - 3
      FROM bench_day_left) TO :'bill';
CREATE TABLE bench_copy AS SELECT * FROM reconcile.entry WHERE false;
ALTER TABLE bench_copy ADD PRIMARY KEY (source_id, source_key, order_key);
CREATE INDEX ON bench_copy (order_key);
CREATE INDEX ON bench_copy (channel_ref) WHERE channel_ref IS NOT NULL;
CREATE INDEX ON bench_copy (match_key) WHERE match_key <> order_key;
CREATE INDEX ON bench_copy USING brin (business_date);
CREATE INDEX ON bench_copy (statement_id) WHERE statement_id IS NOT NULL;
CREATE INDEX ON bench_copy (channel, account, recon_date) WHERE recon_date <> business_date;
COPY (SELECT 'benchfile', '1', 'trade', 'payment', NULL, order_no, order_no, 'ref' || order_no, NULL, amount, 'CNY', NULL, NULL,
             NULL, NULL, NULL, 'success', NULL, true, (current_date - 3)::timestamptz + interval '10 hours', NULL,
             current_date - 3, current_date - 3, NULL, NULL, 1, '1/' || row_number() OVER (), 1, 0
      FROM bench_day_left) TO :'copied' CSV;

-- Before each measured ingestion: as if the file had never come.
CREATE FUNCTION reconcile.bench_forget() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM reconcile.statement WHERE channel = 'benchfile';
  TRUNCATE reconcile.entry_change, reconcile.entry_total;
  PERFORM reconcile.ensure_month(current_date - 3, 'fund');
  TRUNCATE reconcile.entry_fund;
  EXECUTE 'CHECKPOINT';
END $$;
