-- What proposed rules would change in the history of a channel.

CREATE FUNCTION reconcile.preview_leg(channel text, account text, leg text, from_date date, to_date date, rules text) RETURNS text
LANGUAGE c STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET jit = off
AS 'MODULE_PATHNAME', 'reconcile_preview_leg';
COMMENT ON FUNCTION reconcile.preview_leg(text, text, text, date, date, text) IS 'The matches that proposed rules gain and lose on the run days of a leg, as a jsonb array; writes nothing';

CREATE FUNCTION reconcile.preview_legs(p_channel text, p_from date, p_to date, p_rules jsonb, p_leg text, p_account text)
RETURNS TABLE (leg text, account text, business_date date, change text, rule text, left_entries jsonb, right_entries jsonb,
               residual numeric, currency text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  target record;
  targets integer := 0;
BEGIN
  PERFORM reconcile.require_channel(p_channel);
  PERFORM reconcile.ordered_match_rules(coalesce(p_rules, 'null'));
  IF p_account IS NOT NULL THEN
    PERFORM reconcile.require_account(p_channel, p_account);
    PERFORM reconcile.require_access(p_channel, p_account);
  END IF;
  IF p_from IS NULL OR p_to IS NULL OR p_from > p_to THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('%s to %s is no span of days', coalesce(p_from::text, 'NULL'), coalesce(p_to::text, 'NULL')),
      HINT = 'Give the first and the last business date that the rules are to be tried on.';
  END IF;
  IF p_leg IS NOT NULL AND NOT EXISTS (SELECT FROM reconcile.leg l WHERE l.channel = p_channel AND l.leg = p_leg) THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('channel "%s" has no leg "%s"', p_channel, p_leg),
      HINT = 'The legs of a channel are listed in reconcile.leg.';
  END IF;
  FOR target IN
    SELECT DISTINCT r.account, r.leg FROM reconcile.run r
    WHERE r.channel = p_channel AND r.current AND r.business_date BETWEEN p_from AND p_to
      AND (p_account IS NULL OR r.account = p_account) AND (p_leg IS NULL OR r.leg = p_leg)
      AND reconcile.has_access(r.channel, r.account)
    ORDER BY r.leg, r.account
  LOOP
    targets := targets + 1;
    RETURN QUERY
      SELECT target.leg, target.account, c.business_date, c.change, c.rule, c.left_entries, c.right_entries, c.residual, c.currency
      FROM jsonb_to_recordset(reconcile.preview_leg(p_channel, target.account, target.leg, p_from, p_to, p_rules::text)::jsonb)
        AS c (business_date date, change text, rule text, left_entries jsonb, right_entries jsonb, residual numeric, currency text)
      ORDER BY c.business_date, c.change DESC, (c.left_entries -> 0 ->> 'source_key') COLLATE "C";
  END LOOP;
  IF targets = 0 THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('no day from %s to %s has been run', p_from, p_to),
      DETAIL = format('Channel "%s"%s%s.', p_channel, ', leg "' || p_leg || '"', ', account "' || p_account || '"'),
      HINT = 'Rules are tried on days that have been run: reconcile.run_history lists them.';
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.preview_legs(text, date, date, jsonb, text, text) IS 'preview_rules, for which PL/pgSQL would not take arguments and columns of one name';

CREATE FUNCTION reconcile.preview_rules(channel text, from_date date, to_date date, rules jsonb, leg text DEFAULT NULL,
                                        account text DEFAULT NULL)
RETURNS TABLE (leg text, account text, business_date date, change text, rule text, left_entries jsonb, right_entries jsonb,
               residual numeric, currency text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT * FROM reconcile.preview_legs($1, $2, $3, $4, $5, $6) $$;
COMMENT ON FUNCTION reconcile.preview_rules(text, date, date, jsonb, text, text)
IS 'Runs the days of a span by proposed rules and by those in force, and returns the matches that would be gained and lost. Writes nothing; signed-off days are tried too';

GRANT EXECUTE ON FUNCTION reconcile.preview_rules(text, date, date, jsonb, text, text) TO reconcile_operator, reconcile_admin;
