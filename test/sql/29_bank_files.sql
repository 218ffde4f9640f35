-- Bank statements and workbooks through the server: containers, several statements of a file, what is rejected.
\setenv SCRATCH :scratch
BEGIN;
SELECT plan(13);

SET LOCAL client_min_messages = error;
SELECT reconcile.create_channel('house bank', 'Europe/Berlin', 'EUR', account => 'DE1', first_date => '2026-11-01');

CREATE FUNCTION pg_temp.write(name text, content text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  path text := current_setting('reconcile_test.scratch') || '/' || name;
  object oid := lo_from_bytea(0, convert_to(content, 'UTF8'));
BEGIN
  PERFORM lo_export(object, path);
  PERFORM lo_unlink(object);
  RETURN path;
END $$;
CREATE FUNCTION pg_temp.entry(amount text, direction text, details text DEFAULT '') RETURNS text LANGUAGE sql AS $$
SELECT format('<Ntry><Amt Ccy="EUR">%s</Amt><CdtDbtInd>%s</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-11-20</Dt></BookgDt>'
              '<AcctSvcrRef>B1</AcctSvcrRef><NtryDtls>%s</NtryDtls></Ntry>', amount, direction, details) $$;
CREATE FUNCTION pg_temp.camt(entries text) RETURNS text LANGUAGE sql AS $$
SELECT '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>1</Id><Acct><Id><IBAN>DE1</IBAN></Id></Acct>'
       || entries || '</Stmt></BkToCstmrStmt></Document>' $$;
SELECT set_config('reconcile_test.scratch', :'scratch', true);

SELECT pg_temp.write('batch.xml', pg_temp.camt(pg_temp.entry('10.00', 'CRDT',
  '<TxDtls><Refs><EndToEndId>E1</EndToEndId></Refs><Amt Ccy="EUR">4</Amt></TxDtls><TxDtls><Refs><EndToEndId>E2</EndToEndId></Refs><Amt Ccy="EUR">6</Amt></TxDtls>')
  || pg_temp.entry('3.50', 'DBIT'))) AS batch_file \gset
SELECT results_eq(format('SELECT account, kind, match_key, amount, business_date FROM reconcile.parse_file(''camt.053'', %L, channel => ''house bank'')', :'batch_file'),
  $$VALUES ('DE1', 'transfer', 'E1', 4::numeric, date '2026-11-20'), ('DE1', 'transfer', 'E2', 6, date '2026-11-20'), ('DE1', 'transfer', NULL, -3.5, date '2026-11-20')$$,
  'camt.053: a batch by its transactions');
SELECT reconcile.create_file_source('statements', 'house bank', 'camt.053', 'file://' || :'scratch' || '/none/{yyyyMMdd}/*.xml', account => 'DE1');
SELECT reconcile.ingest_file('statements', :'batch_file') AS batch_statement \gset
SELECT is((SELECT state || ' ' || entry_count FROM reconcile.statement WHERE statement_id = :batch_statement), 'accepted 3', 'camt.053: taken in');
SELECT is((SELECT business_date FROM reconcile.statement WHERE statement_id = :batch_statement), date '2026-11-20', 'its day is the one that all its rows are booked on');

SELECT pg_temp.write('bomb.xml', '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' || pg_temp.camt('&b;')) AS bomb_file \gset
SELECT reconcile.ingest_file('statements', :'bomb_file') AS bomb_statement \gset
SELECT is((SELECT state || ': ' || reason FROM reconcile.statement WHERE statement_id = :bomb_statement),
  'rejected: line 1: it declares a DTD, which could declare entities; no statement needs one', 'an entity bomb');

SELECT pg_temp.write('account.ofx', E'OFXHEADER:100\nCHARSET:1252\n\n<OFX><STMTRS><CURDEF>EUR<BANKACCTFROM><ACCTID>DE1</BANKACCTFROM><BANKTRANLIST>'
  '<STMTTRN><TRNTYPE>FEE<DTPOSTED>20261120<TRNAMT>-1,50<FITID>F1<NAME>Gebühr</STMTTRN></BANKTRANLIST></STMTRS></OFX>') AS ofx_file \gset
SELECT results_eq(format('SELECT account, kind, channel_ref, amount, attributes->>''NAME'' FROM reconcile.parse_file(''ofx'', %L, channel => ''house bank'')', :'ofx_file'),
  $$VALUES ('DE1', 'fee', 'F1', -1.5::numeric, 'Gebühr')$$, 'ofx');

-- ---- workbooks: plain, in a zip, in a gzip; two of them; a zip of something else ----
\! cd "$SCRATCH" && /usr/bin/python3 -c "import openpyxl, datetime as d; b = openpyxl.Workbook(); s = b.active; s.append(['order_key', 'kind', 'amount', 'occurred_at']); s.append(['K1', 'payment', 12.5, d.datetime(2026, 11, 20, 10, 0)]); b.save('k.xlsx')" && zip -q one.zip k.xlsx && cp k.xlsx l.xlsx && zip -q two.zip k.xlsx l.xlsx && gzip -nkc k.xlsx > k.xlsx.gz && zip -q text.zip batch.xml && chmod a+r *
SELECT results_eq(format('SELECT order_key, amount FROM reconcile.parse_file(''generic.xlsx'', %L, channel => ''house bank'', account => ''DE1'')', :'scratch' || '/' || file),
  $$VALUES ('K1', 12.5::numeric)$$, 'a workbook: ' || file) FROM unnest(ARRAY['k.xlsx', 'one.zip', 'k.xlsx.gz']) AS file;
CREATE FUNCTION pg_temp.reason_of(format text, file text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  PERFORM reconcile.parse_file(format, file, channel => 'house bank', account => 'DE1');
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN detail;
END $$;
SELECT matches(pg_temp.reason_of('generic.xlsx', :'scratch' || '/two.zip'), 'it holds more than one workbook', 'two workbooks');
SELECT matches(pg_temp.reason_of('generic.xlsx', :'scratch' || '/text.zip'), 'none of its 1 files is in the format generic.xlsx', 'a zip without a workbook');
SELECT matches(pg_temp.reason_of('generic.xlsx', :'batch_file'), 'it is no xlsx file', 'no workbook');
SELECT matches(pg_temp.reason_of('generic.csv', :'scratch' || '/k.xlsx'), 'it is an Excel workbook, and the format generic.csv reads csv', 'a workbook is no zip of statements');
SELECT is((SELECT count(*) FROM reconcile.parse_file('camt.053', :'scratch' || '/text.zip', channel => 'house bank')), 3::bigint, 'camt.053 in a zip');

SELECT finish();
ROLLBACK;
