-- reconcile.compare gives one answer on every path: heap pages by one process, by several, with rows spilled to
-- files, with a filter, and through the executor (a filter that is always true, and volatile). The executor's answer is held against plain SQL
-- in 40_compare_property.sql.
SET client_min_messages = warning;
SELECT plan(104);
\set seed 1
\getenv seed PG_RECONCILE_SEED
SELECT setseed((:seed % 100003) / 100003.0);

-- What a comparison returns, as one value that does not depend on the order of rows.
CREATE FUNCTION answer(l regclass, r regclass, k text[], c text[], filter text DEFAULT NULL, tolerance jsonb DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
  SELECT (SELECT count(*) || ' ' || coalesce(md5(string_agg(d, '|' ORDER BY d COLLATE "C")), '')
          FROM (SELECT row_to_json(x)::text AS d FROM reconcile.compare(l, r, k, c, filter, filter, tolerance) AS x) AS rows)
      || ' ' || (SELECT s::text FROM reconcile.compare_summary(l, r, k, c, filter, filter, tolerance) AS s)
$$;
CREATE FUNCTION path(l regclass, r regclass, k text[], c text[]) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(path || ' ' || workers, ', ' ORDER BY side) FROM reconcile.explain_compare(l, r, k, c) $$;

-- Four ways to the same answer; `workers` is whether several processes are to be had.
CREATE FUNCTION one_answer(l regclass, r regclass, k text[], c text[], title text, tolerance jsonb DEFAULT NULL, workers int DEFAULT 2)
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  wanted text;
BEGIN
  PERFORM set_config('max_parallel_workers_per_gather', '0', true);
  wanted := answer(l, r, k, c, 'random() >= 0', tolerance);
  RETURN NEXT is(path(l, r, k, c), 'heap pages 0, heap pages 0', title || ': reads heap pages');
  RETURN NEXT is(answer(l, r, k, c, NULL, tolerance), wanted, title || ': one process');
  PERFORM set_config('max_parallel_workers_per_gather', '2', true);
  PERFORM set_config('min_parallel_table_scan_size', '0', true);
  RETURN NEXT is(path(l, r, k, c), format('heap pages %s, heap pages %1$s', workers), title || ': workers');
  RETURN NEXT is(answer(l, r, k, c, NULL, tolerance), wanted, title || ': several processes');
  PERFORM set_config('pg_reconcile.memory_limit', '8MB', true);
  RETURN NEXT is(answer(l, r, k, c, NULL, tolerance), wanted, title || ': little memory');
END $$;

-- ---- everything that can be in a row ----------------------------------------------------------------------------
CREATE FUNCTION pick(pool anyarray) RETURNS anyelement LANGUAGE sql VOLATILE
AS $$ SELECT pool[1 + floor(random() * cardinality(pool))::int] $$;
CREATE TABLE l (gone int, flag boolean, k int, small smallint, t text, gone_too text, n numeric, padded char(8), u uuid,
                at timestamptz, wide text, d date, big bigint, f float8, iv interval, nm name);
INSERT INTO l
SELECT i, i % 3 = 0, CASE WHEN random() < 0.3 THEN 1 WHEN random() < 0.05 THEN NULL ELSE (random() * 4000)::int END,
       (random() * 3)::int, pick(ARRAY['', 'a', 'é', '支付宝', NULL, 'longer than seven bytes']), 'gone',
       pick(ARRAY['1', '1.0', '1.00', '-1', 'NaN', '1e20', '123456789.123456789', '0.1', NULL]::numeric[]),
       pick(ARRAY['a', 'a ', 'b', NULL]), pick(ARRAY['11111111-1111-1111-1111-111111111111', NULL]::uuid[]),
       pick(ARRAY['2026-11-21 23:59:58+08', 'infinity']::timestamptz[]),
       CASE WHEN i % 100 = 0 THEN (SELECT string_agg(md5((i / 1000 * j)::text), '') FROM generate_series(1, 100) AS j)
            WHEN i % 100 = 1 THEN repeat('compress me ', 400) ELSE pick(ARRAY['x', NULL]) END,
       pick(ARRAY['2026-11-21', NULL]::date[]), pick(ARRAY[1, 1::bigint << 40, NULL]::bigint[]),
       pick(ARRAY['0', '-0', '1.5', 'NaN']::float8[]), pick(ARRAY['1 day', '24 hours', '1 mon', '30 days']::interval[]), 'n'
FROM generate_series(1, 6000) AS i;
ALTER TABLE l DROP COLUMN gone, DROP COLUMN gone_too;
ALTER TABLE l ADD COLUMN added text DEFAULT 'as it was', ADD COLUMN added_null int;
CREATE TABLE r (added_null int, wide text, k int, t text, n numeric, padded char(8), added text, u uuid, at timestamptz, flag boolean,
                small smallint, d date, big bigint, f float8, iv interval, nm name);
INSERT INTO r SELECT added_null, wide, k, t, CASE WHEN random() < 0.02 THEN n + 1 WHEN random() < 0.5 THEN n * 1.0 ELSE n END, padded, added, u, at,
                     flag, small, d, big, f, iv, nm
FROM l WHERE random() > 0.02;
INSERT INTO r SELECT * FROM r WHERE random() < 0.02;
INSERT INTO l (k, t, n, added) SELECT k, t, n, 'new' FROM l WHERE random() < 0.01;
UPDATE l SET big = 7 WHERE random() < 0.1;
DELETE FROM l WHERE random() < 0.02;
SELECT one_answer('l', 'r', '{k,small}', '{flag,t,n,padded,u,at,wide,d,big,f,iv,nm,added,added_null}', 'every type');
SELECT one_answer('l', 'r', '{t,n}', '{k,wide}', 'numerics in the key');
SELECT one_answer('l', 'r', '{k}', '{}', 'keys alone');
SELECT one_answer('l', 'r', '{k,small,t,padded,flag}', '{n}', 'within tolerance', '{"n": "1"}');
SELECT one_answer('l', 'l', '{k}', '{n,k=added_null}', 'one column twice');
VACUUM (FREEZE) l, r;
SELECT one_answer('l', 'r', '{k,small}', '{flag,t,n,padded,u,at,wide,d,big,f,iv,nm,added,added_null}', 'vacuumed');
CREATE TABLE nothing (LIKE l);
SELECT one_answer('l', 'nothing', '{k}', '{n}', 'an empty side');

-- ---- partitions: their own column orders and dropped columns --------------------------------------------------
CREATE TABLE parts (k int, n numeric, t text, d int) PARTITION BY RANGE (d);
CREATE TABLE parts_1 (t text, gone int, d int NOT NULL, n numeric, k int);
ALTER TABLE parts_1 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY LIST (d);
CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES IN (10, 11);
CREATE TABLE parts_2b PARTITION OF parts_2 DEFAULT;
INSERT INTO parts SELECT k, n, t, (random() * 19)::int FROM l;
SELECT one_answer('parts', 'r', '{k}', '{n,t}', 'partitions');

-- ---- which path, and why ---------------------------------------------------------------------------------------
CREATE VIEW v AS SELECT * FROM r;
CREATE TEMP TABLE mine AS SELECT * FROM r;
CREATE TABLE parent (k int, n numeric, t text);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE with_json AS SELECT k, to_jsonb(n) AS j FROM r LIMIT 100;
SELECT is((SELECT path || ': ' || reason FROM reconcile.explain_compare('v', 'r', '{k}', '{n}') WHERE side = 'left'),
  'executor: it is a view', 'a view is read by the executor');
SELECT is((SELECT path || ': ' || reason FROM reconcile.explain_compare('parent', 'r', '{k}', '{n}') WHERE side = 'left'),
  'executor: it has or had children that inherit from it', 'and so is a table with children');
SELECT is((SELECT path || ': ' || (reason !~ 'cast') FROM reconcile.explain_compare('l', 'r', '{big=k}', '{n}') WHERE side = 'right'),
  'heap pages: true', 'a column that is cast is read from heap pages');
SELECT is((SELECT path || ': ' || (reason ~ '; its filter is evaluated on every row$') FROM reconcile.explain_compare('l', 'r', '{k}', '{n}', right_filter => 'k > 1') WHERE side = 'right'),
  'heap pages: true', 'and so is a side with a filter');
CREATE FUNCTION unsafe(k int) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT k > 1 OR k IS NULL FROM (SELECT 1 OFFSET 0) s $$;
CREATE FUNCTION reason_of(filter text) RETURNS text LANGUAGE sql AS
$$ SELECT path || ': ' || reason FROM reconcile.explain_compare('l', 'r', '{k}', '{n}', right_filter => filter) WHERE side = 'right' $$;
SELECT is(reason_of('k > random()'), 'executor: its filter is volatile', 'but not a volatile one');
SELECT is(reason_of('k IN (SELECT 1)'), 'executor: its filter has a subquery', 'or one that asks other tables');
SELECT is(reason_of('unsafe(k)'), 'executor: its filter calls what is not parallel safe', 'or one that workers may not evaluate');
SELECT is(reason_of('r IS NOT NULL'), 'executor: its filter reads the row or a system column', 'or one of the whole row');
SELECT is(reason_of('r.ctid IS NOT NULL'), 'executor: its filter reads the row or a system column', 'or of what no column is');

-- A filter whose few rows an index or the bounds of partitions find.
CREATE TABLE indexed AS SELECT i AS k, i % 100 AS n FROM generate_series(1, 50000) AS i;
CREATE UNIQUE INDEX ON indexed (k);
CREATE TABLE small AS SELECT * FROM indexed WHERE k < 100;
CREATE TABLE unindexed AS SELECT * FROM indexed;
ANALYZE indexed, small, unindexed;
CREATE FUNCTION paths(l regclass, r regclass, lf text, rf text) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(path || CASE WHEN reason ~ 'find the few rows' THEN ': few' ELSE '' END, ', ' ORDER BY side)
   FROM reconcile.explain_compare(l, r, '{k}', '{n}', lf, rf) $$;
SELECT is(paths('indexed', 'indexed', 'k < 100', 'k = 5'), 'executor: few, executor: few', 'both sides by an index');
SELECT is(paths('indexed', 'small', 'k < 100', NULL), 'executor: few, heap pages', 'a small table and a few rows of a large one');
SELECT is(paths('indexed', 'unindexed', 'k < 100', 'k < 100'), 'heap pages, heap pages', 'not where the other side is read whole anyway');
SELECT is(paths('indexed', 'indexed', 'k < 40000', 'k < 40000'), 'heap pages, heap pages', 'nor for most of the rows');
SELECT is((SELECT c::text FROM reconcile.compare_summary('indexed', 'small', '{k}', '{n}', 'k < 101') AS c), '(100,99,99,0,1,0,0,0)', 'with one answer');

-- What is declared STABLE and is not: said, where values of an uncast type would be read.
CREATE FUNCTION flips(k int) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN RETURN random() < 0.5; END $$;
SELECT is(reason_of('flips(k)') LIKE 'heap pages: %', true, 'or one that only says that it is stable');
SELECT throws_ok($$SELECT * FROM reconcile.compare('l', 'r', '{big=k}', '{k=n}', 'flips(k)')$$, '42P17',
  'a filter gave two answers for one row', 'which is refused when its rows are read again');
SELECT throws_ok($$SELECT * FROM reconcile.compare('l', 'r', '{k}', '{k=n}', 'flips(k)')$$, '42P17', NULL, 'whatever is cast');

-- Filters and casts: the executor's answer by one process, by several and with little memory.
CREATE FUNCTION filtered(l regclass, r regclass, k text[], c text[], lf text, rf text) RETURNS text LANGUAGE sql AS $$
  SELECT (SELECT count(*) || ' ' || coalesce(md5(string_agg(d, '|' ORDER BY d COLLATE "C")), '')
          FROM (SELECT row_to_json(x)::text AS d FROM reconcile.compare(l, r, k, c, lf, rf) AS x) AS rows)
      || ' ' || (SELECT s::text FROM reconcile.compare_summary(l, r, k, c, lf, rf) AS s)
$$;
CREATE FUNCTION same_filtered(l regclass, r regclass, k text[], c text[], lf text, rf text, title text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  wanted text := filtered(l, r, k, c, '(' || lf || ') AND random() >= 0', '(' || rf || ') AND random() >= 0');
BEGIN
  RETURN NEXT is((SELECT count(*) FROM reconcile.explain_compare(l, r, k, c, lf, rf) WHERE path = 'heap pages'), 2::bigint, title || ': reads heap pages');
  PERFORM set_config('max_parallel_workers_per_gather', '0', true);
  RETURN NEXT is(filtered(l, r, k, c, lf, rf), wanted, title || ': one process');
  PERFORM set_config('max_parallel_workers_per_gather', '2', true);
  PERFORM set_config('min_parallel_table_scan_size', '0', true);
  RETURN NEXT is(filtered(l, r, k, c, lf, rf), wanted, title || ': several processes');
  PERFORM set_config('pg_reconcile.memory_limit', '8MB', true);
  RETURN NEXT is(filtered(l, r, k, c, lf, rf), wanted, title || ': little memory');
END $$;
SELECT same_filtered('l', 'r', '{k}', '{n,t}', 'k > 100', 'k > 90', 'a range');
SELECT same_filtered('l', 'r', '{k}', '{n,t}', 'true', 'NULL', 'all of one, none of the other');
SELECT same_filtered('l', 'r', '{k}', '{n}', 't LIKE ''%a%'' OR wide IS NULL', 'length(wide) < 100 AND at < now()', 'columns that are not compared, and long values');
SELECT same_filtered('l', 'r', '{big=k}', '{small=k,padded=t}', 'k > 10', 'k > 10', 'casts: whole numbers and texts');
SELECT same_filtered('l', 'r', '{n=k}', '{k=n,t=nm,k=big}', 'n = 1', 'k > 0', 'casts to numeric, and a column twice');
SELECT same_filtered('parts', 'r', '{n=k}', '{t}', 'd BETWEEN 5 AND 12 AND k > 5', 'k IS NOT NULL', 'partitions');
SELECT is((SELECT path || ' ' || workers || ': ' || reason FROM reconcile.explain_compare('mine', 'r', '{k}', '{n}') WHERE side = 'left'),
  'heap pages 0: a temporary table is this session''s alone', 'a temporary table is for one process');
SELECT is((SELECT path || ' ' || workers || ': ' || reason FROM reconcile.explain_compare('with_json', 'with_json', '{k}', '{j}') WHERE side = 'left'),
  'heap pages 0: column "j" is of a type that has no canonical form', 'and so are values that only their type knows');
SET max_parallel_workers_per_gather = 0;
SELECT is(answer('mine', 'l', '{k}', '{n,t}'), answer('mine', 'l', '{k}', '{n,t}', 'random() >= 0'), 'a temporary table');
SELECT is(answer('with_json', 'with_json', '{k}', '{j}'), answer('with_json', 'with_json', '{k}', '{j}', 'random() >= 0'), 'jsonb');
RESET max_parallel_workers_per_gather;

\! psql -X -q -c "CREATE TEMP TABLE theirs AS SELECT 1 AS k" -c "SELECT pg_sleep(60)" >/dev/null 2>&1 &
DO $$ BEGIN
  FOR i IN 1 .. 600 LOOP
    EXIT WHEN EXISTS (SELECT FROM pg_class WHERE relname = 'theirs');
    PERFORM pg_sleep(0.05);
  END LOOP;
END $$;
SELECT format('%I.theirs', relnamespace::regnamespace) AS theirs FROM pg_class WHERE relname = 'theirs' \gset
SELECT is((SELECT path || ': ' || reason FROM reconcile.explain_compare(:'theirs', 'r', '{k}', '{}') WHERE side = 'left'),
  'executor: it is another session''s temporary table', 'another session''s temporary table is for the executor to refuse');
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query = 'SELECT pg_sleep(60)';

-- ---- visibility --------------------------------------------------------------------------------------------------
SET min_parallel_table_scan_size = 0;
BEGIN;
UPDATE l SET n = 77 WHERE k = 1;
DELETE FROM r WHERE k = 2;
SAVEPOINT s;
INSERT INTO l (k, n) SELECT 3, 3 FROM generate_series(1, 500);
ROLLBACK TO s;
SELECT is(answer('l', 'r', '{k}', '{n,t}'), answer('l', 'r', '{k}', '{n,t}', 'random() >= 0'), 'own changes are seen, those rolled back are not');
SELECT is((SELECT workers FROM reconcile.explain_compare('l', 'r', '{k}', '{n,t}') WHERE side = 'left'), 2, 'by the workers, too');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT is(answer('l', 'r', '{k}', '{n,t}'), answer('l', 'r', '{k}', '{n,t}', 'random() >= 0'), 'serializable');
SELECT ok((SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock' AND relation IN ('l'::regclass, 'r'::regclass) AND page IS NULL) = 2,
  'takes predicate locks on both tables');
COMMIT;

-- Row security: who is under a policy goes through the executor and sees what it lets through.
CREATE ROLE compare_paths_reader;
GRANT SELECT ON l, r TO compare_paths_reader;
GRANT reconcile_reader TO compare_paths_reader;
ALTER TABLE r ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON r TO compare_paths_reader USING (k = 1);
SELECT is((SELECT path FROM reconcile.explain_compare('l', 'r', '{k}', '{n}') WHERE side = 'right'), 'heap pages', 'the owner is under no policy');
GRANT USAGE ON SCHEMA public TO compare_paths_reader;
SET ROLE compare_paths_reader;
SELECT is((SELECT path || ': ' || reason FROM reconcile.explain_compare('l', 'r', '{k}', '{n}') WHERE side = 'right'),
  'executor: row security is active for the role that reads it', 'who is under one is read for by the executor');
SELECT is((SELECT missing_right FROM reconcile.compare_summary('l', 'r', '{k}', '{}')),
  (SELECT count(*) FROM l WHERE k IS DISTINCT FROM 1), 'and sees what the policy lets through');
RESET ROLE;
DROP POLICY few ON r;
ALTER TABLE r DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON l, r FROM compare_paths_reader;
REVOKE ALL ON SCHEMA public FROM compare_paths_reader;
DROP ROLE compare_paths_reader;

-- ---- memory: what the process took at most, beyond its share of the server's ------------------------------------
CREATE FUNCTION peak_kb() RETURNS int LANGUAGE sql AS
$$ SELECT substring(pg_read_file('/proc/self/status') FROM 'VmPeak:\s*(\d+) kB')::int $$;
CREATE FUNCTION growth_kb(l regclass, r regclass, c text[], filter text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  before int := peak_kb();
BEGIN
  PERFORM reconcile.compare_summary(l, r, '{k}', c, filter, filter);
  RETURN peak_kb() - before;
END $$;
SET max_parallel_workers_per_gather = 0;
SET pg_reconcile.memory_limit = '8MB';
-- Nobody has counted these rows; or when there were none.
CREATE TABLE uncounted WITH (autovacuum_enabled = off) AS SELECT i AS k, int4range(i % 100, 200) AS v FROM generate_series(1, 800000) AS i;
CREATE TABLE uncounted_too (LIKE uncounted) WITH (autovacuum_enabled = off);
INSERT INTO uncounted_too SELECT * FROM uncounted LIMIT 10;
ANALYZE uncounted_too;
UPDATE pg_class SET reltuples = 0 WHERE oid = 'uncounted_too'::regclass;
INSERT INTO uncounted_too SELECT * FROM uncounted OFFSET 10;
SELECT cmp_ok(growth_kb('uncounted', 'uncounted_too', '{}', NULL), '<', 35000, 'a table''s rows are divided by its size when nobody has counted them');
SELECT cmp_ok(growth_kb('uncounted', 'uncounted_too', '{}', 'random() >= 0'), '<', 35000, 'rows that the executor reads are divided however few are expected');
SELECT cmp_ok(growth_kb('uncounted', 'uncounted_too', '{v}', NULL), '<', 35000, 'what a type''s functions leave behind is freed row by row');
SELECT is((SELECT matched FROM reconcile.compare_summary('uncounted', 'uncounted_too', '{k}', '{v}')), 800000::bigint, 'of a type without a canonical form');
RESET max_parallel_workers_per_gather;
RESET pg_reconcile.memory_limit;

-- ---- more rows than memory -----------------------------------------------------------------------------------
CREATE TABLE many AS SELECT i AS k, i % 100 AS v FROM generate_series(1, 400000) AS i;
CREATE TABLE many_too AS SELECT i AS k, CASE WHEN i % 1000 = 0 THEN -1 ELSE i % 100 END AS v FROM generate_series(1, 400000) AS i ORDER BY i DESC;
INSERT INTO many SELECT -1, i % 7 FROM generate_series(1, 100000) AS i;
INSERT INTO many_too SELECT -1, i % 7 FROM generate_series(1, 100010) AS i;
SELECT pg_stat_force_next_flush();
CREATE TEMP TABLE before AS SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database();
SET pg_reconcile.memory_limit = '8MB';
SELECT is((SELECT (left_rows, right_rows, matched, mismatched, duplicate_right)::text FROM reconcile.compare_summary('many', 'many_too', '{k}')),
  '(500000,500010,499600,400,10)', 'rows that wait in files, half of them under one key');
SELECT pg_stat_force_next_flush();
SELECT cmp_ok((SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()) - (SELECT temp_bytes FROM before), '>',
  16000000::bigint, 'are counted as temporary files');
SET max_parallel_workers_per_gather = 0;
SELECT is((SELECT (left_rows, right_rows, matched, mismatched, duplicate_right)::text FROM reconcile.compare_summary('many', 'many_too', '{k}')),
  '(500000,500010,499600,400,10)', 'and in the files of one process');
SELECT is((SELECT (left_rows, right_rows, matched, mismatched, duplicate_right)::text FROM reconcile.compare_summary('many', 'many_too', '{k}', NULL, 'random() >= 0', 'random() >= 0')),
  '(500000,500010,499600,400,10)', 'and when the executor reads');
SELECT is((SELECT (left_rows, right_rows, matched, mismatched, duplicate_right)::text FROM reconcile.compare_summary('many', 'many_too', '{k}', NULL, right_filter => 'random() >= 0')),
  '(500000,500010,499600,400,10)', 'one side or both');
SELECT is((SELECT count(*) FROM pg_ls_tmpdir()), 0::bigint, 'which are gone afterwards');
SELECT throws_ok($$SET pg_reconcile.memory_limit = '1MB'$$, '22023', NULL, 'less than 8 MB is refused');
SELECT * FROM finish();
