-- An incremental run comes to what a batch comes to, whatever changed since the run before; where it can't know what
-- changed, it is a batch and says why.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(63);

SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2, current_date - 7 AS d3 \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', lags => '{"left": {"*": 1}, "right": {"*": 1}}');

\ir incremental/world.sql

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
SELECT is(compared(:'d2'), '2: incremental', 'that look at all that is left');
SELECT ok(bool_and(proof_difference = 0), 'every proof holds') FROM reconcile.run WHERE current;
SELECT * FROM finish();
DROP OWNED BY inc_signer;
DROP ROLE inc_signer;
