-- Fetching: file sources whose location is sftp://, ftps:// or https://. What each expected day's asking has come to,
-- and each file's transfer. The worker (worker/fetch) writes it, in short transactions between its network waits.

CREATE TABLE reconcile.fetch_day (
  source_id       integer NOT NULL REFERENCES reconcile.source ON DELETE CASCADE,
  business_date   date NOT NULL,
  state           text NOT NULL DEFAULT 'awaited'
                  CHECK (state IN ('awaited', 'failing', 'fetched', 'empty', 'gone', 'refused')),
  attempts        integer NOT NULL DEFAULT 0,
  failures        integer NOT NULL DEFAULT 0,
  asked_at        timestamptz,
  next_attempt_at timestamptz,
  message         text,
  PRIMARY KEY (source_id, business_date)
) WITH (fillfactor = 50);
CREATE INDEX fetch_day_due_idx ON reconcile.fetch_day (source_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
COMMENT ON TABLE reconcile.fetch_day IS 'Every day that a source has to fetch, and what asking for it has come to';
COMMENT ON COLUMN reconcile.fetch_day.source_id IS 'The source';
COMMENT ON COLUMN reconcile.fetch_day.business_date IS 'The day';
COMMENT ON COLUMN reconcile.fetch_day.state IS 'awaited (not there yet), failing (nothing was learned), fetched, empty (the channel says that the day has no movements), gone (it will not come), refused (what came is not what was announced, or is not given to us)';
COMMENT ON COLUMN reconcile.fetch_day.attempts IS 'How often it was asked for';
COMMENT ON COLUMN reconcile.fetch_day.failures IS 'Failures in a row';
COMMENT ON COLUMN reconcile.fetch_day.asked_at IS 'When it was asked for last';
COMMENT ON COLUMN reconcile.fetch_day.next_attempt_at IS 'When it is asked for next; NULL: not any more';
COMMENT ON COLUMN reconcile.fetch_day.message IS 'What the last answer was';

CREATE TABLE reconcile.fetch_file (
  source_id       integer NOT NULL,
  business_date   date NOT NULL,
  name            text NOT NULL,
  state           text NOT NULL CHECK (state IN ('partial', 'fetched', 'done', 'refused')),
  attempts        integer NOT NULL DEFAULT 1,
  bytes           bigint NOT NULL DEFAULT 0,
  remote_bytes    bigint,
  remote_modified bigint,
  remote_etag     text,
  sha256          bytea CHECK (length(sha256) = 32),
  statement_id    bigint REFERENCES reconcile.statement ON DELETE SET NULL,
  message         text,
  started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at     timestamptz,
  PRIMARY KEY (source_id, business_date, name),
  FOREIGN KEY (source_id, business_date) REFERENCES reconcile.fetch_day ON DELETE CASCADE
);
COMMENT ON TABLE reconcile.fetch_file IS 'Every file that was fetched, or is being fetched';
COMMENT ON COLUMN reconcile.fetch_file.source_id IS 'The source';
COMMENT ON COLUMN reconcile.fetch_file.business_date IS 'The day';
COMMENT ON COLUMN reconcile.fetch_file.name IS 'Its name at the channel';
COMMENT ON COLUMN reconcile.fetch_file.state IS 'partial (the transfer goes on where it broke off, when the remote file is still the same one), fetched (all its bytes are here), done (a statement: also a rejected one), refused (its digest, signature or size is wrong)';
COMMENT ON COLUMN reconcile.fetch_file.attempts IS 'Transfers begun';
COMMENT ON COLUMN reconcile.fetch_file.bytes IS 'Bytes that are here';
COMMENT ON COLUMN reconcile.fetch_file.remote_bytes IS 'Its size at the channel, where that is stated';
COMMENT ON COLUMN reconcile.fetch_file.remote_modified IS 'When it was changed at the channel, in seconds since 1970';
COMMENT ON COLUMN reconcile.fetch_file.remote_etag IS 'Its ETag';
COMMENT ON COLUMN reconcile.fetch_file.sha256 IS 'SHA-256 of the bytes as they came';
COMMENT ON COLUMN reconcile.fetch_file.statement_id IS 'The statement it became';
COMMENT ON COLUMN reconcile.fetch_file.message IS 'What became of it';
COMMENT ON COLUMN reconcile.fetch_file.started_at IS 'When its first transfer began';
COMMENT ON COLUMN reconcile.fetch_file.finished_at IS 'When it was done or refused';

-- ---- configuration -------------------------------------------------------------------------------------------------

CREATE FUNCTION reconcile.check_fetch_location(location text) RETURNS text
  LANGUAGE c STRICT IMMUTABLE SET search_path = pg_catalog, pg_temp
  AS '$libdir/pg_reconcile_statement', 'reconcile_check_fetch_location';
COMMENT ON FUNCTION reconcile.check_fetch_location(text) IS 'sftp, ftps or https; raises what is wrong with a location to fetch from';

CREATE FUNCTION reconcile.fetch_options() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT ARRAY['server', 'ask_after', 'every', 'give_up_after', 'not_found', 'files', 'bytes_max', 'stall_seconds', 'digest_file',
               'digest_of', 'decrypt', 'headers', 'url_function', 'url_role', 'link', 'link_function']
$$;
COMMENT ON FUNCTION reconcile.fetch_options() IS 'Options of file sources that only those with a location to fetch from have';

-- Without asking for USAGE on its schema: neither the definer nor the worker runs it with rights of their own. A
-- temporary schema, and with it the function's name, is another session's tomorrow.
CREATE FUNCTION reconcile.function_named(function text, arguments text) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE ARRAY[n.nspname::text, p.proname::text] = parse_ident(function_named.function)
    AND oidvectortypes(p.proargtypes) = function_named.arguments AND p.prokind = 'f' AND n.nspname NOT LIKE 'pg\_temp\_%'
$$;
COMMENT ON FUNCTION reconcile.function_named(text, text) IS 'The function of a schema-qualified name and such arguments; NULL: there is none';

CREATE FUNCTION reconcile.check_url_function(function text, run_as name, arguments text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found oid := reconcile.function_named(function, arguments);
BEGIN
  IF found IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_function_definition',
      MESSAGE = format('there is no function %s(%s)', function, arguments),
      HINT = 'It must be a function with that schema, name and arguments, RETURNS TABLE (url text, headers text[]).';
  END IF;
  IF run_as IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = run_as)
     OR NOT pg_has_role(reconcile.calling_role(), run_as, 'MEMBER') THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
      MESSAGE = format('permission denied to run %s as "%s"', function, run_as),
      HINT = 'Name a role that you are a member of as the option url_role.';
  END IF;
  IF NOT (SELECT pg_has_role(p.proowner, run_as, 'MEMBER') FROM pg_proc p WHERE p.oid = found) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
      MESSAGE = format('permission denied to run %s as "%s"', function, run_as),
      DETAIL = format('Its owner %s is no member of that role.', (SELECT p.proowner::regrole FROM pg_proc p WHERE p.oid = found)),
      HINT = 'Give the function to a member of the role, or run it as a role of its owner''s.';
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.check_url_function(text, name, text) IS 'Refuses a function that cannot be asked for addresses, or may not be run as the role';

CREATE FUNCTION reconcile.check_fetch_source(location text, options jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  scheme  text := reconcile.check_fetch_location(location);
  wanted  name := options ->> 'server';
  wrapper name;
  wrong   text;
BEGIN
  IF wanted IS NULL AND scheme <> 'https' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('%s needs the option server', location),
      HINT = 'CREATE SERVER ... FOREIGN DATA WRAPPER reconcile_source OPTIONS (host ''...''); and {"server": "..."}.';
  END IF;
  IF wanted IS NOT NULL THEN
    SELECT w.fdwname INTO wrapper
    FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE s.srvname = wanted;
    IF wrapper IS DISTINCT FROM 'reconcile_source' THEN
      RAISE EXCEPTION USING ERRCODE = 'undefined_object',
        MESSAGE = format('there is no server "%s" of the wrapper reconcile_source', wanted),
        HINT = format('CREATE SERVER %I FOREIGN DATA WRAPPER reconcile_source OPTIONS (host ''...'');', wanted);
    END IF;
    IF NOT has_server_privilege(reconcile.calling_role(), wanted, 'USAGE') THEN
      RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('permission denied for server "%s"', wanted),
        HINT = format('GRANT USAGE ON FOREIGN SERVER %I TO %I;', wanted, reconcile.calling_role());
    END IF;
  END IF;
  -- What is no interval or number raises here.
  PERFORM (options ->> 'ask_after')::interval, (options ->> 'every')::interval, (options ->> 'give_up_after')::interval;
  SELECT o.name INTO wrong
  FROM (VALUES ('every', (options ->> 'every')::interval < '1 second'),
               ('give_up_after', (options ->> 'give_up_after')::interval < '1 hour'),
               ('files', (options ->> 'files')::integer NOT BETWEEN 1 AND 10000),
               ('bytes_max', (options ->> 'bytes_max')::bigint NOT BETWEEN 1 AND 1099511627776),
               ('stall_seconds', (options ->> 'stall_seconds')::integer NOT BETWEEN 1 AND 3600),
               ('not_found', options ->> 'not_found' NOT IN ('not_ready', 'empty', 'gone')),
               ('digest_of', options ->> 'digest_of' NOT IN ('file', 'content')),
               ('decrypt', options ->> 'decrypt' <> 'gpg'),
               ('headers', jsonb_typeof(options -> 'headers') <> 'array'),
               ('link', jsonb_typeof(options -> 'link') <> 'object' OR NOT (options -> 'link') ? 'url'),
               ('digest_file', scheme = 'https' AND options ->> 'digest_file' NOT LIKE '%{name}%'),
               ('url_function', scheme <> 'https' AND options ? 'url_function'),
               ('link', scheme <> 'https' AND options ? 'link')) AS o (name, is_wrong)
  WHERE o.is_wrong LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('option "%s" is not one that %s can have: %s', wrong, scheme, options -> wrong),
      HINT = 'docs/sources/file.md says what each option may be.';
  END IF;
  IF options ? 'url_function' THEN
    PERFORM reconcile.check_url_function(options ->> 'url_function', options ->> 'url_role', 'text, text, date');
  END IF;
  IF options ? 'link_function' THEN
    PERFORM reconcile.check_url_function(options ->> 'link_function', options ->> 'url_role', 'text, text, text');
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.check_fetch_source(text, jsonb) IS 'Refuses a location or options that nothing could be fetched with, and a server that the caller may not use';

-- ---- what the worker asks and says ---------------------------------------------------------------------------------

-- The next day to ask for. Days become rows when they have ended; one that has its statement already becomes none.
CREATE FUNCTION reconcile.next_fetch_day(source_id integer)
RETURNS TABLE (business_date date, attempts integer, failures integer, due_in_ms bigint, since_end_ms bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO reconcile.fetch_day (source_id, business_date, next_attempt_at)
  SELECT s.source_id, d.day::date,
         (d.day + interval '1 day' + c.day_start + coalesce((s.options ->> 'ask_after')::interval, '9 hours')) AT TIME ZONE c.time_zone
  FROM reconcile.source s
  JOIN reconcile.channel c ON c.channel = s.channel
  CROSS JOIN LATERAL generate_series(
    greatest(c.first_date, coalesce((s.options ->> 'valid_from')::date, c.first_date),
             coalesce((SELECT max(f.business_date) + 1 FROM reconcile.fetch_day f WHERE f.source_id = s.source_id), '-infinity'))::timestamp,
    ((now() AT TIME ZONE c.time_zone) - c.day_start)::date - 1, interval '1 day') AS d (day)
  WHERE s.source_id = next_fetch_day.source_id AND reconcile.is_open_day(s.options ->> 'calendar', d.day::date)
    AND NOT EXISTS (SELECT FROM reconcile.statement t
                    WHERE t.source_id = s.source_id AND t.business_date = d.day::date AND t.state IN ('accepted', 'control_mismatch'))
    AND NOT EXISTS (SELECT FROM reconcile.statement t
                    WHERE t.channel = s.channel AND t.account IS NOT DISTINCT FROM s.account AND t.book = s.book
                      AND t.business_date = d.day::date AND t.state = 'waived')
  ON CONFLICT DO NOTHING;
  RETURN QUERY
  SELECT f.business_date, f.attempts, f.failures,
         ceil(extract(epoch FROM f.next_attempt_at - clock_timestamp()) * 1000)::bigint,
         floor(extract(epoch FROM clock_timestamp()
                                  - ((f.business_date + 1)::timestamp + c.day_start) AT TIME ZONE c.time_zone) * 1000)::bigint
  FROM reconcile.fetch_day f
  JOIN reconcile.source s USING (source_id)
  JOIN reconcile.channel c ON c.channel = s.channel
  WHERE f.source_id = next_fetch_day.source_id AND f.next_attempt_at IS NOT NULL
  ORDER BY f.next_attempt_at, f.business_date LIMIT 1;
END
$$;
COMMENT ON FUNCTION reconcile.next_fetch_day(integer) IS 'The day that a source has to ask for next, and in how many milliseconds; no row: none';

CREATE FUNCTION reconcile.record_empty_day(source_id integer, business_date date, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made bigint;
BEGIN
  SELECT t.statement_id INTO made FROM reconcile.statement t
  WHERE t.source_id = record_empty_day.source_id AND t.business_date = record_empty_day.business_date
    AND t.state IN ('accepted', 'control_mismatch') LIMIT 1;
  IF made IS NULL THEN
    INSERT INTO reconcile.statement AS t (source_id, channel, account, book, business_date, format, state, meta, reason)
    SELECT s.source_id, s.channel, s.account, s.book, record_empty_day.business_date, s.format, 'accepted',
           jsonb_build_object('empty', true), record_empty_day.reason
    FROM reconcile.source s WHERE s.source_id = record_empty_day.source_id
    RETURNING t.statement_id INTO made;
  END IF;
  RETURN made;
END
$$;
COMMENT ON FUNCTION reconcile.record_empty_day(integer, date, text) IS 'The statement, without entries, of a day that the channel says has no movements';

-- ---- what people ask and say ---------------------------------------------------------------------------------------

CREATE FUNCTION reconcile.fetch_again(source text, business_date date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  asked reconcile.source;
BEGIN
  SELECT s.* INTO asked FROM reconcile.source s WHERE s.source_id = reconcile.source_named(source);
  PERFORM reconcile.require_access(asked.channel, asked.account);
  IF asked.location IS NULL OR asked.location !~ '^(sftp|ftps|https)://' OR fetch_again.business_date IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('source "%s" fetches nothing for such a day', source),
      HINT = 'Only sources with an sftp://, ftps:// or https:// location fetch files, each for a day.';
  END IF;
  INSERT INTO reconcile.fetch_day AS f (source_id, business_date, next_attempt_at, message)
  VALUES (asked.source_id, fetch_again.business_date, now(), 'fetch_again was called')
  ON CONFLICT ON CONSTRAINT fetch_day_pkey DO UPDATE
  SET state = 'awaited', failures = 0, next_attempt_at = now(), message = 'fetch_again was called';
  -- The same bytes again are the same statement; others are a re-issue.
  DELETE FROM reconcile.fetch_file f WHERE f.source_id = asked.source_id AND f.business_date = fetch_again.business_date;
END
$$;
COMMENT ON FUNCTION reconcile.fetch_again(text, date) IS 'Asks for a day''s files at once, also when they were fetched, are gone, or the day was empty';

CREATE FUNCTION reconcile.fetch_reason(channel text, account text, book text, business_date date) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(format('source "%s": %s%s%s', s.name, f.state,
                           CASE WHEN f.message IS NOT NULL THEN ', ' || f.message ELSE '' END,
                           CASE WHEN f.next_attempt_at IS NOT NULL
                                THEN format(' (asked %s times, next at %s)', f.attempts, to_char(f.next_attempt_at AT TIME ZONE c.time_zone, 'YYYY-MM-DD HH24:MI:SS'))
                                ELSE '' END), '; ' ORDER BY s.name)
  FROM reconcile.fetch_day f
  JOIN reconcile.source s USING (source_id)
  JOIN reconcile.channel c ON c.channel = s.channel
  WHERE s.channel = fetch_reason.channel AND s.book = fetch_reason.book AND (s.account IS NULL OR s.account = fetch_reason.account)
    AND f.business_date = fetch_reason.business_date AND s.dropped_at IS NULL
$$;
COMMENT ON FUNCTION reconcile.fetch_reason(text, text, text, date) IS 'What fetching a day''s statement has come to, in words; NULL: nobody fetches it';

GRANT SELECT ON reconcile.fetch_day, reconcile.fetch_file TO reconcile_reader, reconcile_worker;
GRANT INSERT, UPDATE, DELETE ON reconcile.fetch_day, reconcile.fetch_file TO reconcile_worker;
GRANT EXECUTE ON FUNCTION reconcile.function_named(text, text), reconcile.next_fetch_day(integer), reconcile.record_empty_day(integer, date, text) TO reconcile_worker;
GRANT EXECUTE ON FUNCTION reconcile.fetch_reason(text, text, text, date) TO reconcile_reader, reconcile_worker;
GRANT EXECUTE ON FUNCTION reconcile.fetch_again(text, date) TO reconcile_operator, reconcile_admin;
