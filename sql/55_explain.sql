-- A discrepancy, and a match, in words.

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

CREATE FUNCTION reconcile.explain(discrepancy_id bigint)
RETURNS TABLE (step integer, topic text, explanation text, details jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  d reconcile.discrepancy%ROWTYPE;
BEGIN
  SELECT x.* INTO d FROM reconcile.discrepancy x WHERE x.discrepancy_id = explain.discrepancy_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('discrepancy %s does not exist', coalesce(discrepancy_id::text, 'NULL')),
      HINT = 'Look for its id in reconcile.open_discrepancy.';
  END IF;
  RETURN QUERY
    SELECT 1, 'verdict', reconcile.discrepancy_in_words(d),
           jsonb_build_object('kind', d.kind, 'difference', d.difference, 'currency', d.currency, 'state', d.state)
    UNION ALL
    SELECT 2, 'left entry', CASE WHEN d.left_entry IS NULL THEN 'none' ELSE format('%s book, %s, %s, source key %s', d.left_entry ->> 'book',
                                            d.left_entry ->> 'status', d.left_entry ->> 'amount',
                                            d.left_entry ->> 'source_key') END, d.left_entry
    UNION ALL
    SELECT 3, 'right entry', CASE WHEN d.right_entry IS NULL THEN 'none' ELSE format('%s book, %s, %s, source key %s', d.right_entry ->> 'book',
                                             d.right_entry ->> 'status', d.right_entry ->> 'amount',
                                             d.right_entry ->> 'source_key') END, d.right_entry
    UNION ALL
    -- What else there is of the same order: the nearest candidates, and why each is not the counterpart.
    SELECT 4, 'other entry of the order',
           format('%s book: %s %s, %s, on %s: %s', c.book, c.kind, c.match_key,
                  reconcile.amount_text(c.amount, c.currency), c.business_date, c.why), c.entry
    FROM (
      SELECT e.book, e.kind, coalesce(e.match_key, e.source_key) AS match_key, e.amount, e.currency, e.business_date,
             to_jsonb(e) AS entry,
             concat_ws(', ',
               CASE WHEN NOT e.effective THEN format('status %s, so no money moved', e.status) END,
               CASE WHEN e.kind <> d.entry_kind THEN 'another kind' END,
               CASE WHEN e.match_key IS DISTINCT FROM coalesce(d.left_entry ->> 'match_key', d.right_entry ->> 'match_key')
                    THEN 'another match key' END,
               CASE WHEN e.amount <> coalesce(d.left_amount, d.right_amount)
                    THEN format('amount differs by %s', reconcile.amount_text(abs(e.amount - coalesce(d.left_amount, d.right_amount)), e.currency)) END,
               CASE WHEN e.effective AND NOT EXISTS (
                      SELECT FROM reconcile.open_item o
                      WHERE o.channel = d.channel AND o.account = d.account AND o.leg = d.leg AND o.book = e.book
                        AND o.source_id = e.source_id AND o.source_key = e.source_key AND o.closed_on IS NULL)
                    THEN 'matched already' END) AS why
      FROM reconcile.entry e
      WHERE e.channel = d.channel AND e.account = d.account
        AND e.order_key = coalesce(d.left_entry ->> 'order_key', d.right_entry ->> 'order_key')
        AND (e.source_id, e.source_key) IS DISTINCT FROM
            ((d.left_entry ->> 'source_id')::integer, d.left_entry ->> 'source_key')
        AND (e.source_id, e.source_key) IS DISTINCT FROM
            ((d.right_entry ->> 'source_id')::integer, d.right_entry ->> 'source_key')
      ORDER BY e.book, e.business_date, e.source_key
      LIMIT 20
    ) c
    UNION ALL
    SELECT 5, 'history', format('%s at %s by %s', v.event, v.recorded_at, v.actor), v.details
    FROM (SELECT h.* FROM reconcile.discrepancy_event h WHERE h.discrepancy_id = explain.discrepancy_id
          ORDER BY h.event_id) v;
END
$$;
COMMENT ON FUNCTION reconcile.explain(bigint)
IS 'Why a discrepancy stands: the verdict in words, both entries, the nearest candidates and why each is not the counterpart, its history';

CREATE FUNCTION reconcile.match_of(source_id integer, source_key text)
RETURNS TABLE (leg text, verdict text, explanation text, counterparts jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  subject reconcile.entry%ROWTYPE;
  side record;
  stored reconcile.match_group%ROWTYPE;
  item reconcile.open_item%ROWTYPE;
BEGIN
  SELECT e.* INTO subject FROM reconcile.entry e
  WHERE e.source_id = match_of.source_id AND e.source_key = match_of.source_key
  ORDER BY e.business_date DESC LIMIT 1;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('source %s has no entry "%s"', source_id, source_key),
      HINT = 'Source keys are in reconcile.entry; find one by order_key.';
  END IF;
  FOR side IN
    SELECT DISTINCT ON (l.leg) l.leg,
           CASE WHEN l.left_book = subject.book THEN l.right_book ELSE l.left_book END AS other_book,
           l.kinds -> subject.kind AS treatment
    FROM reconcile.leg l
    WHERE l.channel = subject.channel AND subject.book IN (l.left_book, l.right_book)
      AND l.valid_from <= subject.recon_date
    ORDER BY l.leg, l.valid_from DESC
  LOOP
    leg := side.leg;
    SELECT g.* INTO stored FROM reconcile.match_item m JOIN reconcile.match_group g ON g.group_id = m.group_id
    WHERE m.channel = subject.channel AND m.account = subject.account AND m.leg = side.leg AND m.book = subject.book
      AND m.source_id = subject.source_id AND m.source_key = subject.source_key;
    IF FOUND THEN
      verdict := 'matched';
      explanation := format('pass %s, rule %s version %s, run of %s, residual %s', stored.pass, stored.rule,
                            stored.rule_version, stored.business_date, stored.residual);
      counterparts := (SELECT jsonb_agg(m.entry ORDER BY m.book, m.source_key) FROM reconcile.match_item m
                       WHERE m.group_id = stored.group_id
                         AND (m.book, m.source_id, m.source_key)
                             <> (subject.book, subject.source_id, subject.source_key));
      RETURN NEXT;
      CONTINUE;
    END IF;
    SELECT o.* INTO item FROM reconcile.open_item o
    WHERE o.channel = subject.channel AND o.account = subject.account AND o.leg = side.leg AND o.book = subject.book
      AND o.source_id = subject.source_id AND o.source_key = subject.source_key;
    IF FOUND THEN
      verdict := CASE WHEN item.closed_by = 'adjustment' THEN 'adjusted' ELSE 'unmatched' END;
      explanation := CASE WHEN item.closed_by = 'adjustment' THEN format('closed by adjustment on %s', item.closed_on)
                          ELSE format('open since %s, due on %s', item.opened_on, item.due_date) END;
      counterparts := NULL;
      RETURN NEXT;
      CONTINUE;
    END IF;
    IF side.treatment IS DISTINCT FROM '"match"' THEN
      verdict := 'not in scope';
      explanation := format('kind %s: %s', subject.kind, coalesce(side.treatment::text, 'not listed'));
      counterparts := NULL;
    ELSIF NOT subject.effective THEN
      verdict := 'not effective';
      explanation := format('status %s: no money moved', subject.status);
      counterparts := NULL;
    ELSIF NOT EXISTS (SELECT FROM reconcile.run r WHERE r.channel = subject.channel AND r.account = subject.account
                      AND r.leg = side.leg AND r.business_date = subject.recon_date AND r.current) THEN
      verdict := 'not run';
      explanation := format('the run of %s has not been made', subject.recon_date);
      counterparts := NULL;
    ELSE
      -- A match within the day is derived from the entries: equal reference or key, kind, amount and currency.
      verdict := 'matched';
      counterparts := (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.source_key) FROM reconcile.entry e
                       WHERE e.book = side.other_book AND e.channel = subject.channel AND e.account = subject.account
                         AND e.recon_date = subject.recon_date AND e.effective AND e.kind = subject.kind
                         AND e.amount = subject.amount AND e.currency = subject.currency
                         AND (e.channel_ref = subject.channel_ref OR e.match_key = subject.match_key)
                         AND (e.order_key = subject.order_key OR e.channel_ref = subject.channel_ref));
      explanation := format('within %s, exactly: equal channel_ref or match_key, kind, amount and currency',
                            subject.recon_date);
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.match_of(integer, text)
IS 'What became of an entry in each leg: matched (by which rule, with what), unmatched (since when, due when), adjusted, not effective, not in scope, not run';

GRANT EXECUTE ON FUNCTION reconcile.minor_units(text), reconcile.amount_text(numeric, text), reconcile.discrepancy_in_words(reconcile.discrepancy),
  reconcile.explain(bigint), reconcile.match_of(integer, text) TO reconcile_reader;
