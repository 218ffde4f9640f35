-- digest: equal multisets of rows, and only they, have equal digests, however they are stored, ordered and read; its
-- form is published. Also what has no published form is refused by its position.
BEGIN;
SELECT plan(90);
SET client_min_messages = warning;
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TYPE mood_elsewhere AS ENUM ('high', 'low');
CREATE DOMAIN cents AS numeric CHECK (VALUE >= 0);
CREATE COLLATION blind_to_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- Type, value, an equal value, another value, and what is hashed for it (docs/digest.md).
CREATE TABLE example (type text, value text, equal text, other text, published text);
INSERT INTO example VALUES
  ('boolean', 'true', 't', 'f', 't'),
  ('"char"', 'a', 'a', 'b', 'a'),
  ('name', 'a', 'a', 'b', 'a'),
  ('smallint', '-1', '-01', '1', '-1'),
  ('integer', '-2147483648', '-2147483648', '2147483647', '-2147483648'),
  ('bigint', '4294967297', '4294967297', '0', '4294967297'),
  ('bigint', '-9223372036854775808', '-9223372036854775808', '0', '-9223372036854775808'),
  ('numeric', '1.0', '1.000', '1.0001', '1'),
  ('numeric(10,2)', '12', '12.00', '12.01', '12'),
  ('numeric', '-12.5', '-12.500000', '12.5', '-12.5'),
  ('numeric', '10000', '10000.0', '1000', '10000'),
  ('numeric', '100000000.000000010', '100000000.00000001', '100000000', '100000000.00000001'),
  ('numeric', '.00000000012', '0.000000000120', '0.0000000012', '0.00000000012'),
  ('numeric', 'NaN', 'nan', 'Infinity', 'NaN'),
  ('numeric', 'Infinity', 'inf', '-Infinity', 'Infinity'),
  ('numeric', '-Infinity', '-inf', 'NaN', '-Infinity'),
  ('numeric', '-1e400', '-1e400', '1e400', '-1' || repeat('0', 400)),
  ('numeric', '1e-400', '1e-400', '1e-401', '0.' || repeat('0', 399) || '1'),
  ('numeric', '0', '-0.000', '0.0001', '0'),
  ('cents', '7.50', '7.5', '7', '7.5'),
  ('money', '1.5', '1.50', '1.51', '150'),
  ('text', 'ü', 'ü', E'u\u0308', 'ü'),
  ('text', '', '', ' ', ''),
  ('text', repeat('支付', 50000), repeat('支付', 50000), repeat('支付', 50000) || '.', repeat('支付', 50000)),
  ('varchar(20)', 'a', 'a', 'a ', 'a'),
  ('char(5)', 'a', 'a    ', 'b', 'a'),
  ('bytea', 'abc', '\x616263', '\x6162', 'abc'),
  ('date', '2026-11-21', '20261121', '2026-11-22', '20778'),
  ('date', '1969-12-31', '1969-12-31', '1970-01-01', '-1'),
  ('date', 'infinity', 'infinity', '-infinity', 'infinity'),
  ('time', '24:00', '24:00:00', '00:00', '86400000000'),
  ('timetz', '12:00+08', '12:00:00+08', '13:00+09', '43200000000 28800'),
  ('timestamp', '2026-11-21 00:00', '2026-11-21T00:00:00', '2026-11-21 00:00:00.000001', '1795219200000000'),
  ('timestamp', '1969-12-31 23:59:59', '1969-12-31 23:59:59', '1970-01-01', '-1000000'),
  ('timestamp', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999', '294276-12-31', '9224318015999999999'),
  ('timestamptz', '2026-11-21 08:00+08', '2026-11-21 00:00+00', '-infinity', '1795219200000000'),
  ('timestamptz', '-infinity', '-infinity', 'infinity', '-infinity'),
  ('interval', '1 month', '30 days', '31 days', '2592000000000'),
  ('interval', '1 day', '24 hours', '-1 day', '86400000000'),
  ('interval', '-1 day', '-24 hours', '-1 day -1 us', '-86400000000'),
  ('interval', '100000000 years', '1200000000 mons', '1 year', '3110400000000000000000'),
  ('uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
  ('bit(3)', '101', '101', '100', '101'),
  ('bit varying', '101010101', '101010101', '1010101010', '101010101'),
  ('oid', '4294967295', '4294967295', '1', '4294967295'),
  ('xid', '7', '7', '8', '7'),
  ('xid8', '18446744073709551615', '18446744073709551615', '8', '18446744073709551615'),
  ('pg_lsn', '1/0', '1/00000000', '2/0', '4294967296'),
  ('mood', 'high', 'high', 'low', 'high'),
  ('mood_elsewhere', 'high', 'high', 'low', 'high'),
  ('real', '0', '-0', '1e-45', NULL),
  ('double precision', '0', '-0', '5e-324', NULL),
  ('real', 'NaN', 'nan', '0', NULL),
  ('inet', '10.0.0.1', '10.0.0.1/32', '10.0.0.1/24', NULL),
  ('inet', '::1', '0:0::1', '::2', NULL),
  ('cidr', '10.0.0.0/8', '10/8', '10.0.0.0/16', NULL),
  ('macaddr', '08:00:2b:01:02:03', '08002b010203', '08:00:2b:01:02:04', NULL),
  ('macaddr8', '08:00:2b:01:02:03:04:05', '08002b0102030405', '08:00:2b:01:02:03:04:06', NULL);

CREATE FUNCTION digest_of(type text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('SELECT reconcile.digest(%L::%s)', value, type) INTO result;
  RETURN result;
END $$;

SELECT is(digest_of(type, value), digest_of(type, equal), format('%s: %s = %s', type, left(value, 40), left(equal, 40)))
FROM example;
SELECT is_empty($$ SELECT type, value, other FROM example WHERE digest_of(type, value) = digest_of(type, other) $$,
  'other values have other digests');
SELECT is_empty($$
  SELECT type, value, published FROM example
  WHERE published IS NOT NULL AND digest_of(type, value) <> '1:1:' || reconcile.row_hash(published) $$,
  'what is hashed is what the page says, the row hash of its texts');
SELECT is(reconcile.digest(1.5::float8), reconcile.digest(decode('000000000000f83f', 'hex')), 'a float is its eight bytes');
SELECT is(reconcile.digest(1.5::real), reconcile.digest(1.5::float8), 'of either width');
SELECT is(reconcile.digest('10.1.2.3/8'::inet), reconcile.digest('\x04080a010203'::bytea), 'an address is family, prefix and bytes');
SELECT is(reconcile.digest('::1'::inet), reconcile.digest(decode('0680' || repeat('00', 15) || '01', 'hex')), 'also the long ones');
SELECT is(reconcile.digest('08:00:2b:01:02:03'::macaddr), reconcile.digest('\x08002b010203'::bytea), 'and six bytes');
SELECT is((SELECT reconcile.digest(a, b, c, d) FROM (VALUES
             ('order 1', 12.50, timestamptz '2026-11-21 08:00+08', true), ('order 2', NULL, 'infinity', false), ('order 2', NULL, 'infinity', false)) v (a, b, c, d)),
          '1:3:228060341954150032656456062274739464928', 'version 1 never changes: computed by another program');

-- Multisets
CREATE TABLE payment AS
SELECT CASE WHEN i % 97 <> 0 THEN 'order' || i % 9000 END AS order_no, (i % 1000)::numeric / 100 AS amount,
       CASE WHEN i % 3 <> 0 THEN 'paid' END AS state, timestamptz '2026-11-21' + i * interval '1 second' AS paid_at, i % 7 AS shop
FROM generate_series(1, 20000) i;
SELECT is(reconcile.digest(order_no, amount, state, paid_at, shop),
          '1:' || count(*) || ':' ||
          mod(sum(reconcile.row_hash(order_no, trim_scale(amount)::text, state, (extract(epoch FROM paid_at) * 1000000)::bigint::text, shop::text)),
              340282366920938463463374607431768211456), 'a digest is the rows and the sum of their hashes')
FROM payment;
SELECT is((SELECT reconcile.digest(p.order_no, p.amount ORDER BY random()) FROM payment p),
          (SELECT reconcile.digest(order_no, amount) FROM payment), 'whatever the order');
SELECT isnt((SELECT reconcile.digest(order_no, amount) FROM payment),
            (SELECT reconcile.digest(order_no, amount) FROM (SELECT * FROM payment UNION ALL (SELECT * FROM payment LIMIT 1)) t),
            'a twin counts');
SELECT isnt((SELECT reconcile.digest('ab'::text, 'c'::text)), (SELECT reconcile.digest('a'::text, 'bc'::text)), 'where a column ends counts');
SELECT isnt((SELECT reconcile.digest(NULL::text)), (SELECT reconcile.digest(''::text)), 'NULL is not the empty text');
SELECT is((SELECT reconcile.digest(NULL::text)), (SELECT reconcile.digest(NULL::integer)), 'NULL is NULL');
SELECT is((SELECT reconcile.digest(order_no) FROM payment WHERE false), '1:0:0', 'no rows have a digest');
SELECT is((SELECT reconcile.digest(DISTINCT order_no) FROM payment), (SELECT reconcile.digest(order_no) FROM (SELECT DISTINCT order_no FROM payment) d),
          'DISTINCT works');
SELECT is((SELECT array_agg(d ORDER BY shop) FROM (SELECT shop, reconcile.digest(order_no, amount) AS d FROM payment GROUP BY shop) g),
          (SELECT array_agg((SELECT reconcile.digest(order_no, amount) FROM payment p WHERE p.shop = s) ORDER BY s) FROM generate_series(0, 6) s),
          'groups have their own');
SELECT is((SELECT DISTINCT reconcile.digest(order_no, amount) OVER (PARTITION BY shop) FROM payment WHERE shop = 3),
          (SELECT reconcile.digest(order_no, amount) FROM payment WHERE shop = 3), 'and so do windows');

-- Parallel, and through a join with columns of several collations
ANALYZE payment;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
CREATE FUNCTION uses(query text, node text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
    IF strpos(line, node) > 0 THEN RETURN true; END IF;
  END LOOP;
  RETURN false;
END $$;
SELECT ok(uses('SELECT reconcile.digest(order_no, amount, state) FROM payment', 'Partial Aggregate'), 'workers may take part');
SELECT is((SELECT reconcile.digest(order_no, amount, state) FROM payment),
          (SELECT reconcile.digest(order_no, amount, state) FROM (SELECT * FROM payment OFFSET 0) p), 'and change nothing');
SELECT is((SELECT array_agg(d ORDER BY shop) FROM (SELECT shop, reconcile.digest(order_no) AS d FROM payment GROUP BY shop) g),
          (SELECT array_agg(d ORDER BY shop) FROM (SELECT shop, reconcile.digest(order_no) AS d FROM (SELECT * FROM payment OFFSET 0) p GROUP BY shop) g),
          'not with groups either');

-- Refused
CREATE FUNCTION refused(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text; detail text; hint text;
BEGIN
  EXECUTE 'SELECT ' || expression;
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ' ' || message || ' / ' || hint;
END $$;
SELECT is(refused(format('reconcile.digest(1, %s)', value)),
          format('42804 digest: column 2 is of type %s, which has no published form / %s', type,
                 CASE WHEN type = 'record' THEN 'Pass the row''s columns one by one.' ELSE 'Cast it to text, or leave it out.' END),
          type || ' is refused')
FROM (VALUES ('jsonb', '''1''::jsonb'), ('json', '''1''::json'), ('integer[]', 'ARRAY[1]'), ('int4range', '''[1,2)''::int4range'),
             ('citext', '''a''::citext'), ('point', '''(1,2)''::point'), ('tsvector', '''a''::tsvector'), ('regclass', '''pg_class''::regclass'),
             ('record', 'ROW(1, 2)')) v (type, value);
CREATE TABLE folded (a text COLLATE "C", b text COLLATE blind_to_case);
INSERT INTO folded VALUES ('a', 'a');
SELECT is(refused('reconcile.digest(a, b) FROM folded'),
          '42804 digest: column 2 has a nondeterministic collation / Say how its values are told apart: COLLATE "C", or an expression such as lower().',
          'a column''s own collation decides');
SELECT is(refused('reconcile.digest(a, b COLLATE "C") FROM folded'), 'accepted', 'and can be replaced');

SELECT * FROM finish();
ROLLBACK;
