-- The file road: formats, dry looks, statements, quarantine, re-issues, folders. Fixtures are made here.
\setenv SCRATCH :scratch
BEGIN;
SELECT plan(87);

SET LOCAL client_min_messages = error;
SELECT reconcile.create_channel('alipay', 'Asia/Shanghai', 'CNY', account => '2088', first_date => '2026-11-01');
SELECT reconcile.create_channel('wechat', 'Asia/Shanghai', 'CNY', account => '1600', first_date => '2026-11-01');
SELECT reconcile.create_channel('shopcard', 'Asia/Shanghai', 'CNY', account => 'a1', first_date => '2026-11-15');

-- Files: written by the server, in the encoding that the channel uses.
CREATE FUNCTION pg_temp.write(name text, content bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  path text := current_setting('reconcile_test.scratch') || '/' || name;
  object oid := lo_from_bytea(0, content);
BEGIN
  PERFORM lo_export(object, path);
  PERFORM lo_unlink(object);
  RETURN path;
END $$;
CREATE FUNCTION pg_temp.write(name text, content text) RETURNS text LANGUAGE sql
AS $$ SELECT pg_temp.write(name, convert_to(content, 'UTF8')) $$;
CREATE FUNCTION pg_temp.alipay(trailer text, amount text DEFAULT '10.00') RETURNS text LANGUAGE sql AS $$
SELECT '#支付宝业务明细查询
#账号：[2088]
#起始日期：[2026年11月21日 00:00:00]   终止日期：[2026年11月22日 00:00:00]
#---业务明细列表---
支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,订单金额（元）,商家实收（元）,退款批次号/请求号,服务费（元）
2026112100001' || E'\t' || ',A1' || E'\t' || ',交易,茶, 礼盒,2026-11-21 09:00:00,2026-11-21 10:00:00,' || amount || ',9.00,' || E'\t' || ',0.06
2026112100001' || E'\t' || ',A1' || E'\t' || ',退款,茶,2026-11-21 09:00:00,2026-11-21 11:00:00,-4.00,-4.00,R1,-0.02
#---业务明细列表结束---
' || trailer $$;
CREATE FUNCTION pg_temp.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; hint text;
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
  RETURN state || ' ' || message || CASE WHEN hint <> '' THEN ' | ' || hint ELSE '' END;
END $$;

CREATE FUNCTION pg_temp.rows_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer text;
BEGIN
  EXECUTE format('SELECT string_agg(r::text, E''\n'') FROM (%s) r', query) INTO answer;
  RETURN answer;
END $$;
CREATE FUNCTION pg_temp.same(have text, want text, description text) RETURNS text LANGUAGE sql
AS $$ SELECT is(pg_temp.rows_of(have), pg_temp.rows_of(want), description) $$;

-- ---- formats ----
SELECT lives_ok($$ SELECT reconcile.check_format(document::text) FROM reconcile.file_format WHERE built_in $$, 'every format that is shipped is valid');
SELECT lives_ok($$ SELECT reconcile.check_format(document::text) FROM reconcile.file_format $$, 'and they are valid');
SELECT is(reconcile.save_format('my.csv', (SELECT document FROM reconcile.file_format WHERE format = 'generic.csv')), 1,
          'a format is stored as version 1');
SELECT is(reconcile.save_format('my.csv', (SELECT document FROM reconcile.file_format WHERE format = 'generic.csv')), 1,
          'the same document is the same version');
SELECT is(reconcile.save_format('my.csv', (SELECT document || '{"missing_control": "reject"}' FROM reconcile.file_format
                                           WHERE format = 'generic.csv')), 2, 'a change is a new version');
SELECT throws_ok($$ SELECT reconcile.save_format('bad', '{"book": "trade", "frame": {"type": "csv"}, "header": {"columns": "a"},
                    "map": {"amount": {"colum": "x"}}}') $$, '22023', 'the format is not valid', 'a wrong document is refused');

-- ---- paths ----
SELECT pg_temp.write('20261121.csv', convert_to(pg_temp.alipay('#交易合计：1笔，商家实收共9.00元
#退款合计：1笔，商家实收退款共-4.00元
'), 'GBK')) AS alipay_file \gset
CREATE ROLE clerk IN ROLE reconcile_operator;
SET LOCAL ROLE clerk;
SELECT matches(pg_temp.error_of(format('SELECT * FROM reconcile.parse_file(%L, %L)', 'alipay.trade', :'alipay_file')),
               '^42501 file ".*" lies outside the allowed directories \| A superuser can add', 'a path outside is refused, with a hint');
SELECT matches(pg_temp.error_of($$ SELECT * FROM reconcile.parse_file('alipay.trade', '/no/such/file') $$),
               '^42501 ', 'what does not exist outside is refused just the same');
RESET ROLE;
SELECT set_config('pg_reconcile.allowed_directories', '/nowhere, ' || :'scratch', true);
SET LOCAL ROLE clerk;
SELECT is((SELECT count(*) FROM reconcile.parse_file('alipay.trade', :'alipay_file')), 2::bigint, 'a path inside is read');
SELECT matches(pg_temp.error_of(format('SELECT * FROM reconcile.parse_file(%L, %L)', 'alipay.trade', :'scratch' || '/../../etc/passwd')),
               '^42501 ', '.. does not lead out');
SELECT matches(pg_temp.error_of(format('SELECT * FROM reconcile.parse_file(%L, %L)', 'alipay.trade', :'scratch' || '/none.csv')),
               '^58P01 file ".*none.csv" cannot be read: No such file', 'a missing file inside says so');
SELECT throws_ok($$ SELECT * FROM reconcile.parse_file('alipay.trade', 'x.csv') $$, '22023', 'path "x.csv" is not absolute', 'a relative path is refused');
SELECT throws_ok($$ SET LOCAL pg_reconcile.allowed_directories = '/' $$, '42501', NULL, 'only a superuser widens it');
RESET ROLE;

-- ---- a dry look ----
SELECT pg_temp.same(
  format($$ SELECT row_no, account, book, kind, order_key, match_key, channel_ref, original_ref, amount, currency, settle_amount, fee, net,
            status, occurred_at, business_date FROM reconcile.parse_file('alipay.trade', %L) $$, :'alipay_file'),
  $$ VALUES (1::bigint, '2088', 'trade', 'payment', 'A1', 'A1', '2026112100001', NULL, 10.00, 'CNY', 9.00, 0.06, 8.94, 'success',
             timestamptz '2026-11-21 10:00:00+08', date '2026-11-21'),
            (2, '2088', 'trade', 'refund', 'A1', 'A1/R1', '2026112100001', '2026112100001', -4.00, 'CNY', -4.00, -0.02, -3.98, 'success',
             timestamptz '2026-11-21 11:00:00+08', date '2026-11-21') $$,
  'Alipay: amounts, keys, times and day, a comma in the goods'' name');
SELECT is((SELECT count(*) FROM reconcile.entry), 0::bigint, 'a dry look stores nothing');

-- ---- ingestion ----
SELECT reconcile.create_file_source('alipay bills', 'alipay', 'alipay.trade', NULL, '2088') AS alipay_source \gset
SELECT reconcile.create_file_source('wechat bills', 'wechat', 'wechat.trade', NULL) AS wechat_source \gset
SELECT reconcile.create_file_source('card bills', 'shopcard', 'generic.csv', :'scratch' || '/inbox/{yyyyMMdd}/*.csv', 'a1',
                                    options => '{"settle": "0 seconds"}') AS card_source \gset
SELECT is((SELECT count(*) FROM reconcile.expected_statement), 3::bigint, 'a file source expects its statements');
GRANT reconcile_operator TO clerk;
SET LOCAL ROLE clerk;
SELECT reconcile.ingest_file('alipay bills', :'alipay_file') AS first_statement \gset
SELECT is(reconcile.ingest_file('alipay bills', :'alipay_file'), :first_statement::bigint, 'the same bytes are one statement');
RESET ROLE;
SELECT pg_temp.same(
  format('SELECT state, account, business_date, entry_count, error_count, format_version FROM reconcile.statement WHERE statement_id = %s', :first_statement),
  $$ VALUES ('accepted', '2088', date '2026-11-21', 2::bigint, 0::bigint, 1) $$, 'the statement is accepted');
SELECT is((SELECT entry_totals FROM reconcile.statement WHERE statement_id = :first_statement),
  '{"CNY": {"payment": {"count": 1, "amount": "10.00", "fee": "0.06"}, "refund": {"count": 1, "amount": "-4.00", "fee": "-0.02"}}}'::jsonb,
  'its totals');
SELECT pg_temp.same(format('SELECT source_key, amount, business_date, statement_id FROM reconcile.entry ORDER BY source_key'),
  format($$ VALUES ('%s/1', 10.00, date '2026-11-21', %s::bigint), ('%s/2', -4.00, date '2026-11-21', %s) $$,
         :first_statement, :first_statement, :first_statement, :first_statement), 'its entries');

-- ---- the file of the other book ----
SELECT reconcile.create_file_source('our records', 'alipay', 'alipay.trade', NULL, '2088', book => 'internal',
                                    options => '{"expected": false}') AS our_source \gset
SELECT reconcile.ingest_file('our records', :'alipay_file') AS strayed_statement \gset
SELECT is((SELECT state || ': ' || reason FROM reconcile.statement WHERE statement_id = :strayed_statement),
  format('rejected: source "alipay bills" has the same bytes in its trade book, as statement %s: is it the right file for this source?', :first_statement),
  'the same bytes are not taken for both books');
SELECT is((SELECT count(*) FROM reconcile.entry WHERE book = 'internal'), 0::bigint, 'and leave no entry');

-- ---- a corrected re-issue, and one that does not agree ----
SELECT pg_temp.write('wrong.csv', pg_temp.alipay('#交易合计：1笔，商家实收共9.99元
#退款合计：1笔，商家实收退款共-4.00元
')) AS wrong_file \gset
SELECT reconcile.ingest_file('alipay bills', :'wrong_file') AS wrong_statement \gset
SELECT matches((SELECT state || ': ' || reason FROM reconcile.statement WHERE statement_id = :wrong_statement),
  '^rejected: its control totals do not agree, and it would replace statement', 'a wrong file does not replace an accepted one');
SELECT is((SELECT count(*) FROM reconcile.entry), 2::bigint, 'and leaves no entry');
SELECT pg_temp.write('corrected.csv', pg_temp.alipay('#交易合计：1笔，商家实收共9.00元
#退款合计：1笔，商家实收退款共-4.00元
', '12.00')) AS corrected_file \gset
SELECT reconcile.ingest_file('alipay bills', :'corrected_file') AS corrected_statement \gset
SELECT pg_temp.same(
  format('SELECT state, supersedes, superseded_by FROM reconcile.statement WHERE statement_id IN (%s, %s) ORDER BY statement_id',
         :first_statement, :corrected_statement),
  format($$ VALUES ('superseded', NULL::bigint, %s::bigint), ('accepted', %s, NULL) $$, :corrected_statement, :first_statement),
  'a corrected re-issue supersedes');
SELECT pg_temp.same('SELECT statement_id, amount FROM reconcile.entry ORDER BY amount DESC',
  format('VALUES (%s::bigint, 12.00), (%s, -4.00)', :corrected_statement, :first_statement), 'what changed is of the new one, what did not is left alone');
SELECT is((SELECT sum(amount) FROM reconcile.entry_total), 8.00, 'the totals followed');
SELECT is(reconcile.ingest_file('alipay bills', :'alipay_file'), :first_statement::bigint, 'the superseded file again changes nothing');

-- ---- totals that do not agree, and a torn file ----
SELECT pg_temp.write('mismatch.csv', replace(replace(pg_temp.alipay('#交易合计：2笔，商家实收共19.00元
#退款合计：1笔，商家实收退款共-4.00元
'), '11月21日', '11月20日'), '11月22日', '11月21日')) AS mismatch_file \gset
SELECT reconcile.ingest_file('alipay bills', :'mismatch_file') AS mismatch_statement \gset
SELECT pg_temp.same(format('SELECT state, entry_count, business_date FROM reconcile.statement WHERE statement_id = %s', :mismatch_statement),
  $$ VALUES ('control_mismatch', 2::bigint, date '2026-11-20') $$, 'wrong totals: control_mismatch, the good rows are kept');
SELECT pg_temp.same(
  format($$ SELECT l ->> 'name', l ->> 'stated', l ->> 'computed' FROM reconcile.statement_status s, jsonb_array_elements(s.control_differences) l
            WHERE s.statement_id = %s $$, :mismatch_statement),
  $$ VALUES ('交易笔数', '2', '1'), ('交易商家实收', '19.00', '9.00') $$, 'the view names the totals that differ');
SELECT throws_ok(format('SELECT reconcile.accept_statement(%s, %L)', :mismatch_statement, 'rounding'), '42501', NULL,
  'who took it in does not accept it');
SELECT pg_temp.write('torn.csv', left(replace(replace(pg_temp.alipay(''), '11月21日', '11月19日'), '11月22日', '11月20日'), -25)) AS torn_file \gset
SELECT reconcile.ingest_file('alipay bills', :'torn_file') AS torn_statement \gset
SELECT is((SELECT state FROM reconcile.statement WHERE statement_id = :torn_statement), 'control_mismatch', 'a torn file does not pass');
SELECT ok((SELECT control -> 'lines' @> '[{"name": "end mark", "agrees": false}]' FROM reconcile.statement WHERE statement_id = :torn_statement),
  'its end mark is missing');

-- ---- bad rows ----
SELECT pg_temp.write('card_2026-11-21.csv', E'order_key,kind,amount,currency,occurred_at,account\n'
  || E'B1,payment,1.00,CNY,2026-11-21 08:00:00,a1\nB2,payment,x,CNY,2026-11-21 08:00:00,a1\n'
  || E'B3,payment,1.00,QQQ,2026-11-21 08:00:00,a1\nB4,payment,1.00,CNY,2026-11-21 08:00:00,a1\n'
  || E'B5,payment,1.00,CNY,2099-01-01 08:00:00,a1\n4.0E+27,payment,1.00,CNY,2026-11-21 08:00:00,a1\nB7,payment,1.0') AS card_file \gset
SELECT reconcile.ingest_file('card bills', :'card_file') AS card_statement \gset
SELECT pg_temp.same(
  format('SELECT row_no, line, byte_offset, field, value, reason FROM reconcile.statement_error WHERE statement_id = %s ORDER BY line', :card_statement),
  $$ VALUES (2::bigint, 3::bigint, 94::bigint, 'amount', 'x', 'is no amount'),
            (3, 4, 134, 'currency', 'QQQ', 'is no currency of ISO 4217'),
            (6, 7, 263, 'order_key', '4.0E+27', 'looks rewritten by a spreadsheet program: the number is lost, ask for the original file'),
            (7, 8, 311, NULL, NULL, 'has 3 values where the header has 6, and the file ends inside it') $$,
  'bad rows: row, line, byte offset, field, value, reason');
SELECT is((SELECT state FROM reconcile.statement WHERE statement_id = :card_statement), 'control_mismatch',
  'without totals of its own, rows that were set aside keep the day open');
SELECT is((SELECT entry_count FROM reconcile.statement WHERE statement_id = :card_statement), 3::bigint, 'the good rows are kept');
SELECT is((SELECT raw FROM reconcile.statement_error WHERE statement_id = :card_statement AND row_no = 2),
  'B2,payment,x,CNY,2026-11-21 08:00:00,a1', 'the raw text is kept');

SELECT pg_temp.write('future.csv', E'order_key,kind,amount,occurred_at,business_date\nC1,payment,1.00,2026-11-21 08:00:00,2099-01-01\n'
  || E'C2,payment,1.00,2026-11-20 08:00:00,2026-11-20\n') AS future_file \gset
SELECT reconcile.ingest_file('card bills', :'future_file') AS future_statement \gset
SELECT matches((SELECT string_agg(reason, '; ') FROM reconcile.statement_error WHERE statement_id = :future_statement),
  'more than 40 days ahead', 'an entry of the year 2099 is set aside');
SELECT is((SELECT count(*) FROM reconcile.entry WHERE statement_id = :future_statement), 1::bigint, 'and its neighbour stored');

-- ---- files that are no statement ----
SELECT pg_temp.write('broken.zip', '\x504b0304deadbeef'::bytea) AS broken_file \gset
SELECT reconcile.ingest_file('alipay bills', :'broken_file') AS broken_statement \gset
SELECT matches((SELECT state || ': ' || reason FROM reconcile.statement WHERE statement_id = :broken_statement), '^rejected: it cannot be unpacked', 'a broken zip');
SELECT matches((SELECT reason FROM reconcile.statement_error WHERE statement_id = :broken_statement), '^the file is rejected: ', 'is in statement_error too');
SELECT is(reconcile.ingest_file('alipay bills', :'broken_file'), :broken_statement::bigint, 'tried again it is the same statement');
SELECT is((SELECT count(*) FROM reconcile.statement_error WHERE statement_id = :broken_statement), 1::bigint, 'with one error');
SELECT reconcile.ingest_file('alipay bills', pg_temp.write('empty.csv', ''::bytea)) AS empty_statement \gset
SELECT is((SELECT reason FROM reconcile.statement WHERE statement_id = :empty_statement), 'it is empty: 0 bytes', 'an empty file');
SELECT reconcile.ingest_file('alipay bills', pg_temp.write('other.csv', replace(pg_temp.alipay(''), '2088', '2099'))) AS other_statement \gset
SELECT matches((SELECT reason FROM reconcile.statement WHERE statement_id = :other_statement), 'account "2099", and source "alipay bills" is of account "2088"',
  'another account''s file');
SELECT throws_ok($$ SELECT reconcile.ingest_file('nobody', '/x') $$, '42704', 'source "nobody" does not exist', 'an unknown source');
SELECT throws_ok($$ SELECT reconcile.ingest_file(NULL, NULL) $$, '22004', 'ingest_file needs a source and a path', 'no source');
SELECT throws_ok($$ SELECT reconcile.ingest_file('nobody', NULL) $$, '22004', 'ingest_file needs a source and a path', 'no path');

-- ---- WeChat: an empty day, and a day in two parts ----
SELECT reconcile.ingest_file('wechat bills', pg_temp.write('bill_20261120.csv', '<xml><return_msg><![CDATA[No Bill Exist]]></return_msg></xml>')) AS no_bill \gset
SELECT pg_temp.same(format('SELECT state, business_date, entry_count FROM reconcile.statement WHERE statement_id = %s', :no_bill),
  $$ VALUES ('accepted', date '2026-11-20', 0::bigint) $$, 'an empty day is a statement with no entry');
CREATE FUNCTION pg_temp.wechat(refunds boolean) RETURNS text LANGUAGE sql AS $$
SELECT CASE WHEN refunds THEN
'交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注
`2026-11-21 12:00:00,`wx,`1600,`0,`,`42,`S1,`u,`JSAPI,`REFUND,`CFT,`CNY,`0.00,`0.00,`2026-11-21 12:00:00,`2026-11-21 12:00:04,`50,`R1,`0.01,`0.00,`ORIGINAL,`SUCCESS,`tea,cup,`d,`-0.00010,`0.60%,`0.00,`0.01,`
总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额
`1,`0.00,`0.01,`0.00,`-0.00010,`0.00,`0.01
' ELSE
'交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注
`2026-11-21 11:00:00,`wx,`1600,`0,`,`42,`S1,`u,`JSAPI,`SUCCESS,`CFT,`CNY,`0.09,`0.01,`tea,`d,`0.00060,`0.60%,`0.10,`
总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额
`1,`0.09,`0.00,`0.00,`0.00060,`0.10,`0.00' END $$;
SELECT reconcile.ingest_file('wechat bills', pg_temp.write('s.csv', pg_temp.wechat(false))) AS success_part \gset
SELECT reconcile.ingest_file('wechat bills', pg_temp.write('r.csv', pg_temp.wechat(true))) AS refund_part \gset
SELECT pg_temp.same(
  format('SELECT part, state, account, business_date, entry_count FROM reconcile.statement WHERE statement_id IN (%s, %s) ORDER BY part DESC', :success_part, :refund_part),
  $$ VALUES ('success', 'accepted', '1600', date '2026-11-21', 1::bigint), ('refund', 'accepted', '1600', date '2026-11-21', 1) $$,
  'payments and refunds of a day are two parts, neither of which replaces the other');
SELECT pg_temp.same($$ SELECT kind, amount, settle_amount, fee, net, match_key FROM reconcile.entry WHERE channel = 'wechat' ORDER BY kind $$,
  $$ VALUES ('payment', 0.10, 0.09, 0.0006, 0.0894, 'S1'), ('refund', -0.01, -0.01, -0.0001, -0.0099, 'S1/R1') $$,
  'amounts as the merchant and the customer agreed them');

-- ---- waiving, and what is expected ----
SELECT lives_ok($$ SELECT reconcile.waive_statement('shopcard', 'a1', 'trade', date '2026-11-19', 'closed for repair') $$, 'a day is waived');
SELECT throws_ok($$ SELECT reconcile.waive_statement('shopcard', 'a1', 'trade', date '2026-11-19', '') $$, '22023', NULL, 'never without a reason');
SELECT is((SELECT state FROM reconcile.statement_status WHERE channel = 'shopcard' AND business_date = date '2026-11-19'), 'waived', 'and shown so');
SELECT pg_temp.same($$ SELECT DISTINCT state FROM reconcile.statement_status
                      WHERE channel = 'shopcard' AND business_date = date '2026-11-20' $$,
  $$ VALUES ('late') $$, 'a day whose statement has not come');
SELECT is((SELECT min(business_date) FROM reconcile.statement_status WHERE channel = 'wechat'), date '2026-11-20',
  'the days before the first statement are not asked for');

-- ---- folders ----
SELECT is(pg_temp.error_of(format('SELECT * FROM reconcile.scan_inbox(%s)', :card_source)) ~ '^58P01', true, 'a folder that is not there says so');
\! mkdir -p "$SCRATCH/inbox/20261118" "$SCRATCH/inbox/20261117" && chmod -R 777 "$SCRATCH/inbox"
SELECT is((SELECT count(*) FROM reconcile.scan_inbox(:card_source)), 0::bigint, 'an empty folder: nothing to do');
SELECT pg_temp.write('inbox/20261118/a.csv', E'order_key,kind,amount,occurred_at\nD1,payment,1.00,2026-11-18 08:00:00\n#control,count=1,amount=1.00\n');
SELECT pg_temp.write('inbox/20261118/b.csv.part', 'half'), pg_temp.write('inbox/20261118/.c.csv', 'hidden');
SELECT pg_temp.write('inbox/20261117/b.csv', 'no statement');
SELECT pg_temp.same(format('SELECT path, action, message FROM reconcile.scan_inbox(%s)', :card_source),
  format($$ VALUES (%L, 'rejected', 'no header line with the columns order_key, kind, amount was found') $$, :'scratch' || '/inbox/20261117/b.csv'),
  'one call takes one file in, the oldest day first; what is unusable says why');
SELECT pg_temp.same(format('SELECT path, action, message FROM reconcile.scan_inbox(%s)', :card_source),
  format($$ VALUES (%L, 'accepted', '1 entries, 0 rows set aside') $$, :'scratch' || '/inbox/20261118/a.csv'), 'then the next');
SELECT is((SELECT count(*) FROM reconcile.scan_inbox(:card_source)), 0::bigint, 'nothing is taken in twice, and unfinished files are left alone');
SELECT is((SELECT business_date FROM reconcile.statement s JOIN reconcile.inbox_file f USING (statement_id) WHERE f.path ~ 'a.csv$'), date '2026-11-18', 'the folder says the day');
SELECT pg_temp.write('inbox/20261117/b.csv', E'order_key,kind,amount,occurred_at\nD2,payment,2.00,2026-11-17 08:00:00\n');
SELECT is((SELECT action FROM reconcile.scan_inbox(:card_source)), 'accepted', 'a file whose bytes have changed is read again');
UPDATE reconcile.source SET options = '{"settle": "1 hour"}' WHERE source_id = :card_source;
SELECT pg_temp.write('inbox/20261118/d.csv', 'may still grow');
SELECT is((SELECT count(*) FROM reconcile.scan_inbox(:card_source)), 0::bigint, 'a file is left alone until it has kept its size for a while');
SELECT is((SELECT state FROM reconcile.inbox_file WHERE path ~ 'd.csv$'), 'arriving', 'and is known to be arriving');

-- ---- containers: a zip with GBK names (the UTF-8 flag cleared) beside a summary, a gzip, a bomb ----
\! cd "$SCRATCH" && perl -MIO::Compress::Zip=:all -e 'open F, "<:raw", "20261121.csv" or die; local $/; my $bill = <F>; $bill =~ s/A1\t/Z1\t/g; my $z = IO::Compress::Zip->new("bill.zip", Name => "20881_\xd2\xb5\xce\xf1\xc3\xf7\xcf\xb8(\xbb\xe3\xd7\xdc).csv", Efs => 0) or die; $z->print("#\xd6\xa7\xb8\xb6\xb1\xa6\xd2\xb5\xce\xf1\xbb\xe3\xd7\xdc\xb2\xe9\xd1\xaf\n"); $z->newStream(Name => "20881_\xd2\xb5\xce\xf1\xc3\xf7\xcf\xb8.csv", Efs => 0); $z->print($bill); $z->close; open O, ">:raw", "cut.zip" or die; open I, "<:raw", "bill.zip" or die; my $all = <I>; print O substr($all, 0, length($all) - 400); close O; $z = IO::Compress::Zip->new("two.zip", Name => "1.csv"); $z->print($bill); $z->newStream(Name => "2.csv"); $z->print($bill); $z->close; $z = IO::Compress::Zip->new("bomb.zip", Name => "bill.csv"); $z->print($bill); $z->print("\n" x 1000000) for 1 .. 40; $z->close'; gzip -nkc r.csv > r.csv.gz; chmod a+r *
SELECT is((SELECT count(*) FROM reconcile.parse_file('alipay.trade', :'scratch' || '/bill.zip') WHERE order_key = 'Z1'), 2::bigint, 'a zip: the entry is picked by its content');
SELECT is((SELECT count(*) FROM reconcile.parse_file('wechat.trade', :'scratch' || '/r.csv.gz')), 1::bigint, 'a gzip');
SELECT matches(pg_temp.error_of(format('SELECT reconcile.parse_file(%L, %L)', 'alipay.trade', :'scratch' || '/cut.zip')), '^XX001 file ".*cut.zip" can.t be used', 'a zip that is cut off');
SELECT reconcile.ingest_file('alipay bills', :'scratch' || '/two.zip') AS two_statement \gset
SELECT is((SELECT reason FROM reconcile.statement WHERE statement_id = :two_statement), 'it holds more than one file in this format', 'a zip with two bills');
SELECT reconcile.ingest_file('alipay bills', :'scratch' || '/bomb.zip') AS bomb_statement \gset
SELECT is((SELECT reason FROM reconcile.statement WHERE statement_id = :bomb_statement), 'it unpacks to more than 200 times its size: this looks like a zip bomb', 'a zip bomb');
-- A gzip of nothing, millions of times, packed again: no byte comes out of it, for a long time.
\! cd "$SCRATCH" && perl -MIO::Compress::Gzip=gzip -e 'my ($nothing, $all) = (""); gzip(\$nothing, \my $member, -Minimal => 1); for (1 .. 3) { $all = $member x (defined $all ? 20 : 3000000); gzip(\$all, \$member, -Minimal => 1); } open O, ">:raw", "nested.gz" or die; print O $member; open O, ">:raw", "twice.gz" or die; my $bill = "order_key"; gzip(\$bill, \my $once); gzip(\$once, \my $twice); print O $twice; open O, ">:raw", "nothing.gz" or die; gzip(\$nothing, \my $empty); print O $empty'; chmod a+r *
SET LOCAL statement_timeout = '3s';
SELECT matches(pg_temp.error_of(format('SELECT reconcile.parse_file(%L, %L)', 'wechat.trade', :'scratch' || '/nested.gz')), '^XX001 ', 'empty members in layers: one layer is taken off');
SET LOCAL statement_timeout = 0;
SELECT reconcile.ingest_file('alipay bills', :'scratch' || '/twice.gz') AS twice_statement \gset
SELECT is((SELECT reason FROM reconcile.statement WHERE statement_id = :twice_statement), 'it is packed more than once', 'a gzip in a gzip');
SELECT reconcile.ingest_file('alipay bills', :'scratch' || '/nothing.gz') AS nothing_statement \gset
SELECT is((SELECT reason FROM reconcile.statement WHERE statement_id = :nothing_statement), 'it is empty once it is unpacked', 'a gzip of nothing');
\! ln -s /etc/passwd "$SCRATCH/link.csv"
SET LOCAL ROLE clerk;
SELECT matches(pg_temp.error_of(format('SELECT * FROM reconcile.parse_file(%L, %L)', 'alipay.trade', :'scratch' || '/link.csv')), '^42501 ', 'a link does not lead out');
RESET ROLE;
SELECT throws_ok($$ SELECT reconcile.create_file_source('x', 'alipay', 'alipay.trade', 'ftp://h/x') $$, '0A000', NULL, 'what is neither a folder nor can be fetched');
SELECT throws_ok($$ SELECT reconcile.create_file_source('x', 'alipay', 'nothing', NULL) $$, '42704', 'file format "nothing" does not exist', 'an unknown format');
SELECT throws_ok($$ SELECT reconcile.create_file_source('x', 'nobody', 'generic.csv', NULL) $$, '42704', NULL, 'an unknown channel');
SELECT throws_ok($$ SELECT reconcile.create_file_source('x', 'alipay', 'generic.csv', '/bills/{yyyyMMdd}/{HH}/*') $$, '22023', NULL, 'a location that is none');
SET LOCAL ROLE reconcile_owner;
SELECT throws_ok($$ SELECT reconcile.require_inbox('file:///etc/{yyyyMMdd}/*') $$, '42501', 'file "/etc" lies outside the allowed directories', 'an inbox outside: create_file_source warns of it');
SELECT lives_ok(format('SELECT reconcile.require_inbox(%L)', :'scratch' || '/*.csv'), 'an inbox inside');
RESET ROLE;

-- ---- whose rights count, and how far a pattern reaches ----
CREATE SCHEMA trap;
CREATE FUNCTION trap.ingest(path text) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ SELECT reconcile.ingest_file('alipay bills', path) $$;
ALTER FUNCTION trap.ingest(text) OWNER TO clerk;
SELECT matches(pg_temp.error_of($$ SELECT trap.ingest('/etc/passwd') $$), '^42501 ', 'a superuser''s session lends its rights to nobody''s function');
SELECT throws_ok(format('SELECT * FROM reconcile.list_inbox(%L)', :'scratch' || '/inbox/*/../../../etc/*'), '22023', NULL, 'a pattern does not lead out by ..');
\! ln -s /etc "$SCRATCH/inbox/20261116" && ln -s /etc/passwd "$SCRATCH/inbox/20261118/l.csv" && printf x > "$SCRATCH/inbox/20261118/$(printf '\377').csv"
SET LOCAL ROLE clerk;
SELECT is((SELECT count(*) FROM reconcile.list_inbox(:'scratch' || '/inbox/{yyyyMMdd}/*') WHERE path ~ '20261116|l.csv'), 0::bigint, 'nor by links');
SELECT is((SELECT array_agg(path ORDER BY path) FROM reconcile.list_inbox(:'scratch' || '/inbox/20261118/*.csv')),
  ARRAY[:'scratch' || '/inbox/20261118/a.csv', :'scratch' || '/inbox/20261118/d.csv'], 'a name that is no text is left alone, its neighbours are not');
RESET ROLE;
-- Links in circles: a pattern of many folders has paths without end.
\! mkdir "$SCRATCH/circle" && ln -s . "$SCRATCH/circle/a" && ln -s . "$SCRATCH/circle/b" && printf x > "$SCRATCH/circle/c.csv"
CREATE TEMPORARY TABLE listing (started timestamptz, ended timestamptz);
SET LOCAL statement_timeout = '500ms';
DO $$
DECLARE started timestamptz := clock_timestamp();
BEGIN
  PERFORM reconcile.list_inbox(current_setting('reconcile_test.scratch') || '/circle' || repeat('/*', 20) || '.csv');
EXCEPTION WHEN query_canceled THEN
  INSERT INTO listing VALUES (started, clock_timestamp());
END $$;
SET LOCAL statement_timeout = 0;
SELECT cmp_ok((SELECT ended - started FROM listing), '<', interval '700 ms', 'listing folders can be cancelled');
SELECT is((SELECT array_agg(DISTINCT path) FROM reconcile.list_inbox(:'scratch' || '/circle/*/c.csv')),
  ARRAY[:'scratch' || '/circle/a/c.csv', :'scratch' || '/circle/b/c.csv'], 'a file is found below links that stay inside');
\! mkdir "$SCRATCH/many" && cd "$SCRATCH/many" && perl -e 'for (1 .. 1000) { open O, ">", "$_.csv" or die; close O } symlink ".", "l$_" or die for 1 .. 101'
SELECT is((SELECT count(*) FROM reconcile.list_inbox(:'scratch' || '/many/*/*.csv')), 101000::bigint, 'a folder may hold more files than anybody counts');

SELECT * FROM finish();
ROLLBACK;
