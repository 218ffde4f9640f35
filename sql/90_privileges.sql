-- Ownership, PUBLIC, row level security of member tables, and what pg_dump takes along. Last in the script.

DO $$
DECLARE
  object record;
BEGIN
  -- Everything belongs to reconcile_owner, and PUBLIC may do nothing.
  FOR object IN
    SELECT c.oid, c.oid::regclass AS name, c.relkind
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_reconcile')
      AND c.relkind IN ('r', 'v')
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', object.name);
    EXECUTE format('ALTER TABLE %s OWNER TO reconcile_owner', object.name);
  END LOOP;
  FOR object IN
    SELECT p.oid::regprocedure AS name, p.prokind
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_reconcile')
  LOOP
    EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', object.name);
    EXECUTE format('ALTER ROUTINE %s OWNER TO reconcile_owner', object.name);
  END LOOP;
END
$$;

-- Rows of a channel are seen by those who may see the channel.
DO $$
DECLARE
  object record;
BEGIN
  FOR object IN
    SELECT c.oid::regclass AS name,
           EXISTS (SELECT FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attname = 'account' AND NOT a.attisdropped) AS has_account
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
    JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid AND t.attname = 'channel' AND NOT t.attisdropped
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e' AND c.relkind = 'r'
      AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_reconcile')
      AND c.relname NOT IN ('access', 'source')
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', object.name);
    EXECUTE format('CREATE POLICY channel_access ON %s USING ((SELECT reconcile.visible_channels()) IS NULL OR channel IS NULL OR %s)',
                   object.name,
                   CASE WHEN object.has_account THEN
                     'account IS NULL AND channel = ANY ((SELECT reconcile.visible_channels())::text[])
                      OR channel || E''\x1f'' = ANY ((SELECT reconcile.visible_accounts())::text[])
                      OR channel || E''\x1f'' || account = ANY ((SELECT reconcile.visible_accounts())::text[])'
                   ELSE 'channel = ANY ((SELECT reconcile.visible_channels())::text[])' END);
  END LOOP;
END
$$;

-- What belongs to a run or to a discrepancy is seen with it.
ALTER TABLE reconcile.run_total ENABLE ROW LEVEL SECURITY;
CREATE POLICY run_access ON reconcile.run_total USING (
  (SELECT reconcile.visible_channels()) IS NULL
  OR EXISTS (SELECT FROM reconcile.run r WHERE r.run_id = run_total.run_id));
ALTER TABLE reconcile.discrepancy_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY discrepancy_access ON reconcile.discrepancy_event USING (
  (SELECT reconcile.visible_channels()) IS NULL
  OR EXISTS (SELECT FROM reconcile.discrepancy d WHERE d.discrepancy_id = discrepancy_event.discrepancy_id));
ALTER TABLE reconcile.adjustment ENABLE ROW LEVEL SECURITY;
CREATE POLICY discrepancy_access ON reconcile.adjustment USING (
  (SELECT reconcile.visible_channels()) IS NULL
  OR EXISTS (SELECT FROM reconcile.discrepancy d WHERE d.discrepancy_id = adjustment.discrepancy_id));

-- A source is seen by who may see a channel that it may feed; what belongs to it is seen with it.
ALTER TABLE reconcile.source ENABLE ROW LEVEL SECURITY;
CREATE POLICY source_access ON reconcile.source USING (
  (SELECT reconcile.visible_channels()) IS NULL
  OR (CASE WHEN channel IS NOT NULL AND account IS NOT NULL THEN
        ARRAY[channel || E'\x1f', channel || E'\x1f' || account] && (SELECT reconcile.visible_accounts())
      WHEN channel IS NOT NULL THEN channel = ANY ((SELECT reconcile.visible_channels())::text[])
      ELSE channels && (SELECT reconcile.visible_channels()) END));
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['source_position', 'source_state', 'source_error', 'inbox_file', 'fetch_day', 'fetch_file'] LOOP
    EXECUTE format('ALTER TABLE reconcile.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY source_access ON reconcile.%1$I USING (
                      (SELECT reconcile.visible_channels()) IS NULL
                      OR EXISTS (SELECT FROM reconcile.source s WHERE s.source_id = %1$I.source_id))', name);
  END LOOP;
END
$$;

-- Everybody sees what restricts them; only administrators see what restricts others.
ALTER TABLE reconcile.access ENABLE ROW LEVEL SECURITY;
CREATE POLICY access_access ON reconcile.access USING (
  pg_catalog.pg_has_role('reconcile_admin', 'MEMBER')
  OR EXISTS (SELECT FROM pg_catalog.pg_roles r
             WHERE r.rolname = access.member
               AND (pg_catalog.pg_has_role(r.oid, 'MEMBER')
                    OR pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER'))));

-- Every member table and every sequence travels with pg_dump; shipped rows don't.
DO $$
DECLARE
  object record;
BEGIN
  FOR object IN
    SELECT c.oid::regclass::text AS name, c.relkind,
           EXISTS (SELECT FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attname = 'built_in' AND NOT a.attisdropped) AS has_built_in
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e' AND c.relkind = 'r'
      AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_reconcile')
  LOOP
    PERFORM pg_catalog.pg_extension_config_dump(
      object.name, CASE WHEN object.has_built_in THEN 'WHERE NOT built_in' ELSE '' END);
  END LOOP;
  FOR object IN
    SELECT s.oid::regclass::text AS name
    FROM pg_catalog.pg_class s JOIN pg_catalog.pg_depend d
      ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid AND d.deptype = 'e'
    WHERE s.relkind = 'S'
      AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_reconcile')
  LOOP
    PERFORM pg_catalog.pg_extension_config_dump(object.name, '');
  END LOOP;
END
$$;
