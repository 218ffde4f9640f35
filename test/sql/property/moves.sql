-- What may happen: each move is one thing that goes right or wrong in a payment's life.

CREATE FUNCTION play.new_movement(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  l play.source_row := play.draft(p_channel);
  r play.source_row := l;
  h play.history := (SELECT h FROM play.history h WHERE h.channel = p_channel);
  midnight timestamptz;
BEGIN
  r.book := 'trade';
  CASE play.one_of('ok', 'ok', 'ok', 'ok', 'ok', 'left', 'right', 'amount', 'fee', 'midnight', 'midnight', 'pending',
                   'failed', 'reversal', 'split', 'split', 'no key', 'no reference', 'currency', 'kind', 'reference',
                   'match key', 'out of scope', 'twins', 'triplets', 'sum of nothing')
    WHEN 'ok' THEN
      PERFORM play.both(l);
    WHEN 'left' THEN
      PERFORM play.insert(l);
    WHEN 'right' THEN
      PERFORM play.insert(r);
    WHEN 'amount' THEN
      r.amount := play.amount();
      PERFORM play.insert(l), play.insert(r);
    WHEN 'fee' THEN
      l.fee := 0.10;
      r.fee := 0.2;
      PERFORM play.insert(l), play.insert(r);
    WHEN 'midnight' THEN
      midnight := (h.today + 1 + h.day_start) AT TIME ZONE h.time_zone;
      l.day := NULL;
      r.day := NULL;
      l.occurred_at := midnight - interval '2 seconds';
      r.occurred_at := midnight + interval '3 seconds';
      IF play.chance(30) THEN
        l.occurred_at := midnight + interval '3 seconds';
        r.occurred_at := midnight - interval '2 seconds';
      END IF;
      PERFORM play.insert(l), play.insert(r);
    WHEN 'pending' THEN
      l.status := 'pending';
      PERFORM play.insert(l), play.insert(r);
    WHEN 'failed' THEN
      IF play.chance(50) THEN l.status := 'failed'; ELSE r.status := 'closed'; END IF;
      PERFORM play.insert(l), play.insert(r);
    WHEN 'reversal' THEN
      IF play.chance(50) THEN l := r; END IF;
      PERFORM play.insert(l);
      l.source_key := l.source_key || '-reversal';
      l.kind := 'reversal';
      l.amount := -l.amount;
      PERFORM play.insert(l);
    WHEN 'split' THEN
      l.amount := 100;
      l.channel_ref := NULL;
      PERFORM play.insert(l);
      r.amount := CASE WHEN play.chance(80) THEN 60 ELSE 50 END;
      PERFORM play.insert(r);
      r.source_key := r.source_key || '-2';
      r.channel_ref := r.channel_ref || '-2';
      r.amount := 40;
      IF play.chance(50) THEN r.occurred_at := r.occurred_at + interval '1 day'; r.day := r.day + 1; END IF;
      PERFORM play.insert(r);
    WHEN 'no key' THEN
      IF play.chance(70) THEN l.match_key := NULL; END IF;
      r.match_key := NULL;
      PERFORM play.insert(l), play.insert(r);
    WHEN 'no reference' THEN
      IF play.chance(70) THEN l.channel_ref := NULL; END IF;
      r.channel_ref := NULL;
      PERFORM play.insert(l), play.insert(r);
    WHEN 'currency' THEN
      r.currency := CASE l.currency WHEN 'USD' THEN 'CNY' ELSE 'USD' END;
      PERFORM play.insert(l), play.insert(r);
    WHEN 'kind' THEN
      r.kind := 'other';
      PERFORM play.insert(l), play.insert(r);
    WHEN 'reference' THEN
      r.channel_ref := r.channel_ref || 'x';
      PERFORM play.insert(l), play.insert(r);
    WHEN 'match key' THEN
      r.match_key := r.match_key || 'x';
      PERFORM play.insert(l), play.insert(r);
    WHEN 'out of scope' THEN
      r.kind := play.one_of('fee', 'payout', 'tax');
      PERFORM play.insert(r);
    WHEN 'twins' THEN
      PERFORM play.both(l);
      l.source_key := l.source_key || '-twin';
      r.source_key := l.source_key;
      IF play.chance(50) THEN PERFORM play.insert(l); END IF;
      IF play.chance(50) THEN PERFORM play.insert(r); END IF;
    WHEN 'triplets' THEN
      -- Several alike on one side: which is which must not change from day to day.
      FOR i IN 1 .. 3 LOOP
        r.source_key := 'k' || h.numbers || '-' || i;
        r.channel_ref := 't' || h.numbers || '-' || i;
        PERFORM play.insert(r);
      END LOOP;
    WHEN 'sum of nothing' THEN
      l.amount := 0;
      PERFORM play.insert(l);
      l.source_key := l.source_key || '-2';
      PERFORM play.insert(l);
  END CASE;
END
$$;

CREATE FUNCTION play.refund(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  original play.source_row := play.any_row(p_channel);
  l play.source_row := play.draft(p_channel);
  r play.source_row;
BEGIN
  IF original.kind IS DISTINCT FROM 'payment' THEN RETURN; END IF;
  l.kind := 'refund';
  l.order_key := original.order_key;
  l.match_key := CASE WHEN play.chance(20) THEN original.order_key
                      ELSE original.order_key || '/r' || l.source_key END;
  l.currency := original.currency;
  l.amount := -round(original.amount / (1 + play.below(3)), 2);
  r := l;
  r.book := 'trade';
  IF play.chance(85) THEN PERFORM play.insert(l); END IF;
  IF play.chance(85) THEN PERFORM play.insert(r); END IF;
END
$$;

-- The other book's side of something that one book alone has, on the same day or late.
CREATE FUNCTION play.counterpart(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  r play.source_row := play.any_row(p_channel);
  h play.history := (SELECT h FROM play.history h WHERE h.channel = p_channel);
BEGIN
  IF r IS NULL THEN RETURN; END IF;
  r.book := CASE r.book WHEN 'trade' THEN 'internal' ELSE 'trade' END;
  IF EXISTS (SELECT FROM play.source_row s WHERE s.channel = r.channel AND s.book = r.book
             AND (s.source_key = r.source_key OR s.channel_ref = r.channel_ref)) THEN
    RETURN;
  END IF;
  IF play.chance(40) THEN r.day := h.today; END IF;
  r.touched := false;
  PERFORM play.insert(r);
END
$$;

CREATE FUNCTION play.duplicate(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  r play.source_row := play.any_row(p_channel);
  fresh play.source_row := play.draft(p_channel);
BEGIN
  IF r IS NULL THEN RETURN; END IF;
  r.source_key := fresh.source_key;
  r.touched := false;
  IF play.chance(50) THEN r.channel_ref := fresh.channel_ref; END IF;
  IF play.chance(30) THEN r.day := fresh.day; r.occurred_at := fresh.occurred_at; END IF;
  PERFORM play.insert(r);
END
$$;

CREATE FUNCTION play.correct(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  r play.source_row := play.any_row(p_channel);
  fresh play.source_row := play.draft(p_channel);
BEGIN
  IF r IS NULL THEN RETURN; END IF;
  CASE play.one_of('amount', 'status', 'status', 'settle', 'fee', 'match key', 'order', 'day', 'currency', 'reference', 'delete')
    WHEN 'amount' THEN r.amount := fresh.amount;
    WHEN 'status' THEN r.status := CASE r.status WHEN 'success' THEN play.one_of('failed', 'reversed', 'pending')
                                                 ELSE 'success' END;
    WHEN 'settle' THEN
      SELECT s.* INTO r FROM play.source_row s
      WHERE s.channel = p_channel AND s.status = 'pending' AND NOT s.deleted
      ORDER BY s.book COLLATE "C", s.source_key COLLATE "C" LIMIT 1;
      IF NOT FOUND THEN RETURN; END IF;
      r.status := play.one_of('success', 'success', 'failed');
    WHEN 'fee' THEN r.fee := CASE WHEN r.fee IS NULL THEN 1.5 ELSE r.fee + 0.01 END;
    WHEN 'match key' THEN r.match_key := CASE WHEN play.chance(50) THEN fresh.match_key END;
    WHEN 'order' THEN r.order_key := fresh.order_key;
    WHEN 'day' THEN r.occurred_at := fresh.occurred_at; r.day := NULL;
    WHEN 'currency' THEN r.currency := fresh.currency;
    WHEN 'reference' THEN r.channel_ref := CASE WHEN play.chance(50) THEN fresh.channel_ref END;
    WHEN 'delete' THEN
      UPDATE play.source_row s SET deleted = true
      WHERE s.channel = r.channel AND s.book = r.book AND s.source_key = r.source_key;
      PERFORM play.note(p_channel, format('delete %s %s', r.book, r.source_key));
      PERFORM play.send('D', r);
      RETURN;
  END CASE;
  r.touched := true;
  DELETE FROM play.source_row s WHERE s.channel = r.channel AND s.book = r.book AND s.source_key = r.source_key;
  INSERT INTO play.source_row SELECT r.*;
  PERFORM play.note(p_channel, format('update %s %s', r.book, to_jsonb(r) - '{channel,book}'::text[]));
  PERFORM play.send('U', r);
END
$$;

CREATE FUNCTION play.replay(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  r play.source_row := play.any_row(p_channel);
BEGIN
  IF r IS NULL OR r.touched THEN RETURN; END IF;
  PERFORM play.note(p_channel, format('replay %s %s', r.book, r.source_key));
  IF play.send(play.one_of('I', 'U'), r) <> 0 THEN
    RAISE EXCEPTION 'a replay of % changed something', r.source_key;
  END IF;
END
$$;

-- A source takes back a row of a signed-off day that nobody has matched: it and its delta are gone together.
CREATE FUNCTION play.retract(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  r play.source_row;
BEGIN
  SELECT s.* INTO r
  FROM play.source_row s JOIN reconcile.account a ON a.channel = s.channel
  JOIN reconcile.open_item o ON o.channel = s.channel AND o.book = s.book AND o.source_key = s.source_key
   AND o.closed_on IS NULL AND o.opened_on <= a.signed_through
  WHERE s.channel = p_channel AND NOT s.deleted
  ORDER BY s.book COLLATE "C", s.source_key COLLATE "C" LIMIT 1;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE play.source_row s SET deleted = true
  WHERE s.channel = r.channel AND s.book = r.book AND s.source_key = r.source_key;
  PERFORM play.note(p_channel, format('retract %s %s', r.book, r.source_key));
  PERFORM play.send('D', r);
END
$$;

-- Somebody puts a discrepancy right by hand, mostly in full, on any open day; or takes back what was put right.
CREATE FUNCTION play.adjust(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  over boolean := play.chance(25);
  part numeric := CASE WHEN play.chance(85) THEN 1 ELSE 0.5 END;
  d record;
  on_day date;
BEGIN
  WITH choice AS (
    SELECT x.discrepancy_id, x.item_key, x.entry_kind, x.ordinal, x.difference, x.currency, coalesce(sum(j.amount), 0) AS adjusted
    FROM reconcile.discrepancy x LEFT JOIN reconcile.adjustment j USING (discrepancy_id)
    WHERE x.channel = p_channel AND x.difference IS NOT NULL AND (over OR x.state IN ('open', 'reopened'))
    GROUP BY x.discrepancy_id
    HAVING NOT over OR count(j.amount) > 0
  )
  SELECT c.* INTO d FROM choice c ORDER BY c.item_key, c.entry_kind, c.ordinal
  OFFSET play.below((SELECT count(*)::integer FROM choice)) LIMIT 1;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT greatest(max(r.business_date) + 1 - play.below(4), a.signed_through + 1) INTO on_day
  FROM reconcile.account a JOIN reconcile.run r USING (channel, account) WHERE a.channel = p_channel AND r.current
  GROUP BY a.signed_through;
  INSERT INTO reconcile.adjustment (discrepancy_id, amount, currency, recon_date, state, reason_code, proposed_by,
                                    decided_by, decided_at)
  SELECT d.discrepancy_id, CASE WHEN over THEN -d.adjusted ELSE trim_scale((d.difference - d.adjusted) * part) END, d.currency,
         on_day, 'approved', 'test', 'play_maker', 'play_checker', now();
  PERFORM play.note(p_channel, format('adjust discrepancy %s (%s) of %s, %s so far, on %s', d.discrepancy_id, d.item_key, d.difference,
                                      CASE WHEN over THEN 'taking back ' ELSE '' END || d.adjusted, on_day));
END
$$;

CREATE FUNCTION play.move(p_channel text) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
  CASE play.one_of('new', 'new', 'new', 'new', 'new', 'refund', 'counterpart', 'counterpart', 'duplicate', 'correct',
                   'correct', 'correct', 'replay', 'retract')
    WHEN 'new' THEN PERFORM play.new_movement(p_channel);
    WHEN 'refund' THEN PERFORM play.refund(p_channel);
    WHEN 'counterpart' THEN PERFORM play.counterpart(p_channel);
    WHEN 'duplicate' THEN PERFORM play.duplicate(p_channel);
    WHEN 'correct' THEN PERFORM play.correct(p_channel);
    WHEN 'replay' THEN PERFORM play.replay(p_channel);
    WHEN 'retract' THEN PERFORM play.retract(p_channel);
  END CASE;
END
$$;
