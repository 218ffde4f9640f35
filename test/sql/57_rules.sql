-- Match rules as data: what a leg is matched by, from which day on, and who may say so.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(27);
\ir rules/world.sql
SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2, current_date - 30 AS live \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => :'live');

SELECT is(rules_of(1), '1 channel_ref channel_ref -infinity, 2 match_key match_key -infinity, 3 carried carried -infinity, 4 net_order net_order -infinity',
  'a channel starts with the four exact passes');

-- Refusals, word for word
SELECT is(refusal($$SELECT reconcile.set_match_rules('pya', 'internal-trade', '[]')$$),
  '42704 | channel "pya" does not exist | Create it with reconcile.create_channel(), or look for its name in reconcile.channel.', 'a channel that does not exist');
SELECT is(refusal($$SELECT reconcile.set_match_rules('pay', 'moon', '[{"rule": "match_key"}]')$$),
  '42704 | leg "moon" of channel "pay" does not exist | The legs of a channel are listed in reconcile.leg.', 'a leg that does not exist');
SELECT is(refusal($$SELECT reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "carried"}]')$$),
  '22023 | the set of match rules is not valid | at $: no exact pass: expected a rule "channel_ref" or "match_key" | docs/match-rules.md describes every word, with examples.', 'no exact pass');
SELECT is(refusal($$SELECT reconcile.set_match_rules('pay', 'internal-trade', NULL)$$),
  '22023 | the set of match rules is not valid | at $: expected an array of rules, found null | docs/match-rules.md describes every word, with examples.', 'no rules');
SELECT is(refusal($$SELECT reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "match_key"}, {"rule": "pair", "name": "near", "key": ["order_key"], "amount": {"within": 0.05}}]')$$),
  '22023 | match rule "near" is not valid | at $[1].amount.within: expected a text such as "0.05" (a JSON number with a fraction would pass through floating point), found 0.05 | docs/match-rules.md describes every word, with examples.',
  'a tolerance that is no text');
SELECT is((SELECT count(*) FROM reconcile.match_rule), 4::bigint, 'nothing refused left a rule behind');

-- Versions and dates
SELECT is(reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "match_key"}]'), 2, 'a set is a version');
SELECT is(rules_of(2), format('1 match_key match_key %s', :'live'), 'without a date it is for the first open day on');
SELECT is(reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"}]', :'d1'), 3, 'another one');
SELECT is(reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "channel_ref"}]', :'d1'), 4, 'and one for the same day');
SELECT is((SELECT array_agg(reconcile.rule_set('pay', 'internal-trade', day::date) ORDER BY day)
           FROM unnest(ARRAY[:'live'::date - 1, :'live', :'d', :'d1', :'d2']) AS day), '{1,2,2,4,4}',
  'a day uses the set with the latest date not after it, of several the newest');

-- Runs
SELECT say('internal', 'x', '10', :'d', p_ref => 'a'), say('trade', 'x', '10', :'d', p_ref => 'b') \g /dev/null
SELECT is((SELECT r.state || ' ' || r.matched_pairs || ' ' || r.rules::text FROM reconcile.run('pay', :'d') r),
  'succeeded 1 {"leg": 1, "passes": {"1": {"rule": "match_key", "version": 2}}}', 'a run says which rules it went by');
SELECT is((SELECT r.matched_pairs || ' ' || r.rules::text FROM reconcile.run('pay', :'d1') r),
  '0 {"leg": 1, "passes": {"1": {"rule": "channel_ref", "version": 4}}}', 'another day goes by others');
SELECT is(next_day(), NULL, 'nothing is to be run');
SELECT is(reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "channel_ref"}]', :'d'), 5, 'new rules for days that have been run');
SELECT is(next_day(), :'d'::date, 'make them run again');
SELECT is((SELECT o FROM unnest(reconcile.sign_off_obstacles('pay', 'a', :'d', 'carol')) o WHERE o LIKE '%rules%'),
  format('leg internal-trade: match rules version 5 were set since run %s', (SELECT run_id FROM reconcile.run WHERE current AND business_date = :'d')),
  'and before that they are not signed off');
SELECT is((SELECT string_agg(concat_ws(' ', r.business_date - :'d'::date, r.matched_pairs, r.proof_difference), ',' ORDER BY r.business_date)
           FROM reconcile.run('pay', :'d') r), '0 0 0.00,1 0 0.00', 'the day, and the one after it');
SELECT is(next_day(), NULL, 'once');
SELECT reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "match_key"}]', :'d') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d') \g /dev/null

-- Signed-off days keep their rules
UPDATE reconcile.account SET signed_through = :'d';
SELECT is(refusal(format('SELECT reconcile.set_match_rules(''pay'', ''internal-trade'', ''[{"rule": "match_key"}]'', %L)', :'d')),
  format('55000 | match rules cannot change on %s: that day is signed off | Account "a" of channel "pay" is signed off through %s. | Set them from %s on, or reopen the days with reconcile.reopen_day().', :'d', :'d', :'d1'),
  'a day that is signed off keeps its rules');
SELECT reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "match_key"}]') \g /dev/null
SELECT is((SELECT max(valid_from) FROM reconcile.match_rule WHERE version = 7), :'d1'::date, 'without a date the first open day is taken');

-- A set that no day would use
SELECT reconcile.create_channel('new', 'UTC', 'CNY', account => 'a', first_date => :'live') \g /dev/null
SELECT reconcile.set_match_rules('new', 'internal-trade', '[{"rule": "match_key"}]', :'live') AS standing \gset
SELECT is(refusal(format($$SELECT reconcile.set_match_rules('new', 'internal-trade', '[{"rule": "channel_ref"}]', %L)$$, :'live'::date - 5)),
  format('22023 | no day would be matched by rules that are valid from %s | Version %s of leg "internal-trade" is valid from %s, and the first day of channel "new" is no earlier. | Give valid_from => ''%s'' to replace that version.',
         :'live'::date - 5, :standing, :'live', :'live'), 'a set that a later one hides wholly');
SELECT is(reconcile.set_match_rules('new', 'internal-trade', '[{"rule": "channel_ref"}]', :'live'), :standing + 1, 'one from the same day replaces it');
SELECT reconcile.set_match_rules('new', 'internal-trade', '[{"rule": "match_key"}]', :'d') \g /dev/null
SELECT is(reconcile.set_match_rules('new', 'internal-trade', '[{"rule": "match_key"}, {"rule": "carried"}]', :'live'::date + 1), :standing + 3, 'one that holds for some days is taken, and says until when');

-- Who may
CREATE ROLE test_rules_admin;
GRANT reconcile_admin TO test_rules_admin;
SELECT reconcile.create_channel('other', 'UTC', 'CNY') \g /dev/null
INSERT INTO reconcile.access VALUES ('test_rules_admin', 'other', NULL);
SET ROLE test_rules_admin;
SELECT is(refusal($$SELECT reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "match_key"}]')$$),
  '42501 | permission denied for channel "pay" | Role "test_rules_admin" is restricted by reconcile.access. | An administrator can add the account to reconcile.access.',
  'who does not see the channel does not set its rules');
SET ROLE reconcile_operator;
SELECT is(refusal($$SELECT reconcile.set_match_rules('pay', 'internal-trade', '[]')$$), '42501 | permission denied for function set_match_rules', 'nor an operator');
RESET ROLE;
DELETE FROM reconcile.access;
DROP OWNED BY test_rules_admin;
DROP ROLE test_rules_admin;
SELECT * FROM finish();
