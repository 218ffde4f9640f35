-- The entry sink: the one door through which entries come in. C++ calls it with a batch of columns
-- (extension/pg/entry_sink.cc); positions count from 1 within the batch.

-- Entries and sign-off take this lock, so that no entry lands in a day while it is being signed off.
CREATE FUNCTION reconcile.lock_account(channel text, account text, exclusive boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key integer := hashtext(channel || E'\x1f' || account);
BEGIN
  -- What is decided under the lock must see what was committed before the lock was had.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'entries, runs and sign-off need the isolation level READ COMMITTED',
      DETAIL = format('This transaction is %s.', upper(current_setting('transaction_isolation'))),
      HINT = 'BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED.';
  END IF;
  IF exclusive THEN
    PERFORM pg_advisory_xact_lock(hashtext('pg_reconcile account'), key);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(hashtext('pg_reconcile account'), key);
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.lock_account(text, text, boolean) IS 'Locks an account until the transaction ends: shared to add entries, exclusive to sign off or reopen a day';

-- What an entry's day is, and why an entry can't be taken in. One row a position of the batch.
CREATE FUNCTION reconcile.place_entries(
  p_channel text[], p_account text[], p_book text[], p_occurred_at timestamptz[], p_business_date date[],
  p_status text[])
RETURNS TABLE (batch_position bigint, day date, recon_day date, is_effective boolean, refused text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT d.ordinality, d.day, greatest(d.day, a.signed_through + 1), d.status = ANY (d.effective_statuses),
         CASE
           WHEN d.known IS NULL THEN format('channel "%s" does not exist: create it with reconcile.create_channel()', d.channel)
           WHEN a.account IS NULL THEN format('account "%s" of channel "%s" does not exist: create it with reconcile.create_account()', d.account, d.channel)
           WHEN coalesce(d.book, '') NOT IN ('internal', 'trade', 'fund', 'settlement', 'bank', 'notify') THEN format('book "%s" is not known', d.book)
           WHEN d.day IS NULL THEN 'neither business_date nor occurred_at is stated'
           WHEN d.day < d.first_date THEN format('%s is before the channel''s first date %s', d.day, d.first_date)
           WHEN d.day > current_date + 40 THEN format('%s is more than 40 days ahead', d.day)
         END
  FROM (
    SELECT s.ordinality, s.channel, s.account, s.book, s.status, c.channel AS known, c.first_date, c.effective_statuses,
           coalesce(s.business_date, ((s.occurred_at AT TIME ZONE c.time_zone) - c.day_start)::date) AS day
    FROM unnest(p_channel, p_account, p_book, p_occurred_at, p_business_date, p_status)
         WITH ORDINALITY AS s (channel, account, book, occurred_at, business_date, status, ordinality)
    LEFT JOIN reconcile.channel c ON c.channel = s.channel
  ) d
  LEFT JOIN reconcile.account a ON a.channel = d.channel AND a.account = d.account
$$;
COMMENT ON FUNCTION reconcile.place_entries(text[], text[], text[], timestamptz[], date[], text[])
IS 'For each entry of a batch: its business date, the day that reconciles it, whether it is effective, or why it is refused';

CREATE FUNCTION reconcile.prepare_entries(
  p_channel text[], p_account text[], p_book text[], p_occurred_at timestamptz[], p_business_date date[],
  p_status text[], OUT refused_positions bigint[], OUT refused_reasons text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  account_row record;
  months date[];
  books text[];
BEGIN
  FOR account_row IN
    SELECT DISTINCT s.channel, s.account FROM unnest(p_channel, p_account) AS s (channel, account)
    WHERE s.channel IS NOT NULL AND s.account IS NOT NULL ORDER BY 1, 2
  LOOP
    PERFORM reconcile.lock_account(account_row.channel, account_row.account, false);
  END LOOP;
  SELECT array_agg(p.batch_position ORDER BY p.batch_position) FILTER (WHERE p.refused IS NOT NULL),
         array_agg(p.refused ORDER BY p.batch_position) FILTER (WHERE p.refused IS NOT NULL)
  INTO refused_positions, refused_reasons
  FROM reconcile.place_entries(p_channel, p_account, p_book, p_occurred_at, p_business_date, p_status) p;
  SELECT array_agg(m.day), array_agg(m.book) INTO months, books
  FROM (SELECT DISTINCT p.day, p_book[p.batch_position] AS book
        FROM reconcile.place_entries(p_channel, p_account, p_book, p_occurred_at, p_business_date, p_status) p
        WHERE p.refused IS NULL) m;
  FOR i IN 1 .. coalesce(cardinality(months), 0) LOOP
    PERFORM reconcile.ensure_month(months[i], books[i]);
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.prepare_entries(text[], text[], text[], timestamptz[], date[], text[])
IS 'Before a batch: locks its accounts, makes its partitions, and says which positions are refused and why';

-- What a batch of new entries needs to know of its accounts, under their locks.
CREATE FUNCTION reconcile.open_accounts(p_channel text[], p_account text[])
RETURNS TABLE (channel text, account text, channel_known boolean, account_known boolean, time_zone text,
               day_start bigint, first_date date, open_from date, effective_statuses text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  PERFORM reconcile.lock_account(l.channel, l.account, false)
  FROM (SELECT DISTINCT s.channel, s.account FROM unnest(p_channel, p_account) AS s (channel, account)
        WHERE s.channel IS NOT NULL AND s.account IS NOT NULL ORDER BY 1, 2) l;
  RETURN QUERY
    SELECT s.channel, s.account, c.channel IS NOT NULL, a.account IS NOT NULL, c.time_zone,
           (extract(epoch FROM c.day_start) * 1000000)::bigint, c.first_date, a.signed_through + 1, c.effective_statuses
    FROM unnest(p_channel, p_account) AS s (channel, account)
    LEFT JOIN reconcile.channel c ON c.channel = s.channel
    LEFT JOIN reconcile.account a ON a.channel = s.channel AND a.account = s.account;
END
$$;
COMMENT ON FUNCTION reconcile.open_accounts(text[], text[])
IS 'Locks the accounts of a batch of entries and says how their days are counted (day_start in microseconds) and from which day on they are open';

-- New entries, a batch at a time, the way C++ stores them (extension/pg/entry_writer.h). Replays change nothing.
CREATE FUNCTION reconcile.insert_entries(
  p_source_id integer, p_statement_id bigint, p_source_key text[], p_channel text[], p_account text[],
  p_book text[], p_kind text[], p_sub_kind text[], p_order_key text[], p_match_key text[], p_channel_ref text[],
  p_original_ref text[], p_amount text[], p_currency text[], p_settle_amount text[], p_settlement_currency text[],
  p_fx_rate text[], p_fee text[], p_net text[], p_status text[], p_source_status text[],
  p_occurred_at timestamptz[], p_value_date date[], p_business_date date[], p_settlement_ref text[],
  p_attributes text[]) RETURNS bigint
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'reconcile_insert_entries';
COMMENT ON FUNCTION reconcile.insert_entries(integer, bigint, text[], text[], text[], text[], text[], text[], text[],
  text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], timestamptz[],
  date[], date[], text[], text[])
IS 'Stores a batch of new entries with their totals and changes, under their accounts'' locks; what place_entries() refuses is left out';

-- What changed in a row whose day is signed off enters the next open day as a delta: the figures of the new
-- version less those of all stored versions, per identity. What was signed off stays as it is.
CREATE FUNCTION reconcile.enter_delta(p_source_id integer, p_source_key text, new_version jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ordinal integer;
  delta record;
  open_day date;
BEGIN
  SELECT coalesce(max(split_part(substr(e.source_key, length(p_source_key) + 1), '#', 2)::integer), 0) INTO ordinal
  FROM reconcile.entry e
  WHERE e.source_id = p_source_id AND e.source_key >= p_source_key || '#' AND e.source_key < p_source_key || '$';

  FOR delta IN
    WITH stored AS (
      SELECT e.channel, e.account, e.book, e.kind, e.order_key, e.match_key, e.channel_ref, e.original_ref,
             e.currency, e.settlement_currency, e.business_date, -e.amount AS amount,
             -e.settle_amount AS settle_amount, -e.fee AS fee, -e.net AS net, e.occurred_at
      FROM reconcile.entry e
      WHERE e.source_id = p_source_id AND e.effective
        AND e.source_key >= p_source_key AND e.source_key < p_source_key || '$'
        AND (e.source_key = p_source_key OR e.source_key >= p_source_key || '#')
      UNION ALL
      SELECT n.channel, n.account, n.book, n.kind, n.order_key, n.match_key, n.channel_ref, n.original_ref,
             n.currency, n.settlement_currency, n.business_date, n.amount, n.settle_amount, n.fee, n.net, n.occurred_at
      FROM jsonb_populate_record(NULL::reconcile.entry, new_version) n
      WHERE n.effective
    )
    SELECT s.channel, s.account, s.book, s.kind, s.order_key, s.match_key, s.channel_ref, s.currency,
           s.settlement_currency, max(s.original_ref) AS original_ref, max(s.business_date) AS business_date,
           sum(s.amount) AS amount, sum(s.settle_amount) AS settle_amount, sum(s.fee) AS fee, sum(s.net) AS net,
           max(s.occurred_at) AS occurred_at
    FROM stored s
    GROUP BY s.channel, s.account, s.book, s.kind, s.order_key, s.match_key, s.channel_ref, s.currency,
             s.settlement_currency
    HAVING sum(s.amount) <> 0 OR coalesce(sum(s.settle_amount), 0) <> 0 OR coalesce(sum(s.fee), 0) <> 0
           OR coalesce(sum(s.net), 0) <> 0
    ORDER BY sum(s.amount)
  LOOP
    ordinal := ordinal + 1;
    SELECT greatest(delta.business_date, a.signed_through + 1) INTO STRICT open_day
    FROM reconcile.account a WHERE a.channel = delta.channel AND a.account = delta.account;
    INSERT INTO reconcile.entry (
      channel, account, book, kind, sub_kind, order_key, match_key, channel_ref, original_ref, amount, currency,
      settle_amount, settlement_currency, fee, net, status, effective, occurred_at, business_date, recon_date,
      attributes, source_id, source_key)
    VALUES (
      delta.channel, delta.account, delta.book, delta.kind, 'delta', delta.order_key, delta.match_key,
      delta.channel_ref, delta.original_ref, delta.amount, delta.currency, delta.settle_amount,
      delta.settlement_currency, delta.fee, delta.net, 'success', true, delta.occurred_at, delta.business_date,
      open_day, jsonb_build_object('delta_of', p_source_key), p_source_id, p_source_key || '#' || ordinal);
  END LOOP;
  INSERT INTO reconcile.entry_history (source_id, source_key, channel, account, reason, entry)
  SELECT p_source_id, p_source_key, e.channel, e.account, 'after_sign_off', coalesce(new_version, 'null')
  FROM reconcile.entry e WHERE e.source_id = p_source_id AND e.source_key = p_source_key
  ORDER BY e.recon_date LIMIT 1;
END
$$;
COMMENT ON FUNCTION reconcile.enter_delta(integer, text, jsonb) IS 'Enters the difference between a row''s new version (NULL: deleted) and its signed-off versions into the next open day';

-- One change of one row: new_version NULL is a deletion. Returns whether anything changed.
-- The keys' range stands beside the OR because a plan made before the first ANALYZE, kept for the session, would
-- otherwise read every row of the source.
CREATE FUNCTION reconcile.supersede_entry(p_source_id integer, p_source_key text, new_version jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  fresh reconcile.entry%ROWTYPE;
  stored record;
  only_version jsonb;
  last_known record;
  found_versions integer := 0;
  signed_versions integer := 0;
  same_place boolean := false;
BEGIN
  IF new_version IS NOT NULL THEN
    fresh := jsonb_populate_record(NULL::reconcile.entry, new_version);
  END IF;
  -- Whether a version is signed off is asked under the lock: a sign-off may be at work until then.
  FOR stored IN
    SELECT DISTINCT e.channel, e.account FROM reconcile.entry e
    WHERE e.source_id = p_source_id
      AND (e.source_key = p_source_key
           OR (e.source_key >= p_source_key || '#' AND e.source_key < p_source_key || '$'))
    ORDER BY 1, 2
  LOOP
    PERFORM reconcile.lock_account(stored.channel, stored.account, false);
  END LOOP;
  FOR stored IN
    SELECT to_jsonb(e) AS version, e.channel, e.account, e.book, e.order_key, e.business_date,
           coalesce(e.recon_date <= a.signed_through, false) AS signed
    FROM reconcile.entry e
    JOIN reconcile.account a ON a.channel = e.channel AND a.account = e.account
    WHERE e.source_id = p_source_id
      AND e.source_key >= p_source_key AND e.source_key < p_source_key || '$'
      AND (e.source_key = p_source_key OR e.source_key >= p_source_key || '#')
  LOOP
    found_versions := found_versions + 1;
    IF stored.signed THEN
      signed_versions := signed_versions + 1;
    END IF;
    only_version := stored.version;
    same_place := stored.book = fresh.book AND stored.order_key = fresh.order_key
                  AND stored.business_date = fresh.business_date;
  END LOOP;

  IF found_versions = 0 THEN
    IF new_version IS NOT NULL THEN
      INSERT INTO reconcile.entry SELECT fresh.*;
    END IF;
    RETURN new_version IS NOT NULL;
  END IF;
  -- A replay changes nothing. Which day takes it in is ours to say, not the source's: it may have moved on since.
  IF found_versions = 1 AND only_version - 'recon_date' = new_version - 'recon_date' THEN
    RETURN false;
  END IF;
  IF signed_versions > 0 THEN
    SELECT h.reason, CASE WHEN h.entry <> 'null' THEN h.entry - 'recon_date' END AS version INTO last_known FROM reconcile.entry_history h
    WHERE h.source_id = p_source_id AND h.source_key >= p_source_key AND h.source_key < p_source_key || '$'
      AND (h.source_key = p_source_key OR h.source_key >= p_source_key || '#')
    ORDER BY h.history_id DESC LIMIT 1;
    IF last_known.reason = 'after_sign_off' AND last_known.version IS NOT DISTINCT FROM new_version - 'recon_date' THEN
      RETURN false;
    END IF;
  END IF;
  same_place := new_version IS NOT NULL AND same_place AND found_versions = 1 AND signed_versions = 0;

  -- Open versions make way; signed-off ones stay.
  FOR stored IN
    SELECT to_jsonb(e) AS version, e.channel, e.account, e.book, e.business_date, e.source_key, e.effective,
           e.order_key, e.statement_id
    FROM reconcile.entry e
    JOIN reconcile.account a ON a.channel = e.channel AND a.account = e.account
    WHERE e.source_id = p_source_id AND e.tier = 0
      AND e.source_key >= p_source_key AND e.source_key < p_source_key || '$'
      AND (e.source_key = p_source_key OR e.source_key >= p_source_key || '#')
      AND NOT coalesce(e.recon_date <= a.signed_through, false)
  LOOP
    -- A statement's rows are read back with their history: changed_after_sign_off().
    IF stored.effective OR new_version IS NULL OR stored.statement_id IS NOT NULL THEN
      INSERT INTO reconcile.entry_history (source_id, source_key, channel, account, reason, entry)
      VALUES (p_source_id, stored.source_key, stored.channel, stored.account,
              CASE WHEN new_version IS NULL THEN 'deleted' ELSE 'updated' END, stored.version);
    END IF;
    IF same_place THEN
      UPDATE reconcile.entry e SET
        channel = fresh.channel, account = fresh.account, kind = fresh.kind,
        sub_kind = fresh.sub_kind, match_key = fresh.match_key, channel_ref = fresh.channel_ref,
        original_ref = fresh.original_ref, amount = fresh.amount, currency = fresh.currency,
        settle_amount = fresh.settle_amount, settlement_currency = fresh.settlement_currency,
        fx_rate = fresh.fx_rate, fee = fresh.fee, net = fresh.net, status = fresh.status,
        source_status = fresh.source_status, effective = fresh.effective,
        occurred_at = fresh.occurred_at, value_date = fresh.value_date,
        recon_date = fresh.recon_date, settlement_ref = fresh.settlement_ref,
        attributes = fresh.attributes, statement_id = fresh.statement_id
      WHERE e.book = stored.book AND e.business_date = stored.business_date AND e.tier = 0
        AND e.source_id = p_source_id AND e.source_key = stored.source_key AND e.order_key = stored.order_key;
      RETURN true;
    END IF;
    DELETE FROM reconcile.entry e
    WHERE e.book = stored.book AND e.business_date = stored.business_date AND e.tier = 0
      AND e.source_id = p_source_id AND e.source_key = stored.source_key AND e.order_key = stored.order_key;
  END LOOP;

  IF signed_versions > 0 THEN
    PERFORM reconcile.enter_delta(p_source_id, p_source_key, new_version);
  ELSIF new_version IS NOT NULL THEN
    INSERT INTO reconcile.entry SELECT fresh.*;
  END IF;
  RETURN true;
END
$$;
COMMENT ON FUNCTION reconcile.supersede_entry(integer, text, jsonb) IS 'Replaces what is stored under a source key by a new version (NULL: deletes it), keeping history and whatever is signed off';

-- Updates and deletions, in the order of the batch; p_operation is U or D.
CREATE FUNCTION reconcile.change_entries(
  p_source_id integer, p_statement_id bigint, p_operation text[], p_source_key text[], p_channel text[],
  p_account text[], p_book text[], p_kind text[], p_sub_kind text[], p_order_key text[], p_match_key text[],
  p_channel_ref text[], p_original_ref text[], p_amount text[], p_currency text[], p_settle_amount text[],
  p_settlement_currency text[], p_fx_rate text[], p_fee text[], p_net text[], p_status text[],
  p_source_status text[], p_occurred_at timestamptz[], p_value_date date[], p_business_date date[],
  p_settlement_ref text[], p_attributes text[], OUT changed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- Planning over every book's partitions takes longer than the change itself: once is enough.
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  item record;
BEGIN
  -- Whatever the session has set: the row trigger records these.
  PERFORM set_config('pg_reconcile.sink_records', 'off', true);
  changed := 0;
  FOR item IN
    SELECT s.operation, s.source_key,
           to_jsonb(ROW(s.channel, s.account, s.book, s.kind, s.sub_kind, s.order_key, s.match_key, s.channel_ref, s.original_ref,
            s.amount::numeric, s.currency, s.settle_amount::numeric, s.settlement_currency, s.fx_rate::numeric,
            s.fee::numeric, s.net::numeric, s.status, s.source_status, p.is_effective, s.occurred_at, s.value_date,
            p.day, p.recon_day, s.settlement_ref, s.attributes::jsonb, p_source_id, s.source_key, p_statement_id,
            0::smallint)::reconcile.entry) AS version
    FROM unnest(p_operation, p_source_key, p_channel, p_account, p_book, p_kind, p_sub_kind, p_order_key, p_match_key,
                p_channel_ref, p_original_ref, p_amount, p_currency, p_settle_amount, p_settlement_currency,
                p_fx_rate, p_fee, p_net, p_status, p_source_status, p_occurred_at, p_value_date, p_settlement_ref,
                p_attributes) WITH ORDINALITY
         AS s (operation, source_key, channel, account, book, kind, sub_kind, order_key, match_key, channel_ref,
               original_ref, amount, currency, settle_amount, settlement_currency, fx_rate, fee, net, status,
               source_status, occurred_at, value_date, settlement_ref, attributes, ordinality)
    LEFT JOIN reconcile.place_entries(p_channel, p_account, p_book, p_occurred_at, p_business_date, p_status) p
      ON p.batch_position = s.ordinality
    WHERE s.operation = 'D' OR p.refused IS NULL
    ORDER BY s.ordinality
  LOOP
    IF reconcile.supersede_entry(p_source_id, item.source_key,
                                 CASE WHEN item.operation = 'U' THEN item.version END) THEN
      changed := changed + 1;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.change_entries(integer, bigint, text[], text[], text[], text[], text[], text[], text[],
  text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[],
  timestamptz[], date[], date[], text[], text[])
IS 'Applies a batch of updates (U) and deletions (D) by source key, in order';

GRANT SELECT ON reconcile.entry_change, reconcile.entry_total, reconcile.entry_history
  TO reconcile_reader, reconcile_worker;
GRANT EXECUTE ON FUNCTION reconcile.row_hash(text[]), reconcile.partman_schema() TO reconcile_reader, reconcile_worker;
GRANT EXECUTE ON FUNCTION reconcile.install(text), reconcile.ensure_month(date, text) TO reconcile_admin;
GRANT EXECUTE ON FUNCTION reconcile.ensure_month(date, text) TO reconcile_worker;
