-- What the unmatched entries of a day mean: in transit, or which discrepancy.

-- From which day on an unmatched entry is a discrepancy. Dates decide, never the clock.
CREATE FUNCTION reconcile.item_due_date(
  lags jsonb, side text, kind text, business_date date, occurred_at timestamptz, edge_window interval,
  calendar text, time_zone text, day_start interval) RETURNS date
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT reconcile.next_due_date(
    business_date,
    greatest(
      coalesce((lags -> side ->> kind)::integer, (lags -> side ->> '*')::integer, 0),
      -- So near the day's end that the other book may have it on the next day.
      CASE WHEN (business_date + 1)::timestamp + day_start - (occurred_at AT TIME ZONE time_zone)
                BETWEEN interval '0' AND edge_window THEN 1 ELSE 0 END),
    calendar)
$$;
COMMENT ON FUNCTION reconcile.item_due_date(jsonb, text, text, date, timestamptz, interval, text, text, interval)
IS 'The day from which an unmatched entry counts as a discrepancy: business date + lag by side and kind, at least a day near the day''s end';

-- Pairs what can be paired among the items that are open at the end of a day, names what is left over, and adds the
-- fee and reference mismatches of stored matches. discrepancy_kind NULL: in transit.
-- Every step is a sort or a hash: a day that a book misses altogether has as many items as entries. The planner, who
-- cannot know how many there are, is kept from joining them pair by pair.
CREATE FUNCTION reconcile.classify_items(p_channel text, p_account text, p_leg text, p_left_book text,
                                         p_right_book text, p_day date)
RETURNS TABLE (item_key text, entry_kind text, first_entry text, discrepancy_kind text, business_date date,
               left_source_id integer, left_source_key text, left_amount numeric, left_currency text,
               right_source_id integer, right_source_key text, right_amount numeric, right_currency text,
               left_entry jsonb, right_entry jsonb, group_day date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
  WITH item AS MATERIALIZED (
    SELECT o.*, o.book = p_left_book AS is_left,
           coalesce(o.match_key, 'source:' || o.source_id || ':' || o.source_key) AS item_key
    FROM reconcile.open_item o
    WHERE o.channel = p_channel AND o.account = p_account AND o.leg = p_leg
      AND o.opened_on <= p_day AND (o.closed_on IS NULL OR o.closed_on > p_day)
  ), numbered AS MATERIALIZED (
    -- The n-th left entry of a key and kind stands against the n-th right one.
    SELECT i.*, row_number() OVER (PARTITION BY i.is_left, i.match_key, i.kind
                                   ORDER BY i.occurred_at NULLS LAST, i.business_date, i.source_id, i.source_key) AS n,
           count(*) FILTER (WHERE i.is_left) OVER (PARTITION BY i.match_key, i.kind) AS lefts,
           count(*) FILTER (WHERE NOT i.is_left) OVER (PARTITION BY i.match_key, i.kind) AS rights
    FROM item i
  ), unpaired AS MATERIALIZED (
    -- Of the rest, the n-th left entry of a key stands against the n-th right one, whatever their kinds.
    SELECT u.*, row_number() OVER (PARTITION BY u.is_left, u.match_key
                                   ORDER BY u.occurred_at NULLS LAST, u.business_date, u.source_id, u.source_key) AS n_of_key,
           count(*) FILTER (WHERE u.is_left) OVER (PARTITION BY u.match_key) AS lefts_of_key,
           count(*) FILTER (WHERE NOT u.is_left) OVER (PARTITION BY u.match_key) AS rights_of_key
    FROM numbered u
    WHERE u.match_key IS NULL OR u.n > least(u.lefts, u.rights)
  ), pair AS (
    SELECT p.l_opened_on <= p.r_opened_on AS left_first,
           CASE WHEN p.left_currency <> p.right_currency THEN 'currency_mismatch'
                WHEN p.l_kind <> p.r_kind THEN 'kind_mismatch'
                WHEN p.left_amount <> p.right_amount THEN 'amount_mismatch'
                ELSE 'reference_mismatch' END AS discrepancy_kind,
           least(p.l_business_date, p.r_business_date) AS business_date,
           p.left_source_id, p.left_source_key, p.left_amount, p.left_currency,
           p.right_source_id, p.right_source_key, p.right_amount, p.right_currency, p.left_entry, p.right_entry
    FROM (
      SELECT l.opened_on AS l_opened_on, l.kind AS l_kind, l.business_date AS l_business_date,
             l.source_id AS left_source_id, l.source_key AS left_source_key, l.amount AS left_amount,
             l.currency AS left_currency, l.entry AS left_entry,
             r.opened_on AS r_opened_on, r.kind AS r_kind, r.business_date AS r_business_date,
             r.source_id AS right_source_id, r.source_key AS right_source_key, r.amount AS right_amount,
             r.currency AS right_currency, r.entry AS right_entry
      FROM numbered l JOIN numbered r ON r.match_key = l.match_key AND r.kind = l.kind AND r.n = l.n
      WHERE l.is_left AND NOT r.is_left
      UNION ALL
      SELECT l.opened_on, l.kind, l.business_date, l.source_id, l.source_key, l.amount, l.currency, l.entry,
             r.opened_on, r.kind, r.business_date, r.source_id, r.source_key, r.amount, r.currency, r.entry
      FROM unpaired l JOIN unpaired r ON r.match_key = l.match_key AND r.n_of_key = l.n_of_key
      WHERE l.is_left AND NOT r.is_left) p
  ), single AS (
    SELECT u.*, row_number() OVER (PARTITION BY u.is_left, u.match_key, u.kind
                                   ORDER BY u.occurred_at NULLS LAST, u.business_date, u.source_id, u.source_key) AS nth
    FROM unpaired u
    WHERE u.match_key IS NULL OR u.n_of_key > least(u.lefts_of_key, u.rights_of_key)
  ), judged AS (
    -- What the other book says of the same movement: nothing, that it did not succeed, or that it has it already.
    SELECT s.*, c.has_effective, c.not_effective,
           CASE WHEN c.not_effective ->> 'status' <> 'pending' THEN 'status_mismatch'
                -- What is pending there may succeed: it has until the due date, as what is not there at all.
                WHEN s.due_date > p_day THEN NULL
                WHEN c.not_effective IS NOT NULL THEN 'status_mismatch'
                WHEN c.has_effective THEN 'duplicate_' || s.book
                ELSE 'missing_' || CASE WHEN s.is_left THEN p_right_book ELSE p_left_book END END AS discrepancy_kind
    FROM single s
    LEFT JOIN LATERAL (
      SELECT bool_or(e.effective) AS has_effective,
             (array_agg(to_jsonb(e) ORDER BY e.occurred_at NULLS LAST, e.source_id, e.source_key)
                FILTER (WHERE NOT e.effective))[s.nth::integer] AS not_effective
      FROM reconcile.entry e
      WHERE e.book = CASE WHEN s.is_left THEN p_right_book ELSE p_left_book END
        AND e.order_key = s.order_key AND e.channel = p_channel AND e.account = p_account
        AND e.match_key = s.match_key AND e.kind = s.kind AND e.recon_date <= p_day
    ) c ON s.match_key IS NOT NULL
  ), differing AS (
    -- Matched, and yet something differs: stands until an approved adjustment settles it.
    SELECT (l.entry ->> 'recon_date')::date <= (r.entry ->> 'recon_date')::date AS left_first,
           CASE WHEN f.differ THEN 'fee_mismatch' ELSE 'reference_mismatch' END AS discrepancy_kind,
           least((l.entry ->> 'business_date')::date, (r.entry ->> 'business_date')::date) AS business_date,
           l.source_id AS left_source_id, l.source_key AS left_source_key,
           CASE WHEN f.differ THEN l.fee ELSE l.amount END AS left_amount,
           CASE WHEN f.differ THEN f.left_currency ELSE g.currency END AS left_currency,
           r.source_id AS right_source_id, r.source_key AS right_source_key,
           CASE WHEN f.differ THEN r.fee ELSE r.amount END AS right_amount,
           CASE WHEN f.differ THEN f.right_currency ELSE g.currency END AS right_currency,
           l.entry AS left_entry, r.entry AS right_entry, g.business_date AS group_day
    FROM reconcile.match_group g
    JOIN reconcile.match_item l ON l.group_id = g.group_id AND l.book = p_left_book
    JOIN reconcile.match_item r ON r.group_id = g.group_id AND r.book = p_right_book
    CROSS JOIN LATERAL (
      SELECT c.left_currency, c.right_currency,
             coalesce(l.fee <> r.fee AND c.left_currency = c.right_currency, false) AS differ
      FROM (SELECT coalesce(l.entry ->> 'settlement_currency', g.currency) AS left_currency,
                   coalesce(r.entry ->> 'settlement_currency', g.currency) AS right_currency) c) f
    WHERE g.channel = p_channel AND g.account = p_account AND g.leg = p_leg AND g.business_date <= p_day
      AND g.differs
  ), verdict AS (
    SELECT p.left_first, p.discrepancy_kind, p.business_date, p.left_source_id, p.left_source_key,
           p.left_amount, p.left_currency, p.right_source_id, p.right_source_key, p.right_amount, p.right_currency,
           p.left_entry, p.right_entry, NULL::date AS group_day
    FROM pair p
    UNION ALL
    SELECT j.is_left, j.discrepancy_kind, j.business_date,
           CASE WHEN j.is_left THEN j.source_id END, CASE WHEN j.is_left THEN j.source_key END,
           CASE WHEN j.is_left THEN j.amount END, CASE WHEN j.is_left THEN j.currency END,
           CASE WHEN NOT j.is_left THEN j.source_id END, CASE WHEN NOT j.is_left THEN j.source_key END,
           CASE WHEN NOT j.is_left THEN j.amount END, CASE WHEN NOT j.is_left THEN j.currency END,
           CASE WHEN j.is_left THEN j.entry ELSE j.not_effective END,
           CASE WHEN j.is_left THEN j.not_effective ELSE j.entry END, NULL
    FROM judged j
    UNION ALL
    SELECT d.* FROM differing d
  ), named AS (
    -- A discrepancy is known by the entry that came first: what comes later, is matched or is settled renames nothing.
    SELECT v.*, CASE WHEN v.left_first THEN v.left_entry ELSE v.right_entry END AS first_entry FROM verdict v
  )
  SELECT coalesce(v.first_entry ->> 'match_key',
                  'source:' || (v.first_entry ->> 'source_id') || ':' || (v.first_entry ->> 'source_key')),
         v.first_entry ->> 'kind',
         concat_ws('/', v.first_entry ->> 'book', v.first_entry ->> 'source_id', v.first_entry ->> 'source_key'),
         v.discrepancy_kind, v.business_date, v.left_source_id, v.left_source_key, v.left_amount, v.left_currency,
         v.right_source_id, v.right_source_key, v.right_amount, v.right_currency, v.left_entry, v.right_entry,
         v.group_day
  FROM named v
$$;
COMMENT ON FUNCTION reconcile.classify_items(text, text, text, text, text, date)
IS 'The open items of a leg at the end of a day, paired and named; discrepancy_kind NULL: in transit; group_day set: a fee or reference mismatch of a stored match';

-- Orders whose refunds exceed what was paid, although the books agree on every one of them: the refunds that both
-- books show against the payment that either shows. Without a payment (it is older than go-live) nothing is said.
-- Looked at are the orders that a refund of the day, a late entry or a standing discrepancy names.
CREATE FUNCTION reconcile.over_refunds(p_channel text, p_account text, p_leg text, p_left_book text, p_right_book text,
                                       p_day date, p_kinds text[], p_orders text[], p_standing text[])
RETURNS TABLE (item_key text, entry_kind text, first_entry text, discrepancy_kind text, business_date date,
               left_source_id integer, left_source_key text, left_amount numeric, left_currency text,
               right_source_id integer, right_source_key text, right_amount numeric, right_currency text,
               left_entry jsonb, right_entry jsonb, group_day date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH candidate AS MATERIALIZED (
    SELECT o.order_key FROM unnest(p_orders) AS o (order_key)
    UNION
    SELECT s.entry::jsonb ->> 'order_key' FROM unnest(p_standing) AS s (entry)
  ), book_total AS MATERIALIZED (
    SELECT c.order_key, t.* FROM candidate c
    -- By the index on order_key, whatever the planner believes of partitions that were never analysed.
    CROSS JOIN LATERAL (
      SELECT e.currency, e.book, coalesce(sum(e.amount) FILTER (WHERE e.kind <> 'refund'), 0) AS paid,
             coalesce(-sum(e.amount) FILTER (WHERE e.kind = 'refund'), 0) AS refunded
      FROM reconcile.entry e
      WHERE e.order_key = c.order_key AND e.channel = p_channel AND e.account = p_account
        AND e.book IN (p_left_book, p_right_book) AND e.recon_date <= p_day AND e.effective
        AND e.kind IN ('payment', 'refund', 'reversal') AND e.kind = ANY (p_kinds)
      GROUP BY e.currency, e.book) t
  ), excessive AS MATERIALIZED (
    -- `book`: the one that shows less refunded; the other shows that much too.
    SELECT l.order_key, l.currency, greatest(l.paid, r.paid) AS paid,
           CASE WHEN l.refunded <= r.refunded THEN p_left_book ELSE p_right_book END AS book
    FROM book_total l JOIN book_total r ON r.order_key = l.order_key AND r.currency = l.currency AND r.book = p_right_book
    WHERE l.book = p_left_book AND greatest(l.paid, r.paid) > 0
      AND least(l.refunded, r.refunded) > greatest(l.paid, r.paid)
  ), movement AS MATERIALIZED (
    SELECT x.order_key, x.currency, e.book, e.amount, e.match_key, e.recon_date, e.business_date, e.source_id, e.source_key,
           e.entry,
           sum(-e.amount) OVER (PARTITION BY x.order_key, x.currency, e.book
                                ORDER BY e.recon_date, e.occurred_at NULLS LAST, e.source_id, e.source_key) AS refunded_so_far
    FROM excessive x
    CROSS JOIN LATERAL (
      SELECT e.*, to_jsonb(e) AS entry FROM reconcile.entry e
      WHERE e.order_key = x.order_key AND e.channel = p_channel AND e.account = p_account
        AND e.book IN (p_left_book, p_right_book) AND e.recon_date <= p_day AND e.effective AND e.kind = 'refund'
        AND e.currency = x.currency
      OFFSET 0) e
  ), step AS (
    -- What each refund adds to the excess. What an approved adjustment has settled is a discrepancy of its own: what
    -- is refunded after it is a new one.
    SELECT m.*, greatest(m.refunded_so_far - x.paid, 0) - greatest(m.refunded_so_far + m.amount - x.paid, 0) AS added,
           (SELECT count(*) FROM reconcile.adjustment a JOIN reconcile.discrepancy d USING (discrepancy_id)
            WHERE d.channel = p_channel AND d.account = p_account AND d.leg = p_leg AND d.kind = 'over_refund'
              AND d.item_key = 'order:' || m.order_key AND d.currency = m.currency AND a.state = 'approved'
              AND a.recon_date < m.recon_date) AS settled_before
    FROM excessive x JOIN movement m ON m.order_key = x.order_key AND m.currency = x.currency AND m.book = x.book
  ), excess AS (
    SELECT DISTINCT ON (s.order_key, s.currency, s.settled_before)
           s.*, sum(s.added) OVER (PARTITION BY s.order_key, s.currency, s.settled_before) AS total
    FROM step s
    ORDER BY s.order_key, s.currency, s.settled_before, s.added <= 0, s.recon_date, s.refunded_so_far, s.source_id, s.source_key
  ), pair AS (
    SELECT x.order_key, x.currency, x.total, x.recon_date, least(x.business_date, o.business_date) AS business_date,
           CASE WHEN x.book = p_left_book THEN x.entry ELSE o.entry END AS left_entry,
           CASE WHEN x.book = p_left_book THEN o.entry ELSE x.entry END AS right_entry
    FROM excess x
    LEFT JOIN LATERAL (
      SELECT m.entry, m.business_date FROM movement m
      WHERE m.order_key = x.order_key AND m.currency = x.currency AND m.book <> x.book
      ORDER BY m.match_key IS NOT DISTINCT FROM x.match_key DESC, m.amount = x.amount DESC, m.recon_date, m.source_id, m.source_key
      LIMIT 1) o ON true
    WHERE x.total > 0
  ), named AS (
    SELECT p.*, CASE WHEN (p.right_entry ->> 'recon_date') < (p.left_entry ->> 'recon_date') THEN p.right_entry
                     ELSE p.left_entry END AS first_entry
    FROM pair p
    -- What is unmatched is in transit, or has a discrepancy that says more.
    WHERE NOT EXISTS (
      SELECT FROM reconcile.open_item o
      WHERE o.channel = p_channel AND o.account = p_account AND o.leg = p_leg
        AND (o.book, o.source_id, o.source_key) IN
            ((p_left_book, (p.left_entry ->> 'source_id')::integer, p.left_entry ->> 'source_key'),
             (p_right_book, (p.right_entry ->> 'source_id')::integer, p.right_entry ->> 'source_key'))
        AND o.opened_on <= p_day AND (o.closed_on IS NULL OR o.closed_on > p_day))
  )
  SELECT 'order:' || n.order_key, 'refund',
         concat_ws('/', n.first_entry ->> 'book', n.first_entry ->> 'source_id', n.first_entry ->> 'source_key'),
         'over_refund', n.business_date,
         (n.left_entry ->> 'source_id')::integer, n.left_entry ->> 'source_key', -n.total, n.currency,
         (n.right_entry ->> 'source_id')::integer, n.right_entry ->> 'source_key', -n.total, n.currency,
         n.left_entry, n.right_entry, n.recon_date
  FROM named n
$$;
COMMENT ON FUNCTION reconcile.over_refunds(text, text, text, text, text, date, text[], text[], text[])
IS 'Orders that both books agree to have refunded more than was paid, with the refund that passed the payment; p_orders: those whose refunds the day added to, p_standing: entries of the discrepancies that stand';
