-- Whether two databases hold the same rows, without bringing the rows together.
-- SECURITY INVOKER: they see what the query that calls them sees.

CREATE FUNCTION reconcile.digest_add(internal, VARIADIC "any") RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_digest_add';
COMMENT ON FUNCTION reconcile.digest_add(internal, "any") IS 'Of digest(): adds a row';
CREATE FUNCTION reconcile.digest_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_digest_combine';
COMMENT ON FUNCTION reconcile.digest_combine(internal, internal) IS 'Of digest(): adds what another process read';
CREATE FUNCTION reconcile.digest_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_digest_serialize';
COMMENT ON FUNCTION reconcile.digest_serialize(internal) IS 'Of digest(): the state, for another process';
CREATE FUNCTION reconcile.digest_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_digest_deserialize';
COMMENT ON FUNCTION reconcile.digest_deserialize(bytea, internal) IS 'Of digest(): the state of another process';
CREATE FUNCTION reconcile.digest_result(internal) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_digest_result';
COMMENT ON FUNCTION reconcile.digest_result(internal) IS 'Of digest(): the digest';

CREATE AGGREGATE reconcile.digest(VARIADIC "any") (
  SFUNC = reconcile.digest_add, STYPE = internal, SSPACE = 24,
  COMBINEFUNC = reconcile.digest_combine,
  SERIALFUNC = reconcile.digest_serialize, DESERIALFUNC = reconcile.digest_deserialize,
  FINALFUNC = reconcile.digest_result, PARALLEL = SAFE);
COMMENT ON AGGREGATE reconcile.digest("any") IS
'Digest of the rows of these columns, whatever their order: 1:<rows>:<sum of their row hashes modulo 2^128>. Equal rows give an equal digest on every server; values that their type calls equal count as equal, twins count twice. Version 1, published in docs/digest.md';

GRANT EXECUTE ON FUNCTION reconcile.digest("any")
TO reconcile_reader, reconcile_operator, reconcile_approver, reconcile_admin, reconcile_worker;
