-- Suggestions, what people decide of them, and what runs make of that.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(44);
\ir rules/world.sql
SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2, current_date - 30 AS live \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => :'live', lags => '{"left": {"*": 0}, "right": {"*": 0}}') \g /dev/null
\set near '{"rule": "pair", "name": "near", "key": ["kind"], "amount": {"within": "0.05"}, "window": {"on": "business_date", "before": "1 day", "after": "1 day"}}'
-- The suggestion that has an entry.
CREATE FUNCTION public.sid(p_key text) RETURNS bigint LANGUAGE sql AS $$
  SELECT s.suggestion_id FROM reconcile.match_suggestion s
  WHERE EXISTS (SELECT FROM jsonb_array_elements(s.left_entries || s.right_entries) e WHERE e ->> 'source_key' = p_key)
  ORDER BY s.last_date DESC, s.suggestion_id DESC LIMIT 1
$$;
CREATE FUNCTION public.again(p_day date) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', r.state, r.matched_pairs, r.discrepancies_open, r.proof_difference), ',' ORDER BY r.business_date) FROM reconcile.run('pay', p_day) r
$$;

SELECT say('internal', 'l1', '10', :'d'), say('trade', 'r1', '10.02', :'d'), say('internal', 'l2', '20', :'d'), say('trade', 'r2', '19.99', :'d') \g /dev/null
SELECT is(run_by(:'near', :'d'), ' | suggested near:l1=r1 0.02, suggested near:l2=r2 -0.01', 'given two suggestions');
SELECT is((SELECT count(*) FROM reconcile.discrepancy WHERE state = 'open'), 4::bigint, 'their entries are in discrepancies');
SELECT sid('l1') AS s1, sid('l2') AS s2 \gset
SELECT is((SELECT concat_ws(' ', business_date = :'d'::date, rule, outcome, residual, currency, tolerance ->> 'amount', left_count, right_count, left_entries -> 0 ->> 'source_key', right_entries -> 0 ->> 'amount')
           FROM reconcile.open_suggestion WHERE suggestion_id = :s1), 't near suggested 0.02 CNY {"within": "0.05"} 1 1 l1 10.02', 'a suggestion tells what it would match');
SELECT again(:'d') \g /dev/null
SELECT is(sid('l1'), :s1::bigint, 'a re-run keeps its id');
SELECT again(:'d1') \g /dev/null
SELECT is((SELECT concat_ws(' ', suggestion_id = :s1, business_date = :'d'::date, last_date = :'d1'::date) FROM reconcile.open_suggestion WHERE rule = 'near' AND residual > 0), 't t t', 'and so does the next day');

-- Refusals
SELECT is(refusal('SELECT reconcile.confirm_match(99999)'), '42704 | suggestion 99999 does not exist | Either it never did, or a later run does not suggest it any more. | Look for its id in reconcile.open_suggestion.', 'no such suggestion');
SELECT is(refusal('SELECT reconcile.confirm_match(NULL)'), '42704 | suggestion NULL does not exist | Either it never did, or a later run does not suggest it any more. | Look for its id in reconcile.open_suggestion.', 'none at all');
SELECT is(refusal(format('SELECT reconcile.reject_match(%s, '''')', :s1)), '22023 | rejecting a match needs a reason | Say why, for the audit.', 'no reason');

-- Confirm
SELECT reconcile.confirm_match(:s1, 'same sender') AS decision \gset
SELECT is((SELECT concat_ws(' ', decision, recon_date = :'d'::date, residual, comment, decided_by = session_user) FROM reconcile.match_decision WHERE decision_id = :decision), 'confirmed t 0.02 same sender t', 'a decision is recorded');
SELECT is((SELECT count(*) FROM reconcile.open_suggestion), 1::bigint, 'what is decided is open no longer');
SELECT is(regexp_replace(refusal(format('SELECT reconcile.confirm_match(%s)', :s1)), ' at [^.]*\.\d+\S*', ''), format('55000 | suggestion %s is confirmed already | By "postgres" | reconcile.reject_match() takes that back.', :s1), 'twice is once too often');
SELECT is(next_day(), :'d'::date, 'the suggestion''s day runs again');
SELECT is((SELECT o FROM unnest(reconcile.sign_off_obstacles('pay', 'a', :'d', 'carol')) o WHERE o LIKE '%suggestion%'),
  format('leg internal-trade: suggestion %s was confirmed since run %s', :s1, (SELECT run_id FROM reconcile.run WHERE current AND business_date = :'d')), 'and is not signed off before');
SELECT is(again(:'d'), 'succeeded 1 2 0.00,succeeded 0 2 0.00', 'which matches it');
SELECT is((SELECT concat_ws(' ', pass, rule, residual, tolerance ->> 'amount', decision_id = :decision) FROM reconcile.match_group), '0 near 0.02 {"within": "0.05"} t', 'before all passes, and says whose decision it was');
SELECT is(next_day(), NULL, 'once');
SELECT string_agg(digest, ',' ORDER BY business_date) AS digests, max(matches()) AS matched FROM reconcile.run WHERE current \gset
SELECT again(:'d') \g /dev/null
SELECT is((SELECT string_agg(digest, ',' ORDER BY business_date) FROM reconcile.run WHERE current) || matches(), :'digests' || :'matched', 'a re-run changes nothing');

-- Take back
SELECT reconcile.reject_match(:s1, 'another customer') \g /dev/null
SELECT is(next_day(), :'d'::date, 'a confirmation that is taken back makes its day run again');
SELECT is(again(:'d'), 'succeeded 0 4 0.00,succeeded 0 4 0.00', 'which opens the entries again');
SELECT is(suggestions(), 'suggested near:l2=r2 -0.01', 'what was rejected is not suggested again');
SELECT is(regexp_replace(refusal(format('SELECT reconcile.reject_match(%s, ''x'')', :s1)), ' at [^.]*\.\d+\S*', ''), format('55000 | suggestion %s is rejected already | By "postgres" | reconcile.confirm_match() takes that back.', :s1), 'nor rejected again');
SELECT reconcile.confirm_match(:s1) \g /dev/null
SELECT is(again(:'d'), 'succeeded 1 2 0.00,succeeded 0 2 0.00', 'it can be confirmed after all');

-- An amount that is corrected is not what was confirmed; an exact counterpart that comes late does not take a confirmed entry.
SELECT say('trade', 'exact', '10', :'d', 'l1') \g /dev/null
SELECT is(again(:'d'), 'succeeded 1 3 0.00,succeeded 0 3 0.00', 'a confirmed entry is matched already');
UPDATE reconcile.entry SET amount = 10.01 WHERE source_key = 'r1';
SELECT is(again(:'d'), 'succeeded 1 3 0.00,succeeded 0 3 0.00', 'another amount is not what was confirmed');
SELECT is(matches(), NULL, 'so the exact one is matched');
SELECT is(suggestions(), 'suggested near:l2=r2 -0.01', 'and nothing is left to suggest for it');
DELETE FROM reconcile.entry WHERE source_key = 'exact';
UPDATE reconcile.entry SET amount = 10.02 WHERE source_key = 'r1';
SELECT is(again(:'d'), 'succeeded 1 2 0.00,succeeded 0 2 0.00', 'when it is what it was, it is matched again');

-- Signed-off days
UPDATE reconcile.discrepancy SET owner = 'postgres';
CREATE ROLE test_rules_signer SUPERUSER;
SET SESSION AUTHORIZATION test_rules_signer;
SELECT reconcile.sign_off('pay', 'a', :'d') AS close_id \gset
RESET SESSION AUTHORIZATION;
SELECT is((SELECT f -> 'confirmed' IS NOT NULL AND f ->> 'rule' = 'near' AND f ->> 'residual' = '0.02' AND f ->> 'confirmed_by' = 'postgres' FROM reconcile.day_close, jsonb_array_elements(forced) f WHERE close_id = :close_id),
  true, 'sign-off lists what was matched by confirmation');
SELECT is(refusal(format('SELECT reconcile.reject_match(%s, ''too late'')', :s1)),
  format('55000 | suggestion %s cannot be rejected: day %s, which matched it, is signed off | Account "a" of channel "pay" is signed off through %s. | Reopen the days with reconcile.reopen_day(), the last one first.', :s1, :'d', :'d'), 'what is signed off stays');
SELECT reconcile.confirm_match(:s2) \g /dev/null
SELECT is((SELECT recon_date FROM reconcile.match_decision WHERE suggestion_id = :s2), :'d1'::date, 'what is confirmed later counts for the next open day');
SELECT is(again(:'d1'), 'succeeded 1 0 0.00', 'which closes the carried entries');
SELECT is((SELECT string_agg(concat_ws(' ', business_date - :'d'::date, pass, residual), ',' ORDER BY business_date) FROM reconcile.match_group), '0 0 0.02,1 0 -0.01', 'on its own day');

-- Ties and what was given up
UPDATE reconcile.account SET signed_through = NULL;
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '10', :'d'), say('trade', 'r1', '10.02', :'d'), say('trade', 'r2', '10.02', :'d') \g /dev/null
SELECT run_by(:'near', :'d') \g /dev/null
SELECT is(refusal(format('SELECT reconcile.confirm_match(%s)', sid('l1'))),
  format('55000 | suggestion %s cannot be confirmed: its outcome is ambiguous | Rule "near" has several answers for these entries, equally good. | Make the rule tell them apart: a longer key, a narrower window or amount.', sid('l1')), 'a tie cannot be confirmed');

-- What stands no longer
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '10', :'d'), say('trade', 'r1', '10.02', :'d') \g /dev/null
SELECT run_by(:'near', :'d') \g /dev/null
SELECT sid('l1') AS old \gset
SELECT say('trade', 'r2', '10.01', :'d1') \g /dev/null
SELECT again(:'d1') \g /dev/null
SELECT is(suggestions(), 'suggested near:l1=r2 0.01', 'given a better candidate on the next day');
SELECT is(refusal(format('SELECT reconcile.confirm_match(%s)', :old)),
  format('55000 | suggestion %s stands no longer | It was last made on %s; later days do not make it. | Look in reconcile.open_suggestion for what is suggested now.', :old, :'d'), 'the earlier suggestion cannot be confirmed');
SELECT reconcile.confirm_match(sid('r2')) \g /dev/null
SELECT say('internal', 'l2', '10.03', :'d1') \g /dev/null
SELECT is(again(:'d1'), 'succeeded 1 2 0.00', 'the better one is matched');
SELECT is(suggestions(), 'suggested near:l2=r1 -0.01', 'and what is left is suggested anew');

-- Two confirmed suggestions cannot share an entry.
SELECT forget() \g /dev/null
SELECT say('internal', 'l1', '10', :'d'), say('trade', 'r1', '10.02', :'d') \g /dev/null
SELECT run_by(:'near', :'d') \g /dev/null
SELECT sid('l1') AS s1 \gset
INSERT INTO reconcile.match_suggestion (channel, account, leg, business_date, last_date, pass, rule, rule_version, outcome, currency, residual, tolerance, left_count, right_count, left_entries, right_entries, members, run_id)
SELECT channel, account, leg, business_date, last_date, pass, rule, rule_version, outcome, currency, residual, tolerance, 1, 1, left_entries, jsonb_set(right_entries, '{0,source_key}', '"r9"'),
       reconcile.member_hash(left_entries, jsonb_set(right_entries, '{0,source_key}', '"r9"')), run_id FROM reconcile.match_suggestion WHERE suggestion_id = :s1;
SELECT sid('r9') AS s9 \gset
SELECT reconcile.confirm_match(:s1) \g /dev/null
SELECT is(refusal(format('SELECT reconcile.confirm_match(%s)', :s9)),
  format('55000 | suggestion %s shares an entry with suggestion %s, which is confirmed | Entry "l1" of the internal book; "postgres" confirmed that match. | An entry is in one match at most: SELECT reconcile.reject_match(%s, ...) first.', :s9, :s1, :s1),
  'an entry is confirmed once');
-- Were it confirmed all the same, the first would win.
INSERT INTO reconcile.match_decision (channel, account, leg, recon_date, decision, suggestion_id, rule, rule_version, currency, residual, left_entries, right_entries, members)
SELECT channel, account, leg, business_date, 'confirmed', suggestion_id, rule, rule_version, currency, residual, left_entries, right_entries, members FROM reconcile.match_suggestion WHERE suggestion_id = :s9;
SELECT say('trade', 'r9', '10.02', :'d') \g /dev/null
SELECT again(:'d') \g /dev/null
SELECT is(matches(), 'near:l1=r1 0.02', 'and matched once');

-- Who may
INSERT INTO reconcile.account (channel, account) VALUES ('pay', 'b');
CREATE ROLE test_rules_operator;
GRANT reconcile_operator TO test_rules_operator;
INSERT INTO reconcile.access VALUES ('test_rules_operator', 'pay', 'b');
SET ROLE test_rules_operator;
SELECT is((SELECT count(*) FROM reconcile.match_suggestion) + (SELECT count(*) FROM reconcile.match_decision) + (SELECT count(*) FROM reconcile.open_suggestion), 0::bigint, 'who does not see the account sees none of it');
SELECT is(refusal(format('SELECT reconcile.reject_match(%s, ''x'')', :s1)),
  '42501 | permission denied for account "a" of channel "pay" | Role "test_rules_operator" is restricted by reconcile.access. | An administrator can add the account to reconcile.access.', 'nor decides');
SELECT is(refusal(format('SELECT reconcile.decide_match(%s, ''confirmed'', NULL)', :s1)), '42501 | permission denied for function decide_match', 'by no side door');
SELECT is(refusal('DELETE FROM reconcile.match_decision'), '42501 | permission denied for table match_decision', 'and deletes nothing');
SET ROLE reconcile_reader;
SELECT is(refusal('SELECT reconcile.confirm_match(1)'), '42501 | permission denied for function confirm_match', 'a reader reads');
RESET ROLE;
DELETE FROM reconcile.access;
DROP OWNED BY test_rules_operator;
DROP ROLE test_rules_operator;
DROP ROLE test_rules_signer;
SELECT * FROM finish();
