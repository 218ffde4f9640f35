-- Says what is wrong with the outcome, a line each; nothing when all is as planted. Variable: payments.

SELECT format('%s: %s of %s, %s yuan, opened by the run of %s', CASE WHEN d.discrepancy_id IS NULL THEN 'planted and not found'
                                                        ELSE 'found and not planted' END,
              coalesce(e.kind, d.kind), coalesce(e.order_no, d.item_key), coalesce(e.difference, d.difference),
              coalesce(e.opened_on, d.opened_on))
FROM demo.expected e
FULL JOIN (SELECT * FROM reconcile.discrepancy WHERE state NOT IN ('cleared', 'resolved', 'written_off')) d
  ON d.channel = e.channel AND d.item_key = e.order_no AND d.kind = e.kind AND d.difference = e.difference
     AND d.business_date = e.business_date AND d.opened_on = e.opened_on
WHERE e.order_no IS NULL OR d.discrepancy_id IS NULL;

-- The view that people look at shows the same.
SELECT format('reconcile.open_discrepancy has %s rows for %s planted discrepancies', v.shown, e.planted)
FROM (SELECT count(*) AS shown FROM reconcile.open_discrepancy) v, (SELECT count(*) AS planted FROM demo.expected) e
WHERE v.shown <> e.planted;

-- A discrepancy that stands from day to day has a quiet history; its entries are kept with their exact amounts.
SELECT format('%s: event "%s" of run %s', d.item_key, e.event, e.run_id)
FROM reconcile.discrepancy_event e JOIN reconcile.discrepancy d USING (discrepancy_id) WHERE e.event <> 'opened';

SELECT format('%s: the discrepancy keeps %s entry amounts %s, %s', d.item_key, d.kind, d.left_entry ->> 'amount', d.right_entry ->> 'amount')
FROM reconcile.discrepancy d
WHERE scale((d.left_entry ->> 'amount')::numeric) <> 2 OR scale((d.right_entry ->> 'amount')::numeric) <> 2;

-- A run that stands for each channel and day, of enough payments, proved.
SELECT format('%s %s: no run stands for the day', c.channel, d.day)
FROM reconcile.channel c, LATERAL (SELECT c.first_date + n AS day FROM generate_series(0, 2) n) d
WHERE NOT EXISTS (SELECT FROM reconcile.run r
                  WHERE r.channel = c.channel AND r.business_date = d.day AND r.current AND r.state = 'succeeded');

SELECT format('%s %s: the run matched %s pairs of %s payments', r.channel, r.business_date, r.matched_pairs, :payments)
FROM reconcile.run r WHERE r.current AND r.matched_pairs < :payments;

SELECT format('%s %s: run %s failed: %s', r.channel, r.business_date, r.run_id, r.failure)
FROM reconcile.run r WHERE r.state = 'failed';

SELECT format('%s %s: proof difference %s', s.channel, s.business_date, s.proof_difference)
FROM reconcile.daily_summary s WHERE s.proof_difference IS DISTINCT FROM 0;

-- Nothing in transit at the end, nothing in quarantine, no job that broke.
SELECT format('%s %s: %s still in transit', o.channel, o.business_date, coalesce(o.match_key, o.source_key))
FROM reconcile.open_item o
WHERE o.closed_on IS NULL AND o.due_date > (SELECT max(first_date) + 2 FROM reconcile.channel);

SELECT format('statement %s, line %s: %s', e.statement_id, e.line, e.reason) FROM reconcile.statement_error e;

SELECT format('source %s at %s: %s', e.source_id, e.position, e.reason) FROM reconcile.source_error e;

SELECT format('pg_cron job of %s: %s', j.start_time, j.return_message)
FROM cron.job_run_details j WHERE j.status = 'failed';

SELECT 'pg_cron has not run the job' WHERE NOT EXISTS (SELECT FROM cron.job_run_details j WHERE j.status = 'succeeded');
