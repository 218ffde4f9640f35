-- Who may see which channels and accounts: what policies and SECURITY DEFINER functions ask.
--
-- Two roles count: the one in effect, and the login behind it. What is visible is what both may see, so that neither
-- SET ROLE to a group nor a function that belongs to one lifts a restriction.

CREATE FUNCTION reconcile.granted_accounts(role name) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(DISTINCT a.channel || E'\x1f' || coalesce(a.account, ''))
  FROM reconcile.access a JOIN pg_roles r ON r.rolname = a.member
  WHERE pg_has_role(granted_accounts.role, r.oid, 'MEMBER')
    AND NOT EXISTS (SELECT FROM pg_roles c
                    WHERE c.rolname = granted_accounts.role AND (c.rolsuper OR c.rolbypassrls))
$$;
COMMENT ON FUNCTION reconcile.granted_accounts(name) IS 'What reconcile.access restricts a role to, as channel, unit separator (0x1f), account (empty: all of the channel); NULL: not restricted';

-- Policies ask once a query, in sub-selects that refer to no row; therefore arrays.
CREATE FUNCTION reconcile.visible_accounts() RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE
    WHEN g.effective IS NULL THEN g.login
    WHEN g.login IS NULL THEN g.effective
    ELSE ARRAY(SELECT e FROM unnest(g.effective) e
               WHERE e = ANY (g.login) OR split_part(e, E'\x1f', 1) || E'\x1f' = ANY (g.login)
               UNION
               SELECT l FROM unnest(g.login) l WHERE split_part(l, E'\x1f', 1) || E'\x1f' = ANY (g.effective))
  END
  FROM (SELECT reconcile.granted_accounts(current_user), reconcile.granted_accounts(session_user))
       AS g (effective, login)
$$;
COMMENT ON FUNCTION reconcile.visible_accounts() IS 'The accounts that the current user is restricted to, as channel, unit separator (0x1f), account (empty: all of the channel); NULL: not restricted';

CREATE FUNCTION reconcile.visible_channels() RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN v.accounts IS NOT NULL
              THEN ARRAY(SELECT DISTINCT split_part(a, E'\x1f', 1) FROM unnest(v.accounts) a) END
  FROM (SELECT reconcile.visible_accounts()) AS v (accounts)
$$;
COMMENT ON FUNCTION reconcile.visible_channels() IS 'The channels that the current user is restricted to by reconcile.access; NULL: not restricted';

-- The role that calls, behind every SECURITY DEFINER function on the way.
CREATE FUNCTION reconcile.calling_role() RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN current_setting('role') = 'none' THEN session_user ELSE current_setting('role')::name END
$$;
COMMENT ON FUNCTION reconcile.calling_role() IS 'The role in effect outside SECURITY DEFINER functions: SET ROLE''s, else the login';

CREATE FUNCTION reconcile.has_access(channel text, account text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT bool_and(coalesce(
    g.accounts IS NULL
    OR has_access.channel || E'\x1f' = ANY (g.accounts)
    OR has_access.channel || E'\x1f' || has_access.account = ANY (g.accounts)
    OR (has_access.account IS NULL
        AND EXISTS (SELECT FROM unnest(g.accounts) a WHERE split_part(a, E'\x1f', 1) = has_access.channel)), false))
  FROM (VALUES (reconcile.granted_accounts(reconcile.calling_role())), (reconcile.granted_accounts(session_user)))
       AS g (accounts)
$$;
COMMENT ON FUNCTION reconcile.has_access(text, text) IS 'Whether the caller, behind SECURITY DEFINER functions, may see an account of a channel (account NULL: anything of the channel)';

CREATE FUNCTION reconcile.require_access(channel text, account text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- What concerns a whole channel needs the whole channel: no account is called ''.
  IF NOT reconcile.has_access(channel, coalesce(account, '')) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
      MESSAGE = CASE WHEN account IS NULL THEN format('permission denied for channel "%s"', channel)
                     ELSE format('permission denied for account "%s" of channel "%s"', account, channel) END,
      DETAIL = format('Role "%s" is restricted by reconcile.access.', reconcile.calling_role()),
      HINT = 'An administrator can add the account to reconcile.access.';
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.require_access(text, text) IS 'Raises insufficient_privilege when row level security hides the account (NULL: the channel) from the caller';

GRANT EXECUTE ON FUNCTION reconcile.granted_accounts(name), reconcile.visible_channels(), reconcile.visible_accounts(),
  reconcile.calling_role(), reconcile.has_access(text, text) TO reconcile_reader, reconcile_worker;
