-- What reconcile.compare says, by example: the rules of docs/compare.md one at a time.
BEGIN;
SET client_min_messages = warning;
SELECT plan(24);
CREATE TABLE l (id int, amount numeric, note text);
CREATE TABLE r (id int, amount numeric, note text);
CREATE FUNCTION pg_temp.given(left_rows text, right_rows text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE l, r;
  IF left_rows <> '' THEN EXECUTE 'INSERT INTO l VALUES ' || left_rows; END IF;
  IF right_rows <> '' THEN EXECUTE 'INSERT INTO r VALUES ' || right_rows; END IF;
END $$;
-- kind key differing left amount/right amount, in order
CREATE FUNCTION pg_temp.found(tolerance jsonb DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), 'nothing') FROM (
    SELECT concat_ws(' ', kind, key, differing, left_row->>'amount', '/', right_row->>'amount') AS line
    FROM reconcile.compare('l', 'r', '{id}', NULL, NULL, NULL, tolerance)) AS c
$$;
CREATE FUNCTION pg_temp.counted(tolerance jsonb DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
  SELECT s::text FROM reconcile.compare_summary('l', 'r', '{id}', NULL, NULL, NULL, tolerance) AS s
$$;
CREATE FUNCTION pg_temp.expect(left_rows text, right_rows text, tolerance jsonb, rows text, summary text, what text)
RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_temp.given(left_rows, right_rows);
  RETURN NEXT is(pg_temp.found(tolerance), rows, what);
  RETURN NEXT is(pg_temp.counted(tolerance), summary, what || ', counted');
END $$;

-- left_rows, right_rows, matched, missing_left, missing_right, mismatched, duplicate_left, duplicate_right
SELECT pg_temp.expect('(1, 1.0, ''a''), (NULL, 2, NULL)', '(NULL, 2.00, NULL), (1, 1, ''a'')', NULL,
  'nothing', '(2,2,2,0,0,0,0,0)', 'equal rows, NULL keys and NULL values');
SELECT pg_temp.expect('(1, 1, NULL), (2, 2, NULL), (2, 2, NULL)', '(3, 3, NULL)', NULL,
  E'missing_left {3} / 3\nmissing_right {1} 1 /\nmissing_right {2} 2 /\nmissing_right {2} 2 /', '(3,1,0,1,3,0,0,0)',
  'a key that one side does not have is missing, as often as it occurs');
SELECT pg_temp.expect('(1, 1, NULL), (1, 2, NULL), (1, 3, NULL)', '(1, 2, NULL), (1, 4, NULL)', NULL,
  E'duplicate_left {1} 3 /\nmismatch {1} {amount} 1 / 4', '(3,2,1,0,0,1,1,0)',
  'equal rows pair first, then the first with the first, the rest is a duplicate');
SELECT pg_temp.expect('(1, NULL, ''a''), (1, 9, ''a'')', '(1, 10, ''b''), (1, NULL, ''b'')', NULL,
  E'mismatch {1} {amount,note} 9 / 10\nmismatch {1} {note} /', '(2,2,0,0,0,2,0,0)',
  'mismatches pair in the order of the values, NULL last');
SELECT pg_temp.expect('(1, 100, ''a''), (2, 100, ''a''), (3, NULL, ''a''), (4, 100, ''a'')', '(1, 100.01, ''a''), (2, 100.02, ''a''), (3, 0, ''a''), (4, 100.01, ''b'')',
  '{"amount": "0.01"}', E'mismatch {2} {amount} 100 / 100.02\nmismatch {3} {amount} / 0\nmismatch {4} {note} 100 / 100.01', '(4,4,1,0,0,3,0,0)',
  'within tolerance is matched, and what is within does not differ');
SELECT pg_temp.expect('(1, 10, NULL), (1, 12, NULL)', '(1, 11, NULL), (1, 8, NULL)', '{"amount": 2}',
  'nothing', '(2,2,2,0,0,0,0,0)', 'as many as possible pair: 10 leaves 11 to 12');
SELECT pg_temp.expect('(1, 10, NULL), (1, 11, NULL)', '(1, 11, NULL), (1, 13, NULL)', '{"amount": 2}',
  E'mismatch {1} {amount} 10 / 13', '(2,2,1,0,0,1,0,0)', 'equal rows pair first even where tolerance could pair more');
SELECT pg_temp.expect('(1, 1000, NULL), (2, -1000, NULL), (3, 0, NULL)', '(1, 1001, NULL), (2, -1001.01, NULL), (3, 0.0001, NULL)', '{"amount": "0.1%"}',
  E'mismatch {2} {amount} -1000 / -1001.01\nmismatch {3} {amount} 0 / 0.0001', '(3,3,1,0,0,2,0,0)', 'a percentage of the larger magnitude');

-- Times.
CREATE TABLE moment (id int, a timestamptz, d date, t time, n int);
CREATE TABLE moment_other AS TABLE moment;
INSERT INTO moment VALUES (1, '2026-11-21 23:59:58+08', '2026-11-21', '23:59:58', 10), (2, 'infinity', 'infinity', '00:00', 10), (3, '2026-11-21 00:00+08', '2026-11-21', '12:00', 10);
INSERT INTO moment_other VALUES (1, '2026-11-22 00:00:03+08', '2026-11-22', '23:59:53', 11), (2, '294000-01-01', '5000000-01-01', '23:59:59', 10), (3, '2026-11-21 00:00:05.000001+08', '2026-11-23', '12:00:05.000001', 12);
SELECT results_eq($$SELECT key, differing FROM reconcile.compare('moment', 'moment_other', '{id}', NULL, NULL, NULL,
    '{"a": "5 seconds", "d": "1 day", "t": "5 seconds", "n": "10%"}') ORDER BY key$$,
  $$VALUES ('{2}'::text[], '{a,d,t}'::text[]), ('{3}', '{a,d,t,n}')$$, 'intervals for timestamps, dates and times; days are 24 hours');

-- Names, keys of several columns.
ALTER TABLE r RENAME id TO number;
SELECT pg_temp.given('(1, 1, ''x''), (1, 1, ''y'')', '(1, 1, ''x''), (1, 2, ''y'')');
SELECT results_eq($$SELECT kind, key, differing, left_row, right_row FROM reconcile.compare('l', 'r', '{id=number,note}')$$,
  $$VALUES ('mismatch', '{1,y}'::text[], '{amount}'::text[], '{"id": 1, "note": "y", "amount": 1}'::jsonb, '{"number": 1, "note": "y", "amount": 2}'::jsonb)$$,
  'names that differ, in a key of two columns');
SELECT results_eq($$SELECT kind, key, differing, left_row, right_row FROM reconcile.compare('l', 'r', '{note}', '{id=amount}', $f$note = 'y'$f$, $f$note = 'y'$f$, '{"id=amount": "0.5"}')$$,
  $$VALUES ('mismatch', '{y}'::text[], '{id}'::text[], '{"id": 1, "note": "y"}'::jsonb, '{"amount": 2, "note": "y"}'::jsonb)$$,
  'any column with any other, and its tolerance by either name');
SELECT is((SELECT matched FROM reconcile.compare_summary('l', 'r', '{id=number}', '{}')), 2::bigint, 'keys alone');
SELECT is((SELECT count(*) FROM reconcile.compare('l', 'r', '{id=number}')), 1::bigint, 'NULL compares all common columns');
SELECT results_eq($$SELECT key FROM reconcile.compare('l', 'l', '{note,id}', right_filter => 'false', left_filter => 'note = ''x''')$$,
  $$VALUES (ARRAY['x', '1'])$$, 'the key in the order it was asked for');

-- The documentation is there.
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'reconcile'::regnamespace AND p.proname LIKE 'compare%'
  AND obj_description(p.oid, 'pg_proc') IS NULL$$, 'commented');
SELECT is((SELECT proargnames[1:7] FROM pg_proc WHERE proname = 'compare' AND pronamespace = 'reconcile'::regnamespace),
  '{left_relation,right_relation,key,compare,left_filter,right_filter,tolerance}', 'arguments have their names');
SELECT * FROM finish();
ROLLBACK;
