-- What became of entries, and why discrepancies and suggestions stand.

CREATE FUNCTION reconcile.tolerance_in_words(tolerance jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT nullif(concat_ws(', ',
    (SELECT 'amount within ' || concat_ws(' or ', a.e ->> 'within',
              (a.e ->> 'percent') || ' percent' || coalesce(' but at most ' || (a.e ->> 'cap'), ''))
     FROM (SELECT tolerance -> 'amount') AS a (e) WHERE a.e ?| '{within,percent}'),
    (SELECT string_agg(concat_ws(' ', w.e ->> 'on', 'up to', coalesce((w.e ->> 'before') || ' earlier'
                                 || CASE WHEN w.e ? 'after' THEN ' and' ELSE '' END, NULL), (w.e ->> 'after') || ' later'), ', ' ORDER BY w.n)
     FROM jsonb_array_elements(CASE jsonb_typeof(tolerance -> 'window') WHEN 'array' THEN tolerance -> 'window'
                                    WHEN 'object' THEN jsonb_build_array(tolerance -> 'window') ELSE '[]' END) WITH ORDINALITY AS w (e, n)
     WHERE w.e ?| '{before,after}')), '')
$$;
COMMENT ON FUNCTION reconcile.tolerance_in_words(jsonb) IS 'The amount and window of a match rule in words; NULL when it allows no difference';

CREATE FUNCTION reconcile.suggestions_naming(p_channel text, p_account text, p_leg text, p_entry jsonb)
RETURNS SETOF reconcile.match_suggestion
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT s.* FROM reconcile.match_suggestion s
  CROSS JOIN (SELECT jsonb_build_array(jsonb_build_object('book', p_entry -> 'book', 'source_id', p_entry -> 'source_id',
                                                          'source_key', p_entry -> 'source_key'))) AS m (member)
  WHERE s.channel = p_channel AND s.account = p_account AND s.leg = p_leg
    AND s.last_date = (SELECT max(r.business_date) FROM reconcile.run r
                       WHERE r.channel = p_channel AND r.account = p_account AND r.leg = p_leg AND r.current)
    AND (s.left_entries @> m.member OR s.right_entries @> m.member)
  ORDER BY (s.outcome = 'suggested') DESC, s.pass, s.suggestion_id
  LIMIT 10
$$;
COMMENT ON FUNCTION reconcile.suggestions_naming(text, text, text, jsonb)
IS 'What the rules of the last day run suggest, leave ambiguous or gave up with an entry; at most 10, what holds it first';

CREATE FUNCTION reconcile.members_in_words(members jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN jsonb_array_length(members) > 3 THEN format('%s entries', jsonb_array_length(members))
              ELSE (SELECT string_agg(m.e ->> 'source_key', ' + ' ORDER BY (m.e ->> 'source_key') COLLATE "C") FROM jsonb_array_elements(members) AS m (e)) END
$$;
COMMENT ON FUNCTION reconcile.members_in_words(jsonb) IS 'The source keys of a few entries; how many they are, when they are more than three';

CREATE FUNCTION reconcile.suggestion_in_words(s reconcile.match_suggestion) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('rule %s (pass %s, version %s) ', s.rule, s.pass, s.rule_version)
         || CASE s.outcome
              WHEN 'suggested' THEN format('suggests %s with %s, residual %s', reconcile.members_in_words(s.left_entries),
                                           reconcile.members_in_words(s.right_entries), reconcile.amount_text(s.residual, s.currency))
              WHEN 'ambiguous' THEN format('has equally good answers among %s left and %s right entries', s.left_count, s.right_count)
              ELSE format('gave up on %s left and %s right entries: too many to decide', s.left_count, s.right_count) END
         || format(', suggestion %s', s.suggestion_id)
         || CASE WHEN s.outcome <> 'suggested' THEN ''
                 ELSE coalesce((SELECT format('; %s by "%s"%s', d.decision, d.decided_by, coalesce(': ' || d.comment, ''))
                                FROM reconcile.match_decision d
                                WHERE d.channel = s.channel AND d.account = s.account AND d.leg = s.leg AND d.members = s.members
                                ORDER BY d.decision_id DESC LIMIT 1), '; nobody has decided yet') END
$$;
COMMENT ON FUNCTION reconcile.suggestion_in_words(reconcile.match_suggestion) IS 'A suggestion for people: its rule, what it would match, and what was decided';

-- No row: there is no such entry, or none that the caller may see.
CREATE FUNCTION reconcile.verdict_of(p_source_id integer, p_source_key text)
RETURNS TABLE (leg text, left_book text, other_book text, verdict text, explanation text, counterparts jsonb, details jsonb, entry jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  subject reconcile.entry%ROWTYPE;
  side record;
  stored reconcile.match_group%ROWTYPE;
  item reconcile.open_item%ROWTYPE;
BEGIN
  SELECT e.* INTO subject FROM reconcile.entry e
  WHERE e.source_id = p_source_id AND e.source_key = p_source_key
  ORDER BY e.business_date DESC LIMIT 1;
  entry := to_jsonb(subject);
  FOR side IN
    SELECT DISTINCT ON (l.leg) l.leg, l.left_book,
           CASE WHEN l.left_book = subject.book THEN l.right_book ELSE l.left_book END AS other_book,
           l.kinds -> subject.kind AS treatment
    FROM reconcile.leg l
    WHERE l.channel = subject.channel AND subject.book IN (l.left_book, l.right_book)
      AND l.valid_from <= subject.recon_date
    ORDER BY l.leg, l.valid_from DESC
  LOOP
    leg := side.leg;
    left_book := side.left_book;
    other_book := side.other_book;
    details := NULL;
    SELECT g.* INTO stored FROM reconcile.match_item m JOIN reconcile.match_group g ON g.group_id = m.group_id
    WHERE m.channel = subject.channel AND m.account = subject.account AND m.leg = side.leg AND m.book = subject.book
      AND m.source_id = subject.source_id AND m.source_key = subject.source_key;
    IF FOUND THEN
      verdict := 'matched';
      details := jsonb_build_object('group_id', stored.group_id, 'pass', stored.pass, 'rule', stored.rule, 'version', stored.rule_version,
        'business_date', stored.business_date, 'run_id', stored.run_id, 'residual', stored.residual, 'currency', stored.currency,
        'tolerance', stored.tolerance,
        'decision', (SELECT jsonb_build_object('decision_id', c.decision_id, 'decided_by', c.decided_by, 'decided_at', c.decided_at, 'comment', c.comment)
                     FROM reconcile.match_decision c WHERE c.decision_id = stored.decision_id));
      explanation := format('pass %s, rule %s version %s, run of %s, residual %s', stored.pass, stored.rule,
                            stored.rule_version, stored.business_date, stored.residual)
                     || coalesce('; tolerance: ' || reconcile.tolerance_in_words(stored.tolerance), '')
                     || coalesce('; confirmed by "' || (details -> 'decision' ->> 'decided_by') || '"'
                                 || coalesce(': ' || (details -> 'decision' ->> 'comment'), ''), '');
      counterparts := (SELECT jsonb_agg(m.entry ORDER BY m.book, m.source_key) FROM reconcile.match_item m
                       WHERE m.group_id = stored.group_id
                         AND (m.book, m.source_id, m.source_key)
                             <> (subject.book, subject.source_id, subject.source_key));
      RETURN NEXT;
      CONTINUE;
    END IF;
    SELECT o.* INTO item FROM reconcile.open_item o
    WHERE o.channel = subject.channel AND o.account = subject.account AND o.leg = side.leg AND o.book = subject.book
      AND o.source_id = subject.source_id AND o.source_key = subject.source_key;
    IF FOUND THEN
      verdict := CASE WHEN item.closed_by = 'adjustment' THEN 'adjusted' ELSE 'unmatched' END;
      explanation := CASE WHEN item.closed_by = 'adjustment' THEN format('closed by adjustment on %s', item.closed_on)
                          ELSE format('open since %s, due on %s', item.opened_on, item.due_date) END;
      counterparts := NULL;
      RETURN NEXT;
      CONTINUE;
    END IF;
    IF side.treatment IS DISTINCT FROM '"match"' THEN
      verdict := 'not in scope';
      explanation := format('kind %s: %s', subject.kind, coalesce(side.treatment::text, 'not listed'));
      counterparts := NULL;
    ELSIF NOT subject.effective THEN
      verdict := 'not effective';
      explanation := format('status %s: no money moved', subject.status);
      counterparts := NULL;
    ELSIF NOT EXISTS (SELECT FROM reconcile.run r WHERE r.channel = subject.channel AND r.account = subject.account
                      AND r.leg = side.leg AND r.business_date = subject.recon_date AND r.current) THEN
      verdict := 'not run';
      explanation := format('the run of %s has not been made', subject.recon_date);
      counterparts := NULL;
    ELSE
      -- A match within the day is derived from the entries: equal reference or key, kind, amount and currency.
      verdict := 'matched';
      counterparts := (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.source_key) FROM reconcile.entry e
                       WHERE e.book = side.other_book AND e.channel = subject.channel AND e.account = subject.account
                         AND e.recon_date = subject.recon_date AND e.effective AND e.kind = subject.kind
                         AND e.amount = subject.amount AND e.currency = subject.currency
                         AND (e.channel_ref = subject.channel_ref OR e.match_key = subject.match_key)
                         AND (e.order_key = subject.order_key OR e.channel_ref = subject.channel_ref));
      explanation := format('within %s, exactly: equal channel_ref or match_key, kind, amount and currency',
                            subject.recon_date);
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.verdict_of(integer, text) IS 'What became of an entry in each leg, by its stored match, its open item or its keys; match_of() adds what was compared, and what is suggested';

CREATE FUNCTION reconcile.match_of(source_id integer, source_key text)
RETURNS TABLE (leg text, verdict text, explanation text, counterparts jsonb, details jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  subject record;
  suggestion reconcile.match_suggestion%ROWTYPE;
  compared jsonb;
BEGIN
  IF NOT EXISTS (SELECT FROM reconcile.entry e WHERE e.source_id = match_of.source_id AND e.source_key = match_of.source_key) THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('source %s has no entry "%s"', source_id, source_key),
      HINT = 'Source keys are in reconcile.entry; find one by order_key.';
  END IF;
  FOR subject IN SELECT v.* FROM reconcile.verdict_of(match_of.source_id, match_of.source_key) v
  LOOP
    leg := subject.leg;
    verdict := subject.verdict;
    explanation := subject.explanation;
    counterparts := subject.counterparts;
    details := subject.details;
    IF verdict = 'matched' THEN
      SELECT jsonb_agg(jsonb_build_object('entry', c.e, 'predicates',
               CASE WHEN subject.entry ->> 'book' = subject.left_book THEN reconcile.match_predicates(subject.entry, c.e)
                    ELSE reconcile.match_predicates(c.e, subject.entry) END) ORDER BY c.n)
      INTO compared
      FROM (SELECT x.e, x.n FROM jsonb_array_elements(counterparts) WITH ORDINALITY AS x (e, n)
            WHERE x.e ->> 'book' = subject.other_book ORDER BY x.n LIMIT 10) c;
      details := jsonb_strip_nulls(coalesce(details, '{}')) || jsonb_build_object('compared', coalesce(compared, '[]'));
      explanation := explanation || CASE
        WHEN NOT details ? 'group_id' THEN ''
        WHEN jsonb_array_length(counterparts) > 1 THEN format('; with %s other entries', jsonb_array_length(counterparts))
        ELSE coalesce('; ' || reconcile.failed_in_words(compared -> 0 -> 'predicates', subject.entry ->> 'currency'), '') END;
    ELSIF verdict = 'unmatched' THEN
      SELECT jsonb_build_object('suggestions', jsonb_agg(to_jsonb(s) - 'members' ORDER BY (s.outcome = 'suggested') DESC, s.pass, s.suggestion_id))
      INTO details
      FROM reconcile.suggestions_naming(subject.entry ->> 'channel', subject.entry ->> 'account', subject.leg, subject.entry) s;
      -- What was rejected does not hold it.
      SELECT s.* INTO suggestion
      FROM reconcile.suggestions_naming(subject.entry ->> 'channel', subject.entry ->> 'account', subject.leg, subject.entry) s
      WHERE 'rejected' IS DISTINCT FROM
            (SELECT d.decision FROM reconcile.match_decision d
             WHERE d.channel = s.channel AND d.account = s.account AND d.leg = s.leg AND d.members = s.members
             ORDER BY d.decision_id DESC LIMIT 1)
      LIMIT 1;
      IF FOUND THEN
        verdict := replace(suggestion.outcome, '_', ' ');
        explanation := explanation || '; ' || reconcile.suggestion_in_words(suggestion);
        counterparts := CASE WHEN subject.entry ->> 'book' = subject.left_book THEN suggestion.right_entries ELSE suggestion.left_entries END;
      END IF;
      details := nullif(jsonb_strip_nulls(details), '{}');
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.match_of(integer, text)
IS 'What became of an entry in each leg: matched (by which rule, with what, what was compared), suggested, ambiguous or gave up (by which rule), unmatched (since when, due when), adjusted, not effective, not in scope, not run';

-- A candidate's row of explain() and explain_suggestion().
CREATE FUNCTION reconcile.candidate_row(p_leg text, p_left_book text, p_subject jsonb, p_candidate jsonb, OUT explanation text, OUT details jsonb,
                                        OUT verdict text, OUT own boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  subject_left boolean := p_subject ->> 'book' = p_left_book;
  l jsonb := CASE WHEN subject_left THEN p_subject ELSE p_candidate END;
  r jsonb := CASE WHEN subject_left THEN p_candidate ELSE p_subject END;
  predicates jsonb := reconcile.match_predicates(l, r);
  tolerance jsonb := reconcile.tolerance_between(l, r);
  state record;
  mates jsonb;
BEGIN
  SELECT v.verdict, v.counterparts INTO state
  FROM reconcile.verdict_of((p_candidate ->> 'source_id')::integer, p_candidate ->> 'source_key') v WHERE v.leg = p_leg;
  verdict := state.verdict;
  own := coalesce((SELECT bool_or(c.e -> 'source_id' = p_subject -> 'source_id' AND c.e -> 'source_key' = p_subject -> 'source_key')
                   FROM jsonb_array_elements(state.counterparts) AS c (e)), false);
  SELECT jsonb_agg(c.e -> 'source_key') INTO mates
  FROM (SELECT x.e FROM jsonb_array_elements(state.counterparts) AS x (e) LIMIT 10) c;
  explanation := reconcile.entry_in_words(p_candidate) || ': '
    || coalesce(concat_ws(', ', reconcile.failed_in_words(predicates, l ->> 'currency'),
                CASE WHEN state.verdict IS NULL THEN 'it is there no longer'
                     WHEN own THEN 'matched with this one'
                     WHEN state.verdict = 'matched' THEN 'matched already with ' || coalesce(reconcile.members_in_words(state.counterparts), 'others')
                     WHEN state.verdict NOT IN ('unmatched', 'not effective') THEN state.verdict END), '');
  IF explanation LIKE '%: ' THEN
    explanation := explanation || 'nothing that both state differs';
  END IF;
  IF l ->> 'currency' = r ->> 'currency' AND reconcile.tolerance_in_words(tolerance) IS NOT NULL THEN
    explanation := explanation || '; it takes ' || reconcile.tolerance_in_words(tolerance);
  END IF;
  details := jsonb_build_object('entry', p_candidate, 'predicates', predicates || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
               'predicate', 'unmatched', 'verdict', state.verdict, 'with', mates, 'holds', verdict IS NOT DISTINCT FROM 'unmatched'))), 'tolerance', tolerance);
END
$$;
COMMENT ON FUNCTION reconcile.candidate_row(text, text, jsonb, jsonb)
IS 'An entry of one book against one of the other: what differs, in words and as predicates, what became of it in the leg, and the tolerance that it would take';

CREATE FUNCTION reconcile.rule_rows(p_channel text, p_account text, p_leg text, p_left_book text, p_day date, p_subject jsonb, p_candidate jsonb,
                                    p_verdict text)
RETURNS TABLE (explanation text, details jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  l jsonb := CASE WHEN p_subject ->> 'book' = p_left_book THEN p_subject ELSE p_candidate END;
  r jsonb := CASE WHEN p_subject ->> 'book' = p_left_book THEN p_candidate ELSE p_subject END;
  -- As rule_set() has it, of what the caller may see.
  set_version integer := (SELECT r.version FROM reconcile.match_rule r
                          WHERE r.channel = p_channel AND r.leg = p_leg AND r.valid_from <= p_day
                          ORDER BY r.valid_from DESC, r.version DESC LIMIT 1);
  suggestions reconcile.match_suggestion[] := ARRAY(
    SELECT s FROM reconcile.suggestions_naming(p_channel, p_account, p_leg, p_subject) s
    UNION SELECT s FROM reconcile.suggestions_naming(p_channel, p_account, p_leg, p_candidate) s);
  rejected text;
  rule record;
  conditions jsonb;
BEGIN
  SELECT format('somebody rejected the two as a match: "%s"%s', d.decided_by, coalesce(', ' || d.comment, '')) INTO rejected
  FROM (SELECT x.* FROM reconcile.match_decision x
        WHERE x.channel = p_channel AND x.account = p_account AND x.leg = p_leg
          AND x.members = reconcile.member_hash(jsonb_build_array(l), jsonb_build_array(r))
        ORDER BY x.decision_id DESC LIMIT 1) d WHERE d.decision = 'rejected';
  FOR rule IN
    SELECT m.pass, m.rule, m.name, m.settings FROM reconcile.match_rule m
    WHERE m.channel = p_channel AND m.leg = p_leg AND m.version = set_version AND m.enabled ORDER BY m.pass
  LOOP
    conditions := reconcile.rule_conditions(rule.rule, rule.settings, l, r)
      || CASE WHEN p_verdict IN ('matched', 'adjusted')
              THEN jsonb_build_array(jsonb_build_object('predicate', 'unmatched', 'holds', false,
                     'reason', format('%s is %s already', p_candidate ->> 'source_key', p_verdict))) ELSE '[]' END
      || coalesce((SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('predicate', 'suggestion', 'holds', false, 'suggestion_id', s.suggestion_id,
                     'outcome', s.outcome, 'reason', CASE WHEN s.rule <> rule.name THEN format('held by suggestion %s of rule %s', s.suggestion_id, s.rule)
                                    WHEN s.outcome = 'suggested' THEN format('it suggests %s with %s, suggestion %s', reconcile.members_in_words(s.left_entries),
                                                                             reconcile.members_in_words(s.right_entries), s.suggestion_id)
                                    WHEN s.outcome = 'ambiguous' THEN format('it has equally good answers, suggestion %s', s.suggestion_id)
                                    ELSE format('it gave up on too many candidates, suggestion %s', s.suggestion_id) END))
                                    ORDER BY s.pass, s.suggestion_id)
                   FROM unnest(suggestions) s
                   WHERE s.rule = rule.name OR s.outcome = 'suggested' AND s.pass < rule.pass), '[]')
      || CASE WHEN rejected IS NOT NULL AND rule.settings ? 'key'
              THEN jsonb_build_array(jsonb_build_object('predicate', 'decision', 'holds', false, 'reason', rejected)) ELSE '[]' END;
    explanation := format('rule %s (pass %s, version %s) and %s: ', rule.name, rule.pass, set_version, p_candidate ->> 'source_key')
      || coalesce((SELECT string_agg(c.e ->> 'reason', ', ' ORDER BY c.n) FROM jsonb_array_elements(conditions) WITH ORDINALITY AS c (e, n)
                   WHERE NOT (c.e ->> 'holds')::boolean),
                  'all its conditions hold for these two: it came later than the last run, or another answer was better');
    details := jsonb_build_object('rule', rule.rule, 'name', rule.name, 'pass', rule.pass, 'version', set_version, 'settings', rule.settings,
                                  'entry', p_candidate, 'predicates', conditions);
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.rule_rows(text, text, text, text, date, jsonb, jsonb, text)
IS 'Every rule that a day of a leg is matched by, and why it does not match two entries';

CREATE FUNCTION reconcile.explain(discrepancy_id bigint)
RETURNS TABLE (step integer, topic text, explanation text, details jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  d reconcile.discrepancy%ROWTYPE;
  the_leg reconcile.leg%ROWTYPE;
  subject jsonb;
  other jsonb;
  candidate jsonb;
  nearest jsonb;
  nearest_verdict text;
  told record;
  day date;
BEGIN
  SELECT x.* INTO d FROM reconcile.discrepancy x WHERE x.discrepancy_id = explain.discrepancy_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('discrepancy %s does not exist', coalesce(discrepancy_id::text, 'NULL')),
      HINT = 'Look for its id in reconcile.open_discrepancy.';
  END IF;
  step := 0;
  -- The day that last left it open, and its leg.
  day := coalesce(d.cleared_on, greatest(d.opened_on, (SELECT max(r.business_date) FROM reconcile.run r
                                                       WHERE r.channel = d.channel AND r.account = d.account AND r.leg = d.leg AND r.current)));
  SELECT l.* INTO the_leg FROM reconcile.leg l
  WHERE l.channel = d.channel AND l.leg = d.leg AND l.valid_from <= day ORDER BY l.valid_from DESC LIMIT 1;
  subject := CASE WHEN d.left_amount IS NOT NULL THEN d.left_entry ELSE d.right_entry END;
  other := CASE WHEN d.left_amount IS NOT NULL THEN d.right_entry ELSE d.left_entry END;
  FOR topic, explanation, details IN
    SELECT v.* FROM (VALUES
      ('verdict', reconcile.discrepancy_in_words(d),
       jsonb_build_object('kind', d.kind, 'difference', d.difference, 'currency', d.currency, 'state', d.state)),
      ('left entry', reconcile.side_in_words(d.left_entry), d.left_entry),
      ('right entry', reconcile.side_in_words(d.right_entry), d.right_entry)) AS v
  LOOP
    step := step + 1;
    RETURN NEXT;
  END LOOP;
  topic := 'candidate';
  FOR candidate IN
    SELECT c.e FROM (
      SELECT other AS e, 0 AS n WHERE other IS NOT NULL
      UNION ALL
      SELECT x.e, x.n FROM reconcile.nearest_candidates(d.channel, d.account, d.leg,
        CASE WHEN subject ->> 'book' = the_leg.left_book THEN the_leg.right_book ELSE the_leg.left_book END, subject) WITH ORDINALITY AS x (e, n)
      WHERE subject IS NOT NULL AND (other IS NULL OR (x.e -> 'source_id', x.e -> 'source_key') <> (other -> 'source_id', other -> 'source_key'))) c
    ORDER BY c.n LIMIT 10
  LOOP
    told := reconcile.candidate_row(d.leg, the_leg.left_book, subject, candidate);
    IF nearest IS NULL OR told.verdict = 'unmatched' AND nearest_verdict IS DISTINCT FROM 'unmatched' THEN
      nearest := candidate;
      nearest_verdict := told.verdict;
    END IF;
    explanation := told.explanation;
    details := told.details;
    step := step + 1;
    RETURN NEXT;
    EXIT WHEN told.own;
  END LOOP;
  IF nearest IS NULL THEN
    explanation := 'none: the other book has no entry of its channel_ref, match_key or order_key, and no open one of its currency within 7 days and a tenth of its amount';
    details := NULL;
    step := step + 1;
    RETURN NEXT;
  ELSIF NOT told.own THEN
    topic := 'rule';
    FOR explanation, details IN
      SELECT w.explanation, w.details FROM reconcile.rule_rows(d.channel, d.account, d.leg, the_leg.left_book, day, subject, nearest, nearest_verdict) w
    LOOP
      step := step + 1;
      RETURN NEXT;
    END LOOP;
  END IF;
  FOR topic, explanation, details IN
    SELECT 'suggestion', reconcile.suggestion_in_words(s), to_jsonb(s) - 'members'
    FROM reconcile.suggestions_naming(d.channel, d.account, d.leg, subject) s
  LOOP
    step := step + 1;
    RETURN NEXT;
  END LOOP;
  -- What else its own book has of the order.
  FOR topic, explanation, details IN
    SELECT 'other entry of the order',
           concat_ws(': ', reconcile.entry_in_words(o.e), reconcile.failed_in_words(
             (SELECT jsonb_agg(p.e) FROM jsonb_array_elements(reconcile.match_predicates(subject, o.e)) AS p (e)
              WHERE p.e ->> 'predicate' IN ('match_key', 'kind', 'amount', 'status')), o.e ->> 'currency')), o.e
    FROM (SELECT to_jsonb(e) AS e FROM reconcile.entry e
          WHERE e.channel = d.channel AND e.account = d.account AND e.order_key = subject ->> 'order_key' AND e.book = subject ->> 'book'
            AND (e.source_id, e.source_key) <> ((subject ->> 'source_id')::integer, subject ->> 'source_key')
          ORDER BY e.business_date, e.source_id, e.source_key LIMIT 10) o
  LOOP
    step := step + 1;
    RETURN NEXT;
  END LOOP;
  FOR topic, explanation, details IN
    SELECT 'history', format('%s at %s by %s', h.event, h.recorded_at, h.actor), h.details
    FROM reconcile.discrepancy_event h WHERE h.discrepancy_id = explain.discrepancy_id ORDER BY h.event_id
  LOOP
    step := step + 1;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.explain(bigint)
IS 'Why a discrepancy stands: the verdict in words, both entries, the nearest candidates and what differs, why each rule does not match them, what is suggested, its history';

CREATE FUNCTION reconcile.explain_suggestion(suggestion_id bigint)
RETURNS TABLE (step integer, topic text, explanation text, details jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  s reconcile.match_suggestion%ROWTYPE;
BEGIN
  SELECT x.* INTO s FROM reconcile.match_suggestion x WHERE x.suggestion_id = explain_suggestion.suggestion_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('suggestion %s does not exist', coalesce(suggestion_id::text, 'NULL')),
      DETAIL = 'Either it never did, or a later run does not suggest it any more.',
      HINT = 'Look for its id in reconcile.open_suggestion.';
  END IF;
  RETURN QUERY
    SELECT (row_number() OVER (ORDER BY t.part, t.place))::integer, t.topic, t.explanation, t.details
    FROM (
      SELECT 1 AS part, 0::bigint AS place, 'verdict' AS topic, reconcile.suggestion_in_words(s) AS explanation,
             jsonb_build_object('outcome', s.outcome, 'rule', s.rule, 'version', s.rule_version, 'pass', s.pass, 'residual', s.residual,
                                'currency', s.currency, 'first_day', s.business_date, 'last_day', s.last_date) AS details
      UNION ALL
      SELECT 2, x.n, 'left entry', reconcile.side_in_words(x.e), x.e
      FROM jsonb_array_elements(s.left_entries) WITH ORDINALITY AS x (e, n) WHERE x.n <= 10
      UNION ALL
      SELECT 3, x.n, 'right entry', reconcile.side_in_words(x.e), x.e
      FROM jsonb_array_elements(s.right_entries) WITH ORDINALITY AS x (e, n) WHERE x.n <= 10
      UNION ALL
      SELECT 4, c.n, 'candidate', format('%s against %s', c.l ->> 'source_key', w.explanation), w.details
      FROM (SELECT l.e AS l, r.e AS r, row_number() OVER (ORDER BY l.n, r.n) AS n
            FROM jsonb_array_elements(s.left_entries) WITH ORDINALITY AS l (e, n),
                 jsonb_array_elements(s.right_entries) WITH ORDINALITY AS r (e, n) WHERE l.n <= 10 AND r.n <= 10
            ORDER BY l.n, r.n LIMIT 10) c,
           reconcile.candidate_row(s.leg, c.l ->> 'book', c.l, c.r) w
      UNION ALL
      SELECT 5, 0, 'rule', format('rule %s (pass %s, version %s): %s', s.rule, s.pass, s.rule_version,
                                  coalesce('tolerance ' || reconcile.tolerance_in_words(s.tolerance), 'no tolerance')),
             jsonb_build_object('tolerance', s.tolerance,
               'settings', (SELECT m.settings FROM reconcile.match_rule m
                            WHERE m.channel = s.channel AND m.leg = s.leg AND m.version = s.rule_version AND m.name = s.rule))
      UNION ALL
      SELECT 6, d.decision_id, 'decision',
             format('%s at %s by "%s"%s, from %s on', d.decision, d.decided_at, d.decided_by, coalesce(': ' || d.comment, ''), d.recon_date),
             to_jsonb(d) - 'members' - 'left_entries' - 'right_entries'
      FROM reconcile.match_decision d
      WHERE d.channel = s.channel AND d.account = s.account AND d.leg = s.leg AND d.members = s.members) t
    ORDER BY 1;
END
$$;
COMMENT ON FUNCTION reconcile.explain_suggestion(bigint)
IS 'Why something is suggested, ambiguous or given up: the verdict in words, its entries (10 a side), what they differ in (10 pairs), the rule and its tolerance, what was decided';

GRANT EXECUTE ON FUNCTION reconcile.entry_in_words(jsonb), reconcile.side_in_words(jsonb), reconcile.match_predicates(jsonb, jsonb),
  reconcile.failed_in_words(jsonb, text), reconcile.tolerance_between(jsonb, jsonb), reconcile.tolerance_in_words(jsonb),
  reconcile.nearest_candidates(text, text, text, text, jsonb), reconcile.rule_column(jsonb, text), reconcile.seconds_in_words(numeric),
  reconcile.rule_conditions(text, jsonb, jsonb, jsonb), reconcile.suggestions_naming(text, text, text, jsonb),
  reconcile.members_in_words(jsonb), reconcile.suggestion_in_words(reconcile.match_suggestion), reconcile.verdict_of(integer, text),
  reconcile.candidate_row(text, text, jsonb, jsonb), reconcile.rule_rows(text, text, text, text, date, jsonb, jsonb, text),
  reconcile.member_hash(jsonb, jsonb),
  reconcile.explain(bigint), reconcile.explain_suggestion(bigint), reconcile.match_of(integer, text) TO reconcile_reader;
