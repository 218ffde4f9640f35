-- What a run says of entries that agree in amount and yet are not right: fees in two currencies, orders that were
-- refunded more than paid, keys stored twice; and the decimals that amounts are shown with.
BEGIN;
SET client_min_messages = warning;
SELECT plan(49);

SELECT current_date - 10 AS d, current_date - 9 AS d1, current_date - 8 AS d2, current_date - 7 AS d3 \gset
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a', first_date => current_date - 100);
SELECT reconcile.create_account('pay', 'b');

CREATE FUNCTION pg_temp.entry(p_book text, p_key text, p_amount numeric, p_day date, p_kind text DEFAULT 'payment', p_order text DEFAULT NULL,
                              p_fee numeric DEFAULT NULL, p_settled text DEFAULT NULL, p_currency text DEFAULT 'CNY', p_account text DEFAULT 'a')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM reconcile.ensure_month(p_day, p_book);
  INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, channel_ref, amount, currency, fee, settlement_currency,
                               status, effective, occurred_at, business_date, recon_date, source_id, source_key)
  VALUES ('pay', p_account, p_book, p_kind, coalesce(p_order, p_key), p_key, 't' || p_key, p_amount, p_currency, p_fee, p_settled,
          'success', true, p_day + interval '10 hours', p_day, p_day, CASE p_book WHEN 'internal' THEN 1 ELSE 2 END, p_key);
END
$$;
CREATE FUNCTION pg_temp.both(p_key text, p_amount numeric, p_day date, p_kind text DEFAULT 'payment', p_order text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  SELECT pg_temp.entry('internal', p_key, p_amount, p_day, p_kind, p_order), pg_temp.entry('trade', p_key, p_amount, p_day, p_kind, p_order)
$$;
CREATE FUNCTION pg_temp.run(p_day date, p_account text DEFAULT 'a') RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', r.business_date - current_date, r.state, r.discrepancies_open, r.proof_difference, r.failure), '; ' ORDER BY r.business_date)
  FROM reconcile.run('pay', p_day, p_account) r
  -- In one transaction every change is new to every run: the days before run again too.
  WHERE r.business_date >= p_day
$$;
CREATE FUNCTION pg_temp.found(p_item text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', d.kind, d.difference, d.left_amount, d.left_currency, d.right_amount, d.right_currency, d.state), '; ' ORDER BY d.discrepancy_id)
  FROM reconcile.discrepancy d WHERE d.item_key = p_item
$$;

-- ---- fees are compared in their own currency
SELECT pg_temp.entry('internal', 'one', 100, :'d', p_fee => 0.60, p_settled => 'USD'), pg_temp.entry('trade', 'one', 100, :'d', p_fee => 0.65, p_settled => 'USD'),
       pg_temp.entry('internal', 'two', 100, :'d', p_fee => 0.60), pg_temp.entry('trade', 'two', 100, :'d', p_fee => 0.09, p_settled => 'USD'),
       pg_temp.entry('internal', 'same', 100, :'d', p_fee => 0.60), pg_temp.entry('trade', 'same', 100, :'d', p_fee => 0.61, p_settled => 'CNY');
SELECT is(pg_temp.run(:'d'), '-10 succeeded 2 0.00', 'given fees in two currencies, the day is proved');
SELECT is(pg_temp.found('one'), 'fee_mismatch -0.05 0.60 USD 0.65 USD open', 'a fee mismatch is in the settlement currency');
SELECT is(pg_temp.found('two'), NULL, 'fees in two currencies are no mismatch');
SELECT is(pg_temp.found('same'), 'fee_mismatch -0.01 0.60 CNY 0.61 CNY open', 'where no settlement currency is stated it is the amount''s');
SELECT is((SELECT string_agg(l ->> 'currency' || ': ' || (l ->> 'terms'), '; ' ORDER BY l ->> 'currency') FROM reconcile.run r, jsonb_array_elements(r.proof) l
           WHERE r.current AND l ->> 'line' = 'fee'),
  'CNY: left fees 0.60 - right fees 0.61 = fee discrepancies -0.01; not compared, as the right book states them in another currency: fees of 1 pairs; '
  'USD: left fees 0.60 - right fees 0.65 = fee discrepancies -0.05', 'fees are proved per settlement currency, and what is not compared is said');
SELECT is((SELECT string_agg(currency || ' ' || fee_difference, ', ' ORDER BY currency) FROM reconcile.run_total), 'CNY -0.01, USD -0.05', 'and summed so');
-- carried in: the settlement currency comes with the open item
SELECT pg_temp.entry('internal', 'late', 10, :'d', p_fee => 0.06, p_settled => 'USD');
SELECT is(pg_temp.run(:'d'), '-10 succeeded 2 0.00', 'given an entry in transit');
SELECT pg_temp.entry('trade', 'late', 10, :'d1', p_fee => 0.06);
SELECT is(pg_temp.run(:'d1'), '-9 succeeded 2 0.00', 'when its counterpart comes');
SELECT is(pg_temp.found('late'), NULL, 'fees of a carried entry keep their currency');

-- ---- decimals
SELECT pg_temp.entry('trade', 'five', 5, :'d'), pg_temp.entry('trade', 'yen', 500, :'d', p_currency => 'JPY'),
       pg_temp.entry('trade', 'dinar', 1.5, :'d', p_currency => 'KWD'), pg_temp.entry('trade', 'fine', 1.2345, :'d');
SELECT is(pg_temp.run(:'d'), '-10 succeeded 6 0.00; -9 succeeded 6 0.00', 'given amounts with too few, and with more decimals');
SELECT is((SELECT string_agg(concat_ws(' ', item_key, difference, right_amount), ', ' ORDER BY item_key) FROM reconcile.open_discrepancy WHERE kind = 'missing_internal'),
  'dinar 1.500 1.500, fine 1.2345 1.2345, five 5.00 5.00, yen 500 500', 'a discrepancy shows its currency''s decimals, and no digit less than there is');
SELECT is((SELECT string_agg(currency || ' ' || right_in, ', ' ORDER BY currency) FROM reconcile.daily_summary WHERE business_date = :'d'),
  'CNY 306.2345, JPY 500, KWD 1.500, USD 0.00', 'and so do the day''s sums');
SELECT matches((SELECT explanation FROM reconcile.open_discrepancy WHERE item_key = 'yen'), 'over 500 JPY is in the trade book.*Surplus: 500 JPY', 'and words');
SELECT is(reconcile.amount_text(1.5, 'KWD') || ', ' || reconcile.amount_text(7, 'CNY') || ', ' || reconcile.amount_text(7.10, 'JPY') || ', ' || reconcile.amount_text(7, 'QQQ'),
  '1.500 KWD, 7.00 CNY, 7.1 JPY, 7.00 QQQ', 'amount_text');
SELECT is((SELECT array_agg(reconcile.minor_units(c)) FROM unnest(ARRAY['CNY', 'JPY', 'KWD', 'CLF', 'QQQ', 'cny', '']) c), '{2,0,3,4,NULL,NULL,NULL}', 'minor_units');
SELECT count(*) AS events FROM reconcile.discrepancy_event \gset
SELECT is(pg_temp.run(:'d'), '-10 succeeded 6 0.00; -9 succeeded 6 0.00', 'a re-run');
SELECT is((SELECT count(*) FROM reconcile.discrepancy_event), :events::bigint, 'sees no change in decimals');

-- ---- refunds beyond the payment
SELECT pg_temp.both('o1', 100, :'d'), pg_temp.both('o1/1', -60, :'d', 'refund', 'o1'), pg_temp.both('o1/2', -40, :'d1', 'refund', 'o1'),
       pg_temp.both('o2/1', -50, :'d', 'refund', 'o2');
SELECT is(pg_temp.run(:'d'), '-10 succeeded 6 0.00; -9 succeeded 6 0.00', 'refunds up to the payment, and of a payment from before go-live, are right');
SELECT pg_temp.both('o1/3', -30, :'d2', 'refund', 'o1');
SELECT is(pg_temp.run(:'d2'), '-8 succeeded 7 0.00', 'one refund more');
SELECT is(pg_temp.found('order:o1'), 'over_refund 0.00 -30.00 CNY -30.00 CNY open', 'is an over-refund: no difference between the books, and what the order lacks');
SELECT is((SELECT concat_ws(' ', d.left_entry ->> 'source_key', d.right_entry ->> 'source_key', d.entry_kind, d.opened_on - current_date) FROM reconcile.discrepancy d WHERE kind = 'over_refund'),
  'o1/3 o1/3 refund -8', 'with the refund that passed the payment');
SELECT is((SELECT explanation FROM reconcile.open_discrepancy WHERE kind = 'over_refund'), 'Order o1: 30.00 CNY more was refunded than was paid. Both books say so.', 'in words');
SELECT is((SELECT discrepancy FROM reconcile.run_total t JOIN reconcile.run r USING (run_id) WHERE r.current AND r.business_date = :'d2' AND currency = 'CNY'), 6.2345,
  'it is no part of the proof''s open discrepancies');
SELECT count(*) AS events FROM reconcile.discrepancy_event \gset
SELECT is(pg_temp.run(:'d'), '-10 succeeded 6 0.00; -9 succeeded 6 0.00; -8 succeeded 7 0.00', 'run again from the first day');
SELECT is((SELECT count(*) FROM reconcile.discrepancy_event), :events::bigint, 'nothing changes');
SELECT pg_temp.both('o1/4', -5, :'d3', 'refund', 'o1');
SELECT is(pg_temp.run(:'d3'), '-7 succeeded 7 0.00', 'a further refund');
SELECT is(pg_temp.found('order:o1'), 'over_refund 0.00 -35.00 CNY -35.00 CNY open', 'makes the same discrepancy more: one an order');
-- an approved adjustment settles it, and what comes after is new
SAVEPOINT unsettled;
INSERT INTO reconcile.adjustment (discrepancy_id, amount, currency, recon_date, state, reason_code, proposed_by, decided_by, decided_at)
SELECT discrepancy_id, 0, 'CNY', :'d2', 'approved', 'goodwill', 'm', 'c', now() FROM reconcile.discrepancy WHERE kind = 'over_refund';
SELECT is(pg_temp.run(:'d2'), '-8 succeeded 6 0.00; -7 succeeded 7 0.00', 'settled on the day of the third refund');
SELECT is(pg_temp.found('order:o1'), 'over_refund 0.00 -30.00 CNY -30.00 CNY resolved; over_refund 0.00 -5.00 CNY -5.00 CNY open', 'that much is settled; the fourth is a new one');
ROLLBACK TO unsettled;
-- a correction clears it
UPDATE reconcile.entry SET amount = 135 WHERE source_key = 'o1' AND tier = 0;
SELECT is(pg_temp.run(:'d'), '-10 succeeded 6 0.00; -9 succeeded 6 0.00; -8 succeeded 6 0.00; -7 succeeded 6 0.00', 'a payment that was larger');
SELECT is(pg_temp.found('order:o1'), 'over_refund 0.00 -35.00 CNY -35.00 CNY cleared', 'clears it');
UPDATE reconcile.entry SET amount = 100 WHERE source_key = 'o1' AND tier = 0;
SELECT is(pg_temp.run(:'d'), '-10 succeeded 6 0.00; -9 succeeded 6 0.00; -8 succeeded 7 0.00; -7 succeeded 7 0.00', 'and back');
-- what one book alone shows, and what is wrong with the refund itself, comes first
SELECT pg_temp.both('o3', 100, :'d3'), pg_temp.both('o3/1', -100, :'d3', 'refund', 'o3'), pg_temp.entry('trade', 'o3/2', -10, :'d3', 'refund', 'o3'),
       pg_temp.both('o4', 100, :'d3'), pg_temp.both('o4/1', -90, :'d3', 'refund', 'o4'),
       pg_temp.entry('internal', 'o4/2', -20, :'d3', 'refund', 'o4', 0.01), pg_temp.entry('trade', 'o4/2', -20, :'d3', 'refund', 'o4', 0.02);
SELECT is(pg_temp.run(:'d3'), '-7 succeeded 8 0.00', 'given a refund in one book, and one with a wrong fee');
SELECT is(pg_temp.found('order:o3'), NULL, 'a refund that one book alone has is no over-refund');
SELECT is(pg_temp.found('o4/2') || ' ' || coalesce(pg_temp.found('order:o4'), 'alone'), 'fee_mismatch -0.01 0.01 CNY 0.02 CNY open alone', 'a pair has one discrepancy, the fee''s first');
INSERT INTO reconcile.adjustment (discrepancy_id, amount, currency, recon_date, state, reason_code, proposed_by, decided_by, decided_at)
SELECT discrepancy_id, -0.01, 'CNY', :'d3', 'approved', 'fee', 'm', 'c', now() FROM reconcile.discrepancy WHERE item_key = 'o4/2';
SELECT is(pg_temp.run(:'d3'), '-7 succeeded 8 0.00', 'when the fee is settled');
SELECT is(pg_temp.found('order:o4'), 'over_refund 0.00 -10.00 CNY -10.00 CNY open', 'the over-refund is said');
-- the payment that the counterpart shows; another currency's payment says nothing
SELECT pg_temp.entry('trade', 'o5', 100, :'d3', p_order => 'o5'), pg_temp.both('o5/1', -110, :'d3', 'refund', 'o5'),
       pg_temp.entry('internal', 'o6', 100, :'d3', p_currency => 'USD'), pg_temp.entry('trade', 'o6', 100, :'d3', p_currency => 'USD'), pg_temp.both('o6/1', -700, :'d3', 'refund', 'o6');
SELECT is(pg_temp.run(:'d3'), '-7 succeeded 10 0.00', 'given a payment in one book, and a refund in another currency than its payment');
SELECT is(pg_temp.found('order:o5'), 'over_refund 0.00 -10.00 CNY -10.00 CNY open', 'the payment counts that either book shows');
SELECT is(pg_temp.found('order:o6'), NULL, 'currencies are not mixed');

-- ---- a key stored in two months
SELECT (date_trunc('month', current_date) - interval '20 days')::date AS last_month, (date_trunc('month', current_date) - interval '50 days')::date AS month_before \gset
SELECT pg_temp.entry('internal', 'twice', 1, :'month_before', p_account => 'b', p_order => 'x'), pg_temp.entry('internal', 'twice', 1, :'last_month', p_account => 'b', p_order => 'y'),
       pg_temp.entry('internal', 'good', 1, :'d', p_account => 'b');
INSERT INTO reconcile.source (source_id, name, kind, book) VALUES (1, 'shop', 'manual', 'internal');
SELECT is((SELECT state FROM reconcile.run('pay', :'month_before', 'b')), 'succeeded', 'given an open item');
CREATE FUNCTION pg_temp.twice(p_day date) RETURNS text LANGUAGE sql AS $$
  SELECT r.state || ' ' || (r.run_id IS NOT NULL) || ' ' || r.failure FROM reconcile.run('pay', p_day, 'b', force => true) r $$;
SELECT is(pg_temp.twice(:'last_month'),
  format('failed true source "shop" has two entries under the key "twice". Account "b" at channel "pay", internal book, business dates %s, %s. '
         'SELECT * FROM reconcile.verify() lists every such key. Remove the entry that the source does not have, then run the day again.', :'month_before', :'last_month'),
  'the run of the second fails in words, and does not raise');
SELECT is((SELECT count(*) FROM reconcile.run WHERE account = 'b' AND state = 'failed' AND failure LIKE 'source "shop" has two entries%'), 1::bigint, 'it is on record');
SELECT is((SELECT array_agg(source_key || business_date) FROM reconcile.open_item WHERE account = 'b'), ARRAY['twice' || :'month_before'], 'nothing is published');
DELETE FROM reconcile.entry WHERE source_key = 'twice' AND order_key = 'y' AND tier = 0;
SELECT is((SELECT r.state FROM reconcile.run('pay', :'last_month', 'b', force => true) r), 'succeeded', 'without the second entry it runs');
-- matched with what was carried, while another entry of the key is a stored match
SELECT pg_temp.entry('trade', 'x', 1, :'last_month', p_account => 'b', p_order => 'x'), pg_temp.entry('internal', 'twice', 1, :'last_month', p_account => 'b', p_order => 'y', p_fee => 1),
       pg_temp.entry('trade', 'y', 1, :'last_month', p_account => 'b', p_order => 'y', p_fee => 2);
UPDATE reconcile.entry SET match_key = order_key, channel_ref = NULL WHERE account = 'b' AND tier = 0;
SELECT is((SELECT string_agg(r.state, ' ') FROM reconcile.run('pay', :'month_before', 'b', force => true) r WHERE r.failure LIKE 'source "shop" has two entries%'), 'failed', 'the same of stored matches');
-- ---- a day that goes wrong altogether: what is left over costs what it is, not its square
SELECT reconcile.create_account('pay', 'c');
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, status, effective, occurred_at,
                             business_date, recon_date, source_id, source_key)
SELECT 'pay', 'c', b.book, 'payment', 'w' || i, 'w' || i, i + b.off, 'CNY', 'success', true, :'d'::date + interval '10 hours', :'d', :'d', b.source, 'w' || i
FROM generate_series(1, 30000) i, (VALUES ('internal', 0, 1), ('trade', 1, 2)) b (book, off, source)
WHERE b.book = 'internal' OR i % 3 = 0;
SET LOCAL statement_timeout = '60s';
SELECT is(pg_temp.run(:'d', 'c'), '-10 succeeded 10000 0.00', 'thousands of items in transit and pairs that differ');
SELECT is(pg_temp.run(:'d1', 'c'), '-9 succeeded 30000 0.00', 'and thousands that are due on the next day');
SET LOCAL statement_timeout = 0;
SELECT is((SELECT string_agg(kind || ' ' || n, ', ' ORDER BY kind) FROM (SELECT kind, count(*) AS n FROM reconcile.open_discrepancy WHERE account = 'c' GROUP BY kind) x),
  'amount_mismatch 10000, missing_trade 20000', 'are all told');
SELECT * FROM finish();
ROLLBACK;
