-- comparison_sql: the reconciliation of a day as plain SQL, to be read, checked and run anywhere.
--
-- The text is a chain of common table expressions, each of which reads the one before it once: engines that copy a
-- common table expression into every reference to it do no more than the work. It uses what the standard has and the
-- engines share: window functions, joins, CASE. What they write differently is in comparison_dialect() and
-- comparison_literal(), and nowhere else.

CREATE FUNCTION reconcile.comparison_dialect(
  dialect text, OUT entry_relation text, OUT open_item_relation text, OUT text_type text,
  OUT item_settlement_currency text, OUT row_key text, OUT local_time text)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF dialect IS DISTINCT FROM 'postgres' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('SQL dialect "%s" is not known', coalesce(dialect, 'NULL')),
      HINT = 'This version knows the dialect postgres.';
  END IF;
  entry_relation := 'reconcile.entry';
  open_item_relation := 'reconcile.open_item';
  text_type := 'text';
  item_settlement_currency := 'o.entry ->> ''settlement_currency''';
  -- %s: what it is taken of
  row_key := 'split_part(%s, ''#'', 1)';
  local_time := '(e.occurred_at AT TIME ZONE %s)';
END
$$;
COMMENT ON FUNCTION reconcile.comparison_dialect(text)
IS 'How a dialect of SQL writes what comparison_sql() needs: relations, the type of texts, and expressions with %s for their argument';

CREATE FUNCTION reconcile.comparison_literal(dialect text, value text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE dialect WHEN 'postgres' THEN quote_literal(value) END
$$;
COMMENT ON FUNCTION reconcile.comparison_literal(text, text) IS 'A text as a literal of a dialect of SQL';

-- Lags without a calendar: on a given day, an entry of one kind waits if its business date is this one or a later one.
CREATE FUNCTION reconcile.in_transit_since(day date, lag_days integer, calendar text) RETURNS date
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  since date := day + 1;
BEGIN
  WHILE reconcile.next_due_date(since - 1, lag_days, calendar) > day LOOP
    since := since - 1;
  END LOOP;
  RETURN since;
END
$$;
COMMENT ON FUNCTION reconcile.in_transit_since(date, integer, text)
IS 'The first business date whose entries are not yet due at the end of a day, given their lag; the day after it: none';

-- The columns that every step hands on.
CREATE FUNCTION reconcile.comparison_columns() RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'p.account, p.side, p.book, p.entry, p.item_key, p.carried, p.versioned, p.waits,
         p.source_id, p.source_key, p.row_key, p.kind, p.order_key, p.match_key, p.channel_ref,
         p.amount, p.currency, p.fee, p.fee_currency, p.occurred_at, p.business_date, p.recon_date'
$$;
COMMENT ON FUNCTION reconcile.comparison_columns() IS 'The columns that the steps of comparison_sql() hand on';

-- One step: the n-th left entry of a key stands against the n-th right one. `paired`: what becomes of them.
CREATE FUNCTION reconcile.comparison_pairing(step text, previous text, title text, keys text[], only_of_the_day boolean,
                                             by_business_date boolean, paired text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  WITH part AS (
    SELECT string_agg('p.' || k, ', ' ORDER BY n) AS key_list,
           string_agg(format(' AND p.%s IS NOT NULL', k), '' ORDER BY n) FILTER (WHERE k IN ('channel_ref', 'match_key')) AS stated
    FROM unnest(keys) WITH ORDINALITY AS u (k, n)
  )
  SELECT format($sql$
-- %3$s
%1$s_place AS (
  SELECT p.*,
         CASE WHEN p.result = 'open'%5$s%6$s
              THEN ROW_NUMBER() OVER (PARTITION BY p.result%7$s, p.account, %4$s, p.side
                                      ORDER BY p.occurred_at NULLS LAST, %8$sp.source_id, p.source_key)
              ELSE 0 END AS place
  FROM %2$s p
  WHERE p.result <> 'equal'
), %1$s AS (
  SELECT %9$s,
         CASE WHEN p.place > 0 AND COUNT(*) OVER twins = 2
              THEN %10$s
              ELSE p.result END AS result,
         CASE WHEN p.place > 0 AND COUNT(*) OVER twins = 2
              THEN MAX(CASE p.side WHEN 'left' THEN p.entry END) OVER twins
              ELSE p.pair END AS pair
  FROM %1$s_place p
  WINDOW twins AS (PARTITION BY p.place, p.result%7$s, p.account, %4$s)
),$sql$, step, previous, title, part.key_list, CASE WHEN only_of_the_day THEN ' AND p.carried = 0' END, part.stated,
    CASE WHEN only_of_the_day THEN ', p.carried' END, CASE WHEN by_business_date THEN 'p.business_date, ' END,
    reconcile.comparison_columns(), paired)
  FROM part
$$;
COMMENT ON FUNCTION reconcile.comparison_pairing(text, text, text, text[], boolean, boolean, text)
IS 'A step of comparison_sql(): the n-th open entry of a key on the left stands against the n-th on the right';

-- Which entries are not yet due at the end of a day, as branches of a CASE. Calendars are reckoned with here, so that
-- the text has dates alone.
CREATE FUNCTION reconcile.comparison_waiting(p_dialect text, p_channel reconcile.channel, p_leg reconcile.leg, p_day date)
RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  WITH lag AS (
    SELECT s.side, s.book, k.key AS kind,
           coalesce((p_leg.lags -> s.side ->> k.key)::integer, (p_leg.lags -> s.side ->> '*')::integer, 0) AS days
    FROM (VALUES ('left', p_leg.left_book), ('right', p_leg.right_book)) AS s (side, book), jsonb_each(p_leg.kinds) k
    WHERE k.value = '"match"'
  ), branch AS (
    SELECT l.side, l.days,
           format(E'\n              WHEN e.book = %s AND e.kind IN (%s) AND e.business_date >= DATE ''%s'' THEN 1  -- lag %s',
                  reconcile.comparison_literal(p_dialect, l.book),
                  string_agg(reconcile.comparison_literal(p_dialect, l.kind), ', ' ORDER BY l.kind),
                  to_char(reconcile.in_transit_since(p_day, l.days, p_leg.calendar), 'YYYY-MM-DD'), l.days) AS line
    FROM lag l
    WHERE reconcile.in_transit_since(p_day, l.days, p_leg.calendar) <= p_day
    GROUP BY l.side, l.book, l.days
  ), day_end AS (
    SELECT 86400 + extract(epoch FROM p_channel.day_start) AS second
  )
  SELECT coalesce((SELECT string_agg(b.line, '' ORDER BY b.side, b.days DESC) FROM branch b), '')
    || format($sql$
              WHEN %s
                   BETWEEN CAST(e.business_date AS timestamp) + INTERVAL '%s' SECOND
                       AND CAST(e.business_date AS timestamp) + INTERVAL '%s' SECOND
                   AND e.business_date >= DATE '%s' THEN 1  -- so near the day's end: a lag of 1 at least$sql$,
              format((reconcile.comparison_dialect(p_dialect)).local_time,
                     reconcile.comparison_literal(p_dialect, p_channel.time_zone)),
              trim_scale(e.second - extract(epoch FROM p_leg.edge_window)), trim_scale(e.second),
              to_char(reconcile.in_transit_since(p_day, 1, p_leg.calendar), 'YYYY-MM-DD'))
  FROM day_end e
$$;
COMMENT ON FUNCTION reconcile.comparison_waiting(text, reconcile.channel, reconcile.leg, date)
IS 'Branches of the CASE in comparison_sql() that says which entries of a day are not yet due at its end';

CREATE FUNCTION reconcile.comparison_items(p_dialect text, p_channel reconcile.channel, p_leg reconcile.leg, p_account text,
                                           p_day date) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  d record := reconcile.comparison_dialect(p_dialect);
  day text := format('DATE ''%s''', to_char(p_day, 'YYYY-MM-DD'));
  left_book text := reconcile.comparison_literal(p_dialect, p_leg.left_book);
  account_is text := coalesce('account = ' || reconcile.comparison_literal(p_dialect, p_account), 'account IS NOT NULL');
  channel_is text := 'channel = ' || reconcile.comparison_literal(p_dialect, p_channel.channel);
  entry_scope text;
  kinds text;
BEGIN
  SELECT coalesce(string_agg(reconcile.comparison_literal(p_dialect, k.key), ', ' ORDER BY k.key), 'NULL') INTO kinds
  FROM jsonb_each(p_leg.kinds) k WHERE k.value = '"match"';
  entry_scope := format($sql$
  SELECT e.* FROM %s e
  WHERE e.%s AND e.%s AND e.book IN (%s, %s)
    AND e.kind IN (%s) AND e.effective$sql$,
    d.entry_relation, channel_is, account_is, left_book, reconcile.comparison_literal(p_dialect, p_leg.right_book), kinds);
  RETURN format($sql$
-- The effective entries of the kinds that the leg matches, of the day,
day_entry AS (%1$s
    AND e.business_date = %2$s AND e.recon_date = %2$s
  UNION ALL  -- and late ones, of days that were signed off by then;%1$s
    AND e.business_date < %2$s AND e.recon_date = %2$s AND e.recon_date <> e.business_date
),
-- and what the days before left open (carried = 1). waits = 1: not yet due at the day's end.
item AS (
  SELECT e.account, CASE e.book WHEN %3$s THEN 'left' ELSE 'right' END AS side, e.book,
         e.book || '/' || CAST(e.source_id AS %4$s) || '/' || e.source_key AS entry,
         COALESCE(e.match_key, 'source:' || CAST(e.source_id AS %4$s) || ':' || e.source_key) AS item_key,
         0 AS carried,
         CASE WHEN e.source_key LIKE '%%#%%' THEN 1 ELSE 0 END AS versioned,  -- key#n: a change after sign-off
         CASE%5$s
              ELSE 0 END AS waits,
         e.source_id, e.source_key, %6$s AS row_key, e.kind, e.order_key, e.match_key, e.channel_ref,
         e.amount, e.currency, e.fee, COALESCE(e.settlement_currency, e.currency) AS fee_currency,
         e.occurred_at, e.business_date, e.recon_date, 'open' AS result, CAST(NULL AS %4$s) AS pair
  FROM day_entry e
  UNION ALL
  SELECT o.account, CASE o.book WHEN %3$s THEN 'left' ELSE 'right' END, o.book,
         o.book || '/' || CAST(o.source_id AS %4$s) || '/' || o.source_key,
         COALESCE(o.match_key, 'source:' || CAST(o.source_id AS %4$s) || ':' || o.source_key),
         1, 1, CASE WHEN o.due_date > %2$s THEN 1 ELSE 0 END,
         o.source_id, o.source_key, %7$s, o.kind, o.order_key, o.match_key, o.channel_ref,
         o.amount, o.currency, o.fee, COALESCE(%8$s, o.currency),
         o.occurred_at, o.business_date, o.opened_on, 'open', CAST(NULL AS %4$s)
  FROM %9$s o
  WHERE o.%10$s AND o.%11$s AND o.leg = %12$s
    AND o.opened_on < %2$s AND (o.closed_on IS NULL OR o.closed_on >= %2$s)
),$sql$, entry_scope, day, left_book, d.text_type, reconcile.comparison_waiting(p_dialect, p_channel, p_leg, p_day),
    format(d.row_key, 'e.source_key'), format(d.row_key, 'o.source_key'), d.item_settlement_currency,
    d.open_item_relation, channel_is, account_is, reconcile.comparison_literal(p_dialect, p_leg.leg));
END
$$;
COMMENT ON FUNCTION reconcile.comparison_items(text, reconcile.channel, reconcile.leg, text, date)
IS 'The part of comparison_sql() that reads: the entries that a day takes in, and the items that earlier days left open';

CREATE FUNCTION reconcile.comparison_pass(p_pass integer, p_rule text, p_name text, previous text, OUT steps text, OUT last_step text)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  name text := 'pass_' || p_pass;
  same constant text[] := '{kind,currency,amount}';
  matched constant text := $sql$CASE WHEN MIN(p.channel_ref) OVER twins <> MAX(p.channel_ref) OVER twins
                     OR MIN(p.match_key) OVER twins <> MAX(p.match_key) OVER twins
                     OR MIN(p.fee) OVER twins <> MAX(p.fee) OVER twins
                        AND MIN(p.fee_currency) OVER twins = MAX(p.fee_currency) OVER twins
                   THEN 'differs' ELSE 'equal' END$sql$;
BEGIN
  last_step := name;
  CASE p_rule
    WHEN 'channel_ref' THEN
      steps := reconcile.comparison_pairing(name || '_both', previous,
                 format('Pass %s, channel_ref: equal channel_ref, kind, currency and amount; first those of equal match_key.', p_pass),
                 ARRAY['channel_ref', 'match_key'] || same, true, false, matched)
            || reconcile.comparison_pairing(name, name || '_both', 'The rest of the pass: whatever the match_key.',
                 ARRAY['channel_ref'] || same, true, false, matched);
    WHEN 'match_key' THEN
      steps := reconcile.comparison_pairing(name, previous,
                 format('Pass %s, match_key: equal match_key, kind, currency and amount.', p_pass),
                 ARRAY['match_key'] || same, true, false, matched);
    WHEN 'carried' THEN
      steps := format($sql$
-- Pass %1$s, carried: first, versions of one row (carried in, or changes after sign-off) that add up to nothing.
%2$s_versions AS (
  SELECT %3$s,
         CASE WHEN p.result = 'open' AND p.versioned = 1 AND COUNT(*) OVER versions > 1 AND SUM(p.amount) OVER versions = 0
              THEN 'equal' ELSE p.result END AS result, p.pair
  FROM %4$s p
  WHERE p.result <> 'equal'
  WINDOW versions AS (PARTITION BY p.result, p.versioned, p.account, p.side, p.source_id, p.row_key, p.order_key,
                                   p.match_key, p.channel_ref, p.kind, p.currency)
),$sql$, p_pass, name, reconcile.comparison_columns(), previous)
            || reconcile.comparison_pairing(name || '_both', name || '_versions',
                 'Then as the passes above, with the items carried in: channel_ref and match_key,',
                 ARRAY['channel_ref', 'match_key'] || same, false, false, matched)
            || reconcile.comparison_pairing(name || '_reference', name || '_both', 'channel_ref alone,',
                 ARRAY['channel_ref'] || same, false, false, matched)
            || reconcile.comparison_pairing(name, name || '_reference', 'match_key alone.',
                 ARRAY['match_key'] || same, false, false, matched);
    WHEN 'net_order' THEN
      steps := format($sql$
-- Pass %1$s, net_order: the open entries of an order add up to the same in both books; in one book alone, when one of
-- them is a reversal. One against one is a pair, of one kind.
%2$s AS (
  SELECT %3$s,
         CASE WHEN p.result = 'open' AND COUNT(*) OVER orders > 1
                   AND SUM(CASE p.side WHEN 'left' THEN p.amount ELSE -p.amount END) OVER orders = 0
                   AND (MIN(p.side) OVER orders <> MAX(p.side) OVER orders
                        OR MAX(CASE p.kind WHEN 'reversal' THEN 1 ELSE 0 END) OVER orders = 1)
              THEN CASE WHEN COUNT(*) OVER orders > 2 OR MIN(p.side) OVER orders = MAX(p.side) OVER orders THEN 'equal'
                        WHEN MIN(p.kind) OVER orders <> MAX(p.kind) OVER orders THEN 'open'
                        ELSE %4$s END
              ELSE p.result END AS result,
         CASE WHEN p.result = 'open' THEN MAX(CASE p.side WHEN 'left' THEN p.entry END) OVER orders ELSE p.pair END AS pair
  FROM %5$s p
  WHERE p.result <> 'equal'
  WINDOW orders AS (PARTITION BY p.result, p.account, p.order_key, p.currency)
),$sql$, p_pass, name, reconcile.comparison_columns(), replace(matched, 'OVER twins', 'OVER orders'), previous);
    ELSE
      last_step := previous;
      steps := format(E'\n-- Pass %s, %s %s, is left out: what it matches is shown as what it is without it.', p_pass, p_rule,
                      regexp_replace(p_name, '[[:cntrl:]]', ' ', 'g'));
  END CASE;
END
$$;
COMMENT ON FUNCTION reconcile.comparison_pass(integer, text, text, text)
IS 'The part of comparison_sql() for one pass of a leg, reading the step before it, and the name of its last step';

CREATE FUNCTION reconcile.comparison_verdict(p_dialect text, p_channel reconcile.channel, p_leg reconcile.leg, p_day date,
                                             previous text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT reconcile.comparison_pairing('key_and_kind', previous,
           'What is left. The n-th open left entry of a match_key and kind stands against the n-th right one.',
           ARRAY['match_key', 'kind'], false, true, '''unequal''')
      || reconcile.comparison_pairing('key_alone', 'key_and_kind', 'Of the rest, the same, whatever their kinds.',
           ARRAY['match_key'], false, true, '''unequal''')
      || format($sql$
-- What is alone, counted within its match_key and kind.
single AS (
  SELECT p.*, ROW_NUMBER() OVER (PARTITION BY p.account, p.side, p.match_key, p.kind
                                 ORDER BY p.occurred_at NULLS LAST, p.business_date, p.source_id, p.source_key) AS place
  FROM key_alone p
  WHERE p.result = 'open'
),
-- What the other book has of the same movements, up to the day: the n-th single entry stands against the n-th that did
-- not succeed; of those that did, it is enough that there is one.
wanted AS (
  SELECT DISTINCT s.account, s.side, s.order_key, s.match_key, s.kind FROM single s WHERE s.match_key IS NOT NULL
),
counterpart AS (
  SELECT w.account, w.side, w.order_key, w.match_key, w.kind, e.effective, e.status,
         e.book || '/' || CAST(e.source_id AS %1$s) || '/' || e.source_key AS entry,
         ROW_NUMBER() OVER (PARTITION BY w.account, w.side, w.order_key, w.match_key, w.kind, e.effective
                            ORDER BY e.occurred_at NULLS LAST, e.source_id, e.source_key) AS place
  FROM wanted w
  JOIN %2$s e ON e.account = w.account AND e.order_key = w.order_key AND e.match_key = w.match_key AND e.kind = w.kind
             AND e.book = CASE w.side WHEN 'left' THEN %3$s ELSE %4$s END
  WHERE e.channel = %5$s AND e.book IN (%4$s, %3$s) AND e.recon_date <= DATE '%6$s'
),
judged AS (
  SELECT s.account,
         CASE WHEN f.status <> 'pending' THEN 'status_mismatch'
              WHEN s.waits = 1 THEN 'in_transit'
              WHEN f.status = 'pending' THEN 'status_mismatch'
              WHEN t.entry IS NOT NULL THEN 'duplicate_' || s.book
              WHEN s.side = 'left' THEN 'missing_' || %3$s
              ELSE 'missing_' || %4$s END AS kind,
         s.item_key, s.kind AS entry_kind, s.entry AS first_entry, s.currency,
         CASE s.side WHEN 'left' THEN -s.amount ELSE s.amount END AS difference,
         CASE s.side WHEN 'left' THEN s.amount END AS left_amount,
         CASE s.side WHEN 'left' THEN s.currency END AS left_currency,
         CASE s.side WHEN 'right' THEN s.amount END AS right_amount,
         CASE s.side WHEN 'right' THEN s.currency END AS right_currency,
         CASE s.side WHEN 'left' THEN s.entry ELSE f.entry END AS left_entry,
         CASE s.side WHEN 'right' THEN s.entry ELSE f.entry END AS right_entry, s.business_date
  FROM single s
  LEFT JOIN counterpart f ON f.account = s.account AND f.side = s.side AND f.order_key = s.order_key
                         AND f.match_key = s.match_key AND f.kind = s.kind AND NOT f.effective AND f.place = s.place
  LEFT JOIN counterpart t ON t.account = s.account AND t.side = s.side AND t.order_key = s.order_key
                         AND t.match_key = s.match_key AND t.kind = s.kind AND t.effective AND t.place = 1
),
-- What stands against each other, in one row: matched, and yet a fee or reference differs; or not matched.
pair AS (
  SELECT p.account, p.result, MIN(p.business_date) AS business_date,
         MAX(CASE p.side WHEN 'left' THEN p.entry END) AS left_entry,
         MAX(CASE p.side WHEN 'left' THEN p.item_key END) AS left_key,
         MAX(CASE p.side WHEN 'left' THEN p.kind END) AS left_kind,
         MAX(CASE p.side WHEN 'left' THEN p.amount END) AS left_amount,
         MAX(CASE p.side WHEN 'left' THEN p.currency END) AS left_currency,
         MAX(CASE p.side WHEN 'left' THEN p.fee END) AS left_fee,
         MAX(CASE p.side WHEN 'left' THEN p.fee_currency END) AS left_fee_currency,
         MAX(CASE p.side WHEN 'left' THEN p.recon_date END) AS left_since,
         MAX(CASE p.side WHEN 'right' THEN p.entry END) AS right_entry,
         MAX(CASE p.side WHEN 'right' THEN p.item_key END) AS right_key,
         MAX(CASE p.side WHEN 'right' THEN p.kind END) AS right_kind,
         MAX(CASE p.side WHEN 'right' THEN p.amount END) AS right_amount,
         MAX(CASE p.side WHEN 'right' THEN p.currency END) AS right_currency,
         MAX(CASE p.side WHEN 'right' THEN p.fee END) AS right_fee,
         MAX(CASE p.side WHEN 'right' THEN p.fee_currency END) AS right_fee_currency,
         MAX(CASE p.side WHEN 'right' THEN p.recon_date END) AS right_since
  FROM key_alone p
  WHERE p.result IN ('differs', 'unequal')
  GROUP BY p.account, p.result, p.pair
),
named AS (
  SELECT p.*,
         CASE WHEN p.result = 'differs' AND p.left_fee <> p.right_fee AND p.left_fee_currency = p.right_fee_currency
                THEN 'fee_mismatch'
              WHEN p.result = 'differs' THEN 'reference_mismatch'
              WHEN p.left_currency <> p.right_currency THEN 'currency_mismatch'
              WHEN p.left_kind <> p.right_kind THEN 'kind_mismatch'
              WHEN p.left_amount <> p.right_amount THEN 'amount_mismatch'
              ELSE 'reference_mismatch' END AS kind
  FROM pair p
)
SELECT j.account, j.kind, j.item_key, j.entry_kind, j.currency, j.difference, j.left_amount, j.left_currency,
       j.right_amount, j.right_currency, j.left_entry, j.right_entry, j.first_entry, j.business_date
FROM judged j
UNION ALL
-- Right minus left, of fees left minus right: positive is to our advantage. Known by the entry that came first.
SELECT n.account, n.kind,
       CASE WHEN n.left_since <= n.right_since THEN n.left_key ELSE n.right_key END,
       CASE WHEN n.left_since <= n.right_since THEN n.left_kind ELSE n.right_kind END,
       CASE n.kind WHEN 'fee_mismatch' THEN n.right_fee_currency ELSE n.right_currency END,
       CASE WHEN n.kind = 'fee_mismatch' THEN n.left_fee - n.right_fee
            WHEN n.left_currency = n.right_currency THEN n.right_amount - n.left_amount END,
       CASE n.kind WHEN 'fee_mismatch' THEN n.left_fee ELSE n.left_amount END,
       CASE n.kind WHEN 'fee_mismatch' THEN n.left_fee_currency ELSE n.left_currency END,
       CASE n.kind WHEN 'fee_mismatch' THEN n.right_fee ELSE n.right_amount END,
       CASE n.kind WHEN 'fee_mismatch' THEN n.right_fee_currency ELSE n.right_currency END,
       n.left_entry, n.right_entry,
       CASE WHEN n.left_since <= n.right_since THEN n.left_entry ELSE n.right_entry END,
       n.business_date
FROM named n
ORDER BY account, kind, item_key, first_entry
$sql$, (reconcile.comparison_dialect(p_dialect)).text_type, (reconcile.comparison_dialect(p_dialect)).entry_relation,
         reconcile.comparison_literal(p_dialect, p_leg.right_book), reconcile.comparison_literal(p_dialect, p_leg.left_book),
         reconcile.comparison_literal(p_dialect, p_channel.channel), to_char(p_day, 'YYYY-MM-DD'))
$$;
COMMENT ON FUNCTION reconcile.comparison_verdict(text, reconcile.channel, reconcile.leg, date, text)
IS 'The part of comparison_sql() that says what the passes leave: pairs that differ, what is in transit, what is due and missing';

CREATE FUNCTION reconcile.comparison_sql(channel text, business_date date, dialect text DEFAULT 'postgres',
                                         leg text DEFAULT NULL, account text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  the_channel reconcile.channel;
  the_leg reconcile.leg;
  names text[];
  pass record;
  part record;
  last_step text := 'item';
  body text;
BEGIN
  PERFORM reconcile.comparison_dialect(dialect);
  PERFORM reconcile.require_open_channel_day(channel, business_date);
  IF account IS NOT NULL THEN
    PERFORM reconcile.require_account(channel, account);
  END IF;
  -- All accounts: who runs the text reads those that they may see.
  IF account IS NOT NULL OR NOT reconcile.has_access(channel, NULL) THEN
    PERFORM reconcile.require_access(channel, account);
  END IF;
  SELECT c.* INTO the_channel FROM reconcile.channel c WHERE c.channel = comparison_sql.channel;
  SELECT array_agg(DISTINCT l.leg ORDER BY l.leg) INTO names
  FROM reconcile.leg l WHERE l.channel = comparison_sql.channel;
  IF leg IS NULL AND cardinality(names) > 1 THEN
    RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
      MESSAGE = format('channel "%s" has %s legs: which of them?', channel, cardinality(names)),
      DETAIL = format('They are %s.', array_to_string(names, ', ')), HINT = 'Name one: leg => ...';
  END IF;
  SELECT l.* INTO the_leg FROM reconcile.leg l
  WHERE l.channel = comparison_sql.channel AND l.leg = coalesce(comparison_sql.leg, names[1])
    AND l.valid_from <= comparison_sql.business_date
  ORDER BY l.valid_from DESC LIMIT 1;
  IF the_leg.leg IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('leg "%s" of channel "%s" does not exist', coalesce(leg, names[1]), channel),
      DETAIL = format('No version of it is valid on %s.', business_date),
      HINT = 'The legs of a channel are listed in reconcile.leg.';
  END IF;

  body := reconcile.comparison_items(dialect, the_channel, the_leg, account, business_date);
  FOR pass IN
    SELECT r.pass, r.rule, r.name FROM reconcile.match_rule r
    WHERE r.channel = comparison_sql.channel AND r.leg = the_leg.leg AND r.enabled
      AND r.version = reconcile.rule_set(comparison_sql.channel, the_leg.leg, comparison_sql.business_date)
    ORDER BY r.pass
  LOOP
    part := reconcile.comparison_pass(pass.pass, pass.rule, pass.name, last_step);
    body := body || part.steps;
    last_step := part.last_step;
  END LOOP;
  RETURN regexp_replace(
           format('-- What the run of %s finds: channel %s, %s, leg %s (%s against %s).', business_date, channel,
                  coalesce('account ' || account, 'every account'), the_leg.leg, the_leg.left_book, the_leg.right_book),
           '[[:cntrl:]]', ' ', 'g')
    || $sql$
-- Entries that stand against each other and differ, entries that are alone and due, and entries in transit.
-- Every step reads the one before it. result: open; equal (matched: left out of the next step); differs (matched, and
-- yet a fee or reference differs); unequal (not matched, and yet of one key). pair: the left entry of the two.
-- Not in here: matches of earlier days, matches confirmed by hand, over-refunds, what adjustments settle on this day.
WITH$sql$ || body
    || reconcile.comparison_verdict(dialect, the_channel, the_leg, business_date, last_step);
END
$$;
COMMENT ON FUNCTION reconcile.comparison_sql(text, date, text, text, text)
IS 'The reconciliation of a day as one SELECT in plain SQL: what a run of the exact passes finds that day, discrepancies and items in transit';

GRANT EXECUTE ON FUNCTION reconcile.comparison_sql(text, date, text, text, text) TO reconcile_reader;

-- method => 'sql': the figures of a day as the plain SQL finds them. Publishes nothing.
CREATE FUNCTION reconcile.run_leg_sql(p_channel text, p_account text, p_leg text, p_day date, p_force boolean)
RETURNS reconcile.run
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET jit = off
AS $$
DECLARE
  result reconcile.run;
  statement text := reconcile.comparison_sql(p_channel, p_day, 'postgres', p_leg, p_account);
  the_leg reconcile.leg;
BEGIN
  SELECT l.* INTO the_leg FROM reconcile.leg l
  WHERE l.channel = p_channel AND l.leg = p_leg AND l.valid_from <= p_day ORDER BY l.valid_from DESC LIMIT 1;
  result.channel := p_channel;
  result.account := p_account;
  result.leg := p_leg;
  result.business_date := p_day;
  result.method := 'sql';
  result.dry_run := true;
  result.current := false;
  result.requested_by := session_user;
  result.started_at := clock_timestamp();
  result.snapshot := pg_current_snapshot();
  result.waiting_for := array_to_string(
    reconcile.waiting_for(p_channel, p_account, p_leg, the_leg.left_book, the_leg.right_book, p_day), '; ');
  result.forced := p_force AND result.waiting_for IS NOT NULL;
  IF result.waiting_for IS NOT NULL AND NOT p_force THEN
    result.state := 'waiting';
    RETURN result;
  END IF;
  -- Passes that the text has nothing for are named.
  SELECT jsonb_build_object('leg', the_leg.version, 'passes',
           coalesce(jsonb_object_agg(r.pass, jsonb_build_object('rule', r.name, 'version', r.version)), '{}'),
           'left_out', coalesce(jsonb_agg(r.name ORDER BY r.pass)
                                FILTER (WHERE r.rule NOT IN ('channel_ref', 'match_key', 'carried', 'net_order')), '[]'))
  INTO result.rules
  FROM reconcile.match_rule r
  WHERE r.channel = p_channel AND r.leg = p_leg AND r.enabled AND r.version = reconcile.rule_set(p_channel, p_leg, p_day);
  SELECT count(*) FILTER (WHERE e.book = the_leg.left_book), count(*) FILTER (WHERE e.book = the_leg.right_book)
  INTO result.left_entries, result.right_entries
  FROM (SELECT e.book, e.kind FROM reconcile.entry e
        WHERE e.channel = p_channel AND e.account = p_account AND e.business_date = p_day AND e.recon_date = p_day AND e.effective
        UNION ALL
        SELECT e.book, e.kind FROM reconcile.entry e
        WHERE e.channel = p_channel AND e.account = p_account AND e.recon_date = p_day AND e.recon_date <> e.business_date AND e.effective) e
  WHERE the_leg.kinds -> e.kind = '"match"';
  EXECUTE format('SELECT count(*) FILTER (WHERE f.kind = ''in_transit''), count(*) FILTER (WHERE f.kind <> ''in_transit'') FROM (%s) f',
                 statement)
  INTO result.in_transit, result.discrepancies_open;
  result.state := 'succeeded';
  result.finished_at := clock_timestamp();
  RETURN result;
END
$$;
COMMENT ON FUNCTION reconcile.run_leg_sql(text, text, text, date, boolean)
IS 'Runs comparison_sql() for one leg of one account and returns its figures as a row of reconcile.run; writes nothing';
