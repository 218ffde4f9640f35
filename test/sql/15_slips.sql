-- A slip of the finger in configuration is said at once, with what to do: none of these may be taken and then do nothing.
BEGIN;
SELECT plan(12);
SELECT reconcile.create_channel('bank', 'UTC', 'EUR', account => 'a1', first_date => '2025-11-01');

-- SQLSTATE, message and hint of a statement that must fail.
CREATE FUNCTION pg_temp.said(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  hint text;
BEGIN
  EXECUTE statement;
  RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', SQLSTATE, message, nullif(hint, ''));
END $$;

SELECT is(pg_temp.said($$SELECT reconcile.create_channel('mars', 'UTC', 'EUR', first_date => '2099-01-01')$$),
  '22023 | first date 2099-01-01 lies too far in the future | Give the day of go-live: entries of earlier days are quarantined, and none is taken in more than 40 days ahead.',
  'a year with a wrong digit');
SELECT results_eq(
  $$SELECT reconcile.lags_problem(l::jsonb) FROM unnest(ARRAY['{"lft": {"*": 1}}', '{"left": {"paymnt": 9}}', '{"left": {"payment": "x"}}', '{"left": {"*": 1.5}}', '[1]', '{"right": 1}', '{"left": {"*": 0}}', '{}']) l$$,
  ARRAY['"lft" is neither "left" nor "right"', 'left: "paymnt" is no entry kind', 'left.payment: "x" is no number of days from 0 to 999', 'left.*: 1.5 is no number of days from 0 to 999',
        'a JSON array where an object was expected', 'right: a JSON number where an object was expected', NULL, NULL],
  'lags that would count as 0');
SELECT is(pg_temp.said($$SELECT reconcile.create_channel('mars', 'UTC', 'EUR', lags => '{"lft": {"*": 1}}')$$),
  '22023 | the lags are not valid | Give days by side and entry kind, "*" for the kinds not named: {"left": {"payment": 1, "*": 3}, "right": {"payment": 0, "*": 3}}.',
  'are refused');
SELECT is(pg_temp.said($$SELECT reconcile.create_account('bank', '')$$),
  '22023 | an account needs a name | Give the merchant id or account number as the channel writes it.', 'an account without a name');
SELECT is(pg_temp.said($$SELECT reconcile.waive_statement('bank', 'a1', 'tarde', '2025-11-02', 'closed')$$),
  '22023 | book "tarde" is not known | Books are internal, trade, fund, settlement, bank and notify.',
  'a waiver of a book that does not exist would leave the run waiting');
SELECT is(pg_temp.said($$SELECT reconcile.create_file_source('f', 'bank', 'generic.csv', NULL, options => '{"calendar": "target3"}')$$),
  '42704 | calendar "target3" does not exist | Calendars are rows of reconcile.calendar and reconcile.calendar_day.',
  'a calendar that does not exist');
SELECT is(reconcile.sign_off_obstacles('bank', 'a2', '2025-11-02', 'anna'),
  ARRAY['account "a2" of channel "bank" does not exist', 'leg internal-trade has not been run'],
  'nothing in the way of an account that does not exist? it is in the way');
SELECT is(reconcile.sign_off_obstacles('tank', 'a1', '2025-11-02', 'anna'),
  ARRAY['account "a1" of channel "tank" does not exist'], 'or of a channel');

-- A folder that the server may not read would look like an empty one for ever.
SELECT current_setting('reconcile_test.scratch') || '/slips' AS folder \gset
SELECT format('COPY (SELECT 1) TO PROGRAM %L', format('cat >/dev/null; mkdir -p %1$s/open %1$s/closed && chmod 700 %1$s && chmod 000 %1$s/closed', :'folder')) AS make \gset
:make;
SELECT is((SELECT count(*) FROM reconcile.list_inbox('file://' || :'folder' || '/open/*.csv')), 0::bigint, 'an empty folder holds nothing');
SELECT is(pg_temp.said(format('SELECT * FROM reconcile.list_inbox(%L)', 'file://' || :'folder' || '/closed/*.csv')),
  format('58030 | folder "%s/closed" cannot be listed | It must be readable by the operating system user that runs PostgreSQL.', :'folder'),
  'a folder that is closed to the server is named');
SELECT is(pg_temp.said(format('SELECT * FROM reconcile.list_inbox(%L)', 'file://' || :'folder' || '/*/x*.csv')),
  format('58030 | folder "%s/closed" cannot be listed | It must be readable by the operating system user that runs PostgreSQL.', :'folder'),
  'also one that a pattern leads to');
SELECT is((SELECT count(*) FROM reconcile.list_inbox('file://' || :'folder' || '/open/{yyyyMMdd}/*.csv')), 0::bigint,
  'a day''s folder that is not there yet is nothing to complain of');
SELECT format('COPY (SELECT 1) TO PROGRAM %L', format('cat >/dev/null; chmod 700 %1$s/closed && rm -r %1$s', :'folder')) AS remove \gset
:remove;
SELECT * FROM finish();
ROLLBACK;
