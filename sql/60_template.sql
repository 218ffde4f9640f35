-- Channels from templates: one call instead of five.

CREATE TABLE reconcile.channel_template (
  template    text PRIMARY KEY CHECK (template <> ''),
  description text NOT NULL,
  time_zone   text NOT NULL,
  currency    text NOT NULL,
  day_start   interval NOT NULL DEFAULT '0',
  sources     jsonb NOT NULL CHECK (jsonb_typeof(sources) = 'array' AND jsonb_array_length(sources) > 0),
  legs        jsonb NOT NULL CHECK (jsonb_typeof(legs) = 'array' AND jsonb_array_length(legs) > 0),
  schedule    text NOT NULL,
  built_in    boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE reconcile.channel_template IS 'What is known of a kind of channel: create_channel_from_template() starts from it';
COMMENT ON COLUMN reconcile.channel_template.template IS 'The template''s name';
COMMENT ON COLUMN reconcile.channel_template.description IS 'What it sets up';
COMMENT ON COLUMN reconcile.channel_template.time_zone IS 'The channel''s time zone';
COMMENT ON COLUMN reconcile.channel_template.currency IS 'The channel''s currency';
COMMENT ON COLUMN reconcile.channel_template.day_start IS 'When its day starts, relative to midnight';
COMMENT ON COLUMN reconcile.channel_template.sources IS 'Its statements, the main one first: name, book, format, formats (others that may be chosen), deadline (after the day''s end), expected (whether every day has one)';
COMMENT ON COLUMN reconcile.channel_template.legs IS 'Its legs: leg, left, right (books), kinds and lags as in reconcile.leg, rules as set_match_rules takes them. A leg is made when both its books are there';
COMMENT ON COLUMN reconcile.channel_template.schedule IS 'When its files come, and what to schedule for them';
COMMENT ON COLUMN reconcile.channel_template.built_in IS 'Shipped with the extension';

-- The shop's own table knows payments, refunds and disputes: fees, payouts and reserves are not missing from it.
CREATE FUNCTION reconcile.shop_leg(p_left_lag integer, p_right_lag integer) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_build_object('leg', 'internal-trade', 'left', 'internal', 'right', 'trade',
    'kinds', '{"payment": "match", "refund": "match", "reversal": "match", "chargeback": "match", "chargeback_reversal": "match",
               "adjustment": "match", "other": "match", "fee": "settlement", "tax": "settlement", "payout": "settlement",
               "transfer": "settlement", "reserve": "settlement", "reserve_release": "settlement", "fx_conversion": "settlement",
               "profit_share": "settlement"}'::jsonb,
    'lags', jsonb_build_object('left', jsonb_build_object('payment', p_left_lag, '*', p_left_lag + 2),
                               'right', jsonb_build_object('payment', p_right_lag, '*', p_right_lag + 3)))
$$;
COMMENT ON FUNCTION reconcile.shop_leg(integer, integer) IS 'The leg internal-trade of a template: its kinds, and lags from how many days a payment may be late in either book';

INSERT INTO reconcile.channel_template (template, description, time_zone, currency, day_start, sources, legs, schedule, built_in)
VALUES
  ('alipay', 'Alipay merchant account: trade statement, and the account statement (book fund) where an inbox for it is given',
   'Asia/Shanghai', 'CNY', '0',
   '[{"name": "statements", "book": "trade", "format": "alipay.trade", "deadline": "11 hours"},
     {"name": "fund flow", "book": "fund", "format": "alipay.fund_flow", "deadline": "11 hours"}]',
   jsonb_build_array(reconcile.shop_leg(1, 0),
     '{"leg": "trade-fund", "left": "trade", "right": "fund",
       "kinds": {"payment": "match", "refund": "match", "reversal": "match",
                 "fee": {"ignore": "a row of its own in the account, a column of the trade statement"},
                 "payout": "settlement", "transfer": "settlement", "reserve": "settlement", "reserve_release": "settlement",
                 "tax": "settlement", "profit_share": "settlement", "adjustment": "settlement", "other": "settlement"},
       "lags": {"left": {"*": 1}, "right": {"*": 1}}}'::jsonb),
   'Files are there from 10:00 on the day after, China time.', true),
  ('wechat', 'WeChat Pay merchant: trade bill, and the fund flow bill (book fund) where an inbox for it is given',
   'Asia/Shanghai', 'CNY', '0',
   '[{"name": "statements", "book": "trade", "format": "wechat.trade", "deadline": "11 hours"},
     {"name": "fund flow", "book": "fund", "format": "wechat.fund_flow", "deadline": "11 hours"}]',
   jsonb_build_array(reconcile.shop_leg(1, 0),
     '{"leg": "trade-fund", "left": "trade", "right": "fund",
       "kinds": {"payment": "match", "refund": "match",
                 "reversal": {"ignore": "a revoked payment never reached the account"},
                 "fee": {"ignore": "a row of its own in the account, a column of the trade bill"},
                 "payout": "settlement", "transfer": "settlement", "profit_share": "settlement", "adjustment": "settlement",
                 "other": "settlement"},
       "lags": {"left": {"payment": 1, "refund": 7, "*": 1}, "right": {"*": 1}}}'::jsonb),
   'Bills are there from 10:00 on the day after, China time; three months back at most.', true),
  ('antom', 'Antom (Alipay+) merchant: settlement details of each batch',
   'Asia/Shanghai', 'USD', '0',
   '[{"name": "statements", "book": "trade", "format": "antom.settlement", "deadline": "24 hours", "expected": false}]',
   jsonb_build_array(reconcile.shop_leg(7, 3)),
   'A file comes with each batch, on working days, some days after the payments.', true),
  ('unionpay', 'UnionPay merchant: ZM clearing file, or ZME; its day ends at 23:00',
   'Asia/Shanghai', 'CNY', '-01:00',
   '[{"name": "statements", "book": "trade", "format": "unionpay.zm", "formats": ["unionpay.zme"], "deadline": "12 hours"}]',
   jsonb_build_array(reconcile.shop_leg(1, 0)),
   'Files are there from 09:00 on the day after, China time.', true),
  ('paypal', 'PayPal business account: transaction detail report, or activity download',
   'America/Los_Angeles', 'USD', '0',
   '[{"name": "statements", "book": "trade", "format": "paypal.trr", "formats": ["paypal.activity"], "deadline": "14 hours"}]',
   jsonb_build_array(reconcile.shop_leg(1, 0)),
   'Reports are in the SFTP folder before noon on the day after, Pacific time; kept for a year.', true),
  ('adyen', 'Adyen merchant account: payments accounting report, and the settlement details of each batch where an inbox for them is given',
   'Europe/Amsterdam', 'EUR', '0',
   '[{"name": "statements", "book": "trade", "format": "adyen.payments_accounting", "formats": ["adyen.settlement_details"], "deadline": "12 hours"},
     {"name": "settlement", "book": "settlement", "format": "adyen.settlement_details", "deadline": "24 hours", "expected": false}]',
   jsonb_build_array(reconcile.shop_leg(3, 1),
     '{"leg": "trade-settlement", "left": "trade", "right": "settlement",
       "kinds": {"payment": "match", "refund": "match", "reversal": "match", "chargeback": "match", "chargeback_reversal": "match",
                 "fee": {"ignore": "charged per batch: no step of a payment"}, "payout": "settlement", "transfer": "settlement",
                 "reserve": "settlement", "reserve_release": "settlement", "adjustment": "settlement", "tax": "settlement",
                 "other": "settlement"},
       "lags": {"left": {"*": 7}, "right": {"*": 1}}}'::jsonb),
   'The accounting report comes daily, the settlement details with each payout.', true),
  ('stripe', 'Stripe account: an itemized report a day (payout reconciliation or balance change from activity)',
   'UTC', 'USD', '0',
   '[{"name": "statements", "book": "trade", "format": "stripe.itemized", "deadline": "24 hours"}]',
   jsonb_build_array(reconcile.shop_leg(1, 0)),
   'Data of a day is complete 12 hours after its end; ask for the report in the channel''s time zone.', true),
  ('checkout', 'Checkout.com entity: the settlement breakdown of each payout',
   'UTC', 'USD', '0',
   '[{"name": "statements", "book": "trade", "format": "checkout.breakdown", "deadline": "24 hours", "expected": false}]',
   jsonb_build_array(reconcile.shop_leg(5, 2)),
   'A file comes with each payout.', true),
  ('dlocal', 'dLocal merchant: the settlement report of each transfer',
   'UTC', 'USD', '0',
   '[{"name": "statements", "book": "trade", "format": "dlocal.settlement", "deadline": "24 hours", "expected": false}]',
   jsonb_build_array(reconcile.shop_leg(30, 2)),
   'A file comes with each transfer, days or weeks after the payments.', true),
  ('bank', 'Bank account: its statement against our own ledger of it; the option format says how the bank writes',
   'UTC', 'EUR', '0',
   '[{"name": "statements", "book": "bank", "format": null, "deadline": "12 hours"}]',
   jsonb_build_array(
     '{"leg": "internal-bank", "left": "internal", "right": "bank",
       "kinds": {"payment": "match", "refund": "match", "reversal": "match", "chargeback": "match", "chargeback_reversal": "match",
                 "fee": "match", "tax": "match", "payout": "match", "transfer": "match", "reserve": "match", "reserve_release": "match",
                 "fx_conversion": "match", "profit_share": "match", "adjustment": "match", "other": "match"},
       "lags": {"left": {"*": 3}, "right": {"*": 1}},
       "rules": [{"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"}, {"rule": "net_order"},
                 {"rule": "pair", "name": "amount and day", "key": [], "suggest": true,
                  "window": {"on": "business_date", "before": "1 days", "after": "3 days"}}]}'::jsonb),
   'Statements of the day before come in the early morning of banking days: give the option calendar.', true),
  ('generic', 'Any channel whose files say the canonical column names, or are in the format of the option format',
   'UTC', 'EUR', '0',
   '[{"name": "statements", "book": "trade", "format": "generic.csv", "formats": ["*"], "deadline": "12 hours"}]',
   jsonb_build_array(reconcile.shop_leg(1, 0)),
   'As you deliver them.', true);

-- The options of a call, checked against the template.
CREATE FUNCTION reconcile.check_template_options(chosen reconcile.channel_template, options jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  wrong text;
  known text;
BEGIN
  IF jsonb_typeof(options) <> 'object' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the options of a template are a JSON object',
      DETAIL = format('A JSON %s was given.', jsonb_typeof(options)), HINT = 'Such as {"format": "camt.053", "calendar": "TARGET"}.';
  END IF;
  SELECT k INTO wrong FROM jsonb_object_keys(options) k
  WHERE k NOT IN ('format', 'inboxes', 'first_date', 'calendar', 'deadline', 'expected', 'lags', 'kinds') ORDER BY k LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown option "%s" of a channel template', wrong),
      HINT = 'Options are format, inboxes, first_date, calendar, deadline, expected, lags and kinds; see docs/sql-reference.md.';
  END IF;
  IF options ? 'inboxes' THEN
    SELECT string_agg(s ->> 'book', ', ' ORDER BY o) INTO known FROM jsonb_array_elements(chosen.sources) WITH ORDINALITY AS a (s, o);
    IF jsonb_typeof(options -> 'inboxes') = 'object' THEN
      SELECT b INTO wrong FROM jsonb_object_keys(options -> 'inboxes') b
      WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(chosen.sources) s WHERE s ->> 'book' = b) ORDER BY b LIMIT 1;
    ELSE
      wrong := (options -> 'inboxes')::text;
    END IF;
    IF wrong IS NOT NULL THEN
      RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
        MESSAGE = format('template "%s" has no statements of the book "%s"', chosen.template, wrong),
        DETAIL = format('Its books are %s.', known), HINT = 'Give {"inboxes": {"fund": "file:///srv/bills/fund/*.zip"}}; null for one that only ingest_file fills.';
    END IF;
  END IF;
  FOREACH known IN ARRAY ARRAY['lags', 'kinds'] LOOP
    SELECT l INTO wrong FROM jsonb_object_keys(CASE jsonb_typeof(options -> known) WHEN 'object' THEN options -> known ELSE '{}' END) l
    WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(chosen.legs) t WHERE t ->> 'leg' = l) ORDER BY l LIMIT 1;
    IF wrong IS NOT NULL OR (options ? known AND jsonb_typeof(options -> known) <> 'object') THEN
      RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
        MESSAGE = format('option "%s" names no leg of template "%s": %s', known, chosen.template, coalesce(wrong, (options -> known)::text)),
        DETAIL = format('Its legs are %s.', (SELECT string_agg(t ->> 'leg', ', ' ORDER BY o) FROM jsonb_array_elements(chosen.legs) WITH ORDINALITY AS a (t, o))),
        HINT = 'Give them by leg: {"lags": {"internal-trade": {"left": {"*": 5}, "right": {"*": 1}}}}.';
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.check_template_options(reconcile.channel_template, jsonb) IS 'Raises what is wrong with the options of create_channel_from_template';

CREATE FUNCTION reconcile.template_format(chosen reconcile.channel_template, options jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  main jsonb := chosen.sources -> 0;
  picked text := coalesce(options ->> 'format', main ->> 'format');
  choices text;
BEGIN
  -- A bank's file may be in any format of the book; other channels' only in their own.
  SELECT string_agg(f.format, ', ' ORDER BY f.format) INTO choices
  FROM (SELECT DISTINCT ON (n.format) n.format, n.document ->> 'book' AS book FROM reconcile.file_format n
        ORDER BY n.format, n.version DESC) f
  WHERE CASE WHEN main ->> 'format' IS NULL THEN f.book = main ->> 'book'
             ELSE f.format = main ->> 'format' OR main -> 'formats' ? f.format OR main -> 'formats' ? '*' END;
  IF picked IS NULL OR NOT picked = ANY (string_to_array(coalesce(choices, ''), ', ')) THEN
    -- One of the user's own, made for this channel, is taken as well.
    IF NOT EXISTS (SELECT FROM reconcile.file_format f WHERE f.format = picked AND NOT f.built_in) THEN
      RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
        MESSAGE = CASE WHEN picked IS NULL THEN format('template "%s" needs the option format', chosen.template)
                       ELSE format('template "%s" knows no format "%s"', chosen.template, picked) END,
        DETAIL = format('It may be one of %s, or one of your own.', coalesce(choices, 'none that is shipped')),
        HINT = 'Give options => ''{"format": "..."}''; reconcile.suggest_format() and save_format() make one for a file that no format fits.';
    END IF;
  END IF;
  RETURN picked;
END
$$;
COMMENT ON FUNCTION reconcile.template_format(reconcile.channel_template, jsonb) IS 'The format of a template''s main statements, as chosen; raises which ones there are';

-- In place of the leg that every channel starts with.
CREATE FUNCTION reconcile.create_template_legs(channel text, chosen reconcile.channel_template, books text[], options jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  item jsonb;
  lags jsonb;
BEGIN
  DELETE FROM reconcile.match_rule r WHERE r.channel = create_template_legs.channel;
  DELETE FROM reconcile.leg l WHERE l.channel = create_template_legs.channel;
  FOR item IN SELECT t FROM jsonb_array_elements(chosen.legs) t
              WHERE t ->> 'left' = ANY (books || ARRAY['internal']) AND t ->> 'right' = ANY (books) LOOP
    lags := coalesce(options -> 'lags' -> (item ->> 'leg'), item -> 'lags');
    IF reconcile.lags_problem(lags) IS NOT NULL THEN
      RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the lags are not valid',
        DETAIL = format('Channel "%s", leg "%s", %s.', channel, item ->> 'leg', reconcile.lags_problem(lags)),
        HINT = 'Give days by side and entry kind, "*" for the kinds not named: {"left": {"payment": 1, "*": 3}, "right": {"*": 1}}.';
    END IF;
    INSERT INTO reconcile.leg (channel, leg, version, valid_from, left_book, right_book, kinds, lags, calendar)
    VALUES (channel, item ->> 'leg', 1, '-infinity', item ->> 'left', item ->> 'right',
            (item -> 'kinds') || coalesce(options -> 'kinds' -> (item ->> 'leg'), '{}'), lags, options ->> 'calendar');
    INSERT INTO reconcile.match_rule (channel, leg, version, pass, valid_from, rule, name, settings)
    SELECT channel, item ->> 'leg', 1, o.pass, '-infinity', o.rule ->> 'rule', o.rule ->> 'name', o.rule -> 'settings'
    FROM jsonb_array_elements(reconcile.ordered_match_rules(coalesce(item -> 'rules',
           '[{"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"}, {"rule": "net_order"}]')))
         WITH ORDINALITY AS o (rule, pass);
  END LOOP;
END
$$;
COMMENT ON FUNCTION reconcile.create_template_legs(text, reconcile.channel_template, text[], jsonb) IS 'Gives a new channel the legs of its template that have both their books';

CREATE FUNCTION reconcile.create_channel_from_template(
  template text, account text, inbox text DEFAULT NULL, server name DEFAULT NULL, channel text DEFAULT NULL,
  currency text DEFAULT NULL, timezone text DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  chosen reconcile.channel_template;
  name text := coalesce(channel, template);
  item jsonb;
  position integer := 0;
  books text[] := '{}';
  source_format text;
  location text;
BEGIN
  options := coalesce(options, '{}');
  SELECT t.* INTO chosen FROM reconcile.channel_template t WHERE t.template = create_channel_from_template.template;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('channel template "%s" does not exist', coalesce(template, 'NULL')),
      DETAIL = format('There are %s.', (SELECT string_agg(t.template, ', ' ORDER BY t.template) FROM reconcile.channel_template t)),
      HINT = 'Templates are listed in reconcile.channel_template; reconcile.create_channel() needs none.';
  END IF;
  IF server IS NOT NULL AND coalesce(inbox, '') !~ '^(sftp|ftps|https)://' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'a server is for files that are fetched',
      DETAIL = format('Server "%s" was named for channel "%s", whose inbox is %s.', server, name, coalesce('"' || inbox || '"', 'not given')),
      HINT = 'Name what to fetch: inbox => ''sftp://bills/{yyyyMMdd}/*.zip''.';
  END IF;
  PERFORM reconcile.check_template_options(chosen, options);
  source_format := reconcile.template_format(chosen, options);
  IF coalesce(account, '') = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a channel from a template needs an account',
      HINT = 'Give the merchant id or account number as the channel writes it.';
  END IF;
  PERFORM reconcile.create_channel(name, coalesce(timezone, chosen.time_zone), coalesce(currency, chosen.currency), chosen.day_start,
                                   account => account, first_date => (options ->> 'first_date')::date);
  FOR item IN SELECT s FROM jsonb_array_elements(chosen.sources) s LOOP
    position := position + 1;
    CONTINUE WHEN position > 1 AND NOT coalesce(options -> 'inboxes' ? (item ->> 'book'), false);
    location := coalesce(options -> 'inboxes' ->> (item ->> 'book'), CASE WHEN position = 1 THEN inbox END);
    PERFORM reconcile.create_file_source(
      name || ' ' || (item ->> 'name'), name, CASE WHEN position = 1 THEN source_format ELSE item ->> 'format' END,
      location, account => account, book => item ->> 'book',
      options => jsonb_strip_nulls(jsonb_build_object(
        'server', CASE WHEN location ~ '^(sftp|ftps|https)://' THEN server END,
        'deadline', coalesce(options -> 'deadline', item -> 'deadline'), 'calendar', options -> 'calendar',
        'expected', coalesce(options -> 'expected', item -> 'expected'))));
    books := books || (item ->> 'book');
  END LOOP;
  PERFORM reconcile.create_template_legs(name, chosen, books, options);
  RAISE NOTICE USING MESSAGE = format('channel "%s": %s', name, chosen.schedule),
    HINT = 'Schedule CALL reconcile.run_due() every ten minutes: it runs each day once it is complete.';
  RETURN name;
END
$$;
COMMENT ON FUNCTION reconcile.create_channel_from_template(text, text, text, name, text, text, text, jsonb)
IS 'Creates a channel, its account, its legs with their rules, and the file sources of its statements (source "<channel> statements") from a template';

GRANT SELECT ON reconcile.channel_template TO reconcile_reader;
GRANT EXECUTE ON FUNCTION reconcile.create_channel_from_template(text, text, text, name, text, text, text, jsonb)
  TO reconcile_admin;
