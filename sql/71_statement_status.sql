-- What a day needs, what has come, what is late, and what does not agree with itself.

CREATE VIEW reconcile.statement_status WITH (security_invoker = true) AS
WITH needed AS (
  SELECT e.channel, a.account, e.book, d.day::date AS business_date,
         (d.day + interval '1 day' + c.day_start + e.deadline) AT TIME ZONE c.time_zone AS due_at
  FROM reconcile.expected_statement e
  JOIN reconcile.channel c ON c.channel = e.channel
  JOIN reconcile.account a ON a.channel = e.channel AND a.account = coalesce(e.account, a.account)
  CROSS JOIN LATERAL generate_series(
    -- A channel begins with its first statement; until one is in, yesterday's is the one that is awaited.
    greatest(e.valid_from, c.first_date,
             coalesce((SELECT min(f.business_date) FROM reconcile.statement f
                       WHERE f.channel = e.channel AND f.book = e.book AND (f.account IS NULL OR f.account = a.account)),
                      ((now() AT TIME ZONE c.time_zone) - c.day_start)::date - 1))::timestamp,
    least(coalesce(e.valid_to, 'infinity'), ((now() AT TIME ZONE c.time_zone) - c.day_start)::date - 1)::timestamp,
    interval '1 day') AS d (day)
  WHERE reconcile.is_open_day(e.calendar, d.day::date)
)
SELECT coalesce(n.channel, s.channel) AS channel,
       coalesce(n.account, s.account) AS account,
       coalesce(n.book, s.book) AS book,
       coalesce(n.business_date, s.business_date) AS business_date,
       n.channel IS NOT NULL AS expected,
       coalesce(s.state, CASE WHEN now() > n.due_at THEN 'late' ELSE 'awaited' END) AS state,
       n.due_at,
       s.created_at AS received_at,
       s.created_at > n.due_at OR (s.statement_id IS NULL AND now() > n.due_at) AS late,
       s.statement_id,
       s.part,
       s.file_name,
       s.format,
       s.entry_count,
       s.skipped_count,
       s.error_count,
       s.control ->> 'verdict' AS control,
       (SELECT jsonb_agg(l.line) FROM jsonb_array_elements(s.control -> 'lines') AS l (line)
        WHERE NOT (l.line ->> 'agrees')::boolean) AS control_differences,
       s.entry_totals,
       CASE WHEN s.statement_id IS NOT NULL THEN s.reason
            ELSE reconcile.fetch_reason(n.channel, n.account, n.book, n.business_date) END AS reason,
       s.supersedes,
       s.kept_count,
       s.changed_count,
       s.added_count,
       s.removed_count
FROM needed n
FULL JOIN (SELECT * FROM reconcile.statement t WHERE t.state NOT IN ('superseded', 'withdrawn')) s
  ON s.channel = n.channel AND s.book = n.book AND s.business_date = n.business_date
     AND coalesce(s.account, n.account) = n.account;
COMMENT ON VIEW reconcile.statement_status IS 'For every day: which statements are expected, which have come, which are late, and whether they agree with their own totals';
COMMENT ON COLUMN reconcile.statement_status.channel IS 'The channel';
COMMENT ON COLUMN reconcile.statement_status.account IS 'The account';
COMMENT ON COLUMN reconcile.statement_status.book IS 'The book';
COMMENT ON COLUMN reconcile.statement_status.business_date IS 'The day';
COMMENT ON COLUMN reconcile.statement_status.expected IS 'Whether the day needs it';
COMMENT ON COLUMN reconcile.statement_status.state IS 'awaited, late, accepted, control_mismatch, rejected or waived';
COMMENT ON COLUMN reconcile.statement_status.due_at IS 'When it is late';
COMMENT ON COLUMN reconcile.statement_status.received_at IS 'When it was taken in';
COMMENT ON COLUMN reconcile.statement_status.late IS 'It came late, or has not come and should have';
COMMENT ON COLUMN reconcile.statement_status.statement_id IS 'The statement';
COMMENT ON COLUMN reconcile.statement_status.part IS 'Which part of the day it is';
COMMENT ON COLUMN reconcile.statement_status.file_name IS 'Its file';
COMMENT ON COLUMN reconcile.statement_status.format IS 'Its format';
COMMENT ON COLUMN reconcile.statement_status.entry_count IS 'Entries stored';
COMMENT ON COLUMN reconcile.statement_status.skipped_count IS 'Rows that its format says are no movement';
COMMENT ON COLUMN reconcile.statement_status.error_count IS 'Rows in statement_error';
COMMENT ON COLUMN reconcile.statement_status.control IS 'agreed, mismatch, missing (it states no totals) or none (its format has none)';
COMMENT ON COLUMN reconcile.statement_status.control_differences IS 'The totals that do not agree';
COMMENT ON COLUMN reconcile.statement_status.entry_totals IS 'What its entries add up to, per currency and kind';
COMMENT ON COLUMN reconcile.statement_status.reason IS 'Why it is rejected, waived, waits for a decision, or is accepted in spite of its totals; of one that is fetched and has not come, what asking for it has come to';
COMMENT ON COLUMN reconcile.statement_status.supersedes IS 'The statement that it corrects';
COMMENT ON COLUMN reconcile.statement_status.kept_count IS 'Of a re-issue: rows that were there already and were left alone';
COMMENT ON COLUMN reconcile.statement_status.changed_count IS 'Of a re-issue: rows that bear the name of a stored one and say something else';
COMMENT ON COLUMN reconcile.statement_status.added_count IS 'Of a re-issue: rows that were not there';
COMMENT ON COLUMN reconcile.statement_status.removed_count IS 'Of a re-issue: stored rows that it no longer has, taken back';

GRANT SELECT ON reconcile.statement_status TO reconcile_reader, reconcile_worker;
