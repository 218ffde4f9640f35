-- What a stream's worker asks about what is stored already. It asks by number and key alone: the functions belong to
-- reconcile_owner, so that row level security on entries does not hide any of a source's rows from it.

CREATE FUNCTION reconcile.source_has_entries(p_source_id integer) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF to_regclass('reconcile.entry') IS NULL THEN
    RETURN false;
  END IF;
  RETURN EXISTS (SELECT FROM reconcile.entry e WHERE e.source_id = p_source_id);
END
$$;
COMMENT ON FUNCTION reconcile.source_has_entries(integer) IS 'Whether any entry of the source is stored';

CREATE FUNCTION reconcile.stored_keys(p_source_id integer, p_after text, p_rows bigint) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF to_regclass('reconcile.entry') IS NOT NULL THEN
    RETURN QUERY
      SELECT DISTINCT e.source_key COLLATE "C" AS k FROM reconcile.entry e
      WHERE e.source_id = p_source_id AND e.source_key > p_after COLLATE "C" AND strpos(e.source_key, '#') = 0
      ORDER BY k LIMIT p_rows;
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.stored_keys(integer, text, bigint) IS 'The next keys of a source that entries are stored under, deltas left out, in order';

CREATE FUNCTION reconcile.keys_deleted_after_sign_off(p_source_id integer, p_rows bigint) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT h.source_key FROM reconcile.entry_history h
  WHERE h.source_id = p_source_id AND h.reason = 'after_sign_off' AND h.entry = 'null'::jsonb
  LIMIT p_rows
$$;
COMMENT ON FUNCTION reconcile.keys_deleted_after_sign_off(integer, bigint) IS 'Keys whose rows the source deleted after their day was signed off: entries of theirs are stored still';

GRANT EXECUTE ON FUNCTION reconcile.source_has_entries(integer), reconcile.stored_keys(integer, text, bigint),
  reconcile.keys_deleted_after_sign_off(integer, bigint) TO reconcile_worker;
GRANT EXECUTE ON FUNCTION reconcile.open_accounts, reconcile.prepare_entries, reconcile.insert_entries, reconcile.change_entries TO reconcile_worker;
