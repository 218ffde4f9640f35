-- sketch_difference reads the rows that two relations differ in, as EXCEPT ALL finds them, from the sketches alone; or
-- it says how many cells it takes.
BEGIN;
SELECT plan(27);
CREATE TABLE here (order_no text, amount numeric, state text);
CREATE TABLE there (LIKE here);
INSERT INTO here SELECT 'order' || i, i, 'paid' FROM generate_series(1, 20000) i;
INSERT INTO there SELECT order_no, amount + 0.00, state FROM here ORDER BY random();
-- Missing on either side, changed, NULL keys, twins, long keys, keys that are not Latin.
DELETE FROM here WHERE order_no IN ('order17', 'order18', 'order19999');
DELETE FROM there WHERE order_no IN ('order3', 'order4');
UPDATE there SET amount = amount + 0.01 WHERE order_no IN ('order100', 'order101');
UPDATE here SET state = NULL WHERE order_no = 'order102';
INSERT INTO here SELECT 'order200', 200, 'paid' FROM generate_series(1, 6);
INSERT INTO there SELECT 'order200', 200, 'paid' FROM generate_series(1, 2);
INSERT INTO there SELECT 'order201', 201, 'paid' FROM generate_series(1, 1000);
INSERT INTO here VALUES (NULL, 1, 'paid'), (NULL, 1, 'paid'), ('', 1, 'paid'), ('订单号一二三四五六七八九十', 1, 'paid'),
  (repeat('x', 48), 1, 'paid'), (repeat('x', 49), 1, 'paid'), (repeat('y', 5000), 1, 'paid');
INSERT INTO there VALUES (repeat('x', 49), 2, 'paid');

CREATE VIEW expected AS
SELECT CASE WHEN count(*) FILTER (WHERE side = 'right') = 0 THEN 'left' WHEN count(*) FILTER (WHERE side = 'left') = 0 THEN 'right' ELSE 'both' END AS side,
       CASE WHEN octet_length(order_no) <= 48 THEN order_no END AS key, reconcile.row_hash(order_no) AS key_hash,
       count(*) FILTER (WHERE side = 'left') AS left_rows, count(*) FILTER (WHERE side = 'right') AS right_rows
FROM (SELECT 'left' AS side, * FROM (TABLE here EXCEPT ALL TABLE there) l
      UNION ALL SELECT 'right', * FROM (TABLE there EXCEPT ALL TABLE here) r) d
GROUP BY order_no;
CREATE FUNCTION sketch_of(relation regclass, cells integer) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
  result bytea;
BEGIN
  EXECUTE format('SELECT reconcile.sketch(%s, order_no, amount, state) FROM %s', cells, relation) INTO result;
  RETURN result;
END $$;
SELECT set_eq($$ SELECT * FROM reconcile.sketch_difference(sketch_of('here', 200), sketch_of('there', 200)) $$,
              'SELECT * FROM expected', 'the differing rows are those of EXCEPT ALL');
SELECT is((SELECT count(*) FROM expected), 16::bigint, '(there are some)');
SELECT set_eq($$ SELECT side, key, right_rows, left_rows FROM reconcile.sketch_difference(sketch_of('there', 200), sketch_of('here', 200)) $$,
              $$ SELECT CASE side WHEN 'left' THEN 'right' WHEN 'right' THEN 'left' ELSE side END, key, left_rows, right_rows FROM expected $$,
              'the other way round the sides change places');
SELECT is_empty($$ SELECT * FROM reconcile.sketch_difference(sketch_of('here', 64), (SELECT reconcile.sketch(64, order_no, amount, state) FROM
                   (SELECT * FROM here ORDER BY random()) h)) $$, 'in another order nothing differs');
SELECT results_eq($$ SELECT order_no FROM here h JOIN reconcile.sketch_difference(sketch_of('here', 200), sketch_of('there', 200)) d
                       ON reconcile.row_hash(h.order_no) = d.key_hash WHERE d.key IS NULL ORDER BY h.order_no $$,
                  $$ VALUES (repeat('x', 49)), (repeat('y', 5000)), (NULL), (NULL) $$, 'long keys are found by their hash');

-- Keys alone
SELECT set_eq($$ SELECT key, left_rows, right_rows FROM reconcile.sketch_difference((SELECT reconcile.sketch(128, order_no) FROM here WHERE length(order_no) < 10),
                                                                    (SELECT reconcile.sketch(128, order_no) FROM there WHERE length(order_no) < 10)) $$,
              $$ VALUES ('order17', 0::bigint, 1::bigint), ('order18', 0, 1), ('order3', 1, 0), ('order4', 1, 0), ('', 1, 0),
                        ('order200', 4, 0), ('order201', 0, 1000) $$, 'a sketch of keys alone');

-- Parallel
ANALYZE here;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
CREATE TABLE plan_line (line text);
DO $$
DECLARE
  line text;
BEGIN
  FOR line IN EXPLAIN SELECT reconcile.sketch(64, order_no, amount, state) FROM here LOOP INSERT INTO plan_line VALUES (line); END LOOP;
END $$;
SELECT ok((SELECT count(*) > 0 FROM plan_line WHERE line ~ 'Partial Aggregate'), 'workers may take part');
SELECT ok((SELECT reconcile.sketch(64, order_no, amount, state) FROM here)
          = (SELECT reconcile.sketch(64, order_no, amount, state) FROM (SELECT * FROM here OFFSET 0) h), 'and change nothing');

-- Random histories: whatever differs, all of it is read or an error says that the sketches are too small.
CREATE TABLE outcome (round integer, differing bigint, cells integer, state text, is_right boolean);
DO $$
DECLARE
  cells integer;
BEGIN
  PERFORM setseed(0.2);
  FOR round IN 1 .. 40 LOOP
    TRUNCATE here, there;
    INSERT INTO here SELECT 'k' || (random() * 100)::integer, (random() * 3)::integer, 'paid' FROM generate_series(1, 200);
    INSERT INTO there SELECT * FROM here WHERE random() < 0.9;
    INSERT INTO there SELECT 'k' || (random() * 120)::integer, (random() * 3)::integer, NULL FROM generate_series(1, (random() * 60)::integer);
    FOREACH cells IN ARRAY ARRAY[64, 256] LOOP
      BEGIN
        INSERT INTO outcome
        SELECT round, (SELECT sum(left_rows + right_rows) FROM expected), cells, 'read',
               NOT EXISTS ((SELECT * FROM reconcile.sketch_difference(sketch_of('here', cells), sketch_of('there', cells))) EXCEPT ALL TABLE expected)
               AND (SELECT count(*) FROM reconcile.sketch_difference(sketch_of('here', cells), sketch_of('there', cells))) = (SELECT count(*) FROM expected);
      EXCEPTION WHEN program_limit_exceeded THEN
        INSERT INTO outcome SELECT round, (SELECT sum(left_rows + right_rows) FROM expected), cells, 'too small', true;
      END;
    END LOOP;
  END LOOP;
END $$;
SELECT is_empty('SELECT * FROM outcome WHERE NOT is_right', 'random tables: what is read is right');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE cells = 256 AND state = 'read'), '>=', 35::bigint, 'enough cells read nearly always');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE cells = 64 AND state = 'too small' AND differing > 45), '>', 0::bigint, 'and too few say so');

-- Errors
CREATE FUNCTION error_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text; detail text; hint text;
BEGIN
  EXECUTE query;
  RETURN 'none';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' / ', SQLSTATE || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE TABLE many AS SELECT 'order' || i AS order_no FROM generate_series(1, 3000) i;
SELECT matches(error_of($$ SELECT * FROM reconcile.sketch_difference((SELECT reconcile.sketch(100, order_no) FROM many), NULL) $$),
  '^54000 the sketches are too small for what differs / About \d{4} rows differ, more than 100 cells can tell apart\. / Take both sketches again with \d{4} cells\.$',
  'too small: how many differ, and how many cells to take');
SELECT is((SELECT count(*) FROM reconcile.sketch_difference((SELECT reconcile.sketch(reconcile.sketch_cells(3000), order_no) FROM many), NULL)),
          3000::bigint, 'with the cells that sketch_cells() says it can be read');
SELECT is((SELECT count(*) FROM reconcile.sketch_difference(NULL, NULL)), 0::bigint, 'no rows on either side');
SELECT is((SELECT reconcile.sketch(64, order_no) FROM many WHERE false), NULL, 'no rows have no sketch');
SELECT is(error_of('SELECT reconcile.sketch(63, order_no) FROM many'),
  '22023 a sketch has 64 to 1000000 cells / cells is 63. / reconcile.sketch_cells(n) says how many n differing rows need.', 'too few cells');
SELECT matches(error_of('SELECT reconcile.sketch(NULL, order_no) FROM many'), '^22023 cells is NULL', 'NULL cells');
SELECT is(error_of('SELECT reconcile.sketch(100 + (length(order_no) % 2) * 4, order_no) FROM many'),
  '22023 cells is not the same for all rows / 100 for one row and 104 for another. / Pass a constant.', 'cells that change');
SELECT is(error_of('SELECT * FROM reconcile.sketch_difference((SELECT reconcile.sketch(64, order_no) FROM many), (SELECT reconcile.sketch(68, order_no) FROM many))'),
  '22023 the sketches have different numbers of cells / 64 and 68 cells. / Take both with the same number of cells.', 'different cells');
SELECT matches(error_of('SELECT * FROM reconcile.sketch_difference((SELECT reconcile.sketch(64, order_no) FROM many), (SELECT reconcile.sketch(64, order_no, 1) FROM many))'),
  '^22023 the sketches are of different numbers of columns / 1 and 2 columns', 'different columns');
SELECT is(error_of('SELECT reconcile.sketch(64, order_no, ''{}''::jsonb) FROM many'),
  '42804 sketch: column 2 is of type jsonb, which has no published form / Equal values of this type may be written in several ways, or differ between servers. / Cast it to text, or leave it out.',
  'types without a published form');
SELECT matches(error_of($$ SELECT * FROM reconcile.sketch_difference('\x00', NULL) $$), '^22P03 these bytes are not a sketch', 'other bytes');
SELECT matches(error_of($$ SELECT * FROM reconcile.sketch_difference(set_byte((SELECT reconcile.sketch(64, order_no) FROM many), 4000, 1), NULL) $$),
  '^22P03 these bytes are not a sketch / The closing checksum', 'changed bytes');
SELECT matches(error_of($$ SELECT * FROM reconcile.sketch_difference((SELECT reconcile.sketch(64, convert_from('\xff', 'LATIN1')) FROM many), '') $$),
  '^22P03 these bytes are not a sketch', 'no bytes');
SELECT matches(error_of('SELECT reconcile.sketch_cells(-1)'), '^22023 no sketch can tell -1 differing rows', 'less than nothing');
SELECT matches(error_of('SELECT reconcile.sketch_cells(1000000)'), '^22023 no sketch can tell 1000000 differing rows', 'more than a sketch can hold');
SELECT is((SELECT array_agg(reconcile.sketch_cells(n)) FROM unnest(ARRAY[0, 1, 10, 100, 1000, 10000]) n), '{64,64,108,340,1460,13500}', 'what is advised');
SELECT * FROM finish();
ROLLBACK;
