-- Channels from templates: legs, sources, rules and what is expected, in one call; and what is refused.
BEGIN;
SELECT plan(48);

SET LOCAL client_min_messages = error;

CREATE FUNCTION pg_temp.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; detail text;
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
  RETURN concat_ws(' | ', state || ' ' || message, NULLIF(detail, ''));
END $$;
CREATE FUNCTION pg_temp.legs(channel text) RETURNS text LANGUAGE sql AS $$
SELECT string_agg(l.leg || ' ' || l.left_book || ' ' || l.right_book, ', ' ORDER BY l.leg) FROM reconcile.leg l WHERE l.channel = legs.channel $$;
CREATE FUNCTION pg_temp.sources(channel text) RETURNS text LANGUAGE sql AS $$
SELECT string_agg(concat_ws(' ', s.name || ':', s.book, s.format, s.location), ', ' ORDER BY s.source_id)
FROM reconcile.source s WHERE s.channel = sources.channel $$;
CREATE FUNCTION pg_temp.treatment(channel text, leg text, kind text) RETURNS text LANGUAGE sql AS $$
SELECT CASE jsonb_typeof(l.kinds -> kind) WHEN 'object' THEN 'ignored' ELSE l.kinds ->> kind END
FROM reconcile.leg l WHERE l.channel = treatment.channel AND l.leg = treatment.leg $$;

-- ---- one channel ----
SELECT is(reconcile.create_channel_from_template('alipay', '2088', 'file:///srv/alipay/*.zip', options => '{"first_date": "2026-11-01"}'), 'alipay', 'the channel is called as its template');
SELECT is(pg_temp.legs('alipay'), 'internal-trade internal trade', 'without a fund inbox there is no fund leg, which would wait for ever');
SELECT is(pg_temp.sources('alipay'), 'alipay statements: trade alipay.trade file:///srv/alipay/*.zip', 'its source');
SELECT is((SELECT string_agg(r.name, ',' ORDER BY r.pass) FROM reconcile.match_rule r WHERE r.channel = 'alipay'), 'channel_ref,match_key,carried,net_order', 'the exact passes');
SELECT is((SELECT concat_ws(' ', e.account, e.book, e.deadline, e.valid_from) FROM reconcile.expected_statement e WHERE e.channel = 'alipay'), '2088 trade 11:00:00 2026-11-01', 'a statement is expected for every day');
SELECT is((SELECT concat_ws(' ', c.time_zone, c.currency, c.day_start, c.first_date) FROM reconcile.channel c WHERE c.channel = 'alipay'), 'Asia/Shanghai CNY 00:00:00 2026-11-01', 'zone, currency and go-live');
SELECT is(pg_temp.treatment('alipay', 'internal-trade', kind), 'settlement', format('%s rows are not missing from the shop''s table', kind))
FROM unnest(ARRAY['fee', 'payout', 'reserve', 'fx_conversion']) AS kind;
SELECT is(pg_temp.treatment('alipay', 'internal-trade', 'chargeback'), 'match', 'chargebacks are');

-- ---- two books ----
SELECT is(reconcile.create_channel_from_template('wechat', '1600', channel => 'wechat shop', currency => 'HKD', timezone => 'Asia/Hong_Kong',
  inbox => 'file:///srv/wechat/*.gz', options => '{"inboxes": {"fund": "file:///srv/fund/*.gz"}, "deadline": "14 hours", "lags": {"internal-trade": {"left": {"*": 2}, "right": {"*": 2}}},
  "kinds": {"trade-fund": {"other": {"ignore": "interest"}}}}'), 'wechat shop', 'a name of its own');
SELECT is(pg_temp.legs('wechat shop'), 'internal-trade internal trade, trade-fund trade fund', 'with a fund inbox there is the fund leg');
SELECT is(pg_temp.sources('wechat shop'),
  'wechat shop statements: trade wechat.trade file:///srv/wechat/*.gz, wechat shop fund flow: fund wechat.fund_flow file:///srv/fund/*.gz', 'and its source');
SELECT is(pg_temp.treatment('wechat shop', 'trade-fund', 'fee'), 'ignored', 'the fee is a row in one book and a column in the other');
SELECT is(pg_temp.treatment('wechat shop', 'trade-fund', 'other'), 'ignored', 'a kind of a leg as the call says');
SELECT is((SELECT l.lags::text FROM reconcile.leg l WHERE l.channel = 'wechat shop' AND l.leg = 'internal-trade'), '{"left": {"*": 2}, "right": {"*": 2}}', 'lags as the call says');
SELECT is((SELECT string_agg(e.book || ' ' || e.deadline, ', ' ORDER BY e.book) FROM reconcile.expected_statement e WHERE e.channel = 'wechat shop'), 'fund 14:00:00, trade 14:00:00', 'both are expected');
SELECT is((SELECT concat_ws(' ', c.currency, c.time_zone) FROM reconcile.channel c WHERE c.channel = 'wechat shop'), 'HKD Asia/Hong_Kong', 'its zone and currency');

-- ---- batches come when they come ----
SELECT is(reconcile.create_channel_from_template('checkout', 'ent_1'), 'checkout', 'a channel without an inbox: ingest_file fills it');
SELECT is((SELECT count(*) FROM reconcile.expected_statement e WHERE e.channel = 'checkout'), 0::bigint, 'no day needs a file of its own');
SELECT ok(NOT EXISTS (SELECT FROM reconcile.leg l WHERE l.channel = 'checkout' AND (l.lags -> 'left' ->> 'payment')::integer < 5), 'payments may wait for their payout');
SELECT is(reconcile.create_channel_from_template('adyen', 'Shop', options => '{"inboxes": {"settlement": null}}'), 'adyen', 'a second book that ingest_file fills');
SELECT is(pg_temp.legs('adyen'), 'internal-trade internal trade, trade-settlement trade settlement', 'has its leg');

-- ---- a bank ----
SELECT reconcile.save_format('my.bank', (SELECT document || '{"book": "bank"}' FROM reconcile.file_format WHERE format = 'generic.csv'));
SELECT is(reconcile.create_channel_from_template('bank', 'DE89', channel => 'hausbank', timezone => 'Europe/Berlin', options => '{"format": "my.bank"}'), 'hausbank', 'a bank in a format of one''s own');
SELECT is(pg_temp.legs('hausbank'), 'internal-bank internal bank', 'its only leg is the bank''s');
SELECT is((SELECT string_agg(r.name, ',' ORDER BY r.pass) FROM reconcile.match_rule r WHERE r.channel = 'hausbank'),
  'channel_ref,match_key,carried,net_order,amount and day', 'references are rare at banks: amount and day are suggested');
SELECT is(pg_temp.treatment('hausbank', 'internal-bank', 'fee'), 'match', 'the bank''s own charges belong into our ledger of the account');

-- ---- every template ----
SELECT is((SELECT string_agg(t.template, ',' ORDER BY t.template) FROM reconcile.channel_template t), 'adyen,alipay,antom,bank,checkout,dlocal,generic,paypal,stripe,unionpay,wechat', 'the templates');
SELECT ok(bool_and((SELECT count(*) FROM jsonb_object_keys(l -> 'kinds') k) > 0 AND reconcile.lags_problem(l -> 'lags') IS NULL), 'legs have kinds and valid lags')
FROM reconcile.channel_template t, jsonb_array_elements(t.legs) l;
SELECT ok(bool_and(f.format IS NOT NULL), 'formats that templates name are shipped')
FROM reconcile.channel_template t, jsonb_array_elements(t.sources) s LEFT JOIN reconcile.file_format f ON f.format = s ->> 'format'
WHERE s ->> 'format' IS NOT NULL;
SELECT lives_ok(format('SELECT reconcile.create_channel_from_template(%L, ''m1'', channel => %L)', t.template, 'every ' || t.template), t.template || ' makes a channel')
FROM reconcile.channel_template t WHERE t.template IN ('antom', 'dlocal', 'generic', 'paypal', 'stripe', 'unionpay') ORDER BY t.template;

-- ---- refused ----
SELECT matches(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('alipaye', '1') $$), '^42704 channel template "alipaye" does not exist . There are adyen, alipay,', 'no such template');
SELECT matches(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('alipay', '') $$), '^22023 a channel from a template needs an account', 'no account');
SELECT matches(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('alipay', '1') $$), '^42710 channel "alipay" exists already', 'a channel that is there');
SELECT matches(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('bank', '1') $$), '^22023 template "bank" needs the option format . It may be one of .*my.bank', 'a bank needs its format');
SELECT is(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('wechat', '1', channel => 'w2', options => '{"format": "alipay.trade"}') $$),
  '22023 template "wechat" knows no format "alipay.trade" | It may be one of wechat.trade, or one of your own.', 'another channel''s format');
SELECT matches(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('wechat', '1', channel => 'w2', options => '{"inbox": {}}') $$), '^22023 unknown option "inbox"', 'an option that is none');
SELECT is(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('wechat', '1', channel => 'w2', options => '{"inboxes": {"bank": null}}') $$),
  '22023 template "wechat" has no statements of the book "bank" | Its books are trade, fund.', 'a book that it has not');
SELECT is(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('wechat', '1', channel => 'w2', options => '{"lags": {"internal-bank": {}}}') $$),
  '22023 option "lags" names no leg of template "wechat": internal-bank | Its legs are internal-trade, trade-fund.', 'a leg that it has not');
SELECT matches(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('wechat', '1', channel => 'w2', options => '{"lags": {"internal-trade": {"left": {"gift": 1}}}}') $$),
  '^22023 the lags are not valid', 'lags that count as nothing');
SELECT matches(pg_temp.error_of($$ SELECT reconcile.create_channel_from_template('wechat', '1', channel => 'w2', options => '[]') $$), '^22023 the options of a template are a JSON object', 'options that are none');
SELECT is((SELECT count(*) FROM reconcile.channel c WHERE c.channel = 'w2'), 0::bigint, 'nothing is left of what was refused');

SELECT * FROM finish();
ROLLBACK;
