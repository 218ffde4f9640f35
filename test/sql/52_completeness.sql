-- What a run waits for, in its words: statements that are missing or do not agree with themselves, streams that have not
-- passed the day's end and the grace, the day before, the day's own end; and which of these a calendar, an account, a
-- waiver or another channel's source does away with.
BEGIN;
SET client_min_messages = warning;
SELECT plan(79);

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
-- A Monday well in the past, so that calendars can be told apart.
SELECT date_trunc('week', current_date - 20)::date AS mon \gset
SELECT :'mon'::date + 1 AS tue, :'mon'::date + 4 AS fri, :'mon'::date + 5 AS sat, :'mon'::date + 7 AS mon2 \gset
SELECT reconcile.create_channel('pay', 'Asia/Shanghai', 'CNY', '-01:00', account => 'a', late_commit_grace => '10 minutes', first_date => current_date - 60);
SELECT reconcile.create_account('pay', 'b');
SELECT reconcile.create_channel('other', 'UTC', 'CNY', account => 'a');
CREATE FUNCTION pg_temp.waits(p_day date, p_account text DEFAULT 'a') RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(array_to_string(reconcile.waiting_for('pay', p_account, 'internal-trade', 'internal', 'trade', p_day), '; '), 'for nothing') $$;
CREATE FUNCTION pg_temp.statement(p_day date, p_state text, p_account text DEFAULT 'a', p_book text DEFAULT 'trade', p_channel text DEFAULT 'pay') RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO reconcile.statement (channel, account, book, business_date, state, file_name)
  VALUES (p_channel, p_account, p_book, p_day, p_state, CASE WHEN p_state <> 'waived' THEN 'bill-' || p_state || '.csv' END) RETURNING statement_id $$;

-- ---- expected statements
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'what expects nothing waits for nothing');
INSERT INTO reconcile.expected_statement (channel, book, valid_from, valid_to) VALUES ('pay', 'trade', :'mon', :'fri');
SELECT is(pg_temp.waits(:'mon'::date - 1), 'for nothing', 'before the first day that needs a statement');
SELECT is(pg_temp.waits(:'mon'), format('the trade statement of %s', :'mon'), 'the first day that needs one');
SELECT is(pg_temp.waits(:'fri'), format('the trade statement of %s', :'fri'), 'the last');
SELECT is(pg_temp.waits(:'sat'), 'for nothing', 'the day after');
SELECT is(pg_temp.waits(:'mon', 'b'), format('the trade statement of %s', :'mon'), 'every account of the channel needs its own');
SELECT is((SELECT r.state || ': ' || r.waiting_for FROM reconcile.run('pay', :'mon', 'a') r), format('waiting: the trade statement of %s', :'mon'), 'the run says so');
SELECT pg_temp.statement(:'mon', 'rejected'), pg_temp.statement(:'mon', 'loading'), pg_temp.statement(:'mon', 'superseded'), pg_temp.statement(:'tue', 'accepted'),
       pg_temp.statement(:'mon', 'accepted', p_book => 'fund'), pg_temp.statement(:'mon', 'accepted', p_account => 'b'), pg_temp.statement(:'mon', 'accepted', p_channel => 'other') \g /dev/null
SELECT is(pg_temp.waits(:'mon'), format('the trade statement of %s', :'mon'), 'rejected, loading or superseded ones are none, nor those of another day, book, account or channel');
SELECT is(pg_temp.waits(:'mon', 'b'), 'for nothing', 'the account that has it waits no more');
SELECT is(pg_temp.waits(:'tue'), 'for nothing', 'an accepted statement is one');
SELECT lives_ok(format('SELECT reconcile.waive_statement(''pay'', ''a'', ''trade'', %L, ''bank holiday'')', :'mon'), 'a waiver');
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'is as good');
INSERT INTO reconcile.expected_statement (channel, account, book, valid_from) VALUES ('pay', 'a', 'internal', :'mon'), ('pay', 'a', 'fund', :'mon'), ('other', NULL, 'trade', :'mon');
SELECT is(pg_temp.waits(:'mon'), format('the internal statement of %s', :'mon'), 'either book of the leg counts, and no other; nor does another channel');
SELECT is(pg_temp.waits(:'mon', 'b'), 'for nothing', 'an expectation of one account binds no other');
SELECT is(pg_temp.statement(:'mon', 'accepted', NULL, 'internal') > 0, true, 'a statement of the whole channel');
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'serves every account');
DELETE FROM reconcile.expected_statement;

-- ---- calendars
SELECT is(reconcile.is_open_day(NULL, :'sat'), true, 'without a calendar every day is open');
INSERT INTO reconcile.calendar VALUES ('cn', '{6,7}'), ('never', '{1,2,3,4,5,6,7}');
INSERT INTO reconcile.calendar_day VALUES ('cn', :'fri', false, 'holiday'), ('cn', :'sat', true, 'worked instead');
INSERT INTO reconcile.expected_statement (channel, book, calendar, valid_from) VALUES ('pay', 'trade', 'cn', :'mon');
SELECT is((SELECT string_agg(CASE WHEN pg_temp.waits(:'mon'::date + n, 'b') = 'for nothing' THEN 'no' ELSE 'yes' END, ' ' ORDER BY n) FROM generate_series(1, 7) n),
  'yes yes yes no yes no yes', 'statements come on banking days: not on a holiday, yes on a worked Saturday, not on Sunday');
SELECT is(reconcile.next_due_date(:'mon', 0, 'cn'), :'mon', 'no lag');
SELECT is(reconcile.next_due_date(:'mon', 3, 'cn'), :'mon'::date + 3, 'three banking days');
SELECT is(reconcile.next_due_date(:'mon', 4, 'cn'), :'sat', 'the fourth is the worked Saturday');
SELECT is(reconcile.next_due_date(:'mon', 5, 'cn'), :'mon2', 'then Monday');
SELECT is(reconcile.next_due_date(:'mon', 5, NULL), :'sat', 'without a calendar days are counted');
SELECT is(pg_temp.refusal(format('SELECT reconcile.next_due_date(%L, 1, ''nc'')', :'mon')),
  '42704 | calendar "nc" does not exist | Calendars are rows of reconcile.calendar and reconcile.calendar_day.', 'a calendar that does not exist');
SELECT is(pg_temp.refusal(format('SELECT reconcile.next_due_date(%L, 0, ''nc'')', :'mon')),
  '42704 | calendar "nc" does not exist | Calendars are rows of reconcile.calendar and reconcile.calendar_day.', 'also where nothing is counted');
SELECT is(pg_temp.refusal(format('SELECT reconcile.next_due_date(%L, 1, ''never'')', :'mon')),
  format('54000 | calendar "never" has no banking day in ten years after %s | Add its banking days to reconcile.calendar_day, or mend its weekend in reconcile.calendar.', :'mon'), 'one without an open day');
SELECT matches(pg_temp.refusal($$UPDATE reconcile.leg SET calendar = 'nc'$$), '^23503 .*\(calendar\)=\(nc\) is not present', 'a leg can''t be given one that does not exist');
SELECT matches(pg_temp.refusal($$UPDATE reconcile.expected_statement SET calendar = 'nc'$$), '^23503 .*\(calendar\)=\(nc\) is not present', 'nor an expectation');
SELECT matches(pg_temp.refusal($$SELECT reconcile.create_file_source('f', 'pay', 'generic.csv', NULL, account => 'a', options => '{"expected": true, "calendar": "nc"}')$$),
  '^42704 \| calendar "nc" does not exist', 'nor a file source');
SELECT matches(pg_temp.refusal($$DELETE FROM reconcile.calendar WHERE calendar = 'cn'$$), '^23503', 'one that is used stays');
-- the calendar of a leg moves due dates
UPDATE reconcile.leg SET calendar = 'cn', lags = '{"left": {"payment": 1}, "right": {}}' WHERE channel = 'pay';
SELECT is(reconcile.item_due_date(l.lags, 'left', 'payment', :'mon'::date + 3, NULL, l.edge_window, l.calendar, 'Asia/Shanghai', '-01:00'), :'sat', 'Thursday''s payment is due after the holiday')
FROM reconcile.leg l WHERE l.channel = 'pay';
SELECT is(reconcile.item_due_date(l.lags, 'right', 'payment', :'mon', (:'mon' || ' 22:55+08')::timestamptz, l.edge_window, l.calendar, 'Asia/Shanghai', '-01:00'), :'tue', 'near the day''s end a day is given')
FROM reconcile.leg l WHERE l.channel = 'pay';
SELECT is(reconcile.item_due_date(l.lags, 'right', 'payment', :'mon', (:'mon' || ' 22:45+08')::timestamptz, l.edge_window, l.calendar, 'Asia/Shanghai', '-01:00'), :'mon', 'not earlier')
FROM reconcile.leg l WHERE l.channel = 'pay';
DELETE FROM reconcile.expected_statement;
UPDATE reconcile.leg SET calendar = NULL;

-- ---- control totals
SELECT pg_temp.statement(:'fri', 'control_mismatch') AS wrong \gset
SELECT is(pg_temp.waits(:'fri'), format('trade statement "bill-control_mismatch.csv" (id %s), whose control totals do not agree', :'wrong'), 'a statement that does not agree with itself, expected or not');
SELECT is(pg_temp.waits(:'fri', 'b'), 'for nothing', 'of this account');
INSERT INTO reconcile.expected_statement (channel, book, valid_from) VALUES ('pay', 'trade', :'fri');
SELECT is(pg_temp.waits(:'fri'), format('trade statement "bill-control_mismatch.csv" (id %s), whose control totals do not agree', :'wrong'), 'it is said once: that it is in, and wrong');
UPDATE reconcile.statement SET state = 'accepted' WHERE statement_id = :wrong;
SELECT is(pg_temp.waits(:'fri'), 'for nothing', 'accepted, it is waited for no more');
DELETE FROM reconcile.expected_statement;

-- ---- streams
INSERT INTO reconcile.source (source_id, name, kind, book, server, publication, relation, mapping) VALUES (50, 'shop', 'replication', 'internal', 's', 'p', 't', '{}');
SELECT is(pg_temp.waits(:'mon'), format('source "shop" to pass %s 23:10:00 (it stands at its start)', :'mon'), 'a stream that has not begun: the day ends at 23:00 in Shanghai, and commits have ten minutes');
INSERT INTO reconcile.source_position (source_id, position, source_time) VALUES (50, '0/1', (:'mon' || ' 23:09:59.999+08')::timestamptz);
SELECT is(pg_temp.waits(:'mon'), format('source "shop" to pass %s 23:10:00 (it stands at %s 23:09:59)', :'mon', :'mon'), 'a moment before');
UPDATE reconcile.source_position SET source_time = (:'mon' || ' 23:10:00+08')::timestamptz;
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'the grace has passed');
SELECT is(pg_temp.waits(:'tue'), format('source "shop" to pass %s 23:10:00 (it stands at %s 23:10:00)', :'tue', :'mon'), 'the next day''s has not');
UPDATE reconcile.channel SET late_commit_grace = '0' WHERE channel = 'pay';
UPDATE reconcile.source_position SET source_time = (:'tue' || ' 23:00:00+08')::timestamptz;
SELECT is(pg_temp.waits(:'tue'), 'for nothing', 'the grace is the channel''s');
UPDATE reconcile.source_position SET source_time = NULL;
SELECT is(pg_temp.waits(:'mon'), format('source "shop" to pass %s 23:00:00 (it stands at its start)', :'mon'), 'a position without a time says nothing');
UPDATE reconcile.source SET enabled = false WHERE source_id = 50;
SELECT isnt(pg_temp.waits(:'mon'), 'for nothing', 'a paused source is waited for');
UPDATE reconcile.source SET channels = '{other}' WHERE source_id = 50;
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'not one that cannot feed the channel');
UPDATE reconcile.source SET channels = '{other,pay}' WHERE source_id = 50;
SELECT isnt(pg_temp.waits(:'mon'), 'for nothing', 'but one that may');
UPDATE reconcile.source SET account = 'b' WHERE source_id = 50;
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'not one of another account');
SELECT isnt(pg_temp.waits(:'mon', 'b'), 'for nothing', 'which waits');
UPDATE reconcile.source SET account = NULL, book = 'fund' WHERE source_id = 50;
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'not one of a book outside the leg');
UPDATE reconcile.source SET book = 'trade' WHERE source_id = 50;
SELECT isnt(pg_temp.waits(:'mon'), 'for nothing', 'the right book may stream too');
UPDATE reconcile.source SET dropped_at = now() WHERE source_id = 50;
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'a dropped source is forgotten');
INSERT INTO reconcile.source (source_id, name, kind, book) VALUES (51, 'files', 'file', 'internal'), (52, 'by hand', 'manual', 'internal');
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'files and hands have no time to pass');

-- ---- quarantine: rows that may be of the day
INSERT INTO reconcile.source (source_id, name, kind, book, server, publication, relation, mapping) VALUES (60, 'till', 'replication', 'internal', 's', 'p', 't', '{}');
INSERT INTO reconcile.source_position (source_id, position, source_time) VALUES (60, '0/1', now());
CREATE FUNCTION pg_temp.set_aside(p_committed timestamptz, p_stage text DEFAULT 'mapping', p_created timestamptz DEFAULT now()) RETURNS void LANGUAGE sql AS $$
  INSERT INTO reconcile.source_error (source_id, position, relation, operation, reason, stage, committed_at, created_at) VALUES (60, '0/1', 't', 'insert', 'r', p_stage, p_committed, p_created) $$;
CREATE FUNCTION pg_temp.day_waits() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(CASE pg_temp.waits(date_trunc('week', current_date - 20)::date + n) WHEN 'for nothing' THEN 'no' ELSE 'yes' END, ' ' ORDER BY n) FROM generate_series(0, 3) n $$;
SELECT pg_temp.set_aside((:'tue' || ' 12:00+08')::timestamptz);
SELECT is(pg_temp.waits(:'tue'), 'a row of source "till" in quarantine (reconcile.source_error)', 'a row that no entry could be made of');
SELECT is(pg_temp.day_waits(), 'no yes no no', 'is waited for by the day that it was committed on');
SELECT pg_temp.set_aside((:'tue' || ' 13:00+08')::timestamptz);
SELECT is(pg_temp.waits(:'tue'), '2 rows of source "till" in quarantine (reconcile.source_error)', 'two');
UPDATE reconcile.source_error SET settled_at = now();
SELECT is(pg_temp.day_waits(), 'no no no no', 'settled, they are waited for no more');
SELECT pg_temp.set_aside((:'mon' || ' 23:00+08')::timestamptz);
SELECT is(pg_temp.day_waits(), 'no yes no no', 'the day begins at 23:00');
UPDATE reconcile.channel SET late_commit_grace = '10 minutes' WHERE channel = 'pay';
SELECT is(pg_temp.day_waits(), 'yes yes no no', 'and what was committed within the grace may be of the day before');
DELETE FROM reconcile.source_error;
SELECT pg_temp.set_aside((:'tue' || ' 12:00+08')::timestamptz, 'placing');
SELECT is(pg_temp.day_waits(), 'no no no no', 'a row that no account or day takes is of no run');
SELECT pg_temp.set_aside(NULL, p_created => (:'tue' || ' 12:00+08')::timestamptz);
SELECT is(pg_temp.day_waits(), 'yes yes no no', 'a row of the initial copy may be of any day before');
UPDATE reconcile.source SET channels = '{other}' WHERE source_id = 60;
SELECT is(pg_temp.day_waits(), 'no no no no', 'not of a channel that its source cannot feed');
UPDATE reconcile.source SET channels = NULL, account = 'b' WHERE source_id = 60;
SELECT is(pg_temp.day_waits(), 'no no no no', 'nor of another account');
UPDATE reconcile.source SET account = NULL, book = 'fund' WHERE source_id = 60;
SELECT is(pg_temp.day_waits(), 'no no no no', 'nor of a book outside the leg');
UPDATE reconcile.source SET book = 'internal' WHERE source_id = 60;
SELECT is((SELECT r.state || ': ' || r.waiting_for FROM reconcile.run('pay', :'mon', 'a') r), 'waiting: a row of source "till" in quarantine (reconcile.source_error)', 'the run says so');
SET ROLE reconcile_admin;
SELECT lives_ok('UPDATE reconcile.source_error SET settled_at = now()', 'an administrator may settle it');
RESET ROLE;
SELECT is(pg_temp.day_waits(), 'no no no no', 'and the day runs');
UPDATE reconcile.source SET dropped_at = now() WHERE source_id = 60;
UPDATE reconcile.channel SET late_commit_grace = '0' WHERE channel = 'pay';

-- ---- order and the day's own end
INSERT INTO reconcile.run (channel, account, leg, business_date, state, method, current) VALUES ('pay', 'a', 'internal-trade', :'mon', 'succeeded', 'batch', true);
SELECT is(pg_temp.waits(:'mon'), 'for nothing', 'a day that has been run');
SELECT is(pg_temp.waits(:'tue'), 'for nothing', 'the day after it');
SELECT is(pg_temp.waits(:'tue'::date + 1), format('the run of %s, which comes first', :'tue'), 'days go in order');
SELECT is(pg_temp.waits(:'mon2'), format('the run of %s, which comes first', :'tue'), 'the first that is missing is named');
SELECT is(pg_temp.waits(:'mon'::date - 1), 'for nothing', 'an earlier day may run at any time');
SELECT is(pg_temp.waits(:'mon2', 'b'), 'for nothing', 'accounts have their own order');
DELETE FROM reconcile.run;
SELECT ((now() AT TIME ZONE 'Asia/Shanghai') + interval '1 hour')::date AS today \gset
SELECT is(pg_temp.waits(:'today'), format('the day''s end, %s 23:00', :'today'), 'a day that is not over');
SELECT is(pg_temp.waits(:'today'::date - 1), 'for nothing', 'yesterday is');

-- ---- everything at once, in a fixed order
INSERT INTO reconcile.source (source_id, name, kind, book, server, publication, relation, mapping)
VALUES (53, 'a shop', 'replication', 'internal', 's', 'p', 't', '{}'), (54, 'b shop', 'replication', 'internal', 's', 'p', 't', '{}');
INSERT INTO reconcile.expected_statement (channel, book, valid_from) VALUES ('pay', 'trade', :'mon'), ('pay', 'internal', :'mon');
INSERT INTO reconcile.run (channel, account, leg, business_date, state, method, current) VALUES ('pay', 'a', 'internal-trade', :'mon', 'succeeded', 'batch', true);
SELECT is(pg_temp.waits(:'mon2'), format('the run of %1$s, which comes first; the internal statement of %2$s; the trade statement of %2$s; source "a shop" to pass %2$s 23:00:00 (it stands at its start); '
  'source "b shop" to pass %2$s 23:00:00 (it stands at its start)', :'tue', :'mon2'), 'all of it is said');
SELECT is((SELECT r.waiting_for FROM reconcile.run('pay', :'mon2', 'a') r), pg_temp.waits(:'mon2'), 'by the run too');
SELECT is((SELECT r.state || ' ' || r.forced || ' ' || (r.waiting_for = pg_temp.waits(:'mon2')) FROM reconcile.run('pay', :'mon2', 'a', force => true) r), 'succeeded true true', 'force runs, and all of it is on record');

-- ---- who may ask
CREATE ROLE test_completeness;
GRANT reconcile_reader TO test_completeness;
INSERT INTO reconcile.access (member, channel, account) VALUES ('test_completeness', 'pay', 'b');
SET SESSION AUTHORIZATION test_completeness;
SELECT matches(pg_temp.refusal($$SELECT reconcile.waiting_for('pay', 'a', 'internal-trade', 'internal', 'trade', current_date)$$), '^42501', 'what an account waits for is not everybody''s');
SELECT lives_ok($$SELECT reconcile.waiting_for('pay', 'b', 'internal-trade', 'internal', 'trade', current_date)$$, 'but its own readers''');
RESET SESSION AUTHORIZATION;
SELECT * FROM finish();
ROLLBACK;
