-- The finance side, as a DBA would type it: channels, where the shop's payments and the bills come from, the schedule.
-- Variables: first_day, shop_port, repl_password, inbox.

CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE EXTENSION pg_cron;
CREATE EXTENSION pg_reconcile;

SELECT reconcile.create_channel('alipay', 'Asia/Shanghai', 'CNY', account => '20880012345678900156', first_date => :'first_day');
SELECT reconcile.create_channel('wechat', 'Asia/Shanghai', 'CNY', account => '1601959334', first_date => :'first_day');
SELECT reconcile.create_channel('citybank', 'Asia/Shanghai', 'CNY', account => '6222020200112233', first_date => :'first_day');

-- The shop's payments, streamed from its write-ahead log while they happen. One table feeds all three channels.
CREATE SERVER shop FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '127.0.0.1', port :'shop_port', dbname 'shop');
CREATE USER MAPPING FOR reconcile_worker SERVER shop OPTIONS (user 'repl', password :'repl_password');
SELECT reconcile.create_replication_source('shop payments', server => 'shop', publication => 'payments',
  "table" => 'public.payments', mapping => '{
    "channel":     {"column": "pay_channel", "map": {"1": "alipay", "2": "wechat", "3": "citybank"}},
    "account":     {"column": "merchant_id"},
    "order_key":   {"column": "order_no"},
    "match_key":   {"concat": ["order_no", "refund_no"], "separator": "/", "skip_empty": true},
    "channel_ref": {"column": "channel_trade_no"},
    "kind":        {"column": "type", "map": {"PAY": "payment", "REFUND": "refund"}, "else": "reject"},
    "amount":      {"column": "amount_fen", "scale": 2, "sign": {"by": "kind", "negative": ["refund"]}},
    "fee":         {"column": "fee_fen", "scale": 2},
    "currency":    {"const": "CNY"},
    "status":      {"column": "state", "map": {"1": "pending", "2": "success", "3": "failed", "4": "closed"}},
    "occurred_at": {"first": ["paid_at", "created_at"]},
    "attributes":  ["buyer_id", "shop_id"]
  }');

-- The channels' bills: whatever arrives in these folders. A bill is moved in whole, so a second of standing still is
-- enough (settle; usually five).
SELECT reconcile.create_file_source('alipay bills', 'alipay', 'alipay.trade',
  'file://' || :'inbox' || '/alipay/*.zip', options => '{"settle": "1 second"}');
SELECT reconcile.create_file_source('wechat bills', 'wechat', 'wechat.trade',
  'file://' || :'inbox' || '/wechat/*.gz', options => '{"settle": "1 second"}');
SELECT reconcile.create_file_source('citybank statements', 'citybank', 'generic.csv',
  'file://' || :'inbox' || '/citybank/*.csv', options => '{"settle": "1 second"}');

-- Every minute: reconcile whatever is complete.
SELECT cron.schedule('reconcile', '* * * * *', 'CALL reconcile.run_due()');
