-- One key with more rows than pg_reconcile.memory_limit holds. A file of its own, as a process's peak of memory never falls.
SET client_min_messages = warning;
SELECT plan(8);
CREATE FUNCTION peak_kb() RETURNS int LANGUAGE sql AS
$$ SELECT substring(pg_read_file('/proc/self/status') FROM 'VmPeak:\s*(\d+) kB')::int $$;
CREATE FUNCTION growth_kb(filter text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  before int := peak_kb();
BEGIN
  PERFORM reconcile.compare_summary('one_key', 'one_key_too', '{k}', '{v}', filter, filter);
  RETURN peak_kb() - before;
END $$;
CREATE FUNCTION compare_error(query text, OUT state text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE query;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
-- 300,000 rows a side under one key: 100,000 equal, 200,000 that differ; ten left over.
CREATE TABLE one_key AS SELECT 1 AS k, i AS v FROM generate_series(1, 300000) AS i;
CREATE TABLE one_key_too AS SELECT 1 AS k, CASE WHEN i <= 100000 THEN i ELSE i + 1000000 END AS v FROM generate_series(1, 300010) AS i ORDER BY i % 1000, i;
SET max_parallel_workers_per_gather = 0;
SET pg_reconcile.memory_limit = '8MB';
SET work_mem = '1MB';
SELECT cmp_ok(growth_kb(NULL), '<', 35000, 'one key''s rows, more of them than memory, wait in files');
SELECT cmp_ok(growth_kb('random() >= 0'), '<', 35000, 'and when the executor reads them');
SELECT is((SELECT (left_rows, right_rows, matched, mismatched, duplicate_right)::text FROM reconcile.compare_summary('one_key', 'one_key_too', '{k}')),
  '(300000,300010,100000,200000,10)', 'and come to what they would in memory');
CREATE TEMP TABLE paired AS SELECT * FROM reconcile.compare('one_key', 'one_key_too', '{k}');
SELECT is((SELECT count(*) FILTER (WHERE kind = 'mismatch' AND (right_row->>'v')::int = (left_row->>'v')::int + 1000000 AND differing = '{v}') || ' ' ||
                  count(*) FILTER (WHERE kind = 'duplicate_right' AND (right_row->>'v')::int > 1300000) || ' ' || count(*) FROM paired),
  '200000 10 200010', 'pair the first with the first in their order, what is left over is a duplicate');
RESET max_parallel_workers_per_gather;
SELECT is((SELECT (left_rows, right_rows, matched, mismatched, duplicate_right)::text FROM reconcile.compare_summary('one_key', 'one_key_too', '{k}')),
  '(300000,300010,100000,200000,10)', 'several processes come to the same');
SELECT is((SELECT count(*) || ' ' || max(detail) || ' ' || max(hint) FROM compare_error($$SELECT reconcile.compare_summary('one_key', 'one_key_too', '{k}', '{v}', tolerance => '{"v": "1"}')$$) WHERE state = '54000'),
  '1 The rows of the key (k = 1) that have no equal on the other side take more than the 8 MB of pg_reconcile.memory_limit. Add a column to key that tells the rows apart, raise pg_reconcile.memory_limit, or leave tolerance out.',
  'within tolerance they have to fit into memory, and the error names the key and the limit');
-- Equal rows, more on one side.
SELECT is((SELECT (left_rows, right_rows, matched, mismatched, duplicate_left)::text
           FROM reconcile.compare_summary('one_key', 'one_key_too', '{k}', '{}', right_filter => 'v > 10')), '(300000,300000,300000,0,0)', 'equal rows pair whatever their number');
SELECT is((SELECT (left_rows, right_rows, matched, mismatched, duplicate_left)::text
           FROM reconcile.compare_summary('one_key', 'one_key_too', '{k}', '{}', right_filter => 'v > 20')), '(300000,299990,299990,0,10)', 'and are duplicates where there are more');
RESET work_mem;
RESET pg_reconcile.memory_limit;
SELECT * FROM finish();
