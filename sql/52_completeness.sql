-- What a run waits for. Empty: the day is complete for the leg.

-- Transaction ids mean nothing in another cluster, and a dump carries both runs and changes there: what changed since
-- the restore is new to every run from before it, and what was restored is known to every run made since.
CREATE FUNCTION reconcile.run_has_seen(run_snapshot pg_snapshot, run_cluster bigint, change_xid xid8,
                                       change_cluster bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN run_cluster = change_cluster THEN pg_visible_in_snapshot(change_xid, run_snapshot)
              ELSE run_cluster = reconcile.local_system_identifier() END
$$;
COMMENT ON FUNCTION reconcile.run_has_seen(pg_snapshot, bigint, xid8, bigint) IS 'Whether the snapshot that a run read showed what a transaction changed';

-- A snapshot cannot tell what its own transaction changed before it was taken from what it changed later.
CREATE FUNCTION reconcile.run_has_seen_change(run_snapshot pg_snapshot, run_cluster bigint, run_detail jsonb,
                                              change_id bigint, change_xid xid8, change_cluster bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT reconcile.run_has_seen(run_snapshot, run_cluster, change_xid, change_cluster)
         AND (change_xid IS DISTINCT FROM (run_detail ->> 'transaction')::xid8
              OR change_cluster <> run_cluster
              OR change_id <= (run_detail ->> 'last_change')::bigint)
$$;
COMMENT ON FUNCTION reconcile.run_has_seen_change(pg_snapshot, bigint, jsonb, bigint, xid8, bigint)
IS 'Whether a run has seen a row of entry_change: its snapshot showed it, and it is not one that the run''s own transaction added later';

CREATE FUNCTION reconcile.what_statement_waits_for(s reconcile.statement) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE
    WHEN s.reason IS NOT NULL THEN 'which waits for a decision: ' || s.reason
    WHEN s.error_count > 0 AND NOT EXISTS (SELECT FROM jsonb_array_elements(s.control -> 'lines') AS l (line)
                                           WHERE NOT (l.line ->> 'agrees')::boolean AND l.line ->> 'name' <> 'rows taken in')
      THEN format('%s of whose rows are set aside (reconcile.statement_error)', s.error_count)
    ELSE 'whose control totals do not agree' END
$$;
COMMENT ON FUNCTION reconcile.what_statement_waits_for(reconcile.statement) IS 'Why a statement in state control_mismatch holds its day, in words';

-- Why a book of a day is not complete: statements that are missing, or whose totals do not agree.
CREATE FUNCTION reconcile.missing_statements(p_channel text, p_account text, p_book text, p_day date) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(m.reason ORDER BY m.reason)
  FROM (
    SELECT DISTINCT format('the %s statement of %s', p_book, p_day) AS reason
    FROM reconcile.expected_statement e
    WHERE e.channel = p_channel AND e.book = p_book AND (e.account IS NULL OR e.account = p_account)
      AND p_day >= e.valid_from AND (e.valid_to IS NULL OR p_day <= e.valid_to)
      AND reconcile.is_open_day(e.calendar, p_day)
      AND NOT EXISTS (SELECT FROM reconcile.statement s
                      WHERE s.channel = p_channel AND (s.account IS NULL OR s.account = p_account)
                        AND s.book = p_book AND s.business_date = p_day AND s.state IN ('accepted', 'waived', 'control_mismatch'))
    UNION ALL
    SELECT format('%s statement "%s" (id %s), ', s.book, s.file_name, s.statement_id) || reconcile.what_statement_waits_for(s)
    FROM reconcile.statement s
    WHERE s.channel = p_channel AND (s.account IS NULL OR s.account = p_account) AND s.book = p_book
      AND s.business_date = p_day AND s.state = 'control_mismatch'
  ) m
$$;
COMMENT ON FUNCTION reconcile.missing_statements(text, text, text, date) IS 'Statements of a book that a day still needs, in words; NULL when none is missing';

-- Streams are complete when their source's time has passed the day's end and the grace for late commits.
CREATE FUNCTION reconcile.lagging_sources(p_channel text, p_account text, p_book text, p_day date) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(format('source "%s" to pass %s (it stands at %s)', s.name,
                          to_char(c.complete_at AT TIME ZONE c.time_zone, 'YYYY-MM-DD HH24:MI:SS'),
                          coalesce(to_char(p.source_time AT TIME ZONE c.time_zone, 'YYYY-MM-DD HH24:MI:SS'),
                                   'its start')) ORDER BY s.name)
  FROM reconcile.source s
  CROSS JOIN (SELECT ch.time_zone, (((p_day + 1)::timestamp + ch.day_start) AT TIME ZONE ch.time_zone)
                                   + ch.late_commit_grace AS complete_at
              FROM reconcile.channel ch WHERE ch.channel = p_channel) c
  LEFT JOIN reconcile.source_position p ON p.source_id = s.source_id
  WHERE s.kind IN ('replication', 'binlog', 'queue', 'pull') AND s.book = p_book AND s.dropped_at IS NULL
    AND (s.channels IS NULL OR p_channel = ANY (s.channels)) AND (s.account IS NULL OR s.account = p_account)
    AND (p.source_time IS NULL OR p.source_time < c.complete_at)
$$;
COMMENT ON FUNCTION reconcile.lagging_sources(text, text, text, date) IS 'Sources that have not yet delivered everything of a day, in words; NULL when none lags';

-- Rows that a stream set aside, and that may be of the day: committed between its start and what is waited for.
CREATE FUNCTION reconcile.quarantined_rows(p_channel text, p_account text, p_book text, p_day date) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(format('%s of source "%s" in quarantine (reconcile.source_error)',
                          CASE q.rows WHEN 1 THEN 'a row' ELSE q.rows || ' rows' END, q.name) ORDER BY q.name)
  FROM (
    SELECT s.name, count(*) AS rows
    FROM reconcile.source s
    JOIN reconcile.source_error e ON e.source_id = s.source_id AND e.settled_at IS NULL AND e.stage = 'mapping'
    CROSS JOIN (SELECT ((p_day::timestamp + ch.day_start) AT TIME ZONE ch.time_zone) AS day_start,
                       (((p_day + 1)::timestamp + ch.day_start) AT TIME ZONE ch.time_zone) + ch.late_commit_grace AS complete_at
                FROM reconcile.channel ch WHERE ch.channel = p_channel) c
    WHERE s.book = p_book AND s.dropped_at IS NULL
      AND (s.channels IS NULL OR p_channel = ANY (s.channels)) AND (s.account IS NULL OR s.account = p_account)
      AND coalesce(e.committed_at, e.created_at) >= c.day_start AND coalesce(e.committed_at, '-infinity') < c.complete_at
    GROUP BY s.name) q
$$;
COMMENT ON FUNCTION reconcile.quarantined_rows(text, text, text, date) IS 'Rows of streams that could not become entries and may be of a day, in words; NULL when there is none';

CREATE FUNCTION reconcile.last_run_day(p_channel text, p_account text, p_leg text, p_before date) RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT max(r.business_date) FROM reconcile.run r
  WHERE r.channel = p_channel AND r.account = p_account AND r.leg = p_leg AND r.current AND r.business_date < p_before
$$;
COMMENT ON FUNCTION reconcile.last_run_day(text, text, text, date) IS 'The last day before p_before that has been run; NULL when there is none';

CREATE FUNCTION reconcile.waiting_for(p_channel text, p_account text, p_leg text, p_left_book text,
                                      p_right_book text, p_day date) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT reconcile.require_access(p_channel, p_account);
  SELECT array_agg(w.reason ORDER BY w.priority, w.reason)
  FROM (
    SELECT 1 AS priority, format('the run of %s, which comes first', l.day + 1) AS reason
    FROM (SELECT reconcile.last_run_day(p_channel, p_account, p_leg, p_day) AS day) l
    WHERE l.day < p_day - 1
    UNION ALL
    SELECT 2, unnest(reconcile.missing_statements(p_channel, p_account, b.book, p_day))
    FROM (VALUES (p_left_book), (p_right_book)) AS b (book)
    UNION ALL
    SELECT 3, unnest(reconcile.lagging_sources(p_channel, p_account, b.book, p_day))
    FROM (VALUES (p_left_book), (p_right_book)) AS b (book)
    UNION ALL
    SELECT 4, unnest(reconcile.quarantined_rows(p_channel, p_account, b.book, p_day))
    FROM (VALUES (p_left_book), (p_right_book)) AS b (book)
    UNION ALL
    SELECT 5, format('the day''s end, %s', to_char(e.day_end AT TIME ZONE e.time_zone, 'YYYY-MM-DD HH24:MI'))
    FROM (SELECT c.time_zone, ((p_day + 1)::timestamp + c.day_start) AT TIME ZONE c.time_zone AS day_end
          FROM reconcile.channel c WHERE c.channel = p_channel) e
    WHERE e.day_end > now()
  ) w
$$;
COMMENT ON FUNCTION reconcile.waiting_for(text, text, text, text, text, date) IS 'Everything that the run of a day still waits for, in words; NULL when it may run';

-- What a day's run consists of, entries aside, and its snapshot did not show. Set 1 was there before any run.
CREATE FUNCTION reconcile.unseen_by_run(p_channel text, p_account text, p_leg text, p_day date,
                                        p_snapshot pg_snapshot, p_cluster bigint) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('adjustment %s was approved', j.adjustment_id)
  FROM reconcile.adjustment j JOIN reconcile.discrepancy y USING (discrepancy_id)
  WHERE y.channel = p_channel AND y.account = p_account AND y.leg = p_leg AND j.state = 'approved' AND j.recon_date <= p_day
    AND NOT reconcile.run_has_seen(p_snapshot, p_cluster, j.xid, j.cluster)
  UNION ALL
  SELECT format('suggestion %s was %s', d.suggestion_id, d.decision) FROM reconcile.match_decision d
  WHERE d.channel = p_channel AND d.account = p_account AND d.leg = p_leg AND d.recon_date <= p_day
    AND NOT reconcile.run_has_seen(p_snapshot, p_cluster, d.xid, d.cluster)
  UNION ALL
  SELECT format('match rules version %s were set', r.version) FROM reconcile.match_rule r
  WHERE r.channel = p_channel AND r.leg = p_leg AND r.pass = 1 AND r.version > 1
    AND r.version = reconcile.rule_set(p_channel, p_leg, p_day)
    AND NOT reconcile.run_has_seen(p_snapshot, p_cluster, r.xid, r.cluster)
$$;
COMMENT ON FUNCTION reconcile.unseen_by_run(text, text, text, date, pg_snapshot, bigint) IS 'Adjustments, decisions and rules of a day, or of one before it, that the snapshot of its run did not show, in words';
