-- A re-issued file is compared as a multiset with what is stored: what is the same stays, what differs enters.
\set ON_ERROR_STOP 0
SET client_min_messages = error;
SELECT plan(53);
SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2 \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => :'d'::date - 5,
                                lags => '{"left": {"*": 0}, "right": {"*": 0}}') \g /dev/null
SELECT reconcile.create_file_source('bills', 'pay', 'generic.csv', NULL, 'a') AS bills,
       reconcile.create_file_source('ours', 'pay', 'generic.csv', NULL, 'a', book => 'internal') AS ours \gset
DROP ROLE IF EXISTS test_preparer, test_signer;
CREATE ROLE test_preparer LOGIN;
CREATE ROLE test_signer LOGIN;
GRANT reconcile_operator TO test_preparer;
GRANT reconcile_approver, reconcile_operator TO test_signer;

-- A file of the rows "order_key,amount[,note]", in this order, of a day.
CREATE FUNCTION public.file_of(p_day date, p_rows text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  path text := current_setting('reconcile_test.scratch') || '/' || gen_random_uuid() || '.csv';
  object oid := lo_from_bytea(0, convert_to('#business_date=' || p_day || E'\norder_key,kind,amount,occurred_at,note\n'
    || coalesce((SELECT string_agg(split_part(r, ',', 1) || ',payment,' || split_part(r, ',', 2) || ',' || p_day || ' 10:00:00,'
                                   || split_part(r, ',', 3) || E'\n', '' ORDER BY n) FROM unnest(p_rows) WITH ORDINALITY u (r, n)), ''), 'UTF8'));
BEGIN
  PERFORM lo_export(object, path);
  PERFORM lo_unlink(object);
  RETURN path;
END
$$;
CREATE FUNCTION public.take(p_source text, p_day date, VARIADIC p_rows text[]) RETURNS bigint LANGUAGE sql AS $$
  SELECT reconcile.ingest_file(p_source, file_of(p_day, p_rows))
$$;
CREATE FUNCTION public.changes_of(p_statement bigint) RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', s.state, s.entry_count, 'kept', s.kept_count, 'changed', s.changed_count, 'added', s.added_count, 'removed', s.removed_count)
  FROM reconcile.statement s WHERE s.statement_id = p_statement
$$;
CREATE FUNCTION public.held() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(e.source_key || '=' || trim_scale(e.amount), ' ' ORDER BY e.recon_date, split_part(e.source_key, '/', 1)::integer,
                    split_part(split_part(e.source_key, '/', 2), '#', 1)::integer, e.source_key)
  FROM reconcile.entry e WHERE e.book = 'trade'
$$;
CREATE FUNCTION public.again(p_day date) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', r.state, r.matched_pairs, r.discrepancies_open, r.proof_difference), ',' ORDER BY r.business_date) FROM reconcile.run('pay', p_day) r
$$;
CREATE FUNCTION public.off(p_day date) RETURNS bigint LANGUAGE sql AS $$
  SELECT count(*) FROM reconcile.statement_differences('pay', 'a', ARRAY['internal', 'trade'], p_day) f WHERE f.entries <> 0 OR f.amount <> 0
$$;

-- ---- open days: order, twins, what changed, came and went ----
SELECT take('bills', :'d', 'o1,1', 'o2,2', 'o2,2', 'o3,3', 'o4,4') AS s1 \gset
CREATE TEMP TABLE before AS SELECT source_key, tableoid AS leaf, ctid AS place FROM reconcile.entry;
SELECT take('bills', :'d', 'o4,4', 'o2,2', 'o1,1.00', 'o3,3', 'o2,2') AS s2 \gset
SELECT is(changes_of(:s2), 'accepted 5 kept 5 changed 0 added 0 removed 0', 'the same rows in another order: nothing enters');
SELECT is((SELECT count(*) FROM before b JOIN reconcile.entry e ON e.source_key = b.source_key AND e.tableoid = b.leaf AND e.ctid = b.place), 5::bigint, 'and no row is touched');
SELECT is((SELECT concat_ws(' ', s.state, s.superseded_by = :s2) FROM reconcile.statement s WHERE s.statement_id = :s1), 'superseded t', 'the older statement is superseded all the same');
SELECT is(off(:'d'), 0::bigint, 'the kept entries are the new statement''s');
SELECT is(reconcile.ingest_file('bills', (SELECT current_setting('reconcile_test.scratch') || '/' || file_name FROM reconcile.statement WHERE statement_id = :s2)), :s2::bigint, 'the same bytes again are the same statement');
SELECT take('bills', :'d', 'o2,2', 'o3,3.50', 'o5,5', 'o4,4') AS s3 \gset
SELECT is(changes_of(:s3), 'accepted 4 kept 2 changed 1 added 1 removed 2', 'one twin less, one changed, one new, one gone');
SELECT is(held(), format('%1$s/2=2 %1$s/4=3.5 %1$s/5=4 %2$s/3=5', :s1, :s3), 'unchanged and changed rows keep their keys');
SELECT is(off(:'d'), 0::bigint, 'which add up to the newest file');
SELECT is((SELECT sum(amount) FROM reconcile.entry_total WHERE book = 'trade'), 14.5, 'and so do the totals');
SELECT is((SELECT string_agg(concat_ws(' ', kept_count, changed_count, added_count, removed_count), '') FROM reconcile.statement_status WHERE statement_id = :s3), '2 1 1 2', 'statement_status tells');
SELECT take('bills', :'d', 'o2,2', 'o3,3.50', 'o5,5', 'o5,6', 'o4,4') AS s4 \gset
SELECT take('bills', :'d', 'o2,2', 'o3,3.50', 'o5,7', 'o5,8', 'o4,4') AS s5 \gset
SELECT is(changes_of(:s5), 'accepted 5 kept 3 changed 0 added 2 removed 2', 'of several rows of one name, none is taken for another');
SELECT take('bills', :'d', 'o2,2,a note', 'o3,3.50', 'o5,7', 'o5,8', 'o4,4') AS s6 \gset
SELECT is(changes_of(:s6), 'accepted 5 kept 4 changed 1 added 0 removed 0', 'an attribute is content, too');
SELECT is((SELECT series_id FROM reconcile.statement WHERE statement_id = :s6), :s1::bigint, 'all of them are one series');

-- ---- after sign-off: 1 of 1,000 rows ----
SELECT array_agg('n' || n || ',' || n) AS many, array_agg('n' || n || ',' || n ORDER BY n DESC) AS turned,
       array_agg('n' || n || ',' || CASE n WHEN 500 THEN 507 ELSE n END ORDER BY n DESC) AS corrected
FROM generate_series(1, 1000) n \gset
SELECT take('ours', :'d', VARIADIC :'many'::text[]) AS i1 \gset
SELECT reconcile.waive_statement('pay', 'a', b, :'d'::date + o, 'none') FROM unnest(ARRAY['internal', 'trade']) b, generate_series(1, 3) o \g /dev/null
SELECT reconcile.save_format('generic.csv', document || '{"reissue": "replace", "description": "as it was"}') FROM reconcile.file_format WHERE format = 'generic.csv' ORDER BY version DESC LIMIT 1 \g /dev/null
SELECT take('bills', :'d', VARIADIC (:'turned'::text[] || ARRAY['o2,2,a note'])) AS t0 \gset
SELECT is(changes_of(:t0), 'accepted 1001 kept 1 changed 0 added 1000 removed 4', 'a re-issue that shares one row is a re-issue');
SELECT take('bills', :'d', VARIADIC :'turned'::text[]) AS t1 \gset
SET SESSION AUTHORIZATION test_preparer;
SELECT is(again(:'d'), 'succeeded 1000 0 0.00', 'a day without differences');
SET SESSION AUTHORIZATION test_signer;
SELECT isnt(reconcile.sign_off('pay', 'a', :'d'), NULL, 'is signed off');
RESET SESSION AUTHORIZATION;
DROP TABLE before;
CREATE TEMP TABLE before AS SELECT source_key, tableoid AS leaf, ctid AS place FROM reconcile.entry;
SELECT take('bills', :'d', VARIADIC :'corrected'::text[]) AS t2 \gset
SELECT is(changes_of(:t2), 'accepted 1000 kept 999 changed 1 added 0 removed 0', 'one row of a thousand is corrected');
SELECT is((SELECT count(*) FROM before b JOIN reconcile.entry e ON e.source_key = b.source_key AND e.tableoid = b.leaf AND e.ctid = b.place), 2000::bigint, 'what was signed off stays');
SELECT is((SELECT string_agg(concat_ws(' ', source_key = (SELECT source_key FROM reconcile.entry WHERE order_key = 'n500' AND book = 'trade' AND sub_kind IS NULL) || '#1', trim_scale(amount), recon_date = :'d1'), ',')
           FROM reconcile.entry WHERE sub_kind = 'delta'), 't 7 t', 'its difference enters the next open day');
SET SESSION AUTHORIZATION test_preparer;
SELECT is(again(:'d1'), 'succeeded 0 1 0.00', 'the discrepancies are those of that one row');
RESET SESSION AUTHORIZATION;
SELECT is((SELECT string_agg(concat_ws(' ', order_key, trim_scale(difference)), ',') FROM reconcile.open_discrepancy), 'n500 7', 'of its difference');
SELECT is(off(:'d'), 0::bigint, 'the signed-off day''s statement adds up, too');
SELECT take('bills', :'d', VARIADIC (:'corrected'::text[])[1:999] || ARRAY['n1001,3']) AS t3 \gset
SELECT is(changes_of(:t3), 'accepted 1000 kept 999 changed 0 added 1 removed 1', 'a row goes and another one comes');
SELECT again(:'d1') \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', order_key, trim_scale(difference)), ',' ORDER BY order_key) FROM reconcile.open_discrepancy), 'n1 -1,n1001 3,n500 7', 'three rows, three discrepancies');
SELECT is(off(:'d'), 0::bigint, 'and it adds up');
SELECT take('bills', :'d', VARIADIC ARRAY['n1001,3,again'] || :'turned'::text[]) AS t4 \gset
SELECT is(changes_of(:t4), 'accepted 1001 kept 998 changed 2 added 1 removed 0', 'what had gone comes back under its old key');
SELECT again(:'d1') \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', order_key, trim_scale(difference)), ',' ORDER BY order_key) FROM reconcile.open_discrepancy), 'n1001 3', 'and nothing is left of it');
SELECT is((SELECT count(*) FROM reconcile.entry WHERE sub_kind = 'delta'), 0::bigint, 'not even a delta');
SET SESSION AUTHORIZATION test_signer;
SELECT reconcile.reopen_day('pay', 'a', :'d', 'to see') \g /dev/null
RESET SESSION AUTHORIZATION;
SELECT is(again(:'d'), 'succeeded 1000 0 0.00,succeeded 0 1 0.00', 'the day can be reopened and run');
SELECT is(off(:'d'), 0::bigint, 'and its statement still adds up');

-- ---- a second file of the day that is no re-issue ----
SELECT take('bills', :'d2', 'p1,1', 'p2,2') AS u1 \gset
SELECT take('bills', :'d2', 'q1,3', 'q2,4', 'q3,5') AS u2 \gset
SELECT matches((SELECT state || ': ' || reason FROM reconcile.statement WHERE statement_id = :u2),
  format('^control_mismatch: it holds none of the rows of statement %s, which it would replace', :u1), 'a file that shares no row replaces nothing in silence');
SELECT is((SELECT sum(amount) FROM reconcile.entry WHERE business_date = :'d2'), 15::numeric, 'both are stored');
SELECT matches(array_to_string(reconcile.missing_statements('pay', 'a', 'trade', :'d2'), '; '), 'which waits for a decision: it holds none of the rows', 'and the day waits');
SELECT is(off(:'d2'), 0::bigint, 'both add up');
SET SESSION AUTHORIZATION test_signer;
SELECT reconcile.accept_statement(:u2, 'the evening''s file') \g /dev/null
RESET SESSION AUTHORIZATION;
SELECT take('bills', :'d2', 'q1,3', 'q2,4') AS u3 \gset
SELECT is(changes_of(:u3) || ' ' || (SELECT state FROM reconcile.statement WHERE statement_id = :u1), 'accepted 2 kept 2 changed 0 added 0 removed 1 accepted', 'a re-issue of the one leaves the other alone');
SELECT is((SELECT supersedes FROM reconcile.statement WHERE statement_id = :u3), :u2::bigint, 'it is known by its rows');
SELECT take('bills', :'d2', VARIADIC '{}'::text[]) AS u4 \gset
SELECT matches((SELECT state || ': ' || reason FROM reconcile.statement WHERE statement_id = :u4), '^control_mismatch: it holds none of the rows of statement', 'an empty file empties no day');
SET SESSION AUTHORIZATION test_signer;
SELECT is(reconcile.withdraw_statement(:u4, 'a mistake'), 0::bigint, 'the empty file is withdrawn');
SELECT is(reconcile.withdraw_statement(:u3, 'of another account'), 2::bigint, 'and so is one with rows');
RESET SESSION AUTHORIZATION;
SELECT throws_ok(format('SELECT reconcile.withdraw_statement(%s, ''again'')', :u3), '55000', NULL, 'once');
SELECT is((SELECT string_agg(source_key || '=' || trim_scale(amount), ' ' ORDER BY source_key) FROM reconcile.entry WHERE business_date = :'d2'),
  format('%1$s/1=1 %1$s/2=2', :u1), 'its rows are gone');
SELECT isnt(reconcile.ingest_file('bills', (SELECT current_setting('reconcile_test.scratch') || '/' || file_name FROM reconcile.statement WHERE statement_id = :u3)), :u3::bigint, 'the file may come again');
SELECT throws_ok(format('SELECT reconcile.withdraw_statement(%s, ''mine'')', :u1), '42501', NULL, 'who took a file in does not withdraw it');

-- ---- formats that append ----
SELECT reconcile.save_format('more.csv', document || '{"reissue": "append"}') FROM reconcile.file_format WHERE format = 'generic.csv' ORDER BY version DESC LIMIT 1 \g /dev/null
SELECT reconcile.create_channel('add', 'UTC', 'CNY', account => 'a', first_date => :'d'::date - 5) \g /dev/null
SELECT reconcile.create_file_source('added', 'add', 'more.csv', NULL, 'a') \g /dev/null
SELECT take('added', :'d', 'r1,1', 'r2,2', 'r2,2') AS a1, take('added', :'d', 'r2,2', 'r1,1', 'r3,3', 'r2,5', 'r3,3') AS a2 \gset
SELECT is(changes_of(:a2), 'accepted 3 kept 2 changed 0 added 3 removed 0', 'a file that appends brings what is not there yet, twins counted');
SELECT is((SELECT string_agg(source_key || '=' || trim_scale(amount), ' ' ORDER BY source_key) FROM reconcile.entry WHERE channel = 'add'),
  format('%1$s/1=1 %1$s/2=2 %1$s/3=2 %2$s/3=3 %2$s/4=5 %2$s/5=3', :a1, :a2), 'beside what is');
SELECT is((SELECT count(*) FROM reconcile.statement_differences('add', 'a', ARRAY['trade'], :'d') f WHERE f.entries <> 0 OR f.amount <> 0), 0::bigint, 'each adds up to what it brought');

-- ---- more rows than are held back until it is known what a file covers ----
SELECT array_agg('m' || n % 11000 || ',' || n) AS big, array_agg('m' || n % 11000 || ',' || n ORDER BY n DESC) AS big_turned FROM generate_series(1, 12000) n \gset
SELECT take('added', :'d1', VARIADIC :'big'::text[]) AS b1, take('added', :'d1', VARIADIC :'big_turned'::text[]) AS b2 \gset
SELECT is(changes_of(:b2), 'accepted 0 kept 12000 changed 0 added 0 removed 0', 'a long file that is there already');

-- ---- several statements in one file: each is one, all are taken in at once, and re-issued together ----
SELECT reconcile.create_channel('giro', 'UTC', 'EUR', account => 'DE1', first_date => '2026-11-01') \g /dev/null
SELECT reconcile.create_account('giro', 'DE2') \g /dev/null
SELECT reconcile.create_file_source('giro files', 'giro', 'mt940', NULL, book => 'bank') \g /dev/null
CREATE FUNCTION public.giro(p_second text, p_third text DEFAULT '') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  path text := current_setting('reconcile_test.scratch') || '/' || gen_random_uuid() || '.sta';
  object oid := lo_from_bytea(0, convert_to(replace(
    E':20:A\n:25:DE1\n:28C:1/1\n:60F:C261121EUR10,00\n:61:2611211121C1,00NTRFONE//B1\n:86:one\n:62F:C261121EUR11,00\n-\n'
    || E':20:B\n:25:DE2\n:28C:1/1\n:60F:C261121EUR20,00\n:61:2611211121C' || p_second || E'NTRFTWO//B2\n:86:two\n' || p_third
    || ':62F:C261121EUR' || replace((20 + replace(p_second, ',', '.')::numeric + CASE p_third WHEN '' THEN 0 ELSE 7 END)::text, '.', ',') || E'\n-\n', E'\n', E'\r\n'), 'UTF8'));
BEGIN
  PERFORM lo_export(object, path);
  PERFORM lo_unlink(object);
  RETURN reconcile.ingest_file('giro files', path);
END
$$;
SELECT giro('2,00') AS g1 \gset
SELECT is((SELECT string_agg(concat_ws(' ', file_part, account, business_date, state, entry_count, closing_balance), ', ' ORDER BY file_part) FROM reconcile.statement WHERE channel = 'giro'),
  '1 DE1 2026-11-21 accepted 1 11.00, 2 DE2 2026-11-21 accepted 1 22.00', 'two accounts of one file are two statements');
SELECT is((SELECT count(*) FROM reconcile.statement_status WHERE statement_id >= :g1 AND channel = 'giro'), 2::bigint, 'and statement_status shows both');
SELECT giro('2,50', E':61:2611211121C7,00NTRFTHREE//B3\n:86:three\n') AS g2 \gset
SELECT is((SELECT string_agg(concat_ws(' ', account, state, kept_count, changed_count, added_count, removed_count), ', ' ORDER BY file_part) FROM reconcile.statement WHERE statement_id >= :g2 AND channel = 'giro'),
  'DE1 accepted 1 0 0 0, DE2 accepted 0 1 1 0', 'a re-issue corrects each of them by its own');
SELECT is((SELECT string_agg(concat_ws(' ', account, superseded_by - :g2), ', ' ORDER BY file_part) FROM reconcile.statement WHERE statement_id >= :g1 AND statement_id < :g2 AND channel = 'giro'),
  'DE1 0, DE2 1', 'each by the statement of its account');
SELECT is((SELECT string_agg(account || '=' || trim_scale(amount), ' ' ORDER BY account, amount) FROM reconcile.entry WHERE channel = 'giro'), 'DE1=1 DE2=2.5 DE2=7', 'the entries are the newest file''s');
SELECT is((SELECT count(*) FROM unnest(ARRAY['DE1', 'DE2']) a, reconcile.statement_differences('giro', a, ARRAY['bank'], '2026-11-21') f WHERE f.entries <> 0 OR f.amount <> 0), 0::bigint, 'and both add up');
SELECT * FROM finish();
DROP OWNED BY test_preparer, test_signer;
DROP ROLE test_preparer, test_signer;
