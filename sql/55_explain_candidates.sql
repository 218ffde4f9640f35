-- What stands between two entries: predicates, the tolerance that would do, and the conditions of each rule.

CREATE FUNCTION reconcile.entry_in_words(entry jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%s book: %s %s, %s, on %s', entry ->> 'book', entry ->> 'kind', coalesce(entry ->> 'match_key', entry ->> 'source_key'),
                reconcile.amount_text((entry ->> 'amount')::numeric, entry ->> 'currency'), entry ->> 'business_date')
$$;
COMMENT ON FUNCTION reconcile.entry_in_words(jsonb) IS 'An entry for people: its book, kind, key, amount and day';

CREATE FUNCTION reconcile.side_in_words(entry jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN entry IS NULL THEN 'none'
              ELSE concat_ws(', ', (entry ->> 'book') || ' book', entry ->> 'status', entry ->> 'amount', 'source key ' || (entry ->> 'source_key')) END
$$;
COMMENT ON FUNCTION reconcile.side_in_words(jsonb) IS 'What a book has, for people: status, amount and source key';

CREATE FUNCTION reconcile.seconds_in_words(seconds numeric) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT trim_scale(seconds_in_words.seconds / u.seconds) || ' ' || u.name || CASE WHEN seconds_in_words.seconds = u.seconds THEN '' ELSE 's' END
  FROM (VALUES (86400, 'day'), (3600, 'hour'), (60, 'minute'), (1, 'second')) AS u (seconds, name)
  WHERE mod(seconds_in_words.seconds, u.seconds) = 0 OR u.seconds = 1
  ORDER BY u.seconds DESC LIMIT 1
$$;
COMMENT ON FUNCTION reconcile.seconds_in_words(numeric) IS 'A time distance as people and match rules write it, in the largest unit that it is a multiple of';

CREATE FUNCTION reconcile.match_predicates(left_entry jsonb, right_entry jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_agg(jsonb_build_object('predicate', p.name, 'left', s.l -> p.name, 'right', s.r -> p.name, 'holds', p.holds)
                   || coalesce(jsonb_strip_nulls(p.more), '{}') ORDER BY p.n)
  FROM (SELECT left_entry, right_entry) AS s (l, r)
  CROSS JOIN LATERAL (
    SELECT k.n, k.name, coalesce(s.l ->> k.name = s.r ->> k.name, false), NULL::jsonb
    FROM unnest('{channel_ref,match_key,order_key,kind,currency}'::text[]) WITH ORDINALITY AS k (name, n)
    UNION ALL
    SELECT 6, 'amount', (s.l ->> 'amount')::numeric = (s.r ->> 'amount')::numeric,
           CASE WHEN s.l ->> 'currency' = s.r ->> 'currency' THEN
             jsonb_build_object('difference', trim_scale((s.r ->> 'amount')::numeric - (s.l ->> 'amount')::numeric)) END
    UNION ALL
    SELECT 7, 'occurred_at', coalesce((s.l ->> 'occurred_at')::timestamptz = (s.r ->> 'occurred_at')::timestamptz, false),
           jsonb_build_object('seconds', trim_scale(extract(epoch FROM (s.r ->> 'occurred_at')::timestamptz)
                                                    - extract(epoch FROM (s.l ->> 'occurred_at')::timestamptz)))
    UNION ALL
    SELECT 8, 'business_date', (s.l ->> 'business_date')::date = (s.r ->> 'business_date')::date,
           jsonb_build_object('days', (s.r ->> 'business_date')::date - (s.l ->> 'business_date')::date)
    UNION ALL
    SELECT 9, 'status', coalesce((s.l ->> 'effective')::boolean, true) AND coalesce((s.r ->> 'effective')::boolean, true), NULL
  ) AS p (n, name, holds, more)
$$;
COMMENT ON FUNCTION reconcile.match_predicates(jsonb, jsonb)
IS 'What matching compares of two entries: [{predicate, left, right, holds}], amounts with their difference, dates with their distance, right minus left; status holds when both move money';

CREATE FUNCTION reconcile.failed_in_words(predicates jsonb, currency text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(CASE
           WHEN p.e ->> 'left' IS NULL OR p.e ->> 'right' IS NULL THEN
             format('%s stated %s', replace(p.e ->> 'predicate', '_', ' '),
                    CASE WHEN num_nulls(p.e ->> 'left', p.e ->> 'right') = 2 THEN 'by neither'
                         WHEN p.e ->> 'left' IS NULL THEN 'on the right alone' ELSE 'on the left alone' END)
           WHEN p.e ->> 'predicate' = 'status' THEN format('status %s against %s', p.e ->> 'left', p.e ->> 'right')
           WHEN p.e ->> 'predicate' = 'amount' AND p.e ? 'difference' THEN
             'amount differs by ' || reconcile.amount_text(abs((p.e ->> 'difference')::numeric), failed_in_words.currency)
           WHEN p.e ? 'seconds' OR p.e ? 'days' THEN
             format('%s %s %s on the right', replace(p.e ->> 'predicate', '_', ' '),
                    reconcile.seconds_in_words(abs(coalesce((p.e ->> 'seconds')::numeric, (p.e ->> 'days')::numeric * 86400))),
                    CASE WHEN coalesce((p.e ->> 'seconds')::numeric, (p.e ->> 'days')::numeric) < 0 THEN 'earlier' ELSE 'later' END)
           ELSE format('another %s', replace(p.e ->> 'predicate', '_', ' ')) END, ', ' ORDER BY p.n)
  FROM jsonb_array_elements(predicates) WITH ORDINALITY AS p (e, n)
  WHERE NOT (p.e ->> 'holds')::boolean
    AND NOT (p.e ->> 'predicate' IN ('channel_ref', 'match_key', 'occurred_at') AND num_nulls(p.e ->> 'left', p.e ->> 'right') > 0)
$$;
COMMENT ON FUNCTION reconcile.failed_in_words(jsonb, text) IS 'The predicates that do not hold, in words; NULL when all that both entries state do';

CREATE FUNCTION reconcile.tolerance_between(left_entry jsonb, right_entry jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object(
           'amount', CASE WHEN a.l <> a.r AND sign(a.l) = sign(a.r) AND left_entry ->> 'currency' = right_entry ->> 'currency' THEN
             -- rounded up, exactly
             jsonb_build_object('within', trim_scale(abs(a.r - a.l))::text,
               'percent', trim_scale((div(abs(a.r - a.l) * 1000000, abs(a.l))
                                      + sign(mod(abs(a.r - a.l) * 1000000, abs(a.l)))) / 10000)::text) END,
           'window', (SELECT jsonb_agg(jsonb_build_object('on', w.name, CASE WHEN w.distance < 0 THEN 'before' ELSE 'after' END,
                                                          reconcile.seconds_in_words(ceil(abs(w.distance)))) ORDER BY w.name)
                      FROM (VALUES ('business_date', (a.rb - a.lb) * 86400::numeric),
                                   ('occurred_at', extract(epoch FROM a.ro) - extract(epoch FROM a.lo))) AS w (name, distance)
                      WHERE w.distance <> 0)))
  FROM (SELECT (left_entry ->> 'amount')::numeric, (right_entry ->> 'amount')::numeric,
               (left_entry ->> 'business_date')::date, (right_entry ->> 'business_date')::date,
               (left_entry ->> 'occurred_at')::timestamptz, (right_entry ->> 'occurred_at')::timestamptz) AS a (l, r, lb, rb, lo, ro)
$$;
COMMENT ON FUNCTION reconcile.tolerance_between(jsonb, jsonb)
IS 'The least amount and window by which a match rule would take two entries for a pair, as rules write them; empty: none is needed, or none does';

-- By keys through their indexes, and open items of the nearest amounts. For who is restricted by reconcile.access,
-- row level security would keep amounts out of index conditions (comparing numerics is not leakproof): so the owner
-- reads, and who may not see the account finds nothing.
CREATE FUNCTION reconcile.nearest_candidates(p_channel text, p_account text, p_leg text, p_book text, p_entry jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  the_order text := p_entry ->> 'order_key';
  the_key text := p_entry ->> 'match_key';
  the_ref text := p_entry ->> 'channel_ref';
  the_currency text := p_entry ->> 'currency';
  the_amount numeric := (p_entry ->> 'amount')::numeric;
  the_day date := (p_entry ->> 'business_date')::date;
BEGIN
  IF NOT reconcile.has_access(p_channel, coalesce(p_account, '')) THEN
    RETURN;
  END IF;
  RETURN QUERY
    WITH found AS (
      (SELECT to_jsonb(e) AS x FROM reconcile.entry e
       WHERE e.channel = p_channel AND e.account = p_account AND e.book = p_book AND e.order_key IN (the_order, the_key) LIMIT 50)
      UNION ALL
      (SELECT to_jsonb(e) FROM reconcile.entry e
       WHERE e.channel = p_channel AND e.account = p_account AND e.book = p_book
         AND e.match_key = the_key AND e.match_key <> e.order_key LIMIT 50)
      UNION ALL
      (SELECT to_jsonb(e) FROM reconcile.entry e
       WHERE e.channel = p_channel AND e.account = p_account AND e.book = p_book AND e.channel_ref = the_ref LIMIT 50)
      UNION ALL
      (SELECT o.entry FROM reconcile.open_item o
       WHERE o.channel = p_channel AND o.account = p_account AND o.leg = p_leg AND o.book = p_book AND o.closed_on IS NULL
         AND o.currency = the_currency AND o.amount BETWEEN the_amount AND the_amount + abs(the_amount) / 10
         AND o.business_date BETWEEN the_day - 7 AND the_day + 7
       ORDER BY o.amount LIMIT 10)
      UNION ALL
      (SELECT o.entry FROM reconcile.open_item o
       WHERE o.channel = p_channel AND o.account = p_account AND o.leg = p_leg AND o.book = p_book AND o.closed_on IS NULL
         AND o.currency = the_currency AND o.amount >= the_amount - abs(the_amount) / 10 AND o.amount < the_amount
         AND o.business_date BETWEEN the_day - 7 AND the_day + 7
       ORDER BY o.amount DESC LIMIT 10)
    ), one AS (
      SELECT DISTINCT ON ((f.x ->> 'source_id')::integer, f.x ->> 'source_key') f.x FROM found f
      ORDER BY (f.x ->> 'source_id')::integer, f.x ->> 'source_key'
    )
    SELECT o.x FROM one o
    ORDER BY coalesce(o.x ->> 'channel_ref' = the_ref OR o.x ->> 'match_key' = the_key, false) DESC,
             (o.x ->> 'order_key' = the_order) DESC, (o.x ->> 'currency' = the_currency) DESC,
             abs((o.x ->> 'amount')::numeric - the_amount), abs((o.x ->> 'business_date')::date - the_day),
             (o.x ->> 'source_id')::integer, (o.x ->> 'source_key') COLLATE "C"
    LIMIT 10;
END
$$;
COMMENT ON FUNCTION reconcile.nearest_candidates(text, text, text, text, jsonb)
IS 'The at most 10 entries of a book that are nearest to an entry of another: of its channel_ref, match_key or order_key, and open items of its currency within 7 days and a tenth of its amount';

CREATE FUNCTION reconcile.rule_column(entry jsonb, name text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT nullif(CASE WHEN name LIKE 'attributes.%' THEN entry -> 'attributes' -> substr(name, 12) ELSE entry -> name END, 'null')
$$;
COMMENT ON FUNCTION reconcile.rule_column(jsonb, text) IS 'A column of an entry, or one of its attributes, as keys of match rules name it';

-- Two entries against one rule. Groups and subsets compare sums: their amounts are told of these two alone.
CREATE FUNCTION reconcile.rule_conditions(p_rule text, p_settings jsonb, p_left jsonb, p_right jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  exact boolean := p_rule IN ('channel_ref', 'match_key', 'carried', 'net_order');
  l numeric := (p_left ->> 'amount')::numeric;
  r numeric := (p_right ->> 'amount')::numeric;
  within numeric := coalesce((p_settings -> 'amount' ->> 'within')::numeric, 0);
  allowed numeric := greatest(within, coalesce(least((p_settings -> 'amount' ->> 'percent')::numeric * abs(l) / 100,
                                                     (p_settings -> 'amount' ->> 'cap')::numeric), 0));
  sums text := CASE WHEN p_rule IN ('net_order', 'group', 'subset') THEN ' (these two alone; the rule adds up all entries of a block)' ELSE '' END;
  time_column text := p_settings -> 'window' ->> 'on';
  distance numeric;
  earliest numeric := -coalesce(extract(epoch FROM (p_settings -> 'window' ->> 'before')::interval), 0);
  latest numeric := coalesce(extract(epoch FROM (p_settings -> 'window' ->> 'after')::interval), 0);
  result jsonb;
BEGIN
  IF time_column = 'occurred_at' THEN
    distance := extract(epoch FROM (p_right ->> time_column)::timestamptz) - extract(epoch FROM (p_left ->> time_column)::timestamptz);
  ELSIF time_column IS NOT NULL THEN
    distance := ((p_right ->> time_column)::date - (p_left ->> time_column)::date) * 86400;
  END IF;
  WITH condition (n, name, lv, rv, holds, why) AS (
    SELECT k.n, k.name, k.lv, k.rv, coalesce(k.lv = k.rv, false),
           CASE WHEN k.lv IS NULL AND k.rv IS NULL THEN k.name || ' is NULL'
                WHEN k.lv IS NULL THEN k.name || ' is NULL on the left'
                WHEN k.rv IS NULL THEN k.name || ' is NULL on the right'
                ELSE k.name || ' differs' END
    FROM (SELECT u.n, u.name, reconcile.rule_column(p_left, u.name), reconcile.rule_column(p_right, u.name)
          FROM unnest(CASE WHEN p_rule IN ('channel_ref', 'match_key') THEN ARRAY[p_rule, 'recon_date', 'kind']
                           WHEN p_rule = 'net_order' THEN '{order_key}'::text[] WHEN p_rule = 'carried' THEN '{kind}'::text[]
                           ELSE ARRAY(SELECT jsonb_array_elements_text(p_settings -> 'key')) END) WITH ORDINALITY AS u (name, n)) AS k (n, name, lv, rv)
    UNION ALL
    SELECT 100, 'channel_ref or match_key', coalesce(reconcile.rule_column(p_left, 'channel_ref'), p_left -> 'match_key'),
           coalesce(reconcile.rule_column(p_right, 'channel_ref'), p_right -> 'match_key'),
           coalesce(p_left ->> 'channel_ref' = p_right ->> 'channel_ref', false) OR coalesce(p_left ->> 'match_key' = p_right ->> 'match_key', false),
           'neither channel_ref nor match_key is equal'
    WHERE p_rule = 'carried'
    UNION ALL
    SELECT 101, 'currency', p_left -> 'currency', p_right -> 'currency', p_left -> 'currency' = p_right -> 'currency', 'currency differs'
    UNION ALL
    SELECT 102, 'kinds', p_left -> 'kind', p_right -> 'kind',
           coalesce(p_settings -> 'kinds' -> 'left' ? (p_left ->> 'kind'), true) AND coalesce(p_settings -> 'kinds' -> 'right' ? (p_right ->> 'kind'), true),
           format('kinds %s and %s are not among its kinds', p_left ->> 'kind', p_right ->> 'kind')
    WHERE p_settings ? 'kinds'
    UNION ALL
    SELECT 103, 'source_status', p_left -> 'source_status', p_right -> 'source_status',
           coalesce(p_settings -> 'source_status' -> (p_left ->> 'source_status') ? (p_right ->> 'source_status'), false),
           format('source status %s does not go with %s', coalesce(p_left ->> 'source_status', 'NULL'), coalesce(p_right ->> 'source_status', 'NULL'))
    WHERE p_settings ? 'source_status'
    UNION ALL
    SELECT 104, 'amount', p_left -> 'amount', p_right -> 'amount',
           abs(r - l) <= allowed AND (exact OR sign(l) = sign(r) OR abs(l) <= within AND abs(r) <= within),
           CASE WHEN abs(r - l) <= allowed THEN 'signs differ'
                WHEN allowed = 0 THEN 'amount differs by ' || reconcile.amount_text(abs(r - l), p_left ->> 'currency')
                ELSE format('amount differs by %s, %s beyond its tolerance of %s', reconcile.amount_text(abs(r - l), p_left ->> 'currency'),
                            reconcile.amount_text(abs(r - l) - allowed, p_left ->> 'currency'),
                            reconcile.amount_text(allowed, p_left ->> 'currency')) END || sums
    WHERE p_left ->> 'currency' = p_right ->> 'currency'
    UNION ALL
    SELECT 105, 'window', p_left -> time_column, p_right -> time_column, coalesce(distance BETWEEN earliest AND latest, false),
           CASE WHEN distance IS NULL THEN format('%s is NULL', time_column)
                ELSE format('%s is %s outside its window', time_column,
                            reconcile.seconds_in_words(CASE WHEN distance < earliest THEN earliest - distance ELSE distance - latest END)) END
    WHERE time_column IS NOT NULL
    UNION ALL
    SELECT 106, 'status', p_left -> 'status', p_right -> 'status', false, 'one of them moved no money'
    WHERE NOT (coalesce((p_left ->> 'effective')::boolean, true) AND coalesce((p_right ->> 'effective')::boolean, true))
  )
  SELECT jsonb_agg(jsonb_build_object('predicate', c.name, 'left', c.lv, 'right', c.rv, 'holds', c.holds)
                   || CASE WHEN c.holds THEN '{}' ELSE jsonb_build_object('reason', c.why) END ORDER BY c.n)
  INTO result FROM condition c;
  RETURN result;
END
$$;
COMMENT ON FUNCTION reconcile.rule_conditions(text, jsonb, jsonb, jsonb)
IS 'The conditions of a match rule on two entries: [{predicate, left, right, holds, reason}], reason where it does not hold';
