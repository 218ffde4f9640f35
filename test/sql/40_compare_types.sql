-- Every built-in type compares as its own equality says, as a compared column and as a key; types without equality
-- are refused by name.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TYPE money_amount AS (amount numeric, currency text);
CREATE DOMAIN cents AS numeric CHECK (VALUE >= 0);
CREATE COLLATION blind_to_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

CREATE TABLE example (type text, value text, equal text, other text);
INSERT INTO example VALUES
  ('boolean', 'true', 't', 'f'),
  ('"char"', 'a', 'a', E'\\351'),
  ('name', 'a', 'a', 'b'),
  ('smallint', '-1', '-01', '1'),
  ('integer', '2147483647', '2147483647', '-2147483648'),
  ('bigint', '4294967297', '4294967297', '0'),  -- hashint8 calls these alike, under every seed
  ('numeric', '1.0', '1.000', '1.0001'),
  ('numeric(10,2)', '12', '12.00', '12.01'),
  ('numeric', 'NaN', 'nan', 'Infinity'),
  ('numeric', '-1e400', '-1e400', '1e400'),
  ('numeric', '0', '-0.000', '0.0001'),
  ('numeric', '123456789012345678901234567890', '123456789012345678901234567890.0', '123456789012345678901234567891'),
  ('real', '0', '-0', '1e-45'),
  ('real', 'NaN', 'nan', '0'),
  ('double precision', '0', '-0', '5e-324'),
  ('double precision', 'NaN', 'nan', 'Infinity'),
  ('money', '1', '1.00', '1.01'),
  ('text', 'ü', 'ü', E'u\u0308'),
  ('text', '', '', ' '),
  ('text', repeat('支付', 5000), repeat('支付', 5000), repeat('支付', 5000) || '.'),
  ('text COLLATE blind_to_case', 'Alipay', 'ALIPAY', 'Alipáy'),
  ('varchar(20)', 'a', 'a', 'a '),
  ('varchar COLLATE blind_to_case', 'é', 'É', 'e'),
  ('char(5)', 'a', 'a    ', 'b'),
  ('char(5) COLLATE blind_to_case', 'a', 'A  ', 'b'),
  ('text COLLATE "C"', 'a', 'a', 'A'),
  ('name', 'a', 'a', 'A'),
  ('name COLLATE blind_to_case', 'Alipay', 'ALIPAY', 'Bank'),
  ('bytea', '\x00', '\000', '\x0000'),
  ('date', '2026-11-21', '2026-11-21', 'infinity'),
  ('time', '24:00', '24:00:00', '00:00'),
  ('timetz', '12:00+00', '12:00:00+00', '13:00+01'),
  ('timestamp', '2026-11-21 00:00', '2026-11-21T00:00:00', '2026-11-21 00:00:00.000001'),
  ('timestamptz', '2026-11-21 08:00+08', '2026-11-21 00:00+00', '-infinity'),
  ('interval', '1 month', '30 days', '31 days'),
  ('interval', '1 day', '24 hours', '-1 day'),
  ('uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'),
  ('inet', '10.0.0.1', '10.0.0.1/32', '10.0.0.1/24'),
  ('inet', '::1', '0:0::1', '::2'),
  ('cidr', '10.0.0.0/8', '10/8', '10.0.0.0/16'),
  ('macaddr', '08:00:2b:01:02:03', '08002b010203', '08:00:2b:01:02:04'),
  ('macaddr8', '08:00:2b:01:02:03:04:05', '08002b0102030405', '08:00:2b:01:02:03:04:06'),
  ('bit(3)', '101', '101', '100'),
  ('bit varying', '101', '101', '1010'),
  ('oid', '4294967295', '4294967295', '1'),
  ('regclass', 'pg_class', 'pg_catalog.pg_class', 'pg_type'),
  ('xid', '7', '7', '8'),
  ('xid8', '7', '7', '8'),
  ('cid', '7', '7', '8'),
  ('tid', '(1,2)', '(1,2)', '(2,1)'),
  ('pg_lsn', '0/16B3748', '0/016B3748', '0/16B3749'),
  ('oidvector', '1 2', '1 2', '2 1'),
  ('aclitem', 'postgres=r/postgres', 'postgres=r/postgres', 'postgres=w/postgres'),
  ('jsonb', '{"a": 1, "b": [1.0]}', '{"b": [1.00], "a": 1.0}', '{"a": 1}'),
  ('tsvector', 'a:1 b:2', 'b:2 a:1', 'a:1'),
  ('tsquery', 'a & b', '''a'' & ''b''', 'b & a'),
  ('int[]', '{1,NULL}', '{1,null}', '{NULL,1}'),
  ('int[]', '{1,2}', '[1:2]={1,2}', '[2:3]={1,2}'),
  ('bigint[]', '{4294967297}', '{4294967297}', '{0}'),
  ('numeric[]', '{1.0}', '{1.00}', '{{1.0}}'),
  ('text[] COLLATE blind_to_case', '{a}', '{A}', '{b}'),
  ('int4range', '[1,3]', '[1,4)', '[1,4]'),
  ('numrange', '[1.0,2)', '[1,2.00)', '[1,2]'),
  ('tstzrange', 'empty', '(infinity,infinity)', '(,)'),
  ('int4multirange', '{[1,2],[3,4]}', '{[1,5)}', '{}'),
  ('mood', 'low', 'low', 'high'),
  ('money_amount', '(1.0,CNY)', '(1.00,CNY)', '(1.0,)'),
  ('money_amount[]', '{"(1.0,CNY)"}', '{"(1,CNY)"}', '{"(1,USD)"}'),
  ('cents', '1', '1.0', '2'),
  ('citext', 'Order', 'ORDER', 'Orders'),
  ('hstore', 'a=>1, b=>2', 'b=>2, a=>1', 'a=>1');

SELECT plan(2 * (SELECT count(*)::int FROM example) + 13);

-- Compared: equal, other, NULL on both sides, NULL on one side. As a key: the same four values.
CREATE FUNCTION pg_temp.outcome(e example) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE by_value text; by_key text;
BEGIN
  EXECUTE format('CREATE TABLE l (id int, v %s); CREATE TABLE r (id int, v %1$s)', e.type);
  INSERT INTO l VALUES (1), (2), (3), (4);
  INSERT INTO r VALUES (1), (2), (3), (4);
  EXECUTE format('UPDATE l SET v = %L WHERE id IN (1, 2, 4)', e.value);
  EXECUTE format('UPDATE r SET v = %L WHERE id = 1', e.equal);
  EXECUTE format('UPDATE r SET v = %L WHERE id = 2', e.other);
  SELECT string_agg(concat_ws(' ', c.kind, c.key, c.differing), ', ' ORDER BY c.key) INTO by_value
  FROM reconcile.compare('l', 'r', '{id}') AS c;
  SELECT concat_ws(' ', s.matched, s.missing_left, s.missing_right, s.mismatched, s.duplicate_left, s.duplicate_right) INTO by_key
  FROM reconcile.compare_summary('l', 'r', '{v}', '{}') AS s;
  DROP TABLE l, r;
  RETURN NEXT by_value;
  RETURN NEXT by_key;
END
$$;
SELECT is(o.outcome, CASE o.n WHEN 1 THEN 'mismatch {2} {v}, mismatch {4} {v}' ELSE '2 1 0 0 2 1' END,
          e.type || ' ' || left(e.value, 40) || CASE o.n WHEN 1 THEN ' compared' ELSE ' as key' END)
FROM example e, LATERAL pg_temp.outcome(e) WITH ORDINALITY AS o(outcome, n);

-- Every type that a column can have and that comes with PostgreSQL: compare takes it exactly when GROUP BY does, and
-- names the column when not.
CREATE TABLE verdict (type regtype, groups boolean, compares boolean, message text);
DO $$
DECLARE t regtype; grouped boolean; compared boolean; words text;
BEGIN
  FOR t IN SELECT oid FROM pg_type
           WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typisdefined AND oid < 16384
             AND NOT (typelem <> 0 AND EXISTS (SELECT FROM pg_type el WHERE el.oid = pg_type.typelem AND el.typtype IN ('c', 'p')))
  LOOP
    BEGIN
      EXECUTE format('CREATE TABLE one (id int, v %s)', t);
    EXCEPTION WHEN invalid_table_definition THEN CONTINUE;
    END;
    words := NULL;
    BEGIN PERFORM FROM one GROUP BY v; grouped := true; EXCEPTION WHEN undefined_function THEN grouped := false; END;
    BEGIN PERFORM * FROM reconcile.compare('one', 'one', '{id}'); compared := true;
    EXCEPTION WHEN undefined_function THEN compared := false; words := SQLERRM; END;
    INSERT INTO verdict VALUES (t, grouped, compared, words);
    DROP TABLE one;
  END LOOP;
END
$$;
SELECT cmp_ok((SELECT count(*) FROM verdict), '>', 100::bigint, 'the built-in types were tried');
SELECT is_empty('SELECT * FROM verdict WHERE groups <> compares', 'compare takes the types that GROUP BY takes');
SELECT is_empty($$SELECT * FROM verdict WHERE NOT compares AND message <> format('column "v" of type %s cannot be compared', type)$$,
  'the others are refused by name');
SELECT is_empty($$SELECT t FROM unnest(ARRAY['json', 'xml', 'point', 'lseg', 'path', 'box', 'polygon', 'line', 'circle', 'jsonpath', 'json[]', 'point[]']) AS t
  EXCEPT SELECT type::text FROM verdict WHERE NOT compares$$, 'among them json, xml and the geometric types');

-- Types that differ and have one that holds both.
CREATE TABLE narrow (id smallint, n int, a int, t varchar(10), c char(8), ip cidr, b bit(3), word name);
CREATE TABLE wide (id bigint, n numeric, a bigint, t text, c text, ip inet, b bit varying, word text);
INSERT INTO narrow VALUES (1, 5, -1, 'x', 'y', '10.0.0.0/8', '101', 'w'), (2, 6, 2, 'x', 'y', NULL, NULL, NULL);
INSERT INTO wide VALUES (1, 5.00, -1, 'x', 'y', '10.0.0.0/8', '101', 'w'), (2, 6.5, 4294967298, 'X', 'y', NULL, NULL, NULL);
SELECT results_eq($$SELECT kind, key, differing FROM reconcile.compare('narrow', 'wide', '{id}')$$,
  $$VALUES ('mismatch', '{2}'::text[], '{n,a,t}'::text[])$$, 'whole numbers, numeric, texts, inet and bits meet in the wider type');
SELECT results_eq($$SELECT kind, key, differing FROM reconcile.compare('wide', 'narrow', '{id}')$$,
  $$VALUES ('mismatch', '{2}'::text[], '{n,a,t}'::text[])$$, 'in either direction');

-- What the rows show.
CREATE TABLE shown (id int, big numeric, at timestamptz, raw bytea, list int[], part money_amount, doc jsonb, nothing text);
INSERT INTO shown VALUES (1, 12345678901234567890.10, '2026-11-21 00:00+00', '\x01', '{1,2}', '(1.50,CNY)', '{"a": 1}', NULL);
SET timezone = 'Asia/Shanghai';
SELECT results_eq($$SELECT left_row FROM reconcile.compare('shown', 'shown', '{id}', right_filter => 'false')$$,
  'SELECT to_jsonb(shown) FROM shown', 'a row is what to_jsonb makes of it');
SELECT results_eq($$SELECT key FROM reconcile.compare('shown', 'shown', '{big,nothing,part}', '{}', right_filter => 'false')$$,
  $$VALUES (ARRAY['12345678901234567890.10', NULL, '(1.50,CNY)'])$$, 'a key is its values as text, NULL as NULL');

-- A column that was dropped or added later.
ALTER TABLE shown DROP COLUMN raw;
ALTER TABLE shown ADD COLUMN later int DEFAULT 7;
SELECT is((SELECT matched FROM reconcile.compare_summary('shown', 'shown', '{id,later}')), 1::bigint, 'dropped and added columns');

-- Values that collide in PostgreSQL's own hash under every seed are told apart.
CREATE TABLE alike AS SELECT ARRAY[(i << 32) | i] AS v FROM generate_series(1::bigint, 500) AS i;
SELECT is((SELECT matched FROM reconcile.compare_summary('alike', 'alike', '{v}', '{}')), 500::bigint,
  'the operator decides where the type''s hash can''t');
-- ---- rows are shown as to_jsonb shows them --------------------------------------------------------------------
CREATE TABLE written (k int PRIMARY KEY, b boolean, i2 int2, i8 int8, n numeric, d date, ts timestamp, tz timestamptz, t text, v varchar(9), c char(5), nm name,
  u uuid, "a ""quoted"" name" text, f float8);
INSERT INTO written VALUES
  (1, true, -32768, 9223372036854775807, 1.00, '2026-11-21', '2026-11-21 01:02:03.5', '2026-11-21 01:02:03+08', E'a"\\\n\u4e00', 'v', 'c', 'nm', gen_random_uuid(), '', 0.1),
  (2, false, 0, 0, 'NaN', 'infinity', '-infinity', 'infinity', '', '', '', '', gen_random_uuid(), ' ', 'NaN'),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, true, 32767, -9223372036854775808, '-Infinity', '0044-03-15 BC', '294276-12-31 23:59:59.999999', '4713-01-01 00:00:00+00 BC', repeat('long ', 100000), 'v', 'c', 'nm', NULL, 'x', 1e300),
  (5, true, 1, 1, -123456789012345678901234567890.1200, '2026-11-21', now(), now(), 't', 'v', 'c', 'nm', NULL, 'x', -0.0);
CREATE TABLE written_not (LIKE written);
CREATE VIEW written_view AS SELECT * FROM written;
SELECT is((SELECT count(*) FROM reconcile.compare('written', 'written_not', '{k}', '{b,i2,i8,n,d,ts,tz,t,v,c,nm,u,"a \"quoted\" name"}') JOIN written s ON s.k = (left_row->>'k')::int
           WHERE left_row::text = (to_jsonb(s) - 'f')::text), 5::bigint, 'rows look as to_jsonb shows them');
SELECT is((SELECT count(*) FROM reconcile.compare('written_view', 'written_not', '{k}', '{b,i2,i8,n,d,ts,tz,t,v,c,nm,u,"a \"quoted\" name"}') JOIN written s ON s.k = (left_row->>'k')::int
           WHERE left_row::text = (to_jsonb(s) - 'f')::text), 5::bigint, 'through the executor, too');
SELECT is((SELECT count(*) FROM reconcile.compare('written', 'written_not', '{k}') JOIN written s ON s.k = (left_row->>'k')::int
           WHERE left_row::text = to_jsonb(s)::text), 5::bigint, 'and whatever the types');

SELECT * FROM finish();
ROLLBACK;
