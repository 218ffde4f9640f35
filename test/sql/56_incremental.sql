-- An incremental run comes to what a batch comes to, whatever changed since the run before; where it can't know what
-- changed, it is a batch and says why.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(63);

SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2, current_date - 7 AS d3 \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', lags => '{"left": {"*": 1}, "right": {"*": 1}}');

-- What a source says of a row: I, U or D.
CREATE FUNCTION public.say(operation text, p_book text, p_key text, p_amount text, p_day date, p_order text DEFAULT NULL,
                           p_match text DEFAULT NULL, p_ref text DEFAULT NULL, p_kind text DEFAULT 'payment',
                           p_status text DEFAULT 'success', p_fee text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  source integer := CASE p_book WHEN 'internal' THEN 1 ELSE 2 END;
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
    RETURN reconcile.insert_entries(source, NULL, ARRAY[p_key], ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_kind], NULL,
      ARRAY[name], ARRAY[coalesce(p_match, name)], ARRAY[p_ref], NULL, ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, ARRAY[p_fee],
      NULL, ARRAY[p_status], NULL, ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
  END IF;
  RETURN reconcile.change_entries(source, NULL, ARRAY['U'], ARRAY[p_key], ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_kind], NULL,
      ARRAY[name], ARRAY[coalesce(p_match, name)], ARRAY[p_ref], NULL, ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, ARRAY[p_fee],
      NULL, ARRAY[p_status], NULL, ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
END
$$;
CREATE FUNCTION public.both_say(operation text, p_key text, p_amount text, p_day date) RETURNS bigint LANGUAGE sql AS $$
  SELECT say(operation, 'internal', p_key, p_amount, p_day) + say(operation, 'trade', p_key, p_amount, p_day)
$$;
CREATE FUNCTION public.adjust(p_item text, p_amount numeric, p_day date) RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO reconcile.adjustment (discrepancy_id, amount, currency, recon_date, state, reason_code, proposed_by, decided_by)
  SELECT d.discrepancy_id, p_amount, 'CNY', p_day, 'approved', 'test', 'anna', 'ben'
  FROM reconcile.discrepancy d WHERE d.item_key = p_item RETURNING adjustment_id
$$;

-- All that runs publish, a line each, without numbers that only tell one run from another.
CREATE FUNCTION public.published() RETURNS SETOF text LANGUAGE sql SET timezone = 'UTC' AS $$
  SELECT concat_ws(' ', 'run', r.business_date, r.state, r.left_entries, r.right_entries, r.matched_pairs, r.matched_groups, r.in_transit,
                   r.discrepancies_new, r.discrepancies_cleared, r.discrepancies_open, r.digest, r.proof, r.proof_difference,
                   r.detail - 'transaction' - 'last_change', r.forced)
  FROM reconcile.run r WHERE r.current
  UNION ALL SELECT concat_ws(' ', 'total', r.business_date, to_jsonb(t) - 'run_id') FROM reconcile.run_total t JOIN reconcile.run r USING (run_id) WHERE r.current
  UNION ALL SELECT concat_ws(' ', 'item', to_jsonb(o)) FROM reconcile.open_item o
  UNION ALL SELECT concat_ws(' ', 'match', to_jsonb(g) - 'group_id' - 'run_id' - 'created_at',
                             (SELECT jsonb_agg(to_jsonb(m) - 'group_id' ORDER BY m.book, m.source_id, m.source_key) FROM reconcile.match_item m WHERE m.group_id = g.group_id))
            FROM reconcile.match_group g
  UNION ALL SELECT concat_ws(' ', 'discrepancy', to_jsonb(d) - 'discrepancy_id' - 'first_run_id' - 'last_run_id' - 'created_at' - 'updated_at')
            FROM reconcile.discrepancy d
  UNION ALL SELECT concat_ws(' ', 'event', e.event, e.details) FROM reconcile.discrepancy_event e
$$;
-- How the incremental run of a day was done, and what a batch on the same data would have published besides or instead.
CREATE FUNCTION public.compared(p_day date, p_force boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  batch text[];
  done text;
  difference text;
BEGIN
  BEGIN
    PERFORM reconcile.run('pay', p_day, force => p_force);
    batch := ARRAY(SELECT published());
    RAISE EXCEPTION USING ERRCODE = 'TS001';
  EXCEPTION WHEN SQLSTATE 'TS001' THEN
    NULL;
  END;
  SELECT string_agg(concat_ws(' ', r.business_date - current_date + 10 || ':', r.method, r.batch_reason), ', ' ORDER BY r.business_date) INTO done
  FROM reconcile.run('pay', p_day, method => 'incremental', force => p_force) r;
  SELECT string_agg(l, E'\n') INTO difference
  FROM (SELECT '- ' || l FROM (SELECT unnest(batch) EXCEPT ALL SELECT published()) x (l)
        UNION ALL SELECT '+ ' || l FROM (SELECT published() EXCEPT ALL SELECT unnest(batch)) x (l)) d (l);
  RETURN concat_ws(E'\n', done, difference);
END
$$;

-- ---- a day
SELECT both_say('I', 'p' || n, n || '.10', :'d') FROM generate_series(1, 20) n \g /dev/null
SELECT both_say('I', 'q' || n, n || '.20', :'d1') FROM generate_series(1, 5) n \g /dev/null
SELECT say('I', 'internal', 'lost', '7', :'d'), say('I', 'trade', 'extra', '8', :'d'),
       say('I', 'internal', 'late', '9', :'d'), say('I', 'trade', 'late', '9', :'d1') \g /dev/null
SELECT is(compared(:'d'), '0: batch', 'a first run is a batch');
SELECT is(compared(:'d'), '0: incremental', 'a second one has nothing to do');
SELECT is((SELECT concat_ws(' ', r.method, r.left_entries, r.matched_pairs, r.discrepancies_open, r.in_transit) FROM reconcile.run r WHERE r.current),
          'incremental 22 20 0 3', 'and knows everything nevertheless');
SELECT is(compared(:'d1'), '1: batch', 'a day that had not been run is a batch');
SELECT is((SELECT concat_ws(' ', g.business_date - :'d'::date, g.rule) FROM reconcile.match_group g), '1 carried', 'an item is carried into it');

-- ---- what may change, in the first day of two
CREATE FUNCTION public.after_change(what text, changed bigint, done text DEFAULT '0: incremental, 1: incremental') RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  RETURN is(compared(current_date - 9), done, what);
END
$$;
SELECT after_change('a late pair', both_say('I', 'new', '1.23', :'d'));
SELECT after_change('the other book''s entry comes late', say('I', 'trade', 'lost', '7', :'d'));
SELECT after_change('an amount is corrected in one book', say('U', 'trade', 'p1', '1.11', :'d'));
SELECT after_change('and in the other', say('U', 'internal', 'p1', '1.11', :'d'));
SELECT after_change('another order', say('U', 'trade', 'p2', '2.10', :'d', 'p2x'));
SELECT after_change('another match key', say('U', 'trade', 'p3', '3.10', :'d', 'p3', 'p3/1'));
SELECT after_change('a reference, that matches an entry of another name', say('U', 'trade', 'p4', '5.10', :'d', 'p4', 'p4', 'r5') + say('U', 'internal', 'p5', '5.10', :'d', 'p5', 'p5', 'r5'));
SELECT after_change('and is taken away again', say('U', 'trade', 'p4', '4.10', :'d'));
SELECT after_change('a deletion', say('D', 'trade', 'p6', NULL, NULL));
SELECT after_change('a row that came and went', say('I', 'trade', 'p7/2', '1', :'d', 'p7') + say('D', 'trade', 'p7/2', NULL, NULL));
SELECT after_change('a row that went and came again', say('D', 'internal', 'p7', NULL, NULL) + say('I', 'internal', 'p7', '7.10', :'d'));
SELECT after_change('pending becomes success', say('I', 'internal', 'slow', '4', :'d', p_status => 'pending') + say('I', 'trade', 'slow', '4', :'d'));
SELECT after_change('success', say('U', 'internal', 'slow', '4', :'d', p_status => 'success'));
SELECT after_change('failure', say('U', 'internal', 'p8', '8.10', :'d', p_status => 'failed'));
SELECT after_change('fees that differ', say('U', 'internal', 'p9', '9.10', :'d', p_fee => '0.1') + say('U', 'trade', 'p9', '9.10', :'d', p_fee => '0.2'));
SELECT after_change('and agree', say('U', 'trade', 'p9', '9.10', :'d', p_fee => '0.1'));
SELECT after_change('a prior period', say('U', 'internal', 'p10', '10.10', :'d1'));
SELECT say('U', 'internal', 'p10', '10.10', :'d') \g /dev/null
UPDATE reconcile.entry SET business_date = :'d'::date - 40 WHERE source_key = 'p10' AND book = 'internal' AND tier = 0;
SELECT after_change('an entry of an earlier month that the day takes in', 0);
SELECT after_change('and not any more', say('U', 'internal', 'p10', '10.10', :'d'));
SELECT after_change('from one day of the chain to the other', say('U', 'internal', 'p11', '11.10', :'d1') + say('U', 'trade', 'p11', '11.10', :'d1'));
SELECT after_change('one book first', say('U', 'internal', 'p11', '11.10', :'d'));
SELECT after_change('an order in parts', say('I', 'internal', 's1', '100', :'d', 's') + say('I', 'trade', 's2', '60', :'d', 's', 's/1') + say('I', 'trade', 's3', '40', :'d', 's', 's/2'));
SELECT after_change('of which one comes later', say('U', 'trade', 's3', '40', :'d1', 's', 's/2'));
SELECT after_change('a reversal', say('I', 'internal', 'v1', '5', :'d', 'v', 'v/1') + say('I', 'internal', 'v2', '-5', :'d', 'v', 'v/2', p_kind => 'reversal'));
SELECT after_change('twins', say('I', 'internal', 'p12/2', '12.10', :'d', 'p12') + say('I', 'trade', 'p12/2', '12.10', :'d', 'p12') + say('I', 'trade', 'p12/3', '12.10', :'d', 'p12'));
SELECT after_change('the carried entry is matched on its own day', say('I', 'trade', 'late/2', '9', :'d', 'late'));
SELECT is((SELECT concat_ws(' ', o.book, o.source_key) FROM reconcile.open_item o WHERE o.order_key = 'late' AND o.closed_on IS NULL), 'trade late', 'which sets the later one free');
SELECT after_change('and is not', say('D', 'trade', 'late/2', NULL, NULL));
UPDATE reconcile.entry SET attributes = '{"a": 1}' WHERE source_key IN ('late', 'extra', 'p9') AND tier = 0;
SELECT after_change('an attribute that nothing is matched by', 0);

-- ---- adjustments, refunds
SELECT after_change('an adjustment', adjust('extra', 8, :'d'));
SELECT after_change('is taken back', adjust('extra', -8, :'d'));
SELECT after_change('again, from the second day on', adjust('extra', 8, :'d1'), '1: incremental');
SELECT after_change('and what it settled gets its counterpart', say('I', 'internal', 'extra', '8', :'d'));
SELECT after_change('refunds', say('I', 'internal', 'f1', '-13', :'d1', 'p13', 'p13/r', p_kind => 'refund') + say('I', 'trade', 'f1', '-13', :'d1', 'p13', 'p13/r', p_kind => 'refund'), '1: incremental');
SELECT after_change('of more than was paid, once the payment is corrected', say('U', 'internal', 'p13', '10', :'d') + say('U', 'trade', 'p13', '10', :'d'));
SELECT is((SELECT string_agg(d.kind || ' ' || d.state, ',') FROM reconcile.discrepancy d WHERE d.item_key = 'order:p13'), 'over_refund open', '(on a day without a change of its own)');
SELECT after_change('which an adjustment settles', adjust('order:p13', 0, :'d1'), '1: incremental');

-- ---- after sign-off: deltas
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'inc_signer') THEN CREATE ROLE inc_signer LOGIN; END IF; END $$;
GRANT reconcile_approver TO inc_signer;
SELECT reconcile.assign(discrepancy_id, 'inc_signer') FROM reconcile.discrepancy WHERE owner IS NULL \g /dev/null
SET SESSION AUTHORIZATION inc_signer;
SELECT reconcile.sign_off('pay', 'a', :'d') > 0 AS signed \gset
RESET SESSION AUTHORIZATION;
SELECT say('U', 'trade', 'p14', '14.50', :'d'), say('D', 'internal', 'p15', NULL, NULL), say('D', 'trade', 'p16', NULL, NULL) \g /dev/null
SELECT is(compared(:'d1'), '1: incremental', 'what changed in a signed-off day comes as deltas');
SELECT say('U', 'trade', 'p14', '14.10', :'d'), say('D', 'internal', 'p16', NULL, NULL) \g /dev/null
SELECT is(compared(:'d1'), '1: incremental', 'and goes as deltas');

-- ---- when the whole day is run
INSERT INTO reconcile.entry SELECT (jsonb_populate_record(e, '{"source_key": "by hand"}')).* FROM reconcile.entry e WHERE e.source_key = 'q1' AND e.book = 'trade';
DELETE FROM reconcile.entry_change WHERE source_keys = '{by hand}';
SELECT matches(compared(:'d1'), '^1: batch the changes since run \d+ do not explain the totals in CNY$', 'totals that the changes do not explain');
UPDATE reconcile.leg SET lags = '{"left": {"*": 3}, "right": {"*": 1}}';
SELECT matches(compared(:'d1'), '^1: batch the settings of leg, rules, channel or calendar have changed since run \d+$', 'other settings');
UPDATE reconcile.run SET detail = NULL WHERE current;
SELECT matches(compared(:'d1'), '^1: batch run \d+ left nothing to go on from$', 'a run that left nothing');
UPDATE reconcile.run SET cluster = 1 WHERE current AND business_date = :'d1';
SELECT matches(compared(:'d1'), '^1: batch run \d+ was made in another cluster$', 'a dump that was restored');
SELECT say('I', 'internal', 'n' || n, '1', :'d1') FROM generate_series(1, 1100) n \g /dev/null
SELECT matches(compared(:'d1'), '^1: batch the changes since run \d+ touch more than 1000 entries of [-0-9]+$', 'more changes than are worth it');
DELETE FROM reconcile.open_item WHERE source_key = 'n7';
SELECT say('I', 'trade', 'n7', '1', :'d1') \g /dev/null
SELECT matches(compared(:'d1'), '^1: batch what is stored of run \d+ is not what the entries that it saw come to$', 'stored rows that somebody touched');
CALL reconcile.maintain();
SELECT is(compared(:'d1'), '1: incremental', 'after maintain() has forgotten and folded');
SELECT say('I', 'internal', 'first', '1', :'d2'), say('I', 'internal', 'before', '1', :'d1') \g /dev/null
SELECT is(compared(:'d2'), '1: incremental, 2: batch', 'a chain goes on as a batch where it must');

-- ---- in one transaction, whose own changes no snapshot tells from others
BEGIN;
SELECT say('I', 'trade', 'first', '1', :'d2') \g /dev/null
SELECT is(compared(:'d2'), '2: incremental', 'a change of the same transaction');
SELECT say('I', 'trade', 'before', '1', :'d2') \g /dev/null
SELECT is(compared(:'d2'), '2: incremental', 'and another after the run');
COMMIT;
SELECT is(compared(:'d2'), '2: incremental', 'are known to the run after it');
BEGIN;
SELECT say('I', 'internal', 'same', '1', :'d2') \g /dev/null
SAVEPOINT another_number;
SELECT say('I', 'internal', 'undone', '1', :'d2') \g /dev/null
ROLLBACK TO another_number;
SELECT count(*) FROM reconcile.run('pay', :'d2', 'a') \g /dev/null
SELECT is(reconcile.first_changed_day('pay', 'a', 'internal-trade'), NULL, 'what came before the run is not new');
SELECT say('I', 'trade', 'same', '1', :'d2') \g /dev/null
SELECT is(reconcile.first_changed_day('pay', 'a', 'internal-trade'), :'d2', 'what comes after it is');
COMMIT;
CALL reconcile.maintain();
SELECT is(reconcile.first_changed_day('pay', 'a', 'internal-trade'), :'d2', 'and is not forgotten');
SELECT is(compared(:'d2'), '2: incremental', 'until the next run');
SELECT is(reconcile.first_changed_day('pay', 'a', 'internal-trade'), NULL, 'has seen it');

-- ---- rules that look at all that is left of a day
SELECT reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "match_key"}, {"rule": "pair", "name": "near", "key": ["order_key"], "amount": {"within": "0.05"}}]', :'d2') \g /dev/null
SELECT matches(compared(:'d2'), '^2: batch the settings of leg, rules, channel or calendar have changed since run \d+$', 'other rules');
SELECT is(compared(:'d2'), '2: batch rule "near" looks at all that is left of the day', 'that look at all that is left');
SELECT ok(bool_and(proof_difference = 0), 'every proof holds') FROM reconcile.run WHERE current;
SELECT * FROM finish();
DROP OWNED BY inc_signer;
DROP ROLE inc_signer;
