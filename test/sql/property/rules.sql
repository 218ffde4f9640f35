-- Rules that come and go, and people who decide what they suggest.

-- Some rules after the exact passes, from some open day on.
CREATE FUNCTION play.set_rules(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  rules text[] := ARRAY[
    '{"rule": "pair", "name": "near", "key": ["order_key"], "amount": {"within": "0.10"}}',
    '{"rule": "pair", "name": "share", "key": ["match_key", "kind"], "amount": {"percent": "50", "cap": "1000"}, "window": {"on": "occurred_at", "before": "3 hours", "after": "2 days"}}',
    '{"rule": "group", "name": "orders", "key": ["order_key"], "shape": "N:M", "amount": {"within": "10"}}',
    '{"rule": "subset", "name": "parts", "key": ["order_key"], "one": "left", "amount": {"within": "0.01"}}',
    '{"rule": "subset", "name": "collected", "key": [], "one": "right", "max_members": 3, "window": {"on": "business_date", "before": "1 day", "after": "2 days"}}',
    '{"rule": "pair", "name": "guess", "key": ["kind"], "amount": {"within": "0.15"}, "window": {"on": "business_date", "before": "2 days", "after": "2 days"}}',
    '{"rule": "group", "name": "days", "key": ["business_date", "kind"], "shape": "N:M", "amount": {"within": "5"}}'];
  chosen text := '{"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"}, {"rule": "net_order"}';
  first_open date;
  from_day date;
BEGIN
  FOR i IN 1 .. cardinality(rules) LOOP
    IF play.chance(50) THEN chosen := chosen || ', ' || rules[i]; END IF;
  END LOOP;
  SELECT greatest(h.today - 2 + play.below(4), coalesce(a.signed_through + 1, '-infinity')) INTO from_day
  FROM play.history h JOIN reconcile.account a USING (channel) WHERE h.channel = p_channel;
  PERFORM play.note(p_channel, format('rules from %s on: %s', from_day, chosen));
  PERFORM reconcile.set_match_rules(p_channel, 'internal-trade', ('[' || chosen || ']')::jsonb, from_day);
END
$$;

-- Somebody confirms or rejects a suggestion, or thinks again.
CREATE FUNCTION play.decide(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  choice record;
  word text;
BEGIN
  WITH latest AS (
    SELECT DISTINCT ON (d.suggestion_id) d.suggestion_id, d.decision, d.members FROM reconcile.match_decision d
    WHERE d.channel = p_channel ORDER BY d.suggestion_id, d.decision_id DESC
  ), possible AS (
    SELECT s.suggestion_id, NULL AS decision, s.members FROM reconcile.open_suggestion o JOIN reconcile.match_suggestion s USING (suggestion_id)
    WHERE s.channel = p_channel AND s.outcome = 'suggested'
    UNION ALL SELECT l.suggestion_id, l.decision, l.members FROM latest l
  )
  SELECT p.* INTO choice FROM possible p ORDER BY p.members, p.decision NULLS FIRST, p.suggestion_id
  OFFSET play.below((SELECT count(*)::integer FROM possible)) LIMIT 1;
  IF NOT FOUND THEN RETURN; END IF;
  word := coalesce(CASE choice.decision WHEN 'confirmed' THEN 'reject' WHEN 'rejected' THEN 'confirm' END,
                   play.one_of('confirm', 'confirm', 'reject'));
  PERFORM play.note(p_channel, format('%s suggestion %s', word, choice.suggestion_id));
  IF word = 'confirm' THEN
    PERFORM reconcile.confirm_match(choice.suggestion_id);
  ELSE
    PERFORM reconcile.reject_match(choice.suggestion_id, 'not these');
  END IF;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  PERFORM play.note(p_channel, 'which is refused: ' || SQLERRM);
END
$$;

-- What is suggested is unmatched, once, and is what the entries say; what was rejected is not suggested; residuals are
-- what the matches of the day accepted.
CREATE FUNCTION play.check_rules(p_channel text) RETURNS SETOF text LANGUAGE sql STABLE
AS $$
  WITH last AS (SELECT max(business_date) AS day FROM reconcile.run WHERE channel = p_channel AND current),
  member AS (
    SELECT s.suggestion_id, s.outcome, s.members, e.e
    FROM reconcile.match_suggestion s, last, jsonb_array_elements(s.left_entries || s.right_entries) AS e (e)
    WHERE s.channel = p_channel AND s.last_date = last.day
  )
  SELECT format('suggestion %s has %s, which is not open', m.suggestion_id, m.e ->> 'source_key') FROM member m
  WHERE NOT EXISTS (SELECT FROM play.placed p WHERE p.channel = p_channel AND p.book = m.e ->> 'book' AND p.source_key = m.e ->> 'source_key'
                    AND p.amount = (m.e ->> 'amount')::numeric AND p.currency = m.e ->> 'currency' AND p.state IN ('open', 'adjusted'))
  UNION ALL
  SELECT format('%s %s is suggested twice', m.e ->> 'book', m.e ->> 'source_key') FROM member m WHERE m.outcome = 'suggested'
  GROUP BY m.e ->> 'book', m.e ->> 'source_key' HAVING count(*) > 1
  UNION ALL
  SELECT format('suggestion %s was rejected', m.suggestion_id) FROM member m, last
  WHERE m.outcome = 'suggested' AND EXISTS (
    SELECT FROM reconcile.standing_decisions(p_channel, 'a', 'internal-trade', last.day) d WHERE d.members = m.members)
  UNION ALL
  SELECT format('suggestion %s is of %s to %s', s.suggestion_id, s.business_date, s.last_date) FROM reconcile.match_suggestion s, last
  WHERE s.channel = p_channel AND (s.last_date < s.business_date OR s.last_date > last.day)
  UNION ALL
  SELECT format('%s %s: residual %s, matches accepted %s', r.business_date, t.currency, t.residual, coalesce(g.residual, 0))
  FROM reconcile.run r JOIN reconcile.run_total t USING (run_id)
  LEFT JOIN (SELECT business_date, currency, sum(residual) AS residual FROM reconcile.match_group WHERE channel = p_channel GROUP BY 1, 2) g
    ON g.business_date = r.business_date AND g.currency = t.currency
  WHERE r.channel = p_channel AND r.current AND t.residual <> coalesce(g.residual, 0)
  UNION ALL
  SELECT format('match %s of decision %s is not what was confirmed', g.group_id, g.decision_id)
  FROM reconcile.match_group g JOIN reconcile.match_decision d USING (decision_id)
  WHERE g.channel = p_channel
    AND (SELECT reconcile.member_hash(jsonb_agg(i.entry), '[]') FROM reconcile.match_item i WHERE i.group_id = g.group_id) <> d.members
$$;
