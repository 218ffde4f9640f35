-- The store: original bytes and normalised CSV, ingestion again without the file, retention, holds, verification.
-- maintain() commits, so this file does, too.
\setenv SCRATCH :scratch
SELECT plan(48);
SET client_min_messages = error;
SELECT reconcile.create_channel('bank', 'Asia/Shanghai', 'CNY', account => '6222', first_date => '2026-11-01');
SELECT reconcile.create_file_source('bank bills', 'bank', 'generic.csv', NULL, options => '{"expected": false}') AS bank_source \gset
CREATE FUNCTION pg_temp.write(name text, content text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  path text := current_setting('reconcile_test.scratch') || '/' || name;
  object oid := lo_from_bytea(0, convert_to(content, 'UTF8'));
BEGIN
  PERFORM lo_export(object, path);
  PERFORM lo_unlink(object);
  RETURN path;
END $$;
CREATE FUNCTION pg_temp.bill(name text, day date, orders text[]) RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.write(name, format(E'#account=6222\n#business_date=%s\norder_key,kind,amount\n', day)
                             || (SELECT string_agg('"' || replace(o, '"', '""') || E'",payment,1.00\n', '') FROM unnest(orders) o)) $$;

-- ---- nothing is kept unless somebody said where ----
SELECT reconcile.ingest_file('bank bills', pg_temp.bill('a.csv', '2026-11-02', '{a1}'));
SELECT is((SELECT count(*) FROM reconcile.stored_file), 0::bigint, 'without a store nothing is kept');
SELECT throws_ok($$ SET pg_reconcile.store_directory = 'bills' $$, '22023', NULL, 'a store is an absolute path');
SELECT set_config('pg_reconcile.store_directory', :'scratch' || '/store', false);

-- ---- what is kept ----
SELECT reconcile.ingest_file('bank bills', pg_temp.bill('b.csv', '2026-11-03', ARRAY['b,"1', 'b2'])) AS b \gset
SELECT is((SELECT state FROM reconcile.statement WHERE statement_id = :b), 'accepted', 'a file is taken in');
SELECT is((SELECT count(*) FROM reconcile.stored_file_status WHERE source = 'bank bills' AND file_name = 'b.csv' AND first_date = '2026-11-03'),
  1::bigint, 'and stored');
SELECT path, normalised_path, sha256 FROM reconcile.stored_file_status WHERE file_name = 'b.csv' \gset b_
SELECT is(:'b_path', :'scratch' || '/store/' || left(:'b_sha256', 2) || '/' || :'b_sha256', 'under the hash of its bytes');
SELECT is(encode(sha256(pg_read_binary_file(:'b_path')), 'hex'), :'b_sha256', 'byte for byte');
SELECT is(pg_read_binary_file(:'b_path'), pg_read_binary_file(:'scratch' || '/b.csv'), 'as they came');
CREATE TEMPORARY TABLE normalised (row_no bigint, account text, book text, kind text, sub_kind text, order_key text, match_key text,
  channel_ref text, original_ref text, amount numeric, currency text, settle_amount numeric, settlement_currency text,
  fx_rate numeric, fee numeric, net numeric, status text, source_status text, occurred_at timestamptz, value_date date,
  business_date date, settlement_ref text, attributes jsonb);
SELECT format('COPY normalised FROM %L WITH (FORMAT csv, HEADER match)', :'b_normalised_path') AS copy_it \gset
:copy_it;
SELECT results_eq('SELECT * FROM normalised ORDER BY row_no',
  format($$ SELECT * FROM reconcile.parse_file('generic.csv', %L, 'bank', '6222') ORDER BY row_no $$, :'scratch' || '/b.csv'),
  'COPY reads the normalised file as parse_file reads the original');
SELECT is((SELECT normalised_rows FROM reconcile.stored_file_status WHERE file_name = 'b.csv'), 2::bigint, 'with as many rows as it says');
SELECT is((SELECT count(*) FROM pg_ls_dir(:'scratch' || '/store/tmp')), 0::bigint, 'nothing half-written is left');

-- ---- again, without the file ----
SELECT reconcile.ingest_file('bank bills', pg_temp.write('c.csv', E'order_key,kind,amount\nc1,payment,1.00\n'), '2026-11-04') AS c \gset
SELECT reconcile.ingest_file('bank bills', pg_temp.write('d.csv', E'#account=6222\n#business_date=2026-11-05\norder_key;kind;amount\nd1;payment;1.00\n'), '2026-11-05') AS d \gset
SELECT is((SELECT state FROM reconcile.statement WHERE statement_id = :d), 'rejected', 'a file in another format is rejected');
SELECT is((SELECT normalised_path FROM reconcile.stored_file_status WHERE file_name = 'd.csv'), NULL, 'it is stored, and was normalised to nothing');
\! rm "$SCRATCH/d.csv"
SELECT document FROM reconcile.file_format WHERE format = 'generic.csv' ORDER BY version DESC LIMIT 1 \gset
SELECT reconcile.save_format('generic.csv', jsonb_set(:'document'::jsonb, '{frame,separator}', '";"'));
SELECT is(reconcile.reingest(:d), :d::bigint, 'once its format is mended, it is taken in again without the file');
SELECT is((SELECT state || ' ' || entry_count || ' ' || business_date FROM reconcile.statement WHERE statement_id = :d), 'accepted 1 2026-11-05', 'with its rows');
SELECT isnt((SELECT normalised_path FROM reconcile.stored_file_status WHERE file_name = 'd.csv'), NULL, 'and normalised');
SELECT throws_ok(format('SELECT reconcile.reingest(%s)', :d), '55000', NULL, 'an accepted statement is not');
SELECT throws_ok('SELECT reconcile.reingest(1)', '42704', 'the file of statement 1 is not in the store', 'what was never stored says so');
SELECT throws_ok('SELECT reconcile.reingest(99999)', '42704', NULL, 'a statement that does not exist, too');
SELECT throws_ok($$ SELECT reconcile.ingest_stored('bank bills', '../b.csv', 'b.csv', NULL) $$, '42501', NULL, 'nothing outside the store is taken for stored');
SELECT throws_ok($$ SELECT reconcile.remove_stored('/etc/hostname') $$, '42501', NULL, 'nor removed');

-- ---- verification ----
SELECT is_empty('SELECT * FROM reconcile.verify_store(NULL)', 'the store is as it was written');
SELECT ok(ok, 'verify() says so') FROM reconcile.verify() WHERE "check" = 'stored files';
\setenv STORED :b_path
\! chmod u+w "$STORED" && printf x >> "$STORED"
SELECT matches((SELECT string_agg(v, '; ') FROM reconcile.verify_store(NULL) v), '^bank bills, file "b.csv", .*: its bytes are not those that were stored$', 'changed bytes are found');
SELECT ok(NOT ok, 'by verify() as well') FROM reconcile.verify() WHERE "check" = 'stored files';
\! cp "$SCRATCH/b.csv" "$STORED"
\setenv NORMALISED :b_normalised_path
\! mv "$NORMALISED" "$NORMALISED.away"
SELECT matches((SELECT string_agg(v, '; ') FROM reconcile.verify_store(NULL) v), 'file "b.csv", .*cannot be read: No such file', 'a missing file is found');
\! mv "$NORMALISED.away" "$NORMALISED"
SELECT is_empty('SELECT * FROM reconcile.verify_store(NULL)', 'and all is well again');

-- ---- retention and holds ----
SELECT ok(keep_until = greatest(stored_at, timestamptz '2026-11-04') + interval '10 years', 'files are kept for ten years') FROM reconcile.stored_file_status WHERE file_name = 'b.csv';
UPDATE reconcile.stored_file SET stored_at = stored_at - interval '3 years';
UPDATE reconcile.statement SET business_date = business_date - interval '3 years';
CALL reconcile.maintain();
SELECT is((SELECT count(*) FROM reconcile.stored_file WHERE expired_at IS NOT NULL), 0::bigint, 'three years are not too long');
SELECT throws_ok($$ SELECT reconcile.set_retention('bank', '100000000 years') $$, '22023', NULL, 'a time that ends after all time is refused');
SELECT reconcile.set_retention('bank', '2 years');
SELECT reconcile.set_retention('bank', '5 years', 'bank bills');
CALL reconcile.maintain();
SELECT is((SELECT count(*) FROM reconcile.stored_file WHERE expired_at IS NOT NULL), 0::bigint, 'what is said of a source counts before what is said of its channel');
SELECT reconcile.set_retention('bank', NULL, 'bank bills');
SELECT reconcile.hold_statements('bank', 'case 4711', from_date => '2023-11-05', to_date => '2023-11-05') AS hold \gset
SELECT throws_ok($$ SELECT reconcile.hold_statements('bank', ' ') $$, '22023', NULL, 'a hold has a reason');
SELECT is((SELECT held_for FROM reconcile.stored_file_status WHERE file_name = 'd.csv'), ARRAY['case 4711'], 'a file is on hold');
CALL reconcile.maintain();
SELECT results_eq('SELECT file_name FROM reconcile.stored_file WHERE removed_at IS NOT NULL ORDER BY 1', ARRAY['b.csv', 'c.csv'], 'what is older goes, unless it is on hold');
SELECT is((SELECT count(*) FROM pg_ls_dir(:'scratch' || '/store/' || left(:'b_sha256', 2)) f WHERE f ~ :'b_sha256'), 0::bigint, 'original and normalised file');
SELECT is((SELECT path FROM reconcile.stored_file_status WHERE file_name = 'b.csv'), NULL, 'and no path is given any more');
SELECT throws_ok(format('SELECT reconcile.reingest(%s)', :b), '42704', NULL, 'it can not be taken in again');
SELECT throws_ok(format('SELECT reconcile.release_hold(%s, %L)', :hold, ''), '22023', NULL, 'a hold is not released without a reason');
-- What has expired is on hold all the same, as long as it is there.
SELECT reconcile.release_hold(:hold, 'settled');
SELECT is(reconcile.expire_stored_files(), 1::bigint, 'after its release the file is to go');
SELECT reconcile.hold_statements('bank', 'case 4712') AS hold \gset
SELECT is(reconcile.remove_expired_files(), 0::bigint, 'a hold that comes in time keeps it');
SELECT is((SELECT count(*) FROM reconcile.stored_file WHERE removed_at IS NULL AND expired_at IS NULL), 1::bigint, 'as if it had never expired');
SELECT reconcile.release_hold(:hold, 'settled');
SELECT throws_ok(format('SELECT reconcile.release_hold(%s, %L)', :hold, 'again'), '42704', NULL, 'nor twice');
CALL reconcile.maintain();
SELECT is((SELECT count(*) FROM reconcile.stored_file WHERE removed_at IS NULL), 0::bigint, 'after the last release the file goes');

-- ---- who sees it ----
SELECT reconcile.create_account('bank', '7333');
CREATE ROLE bank_reader;
GRANT reconcile_reader TO bank_reader;
INSERT INTO reconcile.access (member, channel, account) VALUES ('bank_reader', 'bank', '7333');
SET ROLE bank_reader;
SELECT is((SELECT string_agg(file_name, ',') FROM reconcile.stored_file_status), 'c.csv', 'files of another account are not shown, only what says of no account');
RESET ROLE;
UPDATE reconcile.access SET account = '6222' WHERE member = 'bank_reader';
SET ROLE bank_reader;
SELECT cmp_ok((SELECT count(*) FROM reconcile.stored_file_status), '>', 1::bigint, 'those of one''s own are');
RESET ROLE;
DELETE FROM reconcile.access WHERE member = 'bank_reader';
DROP ROLE bank_reader;

-- ---- whose store it is ----
\! echo "pg_reconcile store of cluster 1, database 1" > "$SCRATCH/store/pg_reconcile_store"
SELECT throws_ok(format('SELECT reconcile.ingest_file(%L, %L)', 'bank bills', pg_temp.bill('e.csv', '2026-11-06', '{e1}')), '55000',
  format('the store "%s" belongs to another database', :'scratch' || '/store'), 'another database''s store is left alone');
SELECT lives_ok('SELECT * FROM reconcile.stored_file_status', 'but can be looked at');
SELECT is(reconcile.adopt_store(), :'scratch' || '/store', 'until it is adopted');
SELECT reconcile.ingest_file('bank bills', pg_temp.write('e2.csv', E'#account=6222\n#business_date=2026-11-06\norder_key;kind;amount\ne1;payment;1.00\n'));
SELECT is((SELECT count(*) FROM reconcile.stored_file_status WHERE file_name = 'e2.csv' AND path IS NOT NULL), 1::bigint, 'then it is used');
SELECT * FROM finish();
