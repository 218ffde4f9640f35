-- What the tests of incremental runs say and ask.

-- What a source says of a row: I, U or D.
CREATE FUNCTION public.say(operation text, p_book text, p_key text, p_amount text, p_day date, p_order text DEFAULT NULL,
                           p_match text DEFAULT NULL, p_ref text DEFAULT NULL, p_kind text DEFAULT 'payment',
                           p_status text DEFAULT 'success', p_fee text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  source integer := CASE p_book WHEN 'internal' THEN 1 ELSE 2 END;
  name text := coalesce(p_order, p_key);
BEGIN
  IF operation = 'D' THEN
    RETURN reconcile.change_entries(source, NULL, ARRAY['D'], ARRAY[p_key], ARRAY[NULL]::text[], ARRAY[NULL]::text[],
      ARRAY[NULL]::text[], ARRAY[NULL]::text[], NULL, ARRAY[NULL]::text[], NULL, NULL, NULL, ARRAY[NULL]::text[],
      ARRAY[NULL]::text[], NULL, NULL, NULL, NULL, NULL, ARRAY[NULL]::text[], NULL, ARRAY[NULL]::timestamptz[], NULL,
      ARRAY[NULL]::date[], NULL, NULL);
  END IF;
  PERFORM reconcile.prepare_entries(ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_day + interval '10 hours'], ARRAY[p_day], ARRAY[p_status]);
  IF operation = 'I' THEN
    RETURN reconcile.insert_entries(source, NULL, ARRAY[p_key], ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_kind], NULL,
      ARRAY[name], ARRAY[coalesce(p_match, name)], ARRAY[p_ref], NULL, ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, ARRAY[p_fee],
      NULL, ARRAY[p_status], NULL, ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
  END IF;
  RETURN reconcile.change_entries(source, NULL, ARRAY['U'], ARRAY[p_key], ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_kind], NULL,
      ARRAY[name], ARRAY[coalesce(p_match, name)], ARRAY[p_ref], NULL, ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, ARRAY[p_fee],
      NULL, ARRAY[p_status], NULL, ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
END
$$;
CREATE FUNCTION public.both_say(operation text, p_key text, p_amount text, p_day date) RETURNS bigint LANGUAGE sql AS $$
  SELECT say(operation, 'internal', p_key, p_amount, p_day) + say(operation, 'trade', p_key, p_amount, p_day)
$$;
CREATE FUNCTION public.adjust(p_item text, p_amount numeric, p_day date) RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO reconcile.adjustment (discrepancy_id, amount, currency, recon_date, state, reason_code, proposed_by, decided_by)
  SELECT d.discrepancy_id, p_amount, 'CNY', p_day, 'approved', 'test', 'anna', 'ben'
  FROM reconcile.discrepancy d WHERE d.item_key = p_item RETURNING adjustment_id
$$;

-- All that runs publish, a line each, without numbers that only tell one run from another.
CREATE FUNCTION public.published() RETURNS SETOF text LANGUAGE sql SET timezone = 'UTC' AS $$
  SELECT concat_ws(' ', 'run', r.business_date, r.state, r.left_entries, r.right_entries, r.matched_pairs, r.matched_groups, r.in_transit,
                   r.discrepancies_new, r.discrepancies_cleared, r.discrepancies_open, r.digest, r.proof, r.proof_difference,
                   r.detail - 'transaction' - 'last_change', r.forced)
  FROM reconcile.run r WHERE r.current
  UNION ALL SELECT concat_ws(' ', 'total', r.business_date, to_jsonb(t) - 'run_id') FROM reconcile.run_total t JOIN reconcile.run r USING (run_id) WHERE r.current
  UNION ALL SELECT concat_ws(' ', 'item', to_jsonb(o)) FROM reconcile.open_item o
  UNION ALL SELECT concat_ws(' ', 'match', to_jsonb(g) - 'group_id' - 'run_id' - 'created_at',
                             (SELECT jsonb_agg(to_jsonb(m) - 'group_id' ORDER BY m.book, m.source_id, m.source_key) FROM reconcile.match_item m WHERE m.group_id = g.group_id))
            FROM reconcile.match_group g
  UNION ALL SELECT concat_ws(' ', 'suggestion', to_jsonb(s) - 'suggestion_id' - 'run_id' - 'created_at') FROM reconcile.match_suggestion s
  UNION ALL SELECT concat_ws(' ', 'discrepancy', to_jsonb(d) - 'discrepancy_id' - 'first_run_id' - 'last_run_id' - 'created_at' - 'updated_at')
            FROM reconcile.discrepancy d
  UNION ALL SELECT concat_ws(' ', 'event', e.event, e.details) FROM reconcile.discrepancy_event e
$$;
-- How the incremental run of a day was done, and what a batch on the same data would have published besides or instead.
CREATE FUNCTION public.compared(p_day date, p_force boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  batch text[];
  done text;
  difference text;
BEGIN
  BEGIN
    PERFORM reconcile.run('pay', p_day, force => p_force);
    batch := ARRAY(SELECT published());
    RAISE EXCEPTION USING ERRCODE = 'TS001';
  EXCEPTION WHEN SQLSTATE 'TS001' THEN
    NULL;
  END;
  SELECT string_agg(concat_ws(' ', r.business_date - current_date + 10 || ':', r.method, r.batch_reason), ', ' ORDER BY r.business_date) INTO done
  FROM reconcile.run('pay', p_day, method => 'incremental', force => p_force) r;
  SELECT string_agg(l, E'\n') INTO difference
  FROM (SELECT '- ' || l FROM (SELECT unnest(batch) EXCEPT ALL SELECT published()) x (l)
        UNION ALL SELECT '+ ' || l FROM (SELECT published() EXCEPT ALL SELECT unnest(batch)) x (l)) d (l);
  RETURN concat_ws(E'\n', done, difference);
END
$$;
CREATE FUNCTION public.after_change(what text, changed bigint, done text DEFAULT '0: incremental, 1: incremental') RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  RETURN is(compared(current_date - 9), done, what);
END
$$;
