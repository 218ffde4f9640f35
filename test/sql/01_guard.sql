-- The boundary between C++ and PostgreSQL: what is thrown on one side arrives whole on the other, destructors run,
-- and the backend goes on. Needs pg_reconcile_test.so, which only the throw-away server has.
\if :test_module
\else
\echo 1..0 # SKIP pg_reconcile_test is not installed here
\quit
\endif
CREATE EXTENSION dblink;
CREATE FUNCTION throw_core(text, text, text, text) RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_throw_core' LANGUAGE c STRICT;
CREATE FUNCTION throw_standard(text) RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_throw_standard' LANGUAGE c STRICT;
CREATE FUNCTION throw_unknown() RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_throw_unknown' LANGUAGE c;
CREATE FUNCTION throw_bad_alloc() RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_throw_bad_alloc' LANGUAGE c;
CREATE FUNCTION throw_invalid_bytes() RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_throw_invalid_bytes' LANGUAGE c;
CREATE FUNCTION run_sql(text, int) RETURNS text AS '$libdir/pg_reconcile_test', 'guard_test_run' LANGUAGE c STRICT;
CREATE FUNCTION destroyed() RETURNS bigint AS '$libdir/pg_reconcile_test', 'guard_test_destroyed' LANGUAGE c;
CREATE FUNCTION catch_error(text) RETURNS text AS '$libdir/pg_reconcile_test', 'guard_test_catch' LANGUAGE c STRICT;
CREATE FUNCTION catch_many(text, int) RETURNS int AS '$libdir/pg_reconcile_test', 'guard_test_catch_many' LANGUAGE c STRICT;
CREATE FUNCTION rows_of_rolled_back() RETURNS text AS '$libdir/pg_reconcile_test', 'guard_test_rows_of_rolled_back' LANGUAGE c;
CREATE FUNCTION swallow() RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_swallow' LANGUAGE c;
CREATE FUNCTION wrong_spi() RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_wrong_spi' LANGUAGE c;
CREATE FUNCTION throw_through_guard() RETURNS text AS '$libdir/pg_reconcile_test', 'guard_test_throw_through_guard' LANGUAGE c;
CREATE FUNCTION loop_forever() RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_loop' LANGUAGE c;
CREATE FUNCTION palloc_too_much() RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_palloc' LANGUAGE c;
CREATE FUNCTION cursor_closed(text) RETURNS text AS '$libdir/pg_reconcile_test', 'guard_test_cursor_closed' LANGUAGE c STRICT;
CREATE FUNCTION cursor_read_on(text) RETURNS text AS '$libdir/pg_reconcile_test', 'guard_test_cursor_read_on' LANGUAGE c STRICT;
CREATE FUNCTION cursor_rolled_back() RETURNS text AS '$libdir/pg_reconcile_test', 'guard_test_cursor_rolled_back' LANGUAGE c;
CREATE FUNCTION cursor_pinned() RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_cursor_pinned' LANGUAGE c;
CREATE FUNCTION invalid_text() RETURNS void AS '$libdir/pg_reconcile_test', 'guard_test_invalid_text' LANGUAGE c;

CREATE FUNCTION raise_whole() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the message' USING ERRCODE = 'RC001', DETAIL = 'the detail', HINT = 'the hint', COLUMN = 'c',
    CONSTRAINT = 'k', DATATYPE = 'd', TABLE = 't', SCHEMA = 's';
END $$;

-- Everything that PL/pgSQL can see of an error.
CREATE FUNCTION diagnosed(statement text) RETURNS TABLE (state text, message text, detail text, hint text,
  context text, column_name text, constraint_name text, table_name text, schema_name text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
EXCEPTION WHEN OTHERS OR query_canceled THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT, column_name = COLUMN_NAME,
    constraint_name = CONSTRAINT_NAME, table_name = TABLE_NAME, schema_name = SCHEMA_NAME;
  RETURN NEXT;
END $$;

BEGIN;
SELECT plan(46);

-- C++ -> PostgreSQL
SELECT row_eq($$SELECT state, message, detail, hint FROM diagnosed(
    $q$SELECT throw_core('22023', 'no channel "x"', 'There is y.', 'Create it.')$q$)$$,
  ROW('22023'::text, 'no channel "x"'::text, 'There is y.'::text, 'Create it.'::text),
  'core::Error arrives with SQLSTATE, message, detail and hint');
SELECT is(destroyed(), 1::bigint, 'and its frame was unwound');
SELECT row_eq($$SELECT state, message, detail, hint FROM diagnosed($q$SELECT throw_core('57014', 'gone', '', '')$q$)$$,
  ROW('57014'::text, 'gone'::text, ''::text, ''::text), 'an empty detail and hint stay empty');
SELECT row_eq($$SELECT state, message FROM diagnosed($q$SELECT throw_core('22023', '100 %s of %d', '', '')$q$)$$,
  ROW('22023'::text, '100 %s of %d'::text), 'a message is not a format');
SELECT throws_ok($$SELECT throw_standard('a standard one')$$, 'XX000', 'a standard one', 'std::exception');
SELECT throws_ok('SELECT throw_unknown()', 'XX000', 'unknown C++ exception', 'something that is no exception');
SELECT destroyed();
SELECT throws_ok('SELECT throw_bad_alloc()', '53200', 'out of memory', 'std::bad_alloc');
SELECT is(destroyed(), 1::bigint, 'std::bad_alloc unwinds');
SELECT is((SELECT message FROM diagnosed('SELECT throw_invalid_bytes()')), 'x' || repeat('é', 511),
  'a long message is cut between characters');
SELECT is((SELECT detail FROM diagnosed('SELECT throw_invalid_bytes()')), 'bad: ?? end',
  'bytes that the encoding does not know are shown as ?');

-- PostgreSQL -> C++ -> PostgreSQL
SELECT is(run_sql('SELECT 40 + 2', 5), '42', 'a query under C++ frames');
SELECT is(destroyed(), 5::bigint, 'with five witnesses');
SELECT throws_ok($$SELECT run_sql('SELECT 1 / 0', 5)$$, '22012', 'division by zero', 'an ereport under C++ frames');
SELECT is(destroyed(), 5::bigint, 'unwound all five frames');
SELECT row_eq($$SELECT state, message, detail, hint, column_name, constraint_name, table_name, schema_name
    FROM diagnosed('SELECT run_sql(''SELECT raise_whole()'', 5)')$$,
  ROW('RC001'::text, 'the message'::text, 'the detail'::text, 'the hint'::text, 'c'::text, 'k'::text, 't'::text, 's'::text),
  'RAISE under C++ frames arrives whole');
SELECT is(destroyed(), 5::bigint, 'unwound too');
SELECT matches((SELECT context FROM diagnosed('SELECT run_sql(''SELECT raise_whole()'', 2)')),
  'PL/pgSQL function raise_whole\(\) line 3 at RAISE.*SQL statement "SELECT raise_whole\(\)".*PL/pgSQL function diagnosed',
  'with the CONTEXT from the inside out');
SELECT destroyed();
SELECT row_eq($$SELECT state, message, detail FROM diagnosed(
    'SELECT run_sql(''SELECT run_sql(''''SELECT raise_whole()'''', 3)'', 4)')$$,
  ROW('RC001'::text, 'the message'::text, 'the detail'::text), 'guards nest');
SELECT is(destroyed(), 7::bigint, 'and all frames of both are unwound');
SELECT row_eq($$SELECT state, message, hint FROM diagnosed(
    'SELECT run_sql(''SELECT throw_core(''''22023'''', ''''m'''', ''''d'''', ''''h'''')'', 4)')$$,
  ROW('22023'::text, 'm'::text, 'h'::text), 'core::Error through a second C++ function');
SELECT destroyed();
SELECT throws_ok('SELECT palloc_too_much()', '53200', 'out of memory', 'palloc out of memory');
SELECT is(destroyed(), 1::bigint, 'unwinds');
SELECT throws_ok('SELECT invalid_text()', '22021', 'invalid byte sequence for encoding "UTF8": 0xc3 0x28',
  'an argument that is no text of this encoding');
SELECT is(throw_through_guard(), 'still here', 'a C++ exception may leave a guard');

-- Caught and gone on
SELECT is(catch_error('SELECT 1 / 0'), '22012|division by zero|||on with 2', 'caught in a subtransaction, and on');
SELECT is(catch_error('SELECT raise_whole()'), 'RC001|the message|the detail|the hint|on with 2',
  'the caught error outlives its subtransaction');
SELECT is(catch_error('SELECT 1'), 'no error|on with 2', 'nothing to catch');
CREATE TEMPORARY TABLE written (a int);
SELECT is(catch_error('INSERT INTO written VALUES (1) RETURNING a::text'), 'no error|on with 2', 'a write in a subtransaction');
SELECT is(catch_error('WITH i AS (INSERT INTO written VALUES (2) RETURNING a) SELECT 1 / (a - a) FROM i'),
  '22012|division by zero|||on with 2', 'a write that fails');
SELECT results_eq('SELECT a FROM written', ARRAY[1], 'the first stays, the second is rolled back');
SELECT is(rows_of_rolled_back(), repeat('lost, given up 7 ', 3), 'rows of a rolled back subtransaction are not freed twice');
SELECT throws_ok('SELECT wrong_spi()', 'XX000', 'an outer SPI connection was used while an inner one is open',
  'an outer Spi under an open inner one');
SELECT is(catch_many('SELECT 1 / 0', 1000), 1000, 'a thousand errors caught in one transaction');
SELECT is((SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'pg_reconcile error'), 0::bigint, 'keep no memory');
SELECT throws_ok('SELECT swallow()', 'XX000', 'a database error was caught outside a subtransaction and ignored',
  'an error that is swallowed is an error');

-- Cursors: a portal may go before its holder does.
SELECT is(cursor_closed('SELECT 1'), 'on', 'a cursor that is closed by its end');
SELECT is(cursor_closed('CLOSE ALL'), 'on', 'a cursor that something else has closed');
SELECT is(cursor_read_on('SELECT 1'), '8192', 'a cursor is read on');
SELECT throws_ok($$SELECT cursor_read_on('CLOSE ALL')$$, '34000', 'the query that was being read has been closed',
  'one that is closed is not');
SELECT is(cursor_rolled_back(), 'given up, on', 'a cursor of a subtransaction that was rolled back');
SELECT destroyed();
SELECT throws_ok('SELECT cursor_pinned()', 'XX000', 'a database error was caught outside a subtransaction and ignored',
  'a cursor that cannot be closed raises at the entry point');
SELECT is(destroyed(), 1::bigint, 'and not in its destructor: every frame is unwound');

-- Cancel
SELECT destroyed();
CREATE TEMPORARY TABLE timing (name text, started timestamptz, ended timestamptz, state text);
SET LOCAL statement_timeout = '200ms';
DO $$
DECLARE started timestamptz := clock_timestamp();
BEGIN
  PERFORM loop_forever();
EXCEPTION WHEN query_canceled THEN
  INSERT INTO timing VALUES ('timeout', started, clock_timestamp(), SQLSTATE);
END $$;
SET LOCAL statement_timeout = 0;
SELECT cmp_ok((SELECT ended - started FROM timing WHERE name = 'timeout'), '<', interval '300 ms',
  'statement_timeout answers within 100 ms in a C++ loop');
SELECT is(destroyed(), 1::bigint, 'and unwinds it');

SELECT lives_ok(format($$SELECT dblink_connect('other', 'host=%s port=%s dbname=%s')$$,
  current_setting('unix_socket_directories'), current_setting('port'), current_database()), 'given another session');
DO $$
DECLARE
  pid int;
  started timestamptz;
BEGIN
  SELECT p INTO pid FROM dblink('other', 'SELECT pg_backend_pid()') AS t(p int);
  PERFORM dblink_send_query('other', 'SELECT loop_forever()');
  FOR i IN 1 .. 500 LOOP
    EXIT WHEN EXISTS (SELECT FROM pg_stat_get_activity(pid) WHERE state = 'active' AND query LIKE '%loop_forever%');
    PERFORM pg_sleep(0.01);
  END LOOP;
  started := clock_timestamp();
  PERFORM pg_cancel_backend(pid);
  BEGIN
    PERFORM * FROM dblink_get_result('other') AS t(a text);
  EXCEPTION WHEN query_canceled THEN
    INSERT INTO timing VALUES ('cancel', started, clock_timestamp(), SQLSTATE);
  END;
END $$;
SELECT cmp_ok((SELECT ended - started FROM timing WHERE name = 'cancel'), '<', interval '100 ms',
  'when it loops and is cancelled, it answers within 100 ms');

SELECT * FROM finish();
ROLLBACK;
