-- A discrepancy in words.

CREATE FUNCTION reconcile.minor_units(currency text) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'reconcile_minor_units';
COMMENT ON FUNCTION reconcile.minor_units(text) IS 'How many decimals a currency has (ISO 4217): CNY 2, JPY 0, KWD 3; NULL: no such currency';

CREATE FUNCTION reconcile.amount_text(amount numeric, currency text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN scale(trim_scale(a.amount)) < a.digits THEN round(a.amount, a.digits) ELSE trim_scale(a.amount) END::text
         || ' ' || a.currency
  FROM (SELECT amount_text.amount, amount_text.currency, coalesce(reconcile.minor_units(amount_text.currency), 2)) AS a (amount, currency, digits)
$$;
COMMENT ON FUNCTION reconcile.amount_text(numeric, text) IS 'An amount for people: with the decimals of its currency, and its currency';

CREATE FUNCTION reconcile.discrepancy_in_words(d reconcile.discrepancy) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  left_book text := coalesce(d.left_entry ->> 'book', split_part(d.leg, '-', 1));
  right_book text := coalesce(d.right_entry ->> 'book', split_part(d.leg, '-', 2));
  zone text := (SELECT c.time_zone FROM reconcile.channel c WHERE c.channel = d.channel);
  effective jsonb := CASE WHEN d.left_amount IS NOT NULL THEN d.left_entry ELSE d.right_entry END;
  other jsonb := CASE WHEN d.left_amount IS NOT NULL THEN d.right_entry ELSE d.left_entry END;
  what text := format('%s %s', d.entry_kind, d.item_key);
  since text := CASE WHEN effective ->> 'occurred_at' IS NOT NULL
                     THEN ' of ' || to_char((effective ->> 'occurred_at')::timestamptz AT TIME ZONE zone,
                                            'YYYY-MM-DD HH24:MI:SS')
                     ELSE ' of ' || d.business_date END;
  result text;
BEGIN
  result := CASE
    WHEN d.kind LIKE 'missing\_%' THEN
      format('%s%s over %s is in the %s book and not in the %s book.', what, since,
             reconcile.amount_text(coalesce(d.left_amount, d.right_amount), d.currency), effective ->> 'book',
             substr(d.kind, 9))
    WHEN d.kind LIKE 'duplicate\_%' THEN
      format('%s%s over %s is in the %s book once more than in the %s book.', what, since,
             reconcile.amount_text(coalesce(d.left_amount, d.right_amount), d.currency), effective ->> 'book',
             CASE WHEN d.left_amount IS NOT NULL THEN right_book ELSE left_book END)
    WHEN d.kind = 'status_mismatch' THEN
      format('%s%s over %s succeeded in the %s book and is %s in the %s book.', what, since,
             reconcile.amount_text(coalesce(d.left_amount, d.right_amount), d.currency), effective ->> 'book',
             coalesce(other ->> 'status', 'not successful'), other ->> 'book')
    WHEN d.kind = 'fee_mismatch' THEN
      format('%s: the %s book expects a fee of %s, the %s book charges %s.', what, left_book,
             reconcile.amount_text(d.left_amount, d.left_currency), right_book,
             reconcile.amount_text(d.right_amount, d.right_currency))
    WHEN d.kind = 'over_refund' THEN
      format('Order %s: %s more was refunded than was paid. Both books say so.',
             coalesce(d.left_entry ->> 'order_key', d.right_entry ->> 'order_key'), reconcile.amount_text(-d.left_amount, d.currency))
    WHEN d.kind = 'kind_mismatch' THEN
      format('%s is a %s over %s in the %s book and a %s over %s in the %s book.', d.item_key,
             d.left_entry ->> 'kind', reconcile.amount_text(d.left_amount, d.left_currency), left_book,
             d.right_entry ->> 'kind', reconcile.amount_text(d.right_amount, d.right_currency), right_book)
    WHEN d.kind = 'reference_mismatch' THEN
      format('%s matches over %s, yet the %s book calls it %s and the %s book %s.', what,
             reconcile.amount_text(d.left_amount, d.left_currency), left_book,
             coalesce(d.left_entry ->> 'channel_ref', d.left_entry ->> 'match_key'), right_book,
             coalesce(d.right_entry ->> 'channel_ref', d.right_entry ->> 'match_key'))
    ELSE
      format('%s%s is over %s in the %s book and over %s in the %s book.', what, since,
             reconcile.amount_text(d.left_amount, d.left_currency), left_book,
             reconcile.amount_text(d.right_amount, d.right_currency), right_book)
  END;
  IF d.difference > 0 THEN
    result := result || format(' Surplus: %s to our advantage.', reconcile.amount_text(d.difference, d.currency));
  ELSIF d.difference < 0 THEN
    result := result || format(' Shortage: %s to our disadvantage.', reconcile.amount_text(-d.difference, d.currency));
  END IF;
  IF d.business_date < d.opened_on THEN
    result := result || format(' It was carried from %s and fell due on %s.', d.business_date, d.opened_on);
  END IF;
  IF d.state IN ('cleared', 'resolved', 'written_off') THEN
    result := result || format(' %s on %s.', initcap(replace(d.state, '_', ' ')), d.cleared_on);
  END IF;
  RETURN result;
END
$$;
COMMENT ON FUNCTION reconcile.discrepancy_in_words(reconcile.discrepancy) IS 'A discrepancy as a sentence for people';

GRANT EXECUTE ON FUNCTION reconcile.minor_units(text), reconcile.amount_text(numeric, text),
  reconcile.discrepancy_in_words(reconcile.discrepancy) TO reconcile_reader;
