-- What must be true after every step, computed from reconcile.entry and the definition of the proof alone: nothing
-- here calls a function of the run, nor trusts a figure that it wrote.

-- Every effective entry of the leg's kinds up to the last run day, and where it went.
CREATE VIEW play.placed AS
SELECT e.channel, e.book, e.source_id, e.source_key, e.kind, e.amount, e.currency, e.fee, e.match_key, e.channel_ref,
       e.order_key, e.recon_date, to_jsonb(e) AS entry,
       o.source_key IS NOT NULL AS carried, o.opened_on, o.closed_on, o.closed_by, o.due_date, o.entry AS item_entry,
       m.group_id, m.entry AS match_entry, g.business_date AS group_day, g.differs,
       CASE WHEN m.group_id IS NOT NULL THEN 'stored'
            WHEN o.source_key IS NULL THEN 'derived'
            WHEN o.closed_by = 'adjustment' THEN 'adjusted'
            WHEN o.closed_on IS NULL THEN 'open' ELSE 'lost' END AS state,
       CASE WHEN m.group_id IS NOT NULL THEN g.business_date
            WHEN o.source_key IS NULL THEN e.recon_date
            ELSE o.closed_on END AS left_on
FROM reconcile.entry e
JOIN (SELECT r.channel, max(r.business_date) AS day FROM reconcile.run r WHERE r.current GROUP BY 1) l
  ON l.channel = e.channel AND e.recon_date <= l.day
LEFT JOIN reconcile.open_item o ON o.channel = e.channel AND o.book = e.book AND o.source_id = e.source_id
  AND o.source_key = e.source_key
LEFT JOIN reconcile.match_item m ON m.channel = e.channel AND m.book = e.book AND m.source_id = e.source_id
  AND m.source_key = e.source_key
LEFT JOIN reconcile.match_group g ON g.group_id = m.group_id
WHERE e.effective AND e.book IN ('internal', 'trade')
  AND e.kind IN ('payment', 'refund', 'reversal', 'chargeback', 'chargeback_reversal', 'adjustment', 'other');

-- Per day, book and currency: taken in, left by match, left by adjustment, still open at the day's end.
CREATE FUNCTION play.ledger(p_channel text)
RETURNS TABLE (day date, book text, currency text, n_in bigint, s_in numeric, n_match bigint, s_match numeric,
               n_adjust bigint, s_adjust numeric, n_open bigint, s_open numeric)
LANGUAGE sql STABLE
AS $$
  WITH p AS MATERIALIZED (SELECT * FROM play.placed WHERE channel = p_channel)
  SELECT d.day, b.book, c.currency,
         count(*) FILTER (WHERE p.recon_date = d.day), coalesce(sum(p.amount) FILTER (WHERE p.recon_date = d.day), 0),
         count(*) FILTER (WHERE p.left_on = d.day AND p.state IN ('stored', 'derived')),
         coalesce(sum(p.amount) FILTER (WHERE p.left_on = d.day AND p.state IN ('stored', 'derived')), 0),
         count(*) FILTER (WHERE p.left_on = d.day AND p.state = 'adjusted'),
         coalesce(sum(p.amount) FILTER (WHERE p.left_on = d.day AND p.state = 'adjusted'), 0),
         count(*) FILTER (WHERE p.recon_date <= d.day AND (p.left_on IS NULL OR p.left_on > d.day)),
         coalesce(sum(p.amount) FILTER (WHERE p.recon_date <= d.day AND (p.left_on IS NULL OR p.left_on > d.day)), 0)
  FROM (SELECT r.business_date AS day FROM reconcile.run r WHERE r.channel = p_channel AND r.current) d
  CROSS JOIN (VALUES ('internal'), ('trade')) AS b (book)
  CROSS JOIN (VALUES ('CNY'), ('USD')) AS c (currency)
  LEFT JOIN p ON p.book = b.book AND p.currency = c.currency
  GROUP BY d.day, b.book, c.currency
$$;

CREATE FUNCTION play.check_entries(p_channel text) RETURNS SETOF text LANGUAGE sql STABLE
AS $$
  WITH p AS MATERIALIZED (SELECT * FROM play.placed WHERE channel = p_channel),
  derived AS MATERIALIZED (SELECT * FROM p WHERE state = 'derived')
  SELECT format('%s %s is neither matched nor open nor adjusted', book, source_key) FROM p WHERE state = 'lost'
  UNION ALL
  SELECT format('%s %s is stored twice', book, source_key) FROM p GROUP BY book, source_key HAVING count(*) > 1
  UNION ALL
  SELECT format('%s %s is matched and yet its item says otherwise', book, source_key) FROM p
  WHERE state = 'stored' AND CASE WHEN carried THEN closed_by IS DISTINCT FROM 'match' OR closed_on IS DISTINCT FROM group_day
                                                      OR opened_on >= group_day
                                  ELSE group_day <> recon_date END
  UNION ALL
  SELECT format('%s %s: its item was opened on %s, its day is %s', book, source_key, opened_on, recon_date) FROM p
  WHERE carried AND opened_on <> recon_date
  UNION ALL
  SELECT format('%s %s: what is kept of it is not what it is', book, source_key) FROM p
  WHERE item_entry <> entry OR match_entry <> entry
  UNION ALL
  SELECT format('%s %s is kept and is no entry in scope', o.book, o.source_key)
  FROM (SELECT channel, book, source_id, source_key FROM reconcile.open_item WHERE channel = p_channel
        UNION SELECT channel, book, source_id, source_key FROM reconcile.match_item WHERE channel = p_channel) o
  WHERE NOT EXISTS (SELECT FROM p WHERE p.book = o.book AND p.source_id = o.source_id AND p.source_key = o.source_key)
  UNION ALL
  -- What is said to be matched within a day, and is not stored, must be there on both sides ...
  SELECT format('derived matches of %s: %s of %s %s %s left, %s right', recon_date, kind,
                count(*) FILTER (WHERE book = 'internal'), trim_scale(amount), currency,
                count(*) FILTER (WHERE book = 'trade'))
  FROM derived GROUP BY recon_date, kind, trim_scale(amount), currency
  HAVING count(*) FILTER (WHERE book = 'internal') <> count(*) FILTER (WHERE book = 'trade')
  UNION ALL
  -- ... under a common name, with nothing to contradict it.
  SELECT format('%s %s has nobody to be matched with', a.book, a.source_key) FROM derived a
  WHERE NOT EXISTS (
    SELECT FROM derived b
    WHERE b.book <> a.book AND b.recon_date = a.recon_date AND b.kind = a.kind AND b.amount = a.amount
      AND b.currency = a.currency AND (b.match_key = a.match_key OR b.channel_ref = a.channel_ref OR b.order_key = a.order_key)
      AND coalesce(b.match_key = a.match_key, true) AND coalesce(b.channel_ref = a.channel_ref, true)
      AND coalesce(b.fee = a.fee, true))
  UNION ALL
  SELECT format('match %s does not add up', g.group_id)
  FROM reconcile.match_group g JOIN reconcile.match_item m USING (group_id)
  WHERE g.channel = p_channel
  GROUP BY g.group_id, g.residual, g.currency
  HAVING sum(CASE m.book WHEN 'trade' THEN m.amount ELSE -m.amount END) <> g.residual
      OR bool_or(m.entry ->> 'currency' <> g.currency) OR count(*) < 2
  UNION ALL
  SELECT format('match %s has no items', g.group_id) FROM reconcile.match_group g
  WHERE g.channel = p_channel AND NOT EXISTS (SELECT FROM reconcile.match_item m WHERE m.group_id = g.group_id)
  UNION ALL
  -- A pair that could have been made and was not: same key, same reference, same money, both open.
  SELECT format('%s and %s should be matched', a.source_key, b.source_key)
  FROM p a JOIN p b ON b.state = 'open' AND b.kind = a.kind AND b.amount = a.amount AND b.currency = a.currency
    AND (b.match_key = a.match_key OR b.channel_ref = a.channel_ref)
  WHERE a.state = 'open' AND a.book = 'internal' AND b.book = 'trade'
  UNION ALL
  -- What a source took back, and what it took back, both open.
  SELECT format('%s %s, which add up to nothing, should be netted', book, string_agg(source_key, ' '))
  FROM p WHERE state = 'open'
  GROUP BY book, source_id, split_part(source_key, '#', 1), order_key, match_key, channel_ref, kind, currency
  HAVING count(*) > 1 AND sum(amount) = 0
  UNION ALL
  -- What the sources hold is what the books hold, whatever was signed off in between.
  SELECT format('%s: sources %s %s, books %s %s', coalesce(s.book, e.book), s.amount, s.currency, e.amount, e.currency)
  FROM (SELECT book, currency, sum(amount) AS amount FROM play.source_row
        WHERE channel = p_channel AND NOT deleted AND status = 'success' GROUP BY 1, 2) s
  FULL JOIN (SELECT book, currency, sum(amount) AS amount FROM reconcile.entry WHERE channel = p_channel AND effective
             GROUP BY 1, 2) e ON e.book = s.book AND e.currency = s.currency
  WHERE coalesce(s.amount, 0) <> coalesce(e.amount, 0)
  UNION ALL
  SELECT format('totals of %s %s %s %s: %s %s, entries: %s %s', t.recon_date, t.book, t.kind, t.currency, t.n, t.amount, e.n, e.amount)
  FROM (SELECT recon_date, book, kind, currency, sum(entries) AS n, sum(amount) AS amount, sum(fee) AS fee
        FROM reconcile.entry_total WHERE channel = p_channel GROUP BY 1, 2, 3, 4) t
  FULL JOIN (SELECT recon_date, book, kind, currency, count(*) AS n, sum(amount) AS amount, sum(coalesce(fee, 0)) AS fee
             FROM reconcile.entry WHERE channel = p_channel AND effective GROUP BY 1, 2, 3, 4) e
    ON (e.recon_date, e.book, e.kind, e.currency) = (t.recon_date, t.book, t.kind, t.currency)
  WHERE coalesce(t.n, 0) <> coalesce(e.n, 0) OR coalesce(t.amount, 0) <> coalesce(e.amount, 0)
     OR coalesce(t.fee, 0) <> coalesce(e.fee, 0)
$$;

-- Proof lines a to d, per day, book and currency, against run_total.
CREATE FUNCTION play.check_proof(p_channel text) RETURNS SETOF text LANGUAGE sql STABLE
AS $$
  WITH day AS (
    SELECT r.business_date AS day, r.run_id, r.state, r.proof_difference,
           lag(r.business_date) OVER (ORDER BY r.business_date) AS previous
    FROM reconcile.run r WHERE r.channel = p_channel AND r.current
  ), books AS MATERIALIZED (
    SELECT *, coalesce(lag(n_open) OVER w, 0) AS n_before, coalesce(lag(s_open) OVER w, 0) AS s_before
    FROM play.ledger(p_channel) WINDOW w AS (PARTITION BY book, currency ORDER BY day)
  ), figure AS (
    SELECT d.day, d.run_id, l.currency, l.n_in AS l_n_in, l.s_in AS l_in, r.n_in AS r_n_in, r.s_in AS r_in,
           ROW (l.n_before, l.s_before, l.n_in, l.s_in, l.n_match, l.s_match, l.n_adjust, l.s_adjust, l.n_open, l.s_open,
                r.n_before, r.s_before, r.n_in, r.s_in, r.n_match, r.s_match, r.n_adjust, r.s_adjust, r.n_open, r.s_open) AS expected,
           ROW (0::bigint, 0::numeric, 0::bigint, 0::numeric, 0::bigint, 0::numeric, 0::bigint, 0::numeric, 0::bigint, 0::numeric,
                0::bigint, 0::numeric, 0::bigint, 0::numeric, 0::bigint, 0::numeric, 0::bigint, 0::numeric, 0::bigint, 0::numeric) AS nothing,
           CASE WHEN t.run_id IS NOT NULL THEN
           ROW (t.left_opening_count, t.left_opening, t.left_in_count, t.left_in, t.left_matched_count, t.left_matched,
                t.left_adjusted_count, t.left_adjusted, t.left_closing_count, t.left_closing, t.right_opening_count,
                t.right_opening, t.right_in_count, t.right_in, t.right_matched_count, t.right_matched,
                t.right_adjusted_count, t.right_adjusted, t.right_closing_count, t.right_closing) END AS stated,
           r.s_open - l.s_open AS unexplained_need, coalesce(t.in_transit + t.discrepancy, 0) AS explained,
           l.n_open + r.n_open AS open_count, coalesce(t.in_transit_count + t.discrepancy_count, 0) AS explained_count,
           l.n_before + l.n_in - l.n_match - l.n_adjust - l.n_open AS l_n_off,
           l.s_before + l.s_in - l.s_match - l.s_adjust - l.s_open AS l_off,
           r.n_before + r.n_in - r.n_match - r.n_adjust - r.n_open AS r_n_off,
           r.s_before + r.s_in - r.s_match - r.s_adjust - r.s_open AS r_off,
           r.s_match - l.s_match - coalesce(t.residual, 0) AS match_off,
           sum(r.s_in - l.s_in) OVER (PARTITION BY l.currency ORDER BY d.day)
             - (r.s_open - l.s_open)
             - sum(r.s_adjust - l.s_adjust + coalesce(t.residual, 0)) OVER (PARTITION BY l.currency ORDER BY d.day) AS since_go_live,
           coalesce(t.proof_difference, 0) AS proof_difference
    FROM day d
    JOIN books l ON l.day = d.day AND l.book = 'internal'
    JOIN books r ON r.day = d.day AND r.book = 'trade' AND r.currency = l.currency
    LEFT JOIN reconcile.run_total t ON t.run_id = d.run_id AND t.currency = l.currency
  )
  SELECT format('%s has a run in state %s, off by %s', day, state, proof_difference) FROM day
  WHERE state <> 'succeeded' OR proof_difference <> 0
  UNION ALL
  SELECT format('%s was not run', previous + 1) FROM day WHERE day <> previous + 1
  UNION ALL
  SELECT format('%s entries of %s were never run', count(*), min(e.recon_date))
  FROM reconcile.entry e
  WHERE e.channel = p_channel AND e.recon_date <= (SELECT max(day) FROM day) AND e.recon_date < (SELECT min(day) FROM day)
  HAVING count(*) > 0
  UNION ALL
  SELECT format('%s %s: figures %s, entries %s', day, currency, stated, expected) FROM figure
  WHERE stated IS DISTINCT FROM expected AND NOT (stated IS NULL AND expected = nothing)
  UNION ALL
  SELECT format('%s %s: line a is off by %s/%s left, %s/%s right', day, currency, l_n_off, l_off, r_n_off, r_off) FROM figure
  WHERE l_n_off <> 0 OR l_off <> 0 OR r_n_off <> 0 OR r_off <> 0
  UNION ALL
  SELECT format('%s %s: line b is off by %s', day, currency, match_off) FROM figure WHERE match_off <> 0
  UNION ALL
  SELECT format('%s %s: in transit and discrepancies say %s (%s), the open items %s (%s)', day, currency, explained,
                explained_count, unexplained_need, open_count)
  FROM figure WHERE explained <> unexplained_need OR explained_count <> open_count
  UNION ALL
  SELECT format('%s %s: line d is off by %s', day, currency, since_go_live) FROM figure WHERE since_go_live <> 0
  UNION ALL
  SELECT format('%s %s: says that its proof is off by %s', day, currency, proof_difference) FROM figure WHERE proof_difference <> 0
$$;

-- Discrepancies that stand explain the open items, each once; events tell the same story and are chained.
CREATE FUNCTION play.check_discrepancies(p_channel text) RETURNS SETOF text LANGUAGE sql STABLE
AS $$
  WITH last AS (SELECT max(business_date) AS day FROM reconcile.run WHERE channel = p_channel AND current),
  open AS MATERIALIZED (SELECT * FROM play.placed WHERE channel = p_channel AND state = 'open'),
  standing AS MATERIALIZED (
    SELECT * FROM reconcile.discrepancy WHERE channel = p_channel AND state NOT IN ('cleared', 'resolved', 'written_off')
  ), explained AS (
    SELECT o.book, o.source_key, o.due_date, count(d.discrepancy_id) AS times
    FROM open o LEFT JOIN standing d
      ON d.kind NOT IN ('fee_mismatch', 'reference_mismatch', 'over_refund')
     AND CASE o.book WHEN 'internal' THEN d.left_entry ELSE d.right_entry END @>
         jsonb_build_object('source_id', o.source_id, 'source_key', o.source_key, 'effective', true)
    GROUP BY 1, 2, 3
  ), over_refunded AS MATERIALIZED (
    SELECT order_key, currency, max(paid) AS paid, min(refunded) AS refunded
    FROM (SELECT e.order_key, e.currency, e.book, coalesce(sum(e.amount) FILTER (WHERE e.kind <> 'refund'), 0) AS paid,
                 coalesce(-sum(e.amount) FILTER (WHERE e.kind = 'refund'), 0) AS refunded
          FROM reconcile.entry e, last
          WHERE e.channel = p_channel AND e.effective AND e.recon_date <= last.day AND e.kind IN ('payment', 'refund', 'reversal')
          GROUP BY 1, 2, 3) b
    GROUP BY 1, 2 HAVING count(*) = 2 AND max(paid) > 0 AND min(refunded) > max(paid)
  ), money AS (
    SELECT currency, sum(amount) AS amount FROM (
      SELECT o.currency, CASE o.book WHEN 'trade' THEN o.amount ELSE -o.amount END AS amount
      FROM open o JOIN explained e ON e.book = o.book AND e.source_key = o.source_key AND e.times = 1
      UNION ALL
      SELECT left_currency, left_amount FROM standing WHERE kind NOT IN ('fee_mismatch', 'reference_mismatch')
      UNION ALL
      SELECT right_currency, -right_amount FROM standing WHERE kind NOT IN ('fee_mismatch', 'reference_mismatch')) x
    WHERE currency IS NOT NULL GROUP BY currency
  )
  SELECT format('open %s %s is in %s discrepancies', book, source_key, times) FROM explained WHERE times > 1
  UNION ALL
  SELECT format('open %s %s was due on %s and is in no discrepancy', book, source_key, due_date)
  FROM explained, last WHERE times = 0 AND due_date <= last.day
  UNION ALL
  SELECT format('discrepancies and open items differ by %s %s', amount, currency) FROM money WHERE amount <> 0
  UNION ALL
  SELECT format('discrepancy %s: difference %s of %s and %s', discrepancy_id, difference, left_amount, right_amount) FROM standing
  WHERE difference <> CASE kind WHEN 'fee_mismatch' THEN left_amount - right_amount
                                ELSE coalesce(right_amount, 0) - coalesce(left_amount, 0) END
     OR (difference IS NULL) <> (kind = 'currency_mismatch')
  UNION ALL
  SELECT format('discrepancy %s stands and was cleared on %s', discrepancy_id, cleared_on) FROM standing WHERE cleared_on IS NOT NULL
  UNION ALL
  SELECT format('discrepancy %s (%s) is %s and was not cleared on a day', discrepancy_id, item_key, state)
  FROM reconcile.discrepancy WHERE channel = p_channel AND state IN ('cleared', 'resolved') AND cleared_on IS NULL
  UNION ALL
  -- Fees of stored matches.
  SELECT format('match %s: fees differ without a discrepancy', l.group_id)
  FROM reconcile.match_item l JOIN reconcile.match_item r ON r.group_id = l.group_id AND r.book = 'trade'
  JOIN reconcile.match_group g ON g.group_id = l.group_id AND g.differs
  WHERE l.channel = p_channel AND l.book = 'internal' AND l.fee <> r.fee
    AND NOT EXISTS (SELECT FROM reconcile.discrepancy d WHERE d.channel = p_channel AND d.kind = 'fee_mismatch'
                    AND d.left_entry = l.entry AND d.right_entry = r.entry AND d.difference = l.fee - r.fee)
  UNION ALL
  SELECT format('discrepancy %s stands for a match that is not', d.discrepancy_id) FROM standing d
  WHERE d.kind IN ('fee_mismatch') AND NOT EXISTS (
    SELECT FROM reconcile.match_item l JOIN reconcile.match_item r ON r.group_id = l.group_id AND r.book = 'trade'
    WHERE l.channel = p_channel AND l.book = 'internal' AND l.entry = d.left_entry AND r.entry = d.right_entry)
  UNION ALL
  -- Orders that both books say to have refunded more than either says was paid.
  SELECT format('order %s was refunded %s on %s and has no discrepancy', order_key, refunded, paid) FROM over_refunded o, last
  WHERE NOT EXISTS (SELECT FROM reconcile.discrepancy d
                    WHERE d.channel = p_channel AND (d.state NOT IN ('cleared', 'written_off'))
                      AND (d.kind = 'over_refund' OR d.entry_kind = 'refund' OR d.left_entry ->> 'kind' = 'refund' OR d.right_entry ->> 'kind' = 'refund')
                      AND o.order_key IN (d.left_entry ->> 'order_key', d.right_entry ->> 'order_key'))
    AND NOT EXISTS (SELECT FROM reconcile.open_item i
                    WHERE i.channel = p_channel AND i.closed_on IS NULL AND i.order_key = o.order_key AND i.kind = 'refund')
  UNION ALL
  SELECT format('discrepancy %s: order %s is not over-refunded', d.discrepancy_id, d.item_key) FROM standing d
  WHERE d.kind = 'over_refund' AND NOT EXISTS (
    SELECT FROM over_refunded o WHERE d.item_key = 'order:' || o.order_key AND d.currency = o.currency AND d.left_amount = d.right_amount
      AND (d.left_amount = o.paid - o.refunded OR (d.left_amount > o.paid - o.refunded AND EXISTS (
        SELECT FROM reconcile.discrepancy s WHERE s.channel = p_channel AND s.item_key = d.item_key AND s.state = 'resolved'))))
  UNION ALL
  -- An approved adjustment of a whole difference closes exactly that.
  SELECT format('adjusted items say %s, adjustments of resolved discrepancies %s %s', a.amount, b.amount, a.currency)
  FROM (SELECT o.currency, sum(CASE o.book WHEN 'trade' THEN o.amount ELSE -o.amount END) AS amount
        FROM reconcile.open_item o WHERE o.channel = p_channel AND o.closed_by = 'adjustment' GROUP BY 1) a
  FULL JOIN (SELECT d.currency, sum(x.amount) AS amount FROM reconcile.discrepancy d
             JOIN reconcile.adjustment x USING (discrepancy_id)
             WHERE d.channel = p_channel AND d.state = 'resolved' AND x.recon_date <= d.cleared_on AND d.kind NOT IN ('fee_mismatch', 'reference_mismatch')
             GROUP BY 1) b ON b.currency = a.currency
  WHERE coalesce(a.amount, 0) <> coalesce(b.amount, 0)
  UNION ALL
  SELECT format('discrepancy %s: its last event is %s, its state %s', d.discrepancy_id, v.event, d.state)
  FROM reconcile.discrepancy d
  LEFT JOIN LATERAL (SELECT e.event FROM reconcile.discrepancy_event e
                     WHERE e.discrepancy_id = d.discrepancy_id AND e.event NOT IN ('assigned', 'changed', 'redated')
                     ORDER BY e.event_id DESC LIMIT 1) v ON true
  WHERE d.channel = p_channel AND d.state IS DISTINCT FROM CASE v.event WHEN 'opened' THEN 'open' ELSE v.event END
  UNION ALL
  SELECT format('event %s is not chained', event_id)
  FROM (SELECT *, coalesce(lag(hash) OVER (ORDER BY event_id), '\x') AS before FROM reconcile.discrepancy_event) e
  WHERE previous_hash <> before
$$;
