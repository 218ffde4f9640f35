-- Which rows two databases differ in, without bringing the rows together.
-- SECURITY INVOKER: they see what the query that calls them sees.

CREATE FUNCTION reconcile.sketch_add(internal, integer, text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_sketch_add';
COMMENT ON FUNCTION reconcile.sketch_add(internal, integer, text) IS 'Of sketch(): adds a key';
CREATE FUNCTION reconcile.sketch_add(internal, integer, text, VARIADIC "any") RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_sketch_add';
COMMENT ON FUNCTION reconcile.sketch_add(internal, integer, text, "any") IS 'Of sketch(): adds a row';
CREATE FUNCTION reconcile.sketch_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_sketch_combine';
COMMENT ON FUNCTION reconcile.sketch_combine(internal, internal) IS 'Of sketch(): adds what another process read';
CREATE FUNCTION reconcile.sketch_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_sketch_serialize';
COMMENT ON FUNCTION reconcile.sketch_serialize(internal) IS 'Of sketch(): the sketch';
CREATE FUNCTION reconcile.sketch_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_sketch_deserialize';
COMMENT ON FUNCTION reconcile.sketch_deserialize(bytea, internal) IS 'Of sketch(): the sketch of another process';

CREATE AGGREGATE reconcile.sketch(cells integer, key text) (
  SFUNC = reconcile.sketch_add, STYPE = internal, SSPACE = 90000,
  COMBINEFUNC = reconcile.sketch_combine,
  SERIALFUNC = reconcile.sketch_serialize, DESERIALFUNC = reconcile.sketch_deserialize,
  FINALFUNC = reconcile.sketch_serialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE reconcile.sketch(integer, text) IS
'Sketch of keys, 88 bytes a cell, from which sketch_difference reads the keys that two sides differ in. Without rows NULL';
CREATE AGGREGATE reconcile.sketch(cells integer, key text, VARIADIC columns "any") (
  SFUNC = reconcile.sketch_add, STYPE = internal, SSPACE = 90000,
  COMBINEFUNC = reconcile.sketch_combine,
  SERIALFUNC = reconcile.sketch_serialize, DESERIALFUNC = reconcile.sketch_deserialize,
  FINALFUNC = reconcile.sketch_serialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE reconcile.sketch(integer, text, "any") IS
'Sketch of rows, a key and other columns, 88 bytes a cell, from which sketch_difference reads the keys of the rows that two sides differ in. Without rows NULL. Version 1, published in docs/digest.md';

CREATE FUNCTION reconcile.sketch_difference(left_sketch bytea, right_sketch bytea)
RETURNS TABLE (side text, key text, key_hash numeric, left_rows bigint, right_rows bigint)
LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000 ROWS 100
AS 'MODULE_PATHNAME', 'reconcile_sketch_difference';
COMMENT ON FUNCTION reconcile.sketch_difference(bytea, bytea) IS
'Keys of the rows that two sketches differ in, and how many rows each side has that the other has not (as EXCEPT ALL counts). key is NULL beyond 48 bytes: then key_hash = row_hash(key) finds it. All rows, or an error that says how many cells to take. A sketch that is NULL has no rows';

CREATE FUNCTION reconcile.sketch_cells(differences bigint) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconcile_sketch_cells';
COMMENT ON FUNCTION reconcile.sketch_cells(bigint) IS
'How many cells sketches need to tell so many differing rows, failing once in 10,000 times; a changed row is two of them, the old and the new';

GRANT EXECUTE ON FUNCTION
  reconcile.sketch(integer, text), reconcile.sketch(integer, text, "any"),
  reconcile.sketch_difference(bytea, bytea), reconcile.sketch_cells(bigint)
TO reconcile_reader, reconcile_operator, reconcile_approver, reconcile_admin, reconcile_worker;
