-- Which relations reconcile.compare reads, with whose rights, and what it sees of them.
BEGIN;
SET client_min_messages = warning;
SELECT plan(38);
SELECT current_setting('reconcile_test.scratch') || '/compare_plain.csv' AS plain_csv \gset

CREATE SCHEMA shop;
CREATE TABLE shop.payment (order_no text, amount numeric, channel text);
INSERT INTO shop.payment SELECT 'o' || i, i, CASE i % 2 WHEN 0 THEN 'alipay' ELSE 'wechat' END FROM generate_series(1, 10) AS i;

-- Given: relations of each kind that hold the payments but o3, o4 with another amount, and o11 besides.
CREATE TABLE shop.plain AS
SELECT order_no, CASE order_no WHEN 'o4' THEN 4.01 ELSE amount END AS amount, channel FROM shop.payment WHERE order_no <> 'o3'
UNION ALL SELECT 'o11', 11, 'wechat';
CREATE TABLE shop.parted (junk int, channel text, amount numeric, order_no text) PARTITION BY LIST (channel);
ALTER TABLE shop.parted DROP COLUMN junk;
CREATE TABLE shop.parted_alipay PARTITION OF shop.parted FOR VALUES IN ('alipay');
CREATE TABLE shop.parted_wechat (order_no text, channel text, extra int, amount numeric);
ALTER TABLE shop.parted_wechat DROP COLUMN extra;
ALTER TABLE shop.parted ATTACH PARTITION shop.parted_wechat FOR VALUES IN ('wechat');
INSERT INTO shop.parted (order_no, amount, channel) SELECT * FROM shop.plain;
CREATE TABLE shop.parent (order_no text, amount numeric, channel text);
CREATE TABLE shop.child (note text) INHERITS (shop.parent);
INSERT INTO shop.parent SELECT * FROM shop.plain WHERE channel = 'alipay';
INSERT INTO shop.child SELECT *, 'n' FROM shop.plain WHERE channel = 'wechat';
CREATE VIEW shop.shown AS SELECT amount, order_no, channel FROM shop.plain;
CREATE VIEW shop.guarded WITH (security_barrier) AS SELECT * FROM shop.shown;
CREATE MATERIALIZED VIEW shop.stored AS SELECT * FROM shop.plain;
CREATE TEMP TABLE passing AS SELECT * FROM shop.plain;
CREATE UNLOGGED TABLE shop.unlogged AS SELECT * FROM shop.plain;
COPY shop.plain TO :'plain_csv' (FORMAT csv);
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE shop.far (order_no text, amount numeric, channel text) SERVER files
  OPTIONS (filename :'plain_csv', format 'csv');
CREATE TABLE shop."Odd ""name""; --" AS SELECT order_no AS "Order; DROP", amount AS "Amount""", channel AS "select" FROM shop.plain;

-- Then: each shows the same differences, on either side.
CREATE TABLE difference (kind text, key text[], differing text[]);
INSERT INTO difference VALUES ('missing_right', '{o3}', NULL), ('mismatch', '{o4}', '{amount}'), ('missing_left', '{o11}', NULL);
SELECT set_eq(format($$SELECT kind, key, differing FROM reconcile.compare('shop.payment', %L, '{order_no}')$$, relation),
              'TABLE difference', relation)
FROM unnest(ARRAY['shop.plain', 'shop.parted', 'shop.parent', 'shop.shown', 'shop.guarded', 'shop.stored', 'passing', 'shop.unlogged', 'shop.far'])
  AS relation;
CREATE MATERIALIZED VIEW shop.unfilled AS SELECT * FROM shop.plain WITH NO DATA;
SELECT throws_ok($$SELECT * FROM reconcile.compare('shop.unfilled', 'shop.payment', '{order_no}')$$, '55000', NULL,
  'a materialized view that has not been populated is no empty one');
SELECT set_eq($$SELECT kind, key, differing FROM reconcile.compare('shop.far', 'shop.payment', '{order_no}')$$,
  $$SELECT CASE kind WHEN 'missing_right' THEN 'missing_left' WHEN 'missing_left' THEN 'missing_right' ELSE kind END, key, differing FROM difference$$,
  'the other way round');
SELECT set_eq($$SELECT kind, key, differing FROM reconcile.compare('shop.payment', 'shop."Odd ""name""; --"',
    ARRAY['order_no=Order; DROP'], ARRAY['amount=Amount"', 'channel=select'], NULL, '"select" <> ''none''')$$,
  'TABLE difference', 'names that need quotes');
SELECT is((SELECT right_row FROM reconcile.compare('shop.payment', 'shop."Odd ""name""; --"',
    ARRAY['order_no=Order; DROP'], ARRAY['amount=Amount"', 'channel=select']) WHERE kind = 'mismatch'),
  '{"Order; DROP": "o4", "Amount\"": 4.01, "select": "alipay"}', 'each row under its own names');
SELECT set_eq($$SELECT kind, key, differing FROM reconcile.compare('shop.payment', 'shop.payment', '{order_no}', NULL, 'amount <= 2', $f$channel = 'wechat' -- only these$f$)
                WHERE key[1] IN ('o1', 'o2', 'o3')$$,
  $$VALUES ('missing_right', '{o2}'::text[], NULL::text[]), ('missing_left', '{o3}', NULL)$$, 'one relation with two filters');
SELECT is((SELECT matched FROM reconcile.compare_summary('shop.payment', 'shop.parted', '{order_no}', NULL,
    'payment.amount > 0 AND EXISTS (SELECT FROM shop.plain p WHERE p.order_no = payment.order_no)', 'shop.parted.channel IS NOT NULL')),
  8::bigint, 'a filter may qualify columns and ask other tables');
SELECT is((SELECT left_rows + right_rows FROM reconcile.compare_summary('shop.payment', 'shop.payment', '{order_no}', NULL, 'NULL', 'false')),
  0::bigint, 'a filter that is NULL keeps no row');

-- ---- what is seen ---------------------------------------------------------------------------------------------
UPDATE passing SET amount = 5.5 WHERE order_no = 'o5';
SELECT is((SELECT mismatched FROM reconcile.compare_summary('shop.plain', 'passing', '{order_no}')), 1::bigint,
  'the transaction''s own changes are seen');

-- A view that gives other rows each time: what is reported is what was compared.
CREATE VIEW shop.restless AS SELECT i AS id, random() AS x FROM generate_series(1, 2000) AS i;
SELECT is((SELECT count(*) FROM reconcile.compare('shop.restless', 'shop.restless', '{id}')
           WHERE kind = 'mismatch' AND differing = '{x}' AND left_row->'x' <> right_row->'x'), 2000::bigint,
  'rows of a view are read once');

-- A row that appears between the two reads is in neither: both are of one snapshot.
CREATE FUNCTION shop.disturb() RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO shop.plain VALUES ('new', 1, 'alipay'); RETURN true; END $$;
SELECT is((SELECT (left_rows, right_rows, missing_left)::text FROM reconcile.compare_summary('shop.payment', 'shop.plain', '{order_no}', NULL, 'shop.disturb()')),
  '(10,10,1)', 'both sides are read under one snapshot');
SELECT is((SELECT count(*) FROM shop.plain WHERE order_no = 'new'), 10::bigint, 'though the rows were really added');
DELETE FROM shop.plain WHERE order_no = 'new';

-- More differing rows than work_mem holds.
CREATE TABLE shop.many AS SELECT i AS id, repeat(i::text, 20) AS note FROM generate_series(1, 20000) AS i;
SET work_mem = '64kB';
SELECT is((SELECT count(*) FROM reconcile.compare('shop.many', 'shop.many', '{id}', '{note}', 'id > 100', 'note <> '''' AND id <= 19900')
           WHERE (kind = 'missing_left' AND right_row->>'note' = repeat(key[1], 20)) OR (kind = 'missing_right' AND left_row->>'note' = repeat(key[1], 20))),
  200::bigint, 'rows spilled to temporary files come back as they were');
RESET work_mem;

-- Wide values, out of line and compressed.
CREATE TABLE shop.wide AS SELECT i AS id, (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 300) AS j) AS v FROM generate_series(1, 50) AS i;
CREATE TABLE shop.wide_other AS SELECT id, CASE id WHEN 7 THEN v || '.' ELSE v END AS v FROM shop.wide ORDER BY id DESC;
SELECT results_eq($$SELECT kind, key, length(left_row->>'v'), length(right_row->>'v') FROM reconcile.compare('shop.wide', 'shop.wide_other', '{id}')$$,
  $$VALUES ('mismatch', '{7}'::text[], 9600, 9601)$$, 'values stored out of line');

-- ---- from PL/pgSQL, in a subtransaction, empty, in a target list ----------------------------------------------
CREATE FUNCTION shop.tally() RETURNS text LANGUAGE plpgsql AS $$
DECLARE d record; n int := 0;
BEGIN
  FOR d IN SELECT * FROM reconcile.compare('shop.payment', 'shop.stored', '{order_no}') LOOP n := n + 1; END LOOP;
  BEGIN
    PERFORM * FROM reconcile.compare('shop.payment', 'shop.stored', '{order_no}', NULL, '1 / (amount - 3) > 0');
  EXCEPTION WHEN division_by_zero THEN n := n + 100;
  END;
  PERFORM * FROM reconcile.compare('shop.payment', 'shop.stored', '{order_no}');
  RETURN n;
END $$;
SELECT is(shop.tally(), '103', 'in a loop, and after an error that was caught');
SELECT is((SELECT count(*) FROM (SELECT reconcile.compare('shop.payment', 'shop.stored', '{order_no}')) AS c), 3::bigint,
  'in a target list');
SELECT is((SELECT s::text FROM reconcile.compare_summary('shop.payment', 'shop.payment', '{order_no}', NULL, 'false', 'false') AS s),
  '(0,0,0,0,0,0,0,0)', 'nothing against nothing');

-- ---- rights ---------------------------------------------------------------------------------------------------
CREATE ROLE compare_auditor;
CREATE ROLE compare_stranger;
GRANT reconcile_reader TO compare_auditor;
GRANT USAGE ON SCHEMA shop TO compare_auditor, compare_stranger;
SELECT ok(NOT p.prosecdef AND has_function_privilege('reconcile_reader', p.oid, 'EXECUTE')
          AND NOT has_function_privilege('compare_stranger', p.oid, 'EXECUTE'), p.proname || ' runs as its caller, who must be a reader')
FROM pg_proc p WHERE p.pronamespace = 'reconcile'::regnamespace AND p.proname IN ('compare', 'compare_summary') ORDER BY p.proname;

CREATE FUNCTION pg_temp.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; details text; advice text;
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, details = PG_EXCEPTION_DETAIL, advice = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || E'\n' || message || E'\n' || details || E'\n' || advice;
END
$$;
GRANT SELECT ON shop.payment TO compare_auditor;
SET ROLE compare_auditor;
SELECT is(pg_temp.error_of($$SELECT * FROM reconcile.compare('shop.payment', 'shop.plain', '{order_no}')$$),
  E'42501\npermission denied for shop.plain\nThe role compare_auditor may not read column "order_no".\nGRANT SELECT ON shop.plain TO compare_auditor;',
  'a table the caller may not read');
RESET ROLE;
GRANT SELECT (order_no, amount) ON shop.plain TO compare_auditor;
SET ROLE compare_auditor;
SELECT is(pg_temp.error_of($$SELECT * FROM reconcile.compare_summary('shop.payment', 'shop.plain', '{order_no}')$$),
  E'42501\npermission denied for shop.plain\nThe role compare_auditor may not read column "channel".\nGRANT SELECT ON shop.plain TO compare_auditor;',
  'a column the caller may not read');
SELECT is((SELECT mismatched FROM reconcile.compare_summary('shop.payment', 'shop.plain', '{order_no}', '{amount}')), 1::bigint,
  'columns the caller may read are enough');
SELECT is(pg_temp.error_of($$SELECT * FROM reconcile.compare('shop.payment', 'shop.plain', '{order_no}', '{amount}', NULL, 'channel = ''alipay''')$$),
  E'42501\npermission denied for table plain\nThe comparison of shop.plain reads it, in a filter, a view or a policy.\nGRANT SELECT on every column that is read, or leave it out.',
  'a column that only a filter reads');
SELECT is(pg_temp.error_of($$SELECT * FROM reconcile.compare('shop.payment', 'shop.shown', '{order_no}')$$),
  E'42501\npermission denied for shop.shown\nThe role compare_auditor may not read column "order_no".\nGRANT SELECT ON shop.shown TO compare_auditor;',
  'a view the caller may not read');
RESET ROLE;
GRANT SELECT ON shop.shown TO compare_auditor;
SET ROLE compare_auditor;
SELECT is((SELECT mismatched FROM reconcile.compare_summary('shop.payment', 'shop.shown', '{order_no}')), 1::bigint,
  'a view that reads with its owner''s rights');
RESET ROLE;

ALTER TABLE shop.payment ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_channel ON shop.payment TO compare_auditor USING (channel = 'alipay');
SET ROLE compare_auditor;
SELECT is((SELECT (left_rows, missing_left)::text FROM reconcile.compare_summary('shop.payment', 'shop.shown', '{order_no}')), '(5,5)',
  'row level security hides what the caller may not see');
SELECT is((SELECT count(*) FROM reconcile.compare('shop.shown', 'shop.payment', '{order_no}') WHERE right_row->>'channel' <> 'alipay'), 0::bigint,
  'in the rows, too');
SET row_security = off;
SELECT is(split_part(pg_temp.error_of($$SELECT * FROM reconcile.compare('shop.payment', 'shop.shown', '{order_no}')$$), E'\n', 2),
  'query would be affected by row-level security policy for table "payment"', 'row_security = off is an error instead');
RESET row_security;
RESET ROLE;

-- A filter's names are found along the caller's search_path.
CREATE FUNCTION shop.is_small(numeric) RETURNS boolean LANGUAGE sql AS 'SELECT $1 < 3';
SET search_path = shop, public;
SELECT is((SELECT left_rows FROM reconcile.compare_summary('payment', 'payment', '{order_no}', NULL, 'is_small(amount)')), 2::bigint,
  'filters use the caller''s search_path');
-- ... and nothing else of the query does.
CREATE TYPE shop.text AS ENUM ('trap');
CREATE TABLE shop.narrow AS SELECT order_no::varchar, amount FROM shop.plain;
SELECT is((SELECT matched FROM reconcile.compare_summary('plain', 'narrow', '{order_no}')), 10::bigint,
  'a type of the caller''s cannot stand in for one of PostgreSQL''s');
SELECT * FROM finish();
ROLLBACK;
