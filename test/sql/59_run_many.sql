-- Many discrepancies at once: published some at a time, as one history.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
SELECT plan(4);
\ir rules/world.sql
SELECT current_date - 10 AS d, current_date - 9 AS d1 \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a');
SELECT say('internal', 'first', '10', :'d') \g /dev/null
INSERT INTO reconcile.entry SELECT (jsonb_populate_record(e, jsonb_build_object('source_key', 'k' || n, 'order_key', 'k' || n, 'match_key', 'k' || n))).*
FROM reconcile.entry e, generate_series(1, 10001) n;
SELECT is((SELECT concat_ws(' ', r.state, r.in_transit) FROM reconcile.run('pay', :'d') r), 'succeeded 10002', 'many entries without a counterpart');
SELECT is((SELECT concat_ws(' ', r.state, r.discrepancies_new) FROM reconcile.run('pay', :'d1') r), 'succeeded 10002', 'are as many discrepancies when they are due');
SELECT is((SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE e.event = 'opened')) FROM reconcile.discrepancy d JOIN reconcile.discrepancy_event e USING (discrepancy_id)), '10002 10002', 'each with its event');
SELECT ok(v.ok, 'in one chain') FROM reconcile.verify() v WHERE v."check" = 'event chain';
SELECT * FROM finish();
