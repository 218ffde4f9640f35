-- Incremental runs of a leg with configured rules, and with decisions about what they suggest: they come to what a batch
-- comes to, with the same matches, suggestions and figures.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(43);

SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2 \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', lags => '{"left": {"*": 1}, "right": {"*": 1}}') \g /dev/null
\ir incremental/world.sql
SELECT reconcile.set_match_rules('pay', 'internal-trade', '[{"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"}, {"rule": "net_order"},
  {"rule": "pair", "name": "near", "key": ["order_key"], "amount": {"within": "0.05"}},
  {"rule": "group", "name": "shop", "key": ["attributes.shop"], "shape": "N:M", "amount": {"within": "0.10"}},
  {"rule": "subset", "name": "parts", "key": ["order_key"], "one": "right", "amount": {"within": "0.01"}},
  {"rule": "pair", "name": "guess", "key": ["kind"], "amount": {"within": "0.15"}, "window": {"on": "business_date", "before": "1 day", "after": "1 day"}}]') \g /dev/null
CREATE FUNCTION public.sid(p_key text) RETURNS bigint LANGUAGE sql AS $$
  SELECT s.suggestion_id FROM reconcile.match_suggestion s
  WHERE EXISTS (SELECT FROM jsonb_array_elements(s.left_entries || s.right_entries) e WHERE e ->> 'source_key' = p_key)
  ORDER BY s.last_date DESC, s.suggestion_id DESC LIMIT 1
$$;
-- "rule:left+left=right residual day" of what rules and decisions have matched, in order.
CREATE FUNCTION public.by_rules() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(m.words, ', ' ORDER BY m.words COLLATE "C")
  FROM (SELECT concat(g.pass = 0, ' ', g.rule, ':', string_agg(i.source_key, '+' ORDER BY i.source_key) FILTER (WHERE i.book = 'internal'), '=',
                      string_agg(i.source_key, '+' ORDER BY i.source_key) FILTER (WHERE i.book = 'trade'), ' ', g.residual, ' ', g.business_date - current_date + 10) AS words
        FROM reconcile.match_group g JOIN reconcile.match_item i USING (group_id) WHERE g.pass NOT IN (1, 2, 3, 4) GROUP BY g.group_id) m
$$;
CREATE FUNCTION public.shop(p_keys text[], p_shop text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  UPDATE reconcile.entry SET attributes = jsonb_build_object('shop', p_shop) WHERE source_key = ANY (p_keys) AND tier = 0;
  RETURN 0;
END
$$;

-- ---- two days
SELECT both_say('I', 'p' || n, n || '.10', :'d') FROM generate_series(1, 20) n \g /dev/null
SELECT both_say('I', 'q' || n, n || '.20', :'d1') FROM generate_series(1, 5) n \g /dev/null
SELECT say('I', 'internal', 'n1', '50', :'d', 'n1', 'n1/l'), say('I', 'trade', 'n1t', '50.03', :'d', 'n1', 'n1/t'),
       say('I', 'internal', 'n2', '60', :'d', 'n2', 'n2/l'), say('I', 'trade', 'n2t', '60.04', :'d1', 'n2', 'n2/t'),
       say('I', 'internal', 'g1', '900', :'d'), say('I', 'trade', 'g1t', '900.12', :'d'),
       say('I', 'internal', 'lone', '3000', :'d') \g /dev/null
SELECT is(compared(:'d'), '0: batch', 'a first run is a batch');
SELECT is(compared(:'d1'), '1: batch', 'and so is the second day''s');
SELECT is(by_rules(), 'f near:n1=n1t 0.03 0, f near:n2=n2t 0.04 1', 'given matches of a rule, within a day and across days');
SELECT sid('g1') AS g1 \gset
SELECT is((SELECT concat_ws(' ', rule, outcome, business_date - :'d', last_date - :'d') FROM reconcile.match_suggestion WHERE suggestion_id = :g1), 'guess suggested 0 1', 'and a suggestion that both days make');
SELECT is(compared(:'d'), '0: incremental, 1: incremental', 'nothing to do');
SELECT is(sid('g1'), :g1::bigint, 'what is suggested keeps its id');

-- ---- what changes
SELECT after_change('an exact pair', both_say('I', 'new', '1.23', :'d'));
SELECT after_change('an entry that a rule matches with what had been left', say('I', 'trade', 'lonet', '3000.02', :'d', 'lone', 'lone/t'));
SELECT is(by_rules(), 'f near:lone=lonet 0.02 0, f near:n1=n1t 0.03 0, f near:n2=n2t 0.04 1', '(near)');
SELECT after_change('another amount in a match of a rule', say('U', 'trade', 'n1t', '50.01', :'d', 'n1', 'n1/t'));
SELECT after_change('one that is too far', say('U', 'trade', 'n1t', '51', :'d', 'n1', 'n1/t'));
SELECT after_change('and back', say('U', 'trade', 'n1t', '50.03', :'d', 'n1', 'n1/t'));
SELECT after_change('the exact counterpart of what a rule had matched', say('I', 'trade', 'n1x', '50', :'d', 'n1', 'n1/l'));
SELECT is(by_rules(), 'f near:lone=lonet 0.02 0, f near:n2=n2t 0.04 1', '(takes it)');
SELECT after_change('goes', say('D', 'trade', 'n1x', NULL, NULL));
SELECT after_change('what was matched across days gets its match on the first', say('I', 'trade', 'n2u', '60.01', :'d', 'n2', 'n2/u'));
SELECT is(by_rules(), 'f near:lone=lonet 0.02 0, f near:n1=n1t 0.03 0, f near:n2=n2u 0.01 0', '(and is free on the second)');
SELECT after_change('and loses it', say('D', 'trade', 'n2u', NULL, NULL));
SELECT say('I', 'internal', 's1', '7', :'d'), say('I', 'internal', 's2', '8', :'d'), say('I', 'trade', 's3', '15.07', :'d') \g /dev/null
SELECT after_change('three entries that nothing says belong together', 0);
SELECT after_change('until an attribute says so, which no exact pass looks at', shop('{s1,s2,s3}', 'north'));
SELECT is(by_rules(), 'f near:lone=lonet 0.02 0, f near:n1=n1t 0.03 0, f near:n2=n2t 0.04 1, f shop:s1+s2=s3 0.07 0', '(shop)');
SELECT after_change('another shop', shop('{s2}', 'south'));
SELECT after_change('the same again', shop('{s2}', 'north'));
SELECT after_change('parts', say('I', 'internal', 't1', '2', :'d1', 't', 't/1') + say('I', 'internal', 't2', '3', :'d', 't', 't/2') + say('I', 'trade', 't3', '5.01', :'d1', 't', 't/3'));
SELECT after_change('a tie, on the second day', say('I', 'internal', 'x1', '77', :'d1') + say('I', 'trade', 'x2', '77.10', :'d1') + say('I', 'trade', 'x3', '77.10', :'d1'), '1: incremental');
SELECT is((SELECT outcome FROM reconcile.match_suggestion WHERE suggestion_id = sid('x2')), 'ambiguous', '(ambiguous)');
SELECT after_change('which an entry of the day before resolves', say('I', 'internal', 'x4', '77', :'d'));
SELECT after_change('an adjustment of what is suggested', adjust('g1t', 900.12, :'d1'), '1: incremental');
SELECT after_change('is taken back', adjust('g1t', -900.12, :'d1'), '1: incremental');

-- ---- decisions
SELECT sid('g1') AS g1 \gset
SELECT reconcile.reject_match(:g1, 'no') \g /dev/null
SELECT is(compared(:'d'), '0: incremental, 1: incremental', 'a rejection is applied incrementally');
SELECT is(sid('g1'), NULL, 'and ends the suggestion');
SELECT after_change('what comes after a rejection is incremental, too', both_say('I', 'after', '1', :'d1'), '1: incremental');
SELECT reconcile.confirm_match(:g1) \g /dev/null
SELECT is(compared(:'d'), '0: incremental, 1: incremental', 'so is a confirmation');
SELECT is((SELECT concat_ws(' ', g.rule, g.residual, g.business_date - :'d') FROM reconcile.match_group g WHERE g.pass = 0), 'guess 0.12 0', 'which is a match');
SELECT after_change('an exact counterpart does not take what was confirmed', say('I', 'trade', 'g1x', '900', :'d', 'g1'));
SELECT after_change('another amount is not what was confirmed', say('U', 'trade', 'g1t', '900.11', :'d'));
SELECT is((SELECT count(*) FROM reconcile.match_group g WHERE g.pass = 0), 0::bigint, '(the decision rests)');
SELECT after_change('the amount that was', say('U', 'trade', 'g1t', '900.12', :'d'));
SELECT after_change('on the next day', say('U', 'trade', 'g1t', '900.12', :'d1') + say('D', 'trade', 'g1x', NULL, NULL));
SELECT is((SELECT g.business_date - :'d' FROM reconcile.match_group g WHERE g.pass = 0), 1, '(where the decision holds, too)');
SELECT reconcile.reject_match(:g1, 'after all') \g /dev/null
SELECT is(compared(:'d'), '0: incremental, 1: incremental', 'a confirmation that is taken back');

-- ---- when the whole day is run
SELECT say('I', 'internal', 'n' || n, '1', :'d1') FROM generate_series(1, 1001) n \g /dev/null
SELECT count(*) FROM reconcile.run('pay', :'d1') \g /dev/null
SELECT matches(compared(:'d1'), '^1: batch the rules look at more than 1000 entries of [-0-9]+$', 'rules that have more to look at than is worth it');
SELECT ok(bool_and(proof_difference = 0), 'every proof holds') FROM reconcile.run WHERE current;
SELECT * FROM finish();
