-- What a run promises: what it refuses and in which words, that a rehearsal writes nothing, that a day waits with a
-- reason, that a proof line that does not hold publishes nothing and says which line and by how much.
BEGIN;
SET client_min_messages = warning;
SELECT plan(61);

CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
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

SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2, current_date - 30 AS live \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => :'live');
SELECT reconcile.create_channel('empty', 'UTC', 'CNY');

CREATE FUNCTION pg_temp.entry(p_book text, p_key text, p_amount numeric, p_day date, p_order text DEFAULT NULL,
                              p_fee numeric DEFAULT NULL, p_status text DEFAULT 'success', p_statement bigint DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM reconcile.ensure_month(p_day, p_book);
  INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, channel_ref, amount, currency, fee, status,
                               effective, occurred_at, business_date, recon_date, source_id, source_key, statement_id)
  VALUES ('pay', 'a', p_book, 'payment', coalesce(p_order, p_key), coalesce(p_order, p_key), 't' || coalesce(p_order, p_key),
          p_amount, 'CNY', p_fee, p_status, p_status = 'success', p_day + interval '10 hours', p_day, p_day,
          CASE p_book WHEN 'internal' THEN 1 ELSE 2 END, p_key, p_statement);
END
$$;
-- Everything that a run publishes.
CREATE FUNCTION pg_temp.published() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', (SELECT count(*) FROM reconcile.run WHERE state <> 'failed'), (SELECT count(*) FROM reconcile.run_total),
                   (SELECT md5(string_agg(d::text, ',' ORDER BY discrepancy_id)) FROM reconcile.discrepancy d),
                   (SELECT count(*) FROM reconcile.discrepancy_event), (SELECT md5(string_agg(o::text, ',' ORDER BY book, source_key)) FROM reconcile.open_item o),
                   (SELECT md5(string_agg(m.book || m.source_key || m.amount, ',' ORDER BY book, source_key)) FROM reconcile.match_item m))
$$;

-- Refusals, word for word
SELECT is(pg_temp.refusal($$SELECT reconcile.run('pya', '2026-01-01')$$),
  '42704 | channel "pya" does not exist | Create it with reconcile.create_channel(), or look for its name in reconcile.channel.',
  'a channel that does not exist');
SELECT is(pg_temp.refusal($$SELECT reconcile.run('pay', '2099-11-21')$$),
  format('22023 | business date 2099-11-21 lies in the future | It is %s at channel "pay". | A day is reconciled when it is over.', (now() AT TIME ZONE 'UTC')::date),
  'a day in the year 2099');
SELECT is(pg_temp.refusal(format('SELECT reconcile.run(''pay'', %L)', (now() AT TIME ZONE 'UTC')::date + 1)),
  format('22023 | business date %s lies in the future | It is %s at channel "pay". | A day is reconciled when it is over.', (now() AT TIME ZONE 'UTC')::date + 1, (now() AT TIME ZONE 'UTC')::date),
  'tomorrow');
SELECT is(pg_temp.refusal('SELECT reconcile.run(''pay'', NULL)'),
  format('22023 | business date NULL lies in the future | It is %s at channel "pay". | A day is reconciled when it is over.', (now() AT TIME ZONE 'UTC')::date), 'no day');
SELECT is(pg_temp.refusal(format('SELECT reconcile.run(''pay'', %L)', :'live'::date - 1)),
  format('22023 | business date %s lies before channel "pay" went live | Its first date is %s. | Nothing was taken in for earlier days.', :'live'::date - 1, :'live'), 'a day before go-live');
SELECT is(pg_temp.refusal(format('SELECT reconcile.run(''pay'', %L, account => ''b'')', :'d')),
  '42704 | account "b" of channel "pay" does not exist | Create it with reconcile.create_account(), or look for it in reconcile.account.', 'an account that does not exist');
SELECT is(pg_temp.refusal(format('SELECT reconcile.run(''pay'', %L, leg => ''moon'')', :'d')),
  '42704 | channel "pay" has no leg "moon" or no account | Accounts are added with reconcile.create_account(); legs are listed in reconcile.leg.', 'a leg that does not exist');
SELECT is(pg_temp.refusal(format('SELECT reconcile.run(''empty'', %L)', :'d')),
  '42704 | channel "empty" has no account | Accounts are added with reconcile.create_account(); legs are listed in reconcile.leg.', 'a channel without account');
SELECT is(pg_temp.refusal(format('SELECT reconcile.run(''pay'', %L, method => ''guess'')', :'d')),
  '22023 | method "guess" is not known | Give batch, incremental or sql.', 'a method that is not known');
SELECT is((SELECT count(*) FROM reconcile.run), 0::bigint, 'nothing refused left a run behind');

-- An empty day, and a first real one
SELECT is((SELECT r.state || ' ' || r.left_entries || ' ' || r.proof_difference FROM reconcile.run('pay', :'d'::date - 1) r),
  'succeeded 0 0.00', 'an empty day is a day');
SELECT pg_temp.entry('internal', 'ok', 10.10, :'d'), pg_temp.entry('trade', 'ok', 10.1, :'d'),
       pg_temp.entry('internal', 'lost', 0.30, :'d'::date - 5), pg_temp.entry('trade', 'extra', 7.25, :'d'),
       pg_temp.entry('internal', 'fee', 5, :'d', p_fee => 0.03), pg_temp.entry('trade', 'fee', 5, :'d', p_fee => 0.05),
       pg_temp.entry('internal', 'unpaid', 3, :'d', p_status => 'closed'), pg_temp.entry('trade', 'unpaid', 3, :'d'),
       pg_temp.entry('internal', 'waits', 2, :'d');
UPDATE reconcile.entry SET recon_date = :'d' WHERE source_key = 'lost';

-- A rehearsal
SELECT pg_temp.published() AS before \gset
SELECT is((SELECT concat_ws(' ', r.run_id, r.state, r.dry_run, r.current, r.discrepancies_new, r.proof_difference)
           FROM reconcile.run('pay', :'d', dry_run => true) r),
  'succeeded t f 4 0.00', 'a rehearsal says what the run would find');
SELECT is(pg_temp.published(), :'before', 'and writes nothing');

SELECT is((SELECT concat_ws(' ', r.state, r.left_entries, r.right_entries, r.matched_pairs, r.in_transit, r.discrepancies_new,
                            r.discrepancies_open, r.current, r.proof_difference) FROM reconcile.run('pay', :'d') r),
  'succeeded 4 4 2 1 4 4 t 0.00', 'the run finds the same');
SELECT results_eq($$SELECT kind, item_key COLLATE "default", difference, left_amount, right_amount, state FROM reconcile.discrepancy ORDER BY item_key$$,
  $$VALUES ('missing_internal', 'extra', 7.25, NULL, 7.25, 'open'), ('fee_mismatch', 'fee', -0.02, 0.03, 0.05, 'open'),
           ('missing_trade', 'lost', -0.3, 0.3, NULL, 'open'), ('status_mismatch', 'unpaid', 3, NULL, 3, 'open')$$,
  'with signs seen from us');
SELECT is((SELECT left_entry ->> 'amount' FROM reconcile.discrepancy WHERE item_key = 'lost'), '0.30', 'entries are kept digit by digit');
SELECT is((SELECT right_entry ->> 'amount' || ' ' || (left_entry ->> 'status') FROM reconcile.discrepancy WHERE item_key = 'unpaid'),
  '3 closed', 'a status mismatch shows both sides');
SELECT is((SELECT array_agg(event ORDER BY event_id) FROM reconcile.discrepancy_event), '{opened,opened,opened,opened}', 'each opening is an event');
SELECT pg_temp.published() AS before, (SELECT max(run_id) FROM reconcile.run) AS last_run \gset
SELECT is((SELECT r.discrepancies_open FROM reconcile.run('pay', :'d') r), 4::bigint, 'a re-run finds the same');
SELECT is(regexp_replace(pg_temp.published(), '^\d+ \d+', ''), regexp_replace(:'before', '^\d+ \d+', ''), 'and changes nothing');
SELECT is((SELECT array_agg(current ORDER BY run_id) FROM reconcile.run WHERE business_date = :'d'), '{f,t}', 'the last run of a day stands for it');
SELECT is((SELECT count(DISTINCT digest) FROM reconcile.run WHERE business_date = :'d'), 1::bigint, 'with the same digest');

-- Waiting: a reason, one row, and force
INSERT INTO reconcile.expected_statement (channel, book, valid_from) VALUES ('pay', 'trade', :'d1');
SELECT is((SELECT r.state || ': ' || r.waiting_for FROM reconcile.run('pay', :'d1') r),
  format('waiting: the trade statement of %s', :'d1'), 'a day without its statement waits for it');
SELECT is((SELECT r.state FROM reconcile.run('pay', :'d1') r), 'waiting', 'again');
SELECT is((SELECT count(*) FROM reconcile.run WHERE state = 'waiting'), 1::bigint, 'in one row');
SELECT is((SELECT r.state || ': ' || r.waiting_for FROM reconcile.run('pay', :'d2') r),
  format('waiting: the run of %s, which comes first; the trade statement of %s', :'d1', :'d2'), 'days go in order');
SELECT is((SELECT r.state FROM reconcile.run('pay', :'d1', dry_run => true) r), 'waiting', 'a rehearsal waits too');
SELECT is((SELECT concat_ws(' ', r.state, r.forced, r.waiting_for) FROM reconcile.run('pay', :'d1', force => true) r),
  format('succeeded t the trade statement of %s', :'d1'), 'force runs it, and both are recorded');
SELECT is((SELECT string_agg(concat_ws(': ', h.state, h.waiting_for), ', ' ORDER BY h.run_id) FROM reconcile.run_history h WHERE h.business_date = :'d1' AND h.state LIKE 'wait%'),
  format('waited: the trade statement of %s', :'d1'), 'it does not wait any more, and its history says that it did');
SELECT is((SELECT r.forced FROM reconcile.run('pay', :'d', force => true) r WHERE r.business_date = :'d'), false, 'force on a complete day is no force');
SELECT is((SELECT forced FROM reconcile.run WHERE current AND business_date = :'d1'), true, 'a later forced day stays forced when it is run again');
DELETE FROM reconcile.expected_statement;
SELECT is((SELECT r.state || ': ' || r.waiting_for FROM reconcile.run('pay', (now() AT TIME ZONE 'UTC')::date) r),
  format('waiting: the run of %s, which comes first; the day''s end, %s 00:00', :'d2', (now() AT TIME ZONE 'UTC')::date + 1), 'today is not over');

-- Proof lines, each broken by tampering behind the back of triggers
CREATE FUNCTION pg_temp.failed_run(p_day date) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  before text := pg_temp.published();
  runs bigint := (SELECT count(*) FROM reconcile.run WHERE state = 'failed');
  r reconcile.run;
BEGIN
  SELECT * INTO r FROM reconcile.run('pay', p_day);
  RETURN concat_ws(' | ', r.state, CASE WHEN pg_temp.published() = before THEN 'nothing published' ELSE 'published' END,
                   (SELECT count(*) FROM reconcile.run WHERE state = 'failed') - runs,
                   r.proof_difference, r.failure);
END
$$;
SAVEPOINT tamper;
UPDATE reconcile.open_item SET amount = 2.01 WHERE source_key = 'waits';
SELECT is(pg_temp.failed_run(:'d1'),
  'failed | nothing published | 1 | 0.02 | line c (CNY) is off by 0.01: right in - left in 0.00 = change in transit 2.00 + change of discrepancies -2.01 + residual 0.00 + adjustments 0.00; '
  'line d (CNY) is off by 0.01: since go-live 7.95 = in transit 0.00 + discrepancies 7.94 + residuals and adjustments 0.00',
  'lines c and d: an open item whose amount is not what it was');
ROLLBACK TO tamper;
CREATE FUNCTION pg_temp.more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.amount := NEW.amount + 1; RETURN NEW; END $$;
CREATE TRIGGER more BEFORE INSERT ON reconcile.open_item FOR EACH ROW WHEN (NEW.source_key = 'extra') EXECUTE FUNCTION pg_temp.more();
SELECT matches(pg_temp.failed_run(:'d'), '^failed \| nothing published \| 1 \| .*line a\.right \(CNY\) is off by -1\.00: opening 0 / 0\.00 \+ in 4 / 25\.35 - matched 2 / 15\.10 - adjusted 0 / 0\.00 = closing 2 / 11\.25',
  'line a: an entry that gets lost on its way');
ROLLBACK TO tamper;
CREATE FUNCTION pg_temp.dearer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.fee := NEW.fee + 0.01; RETURN NEW; END $$;
CREATE TRIGGER dearer BEFORE INSERT ON reconcile.match_item FOR EACH ROW WHEN (NEW.book = 'trade') EXECUTE FUNCTION pg_temp.dearer();
SELECT is(pg_temp.failed_run(:'d'),
  'failed | nothing published | 1 | 0.01 | line fee (CNY) is off by 0.01: left fees 0.03 - right fees 0.05 = fee discrepancies -0.03', 'fees');
ROLLBACK TO tamper;
UPDATE reconcile.entry_total SET digest = digest + 1;
SELECT is(pg_temp.failed_run(:'d'),
  'failed | nothing published | 1 | 0.00 | line g.left (CNY) is off by 0.00: detail path 4 / 17.40, aggregate path 4 / 17.40, digests differ; '
  'line g.right (CNY) is off by 0.00: detail path 4 / 25.35, aggregate path 4 / 25.35, digests differ', 'line g: the two paths do not see the same');
ROLLBACK TO tamper;
INSERT INTO reconcile.statement (statement_id, channel, account, book, business_date, state, entry_totals)
VALUES (77, 'pay', 'a', 'trade', :'d', 'accepted', '{"CNY": {"payment": {"count": 1, "amount": "12.34"}}}');
SELECT is(pg_temp.failed_run(:'d'),
  'failed | nothing published | 1 | 12.34 | line e (CNY) is off by 12.34: statements'' totals - their entries 1 / 12.34', 'line e: a statement whose entries went');
SELECT pg_temp.entry('trade', 'in it', 12.34, :'d', p_statement => 77);
SELECT is((SELECT r.state FROM reconcile.run('pay', :'d') r LIMIT 1), 'succeeded', 'and when they come it holds');
SET LOCAL session_replication_role = replica;
DELETE FROM reconcile.entry WHERE source_key = 'in it';
SET LOCAL session_replication_role = origin;
SELECT matches(pg_temp.failed_run(:'d'), 'line e \(CNY\) is off by 12\.34: .*; line g\.right \(CNY\) is off by -12\.34: detail path 4 / 25\.35, aggregate path 5 / 37\.69, digests differ$', 'lines e and g: an entry erased behind the triggers'' back');
SELECT is(reconcile.recount_totals('pay', :'d', :'d'), 1::bigint, 'its totals can be counted again');
SELECT is(pg_temp.failed_run(:'d'),
  'failed | nothing published | 1 | 12.34 | line e (CNY) is off by 12.34: statements'' totals - their entries 1 / 12.34', 'which leaves what the statement misses');
SELECT is(reconcile.recount_totals('pay', :'d', :'d'), 0::bigint, 'and nothing more to count');
ROLLBACK TO tamper;
CREATE ROLE test_run_author;
CREATE FUNCTION public.counted(channel text, account text, business_date date) RETURNS TABLE (currency text, entries bigint, amount numeric)
LANGUAGE sql AS $$ SELECT 'CNY', 5::bigint, 17.40 WHERE channel = 'pay' AND account = 'a' $$;
SELECT is(reconcile.set_control_query('pay', 'internal-trade', 'public.counted(text, text, date)', 'postgres', :'d'), 2, 'a control query is a new version of the leg');
SELECT is(pg_temp.failed_run(:'d'),
  'failed | nothing published | 1 | 0.00 | line f (CNY) is off by 0.00: left in 4 / 17.40, source 5 / 17.40', 'line f: the source counts one more');
CREATE OR REPLACE FUNCTION public.counted(channel text, account text, business_date date) RETURNS TABLE (currency text, entries bigint, amount numeric)
LANGUAGE sql AS $$ SELECT 'CNY', 4::bigint, 17.40 WHERE business_date = current_date - 10 $$;
SELECT is((SELECT r.state FROM reconcile.run('pay', :'d') r LIMIT 1), 'succeeded', 'and when it agrees the line holds');
CREATE SCHEMA hijack;
GRANT USAGE ON SCHEMA hijack TO PUBLIC;
CREATE FUNCTION hijack.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'I am %', current_user; END $$;
CREATE OR REPLACE FUNCTION public.counted(channel text, account text, business_date date) RETURNS TABLE (currency text, entries bigint, amount numeric)
LANGUAGE sql AS $$ SELECT set_config('search_path', 'hijack, pg_catalog', true); SELECT 'CNY', 4::bigint, 17.40 WHERE business_date = current_date - 10 $$;
SELECT is((SELECT r.state FROM reconcile.run('pay', :'d') r LIMIT 1), 'succeeded', 'what a control query sets does not stay');
ALTER FUNCTION public.counted(text, text, date) OWNER TO test_run_author;
SELECT is(pg_temp.refusal(format('SELECT reconcile.run(''pay'', %L)', :'d')),
  '42501 | permission denied to run public.counted(text,text,date) as "postgres" | Its owner test_run_author is no member of that role. | Give the function to a member of the role, or run it as a role of its owner''s.',
  'nobody''s code runs with rights that its owner lacks');
SELECT matches(pg_temp.refusal(format('SELECT reconcile.set_control_query(''pay'', ''internal-trade'', ''public.counted(text, text, date)'', ''postgres'', %L)', :'d')),
  '^42501 \| permission denied to run .*counted', 'nor can it be set');
ROLLBACK TO tamper;
-- The chain: a later day that does not close takes the whole chain back.
CREATE FUNCTION pg_temp.more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.amount := NEW.amount + 1; RETURN NEW; END $$;
SELECT pg_temp.entry('trade', 'later', 4, :'d1');
CREATE TRIGGER more BEFORE INSERT ON reconcile.open_item FOR EACH ROW WHEN (NEW.source_key = 'later') EXECUTE FUNCTION pg_temp.more();
SELECT matches(pg_temp.failed_run(:'d'), '^failed \| nothing published \| 1 \| .*line a\.right', 'a later day that does not close fails the chain');
SELECT is((SELECT business_date FROM reconcile.run WHERE state = 'failed' ORDER BY run_id DESC LIMIT 1), :'d1'::date, 'the row names that day');
SELECT is((SELECT count(*) FROM reconcile.run WHERE current), 3::bigint, 'and what stood before stands');
ROLLBACK TO tamper;

-- Late and corrected entries
SELECT pg_temp.entry('trade', 'late', 0.30, :'d', p_order => 'lost');
SELECT is((SELECT array_agg(r.business_date ORDER BY r.business_date) FROM reconcile.run('pay', :'d') r), ARRAY[:'d', :'d1']::date[], 'later days run again behind');
SELECT is((SELECT state || ' ' || cleared_on FROM reconcile.discrepancy WHERE item_key = 'lost'), 'cleared ' || :'d', 'what came late clears');
SELECT is((SELECT array_agg(event ORDER BY event_id) FROM reconcile.discrepancy_event e JOIN reconcile.discrepancy d USING (discrepancy_id) WHERE item_key = 'lost'),
  '{opened,cleared}', 'with an event');
DELETE FROM reconcile.entry WHERE source_key = 'late';
SELECT count(*) FROM reconcile.run('pay', :'d') \g /dev/null
SELECT is((SELECT state FROM reconcile.discrepancy WHERE item_key = 'lost'), 'reopened', 'what goes again reopens, under its id');
SELECT is((SELECT count(*) FROM reconcile.discrepancy WHERE item_key = 'lost'), 1::bigint, 'there is one');
UPDATE reconcile.entry SET amount = 7.26 WHERE source_key = 'extra';
SELECT count(*) FROM reconcile.run('pay', :'d') \g /dev/null
SELECT is((SELECT difference FROM reconcile.discrepancy WHERE item_key = 'extra'), 7.26, 'a corrected amount changes the difference');
SELECT is((SELECT event FROM reconcile.discrepancy_event e JOIN reconcile.discrepancy d USING (discrepancy_id) WHERE item_key = 'extra' ORDER BY event_id DESC LIMIT 1),
  'changed', 'with an event');

-- Events are chained, each to the one before
SELECT is_empty($$SELECT event_id FROM (SELECT *, coalesce(lag(hash) OVER (ORDER BY event_id), '\x') AS before FROM reconcile.discrepancy_event) e
                  WHERE previous_hash <> before OR hash = before$$, 'events are chained');

-- Who may see and run what
CREATE ROLE test_run_restricted;
GRANT reconcile_operator TO test_run_restricted;
INSERT INTO reconcile.access VALUES ('test_run_restricted', 'empty', NULL);
SET LOCAL ROLE test_run_restricted;
SELECT is((SELECT count(*) FROM reconcile.run) + (SELECT count(*) FROM reconcile.discrepancy) + (SELECT count(*) FROM reconcile.open_item)
          + (SELECT count(*) FROM reconcile.run_total) + (SELECT count(*) FROM reconcile.entry), 0::bigint, 'a role sees no other channel''s results');
SELECT is(pg_temp.refusal(format('SELECT reconcile.run(''pay'', %L, account => ''a'')', :'d')),
  '42501 | permission denied for account "a" of channel "pay" | Role "test_run_restricted" is restricted by reconcile.access. | An administrator can add the account to reconcile.access.',
  'nor runs it');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
