-- Attacks, as the roles that could try them: other channels' rows, other people's rights, other people's names.
BEGIN;
SELECT plan(65);
SET LOCAL client_min_messages = error;

-- given: two channels with a day each, one of them with a name made of quotes, and people who may see one of them
SELECT reconcile.create_channel('alipay', 'Asia/Shanghai', 'CNY', account => '2088', first_date => '2026-11-01');
SELECT reconcile.create_account('alipay', '2099');
SELECT reconcile.create_channel($n$we'chat"; DROP TABLE reconcile.run; --$n$, 'UTC', 'EUR', account => $n$1'; --$n$,
                                first_date => '2026-11-01');
\set other '\'we\'\'chat"; DROP TABLE reconcile.run; --\''
\set other_account '\'1\'\'; --\''
SELECT reconcile.ensure_month('2026-11-02');
INSERT INTO reconcile.source (name, kind, book, channel, channels, location)
VALUES ('ours', 'manual', 'internal', 'alipay', '{alipay}', NULL),
       ('theirs', 'file', 'trade', :other, ARRAY[:other], '/secret');
INSERT INTO reconcile.source_position (source_id, position) SELECT source_id, '1' FROM reconcile.source;
INSERT INTO reconcile.source_error (source_id, position, relation, operation, reason)
SELECT source_id, '1', 't', 'insert', 'broken' FROM reconcile.source;
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, status, effective,
                             business_date, recon_date, source_id, source_key)
SELECT a.channel, a.account, b.book, 'payment', o, o, CASE WHEN b.book = 'trade' AND n = 3 THEN 99 ELSE 10 + n END, 'CNY', 'success', true, '2026-11-02', '2026-11-02', 1,
       a.account || '/' || b.book || '/' || o
FROM reconcile.account a, (VALUES ('internal'), ('trade')) b (book), generate_series(1, 3) n, LATERAL (SELECT 'o' || n) k (o);
SELECT state FROM reconcile.run('alipay', '2026-11-02', force => true);
SELECT state FROM reconcile.run(:other, '2026-11-02', force => true);

CREATE ROLE t_anna; CREATE ROLE t_olga; CREATE ROLE t_petra; CREATE ROLE t_adam; CREATE ROLE t_nobody;
GRANT reconcile_reader TO t_anna;
GRANT reconcile_operator TO t_olga;
GRANT reconcile_approver TO t_petra;
GRANT reconcile_admin TO t_adam;
INSERT INTO reconcile.access (member, channel, account) VALUES ('t_anna', 'alipay', '2088'), ('t_olga', 'alipay', NULL),
                                                               ('t_petra', 'alipay', '2099');
CREATE FUNCTION public.t_counted(channel text, account text, business_date date)
RETURNS TABLE (currency text, entries bigint, amount numeric) LANGUAGE sql AS $$ SELECT 'CNY', 1::bigint, 1::numeric $$;

SELECT is((SELECT count(*) FROM reconcile.run WHERE channel = :other AND state = 'succeeded'), 1::bigint,
          'a channel and an account made of quotes are run like others');
SELECT isnt(to_regclass('reconcile.run'), NULL, 'and drop nothing');
SELECT is((SELECT count(*) FROM reconcile.discrepancy), 3::bigint, 'each account has a discrepancy');
SELECT throws_ok($$ SELECT reconcile.create_channel(E'a\x1fb', 'UTC', 'CNY') $$, '23514', NULL,
                 'a channel''s name has no control characters');

-- ---- nobody ----------------------------------------------------------------------------------------------
SET ROLE t_nobody;
SELECT throws_ok('SELECT * FROM reconcile.entry', '42501', NULL, 'PUBLIC reads no entry');
SELECT throws_ok('SELECT * FROM reconcile.run_progress', '42501', NULL, 'nor progress');
SELECT throws_ok($$ SELECT reconcile.run('alipay', '2026-11-02') $$, '42501', NULL, 'nor runs anything');
SELECT throws_ok($$ SELECT reconcile.compare('pg_class', 'pg_class', '{oid}') $$, '42501', NULL, 'nor compares');
SELECT throws_ok($$ CREATE TABLE reconcile.mine (a int) $$, '42501', NULL, 'nor creates in the schema');
RESET ROLE;

-- ---- a reader of one account -------------------------------------------------------------------------------
SET SESSION AUTHORIZATION t_anna;
SELECT results_eq('SELECT DISTINCT channel, account FROM reconcile.entry', $$ VALUES ('alipay', '2088') $$, 'a reader sees entries of her account');
SELECT results_eq('SELECT DISTINCT channel, account FROM reconcile.open_discrepancy', $$ VALUES ('alipay', '2088') $$, 'and its discrepancies');
SELECT results_eq('SELECT DISTINCT channel, account FROM reconcile.daily_summary', $$ VALUES ('alipay', '2088') $$, 'and its days');
SELECT is((SELECT count(*) FROM reconcile.discrepancy_event), 1::bigint, 'and its history');
SELECT is((SELECT count(DISTINCT run_id) FROM reconcile.run_total), 1::bigint, 'and its totals');
SELECT results_eq('SELECT channel FROM reconcile.channel', $$ VALUES ('alipay') $$, 'and its channel');
SELECT results_eq('SELECT name FROM reconcile.source', $$ VALUES ('ours') $$, 'and its source');
SELECT is((SELECT count(*) FROM reconcile.source_position), 1::bigint, 'and its position');
SELECT results_eq('SELECT source FROM reconcile.source_status', $$ VALUES ('ours') $$, 'and its status');
SELECT is((SELECT string_agg(member, ',') FROM reconcile.access), 't_anna', 'and what restricts her, not what restricts others');
SELECT inhrelid::regclass AS leaf FROM pg_inherits WHERE inhparent = 'reconcile.entry_trade'::regclass LIMIT 1 \gset
SELECT throws_ok('SELECT * FROM ' || :'leaf', '42501', NULL, 'a leaf is closed');
SELECT throws_ok('SELECT * FROM reconcile.entry_trade', '42501', NULL, 'a book too');
SELECT throws_ok($$ UPDATE reconcile.entry SET amount = 1 WHERE tier = 0 $$, '42501', NULL, 'she changes no entry');
SELECT throws_ok($$ DELETE FROM reconcile.discrepancy_event $$, '42501', NULL, 'nor history');
SELECT throws_ok($$ INSERT INTO reconcile.access VALUES ('t_anna', 'x', NULL) $$, '42501', NULL, 'nor her own restriction');
SELECT throws_ok($$ SELECT reconcile.append_events('[]') $$, '42501', NULL, 'nor does she append to history');
SELECT throws_ok($$ SELECT * FROM reconcile.run('alipay', '2026-11-02') $$, '42501', NULL, 'a reader runs nothing');
SELECT throws_ok(format('SELECT reconcile.waiting_for(%L, %L, ''internal-trade'', ''internal'', ''trade'', ''2026-11-02'')', :other, :other_account),
                 '42501', NULL, 'what another channel waits for is not hers to know');
SELECT throws_ok(format('SELECT reconcile.sign_off_obstacles(%L, %L, ''2026-11-02'', ''t_anna'')', :other, :other_account),
                 '42501', NULL, 'nor what stands in the way of its sign-off');
SELECT throws_ok($$ SELECT reconcile.progress_slots() $$, '42501', NULL, 'nor its progress');
SELECT throws_ok($$ SELECT reconcile.statement_differences('alipay', '2099', '{trade}', '2026-11-02') $$, '42501', NULL,
                 'what runs use inside is closed');
SELECT throws_ok(format('SELECT * FROM reconcile.match_of(1, %L)', :other_account || '/trade/o1'), '42704', NULL,
                 'match_of knows no entry of another channel');
-- a cheap function in a WHERE clause sees no row that the policy hides
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN IF $1 <> 'alipay' THEN RAISE EXCEPTION 'leaked %', $1; END IF; RETURN true; END $$;
SELECT lives_ok('SELECT * FROM reconcile.entry WHERE pg_temp.leak(channel)', 'a cheap function is called for visible rows only');
-- SET ROLE to the group lifts nothing
SET ROLE reconcile_reader;
SELECT results_eq('SELECT DISTINCT channel, account FROM reconcile.entry', $$ VALUES ('alipay', '2088') $$, 'SET ROLE to the group shows no more');
CREATE FUNCTION pg_temp.as_group() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT DISTINCT account FROM reconcile.entry';
RESET ROLE;
SELECT results_eq('SELECT pg_temp.as_group()', $$ VALUES ('2088') $$, 'nor does a function that belongs to the group');
SELECT throws_ok('SET ROLE reconcile_owner', '42501', NULL, 'nobody becomes the owner');
SELECT throws_ok('SET ROLE reconcile_worker', '42501', NULL, 'nor the worker');
-- objects of hers in front of pg_catalog's and reconcile's names
CREATE TEMPORARY TABLE access (member name, channel text, account text);
CREATE TEMPORARY TABLE entry (channel text);
CREATE FUNCTION pg_temp.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'postgres'::text $$;
SET search_path = pg_temp, reconcile, pg_catalog, public;
SELECT results_eq('SELECT DISTINCT channel, account FROM reconcile.entry', $$ VALUES ('alipay', '2088') $$, 'nor do tables and functions of her own on the path');
SELECT throws_ok(format('SELECT reconcile.sign_off_obstacles(%L, %L, ''2026-11-02'', ''t_anna'')', :other, :other_account),
                 '42501', NULL, 'in definer functions neither');
RESET search_path;
RESET SESSION AUTHORIZATION;

-- ---- an operator of one channel ----------------------------------------------------------------------------
SET SESSION AUTHORIZATION t_olga;
SELECT is((SELECT count(*) FROM reconcile.run('alipay', '2026-11-02', force => true)), 2::bigint, 'an operator runs her channel');
SELECT throws_ok(format('SELECT * FROM reconcile.run(%L, ''2026-11-02'', force => true)', :other), NULL, NULL, 'not another one');
SELECT throws_ok(format('SELECT * FROM reconcile.run(%L, ''2026-11-02'', %L)', :other, :other_account), '42501', NULL, 'by name neither');
SELECT throws_ok($$ SELECT reconcile.assign((SELECT max(d) FROM generate_series(1, 3) d), 't_olga') $$, '42501', NULL, 'she owns no discrepancy of another channel');
SELECT throws_ok($$ SELECT reconcile.ingest_file('theirs', '/etc/passwd') $$, '42501', NULL, 'she takes in no file of another channel');
SELECT throws_ok($$ SELECT * FROM reconcile.list_inbox('file:///etc/*') $$, '42501', NULL, 'and lists no folder that is not allowed');
SELECT throws_ok(format('SELECT reconcile.waive_statement(%L, %L, ''trade'', ''2026-11-02'', ''why not'')', :other, :other_account), '42501', NULL, 'and waives nothing of it');
SELECT throws_ok($$ SELECT reconcile.sign_off('alipay', '2088', '2026-11-02') $$, '42501', NULL, 'she signs off nothing');
SELECT throws_ok($$ SELECT reconcile.create_channel('x', 'UTC', 'CNY') $$, '42501', NULL, 'and configures nothing');
SELECT throws_ok($$ SELECT reconcile.insert_entries(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) $$,
                 '42501', NULL, 'and stores no entries by hand');
SELECT throws_ok($$ SELECT reconcile.run_keeping_settings('SELECT 1') $$, '42501', NULL, 'and runs no statement through ours');
-- filters are one expression, with her rights
SELECT throws_ok($$ SELECT * FROM reconcile.compare('pg_class', 'pg_class', '{oid}', '{relname}', 'true); DROP TABLE reconcile.run; --') $$, NULL, NULL, 'a filter is one expression');
SELECT throws_ok($$ SELECT * FROM reconcile.compare('pg_class', 'pg_class', '{oid}', '{relname}', 'true) UNION SELECT 1, (true') $$, NULL, NULL, 'and no second query');
SELECT throws_ok($$ SELECT * FROM reconcile.compare('pg_authid', 'pg_authid', '{oid}', '{rolpassword}') $$, '42501', NULL, 'compare reads with her rights');
SELECT throws_ok($$ SELECT * FROM reconcile.compare('reconcile.entry_trade', 'reconcile.entry_internal', '{order_key}') $$, '42501', NULL, 'of leaves too');
SELECT is((SELECT left_rows FROM reconcile.compare_summary('reconcile.entry', 'reconcile.entry', '{source_key}', '{amount}')), 12::bigint, 'and obeys row level security');
RESET SESSION AUTHORIZATION;

-- ---- an approver of one account ----------------------------------------------------------------------------
SET SESSION AUTHORIZATION t_petra;
SELECT throws_ok($$ SELECT reconcile.sign_off('alipay', '2088', '2026-11-02') $$, '42501', NULL, 'an approver signs off her account only');
SELECT throws_ok($$ SELECT reconcile.reopen_day('alipay', '2088', '2026-11-02', 'r') $$, '42501', NULL, 'and reopens hers only');
SELECT throws_ok($$ SELECT * FROM reconcile.run('alipay', '2026-11-02') $$, '42501', NULL, 'and runs nothing');
RESET SESSION AUTHORIZATION;

-- ---- an administrator --------------------------------------------------------------------------------------
SET SESSION AUTHORIZATION t_adam;
CREATE FUNCTION pg_temp.counted(channel text, account text, business_date date)
RETURNS TABLE (currency text, entries bigint, amount numeric) LANGUAGE sql AS $$ SELECT 'CNY', 1::bigint, 1::numeric $$;
SELECT throws_ok($$ SELECT reconcile.set_control_query('alipay', 'internal-trade', 'pg_temp.counted(text,text,date)', 't_adam') $$,
                 '42P13', NULL, 'a control query is no temporary function: its name may be anybody''s tomorrow');
SELECT lives_ok($$ SELECT reconcile.set_control_query('alipay', 'internal-trade', 'public.t_counted(text,text,date)', 't_adam') $$, 'a function that stays is one');
SELECT throws_ok($$ SELECT reconcile.set_control_query('alipay', 'internal-trade', NULL, 'postgres') $$, '42501', NULL, 'and runs as no role that he is not in');
SELECT throws_ok($$ SELECT reconcile.set_control_query('alipay', 'internal-trade', 'pg_ls_dir(text,boolean,boolean)', 't_adam') $$, '42P13', NULL, 'and has the right arguments');
SELECT throws_ok($$ UPDATE reconcile.run SET proof_difference = 0 $$, '42501', NULL, 'an administrator changes no result');
SELECT throws_ok($$ UPDATE reconcile.account SET signed_through = NULL $$, '42501', NULL, 'nor a sign-off');
SELECT throws_ok($$ DELETE FROM reconcile.entry WHERE tier = 0 $$, '42501', NULL, 'nor an entry');
SELECT lives_ok('SELECT * FROM reconcile.verify()', 'and verifies');
RESET SESSION AUTHORIZATION;

SELECT * FROM finish();
ROLLBACK;
