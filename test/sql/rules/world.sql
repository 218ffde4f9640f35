-- What the tests of match rules say and ask.

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

-- An entry of channel pay, account a. Without an order it shares no key with any other entry.
CREATE FUNCTION public.say(p_book text, p_key text, p_amount text, p_day date, p_order text DEFAULT NULL, p_ref text DEFAULT NULL,
                           p_at interval DEFAULT '10 hours', p_fee text DEFAULT NULL, p_kind text DEFAULT 'payment',
                           p_status text DEFAULT NULL, p_attributes text DEFAULT NULL, p_settlement text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM reconcile.prepare_entries(ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_day + p_at], ARRAY[p_day], ARRAY['success']);
  RETURN reconcile.insert_entries(CASE p_book WHEN 'internal' THEN 1 ELSE 2 END, NULL, ARRAY[p_key], ARRAY['pay'], ARRAY['a'],
    ARRAY[p_book], ARRAY[p_kind], NULL, ARRAY[coalesce(p_order, p_key)], ARRAY[coalesce(p_order, p_key)], ARRAY[p_ref], NULL,
    ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, ARRAY[p_fee], NULL, ARRAY['success'], ARRAY[p_status], ARRAY[p_day + p_at], NULL,
    ARRAY[p_day], ARRAY[p_settlement], ARRAY[p_attributes]);
END
$$;

CREATE FUNCTION public.rules_of(p_version integer) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', r.pass, r.rule, r.name, r.valid_from), ', ' ORDER BY r.pass) FROM reconcile.match_rule r
  WHERE r.version = p_version
$$;

CREATE FUNCTION public.next_day() RETURNS date LANGUAGE sql AS $$
  SELECT reconcile.next_run_day('pay', 'a', 'internal-trade', (current_date - 8 + time '12:00') AT TIME ZONE 'UTC')
$$;

-- "rule:left+left=right residual" of every stored match, in order.
CREATE FUNCTION public.matches() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(m.words, ', ' ORDER BY m.words COLLATE "C")
  FROM (SELECT g.rule || ':' || coalesce(string_agg(i.source_key, '+' ORDER BY i.source_key) FILTER (WHERE i.book = 'internal'), '') || '='
               || coalesce(string_agg(i.source_key, '+' ORDER BY i.source_key) FILTER (WHERE i.book = 'trade'), '') || ' ' || g.residual AS words
        FROM reconcile.match_group g JOIN reconcile.match_item i USING (group_id) GROUP BY g.group_id) m
$$;
-- "outcome rule:left+left=right residual" of what is suggested.
CREATE FUNCTION public.suggestions() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(m.words, ', ' ORDER BY m.words COLLATE "C")
  FROM (SELECT s.outcome || ' ' || s.rule || ':'
               || (SELECT string_agg(e ->> 'source_key', '+' ORDER BY e ->> 'source_key') FROM jsonb_array_elements(s.left_entries) e) || '='
               || (SELECT string_agg(e ->> 'source_key', '+' ORDER BY e ->> 'source_key') FROM jsonb_array_elements(s.right_entries) e)
               || coalesce(' ' || s.residual, '') AS words
        FROM reconcile.open_suggestion s) m
$$;
-- Runs a day by these rules, after the exact passes; "state, matches, suggestions" and what the proof is off by.
CREATE FUNCTION public.run_by(p_rules text, p_day date) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  r reconcile.run;
BEGIN
  PERFORM reconcile.set_match_rules('pay', 'internal-trade',
    ('[{"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"}, {"rule": "net_order"}, ' || p_rules || ']')::jsonb);
  SELECT * INTO r FROM reconcile.run('pay', p_day) x WHERE x.business_date = p_day;
  RETURN concat_ws(' | ', CASE WHEN r.state = 'succeeded' AND r.proof_difference = 0 THEN NULL ELSE r.state || ' ' || coalesce(r.failure, '') END,
                   coalesce(matches(), ''), suggestions());
END
$$;
-- Everything of channel pay again from nothing.
CREATE FUNCTION public.forget() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM reconcile.discrepancy_event;
  DELETE FROM reconcile.discrepancy;
  DELETE FROM reconcile.match_decision;
  DELETE FROM reconcile.match_suggestion;
  DELETE FROM reconcile.match_group;
  DELETE FROM reconcile.open_item;
  DELETE FROM reconcile.run;
  DELETE FROM reconcile.entry;
  DELETE FROM reconcile.entry_change;
  DELETE FROM reconcile.entry_total;
END
$$;
