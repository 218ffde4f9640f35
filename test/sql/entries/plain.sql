-- The oracle of 31_entry_sink.sql: a batch of entries by plain SQL, as reconcile.insert_entries stores one natively.
CREATE FUNCTION public.plain_insert_entries(
  p_source_id integer, p_statement_id bigint, p_source_key text[], p_channel text[], p_account text[],
  p_book text[], p_kind text[], p_sub_kind text[], p_order_key text[], p_match_key text[], p_channel_ref text[],
  p_original_ref text[], p_amount text[], p_currency text[], p_settle_amount text[], p_settlement_currency text[],
  p_fx_rate text[], p_fee text[], p_net text[], p_status text[], p_source_status text[],
  p_occurred_at timestamptz[], p_value_date date[], p_business_date date[], p_settlement_ref text[],
  p_attributes text[], OUT inserted bigint)
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM set_config('pg_reconcile.sink_records', 'on', true);
  WITH added AS (
    INSERT INTO reconcile.entry (
      channel, account, book, kind, sub_kind, order_key, match_key, channel_ref, original_ref, amount, currency,
      settle_amount, settlement_currency, fx_rate, fee, net, status, source_status, effective, occurred_at,
      value_date, business_date, recon_date, settlement_ref, attributes, source_id, source_key, statement_id)
    SELECT s.channel, s.account, s.book, s.kind, s.sub_kind, s.order_key, s.match_key, s.channel_ref, s.original_ref,
           s.amount::numeric, s.currency, s.settle_amount::numeric, s.settlement_currency, s.fx_rate::numeric,
           s.fee::numeric, s.net::numeric, s.status, s.source_status, p.is_effective, s.occurred_at, s.value_date,
           p.day, p.recon_day, s.settlement_ref, s.attributes::jsonb, p_source_id, s.source_key, p_statement_id
    FROM unnest(p_source_key, p_channel, p_account, p_book, p_kind, p_sub_kind, p_order_key, p_match_key,
                p_channel_ref, p_original_ref, p_amount, p_currency, p_settle_amount, p_settlement_currency,
                p_fx_rate, p_fee, p_net, p_status, p_source_status, p_occurred_at, p_value_date, p_settlement_ref,
                p_attributes) WITH ORDINALITY
         AS s (source_key, channel, account, book, kind, sub_kind, order_key, match_key, channel_ref, original_ref,
               amount, currency, settle_amount, settlement_currency, fx_rate, fee, net, status, source_status,
               occurred_at, value_date, settlement_ref, attributes, ordinality)
    JOIN reconcile.place_entries(p_channel, p_account, p_book, p_occurred_at, p_business_date, p_status) p
      ON p.batch_position = s.ordinality
    WHERE p.refused IS NULL
    ORDER BY s.ordinality
    ON CONFLICT DO NOTHING
    RETURNING channel, account, book, recon_date, kind, currency, amount, fee, effective, order_key, match_key,
              channel_ref, source_key
  ), totals AS (
    INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, amount, fee, digest)
    SELECT channel, account, recon_date, book, kind, currency, count(*), sum(amount), coalesce(sum(fee), 0),
           sum(reconcile.row_hash(order_key, match_key, channel_ref, kind, trim_scale(amount)::text, currency,
                                  trim_scale(fee)::text))
    FROM added WHERE effective
    GROUP BY channel, account, recon_date, book, kind, currency
  ), changes AS (
    INSERT INTO reconcile.entry_change (channel, account, recon_date, book, entries, source_id, order_keys, source_keys)
    SELECT d.channel, d.account, d.recon_date, d.book, d.entries, CASE WHEN r.has_run THEN p_source_id END, n.order_keys,
           n.source_keys
    FROM (SELECT a.channel, a.account, a.recon_date, a.book, count(*) AS entries
          FROM added a GROUP BY a.channel, a.account, a.recon_date, a.book) d
    CROSS JOIN LATERAL (SELECT reconcile.day_has_run(d.channel, d.account, d.recon_date) AS has_run OFFSET 0) r
    LEFT JOIN LATERAL (
      SELECT array_agg(a.order_key) AS order_keys, array_agg(CASE WHEN a.effective THEN a.source_key END) AS source_keys
      FROM added a
      WHERE r.has_run AND a.channel = d.channel AND a.account = d.account AND a.recon_date = d.recon_date AND a.book = d.book
    ) n ON true
  )
  SELECT count(*) INTO inserted FROM added;
  PERFORM set_config('pg_reconcile.sink_records', 'off', true);
END
$$;
