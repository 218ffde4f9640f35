-- Random files and random re-issues of them, before and after their days are signed off: what the books hold of a
-- statement is what its newest file says, as a multiset; what is the same keeps its entry; every proof is zero.
--
-- Environment: PG_RECONCILE_REISSUES (how many histories; 12), PG_RECONCILE_SEED (the first one's number; 1).
\set ON_ERROR_STOP 0
SET client_min_messages = error;
\set histories 12
\getenv histories PG_RECONCILE_REISSUES
\set seed 1
\getenv seed PG_RECONCILE_SEED
SELECT reconcile.install() \g /dev/null
SELECT plan(:histories);

CREATE TABLE public.problem (history integer, step integer, what text);
CREATE TABLE public.finished (history integer);

CREATE FUNCTION public.below(n integer) RETURNS integer LANGUAGE sql VOLATILE AS $$ SELECT floor(random() * n)::integer $$;
-- A row of a file: few names, amounts, states and notes, so that twins and near twins are many.
CREATE FUNCTION public.random_row(p_day date) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT concat_ws(',', CASE WHEN below(6) > 0 THEN 'o' || below(8) ELSE '' END, '', (ARRAY['payment', 'refund'])[1 + below(2)],
                   (ARRAY['1', '1.00', '2', '0.5', '7.125'])[1 + below(5)], CASE WHEN below(3) = 0 THEN 'c' || below(6) ELSE '' END,
                   (ARRAY['', '0.1'])[1 + below(2)], (ARRAY['success', 'success', 'success', 'pending', 'failed'])[1 + below(5)],
                   p_day || ' 10:0' || below(3) || ':00', (ARRAY['', 'n'])[1 + below(2)])
$$;
CREATE FUNCTION public.write_file(p_day date, p_rows text[], p_name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  path text := current_setting('reconcile_test.scratch') || '/' || p_name || '.csv';
  object oid := lo_from_bytea(0, convert_to('#business_date=' || p_day || E'\n#' || p_name
    || E'\norder_key,sub_kind,kind,amount,channel_ref,fee,status,occurred_at,note\n' || coalesce(array_to_string(p_rows, E'\n') || E'\n', ''), 'UTF8'));
BEGIN
  PERFORM lo_export(object, path);
  PERFORM lo_unlink(object);
  RETURN path;
END
$$;

-- What the books hold of a statement, and under which key: the current version where it changed after sign-off.
CREATE FUNCTION public.held_rows(p_statement bigint) RETURNS TABLE (source_key text, said jsonb) LANGUAGE sql STABLE AS $$
  WITH ids AS (SELECT reconcile.series_statements(ARRAY[p_statement]) AS ids),
  changed AS MATERIALIZED (SELECT c.* FROM ids, reconcile.changed_after_sign_off(ids.ids) c)
  SELECT r.source_key,
         (r.version - ARRAY['channel', 'effective', 'recon_date', 'source_id', 'source_key', 'statement_id', 'tier', 'order_key', 'attributes', 'occurred_at',
                            'amount', 'settle_amount', 'fee', 'net', 'fx_rate'])
         || jsonb_build_object('order_key', nullif(r.version ->> 'order_key', r.source_key),
                               'attributes', nullif(nullif(r.version -> 'attributes', 'null'), '{}'), 'occurred_at', (r.version ->> 'occurred_at')::timestamptz,
                               'amount', trim_scale((r.version ->> 'amount')::numeric), 'fee', trim_scale((r.version ->> 'fee')::numeric))
  FROM (SELECT e.source_key, to_jsonb(e) AS version FROM ids, reconcile.entry e
        WHERE e.statement_id = ANY (ids.ids) AND NOT EXISTS (SELECT FROM changed c WHERE c.source_key = e.source_key)
        UNION ALL SELECT c.source_key, c.version FROM changed c WHERE c.version IS NOT NULL) r
$$;
-- What a file says, read without the books.
CREATE FUNCTION public.file_rows(p_path text) RETURNS TABLE (said jsonb) LANGUAGE sql STABLE AS $$
  SELECT (to_jsonb(p) - ARRAY['row_no', 'order_key', 'attributes', 'occurred_at', 'amount', 'settle_amount', 'fee', 'net', 'fx_rate'])
         || jsonb_build_object('order_key', nullif(p.order_key, ''), 'attributes', nullif(p.attributes, '{}'), 'occurred_at', p.occurred_at,
                               'amount', trim_scale(p.amount), 'fee', trim_scale(p.fee))
  FROM reconcile.parse_file('generic.csv', p_path, (SELECT max(channel) FROM reconcile.channel), 'a') p
$$;

CREATE FUNCTION public.complain(p_history integer, p_step integer, p_what text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO problem SELECT p_history, p_step, p_what WHERE p_what IS NOT NULL
$$;

CREATE FUNCTION public.check_statement(p_history integer, p_step integer, p_statement bigint, p_path text, p_day date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  stated reconcile.statement;
BEGIN
  SELECT s.* INTO stated FROM reconcile.statement s WHERE s.statement_id = p_statement;
  PERFORM complain(p_history, p_step, format('statement %s is %s: %s', p_statement, stated.state, stated.reason)) WHERE stated.state <> 'accepted';
  CREATE TEMP TABLE now_held AS SELECT * FROM held_rows(p_statement);
  PERFORM complain(p_history, p_step, format('differs from the newest file: %s', x.said))
  FROM ((SELECT said FROM now_held EXCEPT ALL SELECT said FROM file_rows(p_path))
        UNION ALL (SELECT said FROM file_rows(p_path) EXCEPT ALL SELECT said FROM now_held)) x;
  -- Of every content, as many entries keep their key as it had before and has now.
  PERFORM complain(p_history, p_step, format('%s of %s kept their keys: %s', x.kept, least(x.old, x.new), x.said))
  FROM (SELECT said, count(*) FILTER (WHERE b.source_key IS NOT NULL) AS old, count(*) FILTER (WHERE n.source_key IS NOT NULL) AS new,
               count(*) FILTER (WHERE b.source_key IS NOT NULL AND n.source_key IS NOT NULL) AS kept
        FROM was_held b FULL JOIN now_held n USING (source_key, said) GROUP BY said) x
  WHERE x.kept <> least(x.old, x.new) AND EXISTS (SELECT FROM was_held);
  PERFORM complain(p_history, p_step, format('kept %s, changed %s, added %s, removed %s', stated.kept_count, stated.changed_count, stated.added_count, stated.removed_count))
  WHERE stated.series_id IS NOT NULL
    AND (stated.kept_count + stated.changed_count + stated.added_count, stated.kept_count + stated.changed_count + stated.removed_count)
        IS DISTINCT FROM ((SELECT count(*) FROM now_held), (SELECT count(*) FROM was_held));
  PERFORM complain(p_history, p_step, format('proof line e of %s: %s', p_day, f))
  FROM reconcile.statement_differences('pay' || p_history, 'a', ARRAY['internal', 'trade'], p_day) f WHERE f.entries <> 0 OR f.amount <> 0;
  -- Whatever was signed off: money that moved adds up to what the newest file says of it.
  PERFORM complain(p_history, p_step, format('effective amounts: books %s, file %s', b.amount, f.amount))
  FROM (SELECT coalesce(sum(e.amount), 0) AS amount FROM reconcile.entry e WHERE e.channel = 'pay' || p_history AND e.book = 'trade' AND e.effective) b,
       (SELECT coalesce(sum((r.said ->> 'amount')::numeric), 0) AS amount FROM file_rows(p_path) r WHERE r.said ->> 'status' = 'success') f
  WHERE b.amount <> f.amount;
  PERFORM complain(p_history, p_step, format('totals: %s', d))
  FROM reconcile.total_differences('pay' || p_history, p_day, p_day + 5, 'a') d;
  TRUNCATE was_held;
  INSERT INTO was_held SELECT * FROM now_held;
  DROP TABLE now_held;
END
$$;

CREATE FUNCTION public.mutate(p_rows text[], p_day date) RETURNS text[] LANGUAGE sql VOLATILE AS $$
  SELECT array_agg(r ORDER BY random()) FROM (
    -- The first row stays: a file that shares no row is no re-issue.
    SELECT CASE WHEN n > 1 AND below(12) = 0 THEN random_row(p_day)
                WHEN n > 1 AND below(12) = 0 THEN regexp_replace(r, ',(1|2|0.5),', ',' || below(4) || '.25,')
                WHEN n > 1 AND below(12) = 0 THEN regexp_replace(r, '(success|pending)', (ARRAY['success', 'pending'])[1 + below(2)]) ELSE r END AS r
    FROM unnest(p_rows) WITH ORDINALITY u (r, n) WHERE n = 1 OR below(8) > 0
    UNION ALL SELECT random_row(p_day) FROM generate_series(1, below(4))
    UNION ALL SELECT p_rows[1 + below(cardinality(p_rows))] FROM generate_series(1, below(2))) m
$$;

-- One history: a day of both books, re-issued again and again, signed off and reopened in between.
CREATE PROCEDURE public.play(p_history integer) LANGUAGE plpgsql AS $$
DECLARE
  d date := current_date - 20;
  pay text := 'pay' || p_history;
  rows text[];
  versions text[] := '{}';
  path text;
  statement bigint;
  step integer;
BEGIN
  PERFORM setseed(p_history / 10000.0);
  PERFORM reconcile.create_channel(pay, 'UTC', 'CNY', account => 'a', first_date => d, lags => '{"left": {"*": 0}, "right": {"*": 0}}');
  PERFORM reconcile.create_file_source('bills' || p_history, pay, 'generic.csv', NULL, 'a', options => '{"expected": false}'),
          reconcile.create_file_source('ours' || p_history, pay, 'generic.csv', NULL, 'a', book => 'internal', options => '{"expected": false}');
  CREATE TEMP TABLE was_held (source_key text, said jsonb);
  SELECT array_agg(random_row(d)) INTO rows FROM generate_series(1, 10 + below(30));
  PERFORM reconcile.ingest_file('ours' || p_history, write_file(d, rows || random_row(d), format('i%s', p_history)));
  FOR step IN 1 .. 8 LOOP
    IF step > 1 THEN
      -- Sometimes back to what an older file said.
      rows := CASE WHEN cardinality(versions) > 1 AND below(4) = 0
                   THEN string_to_array(versions[1 + below(cardinality(versions))], '|') ELSE mutate(rows, d) END;
    END IF;
    versions := versions || array_to_string(rows, '|');
    path := write_file(d, rows, format('h%s_%s', p_history, step));
    statement := reconcile.ingest_file('bills' || p_history, path);
    PERFORM check_statement(p_history, step, statement, path, d);
    PERFORM complain(p_history, step, format('run of %s: %s %s', r.business_date, r.state, r.failure))
    FROM reconcile.account a, LATERAL reconcile.run(pay, coalesce(a.signed_through + 1, d)) r
    WHERE a.channel = pay AND (r.state <> 'succeeded' OR r.proof_difference <> 0);
    -- What sign-off and reopening mean for entries.
    CASE below(4)
      WHEN 0 THEN UPDATE reconcile.account SET signed_through = coalesce(signed_through + 1, d) WHERE channel = pay AND coalesce(signed_through, d) < d + 3;
      WHEN 1 THEN UPDATE reconcile.account SET signed_through = nullif(signed_through - 1, d - 1) WHERE channel = pay;
      ELSE NULL;
    END CASE;
  END LOOP;
  DROP TABLE was_held;
  INSERT INTO finished VALUES (p_history);
END
$$;
\set ECHO none
SELECT format('CALL public.play(%s)', h),
       format('SELECT is((SELECT string_agg(step || '': '' || what, E''\n'') FROM (SELECT * FROM problem WHERE history = %1$s
                         UNION ALL SELECT %1$s, 9, ''it ended early'' WHERE NOT EXISTS (SELECT FROM finished WHERE history = %1$s) ORDER BY 2 LIMIT 8) p), NULL, ''history %1$s'')', h)
FROM generate_series(:seed, :seed + :histories - 1) h \gexec
SELECT diag(format('%s re-issues: kept %s, changed %s, added %s, removed %s; %s changes after sign-off', count(*), sum(kept_count), sum(changed_count), sum(added_count),
                   sum(removed_count), (SELECT count(*) FROM reconcile.entry_history WHERE reason = 'after_sign_off')))
FROM reconcile.statement WHERE series_id IS NOT NULL AND supersedes IS NOT NULL;
SELECT * FROM finish();
