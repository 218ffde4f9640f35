-- Which entries are a statement's. A re-issue keeps the entries of what is the same in it: they stay with the statement
-- that brought them, and belong to every statement of its series.

CREATE FUNCTION reconcile.series_statements(statement_ids bigint[]) RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(DISTINCT m.statement_id ORDER BY m.statement_id)
  FROM (SELECT DISTINCT coalesce(s.series_id, s.statement_id) AS series_id
        FROM reconcile.statement s WHERE s.statement_id = ANY (statement_ids)) r
  JOIN LATERAL (SELECT r.series_id
                UNION ALL
                SELECT s.statement_id FROM reconcile.statement s WHERE s.series_id = r.series_id) AS m (statement_id) ON true
$$;
COMMENT ON FUNCTION reconcile.series_statements(bigint[]) IS 'These statements and those that they correct or continue, or that do so with them';

-- An update or a deletion after sign-off leaves the signed-off row alone, and enters a delta: what the row says since is in
-- its history. Keys of files are <statement_id>/<row>, and <key>#<n> for deltas: each statement's keys are one range.
CREATE FUNCTION reconcile.changed_after_sign_off(statement_ids bigint[])
RETURNS TABLE (source_id integer, source_key text, statement_id bigint, stored jsonb, version jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT e.source_id, e.source_key, e.statement_id, to_jsonb(e), nullif(l.entry, 'null')
  FROM (
    SELECT DISTINCT ON (h.source_id, split_part(h.source_key, '#', 1))
           h.source_id, split_part(h.source_key, '#', 1) COLLATE "C" AS source_key, h.reason, h.entry
    FROM reconcile.statement s
    JOIN reconcile.entry_history h
      ON h.source_id = s.source_id AND h.source_key >= s.statement_id || '/' AND h.source_key < s.statement_id || '0'
    WHERE s.statement_id = ANY (changed_after_sign_off.statement_ids)
    ORDER BY h.source_id, split_part(h.source_key, '#', 1), h.history_id DESC
  ) l
  JOIN reconcile.entry e ON e.source_id = l.source_id AND e.source_key = l.source_key
  WHERE l.reason = 'after_sign_off' AND e.statement_id = ANY (changed_after_sign_off.statement_ids)
$$;
COMMENT ON FUNCTION reconcile.changed_after_sign_off(bigint[]) IS 'Rows of statements that changed after their day was signed off: what is stored, and what they say now (NULL: taken back)';

-- What the day's statements say of themselves less what their stored entries add up to, per currency.
CREATE FUNCTION reconcile.statement_differences(p_channel text, p_account text, p_books text[], p_day date)
RETURNS TABLE (currency text, entries bigint, amount numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH day_statement AS MATERIALIZED (
    SELECT s.statement_id, s.entry_totals FROM reconcile.statement s
    WHERE s.channel = p_channel AND (s.account IS NULL OR s.account = p_account) AND s.book = ANY (p_books)
      AND s.business_date = p_day AND s.state IN ('accepted', 'control_mismatch')
  ), stated AS (
    SELECT t.currency, sum((k.figures ->> 'count')::bigint)::bigint AS entries,
           sum((k.figures ->> 'amount')::numeric) AS amount
    FROM day_statement d, jsonb_each(d.entry_totals) AS t (currency, kinds), jsonb_each(t.kinds) AS k (kind, figures)
    GROUP BY t.currency
  ), series AS MATERIALIZED (
    SELECT reconcile.series_statements((SELECT array_agg(d.statement_id) FROM day_statement d)) AS statement_ids
  ), changed AS MATERIALIZED (
    SELECT c.* FROM series r, reconcile.changed_after_sign_off(r.statement_ids) c
  ), stored AS (
    SELECT v.currency, count(*) AS entries, sum(v.amount) AS amount
    FROM (
      SELECT e.currency, e.amount FROM reconcile.entry e
      WHERE e.statement_id IN (SELECT unnest(r.statement_ids) FROM series r)
        AND NOT EXISTS (SELECT FROM changed c WHERE c.source_id = e.source_id AND c.source_key = e.source_key)
      UNION ALL
      SELECT c.version ->> 'currency', (c.version ->> 'amount')::numeric FROM changed c WHERE c.version IS NOT NULL
    ) v
    GROUP BY v.currency
  )
  SELECT coalesce(a.currency, b.currency), coalesce(a.entries, 0) - coalesce(b.entries, 0),
         coalesce(a.amount, 0) - coalesce(b.amount, 0)
  FROM stated a FULL JOIN stored b ON b.currency = a.currency
$$;
COMMENT ON FUNCTION reconcile.statement_differences(text, text, text[], date)
IS 'Proof line e: per currency, entries and amount that a day''s statements stated when they were taken in, less what is stored of them and of what they correct';


CREATE FUNCTION reconcile.withdraw_statement(statement_id bigint, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  stored reconcile.statement;
  withdrawn bigint[];
  entry_key text;
  taken_back bigint := 0;
BEGIN
  IF reason IS NULL OR btrim(reason) = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'withdrawing a statement needs a reason',
      HINT = 'Say why it should not have been taken in, for the audit.';
  END IF;
  SELECT s.* INTO stored FROM reconcile.statement s WHERE s.statement_id = withdraw_statement.statement_id;
  IF FOUND THEN
    PERFORM reconcile.require_access(stored.channel, stored.account);
    PERFORM pg_advisory_xact_lock(hashtext('pg_reconcile statement'), stored.source_id);
    SELECT s.* INTO stored FROM reconcile.statement s WHERE s.statement_id = withdraw_statement.statement_id FOR UPDATE;
  END IF;
  IF coalesce(stored.state, '') NOT IN ('accepted', 'control_mismatch') THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('statement %s is %s', statement_id, coalesce(stored.state, 'unknown')),
      HINT = 'Statements that stand are withdrawn: those in state accepted or control_mismatch.';
  END IF;
  IF stored.created_by = session_user THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
      MESSAGE = format('statement %s was taken in by %s', statement_id, session_user),
      HINT = 'Who takes a file in does not withdraw it: ask another approver.';
  END IF;
  -- What it corrected goes with it. What was appended to it, or it to, stays.
  SELECT CASE WHEN bool_or(s.statement_id <> stored.statement_id AND s.state <> 'superseded')
              THEN ARRAY[stored.statement_id] ELSE array_agg(s.statement_id) END
  INTO withdrawn
  FROM reconcile.statement s
  WHERE s.statement_id = ANY (reconcile.series_statements(ARRAY[stored.statement_id]))
    AND s.state IN ('accepted', 'control_mismatch', 'superseded');
  PERFORM set_config('pg_reconcile.sink_records', 'off', true);
  FOR entry_key IN
    SELECT e.source_key FROM reconcile.entry e
    WHERE e.source_id = stored.source_id AND e.statement_id = ANY (withdrawn) ORDER BY e.source_key
  LOOP
    IF reconcile.supersede_entry(stored.source_id, entry_key, NULL) THEN
      taken_back := taken_back + 1;
    END IF;
  END LOOP;
  UPDATE reconcile.statement s
  SET state = 'withdrawn', reason = format('withdrawn by %s: %s', session_user, withdraw_statement.reason)
  WHERE s.statement_id = ANY (withdrawn);
  RETURN taken_back;
END
$$;
COMMENT ON FUNCTION reconcile.withdraw_statement(bigint, text) IS 'Takes back a statement that should not have been taken in, and what it corrected, for a recorded reason; never by who took it in. Its rows go, or are taken back on the next open day where their day is signed off; the files may be ingested again. Returns how many rows went';

GRANT EXECUTE ON FUNCTION reconcile.withdraw_statement(bigint, text) TO reconcile_approver;
