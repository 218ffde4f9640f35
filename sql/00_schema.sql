-- Roles and the schema. Roles belong to the cluster: created when absent, never dropped.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['reconcile_reader', 'reconcile_operator', 'reconcile_approver',
                                'reconcile_admin', 'reconcile_owner', 'reconcile_worker']
  LOOP
    BEGIN
      IF wanted = 'reconcile_worker' THEN
        EXECUTE format('CREATE ROLE %I LOGIN', wanted);
      ELSE
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;  -- another database of this cluster made it
    END;
  END LOOP;
END
$$;

-- Who owns the schema owns what is in it in the end: a schema that somebody prepared is a trap.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
             WHERE n.nspname = 'reconcile' AND NOT r.rolsuper AND r.rolname <> current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
      MESSAGE = 'schema "reconcile" belongs to somebody else',
      DETAIL = format('Its owner is "%s".', (SELECT pg_catalog.pg_get_userbyid(n.nspowner)
                                             FROM pg_catalog.pg_namespace n WHERE n.nspname = 'reconcile')),
      HINT = 'Rename or drop it, or ALTER SCHEMA reconcile OWNER TO CURRENT_USER when you know what is in it.';
  END IF;
END
$$;

GRANT reconcile_reader TO reconcile_operator, reconcile_approver, reconcile_admin;

GRANT USAGE ON SCHEMA reconcile
  TO reconcile_reader, reconcile_operator, reconcile_approver, reconcile_admin, reconcile_worker;
GRANT USAGE, CREATE ON SCHEMA reconcile TO reconcile_owner;

-- The owner manages the entry partitions through pg_partman, wherever that is installed.
CREATE FUNCTION reconcile.grant_partman() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  partman_schema name;
BEGIN
  SELECT n.nspname INTO STRICT partman_schema
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
  WHERE e.extname = 'pg_partman';
  EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO reconcile_owner', partman_schema);
  EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO reconcile_owner', partman_schema);
  EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %I TO reconcile_owner', partman_schema);
  EXECUTE format('GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA %I TO reconcile_owner', partman_schema);
END
$$;
COMMENT ON FUNCTION reconcile.grant_partman() IS 'Lets reconcile_owner use pg_partman: for a superuser, after ALTER EXTENSION pg_partman UPDATE';
SELECT reconcile.grant_partman();

CREATE FUNCTION reconcile.local_system_identifier() RETURNS bigint
    LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'reconcile_local_system_identifier';
COMMENT ON FUNCTION reconcile.local_system_identifier() IS 'The identity of this database cluster, as initdb made it';
