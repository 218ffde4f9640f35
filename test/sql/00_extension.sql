-- The extension installs where it should, and takes nothing that is not its own.
BEGIN;
SELECT plan(4);

SELECT is((SELECT extversion FROM pg_extension WHERE extname = 'pg_reconcile'), '0.1.0', 'version');
SELECT is((SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
           WHERE e.extname = 'pg_reconcile'), 'reconcile', 'lives in its own schema');
SELECT is((SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_reconcile'
           JOIN pg_class c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass
           WHERE d.deptype = 'e' AND c.relnamespace <> 'reconcile'::regnamespace), 0::bigint,
          'no member relation outside the schema');
SELECT is((SELECT count(*) FROM pg_extension e
           JOIN pg_depend d ON d.classid = 'pg_extension'::regclass AND d.objid = e.oid
           JOIN pg_extension r ON r.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
           WHERE e.extname = 'pg_reconcile' AND r.extname = 'pg_partman'), 1::bigint, 'requires pg_partman');

SELECT * FROM finish();
ROLLBACK;
