-- Entries: the partitioned table, made at run time, and what follows every change of it.
--
-- reconcile.entry is no member of the extension: member tables with partitions made at run time do not survive
-- pg_dump. reconcile.install() creates it, owned by reconcile_owner.

CREATE TABLE reconcile.entry_change (
  change_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
  cluster    bigint NOT NULL DEFAULT reconcile.local_system_identifier(),
  channel    text NOT NULL,
  account    text NOT NULL,
  recon_date date NOT NULL,
  book       text NOT NULL,
  entries    bigint NOT NULL,
  source_id  integer,
  order_keys  text[] COLLATE "C",
  source_keys text[] COLLATE "C",
  old_entry   jsonb,
  CHECK (cardinality(order_keys) = cardinality(source_keys))
);
CREATE INDEX entry_change_day ON reconcile.entry_change (channel, account, recon_date);
COMMENT ON TABLE reconcile.entry_change IS 'Append-only: what changed in which day of an account, so that a run knows what its snapshot did not see';
COMMENT ON COLUMN reconcile.entry_change.change_id IS 'Order of recording';
COMMENT ON COLUMN reconcile.entry_change.xid IS 'The transaction that changed the entries';
COMMENT ON COLUMN reconcile.entry_change.cluster IS 'The database cluster that xid is of: a dump carries rows into others';
COMMENT ON COLUMN reconcile.entry_change.channel IS 'The channel';
COMMENT ON COLUMN reconcile.entry_change.account IS 'The account';
COMMENT ON COLUMN reconcile.entry_change.recon_date IS 'The day that changed';
COMMENT ON COLUMN reconcile.entry_change.book IS 'The book that changed';
COMMENT ON COLUMN reconcile.entry_change.entries IS 'How many entries changed';
COMMENT ON COLUMN reconcile.entry_change.source_id IS 'The source of the entries that are named';
COMMENT ON COLUMN reconcile.entry_change.order_keys IS 'The orders that changed, an element an entry; NULL: the day had not been run, any order of it';
COMMENT ON COLUMN reconcile.entry_change.source_keys IS 'Beside order_keys: the effective entries that came, or went; NULL elements: entries that are not effective';
COMMENT ON COLUMN reconcile.entry_change.old_entry IS 'The effective version that went, all columns; NULL: what is named came';

CREATE TABLE reconcile.entry_total (
  total_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
  channel    text NOT NULL,
  account    text NOT NULL,
  recon_date date NOT NULL,
  book       text NOT NULL,
  kind       text NOT NULL,
  currency   text NOT NULL,
  entries    bigint NOT NULL,
  amount     numeric NOT NULL,
  fee        numeric NOT NULL,
  digest     numeric NOT NULL
);
CREATE INDEX entry_total_day ON reconcile.entry_total (channel, account, recon_date);
COMMENT ON TABLE reconcile.entry_total IS 'Append-only deltas of the effective entries'' totals; their sum is what the entries must add up to';
COMMENT ON COLUMN reconcile.entry_total.total_id IS 'Order of recording';
COMMENT ON COLUMN reconcile.entry_total.xid IS 'The transaction that changed the entries';
COMMENT ON COLUMN reconcile.entry_total.channel IS 'The channel';
COMMENT ON COLUMN reconcile.entry_total.account IS 'The account';
COMMENT ON COLUMN reconcile.entry_total.recon_date IS 'The day';
COMMENT ON COLUMN reconcile.entry_total.book IS 'The book';
COMMENT ON COLUMN reconcile.entry_total.kind IS 'The entry kind';
COMMENT ON COLUMN reconcile.entry_total.currency IS 'The currency';
COMMENT ON COLUMN reconcile.entry_total.entries IS 'Effective entries that came (positive) or went (negative)';
COMMENT ON COLUMN reconcile.entry_total.amount IS 'Their amount';
COMMENT ON COLUMN reconcile.entry_total.fee IS 'Their fee, where stated';
COMMENT ON COLUMN reconcile.entry_total.digest IS 'Their row_hash, summed';

CREATE TABLE reconcile.entry_history (
  history_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source_id   integer NOT NULL,
  source_key  text COLLATE "C" NOT NULL,
  channel     text NOT NULL,
  account     text NOT NULL,
  reason      text NOT NULL CHECK (reason IN ('updated', 'deleted', 'after_sign_off')),
  entry       jsonb NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX entry_history_key ON reconcile.entry_history (source_id, source_key);
COMMENT ON TABLE reconcile.entry_history IS 'Superseded versions of entries: nothing that was effective is ever erased';
COMMENT ON COLUMN reconcile.entry_history.history_id IS 'Order of recording';
COMMENT ON COLUMN reconcile.entry_history.source_id IS 'The source';
COMMENT ON COLUMN reconcile.entry_history.source_key IS 'The source''s own row identity';
COMMENT ON COLUMN reconcile.entry_history.channel IS 'The channel';
COMMENT ON COLUMN reconcile.entry_history.account IS 'The account';
COMMENT ON COLUMN reconcile.entry_history.reason IS 'updated, deleted: the version that was replaced or removed; after_sign_off: the new version of a row whose day is signed off, entered as a delta';
COMMENT ON COLUMN reconcile.entry_history.entry IS 'The version, all columns; JSON null for a deletion after sign-off';
COMMENT ON COLUMN reconcile.entry_history.recorded_at IS 'When it was superseded';

CREATE FUNCTION reconcile.row_hash(VARIADIC fields text[]) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_row_hash';
COMMENT ON FUNCTION reconcile.row_hash(text[]) IS 'Version 1 of the published row hash: XXH3-128, seed 0, over each field as 0x00 (NULL) or 0x01, its length as 8 bytes little-endian and its UTF-8 bytes; digests are sums of it modulo 2^128';

-- Partitions ------------------------------------------------------------------------------------------------

CREATE FUNCTION reconcile.partman_schema() RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_partman'
$$;
COMMENT ON FUNCTION reconcile.partman_schema() IS 'The schema that pg_partman is installed in';

-- pg_partman's functions leave search_path changed for the caller's session.
CREATE FUNCTION reconcile.run_keeping_settings(statement text) RETURNS void
LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'reconcile_run_keeping_settings';
COMMENT ON FUNCTION reconcile.run_keeping_settings(text) IS 'Runs a statement and puts back every setting that it changes';

-- The two places that know how pg_partman 4.x and 5.x differ.
CREATE FUNCTION reconcile.partman_create_parent(parent text, template text, partition_interval text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  partman name := reconcile.partman_schema();
  major integer := (SELECT split_part(extversion, '.', 1)::integer FROM pg_extension WHERE extname = 'pg_partman');
BEGIN
  IF major < 5 THEN
    PERFORM reconcile.run_keeping_settings(format(
      'SELECT %I.create_parent(p_parent_table => %L, p_control => ''business_date'', p_type => ''native'',
         p_interval => %L, p_premake => 1, p_automatic_maintenance => ''off'', p_template_table => %L)',
      partman, parent, partition_interval, template));
    EXECUTE format('DROP TABLE IF EXISTS %s', parent || '_default');
  ELSE
    PERFORM reconcile.run_keeping_settings(format(
      'SELECT %I.create_parent(p_parent_table => %L, p_control => ''business_date'', p_type => ''range'',
         p_interval => %L, p_premake => 1, p_automatic_maintenance => ''off'', p_template_table => %L,
         p_default_table => false)',
      partman, parent, CASE partition_interval WHEN 'monthly' THEN '1 month' ELSE '1 day' END, template));
  END IF;
  EXECUTE format('UPDATE %I.part_config SET infinite_time_partitions = true WHERE parent_table = $1', partman)
  USING parent;
END
$$;
COMMENT ON FUNCTION reconcile.partman_create_parent(text, text, text) IS 'Registers a book of entries with pg_partman (4.7 and 5.x), without a default partition';

CREATE FUNCTION reconcile.partman_create_partition(parent text, begins timestamp) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- 4.x would analyze the whole book, 5.x never does.
  PERFORM reconcile.run_keeping_settings(format(
    'SELECT %I.create_partition_time(p_parent_table => %L, p_partition_times => ARRAY[%L::timestamptz] %s)',
    reconcile.partman_schema(), parent, begins,
    (SELECT CASE WHEN split_part(extversion, '.', 1)::integer < 5 THEN ', p_analyze => false' END
     FROM pg_extension WHERE extname = 'pg_partman')));
END
$$;
COMMENT ON FUNCTION reconcile.partman_create_partition(text, timestamp) IS 'Makes one partition of a book through pg_partman (4.7 and 5.x)';

-- A leaf is read through its parent, whose policies hold: reading it directly is for the owner alone.
CREATE FUNCTION reconcile.protect_partitions(parent regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  leaf regclass;
BEGIN
  FOR leaf IN
    SELECT c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = parent AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', leaf);
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.protect_partitions(regclass) IS 'Enables row level security on every partition of a book';

CREATE FUNCTION reconcile.ensure_month(day date, book text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  partman name := reconcile.partman_schema();
  parent text;
  unit text;
  suffix_format text;
  existing boolean;
BEGIN
  IF NOT has_table_privilege(format('%I.part_config', partman), 'SELECT') THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
      MESSAGE = 'reconcile_owner may not use pg_partman',
      DETAIL = 'An update of pg_partman takes back what was granted on its tables and functions.',
      HINT = 'As a superuser: SELECT reconcile.grant_partman()';
  END IF;
  FOR parent IN
    SELECT 'reconcile.' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'reconcile.entry'::regclass
      AND (ensure_month.book IS NULL OR c.relname = 'entry_' || ensure_month.book)
  LOOP
    EXECUTE format('SELECT datetime_string, CASE WHEN partition_interval::interval < interval ''28 days''
                                                 THEN ''day'' ELSE ''month'' END
                    FROM %I.part_config WHERE parent_table = $1', partman)
    INTO suffix_format, unit USING parent;
    existing := to_regclass(parent || '_p' || to_char(date_trunc(unit, day), suffix_format)) IS NOT NULL;
    IF NOT existing THEN
      -- One transaction makes the month, others wait and find it.
      PERFORM pg_advisory_xact_lock(hashtext('pg_reconcile ensure_month'), hashtext(parent));
      IF to_regclass(parent || '_p' || to_char(date_trunc(unit, day), suffix_format)) IS NULL THEN
        PERFORM reconcile.partman_create_partition(parent, date_trunc(unit, day::timestamp));
        PERFORM reconcile.protect_partitions(parent::regclass);
      END IF;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.ensure_month(date, text) IS 'Creates the partitions that hold a day, in one book or in all, through pg_partman';

-- What ties the entry table to the extension, and goes with it: DROP EXTENSION ... CASCADE leaves the entries alone.
CREATE FUNCTION reconcile.attach_entries() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  ALTER TABLE reconcile.entry ENABLE ROW LEVEL SECURITY;
  IF NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = 'reconcile.entry'::regclass AND p.polname = 'channel_access') THEN
    CREATE POLICY channel_access ON reconcile.entry USING (
      (SELECT reconcile.visible_accounts()) IS NULL
      OR channel || E'\x1f' = ANY ((SELECT reconcile.visible_accounts())::text[])
      OR channel || E'\x1f' || account = ANY ((SELECT reconcile.visible_accounts())::text[]));
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = 'reconcile.entry'::regclass AND t.tgname = 'entry_recorded') THEN
    -- The sink writes totals and changes a batch at a time; this trigger serves every other change of a row.
    CREATE TRIGGER entry_recorded AFTER INSERT OR UPDATE OR DELETE ON reconcile.entry
      FOR EACH ROW WHEN (current_setting('pg_reconcile.sink_records', true) IS DISTINCT FROM 'on')
      EXECUTE FUNCTION reconcile.record_entry_change();
  END IF;
  GRANT SELECT ON reconcile.entry TO reconcile_reader, reconcile_worker;
END
$$;
COMMENT ON FUNCTION reconcile.attach_entries() IS 'Gives reconcile.entry its policy, trigger and grants where they are missing';

CREATE FUNCTION reconcile.install(partition_interval text DEFAULT 'monthly') RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  book text;
BEGIN
  IF partition_interval NOT IN ('monthly', 'daily') THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('partition interval "%s" is not known', partition_interval),
      HINT = 'Give monthly or daily.';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('pg_reconcile install'));
  IF to_regclass('reconcile.entry') IS NOT NULL THEN
    PERFORM reconcile.attach_entries();  -- they may have outlived the extension
    RETURN false;
  END IF;

  CREATE TABLE reconcile.entry (
    channel             text NOT NULL,
    account             text NOT NULL,
    book                text NOT NULL,
    kind                text NOT NULL CHECK (kind IN ('payment', 'refund', 'reversal', 'chargeback',
                          'chargeback_reversal', 'fee', 'tax', 'payout', 'transfer', 'reserve', 'reserve_release',
                          'fx_conversion', 'profit_share', 'adjustment', 'other')),
    sub_kind            text,
    order_key           text COLLATE "C" NOT NULL CHECK (order_key <> ''),
    match_key           text COLLATE "C",
    channel_ref         text COLLATE "C",
    original_ref        text,
    amount              numeric NOT NULL CHECK (abs(amount) < 1e18 AND scale(trim_scale(amount)) <= 12),
    currency            text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    settle_amount       numeric CHECK (abs(settle_amount) < 1e18 AND scale(trim_scale(settle_amount)) <= 12),
    settlement_currency text CHECK (settlement_currency ~ '^[A-Z]{3}$'),
    fx_rate             numeric,
    fee                 numeric CHECK (abs(fee) < 1e18 AND scale(trim_scale(fee)) <= 12),
    net                 numeric CHECK (abs(net) < 1e18 AND scale(trim_scale(net)) <= 12),
    status              text NOT NULL CHECK (status IN ('success', 'pending', 'failed', 'closed', 'reversed')),
    source_status       text,
    effective           boolean NOT NULL,
    occurred_at         timestamptz,
    value_date          date,
    business_date       date NOT NULL,
    recon_date          date NOT NULL CHECK (recon_date >= business_date),
    settlement_ref      text,
    attributes          jsonb,
    source_id           integer NOT NULL,
    source_key          text COLLATE "C" NOT NULL,
    statement_id        bigint,
    tier                smallint NOT NULL DEFAULT 0
  ) PARTITION BY LIST (book);

  COMMENT ON TABLE reconcile.entry IS 'Every money movement, one row a book; partitioned by book and month';
  COMMENT ON COLUMN reconcile.entry.channel IS 'The channel';
  COMMENT ON COLUMN reconcile.entry.account IS 'Our account at the channel';
  COMMENT ON COLUMN reconcile.entry.book IS 'Who recorded the movement';
  COMMENT ON COLUMN reconcile.entry.kind IS 'What kind of movement it is';
  COMMENT ON COLUMN reconcile.entry.sub_kind IS 'The source''s finer word for the kind';
  COMMENT ON COLUMN reconcile.entry.order_key IS 'The original order''s number: shared by a payment and its refunds';
  COMMENT ON COLUMN reconcile.entry.match_key IS 'What both books call this movement; NULL: never matched by key';
  COMMENT ON COLUMN reconcile.entry.channel_ref IS 'The channel''s own number';
  COMMENT ON COLUMN reconcile.entry.original_ref IS 'The channel''s number of the movement that this one refers to';
  COMMENT ON COLUMN reconcile.entry.amount IS 'What customer and merchant agreed; positive is more on the account';
  COMMENT ON COLUMN reconcile.entry.currency IS 'Currency of amount, ISO 4217';
  COMMENT ON COLUMN reconcile.entry.settle_amount IS 'What counts for settlement, before the fee';
  COMMENT ON COLUMN reconcile.entry.settlement_currency IS 'Currency of settle_amount, fee and net';
  COMMENT ON COLUMN reconcile.entry.fx_rate IS 'Rate between the two currencies, as stated';
  COMMENT ON COLUMN reconcile.entry.fee IS 'What the channel keeps, positive; NULL: this book does not state it';
  COMMENT ON COLUMN reconcile.entry.net IS 'settle_amount - fee';
  COMMENT ON COLUMN reconcile.entry.status IS 'success, pending, failed, closed or reversed';
  COMMENT ON COLUMN reconcile.entry.source_status IS 'The source''s own word';
  COMMENT ON COLUMN reconcile.entry.effective IS 'Money moved: only effective entries count in sums';
  COMMENT ON COLUMN reconcile.entry.occurred_at IS 'When it happened';
  COMMENT ON COLUMN reconcile.entry.value_date IS 'Value date, where the source states one';
  COMMENT ON COLUMN reconcile.entry.business_date IS 'The statement''s own date, else the channel''s day of occurred_at';
  COMMENT ON COLUMN reconcile.entry.recon_date IS 'The day that reconciles it: business_date, or the next open day when that is signed off';
  COMMENT ON COLUMN reconcile.entry.settlement_ref IS 'The payout that it belongs to';
  COMMENT ON COLUMN reconcile.entry.attributes IS 'What the source gave and nobody mapped';
  COMMENT ON COLUMN reconcile.entry.source_id IS 'The source';
  COMMENT ON COLUMN reconcile.entry.source_key IS 'The source''s own row identity; key#n is the n-th delta after sign-off';
  COMMENT ON COLUMN reconcile.entry.statement_id IS 'The statement that it came with';
  COMMENT ON COLUMN reconcile.entry.tier IS '0: heap';

  -- partman copies the primary key from here to every leaf: a parent cannot have it.
  CREATE TABLE reconcile.entry_template (LIKE reconcile.entry);
  ALTER TABLE reconcile.entry_template ADD PRIMARY KEY (source_id, source_key, order_key);
  COMMENT ON TABLE reconcile.entry_template IS 'What pg_partman gives to every partition of reconcile.entry: the primary key. Holds no rows';

  CREATE INDEX ON reconcile.entry (order_key);
  -- The other names that entries are matched by: an incremental run looks up what shares them.
  CREATE INDEX ON reconcile.entry (channel_ref) WHERE channel_ref IS NOT NULL;
  CREATE INDEX ON reconcile.entry (match_key) WHERE match_key <> order_key;
  CREATE INDEX ON reconcile.entry USING brin (business_date) WITH (pages_per_range = 32, autosummarize = on);
  -- Prior-period items: found by the day that reconciles them, which is not the day of their partition.
  CREATE INDEX ON reconcile.entry (channel, account, recon_date) WHERE recon_date <> business_date;
  CREATE INDEX ON reconcile.entry (statement_id) WHERE statement_id IS NOT NULL;

  FOREACH book IN ARRAY ARRAY['internal', 'trade', 'fund', 'settlement', 'bank', 'notify'] LOOP
    EXECUTE format('CREATE TABLE reconcile.%I PARTITION OF reconcile.entry FOR VALUES IN (%L)
                    PARTITION BY RANGE (business_date)', 'entry_' || book, book);
    PERFORM reconcile.partman_create_parent('reconcile.entry_' || book, 'reconcile.entry_template',
                                            partition_interval);
    EXECUTE format('ALTER TABLE reconcile.%I ENABLE ROW LEVEL SECURITY', 'entry_' || book);
    PERFORM reconcile.protect_partitions(format('reconcile.%I', 'entry_' || book)::regclass);
  END LOOP;

  PERFORM reconcile.attach_entries();
  PERFORM reconcile.ensure_months_ahead();
  RETURN true;
END
$$;
COMMENT ON FUNCTION reconcile.install(text) IS 'Creates reconcile.entry and its partitions (monthly or daily); false when they are there. The first create_channel() calls it';

CREATE FUNCTION reconcile.record_entry_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    IF reconcile.day_has_run(OLD.channel, OLD.account, OLD.recon_date) THEN
      INSERT INTO reconcile.entry_change (channel, account, recon_date, book, entries, source_id, order_keys, source_keys, old_entry)
      VALUES (OLD.channel, OLD.account, OLD.recon_date, OLD.book, 1, OLD.source_id, ARRAY[OLD.order_key],
              ARRAY[CASE WHEN OLD.effective THEN OLD.source_key END], CASE WHEN OLD.effective THEN to_jsonb(OLD) END);
    ELSE
      INSERT INTO reconcile.entry_change (channel, account, recon_date, book, entries)
      VALUES (OLD.channel, OLD.account, OLD.recon_date, OLD.book, 1);
    END IF;
    IF OLD.effective THEN
      INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, amount, fee, digest)
      VALUES (OLD.channel, OLD.account, OLD.recon_date, OLD.book, OLD.kind, OLD.currency, -1, -OLD.amount,
              -coalesce(OLD.fee, 0),
              -reconcile.row_hash(OLD.order_key, OLD.match_key, OLD.channel_ref, OLD.kind,
                                  trim_scale(OLD.amount)::text, OLD.currency, trim_scale(OLD.fee)::text));
    END IF;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    IF reconcile.day_has_run(NEW.channel, NEW.account, NEW.recon_date) THEN
      INSERT INTO reconcile.entry_change (channel, account, recon_date, book, entries, source_id, order_keys, source_keys)
      VALUES (NEW.channel, NEW.account, NEW.recon_date, NEW.book, 1, NEW.source_id, ARRAY[NEW.order_key],
              ARRAY[CASE WHEN NEW.effective THEN NEW.source_key END]);
    ELSE
      INSERT INTO reconcile.entry_change (channel, account, recon_date, book, entries)
      VALUES (NEW.channel, NEW.account, NEW.recon_date, NEW.book, 1);
    END IF;
    IF NEW.effective THEN
      INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, amount, fee, digest)
      VALUES (NEW.channel, NEW.account, NEW.recon_date, NEW.book, NEW.kind, NEW.currency, 1, NEW.amount,
              coalesce(NEW.fee, 0),
              reconcile.row_hash(NEW.order_key, NEW.match_key, NEW.channel_ref, NEW.kind,
                                 trim_scale(NEW.amount)::text, NEW.currency, trim_scale(NEW.fee)::text));
    END IF;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION reconcile.record_entry_change() IS 'Row trigger of reconcile.entry: records totals and changes of what is written outside the sink''s batches';
