-- run_due: what ends one account's run is recorded and keeps no other account waiting; a cancel ends the call.
\set ON_ERROR_STOP 0
SET client_min_messages = error;
SELECT plan(16);
SELECT current_date - 6 AS d, current_date - 5 AS d1 \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => :'d');
SELECT reconcile.create_account('pay', 'b');
SELECT reconcile.ensure_month(:'d') \gset
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, status, effective, occurred_at, business_date, recon_date, source_id, source_key)
SELECT 'pay', account, book, 'payment', 'o', 'o', 10, 'CNY', 'success', true, day, day, day, CASE book WHEN 'internal' THEN 1 ELSE 2 END, account || day
FROM unnest('{a,b}'::text[]) account, unnest('{internal,trade}'::text[]) book, unnest(ARRAY[:'d', :'d1']::date[]) day;

-- The control query is somebody's own code, and can end in any way.
CREATE TABLE behaviour (way text);
INSERT INTO behaviour VALUES ('raise');
CREATE FUNCTION count_at_shop(channel text, account text, day date) RETURNS TABLE (currency text, entries bigint, amount numeric) LANGUAGE plpgsql AS $$
BEGIN
  IF account = 'a' THEN
    CASE (SELECT way FROM public.behaviour)
      WHEN 'raise' THEN RAISE EXCEPTION USING ERRCODE = 'PT001', MESSAGE = 'the shop is closed', DETAIL = 'Somebody has the key.', HINT = 'Ask somebody.';
      WHEN 'lock' THEN RAISE EXCEPTION USING ERRCODE = 'lock_not_available', MESSAGE = 'in use';
      WHEN 'sleep' THEN PERFORM pg_sleep(60);
      ELSE NULL;
    END CASE;
  END IF;
  RETURN QUERY SELECT 'CNY', 1::bigint, 10.0 WHERE day <= current_date - 5;
END
$$;
SELECT reconcile.set_control_query('pay', 'internal-trade', 'count_at_shop(text, text, date)', current_user, valid_from => :'d') \gset
CREATE FUNCTION runs() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', r.account, r.business_date - (current_date - 6), r.state), ', ' ORDER BY r.account, r.business_date, r.run_id)
  FROM reconcile.run r WHERE r.business_date <= current_date - 5
$$;

CALL reconcile.run_due();
SELECT is(runs(), 'a 0 failed, b 0 succeeded, b 1 succeeded', 'the other account is run, all its days');
SELECT is((SELECT r.failure FROM reconcile.run r WHERE r.account = 'a'), 'PT001: the shop is closed. Somebody has the key. Ask somebody.', 'the error is on record');
SELECT is((SELECT concat_ws(' ', r.current, r.requested_by = session_user, r.finished_at IS NOT NULL, r.snapshot IS NOT NULL, r.method) FROM reconcile.run r WHERE r.account = 'a'),
  'f t t t batch', 'as what it is');
SELECT is((SELECT count(*) FROM reconcile.open_item WHERE account = 'a') + (SELECT count(*) FROM reconcile.run_total JOIN reconcile.run USING (run_id) WHERE account = 'a'),
  0::bigint, 'and nothing else of it');
CALL reconcile.run_due();
SELECT is(runs(), 'a 0 failed, b 0 succeeded, b 1 succeeded', 'within the hour it is not tried again');
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, status, effective, occurred_at, business_date, recon_date, source_id, source_key)
SELECT 'pay', 'a', 'trade', 'fee', 'f', 'f', 10, 'CNY', 'success', true, :'d', :'d', :'d', 2, 'f';
CALL reconcile.run_due();
SELECT is(runs(), 'a 0 failed, a 0 failed, b 0 succeeded, b 1 succeeded', 'unless its data has changed');
CALL reconcile.run_due(now() + interval '2 hours');
SELECT is(runs(), 'a 0 failed, a 0 failed, a 0 failed, b 0 succeeded, b 1 succeeded', 'after it, it is');
UPDATE behaviour SET way = 'lock';
CALL reconcile.run_due(now() + interval '4 hours');
SELECT is(runs(), 'a 0 failed, a 0 failed, a 0 failed, b 0 succeeded, b 1 succeeded', 'a lock that is not to be had is nothing to record');
UPDATE behaviour SET way = 'sleep';
SET statement_timeout = '500ms';
CALL reconcile.run_due(now() + interval '4 hours');
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '57014', 'a timeout ends the call');
RESET statement_timeout;
SELECT is(runs(), 'a 0 failed, a 0 failed, a 0 failed, b 0 succeeded, b 1 succeeded', 'and is nothing to record either');
UPDATE behaviour SET way = 'count';
CALL reconcile.run_due(now() + interval '4 hours');
SELECT is((SELECT string_agg(concat_ws(' ', r.account, r.business_date - :'d'::date, r.state), ', ' ORDER BY r.account, r.business_date) FROM reconcile.run r WHERE r.current AND r.business_date <= :'d1'),
  'a 0 succeeded, a 1 succeeded, b 0 succeeded, b 1 succeeded', 'what no longer fails is run, and the days after it');

UPDATE behaviour SET way = 'raise';
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, status, effective, occurred_at, business_date, recon_date, source_id, source_key)
SELECT 'pay', 'a', 'trade', 'fee', 'g', 'g', 10, 'CNY', 'success', true, :'d', :'d', :'d', 2, 'g';
CALL reconcile.run_due();
SELECT is((SELECT concat_ws(' ', r.business_date - :'d'::date, r.state, r.method) FROM reconcile.run r WHERE r.account = 'a' ORDER BY r.run_id DESC LIMIT 1),
  '0 failed incremental', 'a day that had been run fails as an incremental run');

-- Nobody says of a day that it failed but the run itself.
CREATE ROLE of_account_b LOGIN IN ROLE reconcile_operator;
INSERT INTO reconcile.access (member, channel, account) VALUES ('of_account_b', 'pay', 'b');
SELECT is((SELECT string_agg(p.proname, ',') FROM pg_proc p WHERE p.pronamespace = 'reconcile'::regnamespace AND p.prosrc LIKE '%INSERT INTO reconcile.run (%'
           AND has_function_privilege('of_account_b', p.oid, 'EXECUTE')), 'run_next_day', 'one function writes failed runs');
SELECT count(*) AS failed FROM reconcile.run WHERE state = 'failed' \gset
SET SESSION AUTHORIZATION of_account_b;
SELECT throws_ok('SELECT reconcile.run_next_day(''pay'', ''a'', ''internal-trade'', now())', '42501',
  'permission denied for account "a" of channel "pay"', 'and runs no account that its caller may not see');
SELECT is((SELECT concat_ws(' ', d.day, d.state) FROM reconcile.run_next_day('pay', 'b', 'internal-trade', :'d'::date + interval '1 day') d), '', 'an operator calls it with the effect of run_due');
RESET SESSION AUTHORIZATION;
SELECT is((SELECT count(*) FROM reconcile.run WHERE state = 'failed'), :failed::bigint, 'which leaves nothing where nothing fails');
SELECT * FROM finish();
REASSIGN OWNED BY of_account_b TO CURRENT_USER;
DROP OWNED BY of_account_b;
DROP ROLE of_account_b;
