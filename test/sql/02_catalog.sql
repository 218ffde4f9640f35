-- What holds for every object of the extension, whoever adds one: it is explained, closed to PUBLIC, safe to call as
-- its owner, and dumped. Each test lists the offenders.
BEGIN;
SELECT plan(19);

CREATE TEMPORARY VIEW member AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS name
FROM pg_depend d
JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'pg_reconcile' AND d.deptype = 'e';

CREATE TEMPORARY VIEW member_relation AS
SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relowner, c.relacl, c.reloptions
FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid;

-- Members, and what reconcile.install() makes of them.
SELECT set_config('search_path', 'public, pg_temp', false) AS path \gset
SELECT lives_ok('SELECT reconcile.install()', 'the tables of run time are created');
SELECT is(current_setting('search_path'), :'path', 'and the session''s search_path is what it was');
SELECT reconcile.ensure_month(current_date + 400);
SELECT is(current_setting('search_path'), :'path', 'also after a month was added');
CREATE TEMPORARY VIEW any_relation AS
SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relispartition, c.relowner, c.relacl, c.relrowsecurity
FROM pg_class c WHERE c.relnamespace = 'reconcile'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S');

CREATE TEMPORARY VIEW routine AS
SELECT p.oid, p.oid::regprocedure::text AS signature, p.proname, p.prokind, p.prosecdef, p.proowner, p.proacl, l.lanname,
       (SELECT s FROM unnest(p.proconfig) s WHERE s LIKE 'search_path=%') AS search_path
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'reconcile'::regnamespace;

SELECT cmp_ok((SELECT count(*) FROM member), '>', 50::bigint, 'there is something to look at');

-- Explained
SELECT is_empty($$
  SELECT name FROM member m
  WHERE coalesce(length(obj_description(objid, (SELECT relname FROM pg_class WHERE oid = m.classid))), 0) < 10
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = m.classid AND d.objid = m.objid AND d.deptype IN ('i', 'a')
                      AND d.refobjsubid > 0)
    -- PostgreSQL 18 counts the types of rows and arrays as members.
    AND NOT EXISTS (SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
                    WHERE m.classid = 'pg_type'::regclass AND t.oid = m.objid AND (t.typcategory = 'A' OR c.relkind <> 'c'))
  ORDER BY 1 $$, 'every member has a comment (sequences of columns excepted)');
SELECT is_empty($$
  SELECT r.name, a.attname FROM member_relation r JOIN pg_attribute a ON a.attrelid = r.oid
  WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped
    AND coalesce(length(col_description(r.oid, a.attnum)), 0) < 3
  ORDER BY 1, 2 $$, 'every column of every table and view has a comment');
SELECT is_empty($$
  SELECT name FROM any_relation
  WHERE relkind IN ('r', 'p', 'v') AND NOT relispartition AND coalesce(length(obj_description(oid, 'pg_class')), 0) < 10
    AND name !~ '_p\d{4}_\d{2}|_template' $$, 'every table made at run time too');

-- Closed
SELECT is_empty($$ SELECT signature FROM routine WHERE has_function_privilege('public', oid, 'EXECUTE') $$,
  'PUBLIC executes nothing');
SELECT is_empty($$
  SELECT name, privilege FROM any_relation,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
  WHERE CASE WHEN relkind <> 'S' THEN has_table_privilege('public', oid, privilege) END $$, 'PUBLIC has nothing on tables and views');
SELECT is_empty($$
  SELECT name FROM any_relation WHERE CASE WHEN relkind = 'S' THEN has_sequence_privilege('public', oid, 'USAGE, SELECT, UPDATE') END $$,
  'PUBLIC has nothing on sequences');
SELECT ok(NOT has_schema_privilege('public', 'reconcile', 'CREATE'), 'PUBLIC creates nothing in the schema');
SELECT is_empty($$
  SELECT name FROM any_relation
  WHERE (name ~ '(^|\.)entry(_|$)') AND relkind IN ('r', 'p') AND name !~ '_template' AND NOT relrowsecurity
    AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = any_relation.oid OR i.inhrelid = any_relation.oid) $$,
  'row level security is on for the entry table and each of its leaves');

-- Safe
SELECT is_empty($$ SELECT signature FROM routine WHERE prosecdef AND search_path IS NULL $$,
  'every SECURITY DEFINER function sets its search_path');
SELECT is_empty($$
  SELECT signature, search_path FROM routine
  WHERE search_path IS NOT NULL AND search_path !~ '^search_path=pg_catalog(, "?reconcile"?)?(, "?pg_temp"?)?$' $$,
  'no search_path starts where others may create objects');
SELECT is_empty($$
  SELECT signature FROM routine
  WHERE search_path IS NULL AND prokind = 'f' AND lanname IN ('sql', 'plpgsql') AND proname !~ '^compare'  $$,
  'every function sets its search_path (compare''s filters use the caller''s)');
SELECT is_empty($$
  SELECT signature FROM routine JOIN pg_roles r ON r.oid = proowner WHERE prosecdef AND r.rolsuper $$,
  'no SECURITY DEFINER function runs as a superuser');
SELECT is_empty($$
  SELECT name FROM member_relation WHERE relkind = 'v' AND NOT coalesce(reloptions, '{}') && '{security_invoker=true,security_invoker=on}' $$,
  'every view sees what its reader may see');

-- Dumped, and restored without effects
SELECT is_empty($$
  SELECT name FROM member_relation r
  WHERE relkind IN ('r', 'S')
    AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_reconcile' AND r.oid = ANY (e.extconfig)) $$,
  'every table and every sequence is registered for pg_dump');
SELECT is_empty($$
  SELECT t.tgrelid::regclass, t.tgname FROM member_relation r JOIN pg_trigger t ON t.tgrelid = r.oid
  WHERE NOT t.tgisinternal AND (t.tgtype & 4) <> 0 AND (t.tgtype & 2) = 0 $$,
  'no member table has an AFTER INSERT trigger: it would fire again in a restore');

SELECT * FROM finish();
ROLLBACK;
