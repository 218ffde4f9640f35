-- reconcile.compare against plain SQL, on generated data sets: duplicates, NULL keys, unicode, long texts, huge, tiny
-- and negative numbers, NaN, skewed keys, one key for all rows, empty sides. Three in four are compared exactly, row
-- for row; one in four within tolerances, by counts against a search that tries every pairing.
--
-- Environment: PROPERTY_SETS (how many data sets; 2000), PG_RECONCILE_SEED (1).
\set sets 2000
\getenv sets PROPERTY_SETS
\set seed 1
\getenv seed PG_RECONCILE_SEED
BEGIN;
SET client_min_messages = warning;
SELECT plan(9);

CREATE TEMP TABLE setting AS
SELECT :sets * 3 / 4 AS exact_sets, :sets / 4 AS tolerance_sets;
SELECT setseed((:seed % 100003) / 100003.0);

CREATE FUNCTION pg_temp.pick(pool anyarray, size int DEFAULT NULL) RETURNS anyelement LANGUAGE sql VOLATILE
AS $$ SELECT pool[1 + floor(random() * coalesce(least(size, cardinality(pool)), cardinality(pool)))::int] $$;

-- ---- exact ---------------------------------------------------------------------------------------------------
-- One data set is one value of ds, which the filters pick. The right side has other names and another column order.
CREATE TABLE l (ds int, k_int int, k_text text, amount numeric, note text, at timestamptz, f float8, j jsonb);
CREATE TABLE r (j jsonb, other_key text, ds int, note text, k_int int, amount numeric, f float8, at timestamptz);

CREATE TEMP TABLE shape AS
SELECT ds,
       (ARRAY[0, 1, 3, 8, 20, 40])[1 + floor(random() * 6)::int] AS left_rows,
       (ARRAY[1, 2, 5, 30])[1 + floor(random() * 4)::int] AS keys,
       (ARRAY[1, 2, 6, 100])[1 + floor(random() * 4)::int] AS pool,
       (ARRAY[0, 0.1, 0.4])[1 + floor(random() * 3)::int] AS null_share,
       (ARRAY[0, 0.5, 0.9])[1 + floor(random() * 3)::int] AS skew,
       (ARRAY[0, 0.1, 0.5, 1])[1 + floor(random() * 4)::int] AS change_share,
       ds % 5 AS layout
FROM setting, generate_series(1, exact_sets) AS ds;

CREATE FUNCTION pg_temp.fill_left() RETURNS void LANGUAGE sql AS $$
  INSERT INTO l
  SELECT s.ds,
         CASE WHEN random() < s.null_share THEN NULL WHEN random() < s.skew THEN 1
              ELSE pg_temp.pick(ARRAY[1, -1, 0, 2147483647, -2147483648, 7, 8, 9, 10, 11, 12, 13, 14], s.keys) END,
         CASE WHEN random() < s.null_share THEN NULL WHEN random() < s.skew THEN 'k'
              ELSE pg_temp.pick(ARRAY['k', '', 'é', E'e\u0301', '支付宝', 'K', 'k ', ' k', '订单=1', 'a/b', '''', '"', '\'], s.keys) END,
         CASE WHEN random() < s.null_share THEN NULL
              ELSE pg_temp.pick(ARRAY['1', '1.0', '1.00', '-1', '0', '0.00', '1e-20', '0.1', '-0.1', '9999', '10000', '10000.0000',
                     '123456789012345678901234567890.123', '1e300', '-1e300', '1e-130', 'NaN', 'Infinity', '-Infinity',
                     '99999999.99', '1e16383']::numeric[], s.pool) END,
         CASE WHEN random() < s.null_share THEN NULL
              ELSE pg_temp.pick(ARRAY['a', 'b', '', 'A', 'é', E'e\u0301', '微信支付', '😀', 'a ', ' a', repeat('long ', 1000),
                     repeat('long ', 1000) || '!'], s.pool) END,
         CASE WHEN random() < s.null_share THEN NULL
              ELSE pg_temp.pick(ARRAY['2026-11-21 23:59:58+08', '2026-11-21 15:59:58+00', '2026-11-21 15:59:58.000001+00',
                     'infinity', '-infinity', '0001-01-01 00:00+00', '294000-01-01 00:00+00']::timestamptz[], s.pool) END,
         CASE WHEN random() < s.null_share THEN NULL
              ELSE pg_temp.pick(ARRAY['0', '-0', '0.1', 'NaN', 'Infinity', '1e308', '5e-324', '-1']::float8[], s.pool) END,
         CASE WHEN random() < s.null_share THEN NULL
              ELSE pg_temp.pick(ARRAY['{"a": 1}', '{"a": 1.0}', '{"a": 1, "b": 2}', '{"b": 2, "a": 1}', '[]', '[1]', '"x"', '1', '{}']::jsonb[], s.pool) END
  FROM shape s, generate_series(1, s.left_rows)
$$;
SELECT pg_temp.fill_left();
-- The right: what the left has with changes, some rows gone, some twice, and rows from another data set.
INSERT INTO r (ds, k_int, other_key, amount, note, at, f, j)
SELECT s.ds, l.k_int, l.k_text,
       CASE WHEN random() < s.change_share / 3 THEN pg_temp.pick(ARRAY['1.000', '2', '10000.0', NULL, '-1.0', '1e300']::numeric[]) ELSE l.amount END,
       CASE WHEN random() < s.change_share / 3 THEN pg_temp.pick(ARRAY['a', 'zzz', NULL, '支']) ELSE l.note END,
       CASE WHEN random() < s.change_share / 5 THEN l.at + interval '1 microsecond' ELSE l.at END,
       CASE WHEN random() < s.change_share / 5 THEN -l.f ELSE l.f END,
       CASE WHEN random() < s.change_share / 5 THEN NULL ELSE l.j END
FROM l JOIN shape s USING (ds), generate_series(1, 1 + (random() < 0.15)::int)
WHERE random() > 0.12
UNION ALL
SELECT s.ds, l.k_int, l.k_text, l.amount, l.note, l.at, l.f, l.j
FROM l JOIN shape s ON s.ds = l.ds + 1 WHERE random() < 0.1;
ANALYZE l;
ANALYZE r;

-- What each layout compares. Compared columns in the order amount, note, at, f, j.
CREATE TEMP TABLE layout (layout int, key text[], compared text[]);
INSERT INTO layout VALUES
  (0, '{k_int}', '{amount,note}'),
  (1, '{k_int,k_text=other_key}', '{amount,at}'),
  (2, '{amount}', '{note,f}'),
  (3, '{k_text=other_key}', '{amount,note,at,f,j}'),
  (4, '{j,k_int}', '{}');

CREATE TEMP TABLE got (ds int, kind text, differing text[], left_row jsonb, right_row jsonb, key text[]);
CREATE TEMP TABLE got_summary (ds int, left_rows bigint, right_rows bigint, matched bigint, missing_left bigint,
  missing_right bigint, mismatched bigint, duplicate_left bigint, duplicate_right bigint);
DO $$
DECLARE s record; started timestamptz := clock_timestamp();
BEGIN
  FOR s IN SELECT shape.ds, layout.key, layout.compared FROM shape JOIN layout USING (layout) LOOP
    INSERT INTO got SELECT s.ds, c.kind, c.differing, c.left_row, c.right_row, c.key
    FROM reconcile.compare('l', 'r', s.key, s.compared, 'ds = ' || s.ds, 'r.ds = ' || s.ds) AS c;
    INSERT INTO got_summary SELECT s.ds, c.*
    FROM reconcile.compare_summary('l', 'r', s.key, s.compared, 'ds = ' || s.ds, 'r.ds = ' || s.ds) AS c;
  END LOOP;
END
$$;

-- The same in plain SQL. jsonb stands for a row's values: its equality is that of the values.
CREATE TEMP TABLE plain AS
WITH side AS (
  SELECT 'left' AS side, ds, layout, k_int, k_text, amount, note, at, f, j FROM l JOIN shape USING (ds)
  UNION ALL
  SELECT 'right', ds, layout, k_int, other_key, amount, note, at, f, j FROM r JOIN shape USING (ds)
), boxed AS (  -- jsonb null is no SQL NULL
  SELECT *, CASE WHEN j IS NOT NULL THEN jsonb_build_array(j) END AS box FROM side
)
SELECT side, ds, layout,
       CASE layout WHEN 0 THEN jsonb_build_array(k_int) WHEN 1 THEN jsonb_build_array(k_int, k_text)
                   WHEN 2 THEN jsonb_build_array(amount) WHEN 3 THEN jsonb_build_array(k_text)
                   ELSE jsonb_build_array(box, k_int) END AS k,
       CASE layout WHEN 0 THEN jsonb_build_array(amount, note) WHEN 1 THEN jsonb_build_array(amount, at)
                   WHEN 2 THEN jsonb_build_array(note, f) WHEN 3 THEN jsonb_build_array(amount, note, at, f, box)
                   ELSE '[]' END AS c,
       CASE WHEN layout IN (0, 1, 3) THEN amount END AS o1, CASE WHEN layout IN (0, 2, 3) THEN note END AS o2,
       CASE WHEN layout IN (1, 3) THEN at END AS o3, CASE WHEN layout IN (2, 3) THEN f END AS o4,
       CASE WHEN layout = 3 THEN j END AS o5,
       CASE layout
         WHEN 0 THEN jsonb_build_object('k_int', k_int, 'amount', amount, 'note', note)
         WHEN 1 THEN jsonb_build_object('k_int', k_int, CASE side WHEN 'left' THEN 'k_text' ELSE 'other_key' END, k_text, 'amount', amount, 'at', at)
         WHEN 2 THEN jsonb_build_object('amount', amount, 'note', note, 'f', f)
         WHEN 3 THEN jsonb_build_object(CASE side WHEN 'left' THEN 'k_text' ELSE 'other_key' END, k_text, 'amount', amount, 'note', note, 'at', at, 'f', f, 'j', j)
         ELSE jsonb_build_object('j', j, 'k_int', k_int) END AS row
FROM boxed;

CREATE TEMP TABLE expected AS
WITH counted AS (
  SELECT *, row_number() OVER (PARTITION BY side, ds, k, c) AS twin FROM plain
), paired AS (
  SELECT x.ds, x.k, x.c, x.twin FROM counted x JOIN counted y USING (ds, k, c, twin)
  WHERE x.side = 'left' AND y.side = 'right'
), rest AS (
  SELECT counted.*, row_number() OVER (PARTITION BY side, ds, k ORDER BY o1, o2, o3, o4, o5) AS place
  FROM counted LEFT JOIN paired USING (ds, k, c, twin) WHERE paired.ds IS NULL
), keyed AS (
  SELECT DISTINCT side, ds, k FROM plain
)
SELECT coalesce(x.ds, y.ds) AS ds,
       CASE WHEN x.ds IS NOT NULL AND y.ds IS NOT NULL THEN 'mismatch'
            WHEN y.ds IS NULL AND EXISTS (SELECT FROM keyed WHERE side = 'right' AND ds = x.ds AND k = x.k) THEN 'duplicate_left'
            WHEN y.ds IS NULL THEN 'missing_right'
            WHEN EXISTS (SELECT FROM keyed WHERE side = 'left' AND ds = y.ds AND k = y.k) THEN 'duplicate_right'
            ELSE 'missing_left' END AS kind,
       CASE WHEN x.ds IS NOT NULL AND y.ds IS NOT NULL THEN
         (SELECT array_agg(layout.compared[i] ORDER BY i)
          FROM layout, generate_subscripts(layout.compared, 1) AS i
          WHERE layout.layout = x.layout AND x.c -> (i - 1) <> y.c -> (i - 1)) END AS differing,
       x.row AS left_row, y.row AS right_row
FROM (SELECT * FROM rest WHERE side = 'left') x
FULL JOIN (SELECT * FROM rest WHERE side = 'right') y USING (ds, k, place);

SELECT cmp_ok((SELECT count(*) FROM expected), '>=', (SELECT exact_sets::bigint FROM setting),
  'the data sets differ enough to say something');
SELECT is((SELECT count(DISTINCT kind) FROM expected), 5::bigint, 'and in every way there is');
SELECT is_empty(
  $$ (TABLE expected EXCEPT ALL SELECT ds, kind, differing, left_row, right_row FROM got) LIMIT 5 $$,
  'compare reports everything that plain SQL finds');
SELECT is_empty(
  $$ (SELECT ds, kind, differing, left_row, right_row FROM got EXCEPT ALL TABLE expected) LIMIT 5 $$,
  'compare reports nothing else');
SELECT is_empty(
  $$ SELECT s.*, e.* FROM got_summary s
     JOIN LATERAL (
       SELECT (SELECT count(*) FROM l WHERE l.ds = s.ds) AS l, (SELECT count(*) FROM r WHERE r.ds = s.ds) AS r,
              count(*) FILTER (WHERE kind = 'missing_left') AS ml, count(*) FILTER (WHERE kind = 'missing_right') AS mr,
              count(*) FILTER (WHERE kind = 'mismatch') AS mm, count(*) FILTER (WHERE kind = 'duplicate_left') AS dl,
              count(*) FILTER (WHERE kind = 'duplicate_right') AS dr
       FROM expected WHERE expected.ds = s.ds) e ON true
     WHERE (s.left_rows, s.right_rows, s.matched, s.missing_left, s.missing_right, s.mismatched, s.duplicate_left, s.duplicate_right)
        IS DISTINCT FROM (e.l, e.r, e.l - e.mr - e.mm - e.dl, e.ml, e.mr, e.mm, e.dl, e.dr) LIMIT 5 $$,
  'compare_summary counts the same');

-- The same rows in another order on disk, read by the executor through an index, and under another hash key: the same rows
-- reported, to the letter.
CREATE TABLE l_shuffled AS SELECT * FROM l ORDER BY random();
CREATE TABLE r_shuffled AS SELECT * FROM r ORDER BY random();
CREATE INDEX ON l_shuffled (ds);
CREATE INDEX ON r_shuffled (ds);
CREATE TEMP TABLE again (ds int, result text);
DO $$
DECLARE s record;
BEGIN
  FOR s IN SELECT shape.ds, layout.key, layout.compared FROM shape JOIN layout USING (layout) LOOP
    INSERT INTO again SELECT s.ds, c::text
    FROM reconcile.compare('l_shuffled', 'r_shuffled', s.key, s.compared, 'ds = ' || s.ds, 'ds = ' || s.ds) AS c;
  END LOOP;
END
$$;
SELECT is_empty(
  $$ (SELECT ds, (kind, key, differing, left_row, right_row)::text FROM got EXCEPT ALL TABLE again) LIMIT 5 $$,
  'which rows pair depends on the data alone, not on their order or the hash key');

-- ---- within tolerance ------------------------------------------------------------------------------------------
CREATE TABLE tl (ds int, k int, amount numeric, at timestamptz, fee int, note text);
CREATE TABLE tr (LIKE tl);
INSERT INTO tl SELECT ds, floor(random() * 3)::int, round((random() * 8)::numeric, (ds % 2)), '2026-11-21 00:00+00'::timestamptz
  + floor(random() * 6) * interval '1 second', floor(random() * 60)::int - 20, pg_temp.pick(ARRAY['a', 'a', 'b', NULL])
FROM setting, generate_series(1, tolerance_sets) AS ds, generate_series(1, 1 + ds % 9);
INSERT INTO tr SELECT ds, floor(random() * 3)::int, round((random() * 8)::numeric, (ds % 2)), '2026-11-21 00:00+00'::timestamptz
  + floor(random() * 6) * interval '1 second', floor(random() * 60)::int - 20, pg_temp.pick(ARRAY['a', 'a', 'b', NULL])
FROM setting, generate_series(1, tolerance_sets) AS ds, generate_series(1, 1 + ds % 8);
INSERT INTO tl SELECT ds, 0, pg_temp.pick(ARRAY['NaN', 'Infinity', NULL]::numeric[]), 'infinity', 1, 'a' FROM setting, generate_series(1, tolerance_sets, 3) AS ds;
INSERT INTO tr SELECT ds, 0, pg_temp.pick(ARRAY['NaN', 'Infinity', NULL]::numeric[]), 'infinity', 1, 'a' FROM setting, generate_series(1, tolerance_sets, 3) AS ds;

CREATE TEMP TABLE tolerance_layout (layout int, compared text[], tolerance jsonb);
INSERT INTO tolerance_layout VALUES
  (0, '{amount}', '{"amount": 1.5}'),
  (1, '{amount,at}', '{"amount": "1.5", "at": "2 seconds"}'),
  (2, '{fee,note}', '{"fee": "30%"}'),
  (3, '{note,at,amount,fee}', '{"amount": 4, "at": "3 seconds", "fee": "100%"}'),
  (4, '{at}', '{"at": "1 second"}');

CREATE FUNCTION pg_temp.close_enough(x tl, y tl, layout int) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE layout
    WHEN 0 THEN a1_5 WHEN 1 THEN a1_5 AND t2
    WHEN 2 THEN fee30 AND x.note IS NOT DISTINCT FROM y.note
    WHEN 3 THEN x.note IS NOT DISTINCT FROM y.note AND t3 AND a4 AND fee100
    WHEN 4 THEN t1 END
  FROM (SELECT
    x.amount IS NOT DISTINCT FROM y.amount OR (x.amount NOT IN ('NaN', 'Infinity') AND y.amount NOT IN ('NaN', 'Infinity') AND abs(x.amount - y.amount) <= 1.5) IS TRUE AS a1_5,
    x.amount IS NOT DISTINCT FROM y.amount OR (x.amount NOT IN ('NaN', 'Infinity') AND y.amount NOT IN ('NaN', 'Infinity') AND abs(x.amount - y.amount) <= 4) IS TRUE AS a4,
    x.at BETWEEN y.at - interval '1 second' AND y.at + interval '1 second' AS t1,
    x.at BETWEEN y.at - interval '2 seconds' AND y.at + interval '2 seconds' AS t2,
    x.at BETWEEN y.at - interval '3 seconds' AND y.at + interval '3 seconds' AS t3,
    abs(x.fee - y.fee) <= 0.3 * greatest(abs(x.fee), abs(y.fee)) AS fee30,
    abs(x.fee - y.fee) <= greatest(abs(x.fee), abs(y.fee)) AS fee100) AS distance
$$;

CREATE TEMP TABLE got_tolerance AS
SELECT ds, c.*,
  (SELECT jsonb_object_agg(kind, n) FROM (
     SELECT kind, count(*) AS n FROM reconcile.compare('tl', 'tr', '{k}', t.compared, 'ds = ' || ds, 'ds = ' || ds, t.tolerance) GROUP BY kind) AS kinds) AS kinds
FROM setting, generate_series(1, tolerance_sets) AS ds JOIN tolerance_layout t ON t.layout = ds % 5,
  LATERAL reconcile.compare_summary('tl', 'tr', '{k}', t.compared, 'ds = ' || ds, 'ds = ' || ds, t.tolerance) AS c;

CREATE TEMP TABLE expected_tolerance AS
WITH RECURSIVE side AS (
  SELECT s.*, row_number() OVER (PARTITION BY side, ds, k, c) AS twin
  FROM (SELECT 'left' AS side, ds, k, tl AS row, ds % 5 AS layout,
               CASE ds % 5 WHEN 0 THEN jsonb_build_array(amount) WHEN 1 THEN jsonb_build_array(amount, at) WHEN 2 THEN jsonb_build_array(fee, note)
                           WHEN 3 THEN jsonb_build_array(note, at, amount, fee) ELSE jsonb_build_array(at) END AS c FROM tl
        UNION ALL
        SELECT 'right', ds, k, ROW(ds, k, amount, at, fee, note)::tl, ds % 5,
               CASE ds % 5 WHEN 0 THEN jsonb_build_array(amount) WHEN 1 THEN jsonb_build_array(amount, at) WHEN 2 THEN jsonb_build_array(fee, note)
                           WHEN 3 THEN jsonb_build_array(note, at, amount, fee) ELSE jsonb_build_array(at) END FROM tr) s
), paired AS (
  SELECT x.ds, x.k, x.c, x.twin FROM side x JOIN side y USING (ds, k, c, twin) WHERE x.side = 'left' AND y.side = 'right'
), rest AS MATERIALIZED (
  SELECT side.*, row_number() OVER (PARTITION BY side, ds, k) AS n
  FROM side LEFT JOIN paired USING (ds, k, c, twin) WHERE paired.ds IS NULL
), close AS MATERIALIZED (
  SELECT x.ds, x.k, x.n AS l, y.n AS r FROM rest x JOIN rest y USING (ds, k)
  WHERE x.side = 'left' AND y.side = 'right' AND pg_temp.close_enough(x.row, y.row, x.layout)
), search AS (  -- every set of rights that the first l lefts can take, and how many pairs that is
  SELECT DISTINCT ds, k, 0::bigint AS l, 0::bigint AS taken, 0 AS pairs FROM close
  UNION
  SELECT s.ds, s.k, s.l + 1, s.taken | coalesce(1::bigint << c.r::int, 0), s.pairs + (c.r IS NOT NULL)::int
  FROM search s
  JOIN LATERAL (SELECT r FROM close WHERE close.ds = s.ds AND close.k = s.k AND close.l = s.l + 1
                  AND s.taken & (1::bigint << close.r::int) = 0
                UNION ALL SELECT NULL) AS c ON true
  WHERE s.l < 20
    AND EXISTS (SELECT FROM close WHERE close.ds = s.ds AND close.k = s.k AND close.l > s.l)
), best AS (
  SELECT ds, k, max(pairs) AS pairs FROM search GROUP BY ds, k
), keys AS (
  SELECT ds, k, count(*) FILTER (WHERE side = 'left') AS l, count(*) FILTER (WHERE side = 'right') AS r,
         (SELECT count(*) FROM paired WHERE (paired.ds, paired.k) = (side.ds, side.k)) + coalesce((SELECT pairs FROM best WHERE (best.ds, best.k) = (side.ds, side.k)), 0) AS m
  FROM side GROUP BY ds, k
)
SELECT ds, sum(l) AS left_rows, sum(r) AS right_rows, sum(m) AS matched,
       sum(r) FILTER (WHERE l = 0) AS missing_left, sum(l) FILTER (WHERE r = 0) AS missing_right,
       sum(least(l, r) - m) AS mismatched,
       sum(l - r) FILTER (WHERE l > r AND r > 0) AS duplicate_left, sum(r - l) FILTER (WHERE r > l AND l > 0) AS duplicate_right
FROM keys GROUP BY ds;

SELECT cmp_ok((SELECT sum(matched) FROM expected_tolerance), '>', (SELECT sum(left_rows) / 10 FROM expected_tolerance),
  'tolerances pair enough to say something');
SELECT is_empty(
  $$ SELECT g.*, e.* FROM got_tolerance g JOIN expected_tolerance e USING (ds)
     WHERE (g.left_rows, g.right_rows, g.matched, g.missing_left, g.missing_right, g.mismatched, g.duplicate_left, g.duplicate_right)
        IS DISTINCT FROM (e.left_rows, e.right_rows, e.matched, coalesce(e.missing_left, 0), coalesce(e.missing_right, 0), e.mismatched,
                          coalesce(e.duplicate_left, 0), coalesce(e.duplicate_right, 0))
     LIMIT 5 $$,
  'compare_summary pairs as many rows within tolerance as trying every pairing does');
SELECT is_empty(
  $$ SELECT * FROM got_tolerance
     WHERE coalesce(kinds, '{}') <> jsonb_strip_nulls(jsonb_build_object(
       'missing_left', nullif(missing_left, 0), 'missing_right', nullif(missing_right, 0), 'mismatch', nullif(mismatched, 0),
       'duplicate_left', nullif(duplicate_left, 0), 'duplicate_right', nullif(duplicate_right, 0))) LIMIT 5 $$,
  'compare returns as many rows of each kind as compare_summary counts');
SELECT * FROM finish();
ROLLBACK;
