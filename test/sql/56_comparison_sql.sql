-- reconcile.comparison_sql: what it refuses and in which words, that whatever a name holds stays a literal, who sees
-- what, and that the text keeps to what engines share. That it finds what a run finds: 57_comparison_property.sql.
BEGIN;
SET client_min_messages = warning;
SELECT plan(22);

CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; detail text; hint text;
BEGIN
  EXECUTE statement;
  RETURN 'nothing was refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''));
END
$$;
CREATE FUNCTION pg_temp.found(p_channel text, p_day date, p_leg text DEFAULT NULL, p_account text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('SELECT coalesce(string_agg(concat_ws('' '', account, kind, item_key, trim_scale(difference)), '', ''), ''nothing'') FROM (%s) f',
                 reconcile.comparison_sql(p_channel, p_day, leg => p_leg, account => p_account))
  INTO result;
  RETURN result;
END
$$;

SELECT current_date - 10 AS d \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => :'d');
SELECT reconcile.create_account('pay', 'b');

-- Refusals, word for word
SELECT is(pg_temp.refusal(format('SELECT reconcile.comparison_sql(''pay'', %L, ''cobol'')', :'d')),
  '22023 | SQL dialect "cobol" is not known | This version knows the dialect postgres.', 'a dialect that is not known');
SELECT is(pg_temp.refusal(format('SELECT reconcile.comparison_sql(''pay'', %L, NULL)', :'d')),
  '22023 | SQL dialect "NULL" is not known | This version knows the dialect postgres.', 'no dialect');
SELECT is(pg_temp.refusal(format('SELECT reconcile.comparison_sql(''pya'', %L)', :'d')),
  '42704 | channel "pya" does not exist | Create it with reconcile.create_channel(), or look for its name in reconcile.channel.',
  'a channel that does not exist');
SELECT is(pg_temp.refusal(format('SELECT reconcile.comparison_sql(''pay'', %L, account => ''c'')', :'d')),
  '42704 | account "c" of channel "pay" does not exist | Create it with reconcile.create_account(), or look for it in reconcile.account.',
  'an account that does not exist');
SELECT is(pg_temp.refusal(format('SELECT reconcile.comparison_sql(''pay'', %L, leg => ''moon'')', :'d')),
  format('42704 | leg "moon" of channel "pay" does not exist | No version of it is valid on %s. | The legs of a channel are listed in reconcile.leg.', :'d'),
  'a leg that does not exist');
SELECT is(pg_temp.refusal(format('SELECT reconcile.comparison_sql(''pay'', %L)', :'d'::date - 1)),
  format('22023 | business date %s lies before channel "pay" went live | Its first date is %s. | Nothing was taken in for earlier days.', :'d'::date - 1, :'d'),
  'a day before go-live');
SELECT is(pg_temp.refusal('SELECT reconcile.comparison_sql(''pay'', ''infinity'')'),
  format('22023 | business date infinity lies in the future | It is %s at channel "pay". | A day is reconciled when it is over.', (now() AT TIME ZONE 'UTC')::date),
  'a day that never comes');
SELECT is(pg_temp.refusal(format('SELECT reconcile.run(''pay'', %L, method => ''sql'')', :'d')),
  '0A000 | method "sql" publishes nothing | It finds the figures of a day with plain SQL, to check those of batch. | Say dry_run => true; what it finds is told by the text of reconcile.comparison_sql().',
  'method sql, to be published');

-- What it finds, and for whom
SELECT reconcile.ensure_month(:'d') \gset
CREATE FUNCTION pg_temp.entry(p_account text, p_book text, p_key text, p_amount numeric, p_channel text DEFAULT 'pay', p_day date DEFAULT current_date - 10)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, status, effective, occurred_at, business_date,
                               recon_date, source_id, source_key)
  VALUES (p_channel, p_account, p_book, 'payment', p_key, p_key, p_amount, 'CNY', 'success', true, p_day + interval '12 hours', p_day, p_day,
          CASE p_book WHEN 'internal' THEN 1 ELSE 2 END, p_account || p_key)
$$;
SELECT pg_temp.entry('a', 'internal', 'o1', 1), pg_temp.entry('a', 'trade', 'o1', 1.00), pg_temp.entry('a', 'trade', 'o2', 7),
       pg_temp.entry('b', 'trade', 'o1', 2), pg_temp.entry('b', 'internal', 'o3', 3) \gset
SELECT is(pg_temp.found('pay', :'d'), 'a missing_internal o2 7, b in_transit o3 -3, b missing_internal o1 2', 'all accounts, each on its own');
SELECT is(pg_temp.found('pay', :'d', p_account => 'b'), 'b in_transit o3 -3, b missing_internal o1 2', 'or one');
SELECT is(pg_temp.found('pay', :'d'::date + 1), 'nothing', 'a day whose past was never run begins with nothing');

CREATE ROLE of_account_b LOGIN IN ROLE reconcile_reader;
INSERT INTO reconcile.access (member, channel, account) VALUES ('of_account_b', 'pay', 'b');
CREATE ROLE stranger LOGIN IN ROLE reconcile_reader;
SELECT reconcile.create_channel('other', 'UTC', 'CNY', account => 'a');
INSERT INTO reconcile.access (member, channel) VALUES ('stranger', 'other');
SET SESSION AUTHORIZATION of_account_b;
SELECT is(pg_temp.found('pay', :'d'), 'b in_transit o3 -3, b missing_internal o1 2', 'who may see one account finds what it has');
SELECT is(pg_temp.refusal(format('SELECT reconcile.comparison_sql(''pay'', %L, account => ''a'')', :'d')),
  '42501 | permission denied for account "a" of channel "pay" | Role "of_account_b" is restricted by reconcile.access. | An administrator can add the account to reconcile.access.',
  'and is refused another');
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION stranger;
SELECT is(pg_temp.refusal(format('SELECT reconcile.comparison_sql(''pay'', %L)', :'d')),
  '42501 | permission denied for channel "pay" | Role "stranger" is restricted by reconcile.access. | An administrator can add the account to reconcile.access.',
  'who may see nothing of the channel is refused');
RESET SESSION AUTHORIZATION;

-- Whatever a name holds stays a literal.
SELECT E'\\''; DROP TABLE shop; -- %s %1$s' AS odd \gset
CREATE TABLE shop ();
SELECT reconcile.create_channel(:'odd', 'UTC', 'CNY', account => :'odd');
INSERT INTO reconcile.leg (channel, leg, version, valid_from, left_book, right_book, kinds, lags)
SELECT :'odd', E'lines\n;DROP TABLE shop;--' || :'odd', 1, '-infinity', left_book, right_book, kinds || jsonb_build_object(:'odd', 'match'), lags
FROM reconcile.leg WHERE channel = 'pay';
SELECT pg_temp.entry(:'odd', 'trade', :'odd', 5, :'odd') \gset
SELECT is(pg_temp.found(:'odd', :'d', E'lines\n;DROP TABLE shop;--' || :'odd', :'odd'), :'odd' || ' missing_internal ' || :'odd' || ' 5', 'names that are SQL are names');
SELECT is(pg_temp.refusal(format('SELECT reconcile.comparison_sql(%L, %L)', :'odd', :'d')),
  format('22004 | channel "%s" has 2 legs: which of them? | They are internal-trade, %s. | Name one: leg => ...', :'odd', E'lines\n;DROP TABLE shop;--' || :'odd'), 'a leg is to be named where there are several');

-- What engines share
SELECT comparison_sql AS q FROM reconcile.comparison_sql('pay', :'d') \gset
SELECT is((SELECT string_agg(w, ' ') FROM unnest(ARRAY['LATERAL', 'DISTINCT ON', 'jsonb', '::', 'FILTER', 'unnest', 'ARRAY', 'IS DISTINCT FROM', 'interval ''']) w
           WHERE position(w IN :'q') > 0), NULL, 'no construct that engines do not share');
SELECT is((SELECT count(*) FROM regexp_matches(:'q', '->>', 'g')), 1::bigint, 'JSON is read where the dialect says it is, and nowhere else');
SELECT is((SELECT string_agg(step || ' ' || times, ', ' ORDER BY step)
           FROM (SELECT m[1] AS step, (SELECT count(*) FROM regexp_matches(:'q', '(FROM|JOIN) ' || m[1] || E'\\M', 'g')) AS times
                 FROM regexp_matches(:'q', '([a-z_0-9]+) AS \(', 'g') m) s WHERE times > 1),
  'counterpart 2, key_alone 2, single 2', 'a step is read once, until the verdict: copies don''t multiply');
SELECT is((reconcile.comparison_pass(5, 'pair', E'near\n; SELECT', 'pass_4')).steps,
  E'\n-- Pass 5, pair near ; SELECT, is left out: what it matches is shown as what it is without it.', 'a pass that plain SQL does not have is named');

-- The dates of the lags
INSERT INTO reconcile.calendar (calendar) VALUES ('banking');
INSERT INTO reconcile.calendar_day (calendar, day, is_open) VALUES ('banking', '2026-10-01', false), ('banking', '2026-10-02', false), ('banking', '2026-10-04', true);
SELECT is_empty($$ SELECT * FROM (VALUES (NULL), ('banking')) c (calendar), generate_series(0, 5) lag, generate_series(date '2026-09-28', '2026-10-10', '1 day') day,
                    generate_series(0, 9) ago
                   WHERE (reconcile.next_due_date(day::date - ago, lag, calendar) > day)
                     <> (day::date - ago >= reconcile.in_transit_since(day::date, lag, calendar)) $$, 'since when entries are in transit, by calendars too');
SELECT is((SELECT r.state || ' ' || r.method || ' ' || r.in_transit || ' ' || r.discrepancies_open || ' ' || r.left_entries || ' ' || r.right_entries
           FROM reconcile.run('pay', :'d', 'b', method => 'sql', dry_run => true) r), 'succeeded sql 1 1 1 1', 'run by method sql');
SELECT * FROM finish();
ROLLBACK;
