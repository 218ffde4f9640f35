-- The world that a random history is played in: a channel, two sources that remember what they said last, and the
-- doors through which it reaches the books. Everything random comes from random(), seeded by the history's number.
CREATE SCHEMA play;

CREATE TABLE play.history (
  channel      text PRIMARY KEY,
  seed         integer NOT NULL,
  left_source  integer NOT NULL,
  right_source integer NOT NULL,
  time_zone    text NOT NULL,
  day_start    interval NOT NULL,
  today        date NOT NULL,
  numbers      integer NOT NULL DEFAULT 0,
  finished     boolean NOT NULL DEFAULT false
);

-- What the sources hold now: the books must come to the same, whatever was signed off in between.
CREATE TABLE play.source_row (
  channel     text NOT NULL,
  book        text NOT NULL,
  source_key  text NOT NULL,
  kind        text NOT NULL,
  order_key   text NOT NULL,
  match_key   text,
  channel_ref text,
  amount      numeric NOT NULL,
  currency    text NOT NULL,
  fee         numeric,
  status      text NOT NULL,
  occurred_at timestamptz NOT NULL,
  day         date,
  deleted     boolean NOT NULL DEFAULT false,
  touched     boolean NOT NULL DEFAULT false,
  PRIMARY KEY (channel, book, source_key)
);

-- How the runs of all histories were done.
CREATE TABLE play.method (method text NOT NULL, reason text, runs bigint NOT NULL);
CREATE TABLE play.log (step serial PRIMARY KEY, channel text NOT NULL, what text NOT NULL);
CREATE TABLE play.violation (channel text NOT NULL, step integer, what text NOT NULL);
CREATE TABLE play.seal (channel text NOT NULL, day date NOT NULL, fingerprint text NOT NULL, PRIMARY KEY (channel, day));

CREATE FUNCTION play.below(n integer) RETURNS integer LANGUAGE sql VOLATILE
AS $$ SELECT floor(random() * n)::integer $$;
CREATE FUNCTION play.chance(percent numeric) RETURNS boolean LANGUAGE sql VOLATILE
AS $$ SELECT random() * 100 < percent $$;
CREATE FUNCTION play.one_of(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT choices[1 + play.below(cardinality(choices))] $$;

-- Few different amounts, so that they collide; trailing zeros, nothing at all, and more than anybody has.
CREATE FUNCTION play.amount() RETURNS numeric LANGUAGE sql VOLATILE
AS $$
  SELECT play.one_of('10', '10.10', '10.1', '20.00', '30', '0.01', '99.999', '0', '0.00', '1234567890.123456789012',
                     '70', '100', '999999999999999999.99')::numeric
$$;

CREATE FUNCTION play.note(p_channel text, what text) RETURNS void LANGUAGE sql
AS $$ INSERT INTO play.log (channel, what) VALUES (p_channel, what) $$;

-- Sends one row of a source through the sink: I, U or D.
CREATE FUNCTION play.send(operation text, r play.source_row) RETURNS bigint LANGUAGE plpgsql
AS $$
DECLARE
  source integer := (SELECT CASE r.book WHEN 'internal' THEN h.left_source ELSE h.right_source END
                     FROM play.history h WHERE h.channel = r.channel);
  refused text[];
  changed bigint;
BEGIN
  IF operation = 'D' THEN
    RETURN reconcile.change_entries(source, NULL, ARRAY['D'], ARRAY[r.source_key], ARRAY[NULL]::text[],
      ARRAY[NULL]::text[], ARRAY[NULL]::text[], ARRAY[NULL]::text[], NULL, ARRAY[NULL]::text[], NULL, NULL, NULL,
      ARRAY[NULL]::text[], ARRAY[NULL]::text[], NULL, NULL, NULL, NULL, NULL, ARRAY[NULL]::text[], NULL,
      ARRAY[NULL]::timestamptz[], NULL, ARRAY[NULL]::date[], NULL, NULL);
  END IF;
  SELECT p.refused_reasons INTO refused
  FROM reconcile.prepare_entries(ARRAY[r.channel], ARRAY['a'], ARRAY[r.book], ARRAY[r.occurred_at], ARRAY[r.day],
                                 ARRAY[r.status]) p;
  IF refused IS NOT NULL THEN RAISE EXCEPTION 'refused: %', refused; END IF;
  IF operation = 'I' THEN
    changed := reconcile.insert_entries(source, NULL, ARRAY[r.source_key], ARRAY[r.channel], ARRAY['a'],
      ARRAY[r.book], ARRAY[r.kind], NULL, ARRAY[r.order_key], ARRAY[r.match_key], ARRAY[r.channel_ref], NULL,
      ARRAY[r.amount::text], ARRAY[r.currency], NULL, NULL, NULL, ARRAY[r.fee::text], NULL, ARRAY[r.status], NULL,
      ARRAY[r.occurred_at], NULL, ARRAY[r.day], NULL, NULL);
  ELSE
    changed := reconcile.change_entries(source, NULL, ARRAY['U'], ARRAY[r.source_key], ARRAY[r.channel], ARRAY['a'],
      ARRAY[r.book], ARRAY[r.kind], NULL, ARRAY[r.order_key], ARRAY[r.match_key], ARRAY[r.channel_ref], NULL,
      ARRAY[r.amount::text], ARRAY[r.currency], NULL, NULL, NULL, ARRAY[r.fee::text], NULL, ARRAY[r.status], NULL,
      ARRAY[r.occurred_at], NULL, ARRAY[r.day], NULL, NULL);
  END IF;
  RETURN changed;
END
$$;

CREATE FUNCTION play.insert(r play.source_row) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
  INSERT INTO play.source_row SELECT r.*;
  PERFORM play.note(r.channel, format('insert %s %s', r.book, to_jsonb(r) - '{channel,book}'::text[]));
  IF play.send('I', r) <> 1 THEN RAISE EXCEPTION '% was not stored', r; END IF;
END
$$;

-- A payment as it would be if nothing went wrong; the caller changes what goes wrong.
CREATE FUNCTION play.draft(p_channel text) RETURNS play.source_row LANGUAGE plpgsql
AS $$
DECLARE
  h play.history;
  r play.source_row;
  day date;
BEGIN
  UPDATE play.history SET numbers = numbers + 1 WHERE channel = p_channel RETURNING * INTO h;
  -- Most of today, some late.
  day := h.today - CASE WHEN play.chance(15) THEN play.below(5) ELSE 0 END;
  r.channel := p_channel;
  r.book := 'internal';
  r.source_key := 'k' || h.numbers;
  r.kind := 'payment';
  r.order_key := 'o' || h.numbers;
  r.match_key := 'o' || h.numbers;
  r.channel_ref := 't' || h.numbers;
  r.amount := play.amount();
  r.currency := CASE WHEN play.chance(20) THEN 'USD' ELSE 'CNY' END;
  r.fee := CASE WHEN play.chance(50) THEN round(r.amount * 0.006, 2) END;
  r.status := 'success';
  r.occurred_at := (day::timestamp + h.day_start + interval '30 minutes' + random() * interval '22 hours')
                     AT TIME ZONE h.time_zone;
  r.day := CASE WHEN play.chance(50) THEN day END;
  r.deleted := false;
  r.touched := false;
  RETURN r;
END
$$;

CREATE FUNCTION play.both(l play.source_row) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  r play.source_row := l;
BEGIN
  r.book := 'trade';
  PERFORM play.insert(l);
  PERFORM play.insert(r);
END
$$;

CREATE FUNCTION play.any_row(p_channel text) RETURNS play.source_row LANGUAGE sql VOLATILE
AS $$
  SELECT s FROM play.source_row s WHERE s.channel = p_channel AND NOT s.deleted
  ORDER BY s.book COLLATE "C", s.source_key COLLATE "C"
  OFFSET play.below((SELECT greatest(count(*), 1)::integer FROM play.source_row s
                     WHERE s.channel = p_channel AND NOT s.deleted)) LIMIT 1
$$;
