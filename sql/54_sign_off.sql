-- Sign-off: the day's figures are final. Days of an account are signed in order and reopened from the last one back.

CREATE FUNCTION reconcile.assign(discrepancy_id bigint, owner name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  target record;
BEGIN
  SELECT d.channel, d.account INTO target FROM reconcile.discrepancy d
  WHERE d.discrepancy_id = assign.discrepancy_id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('discrepancy %s does not exist', discrepancy_id),
      HINT = 'Look for its id in reconcile.open_discrepancy.';
  END IF;
  PERFORM reconcile.require_access(target.channel, target.account);
  IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = assign.owner) THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s" does not exist', owner),
      HINT = 'A discrepancy is owned by a database role.';
  END IF;
  UPDATE reconcile.discrepancy d SET owner = assign.owner, updated_at = now()
  WHERE d.discrepancy_id = assign.discrepancy_id;
  PERFORM reconcile.append_events(jsonb_build_array(jsonb_build_object(
    'discrepancy_id', discrepancy_id, 'event', 'assigned', 'details', jsonb_build_object('owner', owner))));
END
$$;
COMMENT ON FUNCTION reconcile.assign(bigint, name) IS 'Gives a discrepancy an owner: SELECT reconcile.assign(discrepancy_id, ''anna'') FROM reconcile.open_discrepancy WHERE ...';

-- Why a day can't be signed off, in words; NULL when it can.
CREATE FUNCTION reconcile.sign_off_obstacles(p_channel text, p_account text, p_day date, p_signer name) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT reconcile.require_access(p_channel, p_account);
  WITH day_run AS (
    SELECT r.* FROM reconcile.run r
    WHERE r.channel = p_channel AND r.account = p_account AND r.business_date = p_day AND r.current
  ), leg AS (
    SELECT DISTINCT ON (l.leg) l.leg, l.left_book, l.right_book FROM reconcile.leg l
    WHERE l.channel = p_channel AND l.valid_from <= p_day ORDER BY l.leg, l.valid_from DESC
  )
  SELECT array_agg(o.reason ORDER BY o.priority, o.reason)
  FROM (
    SELECT 0 AS priority, format('account "%s" of channel "%s" does not exist', p_account, p_channel) AS reason
    WHERE NOT EXISTS (SELECT FROM reconcile.account a WHERE a.channel = p_channel AND a.account = p_account)
    UNION ALL
    SELECT 1, format('%s is to be signed off first', a.first_open)
    FROM (SELECT coalesce(a.signed_through + 1,
                          (SELECT min(r.business_date) FROM reconcile.run r WHERE r.channel = p_channel
                           AND r.account = p_account AND r.current)) AS first_open
          FROM reconcile.account a WHERE a.channel = p_channel AND a.account = p_account) a
    WHERE a.first_open < p_day
    UNION ALL
    SELECT 2, format('leg %s has not been run', l.leg) FROM leg l
    WHERE NOT EXISTS (SELECT FROM day_run r WHERE r.leg = l.leg)
    UNION ALL
    SELECT 2, format('leg %s has not been run for %s', l.leg, g.day)
    FROM leg l, LATERAL (
      SELECT min(d)::date AS day
      FROM generate_series(greatest(reconcile.first_due_day(p_channel, p_account, l.leg),
                                    (SELECT a.signed_through + 1 FROM reconcile.account a
                                     WHERE a.channel = p_channel AND a.account = p_account))::timestamp,
                           p_day - 1, interval '1 day') d
      WHERE NOT EXISTS (SELECT FROM reconcile.run r
                        WHERE r.channel = p_channel AND r.account = p_account AND r.leg = l.leg
                          AND r.business_date = d AND r.current)) g
    WHERE g.day IS NOT NULL
    UNION ALL
    SELECT 3, format('the proof of leg %s is off by %s', r.leg, r.proof_difference) FROM day_run r
    WHERE r.proof_difference <> 0
    UNION ALL
    SELECT 3, format('leg %s: run %s failed', r.leg, f.run_id)
    FROM day_run r, LATERAL (SELECT max(f.run_id) AS run_id FROM reconcile.run f
                             WHERE f.channel = r.channel AND f.account = r.account AND f.leg = r.leg
                               AND f.business_date = r.business_date AND f.state = 'failed' AND f.run_id > r.run_id) f
    WHERE f.run_id IS NOT NULL
    UNION ALL
    SELECT 4, format('leg %s: entries changed since run %s', r.leg, r.run_id) FROM day_run r
    WHERE EXISTS (SELECT FROM reconcile.entry_change g WHERE g.channel = p_channel AND g.account = p_account
                  AND g.recon_date <= p_day
                  AND NOT reconcile.run_has_seen_change(r.snapshot, r.cluster, r.detail, g.change_id, g.xid, g.cluster)
                  AND g.recon_date > coalesce((SELECT a.signed_through FROM reconcile.account a
                                               WHERE a.channel = p_channel AND a.account = p_account), '-infinity'))
    UNION ALL
    SELECT 4, format('leg %s: %s since run %s', r.leg, u.what, r.run_id)
    FROM day_run r, reconcile.unseen_by_run(p_channel, p_account, r.leg, p_day, r.snapshot, r.cluster) AS u (what)
    UNION ALL
    SELECT 5, unnest(reconcile.missing_statements(p_channel, p_account, b.book, p_day)) || ' is neither in nor waived'
    FROM leg l, LATERAL (VALUES (l.left_book), (l.right_book)) AS b (book)
    WHERE NOT EXISTS (SELECT FROM day_run r WHERE r.leg = l.leg AND r.forced)
    UNION ALL
    SELECT 6, format('discrepancy %s has no owner', d.discrepancy_id)
    FROM reconcile.discrepancy d
    WHERE d.channel = p_channel AND d.account = p_account AND d.owner IS NULL
      AND (d.opened_on <= p_day AND (d.cleared_on IS NULL OR d.cleared_on > p_day)
           OR EXISTS (SELECT FROM jsonb_array_elements(d.earlier_episodes) x
                      WHERE (x ->> 'opened_on')::date <= p_day AND (x ->> 'cleared_on')::date > p_day))
    UNION ALL
    SELECT DISTINCT 7, format('"%s" prepared the run of leg %s and cannot sign it off', r.requested_by, r.leg)
    FROM day_run r WHERE r.requested_by = p_signer
  ) o
$$;
COMMENT ON FUNCTION reconcile.sign_off_obstacles(text, text, date, name) IS 'Why a role can''t sign off a day, in words; NULL when it can';

CREATE FUNCTION reconcile.sign_off(channel text, account text, business_date date) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
  obstacles text[];
  unrecorded text[];
  closed bigint;
BEGIN
  PERFORM reconcile.require_open_channel_day(channel, business_date);
  PERFORM reconcile.require_account(channel, account);
  PERFORM reconcile.require_access(channel, account);
  -- An incremental run has not read the day: what was changed with triggers off is in none of its figures. Before the
  -- lock, which holds up ingestion; whoever records a change meanwhile is an obstacle of his own.
  IF EXISTS (SELECT FROM reconcile.run r
             WHERE r.channel = sign_off.channel AND r.account = sign_off.account AND r.business_date = sign_off.business_date
               AND r.current AND r.method = 'incremental') THEN
    SELECT array_agg(format('%s book, %s, %s: entries %s, amount %s; counted %s, %s: changed with triggers off', d.book, d.kind,
                            d.currency, d.entries, d.amount, d.counted_entries, d.counted_amount)
                     ORDER BY d.book, d.kind, d.currency)
    INTO unrecorded
    FROM reconcile.total_differences(sign_off.channel, sign_off.business_date, sign_off.business_date, sign_off.account) d
    WHERE EXISTS (SELECT FROM reconcile.leg l WHERE l.channel = sign_off.channel AND d.book IN (l.left_book, l.right_book));
  END IF;
  PERFORM reconcile.lock_account(channel, account, true);
  IF EXISTS (SELECT FROM reconcile.account a
             WHERE a.channel = sign_off.channel AND a.account = sign_off.account
               AND a.signed_through >= sign_off.business_date) THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('day %s of account "%s" at channel "%s" is signed off already', business_date, account, channel),
      DETAIL = format('Signing off a day closes the days before it; this account is closed through %s.',
                      (SELECT a.signed_through FROM reconcile.account a
                       WHERE a.channel = sign_off.channel AND a.account = sign_off.account)),
      HINT = 'Days are reopened from the last one backwards, with reconcile.reopen_day().';
  END IF;
  obstacles := nullif(reconcile.sign_off_obstacles(channel, account, business_date, session_user) || unrecorded, '{}');
  IF obstacles IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('day %s of account "%s" at channel "%s" cannot be signed off', business_date, account, channel),
      DETAIL = array_to_string(obstacles[1:20], '; ') || CASE WHEN cardinality(obstacles) > 20
                 THEN format('; and %s more', cardinality(obstacles) - 20) ELSE '' END || '.',
      HINT = 'Runs: reconcile.run(); statements: reconcile.statement_status; owners: reconcile.assign(). '
             'The run must have been started by another login than the one that signs.';
  END IF;
  INSERT INTO reconcile.day_close (channel, account, business_date, prepared_by, signed_by, runs, figures, statements,
                                   rules, digest, forced)
  SELECT sign_off.channel, sign_off.account, sign_off.business_date, array_agg(DISTINCT r.requested_by), session_user,
         array_agg(r.run_id ORDER BY r.leg),
         (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.run_id, t.currency), '[]') FROM reconcile.run_total t
          WHERE t.run_id = ANY (array_agg(r.run_id))),
         (SELECT coalesce(jsonb_agg(jsonb_build_object('statement_id', s.statement_id, 'book', s.book,
                                                       'file_name', s.file_name, 'sha256', s.sha256, 'state', s.state)
                                    ORDER BY s.statement_id), '[]')
          FROM reconcile.statement s
          WHERE s.channel = sign_off.channel AND (s.account IS NULL OR s.account = sign_off.account)
            AND s.business_date = sign_off.business_date),
         jsonb_object_agg(r.leg, r.rules), string_agg(r.leg || '=' || r.digest, ' ' ORDER BY r.leg),
         coalesce(jsonb_agg(jsonb_build_object('leg', r.leg, 'forced_by', r.requested_by, 'waiting_for', r.waiting_for))
                    FILTER (WHERE r.forced), '[]')
         || coalesce((SELECT jsonb_agg(jsonb_build_object('waived', s.book, 'statement_id', s.statement_id))
                      FROM reconcile.statement s
                      WHERE s.channel = sign_off.channel AND (s.account IS NULL OR s.account = sign_off.account)
                        AND s.business_date = sign_off.business_date AND s.state = 'waived'), '[]')
         || coalesce((SELECT jsonb_agg(jsonb_build_object('confirmed', g.decision_id, 'leg', g.leg, 'rule', g.rule,
                                                          'residual', g.residual, 'currency', g.currency,
                                                          'confirmed_by', d.decided_by, 'comment', d.comment)
                                       ORDER BY g.decision_id)
                      FROM reconcile.match_group g JOIN reconcile.match_decision d USING (decision_id)
                      WHERE g.channel = sign_off.channel AND g.account = sign_off.account
                        AND g.business_date = sign_off.business_date), '[]')
  FROM reconcile.run r
  WHERE r.channel = sign_off.channel AND r.account = sign_off.account AND r.business_date = sign_off.business_date
    AND r.current
  RETURNING close_id INTO closed;
  UPDATE reconcile.account a SET signed_through = sign_off.business_date
  WHERE a.channel = sign_off.channel AND a.account = sign_off.account;
  RETURN closed;
END
$$;
COMMENT ON FUNCTION reconcile.sign_off(text, text, date)
IS 'Signs off a day of an account: proof zero, statements in or waived, every open discrepancy owned, another login than the preparer''s. Late entries then enter the next open day. Returns the id in reconcile.day_close';

CREATE FUNCTION reconcile.reopen_day(channel text, account text, business_date date, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  last_signed date;
BEGIN
  PERFORM reconcile.require_account(channel, account);
  PERFORM reconcile.require_access(channel, account);
  IF coalesce(reason, '') = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'reopening a day needs a reason',
      HINT = 'Say why, for the audit.';
  END IF;
  PERFORM reconcile.lock_account(channel, account, true);
  SELECT a.signed_through INTO last_signed FROM reconcile.account a
  WHERE a.channel = reopen_day.channel AND a.account = reopen_day.account FOR UPDATE;
  IF last_signed IS DISTINCT FROM business_date THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('day %s of account "%s" at channel "%s" cannot be reopened', business_date, account, channel),
      DETAIL = coalesce('The last day signed off is ' || last_signed || '.', 'No day is signed off.'),
      HINT = 'Days are reopened from the last one back, one at a time.';
  END IF;
  UPDATE reconcile.day_close c SET reopened_by = session_user, reopened_at = now(), reopen_reason = reason
  WHERE c.channel = reopen_day.channel AND c.account = reopen_day.account
    AND c.business_date = reopen_day.business_date AND c.reopened_at IS NULL;
  UPDATE reconcile.account a
  SET signed_through = (SELECT max(c.business_date) FROM reconcile.day_close c
                        WHERE c.channel = a.channel AND c.account = a.account AND c.reopened_at IS NULL)
  WHERE a.channel = reopen_day.channel AND a.account = reopen_day.account;
END
$$;
COMMENT ON FUNCTION reconcile.reopen_day(text, text, date, text)
IS 'Takes back the sign-off of the last signed-off day, with a reason. Prior-period items stay on the day that they had entered';

CREATE FUNCTION reconcile.set_control_query(channel text, leg text, function regprocedure, run_as name,
                                            valid_from date DEFAULT current_date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  fresh_version integer;
BEGIN
  PERFORM reconcile.require_channel(channel);
  IF function IS NOT NULL AND NOT EXISTS (
       SELECT FROM pg_proc p WHERE p.oid = function AND p.prokind = 'f' AND p.proretset
         -- A temporary schema, and with it the function's name, is another session's tomorrow.
         AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = p.pronamespace AND n.nspname LIKE 'pg\_temp\_%')
         AND p.proargtypes::text = concat_ws(' ', 'text'::regtype::oid, 'text'::regtype::oid, 'date'::regtype::oid)) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_function_definition',
      MESSAGE = format('%s cannot be a control query', function),
      HINT = 'It must be a function (channel text, account text, business_date date) RETURNS TABLE (currency text, entries bigint, amount numeric).';
  END IF;
  IF NOT pg_has_role(reconcile.calling_role(), run_as, 'MEMBER') THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
      MESSAGE = format('permission denied to run a control query as "%s"', run_as),
      HINT = 'Name a role that you are a member of.';
  END IF;
  -- The session's role is not always who calls: autovacuum runs index expressions of anybody. Whose code it is, is sure.
  IF NOT (SELECT pg_has_role(p.proowner, run_as, 'MEMBER') FROM pg_proc p WHERE p.oid = function) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
      MESSAGE = format('permission denied to run %s as "%s"', function, run_as),
      DETAIL = format('Its owner %s is no member of that role.', (SELECT p.proowner::regrole FROM pg_proc p WHERE p.oid = function)),
      HINT = 'Give the function to a member of the role, or run it as a role of its owner''s.';
  END IF;
  INSERT INTO reconcile.leg (channel, leg, version, valid_from, left_book, right_book, kinds, lags, edge_window,
                             calendar, control_query_function, control_query_role)
  SELECT l.channel, l.leg, l.version + 1, set_control_query.valid_from, l.left_book, l.right_book, l.kinds, l.lags,
         l.edge_window, l.calendar, function::text, CASE WHEN function IS NOT NULL THEN run_as END
  FROM reconcile.leg l
  WHERE l.channel = set_control_query.channel AND l.leg = set_control_query.leg
  ORDER BY l.version DESC LIMIT 1
  RETURNING version INTO fresh_version;
  IF fresh_version IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('leg "%s" of channel "%s" does not exist', leg, channel),
      HINT = 'The legs of a channel are listed in reconcile.leg.';
  END IF;
  RETURN fresh_version;
END
$$;
COMMENT ON FUNCTION reconcile.set_control_query(text, text, regprocedure, name, date)
IS 'Names the function that counts a day at the source itself (proof line f), from a date on; function NULL: none. Returns the leg''s new version';

GRANT EXECUTE ON FUNCTION reconcile.assign(bigint, name) TO reconcile_operator, reconcile_approver;
GRANT EXECUTE ON FUNCTION reconcile.sign_off(text, text, date), reconcile.reopen_day(text, text, date, text)
  TO reconcile_approver;
GRANT EXECUTE ON FUNCTION reconcile.sign_off_obstacles(text, text, date, name) TO reconcile_reader;
GRANT EXECUTE ON FUNCTION reconcile.set_control_query(text, text, regprocedure, name, date) TO reconcile_admin;
