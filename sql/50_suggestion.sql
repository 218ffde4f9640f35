-- What rules find and do not decide, and what people decide of it.

-- What a set of entries is known by: its members with their amounts. A corrected amount is another set.
CREATE FUNCTION reconcile.member_hash(left_entries jsonb, right_entries jsonb) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT sha256(convert_to(jsonb_agg(jsonb_build_array(m.e -> 'book', m.e -> 'source_id', m.e -> 'source_key',
                                                       trim_scale((m.e ->> 'amount')::numeric), m.e -> 'currency')
                                     ORDER BY (m.e ->> 'book') COLLATE "C", (m.e ->> 'source_id')::integer,
                                              (m.e ->> 'source_key') COLLATE "C", (m.e ->> 'amount')::numeric)::text, 'UTF8'))
  FROM (SELECT l.e FROM jsonb_array_elements(left_entries) AS l (e)
        UNION ALL SELECT r.e FROM jsonb_array_elements(right_entries) AS r (e)) m
$$;
COMMENT ON FUNCTION reconcile.member_hash(jsonb, jsonb) IS 'SHA-256 of which entries these are and of their amounts, in any order';

-- What is kept of an entry that is a member of a suggestion.
CREATE FUNCTION reconcile.match_member(entry jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object(
    'book', entry -> 'book', 'source_id', entry -> 'source_id', 'source_key', entry -> 'source_key', 'kind', entry -> 'kind',
    'amount', entry -> 'amount', 'currency', entry -> 'currency', 'order_key', entry -> 'order_key',
    'match_key', entry -> 'match_key', 'channel_ref', entry -> 'channel_ref', 'settlement_ref', entry -> 'settlement_ref',
    'occurred_at', entry -> 'occurred_at', 'business_date', entry -> 'business_date'))
$$;
COMMENT ON FUNCTION reconcile.match_member(jsonb) IS 'An entry as a member of a suggested match: what it is known by, and what people compare';

CREATE TABLE reconcile.match_suggestion (
  suggestion_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel       text NOT NULL,
  account       text NOT NULL,
  leg           text NOT NULL,
  business_date date NOT NULL,
  last_date     date NOT NULL,
  pass          integer NOT NULL,
  rule          text COLLATE "C" NOT NULL,
  rule_version  integer NOT NULL,
  outcome       text NOT NULL CHECK (outcome IN ('suggested', 'ambiguous', 'gave_up')),
  currency      text NOT NULL,
  residual      numeric,
  tolerance     jsonb,
  left_count    bigint NOT NULL,
  right_count   bigint NOT NULL,
  left_entries  jsonb NOT NULL,
  right_entries jsonb NOT NULL,
  members       bytea NOT NULL,
  run_id        bigint NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  CHECK ((outcome = 'suggested') = (residual IS NOT NULL))
);
CREATE INDEX match_suggestion_day ON reconcile.match_suggestion (channel, account, leg, last_date);
COMMENT ON TABLE reconcile.match_suggestion IS 'What a rule found and closed nothing by: matches that wait for confirmation, ties, and blocks too big to decide';
COMMENT ON COLUMN reconcile.match_suggestion.suggestion_id IS 'The suggestion; it stays as long as day after day finds the same';
COMMENT ON COLUMN reconcile.match_suggestion.channel IS 'The channel';
COMMENT ON COLUMN reconcile.match_suggestion.account IS 'The account';
COMMENT ON COLUMN reconcile.match_suggestion.leg IS 'The leg';
COMMENT ON COLUMN reconcile.match_suggestion.business_date IS 'The first day whose run found it';
COMMENT ON COLUMN reconcile.match_suggestion.last_date IS 'The last day in a row whose run found it';
COMMENT ON COLUMN reconcile.match_suggestion.pass IS 'The pass that found it';
COMMENT ON COLUMN reconcile.match_suggestion.rule IS 'Its rule''s name';
COMMENT ON COLUMN reconcile.match_suggestion.rule_version IS 'The version of the rule set';
COMMENT ON COLUMN reconcile.match_suggestion.outcome IS 'suggested: a match to be confirmed or rejected; ambiguous: equally good answers differ in these entries; gave_up: too many candidates to decide';
COMMENT ON COLUMN reconcile.match_suggestion.currency IS 'The currency';
COMMENT ON COLUMN reconcile.match_suggestion.residual IS 'The difference that a match would accept, right minus left; NULL where none is suggested';
COMMENT ON COLUMN reconcile.match_suggestion.tolerance IS 'The rule''s amount and window that allow it';
COMMENT ON COLUMN reconcile.match_suggestion.left_count IS 'How many entries of the left book';
COMMENT ON COLUMN reconcile.match_suggestion.right_count IS 'How many entries of the right book';
COMMENT ON COLUMN reconcile.match_suggestion.left_entries IS 'The left book''s entries: [{book, source_id, source_key, kind, amount, currency ...}]; of what is ambiguous or given up at most 200';
COMMENT ON COLUMN reconcile.match_suggestion.right_entries IS 'The right book''s entries, in the same way';
COMMENT ON COLUMN reconcile.match_suggestion.members IS 'What the set of entries is known by: reconcile.member_hash';
COMMENT ON COLUMN reconcile.match_suggestion.run_id IS 'The last run that found it';
COMMENT ON COLUMN reconcile.match_suggestion.created_at IS 'When it was found first';

CREATE TABLE reconcile.match_decision (
  decision_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel       text NOT NULL,
  account       text NOT NULL,
  leg           text NOT NULL,
  recon_date    date NOT NULL,
  decision      text NOT NULL CHECK (decision IN ('confirmed', 'rejected')),
  suggestion_id bigint NOT NULL,
  rule          text COLLATE "C" NOT NULL,
  rule_version  integer NOT NULL,
  currency      text NOT NULL,
  residual      numeric NOT NULL,
  tolerance     jsonb,
  left_entries  jsonb NOT NULL,
  right_entries jsonb NOT NULL,
  members       bytea NOT NULL,
  comment       text,
  decided_by    name NOT NULL DEFAULT session_user,
  decided_at    timestamptz NOT NULL DEFAULT now(),
  xid           xid8 NOT NULL DEFAULT pg_current_xact_id(),
  cluster       bigint NOT NULL DEFAULT reconcile.local_system_identifier()
);
CREATE INDEX match_decision_leg ON reconcile.match_decision (channel, account, leg, members);
CREATE INDEX match_decision_suggestion ON reconcile.match_decision (suggestion_id);
COMMENT ON TABLE reconcile.match_decision IS 'What people decided of suggested matches; of several decisions on the same entries the newest holds';
COMMENT ON COLUMN reconcile.match_decision.decision_id IS 'The decision';
COMMENT ON COLUMN reconcile.match_decision.channel IS 'The channel';
COMMENT ON COLUMN reconcile.match_decision.account IS 'The account';
COMMENT ON COLUMN reconcile.match_decision.leg IS 'The leg';
COMMENT ON COLUMN reconcile.match_decision.recon_date IS 'The first day whose run reckons with it: the suggestion''s day, or the next open one';
COMMENT ON COLUMN reconcile.match_decision.decision IS 'confirmed: runs match these entries first of all; rejected: they are not suggested again';
COMMENT ON COLUMN reconcile.match_decision.suggestion_id IS 'The suggestion that it is about';
COMMENT ON COLUMN reconcile.match_decision.rule IS 'The rule that suggested it';
COMMENT ON COLUMN reconcile.match_decision.rule_version IS 'The version of the rule set';
COMMENT ON COLUMN reconcile.match_decision.currency IS 'The currency';
COMMENT ON COLUMN reconcile.match_decision.residual IS 'The difference that the match accepts, right minus left';
COMMENT ON COLUMN reconcile.match_decision.tolerance IS 'The rule''s amount and window that allowed it';
COMMENT ON COLUMN reconcile.match_decision.left_entries IS 'The left book''s entries, as they were when it was suggested';
COMMENT ON COLUMN reconcile.match_decision.right_entries IS 'The right book''s entries';
COMMENT ON COLUMN reconcile.match_decision.members IS 'What the set of entries is known by: reconcile.member_hash';
COMMENT ON COLUMN reconcile.match_decision.comment IS 'Why';
COMMENT ON COLUMN reconcile.match_decision.decided_by IS 'The login that decided';
COMMENT ON COLUMN reconcile.match_decision.decided_at IS 'When';
COMMENT ON COLUMN reconcile.match_decision.xid IS 'The transaction that decided it: runs know by it what their snapshot did not see';
COMMENT ON COLUMN reconcile.match_decision.cluster IS 'The database cluster that xid is of: a dump carries rows into others';

-- What holds on a day.
CREATE FUNCTION reconcile.standing_decisions(p_channel text, p_account text, p_leg text, p_day date)
RETURNS SETOF reconcile.match_decision
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT ON (d.members) d.* FROM reconcile.match_decision d
  WHERE d.channel = p_channel AND d.account = p_account AND d.leg = p_leg AND d.recon_date <= p_day
  ORDER BY d.members, d.decision_id DESC
$$;
COMMENT ON FUNCTION reconcile.standing_decisions(text, text, text, date) IS 'The newest decision on each set of entries that a day reckons with';

-- Which set of rules a day is matched by.
CREATE FUNCTION reconcile.rule_set(p_channel text, p_leg text, p_day date) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT r.version FROM reconcile.match_rule r
  WHERE r.channel = p_channel AND r.leg = p_leg AND r.valid_from <= p_day
  ORDER BY r.valid_from DESC, r.version DESC LIMIT 1
$$;
COMMENT ON FUNCTION reconcile.rule_set(text, text, date) IS 'The version of the rules that a day of a leg is matched by; NULL when the leg has none';
