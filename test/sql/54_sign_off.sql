-- Signing off: who may, what stands in the way, word for word; late changes enter the next day; reopening.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(39);

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
SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2, current_date - 7 AS d3 \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a');
DROP ROLE IF EXISTS test_preparer, test_signer;
CREATE ROLE test_preparer LOGIN;
CREATE ROLE test_signer LOGIN;
GRANT reconcile_operator TO test_preparer;
GRANT reconcile_approver, reconcile_reader TO test_signer;
GRANT reconcile_operator TO test_signer;

-- What a source says of a row: I, U or D.
CREATE FUNCTION public.say(operation text, p_book text, p_key text, p_amount text, p_day date, p_status text DEFAULT 'success',
                           p_order text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  source integer := CASE p_book WHEN 'internal' THEN 1 ELSE 2 END;
  changed bigint;
  name text := coalesce(p_order, p_key);
BEGIN
  IF operation = 'D' THEN
    RETURN reconcile.change_entries(source, NULL, ARRAY['D'], ARRAY[p_key], ARRAY[NULL]::text[], ARRAY[NULL]::text[],
      ARRAY[NULL]::text[], ARRAY[NULL]::text[], NULL, ARRAY[NULL]::text[], NULL, NULL, NULL, ARRAY[NULL]::text[],
      ARRAY[NULL]::text[], NULL, NULL, NULL, NULL, NULL, ARRAY[NULL]::text[], NULL, ARRAY[NULL]::timestamptz[], NULL,
      ARRAY[NULL]::date[], NULL, NULL);
  END IF;
  PERFORM reconcile.prepare_entries(ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_day + interval '10 hours'], ARRAY[p_day], ARRAY[p_status]);
  IF operation = 'I' THEN
    RETURN reconcile.insert_entries(source, NULL, ARRAY[p_key], ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY['payment'], NULL,
      ARRAY[name], ARRAY[name], ARRAY['t' || name], NULL, ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, NULL, NULL,
      ARRAY[p_status], NULL, ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
  END IF;
  RETURN reconcile.change_entries(source, NULL, ARRAY['U'], ARRAY[p_key], ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY['payment'], NULL,
      ARRAY[name], ARRAY[name], ARRAY['t' || name], NULL, ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, NULL, NULL,
      ARRAY[p_status], NULL, ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
END
$$;

SELECT say('I', 'internal', 'ok', '10', :'d'), say('I', 'trade', 'ok', '10', :'d'), say('I', 'trade', 'extra', '7', :'d'),
       say('I', 'internal', 'kept', '3', :'d'), say('I', 'trade', 'kept', '3', :'d'),
       say('I', 'internal', 'next', '4', :'d1'), say('I', 'trade', 'next', '4', :'d1') \g /dev/null

SET SESSION AUTHORIZATION test_preparer;
SELECT is(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d')),
  '42501 | permission denied for function sign_off', 'an operator does not sign off');
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION test_signer;
SELECT is(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d')),
  format('55000 | day %s of account "a" at channel "pay" cannot be signed off | leg internal-trade has not been run. | '
  'Runs: reconcile.run(); statements: reconcile.statement_status; owners: reconcile.assign(). The run must have been started by another login than the one that signs.', :'d'),
  'a day that was not run');
SELECT is(refusal('SELECT reconcile.sign_off(''pay'', ''b'', ''2026-01-01'')'),
  '42704 | account "b" of channel "pay" does not exist | Create it with reconcile.create_account(), or look for it in reconcile.account.', 'an account that does not exist');
SELECT matches(refusal('SELECT reconcile.sign_off(''pay'', ''a'', ''2099-01-01'')'), '^22023 \| business date 2099-01-01 lies in the future', 'the year 2099');
SELECT count(*) FROM reconcile.run('pay', :'d') \g /dev/null
SELECT matches(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d')),
  'discrepancy \d+ has no owner; "test_signer" prepared the run of leg internal-trade and cannot sign it off', 'nobody owns a discrepancy, and the preparer does not sign');
SET ROLE reconcile_approver;
SELECT matches(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d')), '"test_signer" prepared the run', 'nor under another role');
RESET ROLE;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION test_preparer;
SELECT is((SELECT r.state FROM reconcile.run('pay', :'d') r), 'succeeded', 'another login prepares the day');
SELECT is(refusal('SELECT reconcile.assign(discrepancy_id, ''nobody at all'') FROM reconcile.discrepancy'),
  '42704 | role "nobody at all" does not exist | A discrepancy is owned by a database role.', 'an owner is a role');
SELECT is(refusal('SELECT reconcile.assign(-1, ''test_preparer'')'),
  '42704 | discrepancy -1 does not exist | Look for its id in reconcile.open_discrepancy.', 'of a discrepancy that exists');
SELECT is((SELECT count(reconcile.assign(discrepancy_id, 'test_preparer')) FROM reconcile.discrepancy), 1::bigint, 'and has its discrepancies owned');
SELECT is((SELECT r.state FROM reconcile.run('pay', :'d1') r), 'succeeded', 'and the next');
RESET SESSION AUTHORIZATION;

-- Something comes in after the run.
SELECT say('I', 'trade', 'after', '1', :'d') \g /dev/null
SET SESSION AUTHORIZATION test_signer;
SELECT matches(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d')), 'leg internal-trade: entries changed since run \d+', 'what came after the run is not signed unseen');
RESET SESSION AUTHORIZATION;
SELECT say('D', 'trade', 'after', NULL, NULL) \g /dev/null
SET SESSION AUTHORIZATION test_preparer;
SELECT count(*) FROM reconcile.run('pay', :'d') \g /dev/null
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION test_signer;
SELECT is(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d1')) ~ (:'d' || ' is to be signed off first'), true, 'days are signed in order');
SELECT ok(reconcile.sign_off('pay', 'a', :'d') > 0, 'the day is signed off');
SELECT is((SELECT signed_through FROM reconcile.account), :'d'::date, 'the account says so');
SELECT is((SELECT concat_ws(' ', signed_by, prepared_by, cardinality(runs), jsonb_array_length(figures), day_close.digest = 'internal-trade=' || r.digest)
           FROM reconcile.day_close JOIN reconcile.run r ON r.current AND r.business_date = day_close.business_date),
  'test_signer {test_preparer} 1 1 t', 'with its figures and its digest');
SELECT is(refusal(format('SELECT reconcile.sign_off(''pay'', ''a'', %L)', :'d')),
  format('55000 | day %s of account "a" at channel "pay" is signed off already | Signing off a day closes the days before it; this account is closed through %s. | Days are reopened from the last one backwards, with reconcile.reopen_day().', :'d', :'d'), 'once');
SELECT is(refusal(format('SELECT reconcile.run(''pay'', %L)', :'d')),
  format('55000 | day %s of account "a" at channel "pay" is signed off | The account is signed off through %s. | Reopen it with reconcile.reopen_day(), or leave it: late entries enter the next open day.', :'d', :'d'),
  'it is not run again');
RESET SESSION AUTHORIZATION;

-- Late and changed entries
SELECT is(say('U', 'trade', 'kept', '3', :'d'), 0::bigint, 'what is said again of a signed-off day changes nothing');
SELECT say('I', 'trade', 'late', '2', :'d'), say('U', 'internal', 'ok', '12', :'d'), say('D', 'internal', 'kept', NULL, NULL) \g /dev/null
SELECT results_eq($$SELECT source_key COLLATE "default", amount, business_date, recon_date FROM reconcile.entry
                    WHERE source_key IN ('late', 'ok', 'kept') OR source_key ~ '#' ORDER BY book, source_key$$,
  format($$VALUES ('kept', 3::numeric, %1$L::date, %1$L::date), ('kept#1', -3, %1$L, %2$L), ('ok', 10, %1$L, %1$L), ('ok#1', 2, %1$L, %2$L),
                  ('kept', 3, %1$L, %1$L), ('late', 2, %1$L, %2$L), ('ok', 10, %1$L, %1$L)$$, :'d', :'d1'),
  'what is signed stays, what comes late or changes enters the next open day');
SELECT is((SELECT array_agg(source_key || ' ' || (entry ->> 'amount') ORDER BY history_id) FROM reconcile.entry_history WHERE reason = 'after_sign_off'),
  '{"ok 12",NULL}', 'history keeps what the source said');
SET SESSION AUTHORIZATION test_preparer;
SELECT is((SELECT concat_ws(' ', r.state, r.left_entries, r.right_entries, r.proof_difference) FROM reconcile.run('pay', :'d1') r),
  'succeeded 3 2 0.00', 'the next day takes them in, and closes');
SELECT results_eq($$SELECT item_key COLLATE "default", kind, difference FROM reconcile.discrepancy WHERE state = 'open' ORDER BY 1$$,
  $$VALUES ('extra', 'missing_internal', 7::numeric), ('kept', 'duplicate_internal', 3), ('late', 'missing_internal', 2), ('ok', 'duplicate_internal', -2)$$,
  'as prior-period items');
RESET SESSION AUTHORIZATION;
SELECT is((SELECT business_date FROM reconcile.discrepancy WHERE item_key = 'late'), :'d'::date, 'that keep their date');
SELECT say('U', 'internal', 'ok', '10', :'d') \g /dev/null
SELECT is((SELECT sum(amount) FROM reconcile.entry WHERE book = 'internal' AND order_key = 'ok'), 10::numeric, 'a change taken back takes the delta back');

-- Reopening
SET SESSION AUTHORIZATION test_signer;
SELECT is(refusal(format('SELECT reconcile.reopen_day(''pay'', ''a'', %L, '''')', :'d')),
  '22023 | reopening a day needs a reason | Say why, for the audit.', 'without a reason nothing is reopened');
SELECT is(refusal(format('SELECT reconcile.reopen_day(''pay'', ''a'', %L, ''why'')', :'d1')),
  format('55000 | day %s of account "a" at channel "pay" cannot be reopened | The last day signed off is %s. | Days are reopened from the last one back, one at a time.', :'d1', :'d'),
  'only the last signed-off day');
SELECT lives_ok(format('SELECT reconcile.reopen_day(''pay'', ''a'', %L, ''the bank called'')', :'d'), 'it is reopened');
SELECT is((SELECT concat_ws(' ', reopened_by, reopen_reason) FROM reconcile.day_close), 'test_signer the bank called', 'and who did it and why is kept');
SELECT is(refusal(format('SELECT reconcile.reopen_day(''pay'', ''a'', %L, ''why'')', :'d')),
  format('55000 | day %s of account "a" at channel "pay" cannot be reopened | No day is signed off. | Days are reopened from the last one back, one at a time.', :'d'), 'nothing is left to reopen');
RESET SESSION AUTHORIZATION;
SELECT is(say('U', 'trade', 'late', '2', :'d'), 0::bigint, 'nor of one that was reopened');
SELECT is((SELECT recon_date FROM reconcile.entry WHERE source_key = 'late'), :'d1'::date, 'a late entry stays on the day that it had entered');
SELECT say('U', 'internal', 'ok', '11', :'d') \g /dev/null
SELECT is((SELECT string_agg(source_key || '=' || amount, ',') FROM reconcile.entry WHERE book = 'internal' AND order_key = 'ok'), 'ok=11', 'an open row changes in place');

-- A forced day needs a signer too, and says so.
INSERT INTO reconcile.expected_statement (channel, book, valid_from) VALUES ('pay', 'trade', :'d');
SET SESSION AUTHORIZATION test_preparer;
SELECT count(*) FROM reconcile.run('pay', :'d', force => true) \g /dev/null
SELECT count(reconcile.assign(discrepancy_id, 'test_preparer')) FROM reconcile.discrepancy WHERE owner IS NULL \g /dev/null
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION test_signer;
SELECT ok(reconcile.sign_off('pay', 'a', :'d') > 0, 'a forced day can be signed off by another login');
SELECT is((SELECT forced -> 0 ->> 'forced_by' || ': ' || (forced -> 0 ->> 'waiting_for') FROM reconcile.day_close WHERE reopened_at IS NULL),
  format('test_preparer: the trade statement of %s', :'d'), 'which records what was missing, and who forced it');
SELECT is((SELECT count(*) FROM reconcile.day_close), 2::bigint, 'both sign-offs are kept');
RESET SESSION AUTHORIZATION;

-- What a source takes back after sign-off, and its delta, are gone together.
SELECT say('D', 'trade', 'extra', NULL, NULL) \g /dev/null
SET SESSION AUTHORIZATION test_preparer;
SELECT is((SELECT concat_ws(' ', r.state, r.matched_groups, r.proof_difference) FROM reconcile.run('pay', :'d1', force => true) r),
  'succeeded 1 0.00', 'a row deleted after sign-off nets with its delta');
SELECT is((SELECT string_agg(concat_ws(' ', d.state, d.cleared_on = :'d1'), ',') FROM reconcile.discrepancy d WHERE d.item_key = 'extra'),
  'cleared t', 'its discrepancy is cleared, and the delta opens none');
SELECT is((SELECT string_agg(i.source_key || ' ' || g.rule, ',' ORDER BY i.source_key) FROM reconcile.match_item i JOIN reconcile.match_group g USING (group_id)
           WHERE i.source_key LIKE 'extra%'), 'extra carried,extra#1 carried', 'by the pass for what was carried in');
RESET SESSION AUTHORIZATION;
SELECT * FROM finish();
DROP OWNED BY test_preparer, test_signer;
DROP ROLE test_preparer, test_signer;
