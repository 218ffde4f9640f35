-- What an adjustment means for a run: it is noticed, applied where its difference is found, and taken back by its opposite.
-- What is due, and that a day stands on the days before it.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(25);

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
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', lags => '{"left": {"*": 1}, "right": {"*": 1}}');

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


CREATE FUNCTION public.adjust(p_item text, p_amount numeric, p_day date, p_state text DEFAULT 'approved') RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO reconcile.adjustment (discrepancy_id, amount, currency, recon_date, state, reason_code, proposed_by, decided_by)
  SELECT d.discrepancy_id, p_amount, 'CNY', p_day, p_state, 'test', 'anna', CASE WHEN p_state <> 'proposed' THEN 'ben' END
  FROM reconcile.discrepancy d WHERE d.item_key = p_item RETURNING adjustment_id
$$;
CREATE FUNCTION public.next_day() RETURNS date LANGUAGE sql AS $$
  SELECT reconcile.next_run_day('pay', 'a', 'internal-trade', (current_date - 8 + time '12:00') AT TIME ZONE 'UTC')
$$;
-- "<state> <opened>-<cleared>", days counted from d.
CREATE FUNCTION public.told(p_item text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', d.state, d.opened_on - (current_date - 10) || '-' || coalesce((d.cleared_on - (current_date - 10))::text, '')), ',')
  FROM reconcile.discrepancy d WHERE d.item_key = p_item
$$;

SELECT say('I', 'trade', 'extra', '7', :'d'), say('I', 'internal', 'ok', '1', :'d'), say('I', 'trade', 'ok', '1', :'d') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d1') \g /dev/null
SELECT is(told('extra'), 'open 1-', 'given a difference that fell due');
SELECT is(next_day(), NULL, 'and nothing to run');

-- An adjustment of a day that has been run
SELECT adjust('extra', 7, :'d1', 'proposed') AS proposal \gset
SELECT is(next_day(), NULL, 'a proposal is nothing to run for');
UPDATE reconcile.adjustment SET state = 'approved', decided_by = 'ben' WHERE adjustment_id = :proposal;
SELECT is(next_day(), :'d1'::date, 'an approved adjustment makes its day run again');
SELECT is((SELECT o FROM unnest(reconcile.sign_off_obstacles('pay', 'a', :'d1', 'carol')) o WHERE o LIKE '%adjustment%'),
  format('leg internal-trade: adjustment %s was approved since run %s', :proposal, (SELECT max(run_id) FROM reconcile.run)),
  'and before that it cannot be signed off');
SELECT is((SELECT concat_ws(' ', r.state, r.discrepancies_cleared, r.proof_difference) FROM reconcile.run('pay', :'d1') r), 'succeeded 1 0.00', 'the day closes with it');
SELECT is(told('extra'), 'resolved 1-1', 'and the discrepancy is resolved');
SELECT is(next_day(), NULL, 'once');
SELECT is(refusal('UPDATE reconcile.adjustment SET amount = 6'),
  format('55000 | adjustment %s is approved | What was decided is not changed: runs have reckoned with it. | Propose an adjustment of the opposite amount for the same day; a day that is signed off is reopened first.', :proposal),
  'what was decided stays');
SELECT adjust('extra', -7, :'d1') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', next_day()) \g /dev/null
SELECT is(told('extra'), 'reopened 1-', 'the opposite takes it back');
SELECT adjust('extra', 7, :'d1') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', next_day()) \g /dev/null
SELECT is(told('extra'), 'resolved 1-1', 'and again');

-- The entry moves to a later day: the adjustment goes with it.
SELECT say('U', 'trade', 'extra', '7', :'d2') \g /dev/null
SELECT is((SELECT array_agg(r.business_date ORDER BY r.business_date) FROM reconcile.run('pay', :'d1') r), ARRAY[:'d', :'d1']::date[],
  'a run begins with the first day that has changed');
SELECT is(told('extra'), 'cleared 1-1', 'what moved away does not stand');
SELECT count(*) FROM reconcile.run('pay', :'d2') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d3') \g /dev/null
SELECT is(told('extra'), 'resolved 3-3', 'it is opened and settled on the day on which it is found');
SELECT is((SELECT closed_by FROM reconcile.open_item WHERE source_key = 'extra'), 'adjustment', 'and its entry is closed');
SELECT say('U', 'trade', 'extra', '8', :'d2') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d2') \g /dev/null
SELECT is(told('extra'), 'reopened 3-', 'another amount is another difference');
SELECT is((SELECT remaining FROM reconcile.open_discrepancy WHERE item_key = 'extra'), 1::numeric, 'of which a part is explained');

-- A re-issued statement has the same movement under another number.
SELECT say('D', 'trade', 'extra', NULL, NULL), say('I', 'trade', 'extra again', '7', :'d2', p_order => 'extra') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d2') \g /dev/null
SELECT is(told('extra'), 'resolved 3-3', 'what replaces an entry takes over its discrepancy, adjustments and all');
SELECT say('D', 'trade', 'extra again', NULL, NULL), say('I', 'trade', 'extra 3', '7', :'d2', p_order => 'extra') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d2') \g /dev/null
SELECT is(told('extra'), 'resolved 3-3', 'also when it was settled');

-- A difference that comes back stands in episodes, and a re-run inside an early one tells the same.
SELECT say('I', 'trade', 'named', '5', :'d'), say('I', 'internal', 'named', '5', :'d') \g /dev/null
UPDATE reconcile.entry SET channel_ref = 'another' WHERE source_key = 'named' AND book = 'internal';
SELECT count(*) FROM reconcile.run('pay', :'d') \g /dev/null
SELECT adjust('named', 0, :'d1'), adjust('named', 1, :'d2'), adjust('named', -1, :'d3') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d') \g /dev/null
SELECT is(told('named'), 'resolved 2-3', 'given a difference that was settled, came back and was settled again');
SELECT string_agg(concat_ws(' ', business_date, discrepancies_new, discrepancies_cleared), ',' ORDER BY business_date) AS figures FROM reconcile.run WHERE current \gset
SELECT count(*) FROM reconcile.run('pay', :'d1') \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', business_date, discrepancies_new, discrepancies_cleared), ',' ORDER BY business_date) FROM reconcile.run WHERE current),
  :'figures', 'a re-run counts what is new and what is cleared as the first run did');

-- Due
SELECT say('I', 'trade', 'slow', '9', :'d1'), say('I', 'internal', 'slow', '9', :'d1', 'pending'),
       say('I', 'trade', 'lost', '8', :'d1'), say('I', 'internal', 'lost', '8', :'d1', 'failed'),
       say('I', 'trade', 'half', '4', :'d1'), say('I', 'internal', 'half', '2', :'d1') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d1') \g /dev/null
SELECT is((SELECT opened_on FROM reconcile.discrepancy WHERE item_key = 'half'), :'d1'::date, 'a pair that differs is due at once');
SELECT is((SELECT kind || ' ' || opened_on FROM reconcile.discrepancy WHERE item_key = 'lost'), 'status_mismatch ' || :'d1', 'and so is what failed in the other book');
SELECT is((SELECT kind || ' ' || opened_on FROM reconcile.discrepancy WHERE item_key = 'slow'), 'status_mismatch ' || :'d2', 'what is pending there has until its due date');
SELECT say('U', 'internal', 'slow', '9', :'d1') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d1') \g /dev/null
SELECT is((SELECT state FROM reconcile.discrepancy WHERE item_key = 'slow'), 'cleared', 'and when it succeeds there is none');
SELECT * FROM finish();
