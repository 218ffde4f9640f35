-- What each kind of rule matches in a run, at the edges of its tolerance and window; what it leaves open and says why; that
-- every day closes, and that the proof's residual is what the matches accepted.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(41);
\ir rules/world.sql
SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2, current_date - 30 AS live \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => :'live') \g /dev/null

-- pair: amount
SELECT say('internal', 'at', '100', :'d', 'o1'), say('trade', 'at', '100.05', :'d', 'o1'),
       say('internal', 'over', '100', :'d', 'o2'), say('trade', 'over', '100.0500001', :'d', 'o2'),
       say('internal', 'less', '100', :'d', 'o3'), say('trade', 'less', '99.95', :'d', 'o3'),
       say('internal', 'sign', '0.03', :'d', 'o4'), say('trade', 'sign', '-0.02', :'d', 'o4'),
       say('internal', 'other sign', '0.06', :'d', 'o5'), say('trade', 'other sign', '-0.01', :'d', 'o5') \g /dev/null
SELECT is(run_by('{"rule": "pair", "name": "near", "key": ["order_key"], "amount": {"within": "0.05"}}', :'d'),
  'near:at=at 0.05, near:less=less -0.05, near:sign=sign -0.05', 'an amount may differ by the tolerance, and by no more');
SELECT is((SELECT concat_ws(' ', residual, left_matched, right_matched, left_closing_count, right_closing_count) FROM reconcile.run_total JOIN reconcile.run USING (run_id) WHERE current),
  '-0.05 200.03 199.98 2 2', 'the residuals are a term of the proof');
SELECT is((SELECT string_agg(kind || ' ' || item_key, ',' ORDER BY item_key) FROM reconcile.discrepancy), 'amount_mismatch o2,amount_mismatch o5', 'what no rule takes is a discrepancy');
SELECT is((SELECT concat_ws(' ', pass, rule_version = (SELECT max(version) FROM reconcile.match_rule), tolerance, differs) FROM reconcile.match_group WHERE residual = 0.05),
  '5 t {"amount": {"within": "0.05"}} f', 'a match remembers pass, version and tolerance');
SELECT is((SELECT rules -> 'passes' ->> '5' FROM reconcile.run WHERE current), format('{"rule": "near", "version": %s}', (SELECT max(version) FROM reconcile.match_rule)), 'and so does the run');
SELECT is(run_by('{"rule": "pair", "name": "share", "key": ["order_key"], "amount": {"percent": "0.1", "cap": "0.05"}}', :'d'),
  'share:at=at 0.05, share:less=less -0.05', 'other rules for the same day match again');
SELECT is((SELECT count(*) FROM reconcile.discrepancy WHERE state = 'open'), 3::bigint, 'and what they no longer match is a discrepancy');
SELECT is(run_by('{"rule": "pair", "name": "share", "key": ["order_key"], "amount": {"percent": "0.1", "cap": "0.04"}}', :'d'), '', 'a cap limits a percentage');
SELECT is(run_by('{"rule": "pair", "name": "share", "key": ["order_key"], "amount": {"within": "0.05", "percent": "0.0501", "cap": "0.0501"}}', :'d'),
  'share:at=at 0.05, share:less=less -0.05, share:over=over 0.0500001, share:sign=sign -0.05', 'of both the more generous holds');

-- pair: windows
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '1', :'d', 'o1', p_at => '10:00'), say('trade', 'r1', '1.01', :'d', 'o1', p_at => '09:59'),
       say('internal', 'l2', '1', :'d', 'o2', p_at => '10:00'), say('trade', 'r2', '1.01', :'d', 'o2', p_at => '09:58:59'),
       say('internal', 'l3', '1', :'d', 'o3', p_at => '10:00'), say('trade', 'r3', '1.01', :'d', 'o3', p_at => '12:00'),
       say('internal', 'l4', '1', :'d', 'o4', p_at => '10:00'), say('trade', 'r4', '1.01', :'d', 'o4', p_at => '12:00:01') \g /dev/null
SELECT is(run_by('{"rule": "pair", "name": "soon", "key": ["order_key"], "amount": {"within": "0.01"}, "window": {"on": "occurred_at", "before": "1 minute", "after": "2 hours"}}', :'d'),
  'soon:l1=r1 0.01, soon:l3=r3 0.01', 'a window has two sides');
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '1', :'d', 'o1'), say('internal', 'l2', '1', :'d', 'o2'), say('internal', 'l0', '0.30', :'d') \g /dev/null
SELECT is(run_by('{"rule": "pair", "name": "next day", "key": ["order_key"], "amount": {"within": "0.01"}, "window": {"on": "business_date", "after": "1 day"}}', :'d'), '', 'alone on their day');
SELECT say('trade', 'r1', '1.01', :'d1', 'o1') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d1') \g /dev/null
SELECT is(matches(), 'next day:l1=r1 0.01', 'a carried entry is matched when its window allows it');
SELECT say('trade', 'r2', '1.01', :'d2', 'o2') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d2') \g /dev/null
SELECT is(matches(), 'next day:l1=r1 0.01', 'and not when it is too late');
SELECT is((SELECT string_agg(residual || ' ' || proof_difference, ',' ORDER BY business_date) FROM reconcile.run_total JOIN reconcile.run USING (run_id, proof_difference) WHERE current),
  '0.00 0.00,0.01 0.00,0.00 0.00', 'each day has the residual of its own matches');
SELECT is((SELECT concat_ws(' ', closed_on = :'d1'::date, closed_by) FROM reconcile.open_item WHERE source_key = 'l1'), 't match', 'the carried entry is closed');
SELECT is((SELECT string_agg(digest, ',' ORDER BY business_date) FROM reconcile.run WHERE current),
          (SELECT string_agg(r.digest, ',' ORDER BY r.business_date) FROM reconcile.run('pay', :'d') r), 'the same days again come to the same digest');

-- pair: status map, kinds, attributes; fees
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '1', :'d', 'o1', p_status => 'PAID'), say('trade', 'r1', '1.01', :'d', 'o1', p_status => 'SUCCESS'),
       say('internal', 'l2', '1', :'d', 'o2', p_status => 'PAID'), say('trade', 'r2', '1.01', :'d', 'o2', p_status => 'HELD'),
       say('internal', 'l3', '1', :'d', 'o3', p_status => 'NEW'), say('trade', 'r3', '1.01', :'d', 'o3', p_status => 'SUCCESS'),
       say('internal', 'l4', '1', :'d', 'o4'), say('trade', 'r4', '1.01', :'d', 'o4', p_status => 'SUCCESS') \g /dev/null
SELECT is(run_by('{"rule": "pair", "name": "paid", "key": ["order_key"], "amount": {"within": "0.01"}, "source_status": {"PAID": ["SUCCESS", "FINISHED"]}}', :'d'),
  'paid:l1=r1 0.01', 'both words must fit a status map');
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '5', :'d', 'o1', p_attributes => '{"shop": "north", "till": "1"}', p_fee => '0.10'), say('trade', 'r1', '5', :'d', 'x1', p_attributes => '{"shop": "north"}', p_fee => '0.12'),
       say('internal', 'l2', '5', :'d', 'o2', p_attributes => '{"shop": "south"}'), say('trade', 'r2', '5', :'d', 'x2', p_attributes => '{"shop": null}', p_kind => 'other'),
       say('internal', 'l3', '5', :'d', 'o3'), say('trade', 'r3', '5', :'d', 'x3', p_attributes => '{"shop": "south"}', p_kind => 'other') \g /dev/null
SELECT is(run_by('{"rule": "pair", "name": "shops", "key": ["attributes.shop"], "kinds": {"right": ["payment"]}}', :'d'), 'shops:l1=r1 0.00', 'an attribute is a key; only the kinds named take part');
SELECT is((SELECT kind || ' ' || difference FROM reconcile.discrepancy WHERE left_entry ->> 'source_key' = 'l1'), 'fee_mismatch -0.02', 'fees of a pair are compared');
SELECT is(run_by('{"rule": "pair", "name": "shops", "key": ["attributes.shop"]}', :'d'), 'shops:l1=r1 0.00, shops:l2=r3 0.00', 'NULL is no key');
-- Quotes and backslashes in a name stay a name, also where a backslash escapes in literals.
SELECT set_config('test.named', $$'"\' || (1 / (SELECT 0))) --$$, false) AS named \gset
SELECT say('internal', 'l4', '5', :'d', 'o4', p_attributes => json_build_object(:'named', 'a')::text),
       say('trade', 'r4', '5', :'d', 'x4', p_attributes => json_build_object(:'named', 'a')::text) \g /dev/null
SELECT json_build_object('rule', 'pair', 'name', 'named', 'key', json_build_array('attributes.' || :'named')) AS rule \gset
SELECT is(run_by(:'rule', :'d'), 'named:l4=r4 0.00', 'an attribute''s name may be anything');
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT is((SELECT r.state || ' ' || r.matched_pairs FROM reconcile.run('pay', (SELECT max(business_date) FROM reconcile.run)) r), 'succeeded 1', 'and is one literal in every session');
RESET standard_conforming_strings;
RESET escape_string_warning;

-- pair: assignment, ties, and who comes first
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '10', :'d', p_settlement => 's'), say('internal', 'l2', '10.04', :'d', p_settlement => 's'),
       say('trade', 'r1', '10.02', :'d', p_settlement => 's'), say('trade', 'r2', '9.97', :'d', p_settlement => 's') \g /dev/null
SELECT is(run_by('{"rule": "pair", "name": "best", "key": ["settlement_ref"], "amount": {"within": "0.05"}}', :'d'), 'best:l1=r2 -0.03, best:l2=r1 -0.02', 'as many pairs as can be, then the smallest differences');
SELECT say('internal', 'l3', '20', :'d', p_settlement => 's'), say('trade', 'r3', '20.01', :'d', p_settlement => 's'), say('trade', 'r4', '20.01', :'d', p_settlement => 's') \g /dev/null
SELECT is(run_by('{"rule": "pair", "name": "best", "key": ["settlement_ref"], "amount": {"within": "0.05"}}', :'d'),
  'best:l1=r2 -0.03, best:l2=r1 -0.02 | ambiguous best:l3=r3+r4', 'a tie is reported, not guessed');
SELECT is((SELECT count(*) FROM reconcile.open_item WHERE closed_on IS NULL), 3::bigint, 'and stays open');
SELECT is(run_by('{"rule": "pair", "name": "best", "key": ["settlement_ref"], "amount": {"within": "0.05"}, "after": ["first"]}, {"rule": "pair", "name": "first", "key": ["settlement_ref"], "amount": {"within": "0.03"}}', :'d'),
  'first:l1=r2 -0.03, first:l2=r1 -0.02 | ambiguous first:l3=r3+r4', 'a rule runs after those that it names, and does not repeat their ties');
SELECT is(run_by('{"rule": "pair", "name": "best", "key": ["settlement_ref"], "amount": {"within": "0.05"}}, {"rule": "group", "name": "any", "key": ["settlement_ref"], "shape": "N:M", "amount": {"within": "30"}}', :'d'),
  'any:l3=r3+r4 20.02, best:l1=r2 -0.03, best:l2=r1 -0.02', 'a tie that a later rule resolves is none');

-- group
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '10', :'d', p_settlement => 's1'), say('internal', 'l2', '20', :'d', p_settlement => 's1'), say('trade', 'r1', '29.99', :'d', p_settlement => 's1'),
       say('internal', 'l3', '30', :'d', p_settlement => 's2'), say('trade', 'r2', '10', :'d', p_settlement => 's2'), say('trade', 'r3', '20.02', :'d', p_settlement => 's2'),
       say('internal', 'l4', '1', :'d', p_settlement => 's3'), say('internal', 'l5', '2', :'d', p_settlement => 's3'), say('trade', 'r4', '2.50', :'d', p_settlement => 's3'), say('trade', 'r5', '0.50', :'d', p_settlement => 's3'),
       say('internal', 'l6', '7', :'d', p_settlement => 's4'), say('trade', 'r6', '7', :'d', p_settlement => 's4') \g /dev/null
SELECT is(run_by('{"rule": "group", "name": "all", "key": ["settlement_ref"], "shape": "N:M", "amount": {"within": "0.01"}}', :'d'),
  'all:l1+l2=r1 -0.01, all:l4+l5=r4+r5 0.00, all:l6=r6 0.00', 'a block whose sums agree is one match');
SELECT is((SELECT concat_ws(' ', matched_pairs, matched_groups, proof_difference) FROM reconcile.run WHERE current), '1 2 0.00', 'one against one is a pair');
SELECT is(run_by('{"rule": "group", "name": "all", "key": ["settlement_ref"], "shape": "1:N", "amount": {"within": "0.02"}}', :'d'), 'all:l3=r2+r3 0.02, all:l6=r6 0.00', 'one left, many right');
SELECT is(run_by('{"rule": "group", "name": "all", "key": ["settlement_ref"], "shape": "N:1", "amount": {"within": "0.02"}}', :'d'), 'all:l1+l2=r1 -0.01, all:l6=r6 0.00', 'many left, one right');
SELECT is(run_by('{"rule": "group", "name": "all", "key": ["business_date"], "shape": "N:M", "amount": {"within": "100"}}', :'d'),
  ' | suggested all:l1+l2+l3+l4+l5+l6=r1+r2+r3+r4+r5+r6 0.01', 'without a shared reference it is suggested');
SELECT is((SELECT count(*) FROM reconcile.open_item WHERE closed_on IS NULL), 12::bigint, 'which closes nothing');

-- subset
SELECT forget() \g /dev/null
SELECT say('internal', 'payout', '60', :'d', p_settlement => 's'), say('trade', 'r1', '10', :'d', p_settlement => 's'), say('trade', 'r2', '20', :'d', p_settlement => 's'),
       say('trade', 'r3', '30.01', :'d', p_settlement => 's'), say('trade', 'r4', '55', :'d', p_settlement => 's') \g /dev/null
SELECT is(run_by('{"rule": "subset", "name": "parts", "key": ["settlement_ref"], "one": "left", "amount": {"within": "0.05"}}', :'d'), 'parts:payout=r1+r2+r3 0.01', 'the entries that add up to one');
SELECT say('trade', 'r5', '10', :'d', p_settlement => 's') \g /dev/null
SELECT is(run_by('{"rule": "subset", "name": "parts", "key": ["settlement_ref"], "one": "left", "amount": {"within": "0.05"}}', :'d'),
  ' | ambiguous parts:payout=r1+r2+r3+r5', 'two answers are none');
SELECT is(run_by('{"rule": "subset", "name": "parts", "key": ["settlement_ref"], "one": "left", "amount": {"within": "0.05"}, "max_members": 2}', :'d'), '', 'no more members than allowed');
SELECT forget() \g /dev/null
SELECT say('trade', 'one', '1000.01', :'d', p_settlement => 's') \g /dev/null
SELECT say('internal', 'l' || i, (i * 17 % 101 + i * 0.001)::text, :'d', p_settlement => 's') FROM generate_series(1, 60) i \g /dev/null
SELECT is((SELECT concat_ws(' ', outcome, rule, left_count, right_count) FROM reconcile.open_suggestion), NULL, 'nothing is suggested yet');
SELECT run_by('{"rule": "subset", "name": "parts", "key": ["settlement_ref"], "one": "right", "max_members": 30, "work": 1000}', :'d') \g /dev/null
SELECT is((SELECT concat_ws(' ', outcome, rule, right_count) FROM reconcile.open_suggestion), 'gave_up parts 1', 'too much work is given up, and said');

-- Exact matches are not touched by rules, and nothing is matched twice.
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '10', :'d', 'o1'), say('trade', 'r1', '10', :'d', 'o1'), say('internal', 'l2', '10.01', :'d', 'o2'), say('trade', 'r2', '10', :'d', 'x2') \g /dev/null
SELECT is(run_by('{"rule": "pair", "name": "p1", "key": ["business_date"], "amount": {"within": "0.05"}}, {"rule": "pair", "name": "p2", "key": ["business_date"], "amount": {"within": "0.05"}}', :'d'),
  ' | suggested p1:l2=r2 -0.01', 'what an earlier suggestion holds no later rule suggests');
SELECT is((SELECT count(*) FROM reconcile.open_item WHERE closed_on IS NULL), 2::bigint, 'the exact match is made');
SELECT is(run_by('{"rule": "pair", "name": "p1", "key": ["business_date"], "amount": {"within": "0.05"}}, {"rule": "pair", "name": "p2", "key": ["kind", "attributes.none"], "amount": {"within": "0.05"}}, {"rule": "group", "name": "g", "key": ["business_date", "kind"], "shape": "N:M", "amount": {"within": "0.05"}}', :'d'),
  ' | suggested p1:l2=r2 -0.01', 'of any kind');
SELECT * FROM finish();
