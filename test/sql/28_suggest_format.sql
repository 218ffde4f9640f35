-- suggest_format: what it proposes is saved and read; which files it may look at; what parse_file says of bad rows.
\setenv SCRATCH :scratch
BEGIN;
SELECT plan(15);

SET LOCAL client_min_messages = error;
SELECT reconcile.create_channel('unknown', 'Europe/Berlin', 'EUR', account => 'm1', first_date => '2026-11-01');

CREATE FUNCTION pg_temp.write(name text, content text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  path text := current_setting('reconcile_test.scratch') || '/' || name;
  object oid := lo_from_bytea(0, convert_to(content, 'UTF8'));
BEGIN
  PERFORM lo_export(object, path);
  PERFORM lo_unlink(object);
  RETURN path;
END $$;
CREATE FUNCTION pg_temp.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; detail text;
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
  RETURN concat_ws(' | ', state || ' ' || message, NULLIF(detail, ''));
END $$;
SELECT set_config('reconcile_test.scratch', :'scratch', true);
SELECT pg_temp.write('shop_20261118.csv', E'Report of the shop\n\nBelegnummer;Art;Betrag;Gebühr;Datum\nA-1;Zahlung;1.100,00;3,30;18.11.2026 09:00\n'
  'A-2;Zahlung;50,00;0,15;18.11.2026 10:00\nA-1;Erstattung;100,00;0,00;18.11.2026 11:00\nSumme: 3 Belege\n') AS shop_file \gset
SELECT pg_temp.write('words.txt', E'no table\nat all\n') AS words_file \gset

SELECT reconcile.suggest_format(:'shop_file') AS suggested \gset
SELECT is(jsonb_typeof(:'suggested'), 'object', 'a document is suggested');
SELECT is(:'suggested'::jsonb #>> '{frame,separator}', ';', 'its separator');
SELECT is(:'suggested'::jsonb #>> '{map,amount,format}', '1.234,56', 'how its amounts are written');
SELECT is(:'suggested'::jsonb #>> '{stop,match}', '^Summe: ', 'where its data ends');
SELECT is(reconcile.save_format('shop.csv', :'suggested'), 1, 'it is taken as a format');
SELECT results_eq(
  format($$ SELECT row_no, kind, order_key, amount, fee, currency, account, occurred_at
            FROM reconcile.parse_file('shop.csv', %L, channel => 'unknown', account => 'm1') $$, :'shop_file'),
  $$ VALUES (1::bigint, 'payment', 'A-1', 1100.00::numeric, 3.30::numeric, 'EUR', 'm1', timestamptz '2026-11-18 09:00+01'),
            (2, 'payment', 'A-2', 50.00, 0.15, 'EUR', 'm1', timestamptz '2026-11-18 10:00+01'),
            (3, 'refund', 'A-1', -100.00, 0.00, 'EUR', 'm1', timestamptz '2026-11-18 11:00+01') $$, 'and it reads the file');

\setenv FILE :shop_file
\! gzip -k -f "$FILE"
SELECT is(reconcile.suggest_format(:'shop_file' || '.gz'), :'suggested'::jsonb, 'a packed file gives the same');

-- ---- refused ----
SELECT matches(pg_temp.error_of(format('SELECT reconcile.suggest_format(%L)', :'words_file')),
  '^22023 no format can be suggested for this file . No table was found in it: 2 lines', 'no table');
SELECT throws_ok($$ SELECT reconcile.suggest_format('x.csv') $$, '22023', 'path "x.csv" is not absolute', 'a relative path');
SELECT matches(pg_temp.error_of(format('SELECT reconcile.suggest_format(%L)', :'scratch' || '/none.csv')), '^58P01 ', 'a file that is not there');
CREATE ROLE reads_format IN ROLE reconcile_reader;
SET ROLE reads_format;
SELECT matches(pg_temp.error_of($$ SELECT reconcile.suggest_format('/etc/passwd') $$), '^42501 ', 'a file outside the allowed directories');
RESET ROLE;
SELECT is(reconcile.suggest_format(NULL), NULL, 'no path, no document');

-- ---- what a dry look says of bad rows ----
SET LOCAL client_min_messages = warning;
SELECT pg_temp.write('bad.csv', E'order_key,kind,amount,occurred_at,currency\n' ||
  string_agg(format('A%s,payment,%s,2026-11-18 10:00:00,EUR', i, CASE WHEN i % 2 = 0 THEN 'ten' ELSE '1' END), E'\n' ORDER BY i)) AS bad_file
FROM generate_series(1, 60) i \gset
\setenv BAD :bad_file
\! psql -X -q -d "$PGDATABASE" -c "SELECT count(*) FROM reconcile.parse_file('generic.csv', '$BAD', account => 'm1')" > "$SCRATCH/warnings" 2>&1
SELECT is((SELECT count(*) FROM regexp_matches(pg_read_file(:'scratch' || '/warnings'), 'is set aside', 'g')), 20::bigint, 'twenty bad rows are shown');
SELECT matches(pg_read_file(:'scratch' || '/warnings'), E'WARNING:  row 2 \\(line 3\\) is set aside: amount \\(column amount\\) ''ten'' is no amount', 'with row, line, column, value and reason');
SELECT matches(pg_read_file(:'scratch' || '/warnings'), 'WARNING:  10 more rows are set aside, 30 in all', 'and how many more there are');

SELECT * FROM finish();
ROLLBACK;
