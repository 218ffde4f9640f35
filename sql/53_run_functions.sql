-- Runs from SQL: run, run_due, and what they publish.

CREATE FUNCTION reconcile.run_leg(channel text, account text, leg text, business_date date, dry_run boolean,
                                  force boolean, method text) RETURNS text
LANGUAGE c STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET jit = off
AS 'MODULE_PATHNAME', 'reconcile_run_leg';
COMMENT ON FUNCTION reconcile.run_leg(text, text, text, date, boolean, boolean, text)
IS 'Runs one leg of one account for a day, and again every later day that had been run; returns a JSON array of reconcile.run rows';

CREATE FUNCTION reconcile.run(channel text, business_date date, account text DEFAULT NULL, leg text DEFAULT NULL,
                              method text DEFAULT 'batch', dry_run boolean DEFAULT false, force boolean DEFAULT false)
RETURNS SETOF reconcile.run
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  target record;
  targets integer := 0;
BEGIN
  PERFORM reconcile.require_open_channel_day(channel, business_date);
  IF method IS NULL OR method NOT IN ('batch', 'incremental', 'sql') THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('method "%s" is not known', coalesce(method, 'NULL')),
      HINT = 'Give batch, incremental or sql.';
  END IF;
  IF method = 'sql' AND dry_run IS NOT TRUE THEN
    RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
      MESSAGE = 'method "sql" publishes nothing',
      DETAIL = 'It finds the figures of a day with plain SQL, to check those of batch.',
      HINT = 'Say dry_run => true; what it finds is told by the text of reconcile.comparison_sql().';
  END IF;
  IF account IS NOT NULL THEN
    PERFORM reconcile.require_account(channel, account);
    PERFORM reconcile.require_access(channel, account);
  END IF;
  FOR target IN
    SELECT a.account, l.leg
    FROM reconcile.account a
    JOIN (SELECT DISTINCT g.channel, g.leg FROM reconcile.leg g) l ON l.channel = a.channel
    WHERE a.channel = run.channel AND (run.account IS NULL OR a.account = run.account)
      AND reconcile.has_access(a.channel, a.account)
      AND (run.leg IS NULL OR l.leg = run.leg)
    ORDER BY a.account, l.leg
  LOOP
    targets := targets + 1;
    IF method = 'sql' THEN
      RETURN NEXT reconcile.run_leg_sql(channel, target.account, target.leg, business_date, coalesce(force, false));
      CONTINUE;
    END IF;
    RETURN QUERY
      SELECT r.* FROM jsonb_array_elements(
        reconcile.run_leg(channel, target.account, target.leg, business_date, coalesce(dry_run, false),
                          coalesce(force, false), method)::jsonb) AS item (value),
        jsonb_populate_record(NULL::reconcile.run, item.value) AS r;
  END LOOP;
  IF targets = 0 THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = CASE WHEN leg IS NULL THEN format('channel "%s" has no account', channel)
                     ELSE format('channel "%s" has no leg "%s" or no account', channel, leg) END,
      HINT = 'Accounts are added with reconcile.create_account(); legs are listed in reconcile.leg.';
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.run(text, date, text, text, text, boolean, boolean)
IS 'Reconciles a business day of a channel: every leg of every account, or those named. Returns the runs: waiting (for what), succeeded or failed (why). dry_run writes nothing; force runs an incomplete day; method incremental matches again only what changed since the last runs, with the same result; method sql finds the figures with plain SQL';

-- The day that a leg's runs start with.
CREATE FUNCTION reconcile.first_due_day(p_channel text, p_account text, p_leg text) RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH first_statement AS (
    SELECT min(s.business_date) AS day FROM reconcile.statement s
    WHERE s.channel = p_channel AND (s.account IS NULL OR s.account = p_account) AND s.state IN ('accepted', 'waived')
  ), first_entry AS (
    -- maintain() forgets changes that every leg has seen; a leg that is added later finds the totals.
    SELECT least((SELECT min(g.recon_date) FROM reconcile.entry_change g
                  WHERE g.channel = p_channel AND g.account = p_account),
                 (SELECT min(t.recon_date) FROM reconcile.entry_total t
                  WHERE t.channel = p_channel AND t.account = p_account)) AS day
  ), first_run AS (
    SELECT min(r.business_date) AS day FROM reconcile.run r
    WHERE r.channel = p_channel AND r.account = p_account AND r.leg = p_leg AND r.current
  )
  SELECT least(r.day,
               -- A channel that sends statements starts with the first of them: what we recorded before has no
               -- counterpart.
               CASE WHEN EXISTS (SELECT FROM reconcile.expected_statement x
                                 WHERE x.channel = p_channel AND (x.account IS NULL OR x.account = p_account))
                    THEN s.day ELSE least(s.day, e.day) END)
  FROM first_statement s, first_entry e, first_run r
$$;
COMMENT ON FUNCTION reconcile.first_due_day(text, text, text) IS 'The day that a leg''s runs start with; NULL before any data';

-- A run stands as long as its snapshot showed all that its day consists of: entries, rules, and what was approved or
-- decided for it or for a day before it. (What it carried in is told by the days before.)
CREATE FUNCTION reconcile.first_changed_day(p_channel text, p_account text, p_leg text,
                                            p_after date DEFAULT '-infinity') RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH done AS (
    SELECT r.business_date AS day, r.snapshot, r.cluster, r.detail
    FROM reconcile.run r JOIN reconcile.account a ON a.channel = r.channel AND a.account = r.account
    WHERE r.channel = p_channel AND r.account = p_account AND r.leg = p_leg AND r.current
      AND r.business_date > greatest(p_after, coalesce(a.signed_through, '-infinity'))
  )
  SELECT least(
    (SELECT min(d.day) FROM done d
     JOIN reconcile.entry_change g ON g.channel = p_channel AND g.account = p_account AND g.recon_date = d.day
     WHERE NOT reconcile.run_has_seen_change(d.snapshot, d.cluster, d.detail, g.change_id, g.xid, g.cluster)),
    (SELECT min(d.day) FROM done d
     WHERE EXISTS (SELECT FROM reconcile.unseen_by_run(p_channel, p_account, p_leg, d.day, d.snapshot, d.cluster))))
$$;
COMMENT ON FUNCTION reconcile.first_changed_day(text, text, text, date)
IS 'The first open day after p_after that has been run and whose entries, rules, adjustments or confirmed matches changed since; NULL when none has';

-- The day that a leg should run next, NULL when nothing is to be done: the first day that has data or lies before a
-- run day and has not been run, or the first run day whose data changed since.
CREATE FUNCTION reconcile.next_run_day(p_channel text, p_account text, p_leg text, p_as_of timestamptz,
                                       p_after date DEFAULT '-infinity') RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT reconcile.require_access(p_channel, p_account);
  WITH setting AS (
    SELECT a.signed_through, ((p_as_of AT TIME ZONE c.time_zone) - c.day_start)::date - 1 AS last_whole_day
    FROM reconcile.channel c JOIN reconcile.account a ON a.channel = c.channel AND a.account = p_account
    WHERE c.channel = p_channel
  ), done AS (
    SELECT r.business_date AS day
    FROM reconcile.run r, setting s
    WHERE r.channel = p_channel AND r.account = p_account AND r.leg = p_leg AND r.current
      AND r.business_date > coalesce(s.signed_through, '-infinity')
  ), first_open AS (
    SELECT greatest(reconcile.first_due_day(p_channel, p_account, p_leg), s.signed_through + 1) AS day FROM setting s
  ), not_run AS (
    SELECT CASE WHEN EXISTS (SELECT FROM done r WHERE r.day = f.day)
                THEN (SELECT min(r.day) + 1 FROM done r
                      WHERE r.day >= f.day AND NOT EXISTS (SELECT FROM done n WHERE n.day = r.day + 1))
                ELSE f.day END AS day
    FROM first_open f
  )
  SELECT n.day
  FROM setting s
  CROSS JOIN LATERAL (SELECT least(reconcile.first_changed_day(p_channel, p_account, p_leg, p_after),
                                   (SELECT r.day FROM not_run r
                                    WHERE r.day <= s.last_whole_day AND r.day > p_after)) AS day) n
  -- A day whose proof failed is tried again when its data has changed, and once an hour.
  WHERE NOT EXISTS (
    SELECT FROM reconcile.run f
    WHERE f.channel = p_channel AND f.account = p_account AND f.leg = p_leg AND f.business_date >= n.day
      AND f.state = 'failed' AND f.finished_at > p_as_of - interval '1 hour'
      AND NOT EXISTS (SELECT FROM reconcile.entry_change g
                      WHERE g.channel = p_channel AND g.account = p_account AND g.recon_date <= f.business_date
                        AND NOT reconcile.run_has_seen(f.snapshot, f.cluster, g.xid, g.cluster))
      AND NOT EXISTS (SELECT FROM reconcile.unseen_by_run(p_channel, p_account, p_leg, f.business_date, f.snapshot, f.cluster)))
$$;
COMMENT ON FUNCTION reconcile.next_run_day(text, text, text, timestamptz, date) IS 'The day after p_after that a leg should run next, NULL when nothing is to be done';

-- One day of run_due. What ends it with an error is rolled back, and stays as a failed run: evidence, and what holds the day
-- up for an hour. A cancel is not caught.
CREATE FUNCTION reconcile.run_next_day(p_channel text, p_account text, p_leg text, p_as_of timestamptz,
                                       p_after date DEFAULT '-infinity', OUT day date, OUT state text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- From before the run, so that what changed since is known.
  before_run pg_snapshot := pg_current_snapshot();
  sqlstate_of_error text;
  message text;
  detail text;
  hint text;
  warning text;
BEGIN
  PERFORM reconcile.require_account(p_channel, p_account);
  PERFORM reconcile.require_access(p_channel, p_account);
  BEGIN
    day := reconcile.next_run_day(p_channel, p_account, p_leg, p_as_of, p_after);
    IF day IS NULL THEN
      RETURN;
    END IF;
    SELECT r.state INTO run_next_day.state FROM reconcile.run(p_channel, day, p_account, p_leg, 'incremental') r LIMIT 1;
    RETURN;
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS sqlstate_of_error = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
                            hint = PG_EXCEPTION_HINT;
  END;
  state := 'failed';
  warning := format('leg "%s" of account "%s" at channel "%s" could not be run for %s: %s', p_leg, p_account, p_channel,
                    coalesce(day::text, 'its next day'), message);
  CASE WHEN detail <> '' AND hint <> '' THEN RAISE WARNING USING ERRCODE = sqlstate_of_error, MESSAGE = warning, DETAIL = detail, HINT = hint;
       WHEN detail <> '' THEN RAISE WARNING USING ERRCODE = sqlstate_of_error, MESSAGE = warning, DETAIL = detail;
       WHEN hint <> '' THEN RAISE WARNING USING ERRCODE = sqlstate_of_error, MESSAGE = warning, HINT = hint;
       ELSE RAISE WARNING USING ERRCODE = sqlstate_of_error, MESSAGE = warning; END CASE;
  -- A deadlock or a lock that was not to be had says nothing of the day: the next call tries again.
  IF day IS NULL OR left(sqlstate_of_error, 2) = '40' OR sqlstate_of_error = '55P03' THEN
    RETURN;
  END IF;
  INSERT INTO reconcile.run (channel, account, leg, business_date, state, method, failure, snapshot, finished_at)
  SELECT p_channel, p_account, p_leg, run_next_day.day, 'failed',
         -- What has not been run yet is run as a whole.
         CASE WHEN EXISTS (SELECT FROM reconcile.run r
                           WHERE r.channel = p_channel AND r.account = p_account AND r.leg = p_leg
                             AND r.business_date = run_next_day.day AND r.current)
              THEN 'incremental' ELSE 'batch' END,
         concat_ws(' ', format('%s: %s.', sqlstate_of_error, message), nullif(detail, ''), nullif(hint, '')), before_run,
         clock_timestamp();
END
$$;
COMMENT ON FUNCTION reconcile.run_next_day(text, text, text, timestamptz, date)
IS 'Runs the day after p_after that a leg should run next, if any; an error is a warning and a failed run on record';

CREATE PROCEDURE reconcile.run_due(as_of timestamptz DEFAULT now())
LANGUAGE plpgsql
AS $$
DECLARE
  target record;
  last_day date;
  done record;
BEGIN
  FOR target IN
    SELECT a.channel, a.account, l.leg
    FROM reconcile.account a
    JOIN (SELECT DISTINCT g.channel, g.leg FROM reconcile.leg g) l
      ON l.channel OPERATOR(pg_catalog.=) a.channel
    ORDER BY a.channel, a.account, l.leg
  LOOP
    last_day := '-infinity';
    LOOP
      -- What one account's run ends with is no reason to keep the others waiting.
      SELECT d.day, d.state INTO done FROM reconcile.run_next_day(target.channel, target.account, target.leg, as_of, last_day) d;
      COMMIT;
      -- A day that waits or fails holds back the days after it.
      EXIT WHEN done.day IS NULL OR done.state OPERATOR(pg_catalog.<>) 'succeeded';
      last_day := done.day;
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON PROCEDURE reconcile.run_due(timestamptz)
IS 'Runs everything that is complete, in date order, each day in a transaction of its own; an error ends a leg''s turn, not the others''. For pg_cron, alone in its job';

-- Discrepancies and their history --------------------------------------------------------------------------

CREATE FUNCTION reconcile.append_events(p_events jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
  item jsonb;
  previous bytea;
  link bytea;
  recorded timestamptz := clock_timestamp();
  login name := session_user;
BEGIN
  -- One writer at a time: every event is chained to the one before it.
  PERFORM pg_advisory_xact_lock(hashtext('pg_reconcile discrepancy_event'));
  SELECT e.hash INTO previous FROM reconcile.discrepancy_event e ORDER BY e.event_id DESC LIMIT 1;
  previous := coalesce(previous, '\x'::bytea);
  FOR item IN SELECT value FROM jsonb_array_elements(p_events) LOOP
    link := sha256(previous || convert_to(jsonb_build_array(item -> 'discrepancy_id', item -> 'event',
                                                            item -> 'run_id', item -> 'details', login,
                                                            recorded)::text, 'UTF8'));
    INSERT INTO reconcile.discrepancy_event (discrepancy_id, event, run_id, details, actor, recorded_at,
                                             previous_hash, hash)
    VALUES ((item ->> 'discrepancy_id')::bigint, item ->> 'event', (item ->> 'run_id')::bigint, item -> 'details',
            login, recorded, previous, link);
    previous := link;
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.append_events(jsonb) IS 'Appends events [{discrepancy_id, event, run_id, details}] to the history, each chained to the one before';

CREATE FUNCTION reconcile.publish_discrepancies(p_channel text, p_account text, p_leg text, p_changes jsonb)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
BEGIN
  -- Entries come as texts: no JSON library has touched their numbers.
  SELECT jsonb_agg(c.value || jsonb_build_object('left_entry', (c.value ->> 'left_entry')::jsonb,
                                                 'right_entry', (c.value ->> 'right_entry')::jsonb) ORDER BY c.ordinality)
  INTO p_changes FROM jsonb_array_elements(p_changes) WITH ORDINALITY c;

  INSERT INTO reconcile.discrepancy (channel, account, leg, item_key, entry_kind, ordinal, first_entry, kind, business_date,
    opened_on, earlier_episodes, currency, difference, left_amount, left_currency, right_amount, right_currency, left_entry,
    right_entry, first_run_id, last_run_id)
  SELECT p_channel, p_account, p_leg, c.item_key, c.entry_kind, c.ordinal, c.first_entry, c.kind, c.business_date, c.opened_on,
         coalesce(c.earlier_episodes, '[]'), c.currency, c.difference, c.left_amount, c.left_currency, c.right_amount,
         c.right_currency, c.left_entry, c.right_entry, c.first_run_id, c.last_run_id
  FROM jsonb_populate_recordset(NULL::reconcile.discrepancy, p_changes) WITH ORDINALITY c
  WHERE p_changes -> (c.ordinality - 1)::integer ->> 'event' = 'opened'
  ORDER BY c.ordinality;

  UPDATE reconcile.discrepancy d SET
    first_entry = c.first_entry, kind = c.kind, business_date = c.business_date, opened_on = c.opened_on, cleared_on = c.cleared_on,
    earlier_episodes = coalesce(c.earlier_episodes, '[]'), currency = c.currency, difference = c.difference,
    left_amount = c.left_amount, left_currency = c.left_currency,
    right_amount = c.right_amount, right_currency = c.right_currency, left_entry = c.left_entry,
    right_entry = c.right_entry, last_run_id = c.last_run_id, updated_at = now(),
    state = CASE p_changes -> (c.ordinality - 1)::integer ->> 'event'
              WHEN 'cleared' THEN 'cleared' WHEN 'resolved' THEN 'resolved' WHEN 'reopened' THEN 'reopened'
              ELSE d.state END
  FROM jsonb_populate_recordset(NULL::reconcile.discrepancy, p_changes) WITH ORDINALITY c
  WHERE d.channel = p_channel AND d.account = p_account AND d.leg = p_leg AND d.item_key = c.item_key
    AND d.entry_kind = c.entry_kind AND d.ordinal = c.ordinal
    AND p_changes -> (c.ordinality - 1)::integer ->> 'event' <> 'opened';

  PERFORM reconcile.append_events(jsonb_agg(jsonb_build_object(
    'discrepancy_id', d.discrepancy_id, 'event', c.value ->> 'event', 'run_id', c.value -> 'last_run_id',
    'details', c.value - ARRAY['event', 'item_key', 'entry_kind', 'ordinal', 'discrepancy_id', 'first_run_id',
                               'last_run_id', 'first_entry', 'left_entry', 'right_entry']) ORDER BY c.ordinality))
  FROM jsonb_array_elements(p_changes) WITH ORDINALITY c
  JOIN reconcile.discrepancy d
    ON d.channel = p_channel AND d.account = p_account AND d.leg = p_leg AND d.item_key = c.value ->> 'item_key'
   AND d.entry_kind = c.value ->> 'entry_kind' AND d.ordinal = (c.value ->> 'ordinal')::integer;
END
$$;
COMMENT ON FUNCTION reconcile.publish_discrepancies(text, text, text, jsonb) IS 'Writes what a chain of runs changed in the discrepancies of a leg, with an event for each change';

GRANT SELECT ON reconcile.run, reconcile.run_total, reconcile.discrepancy, reconcile.discrepancy_event,
  reconcile.open_item, reconcile.match_group, reconcile.match_item, reconcile.match_suggestion, reconcile.match_decision,
  reconcile.adjustment, reconcile.day_close TO reconcile_reader;
GRANT EXECUTE ON FUNCTION reconcile.run(text, date, text, text, text, boolean, boolean),
  reconcile.next_run_day(text, text, text, timestamptz, date),
  reconcile.run_next_day(text, text, text, timestamptz, date) TO reconcile_operator, reconcile_worker;
GRANT EXECUTE ON PROCEDURE reconcile.run_due(timestamptz) TO reconcile_operator, reconcile_worker;
GRANT EXECUTE ON FUNCTION reconcile.waiting_for(text, text, text, text, text, date) TO reconcile_reader;
