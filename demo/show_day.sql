-- What those who come in the morning see of a day. Variable: day.

\echo 'Summary (reconcile.daily_summary; yuan):'
SELECT s.channel, b.book, b.entries, b.opening, b.taken_in, b.matched, b.closing, b.in_transit, b.discrepancies,
       b.proof_difference, CASE WHEN b.book = 'shop' THEN s.state END AS state
FROM reconcile.daily_summary s,
     LATERAL (VALUES ('shop', left_in_count, left_opening, left_in, left_matched, left_closing,
                      NULL::numeric, NULL::numeric, NULL::numeric),
                     ('channel', right_in_count, right_opening, right_in, right_matched, right_closing,
                      in_transit, discrepancy_amount, proof_difference))
       b (book, entries, opening, taken_in, matched, closing, in_transit, discrepancies, proof_difference)
WHERE s.business_date = :'day'
ORDER BY s.channel, b.book DESC;

SELECT count(*) FILTER (WHERE state = 'waiting') > 0 AS waiting FROM reconcile.daily_summary WHERE business_date = :'day' \gset
\if :waiting
\echo 'Waiting:'
SELECT channel, state, reason FROM reconcile.daily_summary WHERE business_date = :'day' AND state = 'waiting' ORDER BY channel;
\endif

\echo 'In transit at the end of the day (no discrepancies: not yet due):'
SELECT channel, coalesce(match_key, source_key) AS order_no, book, amount, business_date, due_date
FROM reconcile.open_item
WHERE opened_on <= :'day' AND (closed_on IS NULL OR closed_on > :'day') AND due_date > :'day'
  AND NOT EXISTS (SELECT FROM reconcile.discrepancy d
                  WHERE d.channel = open_item.channel AND d.item_key = open_item.match_key AND d.opened_on <= :'day')
ORDER BY channel, order_no;

\echo 'Open discrepancies (reconcile.open_discrepancy):'
\pset tuples_only on
\pset format unaligned
SELECT format(E'  %s  %s  %s  %s\n      %s', rpad(channel, 8), rpad(kind, 16), order_key, lpad(to_char(difference, 'FM999,999,990.00'), 8), explanation)
FROM reconcile.open_discrepancy
WHERE opened_on <= :'day'
ORDER BY opened_on, channel, order_key;
