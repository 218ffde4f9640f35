-- What reconcile.compare refuses, word for word.
BEGIN;
SET client_min_messages = warning;
CREATE SCHEMA shop;
SET search_path = shop, public;
CREATE TABLE payment (order_no text, amount numeric, paid_at timestamptz, status text, raw json, n int, place point, span interval, "a=b" int);
CREATE TABLE bill (order_no text, amount text, paid_at timestamptz, state int, raw json, n int, place point, span interval, "a=b" int);
CREATE INDEX payment_index ON payment (order_no);
CREATE SEQUENCE payment_seq;
CREATE COLLATION blind_to_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE blind (order_no text COLLATE blind_to_case, n int);
INSERT INTO payment VALUES ('1', 1, now(), 's', NULL, 1), ('2', 2, now(), 's', NULL, 2);

SELECT plan(118);

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
CREATE FUNCTION pg_temp.refused(arguments text, expected text[], what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE function text;
BEGIN
  FOREACH function IN ARRAY ARRAY['compare', 'compare_summary'] LOOP
    IF function = 'compare' OR what NOT LIKE '%,' THEN
      RETURN NEXT is(pg_temp.error_of(format('SELECT * FROM reconcile.%I(%s)', function, arguments)),
                     array_to_string(expected, E'\n'), what || ' (' || function || ')');
    END IF;
  END LOOP;
END
$$;
SELECT pg_temp.refused($a$NULL, 'bill', '{order_no}'$a$, ARRAY[
  '22004',
  'left_relation must not be NULL',
  'There is nothing to compare with.',
  'Name a relation, for example ''public.payments''.'],
  'no left relation');
SELECT pg_temp.refused($a$'payment', NULL, '{order_no}'$a$, ARRAY[
  '22004',
  'right_relation must not be NULL',
  'There is nothing to compare with.',
  'Name a relation, for example ''public.payments''.'],
  'no right relation');
SELECT pg_temp.refused($a$0, 'bill', '{order_no}'$a$, ARRAY[
  '42P01',
  'relation with OID 0 does not exist',
  'It may have been dropped since its name was looked up.',
  'Name an existing relation, for example ''public.payments''.'],
  'a relation that does not exist');
SELECT pg_temp.refused($a$'payment_index', 'bill', '{order_no}'$a$, ARRAY[
  '42809',
  'shop.payment_index is an index',
  'It has no rows that a query could read.',
  'Compare tables, partitioned tables, views, materialized views or foreign tables.'],
  'an index');
SELECT pg_temp.refused($a$'payment', 'payment_seq', '{order_no}'$a$, ARRAY[
  '42809',
  'shop.payment_seq is a sequence',
  'It has no rows that a query could read.',
  'Compare tables, partitioned tables, views, materialized views or foreign tables.'],
  'a sequence');
SELECT pg_temp.refused($a$'payment', 'bill', NULL$a$, ARRAY[
  '22023',
  'key must name at least one column',
  'key is NULL.',
  'Name the columns that say which rows belong together, for example ARRAY[''order_no''].'],
  'no key');
SELECT pg_temp.refused($a$'payment', 'bill', '{}'$a$, ARRAY[
  '22023',
  'key must name at least one column',
  'key is an empty array.',
  'Name the columns that say which rows belong together, for example ARRAY[''order_no''].'],
  'an empty key');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no,NULL}'$a$, ARRAY[
  '22004',
  'key must not contain NULL',
  'Element 2 is NULL.',
  'Name columns, for example ARRAY[''order_no''].'],
  'NULL in key');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n,NULL}'$a$, ARRAY[
  '22004',
  'compare must not contain NULL',
  'Element 2 is NULL.',
  'Name columns, for example ARRAY[''order_no''].'],
  'NULL in compare');
SELECT pg_temp.refused($a$'payment', 'bill', '{order}'$a$, ARRAY[
  '42703',
  'column "order" of shop.payment does not exist',
  'The argument key names it.',
  'Its columns are: order_no, amount, paid_at, status, raw, n, place, span, a=b. Names that differ are written ''left_name=right_name''.'],
  'the left has no such key');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no=bill_no}'$a$, ARRAY[
  '42703',
  'column "bill_no" of shop.bill does not exist',
  'The argument key names it.',
  'Its columns are: order_no, amount, paid_at, state, raw, n, place, span, a=b. Names that differ are written ''left_name=right_name''.'],
  'the right has no such key');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{amuont}'$a$, ARRAY[
  '42703',
  'column "amuont" of shop.payment does not exist',
  'The argument compare names it.',
  'Its columns are: order_no, amount, paid_at, status, raw, n, place, span, a=b. Names that differ are written ''left_name=right_name''.'],
  'a compared column that does not exist');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{xmin}'$a$, ARRAY[
  '42703',
  'column "xmin" of shop.payment does not exist',
  'The argument compare names it.',
  'Its columns are: order_no, amount, paid_at, status, raw, n, place, span, a=b. Names that differ are written ''left_name=right_name''.'],
  'a system column');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n,n}'$a$, ARRAY[
  '42701',
  'column "n" is named twice',
  'The argument compare repeats it.',
  'Name each column once, either in key or in compare.'],
  'a column twice');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{order_no=order_no}'$a$, ARRAY[
  '42701',
  'column "order_no" is named twice',
  'The argument compare repeats it.',
  'Name each column once, either in key or in compare.'],
  'a key that is compared');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{amount}'$a$, ARRAY[
  '42804',
  'column "amount" has different types on the two sides',
  'It is numeric on the left and text on the right.',
  'Compare a view that casts one of them, or list the columns to compare without it.'],
  'types that do not meet');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{status=state}'$a$, ARRAY[
  '42804',
  'column "status=state" has different types on the two sides',
  'It is text on the left and integer on the right.',
  'Compare a view that casts one of them, or list the columns to compare without it.'],
  'types that do not meet under two names');
SELECT pg_temp.refused($a$'payment', 'bill', '{n}', '{raw}'$a$, ARRAY[
  '42883',
  'column "raw" of type json cannot be compared',
  'Type json has no equality that says when two values are the same.',
  'List the columns to compare without it, or compare a view that casts it (json to jsonb, xml and point to text).'],
  'json');
SELECT pg_temp.refused($a$'payment', 'bill', '{place}', '{}'$a$, ARRAY[
  '42883',
  'column "place" of type point cannot be compared',
  'Type point has no equality that says when two values are the same.',
  'List the columns to compare without it, or compare a view that casts it (json to jsonb, xml and point to text).'],
  'point as key');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}'$a$, ARRAY[
  '42883',
  'column "raw" of type json cannot be compared',
  'Type json has no equality that says when two values are the same.',
  'List the columns to compare without it, or compare a view that casts it (json to jsonb, xml and point to text).'],
  'json among all columns');
SELECT pg_temp.refused($a$'payment', 'blind', '{order_no}', '{}'$a$, ARRAY[
  '42P21',
  'column "order_no" has different collations on the two sides',
  'One of them is nondeterministic: which strings are equal depends on the side.',
  'Compare a view that gives both the same collation with COLLATE.'],
  'collations that disagree');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'n >'$a$, ARRAY[
  '42601',
  'left_filter is not a valid filter',
  'syntax error at end of input (character 4 of the filter).',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'a filter that breaks off');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', NULL, ''$a$, ARRAY[
  '42601',
  'right_filter is not one boolean expression',
  'It is "".',
  'Write one boolean expression over the columns of shop.bill, as after WHERE, for example: status = ''success''.'],
  'an empty filter');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'n = 1; DROP TABLE payment'$a$, ARRAY[
  '42601',
  'left_filter is not a valid filter',
  'syntax error at or near ";" (character 6 of the filter).',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'two statements');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'true) OR (true'$a$, ARRAY[
  '42601',
  'left_filter is not a valid filter',
  'syntax error at or near ")" (character 5 of the filter).',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'parentheses that close the filter''s own');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'true UNION SELECT 1'$a$, ARRAY[
  '42601',
  'left_filter is not a valid filter',
  'syntax error at or near "UNION" (character 6 of the filter).',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'a union');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'n = 1 FROM bill'$a$, ARRAY[
  '42601',
  'left_filter is not one boolean expression',
  'It is "n = 1 FROM bill".',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'a FROM');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'true LIMIT 1'$a$, ARRAY[
  '42601',
  'left_filter is not one boolean expression',
  'It is "true LIMIT 1".',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'a LIMIT');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'n = 1 AS x'$a$, ARRAY[
  '42601',
  'left_filter is not one boolean expression',
  'It is "n = 1 AS x".',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'an alias');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'n = 1, true'$a$, ARRAY[
  '42601',
  'left_filter is not one boolean expression',
  'It is "n = 1, true".',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'two expressions');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'true /*'$a$, ARRAY[
  '42601',
  'left_filter is not a valid filter',
  'unterminated /* comment at or near "/*" (character 6 of the filter).',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'a comment that does not end');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'n'$a$, ARRAY[
  '42804',
  'left_filter is not a valid filter',
  'argument of a filter must be type boolean, not type integer (character 1 of the filter).',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'a filter that is no boolean');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', NULL, 'status = ''x'''$a$, ARRAY[
  '42703',
  'right_filter is not a valid filter',
  'column "status" does not exist (character 1 of the filter).',
  'Write one boolean expression over the columns of shop.bill, as after WHERE, for example: status = ''success''.'],
  'a column of the other side in a filter');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'count(*) > 1'$a$, ARRAY[
  '42803',
  'left_filter is not a valid filter',
  'aggregate functions are not allowed in WHERE (character 1 of the filter).',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'an aggregate in a filter');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', 'n = ''x'''$a$, ARRAY[
  '22P02',
  'left_filter is not a valid filter',
  'invalid input syntax for type integer: "x" (character 5 of the filter).',
  'Write one boolean expression over the columns of shop.payment, as after WHERE, for example: status = ''success''.'],
  'a literal of the wrong type in a filter');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', NULL, 'n = $1'$a$, ARRAY[
  '42P02',
  'right_filter is not a valid filter',
  'there is no parameter $1 (character 5 of the filter).',
  'Write one boolean expression over the columns of shop.bill, as after WHERE, for example: status = ''success''.'],
  'a parameter in a filter');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', NULL, NULL, '[1]'$a$, ARRAY[
  '22023',
  'tolerance must be a JSON object',
  'It is a JSON array.',
  'Write an object of column names and tolerances, for example {"amount": "0.01", "paid_at": "5 seconds", "fee": "0.1%"}.'],
  'a tolerance that is no object');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', NULL, NULL, '{"n": null}'$a$, ARRAY[
  '22023',
  'tolerance of column "n" must be a text or a number',
  'It is a JSON null.',
  'Write an object of column names and tolerances, for example {"amount": "0.01", "paid_at": "5 seconds", "fee": "0.1%"}.'],
  'a tolerance of null');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', NULL, NULL, '{"n": {"a": 1}}'$a$, ARRAY[
  '22023',
  'tolerance of column "n" must be a text or a number',
  'It is a JSON object.',
  'Write an object of column names and tolerances, for example {"amount": "0.01", "paid_at": "5 seconds", "fee": "0.1%"}.'],
  'a tolerance that is an object');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{n}', NULL, NULL, '{"m": 1}'$a$, ARRAY[
  '42703',
  'tolerance names column "m", which is not compared',
  'It is no column of either side, or not in compare.',
  'The compared columns are: n.'],
  'a tolerance of no column');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no,n}', '{paid_at}', NULL, NULL, '{"n": 1}'$a$, ARRAY[
  '42703',
  'tolerance names column "n", which is not compared',
  'It is a column of the key, and keys are compared exactly.',
  'The compared columns are: paid_at.'],
  'a tolerance of a key');
SELECT pg_temp.refused($a$'payment', 'bill', '{order_no}', '{}', NULL, NULL, '{"n": 1}'$a$, ARRAY[
  '42703',
  'tolerance names column "n", which is not compared',
  'It is no column of either side, or not in compare.',
  'No columns are compared: leave tolerance out.'],
  'a tolerance without compared columns');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{status}', NULL, NULL, '{"status": 1}'$a$, ARRAY[
  '42804',
  'column "status" of type text takes no tolerance',
  'A tolerance is a distance, and two values of type text have none.',
  'Take it out of tolerance: numbers, dates, times and timestamps may have one.'],
  'a tolerance of text');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{span}', NULL, NULL, '{"span": "1 day"}'$a$, ARRAY[
  '42804',
  'column "span" of type interval takes no tolerance',
  'A tolerance is a distance, and two values of type interval have none.',
  'Take it out of tolerance: numbers, dates, times and timestamps may have one.'],
  'a tolerance of an interval');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{amount}', NULL, NULL, '{"amount": "NaN"}'$a$, ARRAY[
  '22023',
  'tolerance "NaN" of column "amount" cannot be used',
  'It is not finite.',
  'Write a number that is not negative, for example "0.01", or a percentage up to 100, for example "0.1%".'],
  'NaN');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{amount}', NULL, NULL, '{"amount": "infinity"}'$a$, ARRAY[
  '22023',
  'tolerance "infinity" of column "amount" cannot be used',
  'It is not finite.',
  'Write a number that is not negative, for example "0.01", or a percentage up to 100, for example "0.1%".'],
  'infinity');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{amount}', NULL, NULL, '{"amount": "NaN%"}'$a$, ARRAY[
  '22023',
  'tolerance "NaN%" of column "amount" cannot be used',
  'It is not finite.',
  'Write a number that is not negative, for example "0.01", or a percentage up to 100, for example "0.1%".'],
  'NaN percent');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{amount}', NULL, NULL, '{"amount": "-0.01"}'$a$, ARRAY[
  '22023',
  'tolerance "-0.01" of column "amount" cannot be used',
  'It is negative.',
  'Write a number that is not negative, for example "0.01", or a percentage up to 100, for example "0.1%".'],
  'a negative number');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{amount}', NULL, NULL, '{"amount": "100.1%"}'$a$, ARRAY[
  '22023',
  'tolerance "100.1%" of column "amount" cannot be used',
  'It is more than 100%.',
  'Write a number that is not negative, for example "0.01", or a percentage up to 100, for example "0.1%".'],
  'more than 100%');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{amount}', NULL, NULL, '{"amount": "a cent"}'$a$, ARRAY[
  '22023',
  'tolerance "a cent" of column "amount" cannot be used',
  'It is no number: invalid input syntax for type numeric: "a cent".',
  'Write a number that is not negative, for example "0.01", or a percentage up to 100, for example "0.1%".'],
  'no number');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{amount}', NULL, NULL, '{"amount": ""}'$a$, ARRAY[
  '22023',
  'tolerance "" of column "amount" cannot be used',
  'It is no number: invalid input syntax for type numeric: "".',
  'Write a number that is not negative, for example "0.01", or a percentage up to 100, for example "0.1%".'],
  'nothing for a number');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{paid_at}', NULL, NULL, '{"paid_at": "soon"}'$a$, ARRAY[
  '22023',
  'tolerance "soon" of column "paid_at" cannot be used',
  'It is no interval: invalid input syntax for type interval: "soon".',
  'Write an interval that is not negative, for example "5 seconds" or "1 day".'],
  'no interval');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{paid_at}', NULL, NULL, '{"paid_at": "1 month"}'$a$, ARRAY[
  '22023',
  'tolerance "1 month" of column "paid_at" cannot be used',
  'Months and years have no fixed length.',
  'Count in days, hours, minutes or seconds, for example "31 days".'],
  'a month');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{paid_at}', NULL, NULL, '{"paid_at": "-5 seconds"}'$a$, ARRAY[
  '22023',
  'tolerance "-5 seconds" of column "paid_at" cannot be used',
  'It is negative.',
  'Write an interval that is not negative, for example "5 seconds" or "1 day".'],
  'a negative interval');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{paid_at}', NULL, NULL, '{"paid_at": "5%"}'$a$, ARRAY[
  '22023',
  'tolerance "5%" of column "paid_at" cannot be used',
  'A percentage is a tolerance of numbers.',
  'Write an interval that is not negative, for example "5 seconds" or "1 day".'],
  'a percentage of a time');
SELECT pg_temp.refused($a$'payment', 'payment', '{order_no}', '{n=a=b}', NULL, NULL, '{"n": 1, "a=b": 2}'$a$, ARRAY[
  '42701',
  'tolerance names column "n" twice',
  '"a=b" is the same column under another name.',
  'Give each compared column one tolerance.'],
  'one column''s tolerance under two names');

SELECT ok(to_regclass('shop.payment') IS NOT NULL, 'nothing was dropped by a filter');
SELECT is(pg_temp.error_of($$SELECT * FROM reconcile.compare('payment', 'payment', '{order_no}', '{n}', '1 / (n - 1) > 0')$$),
  E'22012\ndivision by zero\n\n', 'an error in a filter''s evaluation is the executor''s own');

-- A name with '=' in it.
SELECT is((SELECT differing FROM reconcile.compare('payment', 'payment', '{order_no}', '{a=b}', 'n = 1', 'n = 1')), NULL,
  'a column that is really called a=b is found');
SELECT is((SELECT matched FROM reconcile.compare_summary('payment', 'bill', '{ order_no = order_no }', '{}')), 0::bigint,
  'spaces around the = do not matter');

-- Too many pairs that are close in two columns: said, not guessed; with one column it is paired.
CREATE TABLE crowd_l AS SELECT 1 AS k, i::numeric / 1000000 AS a, i::numeric / 1000000 AS b FROM generate_series(1, 3000) AS i;
CREATE TABLE crowd_r AS SELECT 1 AS k, i::numeric / 1000000 + 0.0000001 AS a, i::numeric / 1000000 + 0.0000001 AS b FROM generate_series(1, 3000) AS i;
SELECT is(pg_temp.error_of($$SELECT * FROM reconcile.compare('crowd_l', 'crowd_r', '{k}', NULL, NULL, NULL, '{"a": 1, "b": 1}')$$),
  E'54000\ntoo many rows of one key are within tolerance\n3000 rows on the left and 3000 on the right share one key, and more than 5000000 pairs of them are close.\nAdd a column to key that tells the rows apart, or leave all tolerances but one.',
  'more close pairs than are looked at');
SELECT is((SELECT matched FROM reconcile.compare_summary('crowd_l', 'crowd_r', '{k}', '{a}', NULL, NULL, '{"a": 1}')), 3000::bigint,
  'one tolerance column pairs any number');
SELECT * FROM finish();
ROLLBACK;
