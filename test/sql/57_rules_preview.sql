-- Proposed rules over history: what they gain and lose, and that nothing of it stays.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(15);
\ir rules/world.sql
SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2, current_date - 30 AS live \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => :'live') \g /dev/null
\set exact '{"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"}, {"rule": "net_order"}'
CREATE FUNCTION public.preview(p_rules text, p_from date, p_to date) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', p.business_date - (current_date - 10), p.change, p.rule, (SELECT string_agg(e ->> 'source_key', '+') FROM jsonb_array_elements(p.left_entries) e) || '='
                    || (SELECT string_agg(e ->> 'source_key', '+') FROM jsonb_array_elements(p.right_entries) e), p.residual, p.currency), ', ')
  FROM reconcile.preview_rules('pay', p_from, p_to, ('[' || p_rules || ']')::jsonb) p
$$;
CREATE FUNCTION public.everything() RETURNS text LANGUAGE sql AS $$
  SELECT md5(concat_ws('|', (SELECT string_agg(r::text, ',' ORDER BY run_id) FROM reconcile.run r), (SELECT string_agg(t::text, ',' ORDER BY run_id, currency) FROM reconcile.run_total t),
    (SELECT string_agg(d::text, ',' ORDER BY discrepancy_id) FROM reconcile.discrepancy d), (SELECT string_agg(e::text, ',' ORDER BY event_id) FROM reconcile.discrepancy_event e),
    (SELECT string_agg(o::text, ',' ORDER BY book, source_key) FROM reconcile.open_item o), (SELECT string_agg(g::text, ',' ORDER BY group_id) FROM reconcile.match_group g),
    (SELECT string_agg(i::text, ',' ORDER BY book, source_key) FROM reconcile.match_item i), (SELECT string_agg(s::text, ',' ORDER BY suggestion_id) FROM reconcile.match_suggestion s),
    (SELECT string_agg(m::text, ',' ORDER BY version, pass) FROM reconcile.match_rule m)))
$$;
SELECT say('internal', 'ok', '1', :'d'), say('trade', 'ok', '1', :'d'), say('internal', 'l1', '10', :'d', 'o1'), say('trade', 'r1', '10.02', :'d', 'o1'),
       say('internal', 'l2', '20', :'d', 'o2'), say('trade', 'r2', '20.04', :'d1', 'o2'), say('internal', 'l3', '5', :'d1', 'k3', p_ref => 't3'), say('trade', 'r3', '5', :'d1', 'x3', p_ref => 't3') \g /dev/null
SELECT run_by('{"rule": "pair", "name": "near", "key": ["order_key"], "amount": {"within": "0.02"}}', :'d') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d1') \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d2') \g /dev/null
SELECT is(matches(), 'channel_ref:l3=r3 0.00, near:l1=r1 0.02', 'given two days and their matches');
SELECT everything() AS before \gset
SELECT is(preview(:'exact', :'d', :'d2'), '0 lost near l1=r1 0.02 CNY', 'without the rule its match is lost');
SELECT is(preview(:'exact' || ', {"rule": "pair", "name": "wider", "key": ["order_key"], "amount": {"within": "0.05"}}', :'d', :'d2'), '1 gained wider l2=r2 0.04 CNY', 'a wider one gains a match with a carried entry; a match of the same entries by another rule is neither');
SELECT is(preview('{"rule": "match_key"}, {"rule": "pair", "name": "all", "key": ["kind"], "suggest": true}', :'d', :'d2'), '0 lost near l1=r1 0.02 CNY, 1 lost channel_ref l3=r3 0.00 CNY', 'another exact pass is compared pair by pair; what is only suggested is no gain');
SELECT is(preview('{"rule": "match_key"}, {"rule": "pair", "name": "refs", "key": ["channel_ref"]}, {"rule": "pair", "name": "near", "key": ["order_key"], "amount": {"within": "0.02"}}', :'d', :'d2'), NULL, 'the same matches by other rules are no difference');
SELECT is(preview(:'exact' || ', {"rule": "pair", "name": "near", "key": ["order_key"], "amount": {"within": "0.02"}}', :'d', :'d2'), NULL, 'nor are the same rules');
UPDATE reconcile.account SET signed_through = :'d1';
SELECT is(preview(:'exact', :'d', :'d1'), '0 lost near l1=r1 0.02 CNY', 'signed-off days are tried too');
UPDATE reconcile.account SET signed_through = NULL;
SELECT is(everything(), :'before', 'nothing of it stays');
SELECT is(next_day(), NULL, 'nor is anything to be run for it');
SELECT is((SELECT r.state || ' ' || (r.run_id - (SELECT max(run_id) FROM reconcile.run)) FROM reconcile.run('pay', :'d2') r), 'succeeded 1', 'the next run has the next number');

-- Refusals
SELECT is(refusal(format('SELECT * FROM reconcile.preview_rules(''pay'', %L, %L, ''[{"rule": "carried"}]'')', :'d', :'d1')),
  '22023 | the set of match rules is not valid | at $: no exact pass: expected a rule "channel_ref" or "match_key" | docs/match-rules.md describes every word, with examples.', 'rules that are none');
SELECT is(refusal(format('SELECT * FROM reconcile.preview_rules(''pay'', %L, %L, ''[{"rule": "match_key"}]'')', :'d1', :'d')),
  format('22023 | %s to %s is no span of days | Give the first and the last business date that the rules are to be tried on.', :'d1', :'d'), 'a span that ends before it begins');
SELECT is(refusal('SELECT * FROM reconcile.preview_rules(''pay'', ''2001-01-01'', ''2001-01-02'', ''[{"rule": "match_key"}]'', leg => ''internal-trade'')'),
  '22023 | no day from 2001-01-01 to 2001-01-02 has been run | Channel "pay", leg "internal-trade". | Rules are tried on days that have been run: reconcile.run_history lists them.', 'days that were never run');
SELECT is(refusal('SELECT * FROM reconcile.preview_rules(''pay'', ''2001-01-01'', ''2001-01-02'', ''[{"rule": "match_key"}]'', leg => ''moon'')'),
  '42704 | channel "pay" has no leg "moon" | The legs of a channel are listed in reconcile.leg.', 'a leg that does not exist');
SET ROLE reconcile_reader;
SELECT is(refusal('SELECT * FROM reconcile.preview_rules(''pay'', ''2001-01-01'', ''2001-01-02'', ''[]'')'), '42501 | permission denied for function preview_rules', 'a reader reads');
RESET ROLE;
SELECT * FROM finish();
