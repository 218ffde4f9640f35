-- A first format document for a file that no format describes.

CREATE FUNCTION reconcile.suggest_format(path text) RETURNS jsonb
  LANGUAGE c STRICT STABLE SET search_path = pg_catalog, pg_temp
  AS '$libdir/pg_reconcile_statement', 'reconcile_suggest_format';
COMMENT ON FUNCTION reconcile.suggest_format(text) IS 'Looks at a CSV or tab-separated file and proposes the document of a format that reads it; its description says what is uncertain. Nothing is stored';

GRANT EXECUTE ON FUNCTION reconcile.suggest_format(text) TO reconcile_reader, reconcile_worker;
