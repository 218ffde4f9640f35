-- What the tests of match rules say and ask.

CREATE FUNCTION public.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; detail text; hint text;
BEGIN
  EXECUTE statement;
  RETURN 'nothing was refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''));
END
$$;

-- An entry of channel pay, account a. Without an order it shares no key with any other entry.
CREATE FUNCTION public.say(p_book text, p_key text, p_amount text, p_day date, p_order text DEFAULT NULL, p_ref text DEFAULT NULL,
                           p_at interval DEFAULT '10 hours', p_fee text DEFAULT NULL, p_kind text DEFAULT 'payment',
                           p_status text DEFAULT NULL, p_attributes text DEFAULT NULL, p_settlement text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM reconcile.prepare_entries(ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_day + p_at], ARRAY[p_day], ARRAY['success']);
  RETURN reconcile.insert_entries(CASE p_book WHEN 'internal' THEN 1 ELSE 2 END, NULL, ARRAY[p_key], ARRAY['pay'], ARRAY['a'],
    ARRAY[p_book], ARRAY[p_kind], NULL, ARRAY[coalesce(p_order, p_key)], ARRAY[coalesce(p_order, p_key)], ARRAY[p_ref], NULL,
    ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, ARRAY[p_fee], NULL, ARRAY['success'], ARRAY[p_status], ARRAY[p_day + p_at], NULL,
    ARRAY[p_day], ARRAY[p_settlement], ARRAY[p_attributes]);
END
$$;

CREATE FUNCTION public.rules_of(p_version integer) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat_ws(' ', r.pass, r.rule, r.name, r.valid_from), ', ' ORDER BY r.pass) FROM reconcile.match_rule r
  WHERE r.version = p_version
$$;

CREATE FUNCTION public.next_day() RETURNS date LANGUAGE sql AS $$
  SELECT reconcile.next_run_day('pay', 'a', 'internal-trade', (current_date - 8 + time '12:00') AT TIME ZONE 'UTC')
$$;
