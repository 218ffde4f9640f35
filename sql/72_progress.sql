-- What runs, comparisons and ingestions are doing at this moment.

CREATE FUNCTION reconcile.progress_slots()
RETURNS TABLE (pid integer, command text, channel text, account text, leg text, business_date date, phase text,
               rows_done bigint, rows_expected bigint, bytes_done bigint, bytes_expected bigint,
               bytes_spilled bigint, workers integer, started_at timestamptz, phase_started_at timestamptz)
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'reconcile_progress_slots';
COMMENT ON FUNCTION reconcile.progress_slots() IS 'What every process of this database says of its command, whoever may see it: progress() shows the caller''s share';

CREATE FUNCTION reconcile.progress_is_tracked() RETURNS boolean
LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'reconcile_progress_is_tracked';
COMMENT ON FUNCTION reconcile.progress_is_tracked() IS 'Whether run_progress can show anything: the library was preloaded';

CREATE FUNCTION reconcile.why_no_progress() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN NOT reconcile.progress_is_tracked()
              THEN 'pg_reconcile is not preloaded: add it to shared_preload_libraries and restart the server' END
$$;
COMMENT ON FUNCTION reconcile.why_no_progress() IS 'Why run_progress is empty whatever runs; NULL when it shows what runs';

CREATE FUNCTION reconcile.progress()
RETURNS TABLE (pid integer, command text, channel text, account text, leg text, business_date date, phase text,
               rows_done bigint, rows_expected bigint, bytes_done bigint, bytes_expected bigint,
               bytes_spilled bigint, workers integer, started_at timestamptz, phase_started_at timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT s.* FROM reconcile.progress_slots() s
  WHERE s.channel IS NULL OR reconcile.has_access(s.channel, s.account)
$$;
COMMENT ON FUNCTION reconcile.progress() IS 'The commands at work in this database that the caller may see';

CREATE VIEW reconcile.run_progress WITH (security_invoker = true) AS
SELECT p.pid, current_database() AS database, p.command, p.channel, p.account, p.leg, p.business_date, p.phase,
       p.rows_done, p.rows_expected, p.bytes_done, p.bytes_expected, p.bytes_spilled, p.workers,
       p.started_at, p.phase_started_at
FROM reconcile.progress() p;
COMMENT ON VIEW reconcile.run_progress IS 'Runs, comparisons and ingestions at work in this database; empty when the library is not preloaded: why_no_progress()';
COMMENT ON COLUMN reconcile.run_progress.pid IS 'The process, as in pg_stat_activity';
COMMENT ON COLUMN reconcile.run_progress.database IS 'This database';
COMMENT ON COLUMN reconcile.run_progress.command IS 'run, compare or ingest';
COMMENT ON COLUMN reconcile.run_progress.channel IS 'The channel; NULL for a comparison';
COMMENT ON COLUMN reconcile.run_progress.account IS 'The account; NULL for a comparison, and when the file says it';
COMMENT ON COLUMN reconcile.run_progress.leg IS 'The leg of a run';
COMMENT ON COLUMN reconcile.run_progress.business_date IS 'The day that is being run: moves on when later days run again. Of an ingestion: the day that its caller gave';
COMMENT ON COLUMN reconcile.run_progress.phase IS 'A run: waiting for lock, reading left, reading right, matching, writing, classifying, proving, done. A comparison: up to writing. An ingestion: hashing, waiting for lock, reading, replacing (what a re-issue corrects), writing';
COMMENT ON COLUMN reconcile.run_progress.rows_done IS 'Rows read in this phase, counted every 8,192 rows';
COMMENT ON COLUMN reconcile.run_progress.rows_expected IS 'Rows that this phase should come to: the totals'' count of a run, the planner''s estimate of a comparison; NULL: not known';
COMMENT ON COLUMN reconcile.run_progress.bytes_done IS 'Bytes of the file read in this phase, as they lie on disk; NULL: the phase reads no file';
COMMENT ON COLUMN reconcile.run_progress.bytes_expected IS 'The size of the file';
COMMENT ON COLUMN reconcile.run_progress.bytes_spilled IS 'Bytes of rows that wait to be matched, written to temporary files by all processes of the match at hand; NULL: an ingestion';
COMMENT ON COLUMN reconcile.run_progress.workers IS 'Parallel workers that work with the process at this moment; NULL: an ingestion';
COMMENT ON COLUMN reconcile.run_progress.started_at IS 'When the command started';
COMMENT ON COLUMN reconcile.run_progress.phase_started_at IS 'When the phase started';

GRANT EXECUTE ON FUNCTION reconcile.progress(), reconcile.progress_is_tracked(), reconcile.why_no_progress()
  TO reconcile_reader;
GRANT SELECT ON reconcile.run_progress TO reconcile_reader;
