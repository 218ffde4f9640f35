-- Entries: where they live, the one door through which they come in, and what changes, replays, twins and deletions do to
-- them, before and after sign-off.
SET client_min_messages = warning;
SELECT plan(130);

CREATE FUNCTION public.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; detail text; hint text;
BEGIN
  EXECUTE statement;
  RETURN 'nothing was refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''));
END
$$;
-- pg_partman 4 writes 2025_11 and 2025_11_30, pg_partman 5 writes 20251101 and 20251130.
CREATE FUNCTION public.suffix(day date, unit text DEFAULT 'month') RETURNS text LANGUAGE sql AS $$
  SELECT to_char(date_trunc(unit, day), datetime_string) FROM partman.part_config WHERE parent_table = 'reconcile.entry_bank'
$$;

-- ---- install
SELECT is(to_regclass('reconcile.entry'), NULL, 'the extension alone has no entry table');
SELECT is(refusal($$SELECT reconcile.install('weekly')$$), '22023 | partition interval "weekly" is not known | Give monthly or daily.', 'an interval that is not known');
SELECT is(to_regclass('reconcile.entry'), NULL, 'and nothing is made');
BEGIN;
SELECT ok(reconcile.install('daily'), 'installed by day');
SELECT reconcile.ensure_month((current_date - 400)::date, 'bank');
SELECT ok(to_regclass('reconcile.entry_bank_p' || suffix(current_date - 400, 'day')) IS NOT NULL, 'a partition is a day');
SELECT is(to_regclass('reconcile.entry_bank_p' || suffix(current_date - 399, 'day')), NULL, 'and no more than the day asked for');
ROLLBACK;
SET search_path = public, pg_catalog;
SELECT ok(reconcile.install(), 'installed by month');
SELECT ok(NOT reconcile.install(), 'a second time it does nothing');
SELECT ok(NOT reconcile.install('daily'), 'and changes no interval');
SELECT is(current_setting('search_path'), 'public, pg_catalog', 'the caller''s search_path is as it was');
RESET search_path;
SELECT is((SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND objid IN
           (SELECT oid FROM pg_class WHERE relname LIKE 'entry\_%' OR relname = 'entry') AND objid::regclass::text NOT IN
           ('reconcile.entry_change', 'reconcile.entry_total', 'reconcile.entry_history')
           AND objid IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'reconcile'::regnamespace)), 0::bigint,
  'entries are no members of the extension');
SELECT is((SELECT string_agg(DISTINCT relowner::regrole::text, ',') FROM pg_class WHERE relnamespace = 'reconcile'::regnamespace
           AND (relname = 'entry' OR relname ~ '^entry_(internal|trade|fund|settlement|bank|notify|template)')), 'reconcile_owner', 'and belong to reconcile_owner');
SELECT is((SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'reconcile.entry'::regclass),
  'entry_bank,entry_fund,entry_internal,entry_notify,entry_settlement,entry_trade', 'a book each');
SELECT is((SELECT count(*) FROM pg_class WHERE relnamespace = 'reconcile'::regnamespace AND pg_get_expr(relpartbound, oid) = 'DEFAULT'), 0::bigint, 'no default partition');
SELECT is((SELECT string_agg(DISTINCT concat_ws(' ', infinite_time_partitions, automatic_maintenance, coalesce(retention, 'none'), template_table), ',')
           FROM partman.part_config WHERE parent_table LIKE 'reconcile.%'), 't off none reconcile.entry_template', 'pg_partman keeps its hands off');
SELECT is((SELECT count(*) FROM pg_inherits m WHERE inhparent IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'reconcile.entry'::regclass)
           AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = m.inhrelid AND k.contype = 'p'
                           AND pg_get_constraintdef(k.oid) = 'PRIMARY KEY (source_id, source_key, order_key)')), 0::bigint, 'every month has its primary key');
SELECT cmp_ok((SELECT count(*) FROM pg_inherits WHERE inhparent = 'reconcile.entry_trade'::regclass), '>', 0::bigint, 'there are months');
SELECT is((SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'reconcile'::regnamespace AND c.relispartition AND NOT c.relrowsecurity AND relkind IN ('r', 'p')), 0::bigint, 'row level security is on in every one');

-- ---- ensure_month
SELECT current_date - 150 AS old_day \gset
SELECT reconcile.ensure_month(:'old_day', 'trade');
SELECT is((SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relname LIKE 'entry%\_p' || suffix(:'old_day') AND relkind = 'r'),
  'entry_trade_p' || suffix(:'old_day'), 'a month of one book');
SELECT reconcile.ensure_month(:'old_day');
SELECT is((SELECT count(*) FROM pg_class WHERE relname LIKE 'entry%\_p' || suffix(:'old_day') AND relkind = 'r'), 6::bigint, 'of all');
SELECT is((SELECT count(*) FROM pg_class WHERE relname LIKE 'entry%\_p' || suffix(:'old_day') AND relkind = 'r' AND relrowsecurity), 6::bigint, 'protected');
SELECT lives_ok(format('SELECT reconcile.ensure_month(%L)', :'old_day'), 'a second time it is there already');
BEGIN;
REVOKE ALL ON ALL TABLES IN SCHEMA partman FROM reconcile_owner;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA partman FROM reconcile_owner;
SELECT is(refusal($$SELECT reconcile.ensure_month(current_date - 250)$$), '42501 | reconcile_owner may not use pg_partman | An update of pg_partman takes back what was granted on its tables and functions. | As a superuser: SELECT reconcile.grant_partman()',
  'what an update of pg_partman takes away');
SELECT reconcile.grant_partman();
SELECT lives_ok('SELECT reconcile.ensure_month(current_date - 250)', 'and what gives it back');
ROLLBACK;
CREATE ROLE test_entry_nobody;
SET ROLE test_entry_nobody;
SELECT matches(refusal($$SELECT reconcile.ensure_month(current_date)$$), '^42501', 'not for everybody');
SELECT matches(refusal($$SELECT count(*) FROM reconcile.entry$$), '^42501', 'no more than the entries');
RESET ROLE;
GRANT reconcile_reader TO test_entry_nobody;
SELECT format('GRANT SELECT ON reconcile.entry_trade_p%s TO test_entry_nobody', suffix(:'old_day')) \gexec

-- ---- attach_entries
DROP POLICY channel_access ON reconcile.entry;
DROP TRIGGER entry_recorded ON reconcile.entry;
REVOKE SELECT ON reconcile.entry FROM reconcile_reader;
ALTER TABLE reconcile.entry DISABLE ROW LEVEL SECURITY;
SELECT reconcile.attach_entries();
SELECT is((SELECT count(*) FROM pg_policies WHERE schemaname = 'reconcile' AND tablename = 'entry' AND policyname = 'channel_access'), 1::bigint, 'a lost policy comes back');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'reconcile.entry'::regclass AND tgname = 'entry_recorded'), 1::bigint, 'a lost trigger too');
SELECT ok((SELECT relrowsecurity FROM pg_class WHERE oid = 'reconcile.entry'::regclass), 'row level security is on');
SELECT ok(has_table_privilege('reconcile_reader', 'reconcile.entry', 'SELECT'), 'readers may read');
SELECT lives_ok('SELECT reconcile.attach_entries()', 'where all is there it adds nothing');
SELECT is((SELECT count(*) FROM pg_policies WHERE schemaname = 'reconcile' AND tablename = 'entry'), 1::bigint, 'one policy');

-- ---- placing
SELECT current_date - 20 AS d, current_date - 19 AS d1, current_date - 18 AS d2, current_date - 60 AS live \gset
SELECT reconcile.create_channel('pay', 'Asia/Shanghai', 'CNY', '-01:00', account => 'a', first_date => :'live');
SELECT reconcile.create_account('pay', 'b');
UPDATE reconcile.channel SET effective_statuses = '{success,reversed}' WHERE channel = 'pay';
CREATE FUNCTION public.placed(p_channel text, p_account text, p_book text, p_at timestamptz, p_day date, p_status text DEFAULT 'success')
RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(p.refused, concat_ws(' ', p.day, p.recon_day, p.is_effective))
  FROM reconcile.place_entries(ARRAY[p_channel], ARRAY[p_account], ARRAY[p_book], ARRAY[p_at], ARRAY[p_day], ARRAY[p_status]) p $$;
SELECT is(placed('pya', 'a', 'trade', now(), NULL), 'channel "pya" does not exist: create it with reconcile.create_channel()', 'an unknown channel');
SELECT is(placed('pay', 'c', 'trade', now(), NULL), 'account "c" of channel "pay" does not exist: create it with reconcile.create_account()', 'an unknown account');
SELECT is(placed('pay', 'a', 'ledger', now(), NULL), 'book "ledger" is not known', 'an unknown book');
SELECT isnt(placed('pay', 'a', NULL, now(), :'d'), format('%s %s t', :'d', :'d'), 'no book');
SELECT is(placed('pay', 'a', 'trade', NULL, NULL), 'neither business_date nor occurred_at is stated', 'no day');
SELECT is(placed('pay', 'a', 'trade', NULL, :'live'::date - 1), format('%s is before the channel''s first date %s', :'live'::date - 1, :'live'), 'before go-live');
SELECT is(placed('pay', 'a', 'trade', NULL, :'live'), format('%s %s t', :'live', :'live'), 'on the day of go-live');
SELECT is(placed('pay', 'a', 'trade', NULL, '2099-01-01'), '2099-01-01 is more than 40 days ahead', 'the year 2099');
SELECT is(placed('pay', 'a', 'trade', NULL, current_date + 40), format('%s %s t', current_date + 40, current_date + 40), '40 days ahead');
SELECT is(placed('pay', 'a', 'trade', NULL, current_date + 41), format('%s is more than 40 days ahead', current_date + 41), 'a day more');
SELECT is(placed('pay', 'a', 'trade', 'infinity', NULL), 'infinity is more than 40 days ahead', 'a time without end');
SELECT is(placed('pay', 'a', 'trade', (:'d' || ' 22:59:59+08')::timestamptz, NULL), format('%s %s t', :'d', :'d'), 'a day of the channel ends at 23:00 its time');
SELECT is(placed('pay', 'a', 'trade', (:'d' || ' 23:00:00+08')::timestamptz, NULL), format('%s %s t', :'d1', :'d1'), 'the next one begins there');
SELECT is(placed('pay', 'a', 'trade', (:'d' || ' 23:00:00+08')::timestamptz, :'d'), format('%s %s t', :'d', :'d'), 'what the statement says comes first');
SELECT is(placed('pay', 'a', 'trade', NULL, :'d', 'pending'), format('%s %s f', :'d', :'d'), 'pending moves no money');
SELECT is(placed('pay', 'a', 'trade', NULL, :'d', 'reversed'), format('%s %s t', :'d', :'d'), 'effective is what the channel says');

-- ---- preparing
SELECT is(p.refused_positions::text || p.refused_reasons::text, '{2,3}{"2099-01-01 is more than 40 days ahead","channel \"pya\" does not exist: create it with reconcile.create_channel()"}', 'positions and reasons')
FROM reconcile.prepare_entries(ARRAY['pay', 'pay', 'pya'], ARRAY['a', 'a', 'a'], ARRAY['fund', 'fund', 'fund'], ARRAY[NULL, NULL, NULL]::timestamptz[],
                               ARRAY[:'live', '2099-01-01', :'d']::date[], ARRAY['success', 'success', 'success']) p;
SELECT ok(to_regclass('reconcile.entry_fund_p' || suffix(:'live')) IS NOT NULL, 'the month of what is taken in is made');
SELECT is(to_regclass('reconcile.entry_fund_p' || suffix('2099-01-01')), NULL, 'no month for what is refused');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT matches(refusal($$SELECT reconcile.prepare_entries(ARRAY['pay'], ARRAY['a'], ARRAY['fund'], ARRAY[NULL]::timestamptz[], ARRAY[current_date], ARRAY['success'])$$),
  '^55000 .*READ COMMITTED', 'what is decided under the account''s lock needs to see what was committed before');
ROLLBACK;

-- ---- the sink
CREATE FUNCTION public.send(operation text, p_key text, p_amount text, p_day date, p_status text DEFAULT 'success', p_order text DEFAULT NULL,
                            p_account text DEFAULT 'a', p_book text DEFAULT 'trade', p_fee text DEFAULT NULL, p_currency text DEFAULT 'CNY', p_source integer DEFAULT 7)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  name text := coalesce(p_order, p_key);
BEGIN
  IF operation = 'D' THEN
    RETURN reconcile.change_entries(p_source, NULL, ARRAY['D'], ARRAY[p_key], ARRAY[NULL]::text[], ARRAY[NULL]::text[], ARRAY[NULL]::text[], ARRAY[NULL]::text[],
      NULL, ARRAY[NULL]::text[], NULL, NULL, NULL, ARRAY[NULL]::text[], ARRAY[NULL]::text[], NULL, NULL, NULL, NULL, NULL, ARRAY[NULL]::text[], NULL,
      ARRAY[NULL]::timestamptz[], NULL, ARRAY[NULL]::date[], NULL, NULL);
  END IF;
  PERFORM reconcile.prepare_entries(ARRAY['pay'], ARRAY[p_account], ARRAY[p_book], ARRAY[p_day + interval '10 hours'], ARRAY[p_day], ARRAY[p_status]);
  IF operation = 'I' THEN
    RETURN reconcile.insert_entries(p_source, NULL, ARRAY[p_key], ARRAY['pay'], ARRAY[p_account], ARRAY[p_book], ARRAY['payment'], NULL, ARRAY[name], ARRAY[name],
      ARRAY['t' || name], NULL, ARRAY[p_amount], ARRAY[p_currency], NULL, NULL, NULL, ARRAY[p_fee], NULL, ARRAY[p_status], NULL,
      ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
  END IF;
  RETURN reconcile.change_entries(p_source, NULL, ARRAY['U'], ARRAY[p_key], ARRAY['pay'], ARRAY[p_account], ARRAY[p_book], ARRAY['payment'], NULL, ARRAY[name], ARRAY[name],
      ARRAY['t' || name], NULL, ARRAY[p_amount], ARRAY[p_currency], NULL, NULL, NULL, ARRAY[p_fee], NULL, ARRAY[p_status], NULL,
      ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
END
$$;
-- What is stored under a key and its deltas; everything that is stored of it; what the totals say.
CREATE FUNCTION public.stored(p_key text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', source_key, order_key, amount, status, business_date - current_date, recon_date - current_date), ', ' ORDER BY source_key)
  FROM reconcile.entry WHERE source_key = p_key OR source_key LIKE p_key || '#%' $$;
CREATE FUNCTION public.history(p_key text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', source_key, reason, coalesce(entry ->> 'amount', 'null')), ', ' ORDER BY history_id) FROM reconcile.entry_history
  WHERE source_key = p_key OR source_key LIKE p_key || '#%' $$;
CREATE FUNCTION public.everything() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', (SELECT md5(string_agg(e::text, ',' ORDER BY e::text COLLATE "C")) FROM reconcile.entry e),
                   (SELECT count(*) FROM reconcile.entry_change), (SELECT count(*) FROM reconcile.entry_total), (SELECT count(*) FROM reconcile.entry_history)) $$;
CREATE FUNCTION public.totals_hold() RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(details, 'hold') FROM reconcile.verify() WHERE "check" = 'entry totals' $$;

SELECT is(send('I', 'k1', '10.10', :'d', p_fee => '0.06'), 1::bigint, 'a new entry');
SELECT is(stored('k1'), 'k1 k1 10.10 success -20 -20', 'is stored as it came');
SELECT is((SELECT concat_ws(' ', recon_date - current_date, book, kind, currency, entries, amount, fee) FROM reconcile.entry_total), '-20 trade payment CNY 1 10.10 0.06', 'with its total');
SELECT is((SELECT concat_ws(' ', recon_date - current_date, book, coalesce(order_keys::text, 'any order'), entries) FROM reconcile.entry_change), '-20 trade any order 1', 'and one change a batch');
SELECT everything() AS before \gset
SELECT is(send('I', 'k1', '10.10', :'d', p_fee => '0.06'), 0::bigint, 'a replay');
SELECT is(send('U', 'k1', '10.10', :'d', p_fee => '0.06'), 0::bigint, 'also as an update');
SELECT is(everything(), :'before', 'changes nothing');
SELECT is(send('I', 'k2', '10.10', :'d', p_order => 'k1', p_fee => '0.06'), 1::bigint, 'a twin under a key of its own is kept');
SELECT is((SELECT count(*) FROM reconcile.entry WHERE order_key = 'k1'), 2::bigint, 'two payments of one order');
SELECT is(send('I', 'k1', '10.10', :'d', p_source => 8), 1::bigint, 'keys are a source''s own');
SELECT is(reconcile.insert_entries(7, NULL, ARRAY['x1', 'x2', 'x3'], ARRAY['pay', 'pya', 'pay'], ARRAY['a', 'a', 'a'], ARRAY['trade', 'trade', 'trade'], ARRAY['payment', 'payment', 'payment'],
    NULL, ARRAY['x1', 'x2', 'x3'], NULL, NULL, NULL, ARRAY['1', '2', '3'], ARRAY['CNY', 'CNY', 'CNY'], NULL, NULL, NULL, NULL, NULL, ARRAY['success', 'success', 'pending'], NULL,
    ARRAY[NULL, NULL, NULL]::timestamptz[], NULL, ARRAY[:'d', :'d', :'d']::date[], NULL, NULL), 2::bigint, 'what is refused is left out of its batch');
SELECT is((SELECT string_agg(source_key, ',' ORDER BY source_key) FROM reconcile.entry WHERE source_key LIKE 'x_'), 'x1,x3', 'the others are in');
SELECT is((SELECT sum(entries) FROM reconcile.entry_total), 4::numeric, 'what is not effective is in no total');
SELECT is(totals_hold(), 'hold', 'the totals are the entries''');
BEGIN;
SELECT send('I', 'k0', '1', :'d') \g /dev/null
UPDATE reconcile.entry SET amount = 2 WHERE source_key = 'k0' AND tier = 0;
SELECT is((SELECT sum(amount) FROM reconcile.entry_total), 33.30, 'after a batch the trigger is on again');
ROLLBACK;
SELECT matches(refusal(format('SELECT send(''I'', ''bad'', %L, %L)', bad.amount, :'d')), '^(23514|22P02|22003)', 'no amount: ' || bad.amount)
FROM (VALUES ('NaN'), ('1000000000000000000'), ('0.0000000000001'), ('Infinity'), ('ten')) bad (amount);
SELECT matches(refusal(format('SELECT send(''I'', ''bad'', ''1'', %L, p_currency => ''cny'')', :'d')), '^23514', 'no currency');
SELECT is(stored('bad'), NULL, 'nothing of them is stored');

-- ---- changes before sign-off
SELECT is(send('U', 'k1', '12.00', :'d'), 1::bigint, 'an update');
SELECT is(stored('k1'), 'k1 k1 10.10 success -20 -20, k1 k1 12.00 success -20 -20', 'replaces what its source said, and nobody else''s');
DELETE FROM reconcile.entry WHERE source_id = 8 AND tier = 0;
SELECT is(history('k1'), 'k1 updated 10.10', 'the old version is kept');
SELECT is(send('U', 'k1', '12.00', :'live'), 1::bigint, 'a change of the month');
SELECT is(stored('k1'), 'k1 k1 12.00 success -60 -60', 'is a move: one entry, in the new month');
SELECT is(send('U', 'k1', '12.00', :'live', p_order => 'k9'), 1::bigint, 'a change of the order');
SELECT is(stored('k1'), 'k1 k9 12.00 success -60 -60', 'is one too');
SELECT is(send('U', 'k1', '12.00', :'d', p_account => 'b'), 1::bigint, 'to another account');
SELECT is((SELECT account || ' ' || order_key FROM reconcile.entry WHERE source_key = 'k1'), 'b k1', 'also');
SELECT is(send('U', 'x3', '3', :'d', 'success'), 1::bigint, 'pending becomes success');
SELECT is(history('x3'), NULL, 'what moved no money leaves no history');
SELECT is(send('U', 'k5', '5', :'d'), 1::bigint, 'an update of what is not there');
SELECT is(stored('k5'), 'k5 k5 5 success -20 -20', 'is a new entry');
SELECT everything() AS before \gset
SELECT is(send('U', 'k5', '5', '2099-01-01'), 0::bigint, 'an update to a day that is refused');
SELECT is(send('D', 'nobody', NULL, NULL), 0::bigint, 'and a deletion of what is not there');
SELECT is(everything(), :'before', 'change nothing');
SELECT is(send('D', 'k5', NULL, NULL), 1::bigint, 'a deletion');
SELECT is(stored('k5'), NULL, 'removes');
SELECT is(history('k5'), 'k5 deleted 5', 'and keeps');
SELECT is(send('I', 'k', '1', :'d') + send('I', 'k$', '1', :'d') + send('I', 'k/1', '1', :'d'), 3::bigint, 'keys that begin alike');
SELECT is(send('D', 'k', NULL, NULL), 1::bigint, 'are different keys');
SELECT is((SELECT count(*) FROM reconcile.entry WHERE source_key IN ('k$', 'k/1')), 2::bigint, 'their entries stay');
SELECT is(totals_hold(), 'hold', 'the totals went along with every change');
SELECT is((SELECT count(*) FROM reconcile.entry_change WHERE order_keys IS NOT NULL), 0::bigint, 'of days that are yet to run, nobody needs to know which orders');
BEGIN;
INSERT INTO reconcile.run (channel, account, leg, business_date, state, method, current) VALUES ('pay', 'a', 'a leg', :'d', 'succeeded', 'batch', true);
SELECT max(change_id) AS seen FROM reconcile.entry_change \gset
CREATE FUNCTION public.named(p_after bigint) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', source_id, order_keys, source_keys, old_entry ->> 'amount'), ', ' ORDER BY change_id) FROM reconcile.entry_change
  WHERE change_id > p_after $$;
SELECT send('I', 'r1', '1', :'d', p_order => 'o1') + send('U', 'r1', '2', :'d', p_order => 'o2') + send('D', 'r1', NULL, NULL)
  + send('I', 'r2', '3', :'d', 'pending') + send('U', 'r2', '3', :'d') + send('I', 'r3', '4', :'live') AS sent \gset
SELECT is(named(:seen), '7 {o1} {r1}, 7 {o1} {r1} 1, 7 {o2} {r1}, 7 {o2} {r1} 2, 7 {r2} {NULL}, 7 {r2} {NULL}, 7 {r2} {r2}, ',
          'of days that have run: the orders, the effective entries that came, and those that went as they were');
ROLLBACK;

-- ---- by hand
UPDATE reconcile.entry SET amount = 11 WHERE source_key = 'k2' AND tier = 0;
DELETE FROM reconcile.entry WHERE source_key = 'x1' AND tier = 0;
SELECT is(totals_hold(), 'hold', 'manual changes are recorded by the trigger');

-- ---- after sign-off: nothing signed changes, deltas enter the next open day
SELECT send('I', 's1', '100', :'d'), send('I', 's2', '50', :'d'), send('I', 's3', '30', :'d', 'pending'), send('I', 's4', '70', :'d'), send('I', 's5', '5', :'d') \g /dev/null
UPDATE reconcile.account SET signed_through = :'d' WHERE channel = 'pay' AND account = 'a';
CREATE FUNCTION public.signed() RETURNS text LANGUAGE sql AS $$
  SELECT md5(string_agg(e::text, ',' ORDER BY e::text COLLATE "C")) FROM reconcile.entry e WHERE account = 'a' AND recon_date <= current_date - 20 $$;
SELECT signed() AS sealed \gset
SELECT is(placed('pay', 'a', 'trade', NULL, :'d'), format('%s %s t', :'d', :'d1'), 'what comes for a signed day enters the next one');
SELECT is(send('U', 's1', '98.50', :'d', p_fee => '0.10'), 1::bigint, 'an amount changes');
SELECT is(stored('s1'), 's1 s1 100 success -20 -20, s1#1 s1 -1.50 success -20 -19', 'the difference enters');
SELECT is(send('U', 's2', '50', :'d', p_order => 'other'), 1::bigint, 'an order number changes');
SELECT is(stored('s2'), 's2 s2 50 success -20 -20, s2#1 s2 -50 success -20 -19, s2#2 other 50 success -20 -19', 'a reversal and a new entry');
SELECT is(send('U', 's3', '30', :'d', 'success'), 1::bigint, 'pending becomes success');
SELECT is(stored('s3'), 's3 s3 30 pending -20 -20, s3#1 s3 30 success -20 -19', 'money moved, on the next day');
SELECT is(send('U', 's4', '70', :'d', 'failed'), 1::bigint, 'success becomes failed');
SELECT is(stored('s4'), 's4 s4 70 success -20 -20, s4#1 s4 -70 success -20 -19', 'money did not move');
SELECT is(send('D', 's5', NULL, NULL), 1::bigint, 'a deletion');
SELECT is(stored('s5'), 's5 s5 5 success -20 -20, s5#1 s5 -5 success -20 -19', 'takes the amount back');
SELECT is(history('s5'), 's5 after_sign_off null', 'and is on record');
SELECT everything() AS before \gset
SELECT is(send('U', 's1', '98.50', :'d', p_fee => '0.10') + send('U', 's3', '30', :'d', 'success') + send('U', 's4', '70', :'d', 'failed') + send('D', 's5', NULL, NULL), 0::bigint, 'replays of them');
SELECT is(everything(), :'before', 'change nothing');
SELECT is(send('U', 's1', '97', :'d', p_fee => '0.10'), 1::bigint, 'the next change');
SELECT is((SELECT sum(amount) FROM reconcile.entry WHERE source_key = 's1' OR source_key LIKE 's1#%'), 97::numeric, 'comes to what the source says');
SELECT is(send('U', 's1', '100', :'d'), 1::bigint, 'back to what was signed');
SELECT is(stored('s1'), 's1 s1 100 success -20 -20', 'leaves nothing over');
UPDATE reconcile.account SET signed_through = :'d1' WHERE channel = 'pay' AND account = 'a';
SELECT is(send('U', 's4', '70', :'d', 'failed'), 0::bigint, 'a replay a sign-off later');
SELECT is(send('U', 's4', '70', :'d', 'success'), 1::bigint, 'a change after the delta was signed');
SELECT is(stored('s4'), 's4 s4 70 success -20 -20, s4#1 s4 -70 success -20 -19, s4#2 s4 70 success -20 -18', 'is a delta of the day after');
SELECT is(send('I', 's5', '5', :'d'), 0::bigint, 'an insert under a signed key is a replay to the table');
SELECT is(send('U', 's5', '5', :'d'), 1::bigint, 'the row that came back is an update');
SELECT is((SELECT sum(amount) FROM reconcile.entry WHERE source_key LIKE 's5%'), 5::numeric, 'and counts again');
SELECT is(signed(), :'sealed', 'what was signed off is as it was');
SELECT is(totals_hold(), 'hold', 'and the totals hold');

-- ---- a key in two months
SELECT ok((SELECT ok FROM reconcile.verify() WHERE "check" = 'source keys'), 'every key is stored once');
SELECT is(send('I', 'k2', '1', :'live'), 1::bigint, 'an insert that repeats a key in another month is not seen by the month''s own key');
SELECT is((SELECT details FROM reconcile.verify() WHERE "check" = 'source keys'),
  format('source 7, key k2: 2 entries, in reconcile.entry_trade_p%s, reconcile.entry_trade_p%s', suffix(:'live'), suffix(:'d')), 'verify() sees it');
SELECT matches(refusal(format($$INSERT INTO reconcile.entry SELECT (e).* FROM (SELECT e FROM reconcile.entry e WHERE source_key = 'k2' AND business_date = %L) x$$, :'d')), '^23505', 'within a month it can''t happen');

DROP OWNED BY test_entry_nobody;
DROP ROLE test_entry_nobody;
SELECT * FROM finish();
