-- Comparing any two relations. SECURITY INVOKER, and no SET search_path: filters are the caller's own expressions,
-- read with the caller's rights and search_path.

CREATE FUNCTION reconcile.compare(
    left_relation  regclass,
    right_relation regclass,
    key            text[],
    compare        text[] DEFAULT NULL,
    left_filter    text   DEFAULT NULL,
    right_filter   text   DEFAULT NULL,
    tolerance      jsonb  DEFAULT NULL)
RETURNS TABLE (kind text, key text[], differing text[], left_row jsonb, right_row jsonb)
LANGUAGE c STABLE PARALLEL UNSAFE COST 10000 ROWS 1000
AS 'MODULE_PATHNAME', 'reconcile_compare';
COMMENT ON FUNCTION reconcile.compare(regclass, regclass, text[], text[], text, text, jsonb) IS
'The rows in which two relations differ: missing_left, missing_right, mismatch, duplicate_left, duplicate_right. Keys and compared columns compare with IS NOT DISTINCT FROM; compare NULL means all common columns that are not keys; ''a=b'' pairs names that differ';

CREATE FUNCTION reconcile.compare_summary(
    left_relation  regclass,
    right_relation regclass,
    key            text[],
    compare        text[] DEFAULT NULL,
    left_filter    text   DEFAULT NULL,
    right_filter   text   DEFAULT NULL,
    tolerance      jsonb  DEFAULT NULL,
    OUT left_rows       bigint,
    OUT right_rows      bigint,
    OUT matched         bigint,
    OUT missing_left    bigint,
    OUT missing_right   bigint,
    OUT mismatched      bigint,
    OUT duplicate_left  bigint,
    OUT duplicate_right bigint)
LANGUAGE c STABLE PARALLEL UNSAFE COST 10000
AS 'MODULE_PATHNAME', 'reconcile_compare_summary';
COMMENT ON FUNCTION reconcile.compare_summary(regclass, regclass, text[], text[], text, text, jsonb) IS
'How many rows reconcile.compare would return, by kind, and how many pairs are equal or within tolerance (matched). left_rows = matched + mismatched + missing_right + duplicate_left, and right_rows alike';

CREATE FUNCTION reconcile.explain_compare(
    left_relation  regclass,
    right_relation regclass,
    key            text[],
    compare        text[] DEFAULT NULL,
    left_filter    text   DEFAULT NULL,
    right_filter   text   DEFAULT NULL,
    tolerance      jsonb  DEFAULT NULL)
RETURNS TABLE (side text, relation text, path text, reason text, estimated_rows bigint, workers integer)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 2
AS 'MODULE_PATHNAME', 'reconcile_explain_compare';
COMMENT ON FUNCTION reconcile.explain_compare(regclass, regclass, text[], text[], text, text, jsonb) IS
'How reconcile.compare with the same arguments would read each side: page by page from the heap, with how many parallel workers beside this process, or through the executor, and why. Reads no row';

GRANT EXECUTE ON FUNCTION
  reconcile.explain_compare(regclass, regclass, text[], text[], text, text, jsonb),
  reconcile.compare(regclass, regclass, text[], text[], text, text, jsonb),
  reconcile.compare_summary(regclass, regclass, text[], text[], text, text, jsonb)
TO reconcile_reader, reconcile_operator, reconcile_approver, reconcile_admin, reconcile_worker;
