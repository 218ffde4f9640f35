-- Configuration, as data: channels, accounts, calendars, legs and their rules.

CREATE TABLE reconcile.channel (
  channel            text PRIMARY KEY CHECK (channel <> '' AND channel !~ '[[:cntrl:]]'),
  time_zone          text NOT NULL,
  currency           text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  day_start          interval NOT NULL DEFAULT '0' CHECK (day_start > '-24 hours' AND day_start < '24 hours'),
  late_commit_grace  interval NOT NULL DEFAULT '5 minutes' CHECK (late_commit_grace >= '0'),
  effective_statuses text[] NOT NULL DEFAULT '{success}',
  first_date         date NOT NULL,
  created_at         timestamptz NOT NULL DEFAULT now(),
  created_by         name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE reconcile.channel IS 'A counterparty whose statements are checked: a wallet, a card scheme, a bank';
COMMENT ON COLUMN reconcile.channel.channel IS 'The channel''s name';
COMMENT ON COLUMN reconcile.channel.time_zone IS 'IANA name of the time zone in which the channel counts its days';
COMMENT ON COLUMN reconcile.channel.currency IS 'ISO 4217 code taken where a source states none';
COMMENT ON COLUMN reconcile.channel.day_start IS 'When the channel''s day starts, relative to midnight: -01:00 when it ends at 23:00';
COMMENT ON COLUMN reconcile.channel.late_commit_grace IS 'How far past the day''s end the internal source''s time must be before the day is taken as complete';
COMMENT ON COLUMN reconcile.channel.effective_statuses IS 'Statuses that mean that money moved';
COMMENT ON COLUMN reconcile.channel.first_date IS 'Go-live: entries of earlier days are quarantined, and the first run is of this day';
COMMENT ON COLUMN reconcile.channel.created_at IS 'When the channel was created';
COMMENT ON COLUMN reconcile.channel.created_by IS 'Who created the channel';

CREATE TABLE reconcile.account (
  channel        text NOT NULL REFERENCES reconcile.channel,
  account        text NOT NULL CHECK (account <> '' AND account !~ '[[:cntrl:]]'),
  signed_through date,
  created_at     timestamptz NOT NULL DEFAULT now(),
  created_by     name NOT NULL DEFAULT session_user,
  PRIMARY KEY (channel, account)
);
COMMENT ON TABLE reconcile.account IS 'Our merchant id or bank account at a channel';
COMMENT ON COLUMN reconcile.account.channel IS 'The channel';
COMMENT ON COLUMN reconcile.account.account IS 'The merchant id or account number, as the channel writes it';
COMMENT ON COLUMN reconcile.account.signed_through IS 'The last signed-off day; every earlier day is signed off too. Entries for these days enter the next one';
COMMENT ON COLUMN reconcile.account.created_at IS 'When the account was created';
COMMENT ON COLUMN reconcile.account.created_by IS 'Who created the account';

CREATE TABLE reconcile.calendar (
  calendar text PRIMARY KEY CHECK (calendar <> ''),
  weekend  integer[] NOT NULL DEFAULT '{6,7}' CHECK (weekend <@ ARRAY[1, 2, 3, 4, 5, 6, 7])
);
COMMENT ON TABLE reconcile.calendar IS 'Which days are banking days';
COMMENT ON COLUMN reconcile.calendar.calendar IS 'The calendar''s name';
COMMENT ON COLUMN reconcile.calendar.weekend IS 'ISO days of the week that are no banking days (1 Monday ... 7 Sunday)';

CREATE TABLE reconcile.calendar_day (
  calendar text NOT NULL REFERENCES reconcile.calendar,
  day      date NOT NULL,
  is_open  boolean NOT NULL,
  reason   text,
  PRIMARY KEY (calendar, day)
);
COMMENT ON TABLE reconcile.calendar_day IS 'Days on which a calendar departs from its week: holidays, and working days moved to a weekend';
COMMENT ON COLUMN reconcile.calendar_day.calendar IS 'The calendar';
COMMENT ON COLUMN reconcile.calendar_day.day IS 'The day';
COMMENT ON COLUMN reconcile.calendar_day.is_open IS 'Whether it is a banking day';
COMMENT ON COLUMN reconcile.calendar_day.reason IS 'Why: the holiday''s name';

CREATE TABLE reconcile.leg (
  channel      text NOT NULL REFERENCES reconcile.channel,
  leg          text NOT NULL CHECK (leg <> ''),
  version      integer NOT NULL CHECK (version > 0),
  valid_from   date NOT NULL,
  left_book    text NOT NULL,
  right_book   text NOT NULL,
  kinds        jsonb NOT NULL,
  lags         jsonb NOT NULL,
  edge_window  interval NOT NULL DEFAULT '10 minutes' CHECK (edge_window >= '0' AND edge_window <= '12 hours'),
  calendar     text REFERENCES reconcile.calendar,
  control_query_function text,
  control_query_role     name,
  created_at   timestamptz NOT NULL DEFAULT now(),
  created_by   name NOT NULL DEFAULT session_user,
  PRIMARY KEY (channel, leg, version),
  UNIQUE (channel, leg, valid_from),
  CHECK (left_book <> right_book),
  CHECK ((control_query_function IS NULL) = (control_query_role IS NULL))
);
COMMENT ON TABLE reconcile.leg IS 'Two books of an account that must agree, with their scope, lags and rules; versioned by date';
COMMENT ON COLUMN reconcile.leg.channel IS 'The channel';
COMMENT ON COLUMN reconcile.leg.leg IS 'The leg''s name: internal-trade, trade-fund, settlement-bank ...';
COMMENT ON COLUMN reconcile.leg.version IS 'Counts from 1; a change is a new version';
COMMENT ON COLUMN reconcile.leg.valid_from IS 'First business date that this version is used for';
COMMENT ON COLUMN reconcile.leg.left_book IS 'The book that is ours: differences are right minus left';
COMMENT ON COLUMN reconcile.leg.right_book IS 'The book that is theirs';
COMMENT ON COLUMN reconcile.leg.kinds IS 'Entry kind -> "match", "settlement", "by_original" or {"ignore": reason}';
COMMENT ON COLUMN reconcile.leg.lags IS 'Days until an unmatched entry is due: {"left": {"payment": 1, "*": 3}, "right": {...}}';
COMMENT ON COLUMN reconcile.leg.edge_window IS 'An entry this close to the day''s start or end may have its counterpart on the neighbouring day';
COMMENT ON COLUMN reconcile.leg.calendar IS 'Calendar that lags are counted in; NULL: every day counts';
COMMENT ON COLUMN reconcile.leg.control_query_function IS 'A function (channel text, account text, business_date date) returning rows (currency text, entries bigint, amount numeric): what the source itself counts; proof line f';
COMMENT ON COLUMN reconcile.leg.control_query_role IS 'The role that the control query runs as';
COMMENT ON COLUMN reconcile.leg.created_at IS 'When this version was made';
COMMENT ON COLUMN reconcile.leg.created_by IS 'Who made this version';

CREATE TABLE reconcile.match_rule (
  channel    text NOT NULL,
  leg        text NOT NULL,
  version    integer NOT NULL CHECK (version > 0),
  pass       integer NOT NULL CHECK (pass > 0),
  valid_from date NOT NULL,
  rule       text NOT NULL CHECK (rule IN ('channel_ref', 'match_key', 'carried', 'net_order', 'pair', 'group', 'subset')),
  name       text COLLATE "C" NOT NULL,
  settings   jsonb NOT NULL,
  enabled    boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by name NOT NULL DEFAULT session_user,
  xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
  cluster    bigint NOT NULL DEFAULT reconcile.local_system_identifier(),
  PRIMARY KEY (channel, leg, version, pass),
  UNIQUE (channel, leg, version, name)
);
COMMENT ON TABLE reconcile.match_rule IS 'The rules of a leg in the order of their passes, strictest first; a set has one version and one date from which it is used';
COMMENT ON COLUMN reconcile.match_rule.channel IS 'The channel';
COMMENT ON COLUMN reconcile.match_rule.leg IS 'The leg';
COMMENT ON COLUMN reconcile.match_rule.version IS 'Counts the sets of the leg from 1; a change is a new set';
COMMENT ON COLUMN reconcile.match_rule.pass IS 'Order of the pass';
COMMENT ON COLUMN reconcile.match_rule.valid_from IS 'First business date of the set: a day uses the set with the latest date not after it, of several the newest';
COMMENT ON COLUMN reconcile.match_rule.rule IS 'channel_ref: equal channel_ref, kind, amount, currency; match_key: equal match_key, kind, amount, currency; carried: both, against carried items too, after a row''s later versions that take it back; net_order: equal sums of an order''s unmatched entries; pair: one to one within tolerance and window; group: equal sums of a block; subset: entries that add up to one';
COMMENT ON COLUMN reconcile.match_rule.name IS 'The rule''s name, unique in the set; what matches and suggestions say';
COMMENT ON COLUMN reconcile.match_rule.settings IS 'The rule as it was given';
COMMENT ON COLUMN reconcile.match_rule.enabled IS 'Whether the pass runs';
COMMENT ON COLUMN reconcile.match_rule.created_at IS 'When this set was made';
COMMENT ON COLUMN reconcile.match_rule.created_by IS 'Who made this set';
COMMENT ON COLUMN reconcile.match_rule.xid IS 'The transaction that made the set: runs know by it what their snapshot did not see';
COMMENT ON COLUMN reconcile.match_rule.cluster IS 'The database cluster that xid is of: a dump carries rows into others';

CREATE TABLE reconcile.fee_schedule (
  channel    text NOT NULL REFERENCES reconcile.channel,
  kind       text NOT NULL,
  version    integer NOT NULL CHECK (version > 0),
  valid_from date NOT NULL,
  schedule   jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by name NOT NULL DEFAULT session_user,
  PRIMARY KEY (channel, kind, version)
);
COMMENT ON TABLE reconcile.fee_schedule IS 'What a channel has agreed to charge; versioned by date';
COMMENT ON COLUMN reconcile.fee_schedule.channel IS 'The channel';
COMMENT ON COLUMN reconcile.fee_schedule.kind IS 'The entry kind that the fee is charged on';
COMMENT ON COLUMN reconcile.fee_schedule.version IS 'Counts from 1; a change is a new version';
COMMENT ON COLUMN reconcile.fee_schedule.valid_from IS 'First business date that this version is used for';
COMMENT ON COLUMN reconcile.fee_schedule.schedule IS 'The agreed rates';
COMMENT ON COLUMN reconcile.fee_schedule.created_at IS 'When this version was made';
COMMENT ON COLUMN reconcile.fee_schedule.created_by IS 'Who made this version';

CREATE TABLE reconcile.handler (
  handler    text PRIMARY KEY CHECK (handler <> ''),
  channel    text REFERENCES reconcile.channel,
  kind       text,
  function   text NOT NULL,
  run_as     name NOT NULL,
  mode       text NOT NULL CHECK (mode IN ('manual', 'scheduled', 'automatic')),
  settings   jsonb NOT NULL DEFAULT '{}',
  enabled    boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE reconcile.handler IS 'SQL functions that put a kind of discrepancy right';
COMMENT ON COLUMN reconcile.handler.handler IS 'The handler''s name';
COMMENT ON COLUMN reconcile.handler.channel IS 'The channel it serves; NULL: all';
COMMENT ON COLUMN reconcile.handler.kind IS 'The discrepancy kind it serves; NULL: all';
COMMENT ON COLUMN reconcile.handler.function IS 'The function, schema-qualified';
COMMENT ON COLUMN reconcile.handler.run_as IS 'The role it runs as';
COMMENT ON COLUMN reconcile.handler.mode IS 'manual, scheduled or automatic';
COMMENT ON COLUMN reconcile.handler.settings IS 'Its limits';
COMMENT ON COLUMN reconcile.handler.enabled IS 'Whether it may run';
COMMENT ON COLUMN reconcile.handler.created_at IS 'When it was created';
COMMENT ON COLUMN reconcile.handler.created_by IS 'Who created it';

-- Row level security: who is restricted to what.
CREATE TABLE reconcile.access (
  member  name NOT NULL,
  channel text NOT NULL REFERENCES reconcile.channel,
  account text,
  UNIQUE NULLS NOT DISTINCT (member, channel, account)
);
COMMENT ON TABLE reconcile.access IS 'Row level security: a role named here, and its members, see only the channels and accounts listed, whatever role they SET; a role not named here sees all that its grants allow';
COMMENT ON COLUMN reconcile.access.member IS 'The role';
COMMENT ON COLUMN reconcile.access.channel IS 'A channel that it sees';
COMMENT ON COLUMN reconcile.access.account IS 'An account that it sees; NULL: all of the channel';

CREATE FUNCTION reconcile.next_due_date(from_date date, lag_days integer, calendar text) RETURNS date
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  due date := from_date;
  counted integer := 0;
BEGIN
  IF calendar IS NULL THEN
    RETURN from_date + lag_days;
  END IF;
  IF NOT EXISTS (SELECT FROM reconcile.calendar c WHERE c.calendar = next_due_date.calendar) THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('calendar "%s" does not exist', calendar),
      HINT = 'Calendars are rows of reconcile.calendar and reconcile.calendar_day.';
  END IF;
  WHILE counted < lag_days LOOP
    due := due + 1;
    IF coalesce((SELECT d.is_open FROM reconcile.calendar_day d
                 WHERE d.calendar = next_due_date.calendar AND d.day = due),
                NOT (SELECT extract(isodow FROM due)::integer = ANY (c.weekend)
                     FROM reconcile.calendar c WHERE c.calendar = next_due_date.calendar)) THEN
      counted := counted + 1;
    END IF;
    IF due > from_date + 3660 THEN
      RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded',
        MESSAGE = format('calendar "%s" has no banking day in ten years after %s', calendar, from_date),
        HINT = 'Add its banking days to reconcile.calendar_day, or mend its weekend in reconcile.calendar.';
    END IF;
  END LOOP;
  RETURN due;
END
$$;
COMMENT ON FUNCTION reconcile.next_due_date(date, integer, text) IS 'The day that lies lag_days banking days after from_date (calendar NULL: every day counts)';

-- What is wrong with lags, NULL: nothing.
CREATE FUNCTION reconcile.lags_problem(lags jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN jsonb_typeof(lags) <> 'object' THEN format('a JSON %s where an object was expected', jsonb_typeof(lags)) ELSE (
    SELECT p.problem FROM (
      SELECT format('"%s" is neither "left" nor "right"', side.key) AS problem, side.key AS side, '' AS kind
      FROM jsonb_each(lags) side WHERE side.key NOT IN ('left', 'right')
      UNION ALL
      SELECT format('%s: a JSON %s where an object was expected', side.key, jsonb_typeof(side.value)), side.key, ''
      FROM jsonb_each(lags) side WHERE side.key IN ('left', 'right') AND jsonb_typeof(side.value) <> 'object'
      UNION ALL
      SELECT CASE WHEN kind.key <> ALL (ARRAY['*', 'payment', 'refund', 'reversal', 'chargeback', 'chargeback_reversal', 'fee', 'tax',
                                              'payout', 'transfer', 'reserve', 'reserve_release', 'fx_conversion', 'profit_share',
                                              'adjustment', 'other'])
                  THEN format('%s: "%s" is no entry kind', side.key, kind.key)
                  WHEN kind.value::text !~ '^[0-9]{1,3}$'
                  THEN format('%s.%s: %s is no number of days from 0 to 999', side.key, kind.key, kind.value) END, side.key, kind.key
      FROM jsonb_each(lags) side, jsonb_each(CASE WHEN jsonb_typeof(side.value) = 'object' THEN side.value ELSE '{}' END) kind
      WHERE side.key IN ('left', 'right')) p
    WHERE p.problem IS NOT NULL ORDER BY p.side, p.kind LIMIT 1) END
$$;
COMMENT ON FUNCTION reconcile.lags_problem(jsonb) IS 'What is wrong with a leg''s lags, in words; NULL: nothing';

CREATE FUNCTION reconcile.create_channel(
  name text, timezone text, currency text, day_start interval DEFAULT '0', account text DEFAULT NULL,
  late_commit_grace interval DEFAULT '5 minutes', first_date date DEFAULT NULL, lags jsonb DEFAULT NULL,
  edge_window interval DEFAULT '10 minutes') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  go_live date := coalesce(first_date, current_date - 366);
BEGIN
  IF name IS NULL OR name = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a channel needs a name';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = timezone) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('time zone "%s" is not known', timezone),
      DETAIL = format('Channel "%s".', name),
      HINT = 'Take a name from pg_timezone_names, such as Asia/Shanghai.';
  END IF;
  IF currency !~ '^[A-Z]{3}$' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('"%s" is not a currency', currency), DETAIL = format('Channel "%s".', name),
      HINT = 'Give an ISO 4217 code, such as CNY.';
  END IF;
  IF go_live > current_date + 40 THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('first date %s lies too far in the future', go_live), DETAIL = format('Channel "%s".', name),
      HINT = 'Give the day of go-live: entries of earlier days are quarantined, and none is taken in more than 40 days ahead.';
  END IF;
  IF reconcile.lags_problem(lags) IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'the lags are not valid', DETAIL = format('Channel "%s", %s.', name, reconcile.lags_problem(lags)),
      HINT = 'Give days by side and entry kind, "*" for the kinds not named: {"left": {"payment": 1, "*": 3}, "right": {"payment": 0, "*": 3}}.';
  END IF;
  PERFORM reconcile.install();
  BEGIN
    INSERT INTO reconcile.channel (channel, time_zone, currency, day_start, late_commit_grace, first_date)
    VALUES (name, timezone, currency, day_start, late_commit_grace, go_live);
  EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('channel "%s" exists already', name),
      HINT = 'A channel is created once; accounts are added with reconcile.create_account().';
  END;
  INSERT INTO reconcile.leg (channel, leg, version, valid_from, left_book, right_book, kinds, lags, edge_window)
  VALUES (name, 'internal-trade', 1, '-infinity', 'internal', 'trade',
          '{"payment": "match", "refund": "match", "reversal": "match", "chargeback": "match",
            "chargeback_reversal": "match", "adjustment": "match", "other": "match",
            "fee": "settlement", "tax": "settlement", "payout": "settlement", "transfer": "settlement",
            "reserve": "settlement", "reserve_release": "settlement", "fx_conversion": "settlement",
            "profit_share": "settlement"}',
          coalesce(lags, '{"left": {"payment": 1, "*": 3}, "right": {"payment": 0, "*": 3}}'), edge_window);
  INSERT INTO reconcile.match_rule (channel, leg, version, pass, valid_from, rule, name, settings)
  SELECT create_channel.name, 'internal-trade', 1, r.pass, '-infinity', r.rule, r.rule, jsonb_build_object('rule', r.rule)
  FROM unnest(ARRAY['channel_ref', 'match_key', 'carried', 'net_order']) WITH ORDINALITY AS r (rule, pass);
  IF account IS NOT NULL THEN
    PERFORM reconcile.create_account(name, account);
  END IF;
  RETURN name;
END
$$;
COMMENT ON FUNCTION reconcile.create_channel(text, text, text, interval, text, interval, date, jsonb, interval)
IS 'Creates a channel with its internal-trade leg and, when account is given, its first account; the first call creates the entry tables';

CREATE FUNCTION reconcile.create_account(channel text, account text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM reconcile.require_channel(channel);
  IF coalesce(account, '') = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'an account needs a name',
      DETAIL = format('Channel "%s".', channel),
      HINT = 'Give the merchant id or account number as the channel writes it.';
  END IF;
  INSERT INTO reconcile.account (channel, account) VALUES (create_account.channel, create_account.account);
EXCEPTION WHEN unique_violation THEN
  RAISE EXCEPTION USING ERRCODE = 'duplicate_object',
    MESSAGE = format('account "%s" of channel "%s" exists already', account, channel);
END
$$;
COMMENT ON FUNCTION reconcile.create_account(text, text) IS 'Adds a merchant id or bank account to a channel';

CREATE FUNCTION reconcile.require_channel(channel text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM reconcile.channel c WHERE c.channel = require_channel.channel) THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('channel "%s" does not exist', channel),
      HINT = 'Create it with reconcile.create_channel(), or look for its name in reconcile.channel.';
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.require_channel(text) IS 'Raises undefined_object when the channel does not exist';

CREATE FUNCTION reconcile.require_account(channel text, account text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM reconcile.require_channel(channel);
  IF NOT EXISTS (SELECT FROM reconcile.account a
                 WHERE a.channel = require_account.channel AND a.account = require_account.account) THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('account "%s" of channel "%s" does not exist', account, channel),
      HINT = 'Create it with reconcile.create_account(), or look for it in reconcile.account.';
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.require_account(text, text) IS 'Raises undefined_object when the account does not exist';

CREATE FUNCTION reconcile.require_open_channel_day(channel text, business_date date) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  go_live date;
  today date;
BEGIN
  PERFORM reconcile.require_channel(channel);
  SELECT c.first_date, ((now() AT TIME ZONE c.time_zone) - c.day_start)::date INTO go_live, today
  FROM reconcile.channel c WHERE c.channel = require_open_channel_day.channel;
  IF business_date IS NULL OR business_date > today THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('business date %s lies in the future', coalesce(business_date::text, 'NULL')),
      DETAIL = format('It is %s at channel "%s".', today, channel),
      HINT = 'A day is reconciled when it is over.';
  ELSIF business_date < go_live THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('business date %s lies before channel "%s" went live', business_date, channel),
      DETAIL = format('Its first date is %s.', go_live),
      HINT = 'Nothing was taken in for earlier days.';
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.require_open_channel_day(text, date) IS 'Raises when the date is in the channel''s future or before its first date';

GRANT SELECT ON reconcile.channel, reconcile.account, reconcile.calendar, reconcile.calendar_day, reconcile.leg,
  reconcile.match_rule, reconcile.fee_schedule, reconcile.handler, reconcile.access
  TO reconcile_reader, reconcile_worker;
GRANT INSERT, UPDATE, DELETE ON reconcile.calendar, reconcile.calendar_day, reconcile.access TO reconcile_admin;
GRANT EXECUTE ON FUNCTION reconcile.next_due_date(date, integer, text) TO reconcile_reader, reconcile_worker;
GRANT EXECUTE ON FUNCTION
  reconcile.create_channel(text, text, text, interval, text, interval, date, jsonb, interval),
  reconcile.create_account(text, text) TO reconcile_admin;
