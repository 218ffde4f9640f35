-- explain, explain_suggestion, match_of: what stands between two entries, and why each rule does not match them.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT plan(45);
\ir rules/world.sql
SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 30 AS live \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => :'live', lags => '{"left": {"*": 0}, "right": {"*": 0}}') \g /dev/null
\set rules '{"rule": "pair", "name": "by order", "key": ["order_key"], "amount": {"within": "0.05"}, "window": {"on": "business_date", "after": "1 day"}}, {"rule": "pair", "name": "near", "key": ["kind"], "amount": {"within": "0.05", "percent": "0.1", "cap": "0.04"}, "window": {"on": "occurred_at", "before": "1 hour", "after": "2 days"}, "kinds": {"right": ["payment"]}}, {"rule": "pair", "name": "by attribute", "key": ["attributes.til"], "source_status": {"PAID": ["OK"]}}'
-- The discrepancy, and the suggestion, that an entry is in.
CREATE FUNCTION public.did(p_key text) RETURNS bigint LANGUAGE sql AS $$
  SELECT discrepancy_id FROM reconcile.discrepancy WHERE p_key IN (left_entry ->> 'source_key', right_entry ->> 'source_key') ORDER BY 1 LIMIT 1
$$;
CREATE FUNCTION public.sid(p_key text) RETURNS bigint LANGUAGE sql AS $$
  SELECT s.suggestion_id FROM reconcile.match_suggestion s
  WHERE EXISTS (SELECT FROM jsonb_array_elements(s.left_entries || s.right_entries) e WHERE e ->> 'source_key' = p_key)
$$;
-- Days by their distance from the first one; ids and times by what they are.
CREATE FUNCTION public.told(p_words text) RETURNS text LANGUAGE sql AS $$
  SELECT replace(replace(regexp_replace(regexp_replace(p_words, ' at \d{4}-\d\d-\d\d \S+', ' at TIME', 'g'), 'suggestion \d+', 'suggestion ID', 'g'),
         (current_date - 10)::text, 'D'), (current_date - 9)::text, 'D+1')
$$;
CREATE FUNCTION public.explained(p_key text, p_topic text) RETURNS text LANGUAGE sql AS $$
  SELECT told(string_agg(explanation, E'\n' ORDER BY step)) FROM reconcile.explain(did(p_key)) WHERE topic = p_topic
$$;
CREATE FUNCTION public.became(p_source integer, p_key text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(verdict || ': ' || told(explanation), E'\n') FROM reconcile.match_of(p_source, p_key)
$$;

SELECT say('internal', 'l1', '10', :'d', 'o1'), say('trade', 'r1', '10.08', :'d', 'o1'),
       say('internal', 'l2', '20', :'d'), say('trade', 'r2', '20.01', :'d'),
       say('internal', 'l3', '30', :'d'), say('trade', 'r3', '30.02', :'d'), say('trade', 'r4', '30.02', :'d'),
       say('internal', 'l5', '50', :'d'), say('trade', 'r5', '50', :'d1', p_at => '12 hours', p_kind => 'refund'),
       say('internal', 'l6', '60', :'d', 'o6'), say('trade', 'r6', '60.03', :'d', 'o6b'),
       say('internal', 'l7', '70', :'d', 'o7'), say('trade', 'r7', '70.04', :'d', 'o7'), say('internal', 'l7 again', '70', :'d1', 'o7'),
       say('internal', 'l8', '80', :'d', p_status => 'PAID', p_attributes => '{"til": "4"}'),
       say('trade', 'r8', '81', :'d1', p_status => 'WAIT', p_attributes => '{"til": "4"}'),
       say('trade', 'r9', '500', :'d') \g /dev/null
SELECT is(run_by(:'rules', :'d'),
  'by order:l7=r7 0.04 | ambiguous near:l3=r3+r4, suggested near:l2=r2 0.01, suggested near:l6=r6 0.03', 'given matches, suggestions and ties');
SELECT is((SELECT string_agg(x.state, ',') FROM reconcile.run('pay', :'d1') x),
  'succeeded,succeeded', 'and another day');
SELECT is((SELECT string_agg(DISTINCT topic, ',') || ' ' || min(step) || (max(step) = count(*)) || (count(DISTINCT step) = count(*)) FROM reconcile.explain(did('l2'))),
  'candidate,history,left entry,right entry,rule,suggestion,verdict 1truetrue', 'steps are numbered without a gap');
SELECT is((SELECT string_agg(topic || ': ' || told(explanation), E'\n' ORDER BY step) FROM reconcile.explain(did('l1'))),
  'verdict: payment o1 of D 10:00:00 is over 10.00 CNY in the internal book and over 10.08 CNY in the trade book. Surplus: 0.08 CNY to our advantage.
left entry: internal book, success, 10, source key l1
right entry: trade book, success, 10.08, source key r1
candidate: trade book: payment o1, 10.08 CNY, on D: amount differs by 0.08 CNY; it takes amount within 0.08 or 0.8 percent
rule: rule channel_ref (pass 1, version 2) and r1: channel_ref is NULL, amount differs by 0.08 CNY
rule: rule match_key (pass 2, version 2) and r1: amount differs by 0.08 CNY
rule: rule carried (pass 3, version 2) and r1: amount differs by 0.08 CNY
rule: rule net_order (pass 4, version 2) and r1: amount differs by 0.08 CNY (these two alone; the rule adds up all entries of a block)
rule: rule by order (pass 5, version 2) and r1: amount differs by 0.08 CNY, 0.03 CNY beyond its tolerance of 0.05 CNY
rule: rule near (pass 6, version 2) and r1: amount differs by 0.08 CNY, 0.03 CNY beyond its tolerance of 0.05 CNY
rule: rule by attribute (pass 7, version 2) and r1: attributes.til is NULL, source status NULL does not go with NULL, amount differs by 0.08 CNY
history: opened at TIME by postgres', 'two amounts of one order');
SELECT is(explained('l2', 'candidate'),
  'trade book: payment r2, 20.01 CNY, on D: another match key, another order key, amount differs by 0.01 CNY; it takes amount within 0.01 or 0.05 percent', 'a candidate of another order, by its amount');
SELECT is(explained('l2', 'rule'),
  'rule channel_ref (pass 1, version 2) and r2: channel_ref is NULL, amount differs by 0.01 CNY
rule match_key (pass 2, version 2) and r2: match_key differs, amount differs by 0.01 CNY
rule carried (pass 3, version 2) and r2: neither channel_ref nor match_key is equal, amount differs by 0.01 CNY
rule net_order (pass 4, version 2) and r2: order_key differs, amount differs by 0.01 CNY (these two alone; the rule adds up all entries of a block)
rule by order (pass 5, version 2) and r2: order_key differs
rule near (pass 6, version 2) and r2: it suggests l2 with r2, suggestion ID
rule by attribute (pass 7, version 2) and r2: attributes.til is NULL, source status NULL does not go with NULL, amount differs by 0.01 CNY, held by suggestion ID of rule near', 'which a rule suggests');
SELECT is(explained('l2', 'suggestion'),
  'rule near (pass 6, version 2) suggests l2 with r2, residual 0.01 CNY, suggestion ID; nobody has decided yet', 'and nobody has decided');
SELECT is(explained('l3', 'rule'),
  'rule channel_ref (pass 1, version 2) and r3: channel_ref is NULL, amount differs by 0.02 CNY
rule match_key (pass 2, version 2) and r3: match_key differs, amount differs by 0.02 CNY
rule carried (pass 3, version 2) and r3: neither channel_ref nor match_key is equal, amount differs by 0.02 CNY
rule net_order (pass 4, version 2) and r3: order_key differs, amount differs by 0.02 CNY (these two alone; the rule adds up all entries of a block)
rule by order (pass 5, version 2) and r3: order_key differs
rule near (pass 6, version 2) and r3: it has equally good answers, suggestion ID
rule by attribute (pass 7, version 2) and r3: attributes.til is NULL, source status NULL does not go with NULL, amount differs by 0.02 CNY', 'a tie');
SELECT is(explained('l5', 'candidate'),
  'trade book: refund r5, 50.00 CNY, on D+1: another match key, another order key, another kind, occurred at 26 hours later on the right, business date 1 day later on the right; it takes business_date up to 1 day later, occurred_at up to 26 hours later', 'another kind, another day');
SELECT is(explained('r5', 'candidate'),
  'internal book: payment l5, 50.00 CNY, on D: another match key, another order key, another kind, occurred at 26 hours later on the right, business date 1 day later on the right; it takes business_date up to 1 day later, occurred_at up to 26 hours later', 'seen from the other side');
SELECT is(explained('r5', 'rule'),
  'rule channel_ref (pass 1, version 2) and l5: channel_ref is NULL, recon_date differs, kind differs
rule match_key (pass 2, version 2) and l5: match_key differs, recon_date differs, kind differs
rule carried (pass 3, version 2) and l5: kind differs, neither channel_ref nor match_key is equal
rule net_order (pass 4, version 2) and l5: order_key differs
rule by order (pass 5, version 2) and l5: order_key differs
rule near (pass 6, version 2) and l5: kind differs, kinds payment and refund are not among its kinds
rule by attribute (pass 7, version 2) and l5: attributes.til is NULL, source status NULL does not go with NULL', 'which no rule takes');
SELECT is(explained('l7 again', 'candidate'),
  'trade book: payment o7, 70.04 CNY, on D: amount differs by 0.04 CNY, occurred at 1 day earlier on the right, business date 1 day earlier on the right, matched already with l7; it takes amount within 0.04 or 0.0572 percent, business_date up to 1 day earlier, occurred_at up to 1 day earlier', 'a candidate that is matched already, and says with what');
SELECT is(explained('l7 again', 'rule'),
  'rule channel_ref (pass 1, version 2) and r7: channel_ref is NULL, recon_date differs, amount differs by 0.04 CNY, r7 is matched already
rule match_key (pass 2, version 2) and r7: recon_date differs, amount differs by 0.04 CNY, r7 is matched already
rule carried (pass 3, version 2) and r7: amount differs by 0.04 CNY, r7 is matched already
rule net_order (pass 4, version 2) and r7: amount differs by 0.04 CNY (these two alone; the rule adds up all entries of a block), r7 is matched already
rule by order (pass 5, version 2) and r7: business_date is 1 day outside its window, r7 is matched already
rule near (pass 6, version 2) and r7: occurred_at is 23 hours outside its window, r7 is matched already
rule by attribute (pass 7, version 2) and r7: attributes.til is NULL, source status NULL does not go with NULL, amount differs by 0.04 CNY, r7 is matched already', 'so that no rule takes it');
SELECT is(explained('l8', 'rule'),
  'rule channel_ref (pass 1, version 2) and r8: channel_ref is NULL, recon_date differs, amount differs by 1.00 CNY
rule match_key (pass 2, version 2) and r8: match_key differs, recon_date differs, amount differs by 1.00 CNY
rule carried (pass 3, version 2) and r8: neither channel_ref nor match_key is equal, amount differs by 1.00 CNY
rule net_order (pass 4, version 2) and r8: order_key differs, amount differs by 1.00 CNY (these two alone; the rule adds up all entries of a block)
rule by order (pass 5, version 2) and r8: order_key differs, amount differs by 1.00 CNY, 0.95 CNY beyond its tolerance of 0.05 CNY
rule near (pass 6, version 2) and r8: amount differs by 1.00 CNY, 0.95 CNY beyond its tolerance of 0.05 CNY
rule by attribute (pass 7, version 2) and r8: source status PAID does not go with WAIT, amount differs by 1.00 CNY', 'an attribute, a status that does not go with another');
SELECT is(explained('r9', 'candidate'),
  'none: the other book has no entry of its channel_ref, match_key or order_key, and no open one of its currency within 7 days and a tenth of its amount', 'nothing near');
SELECT is(explained('r9', 'rule'),
  NULL, 'so no rule to speak of');
SELECT is((SELECT told(jsonb_build_object('predicates', details -> 'predicates', 'tolerance', details -> 'tolerance')::text) FROM reconcile.explain(did('l5')) WHERE topic = 'candidate'),
  '{"tolerance": {"window": [{"on": "business_date", "after": "1 day"}, {"on": "occurred_at", "after": "26 hours"}]}, "predicates": [{"left": null, "holds": false, "right": null, "predicate": "channel_ref"}, {"left": "l5", "holds": false, "right": "r5", "predicate": "match_key"}, {"left": "l5", "holds": false, "right": "r5", "predicate": "order_key"}, {"left": "payment", "holds": false, "right": "refund", "predicate": "kind"}, {"left": "CNY", "holds": true, "right": "CNY", "predicate": "currency"}, {"left": 50, "holds": true, "right": 50, "predicate": "amount", "difference": 0}, {"left": "DT10:00:00+00:00", "holds": false, "right": "D+1T12:00:00+00:00", "seconds": 93600, "predicate": "occurred_at"}, {"days": 1, "left": "D", "holds": false, "right": "D+1", "predicate": "business_date"}, {"left": "success", "holds": true, "right": "success", "predicate": "status"}, {"holds": true, "verdict": "unmatched", "predicate": "unmatched"}]}', 'what was compared, as data');
SELECT is((SELECT told((details -> 'predicates')::text) FROM reconcile.explain(did('r5')) WHERE topic = 'rule' AND explanation LIKE '%by order%'),
  '[{"left": "l5", "holds": false, "right": "r5", "reason": "order_key differs", "predicate": "order_key"}, {"left": "CNY", "holds": true, "right": "CNY", "predicate": "currency"}, {"left": 50, "holds": true, "right": 50, "predicate": "amount"}, {"left": "D", "holds": true, "right": "D+1", "predicate": "window"}]', 'and of a rule');
SELECT is(became(1, 'l1'),
  'unmatched: open since D, due on D', 'an entry that is open');
SELECT is(became(1, 'l2'),
  'suggested: open since D, due on D; rule near (pass 6, version 2) suggests l2 with r2, residual 0.01 CNY, suggestion ID; nobody has decided yet', 'one that is suggested');
SELECT is(became(2, 'r4'),
  'ambiguous: open since D, due on D; rule near (pass 6, version 2) has equally good answers among 1 left and 2 right entries, suggestion ID', 'one that is tied');
SELECT is(became(2, 'r7'),
  'matched: pass 5, rule by order version 2, run of D, residual 0.04; tolerance: amount within 0.05, business_date up to 1 day later; amount differs by 0.04 CNY', 'one that a rule matched');
SELECT is((SELECT concat_ws(' ', details ->> 'rule', details ->> 'pass', details ->> 'version', details ->> 'residual', details -> 'tolerance' -> 'amount', jsonb_array_length(details -> 'compared' -> 0 -> 'predicates'), details -> 'compared' -> 0 -> 'predicates' -> 5) FROM reconcile.match_of(2, 'r7')),
  'by order 5 2 0.04 {"within": "0.05"} 9 {"left": 70, "holds": false, "right": 70.04, "predicate": "amount", "difference": 0.04}', 'with what was compared');
SELECT is((SELECT string_agg(topic || ': ' || told(explanation), E'\n' ORDER BY step) FROM reconcile.explain_suggestion(sid('l2'))),
  'verdict: rule near (pass 6, version 2) suggests l2 with r2, residual 0.01 CNY, suggestion ID; nobody has decided yet
left entry: internal book, 20, source key l2
right entry: trade book, 20.01, source key r2
candidate: l2 against trade book: payment r2, 20.01 CNY, on D: another match key, another order key, amount differs by 0.01 CNY; it takes amount within 0.01 or 0.05 percent
rule: rule near (pass 6, version 2): tolerance amount within 0.05 or 0.1 percent but at most 0.04, occurred_at up to 1 hour earlier and 2 days later', 'a suggestion');
SELECT is((SELECT string_agg(topic || ': ' || told(explanation), E'\n' ORDER BY step) FROM reconcile.explain_suggestion(sid('l3'))),
  'verdict: rule near (pass 6, version 2) has equally good answers among 1 left and 2 right entries, suggestion ID
left entry: internal book, 30, source key l3
right entry: trade book, 30.02, source key r3
right entry: trade book, 30.02, source key r4
candidate: l3 against trade book: payment r3, 30.02 CNY, on D: another match key, another order key, amount differs by 0.02 CNY; it takes amount within 0.02 or 0.0667 percent
candidate: l3 against trade book: payment r4, 30.02 CNY, on D: another match key, another order key, amount differs by 0.02 CNY; it takes amount within 0.02 or 0.0667 percent
rule: rule near (pass 6, version 2): tolerance amount within 0.05 or 0.1 percent but at most 0.04, occurred_at up to 1 hour earlier and 2 days later', 'a tie explained');
SELECT reconcile.confirm_match(sid('l2'), 'same sender'), reconcile.reject_match(sid('l6'), 'another customer') \g /dev/null
SELECT is(became(1, 'l2'),
  'suggested: open since D, due on D; rule near (pass 6, version 2) suggests l2 with r2, residual 0.01 CNY, suggestion ID; confirmed by "postgres": same sender', 'a suggestion that is confirmed, before a run');
SELECT is(became(1, 'l6'),
  'unmatched: open since D, due on D', 'one that is rejected holds nothing');
SELECT is((SELECT told(explanation) FROM reconcile.explain_suggestion(sid('l6')) WHERE topic = 'decision'),
  'rejected at TIME by "postgres": another customer, from D on', 'and says by whom');
SELECT say('trade', 'late', '10', :'d1', 'late', 'ref'), say('internal', 'late', '10', :'d1', 'late', 'ref2') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d') \g /dev/null
SELECT is(became(1, 'l2'),
  'matched: pass 0, rule near version 2, run of D, residual 0.01; tolerance: amount within 0.05 or 0.1 percent but at most 0.04, occurred_at up to 1 hour earlier and 2 days later; confirmed by "postgres": same sender; another match key, another order key, amount differs by 0.01 CNY', 'after a run it is matched');
SELECT is(explained('l6', 'rule'),
  'rule channel_ref (pass 1, version 2) and r6: channel_ref is NULL, amount differs by 0.03 CNY
rule match_key (pass 2, version 2) and r6: match_key differs, amount differs by 0.03 CNY
rule carried (pass 3, version 2) and r6: neither channel_ref nor match_key is equal, amount differs by 0.03 CNY
rule net_order (pass 4, version 2) and r6: order_key differs, amount differs by 0.03 CNY (these two alone; the rule adds up all entries of a block)
rule by order (pass 5, version 2) and r6: order_key differs, somebody rejected the two as a match: "postgres", another customer
rule near (pass 6, version 2) and r6: somebody rejected the two as a match: "postgres", another customer
rule by attribute (pass 7, version 2) and r6: attributes.til is NULL, source status NULL does not go with NULL, amount differs by 0.03 CNY, somebody rejected the two as a match: "postgres", another customer', 'a rejected pair is not suggested again');
SELECT is(became(1, 'late'),
  'matched: pass 2, rule match_key version 2, run of D+1, residual 0.00; another channel ref', 'a match whose references differ');
SELECT is((SELECT string_agg(topic || ': ' || told(explanation), E'\n' ORDER BY step) FROM reconcile.explain(did('late'))),
  'verdict: payment late matches over 10.00 CNY, yet the internal book calls it ref2 and the trade book ref.
left entry: internal book, success, 10, source key late
right entry: trade book, success, 10, source key late
candidate: trade book: payment late, 10.00 CNY, on D+1: another channel ref, matched with this one
history: opened at TIME by postgres', 'nothing stands between what is matched');
SELECT is(refusal('SELECT * FROM reconcile.explain(NULL)'),
  '42704 | discrepancy NULL does not exist | Look for its id in reconcile.open_discrepancy.', 'no discrepancy');
SELECT is(refusal('SELECT * FROM reconcile.explain_suggestion(99999)'),
  '42704 | suggestion 99999 does not exist | Either it never did, or a later run does not suggest it any more. | Look for its id in reconcile.open_suggestion.', 'no suggestion');
SELECT is(refusal('SELECT * FROM reconcile.match_of(1, ''nobody'')'),
  '42704 | source 1 has no entry "nobody" | Source keys are in reconcile.entry; find one by order_key.', 'no entry');
SELECT is((reconcile.tolerance_between('{"amount": 3, "currency": "CNY"}', '{"amount": 3.01, "currency": "CNY"}'))::text,
  '{"amount": {"within": "0.01", "percent": "0.3334"}}', 'a percentage is rounded up');
SELECT is((reconcile.tolerance_between('{"amount": 3, "currency": "CNY"}', '{"amount": -3, "currency": "CNY"}'))::text,
  '{}', 'no tolerance makes a payment a refund');
SELECT is((SELECT string_agg(line, E'\n') FROM regexp_split_to_table(reconcile.comparison_sql('pay', :'d'), E'\n') line WHERE line LIKE '%left out:%it matches%'),
  '-- Pass 5, pair by order, is left out: what it matches is shown as what it is without it.
-- Pass 6, pair near, is left out: what it matches is shown as what it is without it.
-- Pass 7, pair by attribute, is left out: what it matches is shown as what it is without it.', 'comparison_sql says which passes it has nothing for');
SELECT is((SELECT r.rules::text FROM reconcile.run('pay', :'d', method => 'sql', dry_run => true) r),
  '{"leg": 1, "passes": {"1": {"rule": "channel_ref", "version": 2}, "2": {"rule": "match_key", "version": 2}, "3": {"rule": "carried", "version": 2}, "4": {"rule": "net_order", "version": 2}, "5": {"rule": "by order", "version": 2}, "6": {"rule": "near", "version": 2}, "7": {"rule": "by attribute", "version": 2}}, "left_out": ["by order", "near", "by attribute"]}', 'and so does a run by method sql');
SET ROLE reconcile_reader;
SELECT is(explained('l1', 'candidate'),
  'trade book: payment o1, 10.08 CNY, on D: amount differs by 0.08 CNY; it takes amount within 0.08 or 0.8 percent', 'a reader is told, too');
SELECT is((SELECT string_agg(topic, ',' ORDER BY step) FROM reconcile.explain_suggestion(sid('l3'))),
  'verdict,left entry,right entry,right entry,candidate,candidate,rule', 'of suggestions as well');
RESET ROLE;
INSERT INTO reconcile.account (channel, account) VALUES ('pay', 'b');
CREATE ROLE test_explain_reader;
GRANT reconcile_reader TO test_explain_reader;
-- What a restricted reader is told, of what it may see: the same as everybody.
CREATE FUNCTION public.all_told(p_id bigint) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(concat_ws('|', x.step, x.topic, x.explanation, x.details), E'\n' ORDER BY x.step) FROM reconcile.explain(p_id) x $$;
CREATE FUNCTION public.all_near() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(n.x ->> 'source_key', ',' ORDER BY n.ordinality)
  FROM reconcile.nearest_candidates('pay', 'a', 'internal-trade', 'trade', (SELECT o.entry FROM reconcile.open_item o WHERE o.book = 'internal' ORDER BY o.source_key LIMIT 1)) WITH ORDINALITY AS n (x, ordinality)
$$;
SELECT all_told(did('l1')) AS told, all_near() AS near, did('l1') AS shown \gset
INSERT INTO reconcile.access VALUES ('test_explain_reader', 'pay', 'a');
SET ROLE test_explain_reader;
SELECT is(all_told(:shown), :'told', 'a reader of this account alone is told what everybody is told');
SELECT is(all_near(), :'near', 'of the same candidates');
RESET ROLE;
DELETE FROM reconcile.access;
SELECT sid('l3') AS hidden, did('l1') AS hidden_too \gset
INSERT INTO reconcile.access VALUES ('test_explain_reader', 'pay', 'b');
SET ROLE test_explain_reader;
SELECT is(left(refusal(format('SELECT * FROM reconcile.explain_suggestion(%s)', :hidden)), 5) || ' ' || left(refusal(format('SELECT * FROM reconcile.explain(%s)', :hidden_too)), 5),
  '42704 42704', 'but not who does not see the account');
SELECT is((SELECT count(*)::text FROM reconcile.nearest_candidates('pay', 'a', 'internal-trade', 'trade', '{"order_key": "o1", "amount": 10, "currency": "CNY", "business_date": "2026-01-01"}')),
  '0', 'by no side door');
RESET ROLE;
DELETE FROM reconcile.access;
DROP ROLE test_explain_reader;
SELECT * FROM finish();
