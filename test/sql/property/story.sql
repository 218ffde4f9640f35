-- A history, day by day: moves, run_due, checks, a re-run, a sign-off, now and then a reopening; at the end everything
-- again from scratch.

-- All that a signed-off day stands for.
CREATE FUNCTION play.fingerprint(p_channel text, p_day date) RETURNS text LANGUAGE sql STABLE SET timezone = 'UTC'
AS $$
  SELECT md5(concat_ws('|',
    (SELECT string_agg(r::text, ';' ORDER BY r.run_id) FROM reconcile.run r
     WHERE r.channel = p_channel AND r.current AND r.business_date <= p_day),
    (SELECT string_agg(t::text, ';' ORDER BY t.run_id, t.currency) FROM reconcile.run_total t JOIN reconcile.run r USING (run_id)
     WHERE r.channel = p_channel AND r.current AND r.business_date <= p_day),
    (SELECT string_agg(e::text, ';' ORDER BY e.book COLLATE "C", e.source_key, e.business_date) FROM reconcile.entry e
     WHERE e.channel = p_channel AND e.recon_date <= p_day),
    (SELECT string_agg(g::text || m::text, ';' ORDER BY m.group_id, m.book COLLATE "C", m.source_key)
     FROM reconcile.match_item m JOIN reconcile.match_group g USING (group_id)
     WHERE g.channel = p_channel AND g.business_date <= p_day),
    (SELECT string_agg(concat_ws(',', o.book, o.source_key, o.amount, o.opened_on,
                                 CASE WHEN o.closed_on <= p_day THEN o.closed_on::text || o.closed_by END), ';'
                       ORDER BY o.book COLLATE "C", o.source_key) FROM reconcile.open_item o
     WHERE o.channel = p_channel AND o.opened_on <= p_day)))
$$;

CREATE FUNCTION play.check(p_channel text) RETURNS SETOF text LANGUAGE sql STABLE
AS $$
  SELECT play.check_entries(p_channel)
  UNION ALL SELECT play.check_proof(p_channel)
  UNION ALL SELECT play.check_discrepancies(p_channel)
  UNION ALL SELECT play.check_rules(p_channel)
  UNION ALL SELECT format('signed-off %s has changed', s.day) FROM play.seal s
            WHERE s.channel = p_channel AND s.fingerprint <> play.fingerprint(p_channel, s.day)
$$;

CREATE FUNCTION play.figures(r reconcile.run) RETURNS text LANGUAGE sql STABLE
AS $$ SELECT format('%s %s: %s new, %s cleared, %s open, %s and %s entries, %s pairs, %s groups, %s in transit', r.business_date, r.digest,
                    r.discrepancies_new, r.discrepancies_cleared, r.discrepancies_open, r.left_entries, r.right_entries,
                    r.matched_pairs, r.matched_groups, r.in_transit) $$;

-- All that a re-run without new data must leave alone.
CREATE FUNCTION play.published(p_channel text) RETURNS TABLE (what text, content text) LANGUAGE sql STABLE SET timezone = 'UTC'
AS $$
  SELECT 'digests', (SELECT string_agg(play.figures(r), E'\n' ORDER BY r.business_date)
                     FROM reconcile.run r WHERE r.channel = p_channel AND r.current)
  UNION ALL
  SELECT 'totals', (SELECT string_agg(concat(r.business_date, to_jsonb(t) - 'run_id'), E'\n' ORDER BY r.business_date, t.currency)
                    FROM reconcile.run r JOIN reconcile.run_total t USING (run_id) WHERE r.channel = p_channel AND r.current)
  UNION ALL
  SELECT 'proofs', (SELECT string_agg(concat(r.business_date, r.proof, r.detail - 'transaction' - 'last_change' - 'settings'), E'\n' ORDER BY r.business_date)
                    FROM reconcile.run r WHERE r.channel = p_channel AND r.current)
  UNION ALL
  SELECT 'discrepancies', (SELECT string_agg(d::text, E'\n' ORDER BY d.discrepancy_id) FROM reconcile.discrepancy d WHERE d.channel = p_channel)
  UNION ALL
  SELECT 'events', (SELECT count(*)::text FROM reconcile.discrepancy_event e JOIN reconcile.discrepancy d USING (discrepancy_id)
                    WHERE d.channel = p_channel)
  UNION ALL
  SELECT 'items', (SELECT string_agg(o::text, E'\n' ORDER BY o.book COLLATE "C", o.source_key) FROM reconcile.open_item o WHERE o.channel = p_channel)
  UNION ALL
  SELECT 'matches', (SELECT string_agg(concat_ws(',', g.business_date, g.pass, g.rule, g.residual, g.differs, g.currency, m.items), E'\n'
                                       ORDER BY g.business_date, m.items)
                     FROM reconcile.match_group g
                     JOIN (SELECT group_id, string_agg(book || ' ' || source_key, ',' ORDER BY book COLLATE "C", source_key) COLLATE "C" AS items
                           FROM reconcile.match_item GROUP BY 1) m USING (group_id)
                     WHERE g.channel = p_channel)
  UNION ALL
  SELECT 'suggestions', (SELECT string_agg((to_jsonb(s) - '{run_id}'::text[])::text, E'\n' ORDER BY s.suggestion_id)
                         FROM reconcile.match_suggestion s WHERE s.channel = p_channel)
$$;

-- The discrepancies that stand, without what only history knows: ids, ordinals, days of opening.
CREATE FUNCTION play.standing(p_channel text) RETURNS text LANGUAGE sql STABLE SET timezone = 'UTC'
AS $$
  SELECT string_agg(concat_ws(' ', d.item_key, d.entry_kind, d.kind, d.business_date, d.currency, d.difference,
                              d.left_entry ->> 'source_key', d.right_entry ->> 'source_key'), E'\n'
                    ORDER BY d.item_key, d.entry_kind, d.kind, d.left_entry ->> 'source_key' COLLATE "C", d.right_entry ->> 'source_key' COLLATE "C")
  FROM reconcile.discrepancy d
  WHERE d.channel = p_channel AND d.state NOT IN ('cleared', 'resolved', 'written_off')
$$;

CREATE FUNCTION play.blame(p_channel text, p_what text) RETURNS void LANGUAGE sql
AS $$ INSERT INTO play.violation SELECT p_channel, (SELECT max(step) FROM play.log), p_what $$;

CREATE FUNCTION play.rerun(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  before text[];
  day date;
  state text;
  difference record;
BEGIN
  SELECT d.day INTO day
  FROM (SELECT r.business_date AS day FROM reconcile.run r JOIN reconcile.account a USING (channel, account)
        WHERE r.channel = p_channel AND r.current AND r.business_date > coalesce(a.signed_through, '-infinity')) d
  ORDER BY d.day
  OFFSET play.below((SELECT greatest(count(*), 1)::integer FROM reconcile.run r JOIN reconcile.account a USING (channel, account)
                     WHERE r.channel = p_channel AND r.current AND r.business_date > coalesce(a.signed_through, '-infinity')))
  LIMIT 1;
  IF day IS NULL THEN RETURN; END IF;
  PERFORM play.note(p_channel, format('re-run %s', day));
  before := ARRAY(SELECT coalesce(content, '') FROM play.published(p_channel) ORDER BY what);
  -- Any plan must give the same answer.
  PERFORM set_config('enable_hashjoin', play.one_of('on', 'off'), true), set_config('enable_mergejoin', play.one_of('on', 'off'), true),
          set_config('max_parallel_workers_per_gather', play.one_of('0', '2'), true), set_config('parallel_setup_cost', '0', true),
          set_config('parallel_tuple_cost', '0', true), set_config('min_parallel_table_scan_size', '0', true);
  SELECT r.state INTO state FROM reconcile.run(p_channel, day) r;
  PERFORM set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true);
  IF state <> 'succeeded' THEN PERFORM play.blame(p_channel, format('the re-run of %s is %s', day, state)); END IF;
  FOR difference IN
    SELECT a.what, b.content AS was, a.content AS is
    FROM (SELECT row_number() OVER (ORDER BY what) AS n, what, coalesce(content, '') AS content FROM play.published(p_channel)) a
    JOIN unnest(before) WITH ORDINALITY AS b (content, n) USING (n)
    WHERE a.content <> b.content
  LOOP
    PERFORM play.blame(p_channel, format(E're-run of %s changed %s\n--- was\n%s\n--- is\n%s', day, difference.what,
      (SELECT string_agg(l, E'\n') FROM (SELECT unnest(string_to_array(difference.was, E'\n')) EXCEPT SELECT unnest(string_to_array(difference.is, E'\n'))) x (l)),
      (SELECT string_agg(l, E'\n') FROM (SELECT unnest(string_to_array(difference.is, E'\n')) EXCEPT SELECT unnest(string_to_array(difference.was, E'\n'))) x (l))));
  END LOOP;
END
$$;

CREATE FUNCTION play.sign(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  day date;
BEGIN
  SELECT min(r.business_date) INTO day FROM reconcile.run r JOIN reconcile.account a USING (channel, account)
  WHERE r.channel = p_channel AND r.current AND r.business_date > coalesce(a.signed_through, '-infinity');
  IF day IS NULL THEN RETURN; END IF;
  PERFORM reconcile.assign(d.discrepancy_id, 'play_signer') FROM reconcile.discrepancy d
  WHERE d.channel = p_channel AND d.owner IS NULL;
  PERFORM play.note(p_channel, format('sign off %s', day));
  SET SESSION AUTHORIZATION play_signer;
  PERFORM reconcile.sign_off(p_channel, 'a', day);
  RESET SESSION AUTHORIZATION;
  INSERT INTO play.seal VALUES (p_channel, day, play.fingerprint(p_channel, day));
END
$$;

CREATE FUNCTION play.reopen(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  last_signed date := (SELECT a.signed_through FROM reconcile.account a WHERE a.channel = p_channel);
BEGIN
  IF last_signed IS NULL THEN RETURN; END IF;
  PERFORM play.note(p_channel, format('reopen %s', last_signed));
  PERFORM reconcile.reopen_day(p_channel, 'a', last_signed, 'something came to light');
  DELETE FROM play.seal s WHERE s.channel = p_channel AND s.day = last_signed;
END
$$;

-- Forgets every result, shuffles the rows, runs all days again in order and compares; then undoes all that.
CREATE FUNCTION play.from_scratch(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  digests text[];
  standing text;
  fresh_digests text[];
  fresh_standing text;
  failure text;
  day date;
BEGIN
  digests := ARRAY(SELECT play.figures(r) FROM reconcile.run r
                   WHERE r.channel = p_channel AND r.current ORDER BY r.business_date);
  standing := play.standing(p_channel);
  BEGIN
    CREATE TEMP TABLE days ON COMMIT DROP AS
      SELECT r.business_date FROM reconcile.run r WHERE r.channel = p_channel AND r.current;
    CREATE TEMP TABLE adjusted ON COMMIT DROP AS
      SELECT a.adjustment_id, d.item_key, d.entry_kind, d.first_entry, a.amount, a.currency, a.recon_date
      FROM reconcile.adjustment a JOIN reconcile.discrepancy d USING (discrepancy_id) WHERE d.channel = p_channel;
    DELETE FROM reconcile.discrepancy_event e USING reconcile.discrepancy d WHERE d.discrepancy_id = e.discrepancy_id AND d.channel = p_channel;
    DELETE FROM reconcile.adjustment a USING reconcile.discrepancy d WHERE d.discrepancy_id = a.discrepancy_id AND d.channel = p_channel;
    DELETE FROM reconcile.discrepancy WHERE channel = p_channel;
    DELETE FROM reconcile.open_item WHERE channel = p_channel;
    DELETE FROM reconcile.match_group WHERE channel = p_channel;
    DELETE FROM reconcile.run WHERE channel = p_channel;
    UPDATE reconcile.account SET signed_through = NULL WHERE channel = p_channel;
    CREATE TEMP TABLE shuffled ON COMMIT DROP AS SELECT * FROM reconcile.entry WHERE channel = p_channel ORDER BY random();
    DELETE FROM reconcile.entry WHERE channel = p_channel;
    INSERT INTO reconcile.entry SELECT * FROM shuffled;
    FOR day IN SELECT business_date FROM days ORDER BY 1 LOOP
      SELECT concat_ws(' ', r.state, r.waiting_for, r.failure) INTO failure FROM reconcile.run(p_channel, day, force => true) r;
      EXIT WHEN failure NOT LIKE 'succeeded%';
    END LOOP;
    -- Adjustments all at once, as soon as there is what they are about; what one settles may bring another to light.
    LOOP
      EXIT WHEN failure NOT LIKE 'succeeded%';
      WITH known AS (
        DELETE FROM adjusted a USING reconcile.discrepancy d
        WHERE d.channel = p_channel AND d.item_key = a.item_key AND d.entry_kind = a.entry_kind AND d.first_entry = a.first_entry
        RETURNING d.discrepancy_id, a.amount, a.currency, a.recon_date
      )
      INSERT INTO reconcile.adjustment (discrepancy_id, amount, currency, recon_date, state, reason_code, proposed_by, decided_by, decided_at)
      SELECT k.discrepancy_id, k.amount, k.currency, k.recon_date, 'approved', 'test', 'play_maker', 'play_checker', now() FROM known k;
      EXIT WHEN NOT FOUND;
      SELECT concat_ws(' ', r.state, r.waiting_for, r.failure) INTO failure
      FROM reconcile.run(p_channel, (SELECT min(business_date) FROM days), force => true) r LIMIT 1;
    END LOOP;
    fresh_digests := ARRAY(SELECT play.figures(r) FROM reconcile.run r
                           WHERE r.channel = p_channel AND r.current ORDER BY r.business_date);
    fresh_standing := play.standing(p_channel);
    RAISE EXCEPTION USING ERRCODE = 'TS001';
  EXCEPTION WHEN SQLSTATE 'TS001' THEN
    NULL;
  END;
  IF failure NOT LIKE 'succeeded%' THEN
    PERFORM play.blame(p_channel, 'from scratch: ' || failure);
  END IF;
  IF fresh_standing IS DISTINCT FROM standing THEN
    PERFORM play.blame(p_channel, format(E'from scratch, other discrepancies stand:\n--- were\n%s\n--- are\n%s',
      (SELECT string_agg(l, E'\n') FROM (SELECT unnest(string_to_array(standing, E'\n')) EXCEPT SELECT unnest(string_to_array(fresh_standing, E'\n'))) x (l)),
      (SELECT string_agg(l, E'\n') FROM (SELECT unnest(string_to_array(fresh_standing, E'\n')) EXCEPT SELECT unnest(string_to_array(standing, E'\n'))) x (l))));
  END IF;
  IF fresh_digests <> digests THEN
    PERFORM play.blame(p_channel, format('from scratch, digests are %s and were %s', fresh_digests, digests));
  END IF;
END
$$;

-- What incremental runs have come to is what a batch comes to, and they have not fallen back without need. The batch is
-- undone: the next incremental run goes on from what incremental runs left.
CREATE FUNCTION play.as_batch(p_channel text, p_after_run bigint) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  before text[];
  first_day date;
  failure text;
  reason text;
  differences text[];
BEGIN
  FOR reason IN SELECT DISTINCT r.batch_reason FROM reconcile.run r WHERE r.channel = p_channel AND r.batch_reason IS NOT NULL
                AND r.batch_reason !~ 'is not known|a day before had to be run'
                AND r.batch_reason !~ 'settings of leg, rules' LOOP
    PERFORM play.blame(p_channel, 'run as a batch: ' || reason);
  END LOOP;
  -- From the day that they began with: of a discrepancy that is over, what is told is what stood when they began.
  SELECT min(r.business_date) INTO first_day FROM reconcile.run r WHERE r.channel = p_channel AND r.current AND r.run_id > p_after_run;
  IF first_day IS NULL THEN RETURN; END IF;
  before := ARRAY(SELECT coalesce(content, '') FROM play.published(p_channel) ORDER BY what);
  BEGIN
    SELECT nullif(r.state, 'succeeded') || coalesce(r.failure, '') INTO failure FROM reconcile.run(p_channel, first_day, force => true) r LIMIT 1;
    differences := ARRAY(
      SELECT format(E'a batch from %s has other %s\n--- incremental\n%s\n--- batch\n%s', first_day, a.what,
        (SELECT string_agg(l, E'\n') FROM (SELECT unnest(string_to_array(b.content, E'\n')) EXCEPT SELECT unnest(string_to_array(a.content, E'\n'))) x (l)),
        (SELECT string_agg(l, E'\n') FROM (SELECT unnest(string_to_array(a.content, E'\n')) EXCEPT SELECT unnest(string_to_array(b.content, E'\n'))) x (l)))
      FROM (SELECT row_number() OVER (ORDER BY what) AS n, what, coalesce(content, '') AS content FROM play.published(p_channel)) a
      JOIN unnest(before) WITH ORDINALITY AS b (content, n) USING (n)
      WHERE a.content <> b.content);
    RAISE EXCEPTION USING ERRCODE = 'TS001';
  EXCEPTION WHEN SQLSTATE 'TS001' THEN
    NULL;
  END;
  IF failure IS NOT NULL THEN PERFORM play.blame(p_channel, 'the batch is ' || failure); END IF;
  PERFORM play.blame(p_channel, d) FROM unnest(differences) d;
END
$$;

-- One history. Stops at the first violation: what comes after it means little.
CREATE PROCEDURE play.play(p_seed integer, p_days integer, p_rules boolean) LANGUAGE plpgsql
AS $$
DECLARE
  name text := 'history ' || p_seed;
  zone text;
  first_day date := current_date - 20;
  next_morning timestamptz;
  failure text;
  last_run bigint;
BEGIN
  PERFORM setseed((p_seed % 100003) / 100003.0);
  zone := play.one_of('Asia/Shanghai', 'UTC', 'America/New_York');
  PERFORM reconcile.create_channel(name, zone, 'CNY', day_start => play.one_of('0', '-01:00', '04:00')::interval, account => 'a');
  INSERT INTO play.history (channel, seed, left_source, right_source, time_zone, day_start, today)
  SELECT name, p_seed, 100000 + 2 * p_seed, 100001 + 2 * p_seed, zone, c.day_start, first_day
  FROM reconcile.channel c WHERE c.channel = name;
  IF p_rules THEN PERFORM play.set_rules(name); END IF;
  COMMIT;
  FOR day IN 0 .. p_days - 1 LOOP
    UPDATE play.history SET today = first_day + day WHERE channel = name;
    FOR part IN 1 .. 2 LOOP
      FOR n IN 0 .. 2 + play.below(7) LOOP
        PERFORM play.move(name);
      END LOOP;
      IF play.chance(40) THEN PERFORM play.adjust(name); END IF;
      IF p_rules THEN
        FOR n IN 1 .. play.below(4) LOOP
          PERFORM play.decide(name);
        END LOOP;
        IF play.chance(15) THEN PERFORM play.set_rules(name); END IF;
      END IF;
      PERFORM play.note(name, format('run_due after %s', first_day + day));
      COMMIT;
      SELECT (h.today + 1 + h.day_start + interval '1 hour') AT TIME ZONE h.time_zone INTO next_morning
      FROM play.history h WHERE h.channel = name;
      SELECT coalesce(max(run_id), 0) INTO last_run FROM reconcile.run;
      CALL reconcile.run_due(next_morning);
      SELECT concat_ws(' ', r.business_date, r.state, r.waiting_for, r.failure) INTO failure
      FROM reconcile.run r WHERE r.channel = name AND r.state NOT IN ('succeeded', 'waited') ORDER BY r.run_id DESC LIMIT 1;
      IF FOUND THEN PERFORM play.blame(name, failure); END IF;
      INSERT INTO play.violation SELECT name, (SELECT max(step) FROM play.log), c FROM play.check(name) c;
      PERFORM play.as_batch(name, last_run);
      IF play.chance(50) AND NOT EXISTS (SELECT FROM play.violation) THEN
        PERFORM play.rerun(name);
        INSERT INTO play.violation SELECT name, (SELECT max(step) FROM play.log), 'after a re-run: ' || c FROM play.check(name) c;
      END IF;
      COMMIT;
      EXIT WHEN EXISTS (SELECT FROM play.violation);
      IF play.chance(25) THEN PERFORM play.sign(name); END IF;
      IF play.chance(10) THEN PERFORM play.reopen(name); END IF;
      COMMIT;
    END LOOP;
    EXIT WHEN EXISTS (SELECT FROM play.violation);
  END LOOP;
  IF NOT EXISTS (SELECT FROM play.violation) THEN
    PERFORM play.note(name, 'from scratch');
    PERFORM play.from_scratch(name);
  END IF;
  UPDATE play.history SET finished = true WHERE channel = name;
  COMMIT;
END
$$;

-- Whatever an earlier history left behind is gone; what it did wrong is remembered.
CREATE FUNCTION play.forget() RETURNS void LANGUAGE sql
AS $$
  INSERT INTO play.method SELECT r.method, regexp_replace(r.batch_reason, '\d+(-\d+)*', 'n', 'g'), count(*) FROM reconcile.run r GROUP BY 1, 2;
  TRUNCATE reconcile.run, reconcile.run_total, reconcile.discrepancy, reconcile.discrepancy_event, reconcile.open_item,
    reconcile.match_group, reconcile.match_item, reconcile.match_suggestion, reconcile.match_decision, reconcile.adjustment,
    reconcile.day_close, reconcile.entry,
    reconcile.entry_change, reconcile.entry_total, reconcile.entry_history, reconcile.account, reconcile.leg, reconcile.match_rule,
    reconcile.channel, play.history, play.source_row, play.log, play.seal, play.violation CASCADE;
$$;

-- What happened, for the reader of a failed test.
CREATE FUNCTION play.report(p_seed integer) RETURNS text LANGUAGE sql STABLE
AS $$
  SELECT concat_ws(E'\n', format('history %s (again: PG_RECONCILE_SEED=%s PG_RECONCILE_HISTORIES=1)', p_seed, p_seed),
    (SELECT string_agg('violation: ' || v.what, E'\n') FROM play.violation v),
    (SELECT string_agg(l.step || ' ' || l.what, E'\n' ORDER BY l.step) FROM play.log l))
$$;
