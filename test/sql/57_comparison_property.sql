-- reconcile.run, as a batch and incrementally, against reconcile.comparison_sql on generated data sets. One is a day of an account; four make up its
-- history, each with what the days before left open. In them: twins, NULL keys, unicode keys, one key for all rows,
-- huge, tiny and negative amounts, other kinds, currencies, fees and references, refunds, reversals, partial captures,
-- entries that failed or are pending, that come late, that were signed off and taken back.
--
-- Environment: PROPERTY_SETS (how many data sets; 200), PG_RECONCILE_SEED (1).
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
\set sets 200
\getenv sets PROPERTY_SETS
\set seed 1
\getenv seed PG_RECONCILE_SEED
\set ECHO none
SELECT plan(13);
SELECT (:sets + 3) / 4 AS accounts, reconcile.install() \gset

-- ---- the days ------------------------------------------------------------------------------------------------------
CREATE TABLE world AS
SELECT c.channel, c.zone, c.day_start::interval, c.lags::jsonb, c.edge::interval, (ARRAY[0, 1, 2, 3])[c.n] AS n
FROM (VALUES (1, 'plain', 'UTC', '0', NULL, '10 minutes'),
             (2, '支付''s \ %s 宝', 'Asia/Shanghai', '-01:00', '{"left": {"payment": 1, "*": 3}, "right": {"payment": 0, "refund": 1}}', '2 hours'),
             (3, 'net first', 'America/New_York', '04:00', '{"left": {}, "right": {"*": 2}}', '0'),
             (4, 'keys alone', 'UTC', '00:30', '{"left": {"*": 1}, "right": {"payment": 0, "*": 1}}', '12 hours'))
     AS c (n, channel, zone, day_start, lags, edge);
SELECT count(reconcile.create_channel(w.channel, w.zone, 'CNY', day_start => w.day_start, lags => w.lags, edge_window => w.edge)) FROM world w \gset
-- Other calendars, other orders of the passes, fewer passes.
INSERT INTO reconcile.calendar (calendar) VALUES ('banking');
INSERT INTO reconcile.calendar_day (calendar, day, is_open, reason) VALUES ('banking', current_date - 8, false, 'a holiday');
UPDATE reconcile.leg SET calendar = 'banking' WHERE channel LIKE '支付%';
SELECT reconcile.set_match_rules('net first', 'internal-trade', '[{"rule": "net_order"}, {"rule": "match_key"}, {"rule": "carried"}, {"rule": "channel_ref"}]'),
       reconcile.set_match_rules('keys alone', 'internal-trade', '[{"rule": "match_key"}, {"rule": "carried"}]'),
       reconcile.set_match_rules('keys alone', 'internal-trade', '[{"rule": "channel_ref"}]', current_date + 1) \gset
SELECT setseed((:seed % 100003) / 100003.0) \gset

CREATE FUNCTION one_of(VARIADIC pool text[]) RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT pool[1 + floor(random() * cardinality(pool))::integer] $$;
CREATE FUNCTION key_of(few integer) RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT (ARRAY['k', 'é', E'e\u0301', '支付宝', 'K', 'k ', ' k', 'a/b', '''', '"', '\', '%s', '😀', 'source:1:k', repeat('long', 300)])
             [1 + floor(random() * few)::integer] $$;

CREATE TABLE shape AS
SELECT w.channel, 'account ' || a AS account, w.zone, w.day_start, a AS set_no,
       (ARRAY[1, 2, 5, 15])[1 + floor(random() * 4)::integer] AS keys,
       (ARRAY[1, 2, 4, 11])[1 + floor(random() * 4)::integer] AS amounts,
       (ARRAY[0, 0.1, 0.5])[1 + floor(random() * 3)::integer] AS null_share,
       (ARRAY[0.02, 0.1, 0.4])[1 + floor(random() * 3)::integer] AS change_share,
       (ARRAY[1, 3, 6, 10])[1 + floor(random() * 4)::integer] AS rows_a_day
FROM generate_series(1, :accounts) a JOIN world w ON w.n = a % 4;
INSERT INTO reconcile.account (channel, account) SELECT s.channel, s.account FROM shape s;

CREATE SEQUENCE row_no;
CREATE TABLE drawn AS
SELECT s.channel, s.account, current_date - 10 + d.day AS day, s.change_share, s.null_share,
       one_of('payment', 'payment', 'payment', 'refund', 'reversal', 'chargeback', 'other', 'fee') AS kind,
       key_of(s.keys) AS order_key,
       CASE WHEN random() >= s.null_share THEN key_of(s.keys) END AS match_key,
       CASE WHEN random() >= s.null_share THEN key_of(s.keys) END AS channel_ref,
       (ARRAY['10', '10.00', '-10', '0.01', '0', '20', '-20', '0.000000000001', '999999999999999999.99', '-999999999999999999.99', '7'])
         [1 + floor(random() * s.amounts)::integer]::numeric AS amount,
       one_of('CNY', 'CNY', 'CNY', 'CNY', 'USD') AS currency,
       CASE WHEN random() < 0.5 THEN one_of('0', '0.06', '0.060', '1')::numeric END AS fee,
       CASE WHEN random() < 0.2 THEN one_of('CNY', 'USD') END AS settlement_currency,
       one_of('success', 'success', 'success', 'success', 'success', 'success', 'pending', 'failed', 'closed', 'reversed') AS status,
       -- In no order; now and then near the day's end.
       ((current_date - 10 + d.day)::timestamp + s.day_start
        + CASE WHEN random() < 0.2 THEN interval '23 hours 55 minutes' * random() ^ 0.05 ELSE interval '23 hours' * random() END) AT TIME ZONE s.zone
         AS occurred_at
FROM shape s, generate_series(0, 3) AS d (day), generate_series(1, s.rows_a_day) AS n
WHERE random() < 0.9;

-- Order number 1 of an account is what goes well and comes in parts, whatever else it draws.
CREATE TABLE leftward AS SELECT nextval('row_no') AS no, d.* FROM drawn d;
CREATE TABLE rightward AS
SELECT l.no, l.channel, l.account,
       l.day + CASE WHEN random() < 0.75 THEN 0 WHEN random() < 0.6 THEN 1 WHEN random() < 0.7 THEN 2 ELSE -1 END AS day,
       CASE WHEN random() < l.change_share / 2 THEN one_of('payment', 'refund', 'reversal') ELSE l.kind END AS kind,
       CASE WHEN random() < l.change_share / 2 THEN key_of(5) ELSE l.order_key END AS order_key,
       CASE WHEN random() < l.change_share / 2 THEN key_of(3) WHEN random() < l.null_share / 4 THEN NULL ELSE l.match_key END AS match_key,
       CASE WHEN random() < l.change_share / 2 THEN key_of(3) WHEN random() < l.null_share / 2 THEN NULL ELSE l.channel_ref END AS channel_ref,
       CASE WHEN random() < l.change_share THEN -l.amount WHEN random() < l.change_share THEN 10.01 ELSE l.amount END AS amount,
       CASE WHEN random() < l.change_share / 2 THEN 'USD' ELSE l.currency END AS currency,
       CASE WHEN random() < l.change_share THEN 0.07 WHEN random() < l.change_share THEN NULL ELSE l.fee END AS fee,
       CASE WHEN random() < l.change_share THEN 'USD' ELSE l.settlement_currency END AS settlement_currency,
       CASE WHEN random() < l.change_share THEN one_of('success', 'failed', 'pending') ELSE l.status END AS status,
       l.occurred_at + interval '30 seconds' * (random() - 0.5) AS occurred_at
FROM leftward l, generate_series(1, 1 + (random() < 0.1)::integer) AS twice
WHERE random() < 0.88;

CREATE TABLE made AS
WITH both_books AS (
  SELECT 'internal' AS book, 1 AS source_id, 'l' || l.no AS source_key, l.channel, l.account, l.day, l.kind, l.order_key, l.match_key, l.channel_ref,
         l.amount, l.currency, l.fee, l.settlement_currency, l.status, l.occurred_at FROM leftward l
  UNION ALL
  SELECT 'trade', 2, 'r' || nextval('row_no'), r.channel, r.account, r.day, r.kind, r.order_key, r.match_key, r.channel_ref,
         r.amount, r.currency, r.fee, r.settlement_currency, r.status, r.occurred_at FROM rightward r
  WHERE r.day BETWEEN current_date - 10 AND current_date - 7
), parts AS (
  -- One order of an account in parts on one side: captures and a same-day reversal.
  SELECT CASE WHEN b.book = 'internal' THEN 'trade' ELSE 'internal' END AS book, 3 - b.source_id AS source_id, b.source_key || 'part' || p AS source_key,
         b.channel, b.account, b.day, CASE WHEN p = 3 THEN 'reversal' ELSE b.kind END AS kind, b.order_key, NULL AS match_key, NULL AS channel_ref,
         CASE p WHEN 1 THEN b.amount / 2 WHEN 2 THEN b.amount - b.amount / 2 + 1 ELSE -1 END AS amount, b.currency, NULL::numeric AS fee,
         NULL AS settlement_currency, b.status, b.occurred_at + p * interval '1 minute' AS occurred_at
  FROM both_books b, generate_series(1, 3) p
  WHERE hashtext(b.source_key) % 17 = 0 AND abs(b.amount) BETWEEN 1 AND 100
), taken_back AS (
  -- A change after sign-off: the row is taken back, wholly or in part, by a delta of a later day.
  SELECT b.book, b.source_id, b.source_key || '#1' AS source_key, b.channel, b.account, least(b.day + 1, current_date - 7) AS day, b.kind, b.order_key,
         b.match_key, b.channel_ref, CASE WHEN hashtext(b.source_key) % 2 = 0 THEN -b.amount ELSE 1 - b.amount END AS amount, b.currency, b.fee,
         b.settlement_currency, b.status, b.occurred_at + interval '1 second' AS occurred_at
  FROM both_books b
  WHERE abs(hashtext(b.source_key)) % 13 = 1 AND abs(b.amount) < 1e15 AND b.status = 'success'
), cancelled AS (
  -- What one book alone has and takes back: a reversal nets, a refund does not.
  SELECT b.book, b.source_id, b.source_key || 'cancel' || p AS source_key, b.channel, b.account, b.day,
         CASE p WHEN 1 THEN 'payment' ELSE CASE WHEN hashtext(b.source_key) % 2 = 0 THEN 'reversal' ELSE 'refund' END END AS kind,
         'cancelled ' || b.source_key AS order_key, CASE p WHEN 1 THEN b.match_key END AS match_key, NULL AS channel_ref,
         CASE p WHEN 1 THEN b.amount ELSE -b.amount END AS amount, b.currency, b.fee, b.settlement_currency, 'success' AS status,
         b.occurred_at + p * interval '3 minutes' AS occurred_at
  FROM both_books b, generate_series(1, 2) p
  WHERE abs(hashtext(b.source_key)) % 19 IN (2, 3)
), everything AS (
  TABLE both_books UNION ALL TABLE parts UNION ALL TABLE taken_back UNION ALL TABLE cancelled
)
SELECT e.*, row_number() OVER (PARTITION BY e.channel, e.account ORDER BY random()) AS order_of_arrival FROM everything e;

SELECT count(reconcile.ensure_month(day)) FROM (SELECT DISTINCT day FROM made UNION SELECT DISTINCT day - 2 FROM made) m (day) \gset
-- One in eight is kept back: it comes when its day has been run.
CREATE VIEW arriving AS
SELECT m.channel, m.account, m.book, m.kind, m.order_key, m.match_key, m.channel_ref, m.amount, m.currency, m.fee, m.settlement_currency, m.status,
       m.status = 'success' AS effective,
       -- Many at once, and some at a time that nobody states.
       CASE abs(hashtext(m.source_key || 'time')) % 5 WHEN 0 THEN NULL WHEN 1 THEN m.occurred_at ELSE date_trunc('hour', m.occurred_at) END AS occurred_at,
       -- Some belong to a day that was signed off.
       CASE WHEN hashtext(m.source_key) % 11 = 0 OR m.source_key LIKE '%#%' THEN m.day - 1 - abs(hashtext(m.source_key)) % 2 ELSE m.day END AS business_date, m.day AS recon_date,
       m.source_id, m.source_key, abs(hashtext(m.source_key || 'late')) % 8 = 0 AS is_late, m.order_of_arrival
FROM made m;
CREATE FUNCTION arrive(late boolean) RETURNS void LANGUAGE sql AS $$
  INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, channel_ref, amount, currency, fee, settlement_currency, status,
                               effective, occurred_at, business_date, recon_date, source_id, source_key)
  SELECT a.channel, a.account, a.book, a.kind, a.order_key, a.match_key, a.channel_ref, a.amount, a.currency, a.fee, a.settlement_currency, a.status,
         a.effective, a.occurred_at, a.business_date, a.recon_date, a.source_id, a.source_key
  FROM arriving a WHERE a.is_late = late ORDER BY a.order_of_arrival
$$;
SELECT arrive(false) \gset
ANALYZE;

-- ---- both ways -----------------------------------------------------------------------------------------------------
CREATE TABLE by_sql (round text, channel text, day date, account text, kind text, item_key text, entry_kind text, currency text, difference numeric,
  left_amount numeric, left_currency text, right_amount numeric, right_currency text, left_entry text, right_entry text, first_entry text,
  business_date date);
CREATE TABLE by_run (LIKE by_sql);
CREATE TABLE ran (channel text, day date, account text, state text, failure text);

CREATE FUNCTION ask_sql(p_round text, p_channel text, p_day date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'INSERT INTO by_sql SELECT $1, $2, $3, q.* FROM (' || reconcile.comparison_sql(p_channel, p_day) || ') q'
  USING p_round, p_channel, p_day;
END
$$;
CREATE FUNCTION name_of(entry jsonb) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT concat_ws('/', entry ->> 'book', entry ->> 'source_id', entry ->> 'source_key') WHERE entry IS NOT NULL $$;

-- What stands after the day's run: discrepancies, less what the text does not say, and open items that are in none.
CREATE FUNCTION ask_run(p_round text, p_channel text, p_account text, p_day date) RETURNS void LANGUAGE sql AS $$
  WITH standing AS (
    SELECT d.*, name_of(d.left_entry) AS l, name_of(d.right_entry) AS r FROM reconcile.discrepancy d
    WHERE d.channel = p_channel AND d.account = p_account AND d.cleared_on IS NULL AND d.kind <> 'over_refund'
      -- of matches of earlier days
      AND NOT EXISTS (SELECT FROM reconcile.match_item i JOIN reconcile.match_group g USING (group_id)
                      WHERE i.channel = p_channel AND i.account = p_account AND i.book = 'internal' AND g.business_date < p_day
                        AND i.source_key = d.left_entry ->> 'source_key' AND d.kind IN ('fee_mismatch', 'reference_mismatch'))
  ), item AS (
    SELECT o.*, concat_ws('/', o.book, o.source_id, o.source_key) AS name FROM reconcile.open_item o
    WHERE o.channel = p_channel AND o.account = p_account AND o.opened_on <= p_day AND (o.closed_on IS NULL OR o.closed_on > p_day)
  )
  INSERT INTO by_run
  SELECT p_round, p_channel, p_day, s.account, s.kind, s.item_key, s.entry_kind, s.currency, s.difference, s.left_amount, s.left_currency,
         s.right_amount, s.right_currency, s.l, s.r, s.first_entry, s.business_date
  FROM standing s
  UNION ALL
  SELECT p_round, p_channel, p_day, i.account, 'in_transit', coalesce(i.match_key, 'source:' || i.source_id || ':' || i.source_key), i.kind, i.currency,
         CASE i.book WHEN 'internal' THEN -i.amount ELSE i.amount END,
         CASE i.book WHEN 'internal' THEN i.amount END, CASE i.book WHEN 'internal' THEN i.currency END,
         CASE i.book WHEN 'trade' THEN i.amount END, CASE i.book WHEN 'trade' THEN i.currency END,
         NULL, NULL, i.name, i.business_date
  FROM item i WHERE NOT EXISTS (SELECT FROM standing s WHERE i.name IN (s.l, s.r))
$$;

CREATE PROCEDURE reconcile_all() LANGUAGE plpgsql AS $$
DECLARE
  day date;
  target record;
BEGIN
  FOR i IN 0 .. 3 LOOP
    day := current_date - 10 + i;
    FOR target IN SELECT w.channel FROM world w ORDER BY w.n LOOP
      PERFORM ask_sql('before', target.channel, day);
    END LOOP;
    FOR target IN SELECT s.channel, s.account FROM shape s ORDER BY s.set_no LOOP
      INSERT INTO ran SELECT target.channel, day, target.account, r.state, r.failure FROM reconcile.run(target.channel, day, target.account, force => true) r;
      PERFORM ask_run('run', target.channel, target.account, day);
      COMMIT;
    END LOOP;
  END LOOP;
END
$$;
CALL reconcile_all();
SELECT count(ask_sql('after', w.channel, current_date - 10 + d)) FROM world w, generate_series(0, 3) d \gset

-- ---- what is to hold -----------------------------------------------------------------------------------------------
SELECT is((SELECT count(*) FROM ran WHERE state = 'succeeded'), :accounts * 4::bigint, 'every day is run');
SELECT cmp_ok((SELECT count(*) FROM by_sql), '>=', :sets::bigint, 'the days differ enough to say something');
SELECT is((SELECT string_agg(DISTINCT kind, ' ' ORDER BY kind) FROM by_sql),
  'amount_mismatch currency_mismatch duplicate_internal duplicate_trade fee_mismatch in_transit kind_mismatch missing_internal missing_trade reference_mismatch status_mismatch',
  'and in every way there is');
SELECT is((SELECT string_agg(DISTINCT g.rule || CASE WHEN i.books = 1 THEN ' of one book' WHEN i.entries > 2 THEN ' of many' ELSE '' END, ', ')
           FROM reconcile.match_group g
           CROSS JOIN LATERAL (SELECT count(*) AS entries, count(DISTINCT m.book) AS books FROM reconcile.match_item m WHERE m.group_id = g.group_id) i),
  'carried, carried of one book, channel_ref, match_key, net_order, net_order of many, net_order of one book', 'and every pass has matched');

-- An entry in transit has nothing that it stands against.
UPDATE by_sql SET left_entry = NULL, right_entry = NULL WHERE kind = 'in_transit';
CREATE VIEW before_run AS SELECT (to_jsonb(s) - 'round')::text AS finding FROM by_sql s WHERE s.round = 'before';
CREATE VIEW after_run AS SELECT (to_jsonb(s) - 'round')::text AS finding FROM by_sql s WHERE s.round = 'after';
CREATE VIEW of_run AS SELECT (to_jsonb(s) - 'round')::text AS finding FROM by_run s WHERE s.round = 'run';
UPDATE by_sql SET difference = trim_scale(difference), left_amount = trim_scale(left_amount), right_amount = trim_scale(right_amount);
UPDATE by_run SET difference = trim_scale(difference), left_amount = trim_scale(left_amount), right_amount = trim_scale(right_amount);
SELECT is_empty('(TABLE before_run EXCEPT ALL TABLE of_run) ORDER BY 1 LIMIT 5', 'the run finds all that the SQL finds');
SELECT is_empty('(TABLE of_run EXCEPT ALL TABLE before_run) ORDER BY 1 LIMIT 5', 'the SQL finds all that the run finds');
SELECT is_empty('((TABLE before_run EXCEPT ALL TABLE after_run) UNION ALL (TABLE after_run EXCEPT ALL TABLE before_run)) ORDER BY 1 LIMIT 5',
  'the SQL finds the same when the day, and those after it, are run');

-- method => 'sql'
SELECT w.channel AS channel, s.account AS account FROM shape s JOIN world w USING (channel) ORDER BY s.set_no LIMIT 1 \gset
SELECT is(
  (SELECT jsonb_agg(jsonb_build_array(r.business_date, r.state, r.left_entries, r.right_entries, r.in_transit, r.discrepancies_open, r.method, r.dry_run) ORDER BY d)
   FROM generate_series(0, 3) d, reconcile.run(:'channel', current_date - 10 + d, :'account', method => 'sql', dry_run => true, force => true) r),
  (SELECT jsonb_agg(jsonb_build_array(r.business_date, r.state, r.left_entries, r.right_entries, r.in_transit,
     (SELECT count(*) FROM by_run b WHERE b.channel = r.channel AND b.account = r.account AND b.day = r.business_date AND b.kind <> 'in_transit'),
     'sql', true) ORDER BY r.business_date)
   FROM reconcile.run r WHERE r.channel = :'channel' AND r.account = :'account' AND r.current),
  'method sql counts what batch counts');
SELECT is((SELECT count(*) FROM reconcile.run WHERE method = 'sql'), 0::bigint, 'and writes nothing');

-- ---- what came late, was corrected or went, incrementally ---------------------------------------------------------------
SELECT arrive(true) \gset
UPDATE reconcile.entry e SET
  amount = CASE c.what WHEN 0 THEN e.amount + 1 ELSE e.amount END, fee = CASE c.what WHEN 1 THEN 0.5 ELSE e.fee END,
  order_key = CASE c.what WHEN 2 THEN 'moved ' || e.order_key ELSE e.order_key END,
  match_key = CASE c.what WHEN 3 THEN 'k' ELSE e.match_key END, channel_ref = CASE c.what WHEN 4 THEN 'k' WHEN 5 THEN NULL ELSE e.channel_ref END,
  kind = CASE c.what WHEN 6 THEN 'refund' ELSE e.kind END, effective = CASE c.what WHEN 7 THEN NOT e.effective ELSE e.effective END,
  status = CASE c.what WHEN 7 THEN CASE WHEN e.effective THEN 'failed' ELSE 'success' END ELSE e.status END
FROM (SELECT a.source_id, a.source_key, abs(hashtext(a.source_key || 'what')) % 8 AS what FROM arriving a
      WHERE abs(hashtext(a.source_key || 'corrected')) % 10 = 0 AND a.source_key NOT LIKE '%#%' AND abs(a.amount) < 1e15) c
WHERE e.source_id = c.source_id AND e.source_key = c.source_key AND e.tier = 0;
DELETE FROM reconcile.entry e WHERE abs(hashtext(e.source_key || 'gone')) % 25 = 0 AND e.tier = 0;
CREATE PROCEDURE reconcile_again() LANGUAGE plpgsql AS $$
DECLARE
  target record;
BEGIN
  FOR target IN SELECT s.channel, s.account FROM shape s ORDER BY s.set_no LOOP
    PERFORM r.run_id FROM reconcile.run(target.channel, current_date - 10, target.account, method => 'incremental', force => true) r;
    PERFORM ask_run('incremental', target.channel, target.account, current_date - 7);
    COMMIT;
  END LOOP;
END
$$;
CALL reconcile_again();
SELECT count(ask_sql('late', w.channel, current_date - 7)) FROM world w \gset
UPDATE by_sql SET left_entry = NULL, right_entry = NULL WHERE kind = 'in_transit';
UPDATE by_sql SET difference = trim_scale(difference), left_amount = trim_scale(left_amount), right_amount = trim_scale(right_amount);
UPDATE by_run SET difference = trim_scale(difference), left_amount = trim_scale(left_amount), right_amount = trim_scale(right_amount);
CREATE VIEW late AS SELECT (to_jsonb(s) - 'round')::text AS finding FROM by_sql s WHERE s.round = 'late';
CREATE VIEW incremental AS SELECT (to_jsonb(s) - 'round')::text AS finding FROM by_run s WHERE s.round = 'incremental';
SELECT is((SELECT count(*) FROM reconcile.run r WHERE r.current AND r.state = 'succeeded' AND r.proof_difference = 0), :accounts * 4::bigint, 'every day runs again');
SELECT is_empty($$SELECT r.channel, r.account, r.business_date, r.batch_reason FROM reconcile.run r WHERE r.current AND r.method <> 'incremental' LIMIT 5$$, 'incrementally');
SELECT is_empty('(TABLE late EXCEPT ALL TABLE incremental) ORDER BY 1 LIMIT 5', 'incremental runs find all that the SQL finds');
SELECT is_empty('(TABLE incremental EXCEPT ALL TABLE late) ORDER BY 1 LIMIT 5', 'the SQL finds all that incremental runs find');
SELECT * FROM finish();
