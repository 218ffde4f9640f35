-- Whether what is stored agrees with itself: what a DBA runs after a restore, an upgrade, or a bad night.

-- The history, link by link, as append_events() chains it. NULL: intact.
CREATE FUNCTION reconcile.verify_events() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
  SELECT CASE
    WHEN c.previous_hash <> c.expected_previous
    THEN format('event %s of discrepancy %s does not follow the event before it: one was changed, removed or inserted',
                c.event_id, c.discrepancy_id)
    ELSE format('event %s of discrepancy %s is not as it was recorded', c.event_id, c.discrepancy_id) END
  FROM (
    SELECT e.event_id, e.discrepancy_id, e.previous_hash, e.hash,
           coalesce(lag(e.hash) OVER (ORDER BY e.event_id), '\x'::bytea) AS expected_previous,
           sha256(e.previous_hash || convert_to(jsonb_build_array(e.discrepancy_id, e.event, e.run_id, e.details,
                                                                  e.actor, e.recorded_at)::text, 'UTF8')) AS expected
    FROM reconcile.discrepancy_event e
  ) c
  WHERE c.previous_hash <> c.expected_previous OR c.hash <> c.expected
  ORDER BY c.event_id LIMIT 1
$$;
COMMENT ON FUNCTION reconcile.verify_events() IS 'The first broken link in the history of discrepancies, in words; NULL when the chain is intact. Keep the newest hash elsewhere: a chain cut at its end looks intact';

-- What the entries add up to less what ingestion has counted, where that is something.
CREATE FUNCTION reconcile.total_differences(of_channel text DEFAULT NULL, from_date date DEFAULT NULL, to_date date DEFAULT NULL,
                                            of_account text DEFAULT NULL)
RETURNS TABLE (channel text, account text, recon_date date, book text, kind text, currency text,
               entries bigint, amount numeric, fee numeric, digest numeric,
               counted_entries bigint, counted_amount numeric, counted_fee numeric, counted_digest numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH modulus (m) AS (VALUES (340282366920938463463374607431768211456)),
  stored AS (
    SELECT e.channel, e.account, e.recon_date, e.book, e.kind, e.currency, count(*) AS entries, sum(e.amount) AS amount,
           coalesce(sum(e.fee), 0) AS fee,
           mod(sum(reconcile.row_hash(e.order_key, e.match_key, e.channel_ref, e.kind, trim_scale(e.amount)::text,
                                      e.currency, trim_scale(e.fee)::text)), (SELECT m FROM modulus)) AS digest
    -- By its own day an entry is found through partitions and block ranges, a prior-period item by its index.
    FROM (SELECT i.* FROM reconcile.entry i
          WHERE i.recon_date = i.business_date
            AND i.business_date BETWEEN coalesce(from_date, '-infinity') AND coalesce(to_date, 'infinity')
          UNION ALL
          SELECT i.* FROM reconcile.entry i
          WHERE i.recon_date <> i.business_date
            AND i.recon_date BETWEEN coalesce(from_date, '-infinity') AND coalesce(to_date, 'infinity')) e
    WHERE e.effective AND (of_channel IS NULL OR e.channel = of_channel) AND (of_account IS NULL OR e.account = of_account)
    GROUP BY 1, 2, 3, 4, 5, 6
  ), counted AS (
    SELECT t.channel, t.account, t.recon_date, t.book, t.kind, t.currency, sum(t.entries)::bigint AS entries,
           sum(t.amount) AS amount, sum(t.fee) AS fee,
           mod(mod(sum(t.digest), (SELECT m FROM modulus)) + (SELECT m FROM modulus), (SELECT m FROM modulus)) AS digest
    FROM reconcile.entry_total t
    WHERE (of_channel IS NULL OR t.channel = of_channel) AND (of_account IS NULL OR t.account = of_account)
      AND t.recon_date BETWEEN coalesce(from_date, '-infinity') AND coalesce(to_date, 'infinity')
    GROUP BY 1, 2, 3, 4, 5, 6
  )
  SELECT coalesce(s.channel, c.channel), coalesce(s.account, c.account), coalesce(s.recon_date, c.recon_date),
         coalesce(s.book, c.book), coalesce(s.kind, c.kind), coalesce(s.currency, c.currency),
         coalesce(s.entries, 0), coalesce(s.amount, 0), coalesce(s.fee, 0), coalesce(s.digest, 0),
         coalesce(c.entries, 0), coalesce(c.amount, 0), coalesce(c.fee, 0), coalesce(c.digest, 0)
  FROM stored s
  FULL JOIN counted c ON c.channel = s.channel AND c.account = s.account AND c.recon_date = s.recon_date
    AND c.book = s.book AND c.kind = s.kind AND c.currency = s.currency
  WHERE coalesce(s.entries, 0) <> coalesce(c.entries, 0) OR coalesce(s.amount, 0) <> coalesce(c.amount, 0)
     OR coalesce(s.fee, 0) <> coalesce(c.fee, 0) OR coalesce(s.digest, 0) <> coalesce(c.digest, 0)
$$;
COMMENT ON FUNCTION reconcile.total_differences(text, date, date, text) IS 'What entries add up to, beside what ingestion has counted, where the two differ';

CREATE FUNCTION reconcile.verify_totals() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%s %s, %s, %s book, %s, %s: entries %s, amount %s, fee %s%s; counted %s, %s, %s',
                d.channel, d.account, d.recon_date, d.book, d.kind, d.currency, d.entries, d.amount, d.fee,
                CASE WHEN d.entries = d.counted_entries AND d.amount = d.counted_amount AND d.fee = d.counted_fee
                     THEN ', other contents' END,
                d.counted_entries, d.counted_amount, d.counted_fee)
  FROM reconcile.total_differences() d
$$;
COMMENT ON FUNCTION reconcile.verify_totals() IS 'Days whose entries do not add up to entry_total: runs of them fail on proof line g';

-- One statement under one snapshot: what another transaction is storing meanwhile is in neither sum.
CREATE FUNCTION reconcile.recount_totals(channel text, from_date date, to_date date) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  corrected bigint;
BEGIN
  PERFORM reconcile.require_access(recount_totals.channel, NULL);
  IF recount_totals.channel IS NULL OR from_date IS NULL OR to_date IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'recount_totals needs a channel and two dates',
      DETAIL = 'One of its arguments is NULL.', HINT = 'SELECT * FROM reconcile.verify() names the days.';
  END IF;
  INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, amount, fee, digest)
  SELECT d.channel, d.account, d.recon_date, d.book, d.kind, d.currency, d.entries - d.counted_entries,
         d.amount - d.counted_amount, d.fee - d.counted_fee, d.digest - d.counted_digest
  FROM reconcile.total_differences(recount_totals.channel, from_date, to_date) d;
  GET DIAGNOSTICS corrected = ROW_COUNT;
  IF corrected > 0 THEN
    RAISE LOG 'pg_reconcile: % corrected % totals of channel % from % to %', session_user, corrected,
      recount_totals.channel, from_date, to_date;
  END IF;
  RETURN corrected;
END $$;
COMMENT ON FUNCTION reconcile.recount_totals(text, date, date) IS 'Corrects entry_total to what the entries of these days add up to, and says in the server log who did it; how many totals were corrected. For after a repair behind the triggers'' back: first find out why they differ';

CREATE FUNCTION reconcile.verify_access() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%s: row level security is off', c.oid::regclass)
  FROM pg_class c
  WHERE c.relnamespace = 'reconcile'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
    AND (c.oid = to_regclass('reconcile.entry') OR EXISTS (SELECT FROM pg_partition_ancestors(c.oid) p
                                                           WHERE p.relid = to_regclass('reconcile.entry')))
  UNION ALL
  SELECT 'reconcile.entry: its policy channel_access is gone'
  WHERE to_regclass('reconcile.entry') IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = to_regclass('reconcile.entry')
                    AND p.polname = 'channel_access')
  UNION ALL
  SELECT 'reconcile.entry: its trigger entry_recorded is gone or off'
  WHERE to_regclass('reconcile.entry') IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = to_regclass('reconcile.entry')
                    AND t.tgname = 'entry_recorded' AND t.tgenabled <> 'D')
$$;
COMMENT ON FUNCTION reconcile.verify_access() IS 'Entry tables whose row level security, policy or trigger is missing';

CREATE FUNCTION reconcile.verify_grants() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%s: PUBLIC has %s', c.oid::regclass, a.privilege_type)
  FROM pg_class c, aclexplode(c.relacl) a
  WHERE c.relnamespace = 'reconcile'::regnamespace AND a.grantee = 0
  UNION ALL
  SELECT format('%s: PUBLIC has %s', p.oid::regprocedure, a.privilege_type)
  FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  WHERE p.pronamespace = 'reconcile'::regnamespace AND a.grantee = 0
  UNION ALL
  SELECT format('schema reconcile: PUBLIC has %s', a.privilege_type)
  FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'reconcile' AND a.grantee = 0
$$;
COMMENT ON FUNCTION reconcile.verify_grants() IS 'What PUBLIC may do in schema reconcile: nothing, unless somebody granted it';

CREATE FUNCTION reconcile.verify_partitions() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%s has no partition for %s', b.inhrelid::regclass, (current_date + d))
  FROM pg_inherits b CROSS JOIN generate_series(0, 40) d
  WHERE b.inhparent = to_regclass('reconcile.entry')
    AND NOT EXISTS (
      SELECT FROM pg_inherits m JOIN pg_class c ON c.oid = m.inhrelid
      CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('([^']+)'\) TO \('([^']+)'\)$re$) r
      WHERE m.inhparent = b.inhrelid AND current_date + d >= r[1]::date AND current_date + d < r[2]::date)
$$;
COMMENT ON FUNCTION reconcile.verify_partitions() IS 'Days of the next 40 that a book has no partition for: CALL reconcile.maintain() makes them';

CREATE FUNCTION reconcile.verify_keys() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('source %s, key %s: %s entries, in %s', e.source_id, e.source_key, count(*),
                string_agg(DISTINCT e.tableoid::regclass::text, ', '))
  FROM reconcile.entry e GROUP BY e.source_id, e.source_key HAVING count(*) > 1
$$;
COMMENT ON FUNCTION reconcile.verify_keys() IS 'Source keys that are stored more than once: in two months, books or orders';

CREATE FUNCTION reconcile.verify_references() RETURNS TABLE (relation text, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'open_item', format('%s %s, %s: source %s, key %s', o.channel, o.account, o.book, o.source_id, o.source_key)
  FROM reconcile.open_item o
  WHERE NOT EXISTS (SELECT FROM reconcile.entry e
                    WHERE e.book = o.book AND e.order_key = o.order_key AND e.source_id = o.source_id
                      AND e.source_key = o.source_key AND e.amount = o.amount AND e.currency = o.currency)
  UNION ALL
  SELECT 'match_item', format('%s %s, %s: source %s, key %s', m.channel, m.account, m.book, m.source_id, m.source_key)
  FROM reconcile.match_item m
  WHERE NOT EXISTS (SELECT FROM reconcile.entry e
                    WHERE e.book = m.book AND e.order_key = m.entry ->> 'order_key' AND e.source_id = m.source_id
                      AND e.source_key = m.source_key AND e.amount = m.amount)
$$;
COMMENT ON FUNCTION reconcile.verify_references() IS 'Open items and match items whose entry is not there, or has another amount: such a day is due to run again';

CREATE FUNCTION reconcile.listed(findings text[], shown_max integer) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_to_string(f.list[1:shown_max], '; ')
         || CASE WHEN cardinality(f.list) > shown_max THEN format('; and %s more', cardinality(f.list) - shown_max)
                 ELSE '' END
  FROM (SELECT nullif(array_remove(findings, NULL), '{}')) AS f (list)
$$;
COMMENT ON FUNCTION reconcile.listed(text[], integer) IS 'Findings as one text; NULL when there is none';

CREATE FUNCTION reconcile.verify() RETURNS TABLE ("check" text, ok boolean, details text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  shown_max CONSTANT integer := 10;
BEGIN
  RETURN QUERY
  WITH found AS (
    SELECT 'event chain' AS name, v.problem FROM (SELECT reconcile.verify_events() AS problem) v WHERE v.problem IS NOT NULL
    UNION ALL SELECT 'row level security', v FROM reconcile.verify_access() v
    UNION ALL SELECT 'public grants', v FROM reconcile.verify_grants() v
    UNION ALL SELECT 'partitions ahead', v FROM reconcile.verify_partitions() v
    UNION ALL SELECT 'stored files', v FROM reconcile.verify_store() v
  )
  SELECT c.name, count(f.problem) = 0, reconcile.listed(array_agg(f.problem ORDER BY f.problem), shown_max)
  FROM unnest(ARRAY['event chain', 'row level security', 'public grants', 'partitions ahead', 'stored files']) WITH ORDINALITY
       AS c (name, place)
  LEFT JOIN found f ON f.name = c.name
  GROUP BY c.name, c.place ORDER BY c.place;
  IF to_regclass('reconcile.entry') IS NULL THEN
    RETURN;  -- nothing can have been stored
  END IF;
  RETURN QUERY
  WITH found AS (
    SELECT 'entry totals' AS name, v AS problem FROM reconcile.verify_totals() v
    UNION ALL SELECT 'source keys', v FROM reconcile.verify_keys() v
    UNION ALL SELECT CASE v.relation WHEN 'open_item' THEN 'open items' ELSE 'match items' END, v.problem
              FROM reconcile.verify_references() v
  )
  SELECT c.name, count(f.problem) = 0, reconcile.listed(array_agg(f.problem ORDER BY f.problem), shown_max)
  FROM unnest(ARRAY['entry totals', 'source keys', 'open items', 'match items']) WITH ORDINALITY AS c (name, place)
  LEFT JOIN found f ON f.name = c.name
  GROUP BY c.name, c.place ORDER BY c.place;
END
$$;
COMMENT ON FUNCTION reconcile.verify() IS 'Whether what is stored agrees with itself, check by check, with the first ten findings of each. Reads every entry once, and 100 files of the store';

GRANT EXECUTE ON FUNCTION reconcile.verify(), reconcile.recount_totals(text, date, date) TO reconcile_admin;
