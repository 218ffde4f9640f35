-- What the sink stores natively is what plain SQL stores: random batches, replays and twins in them, through both;
-- and what a partition can have of its own is respected.
SET client_min_messages = error;
SELECT plan(34);
\ir entries/plain.sql

SELECT reconcile.create_channel('east', 'Asia/Shanghai', 'CNY', account => 'a', first_date => current_date - 90, day_start => '-01:00') \g /dev/null
SELECT reconcile.create_channel('west', 'America/New_York', 'USD', account => 'b', first_date => current_date - 300, day_start => '02:30') \g /dev/null
SELECT reconcile.create_channel('mid', 'CET', 'EUR', account => 'c', first_date => current_date - 60) \g /dev/null
UPDATE reconcile.account SET signed_through = current_date - 10 WHERE account = 'c';

CREATE TABLE public.batch (
  position bigint GENERATED ALWAYS AS IDENTITY, source_key text, channel text, account text, book text, kind text, sub_kind text,
  order_key text, match_key text, channel_ref text, original_ref text, amount text, currency text, settle_amount text,
  settlement_currency text, fx_rate text, fee text, net text, status text, source_status text, occurred_at timestamptz,
  value_date date, business_date date, settlement_ref text, attributes text);

CREATE FUNCTION public.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT choices[1 + floor(random() * cardinality(choices))::integer] $$;
CREATE FUNCTION public.make_batch(p_rows integer, p_keys integer) RETURNS void LANGUAGE sql AS $$
  TRUNCATE public.batch;
  INSERT INTO public.batch (source_key, channel, account, book, kind, sub_kind, order_key, match_key, channel_ref, original_ref,
    amount, currency, settle_amount, settlement_currency, fx_rate, fee, net, status, source_status, occurred_at, value_date,
    business_date, settlement_ref, attributes)
  SELECT key, c.channel, CASE WHEN random() < 0.01 THEN 'z' ELSE c.account END,
    pick('trade', 'trade', 'trade', 'internal', 'bank', CASE WHEN random() < 0.02 THEN 'nowhere' ELSE 'trade' END),
    pick('payment', 'refund', 'fee'), pick(NULL, 'card', '微信'), 'o' || (g % 7 = 0)::integer || key,
    pick(NULL, 'o' || key, 'm' || key), pick(NULL, 'r' || key, repeat('长', 60)), pick(NULL, 'before'),
    pick('0', '0.00', '-12.50', '1', '10000', '99999999.99', '0.000000000001', '-999999999999999999.5', (random() * 1000)::numeric(8, 2)::text),
    pick('CNY', 'USD', 'JPY'), pick(NULL, '12.3456', '10000000'), pick(NULL, 'CNY', 'KWD'), pick(NULL, '7.123456789012', '1e-3'),
    pick(NULL, NULL, '0.06', '-3'), pick(NULL, '12345678901234567.123456789012'), pick('success', 'success', 'pending', 'failed'), pick(NULL, 'OK'),
    CASE WHEN random() < 0.9 THEN now() - random() * interval '80 days' END, CASE WHEN random() < 0.5 THEN current_date END,
    CASE WHEN random() < 0.3 THEN current_date - floor(random() * 100)::integer WHEN random() < 0.01 THEN current_date + 50 END,
    pick(NULL, 'payout 1'), pick(NULL, '{}', '{"b": "1", "a": null, "ab": "\u00e9", "b": "2"}', '{"note": "' || repeat('x', 3000) || '"}')
  FROM generate_series(1, p_rows) g,
  LATERAL (SELECT 'k' || floor(random() * p_keys) AS key WHERE g > 0) k,
  LATERAL (SELECT CASE WHEN random() < 0.01 THEN 'south' ELSE channel END AS channel, account FROM reconcile.account
           WHERE g > 0 ORDER BY random() LIMIT 1) c $$;

CREATE FUNCTION public.store_batch(p_function text, p_source integer, p_statement bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer bigint;
BEGIN
  EXECUTE format('SELECT %s($1, $2, array_agg(source_key ORDER BY position), array_agg(channel ORDER BY position), array_agg(account ORDER BY position),
    array_agg(book ORDER BY position), array_agg(kind ORDER BY position), array_agg(sub_kind ORDER BY position), array_agg(order_key ORDER BY position),
    array_agg(match_key ORDER BY position), array_agg(channel_ref ORDER BY position), array_agg(original_ref ORDER BY position),
    array_agg(amount ORDER BY position), array_agg(currency ORDER BY position), array_agg(settle_amount ORDER BY position),
    array_agg(settlement_currency ORDER BY position), array_agg(fx_rate ORDER BY position), array_agg(fee ORDER BY position),
    array_agg(net ORDER BY position), array_agg(status ORDER BY position), array_agg(source_status ORDER BY position),
    array_agg(occurred_at ORDER BY position), array_agg(value_date ORDER BY position), array_agg(business_date ORDER BY position),
    array_agg(settlement_ref ORDER BY position), array_agg(attributes ORDER BY position)) FROM public.batch', p_function)
  INTO answer USING p_source, p_statement;
  RETURN answer || ' stored';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- All that is stored; of totals and changes what came after those before.
CREATE FUNCTION public.everything(p_totals bigint, p_changes bigint) RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(E'\n',
    (SELECT string_agg(e::text, E'\n' ORDER BY e.source_id, e.source_key, e.order_key, e.book, e.business_date) FROM reconcile.entry e),
    (SELECT string_agg(concat_ws(' ', t.channel, t.account, t.recon_date, t.book, t.kind, t.currency, t.entries, trim_scale(t.amount),
                                 trim_scale(t.fee), t.digest), E'\n'
                       ORDER BY t.channel, t.account, t.recon_date, t.book, t.kind, t.currency)
     FROM reconcile.entry_total t WHERE t.total_id > p_totals),
    (SELECT string_agg(concat_ws(' ', c.channel, c.account, c.recon_date, c.book, c.entries, coalesce(c.source_id, -1),
                                 coalesce(c.order_keys::text, 'any'), coalesce(c.source_keys::text, 'any')), E'\n'
                       ORDER BY c.channel, c.account, c.recon_date, c.book)
     FROM reconcile.entry_change c WHERE c.change_id > p_changes)) $$;

CREATE FUNCTION public.outcome(p_function text, p_source integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  totals bigint := coalesce((SELECT max(total_id) FROM reconcile.entry_total), 0);
  changes bigint := coalesce((SELECT max(change_id) FROM reconcile.entry_change), 0);
  answer text;
BEGIN
  BEGIN
    answer := public.store_batch(p_function, p_source, 77);
    answer := answer || E'\n' || public.everything(totals, changes);
    RAISE EXCEPTION USING ERRCODE = 'UT001';
  EXCEPTION WHEN SQLSTATE 'UT001' THEN
    RETURN answer;
  END;
END $$;

-- Of so many batches, how many came out otherwise; what the plain way stored of the last stays, for the next to find.
CREATE FUNCTION public.differing(p_batches integer, p_rows integer, p_keys integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plain text;
  native text;
  differ integer := 0;
  stored integer := 0;
BEGIN
  FOR i IN 1 .. p_batches LOOP
    PERFORM public.make_batch(p_rows, p_keys);
    PERFORM reconcile.prepare_entries(array_agg(channel), array_agg(account), array_agg(book), array_agg(occurred_at), array_agg(business_date),
                                      array_agg(status)) FROM public.batch;
    plain := public.outcome('public.plain_insert_entries', 5);
    native := public.outcome('reconcile.insert_entries', 5);
    differ := differ + (plain IS DISTINCT FROM native)::integer;
    stored := stored + (plain NOT LIKE '0 stored%')::integer;
    IF i % 3 = 0 THEN
      PERFORM public.store_batch(CASE WHEN i % 2 = 0 THEN 'public.plain_insert_entries' ELSE 'reconcile.insert_entries' END, 5, 78);
    END IF;
  END LOOP;
  RETURN differ || ' differ, ' || CASE WHEN stored > 0 THEN 'some' ELSE 'none' END || ' stored';
END $$;

SELECT setseed(0.31) \g /dev/null
SELECT is(differing(30, 1, 100), '0 differ, some stored', 'batches of one entry');
SELECT is(differing(30, 4, 100), '0 differ, some stored', 'batches of few');
SELECT is(differing(20, 60, 1000000), '0 differ, some stored', 'batches whose keys are new');
SELECT is(differing(20, 60, 40), '0 differ, some stored', 'batches of twins and replays');
SELECT is(differing(6, 1500, 100000), '0 differ, some stored', 'batches of many');
SELECT is(differing(6, 1500, 3000), '0 differ, some stored', 'batches of many, with replays');
-- Days that have been run are told which orders changed.
INSERT INTO reconcile.run (channel, account, leg, business_date, method, state, current)
SELECT 'west', 'b', 'internal-trade', current_date - i, 'batch', 'failed', true FROM generate_series(0, 40) i;
SELECT is(differing(6, 300, 100000), '0 differ, some stored', 'into days that have been run');
SELECT cmp_ok((SELECT count(*) FROM reconcile.entry_change WHERE order_keys IS NOT NULL), '>', 0::bigint, 'which names orders');
SELECT is((SELECT coalesce(details, 'hold') FROM reconcile.verify() WHERE "check" = 'entry totals'), 'hold', 'the totals are the entries''');

-- ---- what the table itself refuses
CREATE FUNCTION public.error_of(p_change text, p_rows integer DEFAULT 20) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plain text;
  native text;
BEGIN
  PERFORM public.make_batch(p_rows, 1000000);
  UPDATE public.batch SET channel = 'east', account = 'a', book = 'trade', business_date = current_date - 5;
  EXECUTE 'UPDATE public.batch SET ' || p_change || ' WHERE position = (SELECT max(position) FROM public.batch)';
  plain := public.store_batch('public.plain_insert_entries', 6, NULL);
  native := public.store_batch('reconcile.insert_entries', 6, NULL);
  RETURN CASE WHEN substr(plain, 1, 5) = substr(native, 1, 5) THEN substr(plain, 1, 5) ELSE plain || ' <> ' || native END;
END $$;
SELECT is(error_of($$kind = 'gift'$$), '23514', 'a kind that is none');
SELECT is(error_of($$amount = NULL$$), '23502', 'no amount');
SELECT is(error_of($$amount = '1000000000000000000'$$), '23514', 'an amount that is too large');
SELECT is(error_of($$amount = 'NaN'$$), '23514', 'an amount that is none');
SELECT is(error_of($$amount = 'ten'$$), '22P02', 'an amount that is no number');
SELECT is(error_of($$attributes = '{'$$), '22P02', 'attributes that are no JSON');
SELECT is(error_of($$order_key = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i)$$), '54000', 'a key that no index holds');

-- Of many rows our own checks are not evaluated where they certainly pass.
SELECT is(error_of($$kind = 'gift'$$, 1500), '23514', 'a kind that is none, among many');
SELECT is(error_of($$status = 'paid'$$, 1500), '23514', 'a status that is none, among many');
SELECT is(error_of($$net = '1000000000000000000'$$, 1500), '23514', 'an amount that is too large, among many');
SELECT is(error_of($$fee = '0.0000000000001'$$, 1500), '23514', 'an amount with too many digits, among many');
SELECT is(error_of($$settlement_currency = 'cny'$$, 1500), '23514', 'a currency that is none, among many');
SELECT is(error_of($$order_key = ''$$, 1500), '23514', 'an empty order, among many');
SELECT is(error_of($$kind = NULL$$, 1500), '23502', 'no kind, among many');
BEGIN;
ALTER TABLE reconcile.entry DROP CONSTRAINT entry_currency_check;
ALTER TABLE reconcile.entry ADD CONSTRAINT entry_currency_check CHECK (currency <> 'XTS');
SELECT is(error_of($$currency = 'XTS'$$, 1500), '23514', 'a check that took the place of ours is evaluated');
ROLLBACK;

-- ---- what a partition has of its own
CREATE TABLE public.seen (source_key text);
CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.seen VALUES (NEW.source_key);
  RETURN NULL;
END $$;
CREATE FUNCTION public.mend() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.amount := NEW.amount + 1;
  RETURN CASE WHEN NEW.kind <> 'fee' THEN NEW END;
END $$;
GRANT ALL ON public.seen TO PUBLIC;
CREATE TRIGGER see AFTER INSERT ON reconcile.entry FOR EACH ROW EXECUTE FUNCTION public.see();
SELECT is(differing(4, 60, 1000000), '0 differ, some stored', 'another trigger');
SELECT is((SELECT count(*) FROM reconcile.entry e FULL JOIN public.seen s USING (source_key) WHERE e.source_key IS NULL), 0::bigint, 'sees what is stored');
CREATE TRIGGER mend BEFORE INSERT ON reconcile.entry FOR EACH ROW EXECUTE FUNCTION public.mend();
SELECT is(differing(4, 60, 1000000), '0 differ, some stored', 'a trigger that changes rows and leaves some out');
DROP TRIGGER see ON reconcile.entry;
DROP TRIGGER mend ON reconcile.entry;
CREATE FUNCTION public.see_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.seen SELECT f.source_key FROM fresh f;
  RETURN NULL;
END $$;
TRUNCATE public.seen;
CREATE TRIGGER see_all AFTER INSERT ON reconcile.entry REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION public.see_all();
SELECT public.make_batch(60, 1000000) \g /dev/null
SELECT reconcile.prepare_entries(array_agg(channel), array_agg(account), array_agg(book), array_agg(occurred_at), array_agg(business_date),
                                 array_agg(status)) FROM public.batch \g /dev/null
SELECT public.store_batch('reconcile.insert_entries', 7, NULL) AS stored \gset
SELECT is((SELECT count(*) || ' stored' FROM public.seen), :'stored', 'a statement''s trigger that names the new rows sees them');
SELECT cmp_ok((SELECT count(*) FROM public.seen), '>', 0::bigint, 'all of them');
DROP TRIGGER see_all ON reconcile.entry;
ALTER TABLE reconcile.entry ADD COLUMN taken_in text DEFAULT 'by us';
SELECT is(differing(4, 60, 1000000), '0 differ, some stored', 'a column that is not ours');
SELECT cmp_ok((SELECT count(*) FROM reconcile.entry WHERE taken_in = 'by us'), '>', 0::bigint, 'has its default');
ALTER TABLE reconcile.entry DROP COLUMN taken_in;
SELECT is(differing(4, 60, 1000000), '0 differ, some stored', 'and one that was dropped');

BEGIN;
SELECT c.oid::regclass AS month, pg_get_expr(c.relpartbound, c.oid) AS bounds FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'reconcile.entry_trade'::regclass AND c.relname = to_char(current_date - 5, '"entry_trade_p"YYYY_MM') \gset
ALTER TABLE reconcile.entry_trade DETACH PARTITION :month;
CREATE TABLE public.split PARTITION OF reconcile.entry_trade :bounds PARTITION BY HASH (source_key);
CREATE TABLE public.split_0 PARTITION OF public.split FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE public.split_1 PARTITION OF public.split FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT public.make_batch(60, 1000000) \g /dev/null
UPDATE public.batch SET channel = 'east', account = 'a', book = 'trade', business_date = current_date - 5;
SELECT public.store_batch('reconcile.insert_entries', 8, NULL) \g /dev/null
SELECT is((SELECT count(*) FILTER (WHERE satisfies_hash_partition('public.split'::regclass, 2, right(s.tableoid::regclass::text, 1)::integer, s.source_key))
  || ' of ' || count(*) FROM public.split s), '60 of 60', 'a month that is partitioned further has its rows where they belong');
ROLLBACK;

-- ---- indexes hold what is stored
SELECT count(*) = 1 AS has_amcheck FROM pg_available_extensions WHERE name = 'amcheck' \gset
\if :has_amcheck
CREATE EXTENSION amcheck;
SELECT lives_ok($$ SELECT bt_index_parent_check(i.indexrelid, true, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am a ON a.oid = c.relam JOIN pg_inherits l ON l.inhrelid = i.indrelid
  WHERE a.amname = 'btree' AND c.relkind = 'i' AND l.inhparent::regclass::text LIKE 'reconcile.entry_%' $$, 'every B-tree is sound and holds every row');
\else
SELECT skip('amcheck is not installed', 1);
\endif
SELECT finish();
