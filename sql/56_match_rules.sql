-- Match rules as data, and decisions on what they suggest.

CREATE FUNCTION reconcile.ordered_match_rules(rules jsonb) RETURNS jsonb
LANGUAGE c STABLE STRICT SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'reconcile_ordered_match_rules';
COMMENT ON FUNCTION reconcile.ordered_match_rules(jsonb) IS 'Checks a set of match rules and returns it in the order of its passes, each as {rule, name, settings}, settings being the rule as it was given';

CREATE FUNCTION reconcile.set_match_rules(channel text, leg text, rules jsonb, valid_from date DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  signed record;
  later record;
  first_day date;
  fresh_version integer;
  ordered jsonb;
BEGIN
  PERFORM reconcile.require_channel(channel);
  PERFORM reconcile.require_access(channel, NULL);
  IF NOT EXISTS (SELECT FROM reconcile.leg l WHERE l.channel = set_match_rules.channel AND l.leg = set_match_rules.leg) THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('leg "%s" of channel "%s" does not exist', leg, channel),
      HINT = 'The legs of a channel are listed in reconcile.leg.';
  END IF;
  ordered := reconcile.ordered_match_rules(coalesce(rules, 'null'));
  -- One set after the other; and no day is signed off meanwhile.
  PERFORM pg_advisory_xact_lock(hashtext('pg_reconcile match_rule'), hashtext(channel || E'\x1f' || leg));
  PERFORM reconcile.lock_account(a.channel, a.account, false) FROM reconcile.account a
  WHERE a.channel = set_match_rules.channel ORDER BY a.account;
  SELECT a.account, a.signed_through INTO signed FROM reconcile.account a
  WHERE a.channel = set_match_rules.channel AND a.signed_through IS NOT NULL
  ORDER BY a.signed_through DESC, a.account LIMIT 1;
  first_day := coalesce(set_match_rules.valid_from, signed.signed_through + 1,
                        (SELECT c.first_date FROM reconcile.channel c WHERE c.channel = set_match_rules.channel));
  IF first_day <= signed.signed_through THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('match rules cannot change on %s: that day is signed off', first_day),
      DETAIL = format('Account "%s" of channel "%s" is signed off through %s.', signed.account, channel, signed.signed_through),
      HINT = format('Set them from %s on, or reopen the days with reconcile.reopen_day().', signed.signed_through + 1);
  END IF;
  SELECT r.valid_from, r.version INTO later FROM reconcile.match_rule r
  WHERE r.channel = set_match_rules.channel AND r.leg = set_match_rules.leg AND r.valid_from > first_day
  ORDER BY r.valid_from, r.version DESC LIMIT 1;
  IF later.valid_from <= (SELECT c.first_date FROM reconcile.channel c WHERE c.channel = set_match_rules.channel) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('no day would be matched by rules that are valid from %s', first_day),
      DETAIL = format('Version %s of leg "%s" is valid from %s, and the first day of channel "%s" is no earlier.', later.version, leg, later.valid_from, channel),
      HINT = format('Give valid_from => %L to replace that version.', later.valid_from);
  ELSIF later.valid_from IS NOT NULL THEN
    RAISE NOTICE USING MESSAGE = format('these rules hold until %s', later.valid_from - 1),
      DETAIL = format('From %s on version %s of leg "%s" is valid.', later.valid_from, later.version, leg);
  END IF;
  SELECT coalesce(max(r.version), 0) + 1 INTO fresh_version FROM reconcile.match_rule r
  WHERE r.channel = set_match_rules.channel AND r.leg = set_match_rules.leg;
  INSERT INTO reconcile.match_rule (channel, leg, version, pass, valid_from, rule, name, settings)
  SELECT set_match_rules.channel, set_match_rules.leg, fresh_version, o.pass, first_day, o.rule ->> 'rule', o.rule ->> 'name',
         o.rule -> 'settings'
  FROM jsonb_array_elements(ordered) WITH ORDINALITY AS o (rule, pass);
  RETURN fresh_version;
END
$$;
COMMENT ON FUNCTION reconcile.set_match_rules(text, text, jsonb, date)
IS 'Stores the rules that a leg is matched by from a day on (NULL: its first open day); returns their version. Days that were run with other rules are run again by run_due';

-- Decisions -------------------------------------------------------------------------------------------------

-- Of one member, as it is compared.
CREATE FUNCTION reconcile.same_member(a jsonb, b jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT a -> 'book' = b -> 'book' AND a -> 'source_id' = b -> 'source_id' AND a -> 'source_key' = b -> 'source_key'
     AND (a ->> 'amount')::numeric = (b ->> 'amount')::numeric AND a -> 'currency' = b -> 'currency'
$$;
COMMENT ON FUNCTION reconcile.same_member(jsonb, jsonb) IS 'Whether two members of matches are one entry with one amount';

CREATE FUNCTION reconcile.decide_match(p_suggestion_id bigint, p_decision text, p_comment text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  suggestion reconcile.match_suggestion%ROWTYPE;
  subject reconcile.match_decision%ROWTYPE;
  latest reconcile.match_decision%ROWTYPE;
  other record;
  first_open date;
  decided bigint;
BEGIN
  SELECT s.* INTO suggestion FROM reconcile.match_suggestion s WHERE s.suggestion_id = p_suggestion_id;
  IF FOUND THEN
    subject.channel := suggestion.channel;
    subject.account := suggestion.account;
    subject.leg := suggestion.leg;
    subject.members := suggestion.members;
  ELSE
    -- What was confirmed is suggested no longer.
    SELECT d.* INTO subject FROM reconcile.match_decision d WHERE d.suggestion_id = p_suggestion_id
    ORDER BY d.decision_id DESC LIMIT 1;
    IF NOT FOUND THEN
      RAISE EXCEPTION USING ERRCODE = 'undefined_object',
        MESSAGE = format('suggestion %s does not exist', coalesce(p_suggestion_id::text, 'NULL')),
        DETAIL = 'Either it never did, or a later run does not suggest it any more.',
        HINT = 'Look for its id in reconcile.open_suggestion.';
    END IF;
  END IF;
  PERFORM reconcile.require_access(subject.channel, subject.account);
  -- One decision of a leg after the other, and no day is signed off meanwhile.
  PERFORM pg_advisory_xact_lock(hashtext('pg_reconcile match_decision'),
                                hashtext(concat_ws(E'\x1f', subject.channel, subject.account, subject.leg)));
  PERFORM reconcile.lock_account(subject.channel, subject.account, false);
  SELECT a.signed_through + 1 INTO first_open FROM reconcile.account a
  WHERE a.channel = subject.channel AND a.account = subject.account;
  SELECT d.* INTO latest FROM reconcile.match_decision d
  WHERE d.channel = subject.channel AND d.account = subject.account AND d.leg = subject.leg AND d.members = subject.members
  ORDER BY d.decision_id DESC LIMIT 1;
  IF latest.decision = p_decision THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('suggestion %s is %s already', p_suggestion_id, p_decision),
      DETAIL = format('By "%s" at %s.', latest.decided_by, latest.decided_at),
      HINT = format('reconcile.%s() takes that back.', CASE p_decision WHEN 'confirmed' THEN 'reject_match' ELSE 'confirm_match' END);
  END IF;
  IF suggestion.suggestion_id IS NOT NULL THEN
    IF suggestion.outcome <> 'suggested' THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('suggestion %s cannot be %s: its outcome is %s', p_suggestion_id, p_decision, suggestion.outcome),
        DETAIL = CASE suggestion.outcome
                   WHEN 'ambiguous' THEN format('Rule "%s" has several answers for these entries, equally good.', suggestion.rule)
                   ELSE format('Rule "%s" has too many candidates among these entries to decide.', suggestion.rule) END,
        HINT = 'Make the rule tell them apart: a longer key, a narrower window or amount.';
    END IF;
    IF suggestion.last_date < (SELECT max(r.business_date) FROM reconcile.run r
                               WHERE r.channel = subject.channel AND r.account = subject.account AND r.leg = subject.leg AND r.current) THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('suggestion %s stands no longer', p_suggestion_id),
        DETAIL = format('It was last made on %s; later days do not make it.', suggestion.last_date),
        HINT = 'Look in reconcile.open_suggestion for what is suggested now.';
    END IF;
    subject.rule := suggestion.rule;
    subject.rule_version := suggestion.rule_version;
    subject.currency := suggestion.currency;
    subject.residual := suggestion.residual;
    subject.tolerance := suggestion.tolerance;
    subject.left_entries := suggestion.left_entries;
    subject.right_entries := suggestion.right_entries;
    subject.recon_date := suggestion.business_date;
  END IF;
  -- What a signed-off day has matched stays matched.
  SELECT g.business_date INTO other FROM reconcile.match_group g
  WHERE g.decision_id IS NOT NULL AND g.decision_id = latest.decision_id AND g.business_date < first_open;
  IF FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('suggestion %s cannot be rejected: day %s, which matched it, is signed off', p_suggestion_id, other.business_date),
      DETAIL = format('Account "%s" of channel "%s" is signed off through %s.', subject.account, subject.channel, first_open - 1),
      HINT = 'Reopen the days with reconcile.reopen_day(), the last one first.';
  END IF;
  IF p_decision = 'confirmed' THEN
    -- Another confirmed match of the same entries that no run has seen yet: two can't both be.
    SELECT d.suggestion_id, d.decided_by, m.e ->> 'source_key' AS source_key, m.e ->> 'book' AS book INTO other
    FROM reconcile.standing_decisions(subject.channel, subject.account, subject.leg, 'infinity') d
    CROSS JOIN LATERAL jsonb_array_elements(d.left_entries || d.right_entries) AS m (e)
    JOIN jsonb_array_elements(subject.left_entries || subject.right_entries) AS s (e) ON reconcile.same_member(m.e, s.e)
    WHERE d.decision = 'confirmed' AND d.members <> subject.members
      AND NOT EXISTS (SELECT FROM reconcile.run r
                      WHERE r.channel = d.channel AND r.account = d.account AND r.leg = d.leg AND r.current
                        AND r.business_date >= d.recon_date
                        AND reconcile.run_has_seen(r.snapshot, r.cluster, d.xid, d.cluster))
    ORDER BY d.decision_id, 4, 3 LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('suggestion %s shares an entry with suggestion %s, which is confirmed', p_suggestion_id, other.suggestion_id),
        DETAIL = format('Entry "%s" of the %s book; "%s" confirmed that match.', other.source_key, other.book, other.decided_by),
        HINT = format('An entry is in one match at most: SELECT reconcile.reject_match(%s, ...) first.', other.suggestion_id);
    END IF;
  END IF;
  INSERT INTO reconcile.match_decision (channel, account, leg, recon_date, decision, suggestion_id, rule, rule_version, currency,
                                        residual, tolerance, left_entries, right_entries, members, comment)
  VALUES (subject.channel, subject.account, subject.leg, greatest(subject.recon_date, first_open), p_decision, p_suggestion_id,
          subject.rule, subject.rule_version, subject.currency, subject.residual, subject.tolerance, subject.left_entries,
          subject.right_entries, subject.members, p_comment)
  RETURNING decision_id INTO decided;
  RETURN decided;
END
$$;
COMMENT ON FUNCTION reconcile.decide_match(bigint, text, text) IS 'Records that a suggestion is confirmed or rejected; returns the id in reconcile.match_decision';

CREATE FUNCTION reconcile.confirm_match(suggestion_id bigint, comment text DEFAULT NULL) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT reconcile.decide_match(confirm_match.suggestion_id, 'confirmed', confirm_match.comment) $$;
COMMENT ON FUNCTION reconcile.confirm_match(bigint, text)
IS 'Makes a suggested match a match: runs of its day (the next open one, when that is signed off) match these entries before anything else. Returns the id in reconcile.match_decision';

CREATE FUNCTION reconcile.reject_match(suggestion_id bigint, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF coalesce(reason, '') = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'rejecting a match needs a reason',
      HINT = 'Say why, for the audit.';
  END IF;
  RETURN reconcile.decide_match(reject_match.suggestion_id, 'rejected', reason);
END
$$;
COMMENT ON FUNCTION reconcile.reject_match(bigint, text)
IS 'Rejects a suggested match: it is not suggested again. Also takes back a confirmation, as long as no signed-off day has made use of it. Returns the id in reconcile.match_decision';

CREATE VIEW reconcile.open_suggestion WITH (security_invoker = true) AS
SELECT s.suggestion_id, s.channel, s.account, s.leg, s.business_date, s.last_date, s.rule, s.rule_version, s.outcome, s.currency,
       s.residual, s.tolerance, s.left_count, s.right_count, s.left_entries, s.right_entries, s.created_at
FROM reconcile.match_suggestion s
WHERE s.last_date = (SELECT max(r.business_date) FROM reconcile.run r
                     WHERE r.channel = s.channel AND r.account = s.account AND r.leg = s.leg AND r.current)
  AND NOT EXISTS (SELECT FROM reconcile.match_decision d WHERE d.suggestion_id = s.suggestion_id);
COMMENT ON VIEW reconcile.open_suggestion IS 'What rules found up to the last day run, and nobody has decided: suggested matches for confirm_match() and reject_match(), ties, and blocks that were given up';
COMMENT ON COLUMN reconcile.open_suggestion.suggestion_id IS 'The suggestion';
COMMENT ON COLUMN reconcile.open_suggestion.channel IS 'The channel';
COMMENT ON COLUMN reconcile.open_suggestion.account IS 'The account';
COMMENT ON COLUMN reconcile.open_suggestion.leg IS 'The leg';
COMMENT ON COLUMN reconcile.open_suggestion.business_date IS 'The first day whose run found it';
COMMENT ON COLUMN reconcile.open_suggestion.last_date IS 'The last day that was run';
COMMENT ON COLUMN reconcile.open_suggestion.rule IS 'The rule''s name';
COMMENT ON COLUMN reconcile.open_suggestion.rule_version IS 'The version of the rule set';
COMMENT ON COLUMN reconcile.open_suggestion.outcome IS 'suggested, ambiguous (equally good answers differ in these entries) or gave_up (too many candidates to decide)';
COMMENT ON COLUMN reconcile.open_suggestion.currency IS 'The currency';
COMMENT ON COLUMN reconcile.open_suggestion.residual IS 'The difference that the match would accept, right minus left; NULL where none is suggested';
COMMENT ON COLUMN reconcile.open_suggestion.tolerance IS 'The rule''s amount and window that allow it';
COMMENT ON COLUMN reconcile.open_suggestion.left_count IS 'How many entries of the left book';
COMMENT ON COLUMN reconcile.open_suggestion.right_count IS 'How many entries of the right book';
COMMENT ON COLUMN reconcile.open_suggestion.left_entries IS 'The left book''s entries; of what is ambiguous or given up at most 200';
COMMENT ON COLUMN reconcile.open_suggestion.right_entries IS 'The right book''s entries, in the same way';
COMMENT ON COLUMN reconcile.open_suggestion.created_at IS 'When it was found first';

GRANT SELECT ON reconcile.open_suggestion TO reconcile_reader;
GRANT EXECUTE ON FUNCTION reconcile.set_match_rules(text, text, jsonb, date) TO reconcile_admin;
GRANT EXECUTE ON FUNCTION reconcile.confirm_match(bigint, text), reconcile.reject_match(bigint, text) TO reconcile_operator;
