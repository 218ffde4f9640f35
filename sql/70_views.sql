-- What BI tools and people read. Row level security of the tables beneath holds: security_invoker.

CREATE VIEW reconcile.open_discrepancy WITH (security_invoker = true) AS
SELECT d.discrepancy_id, d.channel, d.account, d.leg, d.kind, d.entry_kind, d.item_key,
       coalesce(d.left_entry ->> 'order_key', d.right_entry ->> 'order_key') AS order_key,
       coalesce(d.right_entry ->> 'channel_ref', d.left_entry ->> 'channel_ref') AS channel_ref,
       d.difference, d.currency, d.left_amount, d.left_currency, d.right_amount, d.right_currency,
       d.business_date, d.opened_on, d.state, d.owner, d.scenario, d.severity, d.due_at,
       d.difference - coalesce(a.amount, 0) AS remaining,
       reconcile.discrepancy_in_words(d) AS explanation
FROM reconcile.discrepancy d
LEFT JOIN (SELECT x.discrepancy_id, sum(x.amount) AS amount FROM reconcile.adjustment x
           WHERE x.state = 'approved' GROUP BY x.discrepancy_id) a ON a.discrepancy_id = d.discrepancy_id
WHERE d.state NOT IN ('cleared', 'resolved', 'written_off');
COMMENT ON VIEW reconcile.open_discrepancy IS 'Differences that are due and not put right';
COMMENT ON COLUMN reconcile.open_discrepancy.discrepancy_id IS 'The discrepancy: reconcile.explain(discrepancy_id) tells more';
COMMENT ON COLUMN reconcile.open_discrepancy.channel IS 'The channel';
COMMENT ON COLUMN reconcile.open_discrepancy.account IS 'Our account at the channel';
COMMENT ON COLUMN reconcile.open_discrepancy.leg IS 'The two books that disagree';
COMMENT ON COLUMN reconcile.open_discrepancy.kind IS 'missing_<book>, duplicate_<book>, amount_mismatch ...';
COMMENT ON COLUMN reconcile.open_discrepancy.entry_kind IS 'payment, refund ...';
COMMENT ON COLUMN reconcile.open_discrepancy.item_key IS 'The match key, or the source key where there is none';
COMMENT ON COLUMN reconcile.open_discrepancy.order_key IS 'The original order''s number';
COMMENT ON COLUMN reconcile.open_discrepancy.channel_ref IS 'The channel''s own number';
COMMENT ON COLUMN reconcile.open_discrepancy.difference IS 'Right minus left: positive is to our advantage; NULL when the currencies differ';
COMMENT ON COLUMN reconcile.open_discrepancy.currency IS 'Currency of difference';
COMMENT ON COLUMN reconcile.open_discrepancy.left_amount IS 'Amount (or fee) in the left book';
COMMENT ON COLUMN reconcile.open_discrepancy.left_currency IS 'Its currency';
COMMENT ON COLUMN reconcile.open_discrepancy.right_amount IS 'Amount (or fee) in the right book';
COMMENT ON COLUMN reconcile.open_discrepancy.right_currency IS 'Its currency';
COMMENT ON COLUMN reconcile.open_discrepancy.business_date IS 'The earliest business date of its entries';
COMMENT ON COLUMN reconcile.open_discrepancy.opened_on IS 'The day whose run opened it';
COMMENT ON COLUMN reconcile.open_discrepancy.state IS 'How far it is on its way to being put right';
COMMENT ON COLUMN reconcile.open_discrepancy.owner IS 'Who looks after it';
COMMENT ON COLUMN reconcile.open_discrepancy.scenario IS 'The scenario that classification gave it';
COMMENT ON COLUMN reconcile.open_discrepancy.severity IS 'The severity that classification gave it';
COMMENT ON COLUMN reconcile.open_discrepancy.due_at IS 'When it should be put right';
COMMENT ON COLUMN reconcile.open_discrepancy.remaining IS 'What approved adjustments leave of the difference';
COMMENT ON COLUMN reconcile.open_discrepancy.explanation IS 'The discrepancy as a sentence';

CREATE VIEW reconcile.discrepancy_ageing WITH (security_invoker = true) AS
SELECT d.channel, d.account, d.leg, d.kind, d.currency,
       CASE WHEN age.days <= 1 THEN '0-1 days' WHEN age.days <= 3 THEN '2-3 days' WHEN age.days <= 7 THEN '4-7 days'
            WHEN age.days <= 30 THEN '8-30 days' ELSE 'over 30 days' END AS age,
       count(*) AS discrepancies,
       sum(d.difference) AS difference,
       sum(abs(d.difference)) AS open_value,
       min(d.business_date) AS oldest_business_date
FROM reconcile.discrepancy d
JOIN reconcile.channel c ON c.channel = d.channel
CROSS JOIN LATERAL (SELECT ((now() AT TIME ZONE c.time_zone) - c.day_start)::date - d.business_date AS days) age
WHERE d.state NOT IN ('cleared', 'resolved', 'written_off')
GROUP BY 1, 2, 3, 4, 5, 6;
COMMENT ON VIEW reconcile.discrepancy_ageing IS 'Open discrepancies by age, counted from their business date';
COMMENT ON COLUMN reconcile.discrepancy_ageing.channel IS 'The channel';
COMMENT ON COLUMN reconcile.discrepancy_ageing.account IS 'Our account at the channel';
COMMENT ON COLUMN reconcile.discrepancy_ageing.leg IS 'The leg';
COMMENT ON COLUMN reconcile.discrepancy_ageing.kind IS 'The discrepancy kind';
COMMENT ON COLUMN reconcile.discrepancy_ageing.currency IS 'The currency';
COMMENT ON COLUMN reconcile.discrepancy_ageing.age IS '0-1, 2-3, 4-7, 8-30 or over 30 days';
COMMENT ON COLUMN reconcile.discrepancy_ageing.discrepancies IS 'How many';
COMMENT ON COLUMN reconcile.discrepancy_ageing.difference IS 'Their differences, summed with sign';
COMMENT ON COLUMN reconcile.discrepancy_ageing.open_value IS 'Their differences, summed without sign';
COMMENT ON COLUMN reconcile.discrepancy_ageing.oldest_business_date IS 'The oldest business date among them';

CREATE VIEW reconcile.daily_summary WITH (security_invoker = true) AS
SELECT r.business_date, r.leg, r.channel, r.account, t.currency,
       t.left_opening, t.left_in, t.left_matched, t.left_adjusted, t.left_closing,
       t.right_opening, t.right_in, t.right_matched, t.right_adjusted, t.right_closing,
       t.left_in_count, t.right_in_count, t.left_matched_count, t.right_matched_count,
       t.left_closing_count, t.right_closing_count,
       t.residual, t.in_transit_count, t.in_transit, t.discrepancy AS discrepancy_amount, t.fee_difference,
       r.discrepancies_new, r.discrepancies_cleared, r.discrepancies_open,
       t.statement_difference, t.proof_difference,
       CASE WHEN a.signed_through >= r.business_date THEN 'signed off'
            WHEN r.state = 'waiting' THEN 'waiting'
            WHEN r.state = 'failed' THEN 'failed'
            WHEN r.forced THEN 'forced'
            ELSE 'reconciled' END AS state,
       CASE WHEN r.state = 'failed' THEN r.failure ELSE r.waiting_for END AS reason,
       r.run_id
FROM reconcile.run r
JOIN reconcile.account a ON a.channel = r.channel AND a.account = r.account
LEFT JOIN reconcile.run_total t ON t.run_id = r.run_id
WHERE r.current
   OR (NOT EXISTS (SELECT FROM reconcile.run c
                   WHERE c.channel = r.channel AND c.account = r.account AND c.leg = r.leg
                     AND c.business_date = r.business_date AND c.current)
       AND r.run_id = (SELECT max(n.run_id) FROM reconcile.run n
                       WHERE n.channel = r.channel AND n.account = r.account AND n.leg = r.leg
                         AND n.business_date = r.business_date));
COMMENT ON VIEW reconcile.daily_summary IS 'Every day of every leg, account and currency: what came in, what matched, what is left, and that it adds up';
COMMENT ON COLUMN reconcile.daily_summary.business_date IS 'The day';
COMMENT ON COLUMN reconcile.daily_summary.leg IS 'The leg: left book - right book';
COMMENT ON COLUMN reconcile.daily_summary.channel IS 'The channel';
COMMENT ON COLUMN reconcile.daily_summary.account IS 'Our account at the channel';
COMMENT ON COLUMN reconcile.daily_summary.currency IS 'The currency; NULL while the day waits';
COMMENT ON COLUMN reconcile.daily_summary.left_opening IS 'Left book: unmatched amount carried in';
COMMENT ON COLUMN reconcile.daily_summary.left_in IS 'Left book: effective amount taken in';
COMMENT ON COLUMN reconcile.daily_summary.left_matched IS 'Left book: amount closed by matches';
COMMENT ON COLUMN reconcile.daily_summary.left_adjusted IS 'Left book: amount closed by approved adjustments';
COMMENT ON COLUMN reconcile.daily_summary.left_closing IS 'Left book: amount still unmatched';
COMMENT ON COLUMN reconcile.daily_summary.right_opening IS 'Right book: unmatched amount carried in';
COMMENT ON COLUMN reconcile.daily_summary.right_in IS 'Right book: effective amount taken in';
COMMENT ON COLUMN reconcile.daily_summary.right_matched IS 'Right book: amount closed by matches';
COMMENT ON COLUMN reconcile.daily_summary.right_adjusted IS 'Right book: amount closed by approved adjustments';
COMMENT ON COLUMN reconcile.daily_summary.right_closing IS 'Right book: amount still unmatched';
COMMENT ON COLUMN reconcile.daily_summary.left_in_count IS 'Left book: effective entries taken in';
COMMENT ON COLUMN reconcile.daily_summary.right_in_count IS 'Right book: effective entries taken in';
COMMENT ON COLUMN reconcile.daily_summary.left_matched_count IS 'Left book: entries closed by matches';
COMMENT ON COLUMN reconcile.daily_summary.right_matched_count IS 'Right book: entries closed by matches';
COMMENT ON COLUMN reconcile.daily_summary.left_closing_count IS 'Left book: entries still unmatched';
COMMENT ON COLUMN reconcile.daily_summary.right_closing_count IS 'Right book: entries still unmatched';
COMMENT ON COLUMN reconcile.daily_summary.residual IS 'Differences accepted by the day''s matches';
COMMENT ON COLUMN reconcile.daily_summary.in_transit_count IS 'Unmatched entries not yet due';
COMMENT ON COLUMN reconcile.daily_summary.in_transit IS 'Their amount, right minus left';
COMMENT ON COLUMN reconcile.daily_summary.discrepancy_amount IS 'Amount of the entries in open discrepancies, right minus left';
COMMENT ON COLUMN reconcile.daily_summary.fee_difference IS 'Left fee minus right fee over matched pairs where both state one';
COMMENT ON COLUMN reconcile.daily_summary.discrepancies_new IS 'Discrepancies opened by the day (all currencies)';
COMMENT ON COLUMN reconcile.daily_summary.discrepancies_cleared IS 'Discrepancies cleared by the day (all currencies)';
COMMENT ON COLUMN reconcile.daily_summary.discrepancies_open IS 'Discrepancies open at the end of the day (all currencies)';
COMMENT ON COLUMN reconcile.daily_summary.statement_difference IS 'What the day''s statements say of themselves minus their entries';
COMMENT ON COLUMN reconcile.daily_summary.proof_difference IS 'What the proof leaves unexplained: 0 when the day adds up';
COMMENT ON COLUMN reconcile.daily_summary.state IS 'waiting, failed, forced, reconciled or signed off';
COMMENT ON COLUMN reconcile.daily_summary.reason IS 'What it waits for, why it failed, or what was missing when it was forced';
COMMENT ON COLUMN reconcile.daily_summary.run_id IS 'The run that the figures are of';

CREATE VIEW reconcile.run_history WITH (security_invoker = true) AS
SELECT r.run_id, r.channel, r.account, r.leg, r.business_date, r.state, r.current, r.method, r.forced, r.waiting_for,
       r.failure, r.requested_by, r.started_at, r.finished_at, r.finished_at - r.started_at AS duration,
       r.left_entries, r.right_entries, r.matched_pairs, r.matched_groups, r.in_transit, r.discrepancies_new,
       r.discrepancies_cleared, r.discrepancies_open, r.proof_difference, r.digest
FROM reconcile.run r;
COMMENT ON VIEW reconcile.run_history IS 'Every run, the newest result of a day marked current';
COMMENT ON COLUMN reconcile.run_history.run_id IS 'The run';
COMMENT ON COLUMN reconcile.run_history.channel IS 'The channel';
COMMENT ON COLUMN reconcile.run_history.account IS 'Our account at the channel';
COMMENT ON COLUMN reconcile.run_history.leg IS 'The leg';
COMMENT ON COLUMN reconcile.run_history.business_date IS 'The day';
COMMENT ON COLUMN reconcile.run_history.state IS 'waiting, waited (and has run since), succeeded or failed';
COMMENT ON COLUMN reconcile.run_history.current IS 'The run whose result stands for the day';
COMMENT ON COLUMN reconcile.run_history.method IS 'The method';
COMMENT ON COLUMN reconcile.run_history.forced IS 'Run although something was missing';
COMMENT ON COLUMN reconcile.run_history.waiting_for IS 'What was missing';
COMMENT ON COLUMN reconcile.run_history.failure IS 'The proof lines that do not hold';
COMMENT ON COLUMN reconcile.run_history.requested_by IS 'Who started it';
COMMENT ON COLUMN reconcile.run_history.started_at IS 'When it started';
COMMENT ON COLUMN reconcile.run_history.finished_at IS 'When it ended';
COMMENT ON COLUMN reconcile.run_history.duration IS 'How long it took';
COMMENT ON COLUMN reconcile.run_history.left_entries IS 'Effective entries of the left book';
COMMENT ON COLUMN reconcile.run_history.right_entries IS 'Effective entries of the right book';
COMMENT ON COLUMN reconcile.run_history.matched_pairs IS '1:1 matches';
COMMENT ON COLUMN reconcile.run_history.matched_groups IS 'Matches with more than two entries';
COMMENT ON COLUMN reconcile.run_history.in_transit IS 'Unmatched entries not yet due';
COMMENT ON COLUMN reconcile.run_history.discrepancies_new IS 'Discrepancies opened';
COMMENT ON COLUMN reconcile.run_history.discrepancies_cleared IS 'Discrepancies cleared';
COMMENT ON COLUMN reconcile.run_history.discrepancies_open IS 'Discrepancies open at the end of the day';
COMMENT ON COLUMN reconcile.run_history.proof_difference IS 'What the proof leaves unexplained';
COMMENT ON COLUMN reconcile.run_history.digest IS 'Digest of matches and discrepancies';

GRANT SELECT ON reconcile.open_discrepancy, reconcile.discrepancy_ageing, reconcile.daily_summary,
  reconcile.run_history TO reconcile_reader;
