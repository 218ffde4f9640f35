-- What really happened in the demo's three business days: one row per money movement, from which both the shop's
-- payments table and the channels' bills are made. Runs in the shop's database; :first_day is the first day.
--
-- scenario.movement says for each movement what the shop recorded (shop_state NULL: nothing) and what the channel
-- reports (bill_day_no NULL: nothing). For ordinary movements the two agree; planted.sql adds those that don't.

CREATE SCHEMA scenario;

CREATE TABLE scenario.day (day_no integer PRIMARY KEY, day date NOT NULL);
INSERT INTO scenario.day SELECT n, :'first_day'::date + n - 1 FROM generate_series(1, 3) n;

CREATE TABLE scenario.channel (pay_channel smallint PRIMARY KEY, channel text NOT NULL, merchant_id text NOT NULL);
INSERT INTO scenario.channel VALUES
  (1, 'alipay', '20880012345678900156'), (2, 'wechat', '1601959334'), (3, 'citybank', '6222020200112233');

CREATE TABLE scenario.good (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO scenario.good VALUES
  (0, '陶瓷咖啡杯 350ml'), (1, '龙井茶叶 250g'), (2, '蓝牙耳机'), (3, '儿童绘本'), (4, '羽绒服 XL'),
  (5, '会员月卡'), (6, '樱桃 2斤装'), (7, '机械键盘');

CREATE UNLOGGED TABLE scenario.movement (
  payment_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  day_no           integer NOT NULL,
  pay_channel      smallint NOT NULL,
  type             text NOT NULL CHECK (type IN ('PAY', 'REFUND')),
  order_no         text NOT NULL,
  refund_no        text,
  channel_no       text NOT NULL,            -- the channel's own number of the trade
  channel_refund_no text,                    -- WeChat and the bank number refunds too; at Alipay the trade's number stays
  good             integer NOT NULL DEFAULT 0,
  coupon_fen       bigint NOT NULL DEFAULT 0, -- the merchant's own coupon: the customer's order is settled for less
  created_at       timestamp NOT NULL,       -- Shanghai time, as everything here
  paid_at          timestamp NOT NULL,
  confirmed_later  boolean NOT NULL DEFAULT false,  -- the shop's row is pending until the channel calls back
  shop_state       smallint,                 -- 1 pending, 2 success, 3 failed, 4 closed; NULL: the shop has no row
  shop_amount_fen  bigint,
  bill_day_no      integer,                  -- the day whose bill has it; NULL: no bill
  bill_at          timestamp,
  bill_amount_fen  bigint
);
CREATE INDEX ON scenario.movement (day_no);
CREATE INDEX ON scenario.movement (bill_day_no, pay_channel);

-- The agreed fee: 0.6 % of what is settled, to the nearest fen.
CREATE FUNCTION scenario.fee_fen(amount_fen bigint, coupon_fen bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT round((amount_fen - coupon_fen) * 0.006)::bigint $$;

CREATE FUNCTION scenario.order_no(day date, pay_channel smallint, n bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT format('M%s%s%s', to_char(day, 'YYYYMMDD'), pay_channel, lpad(n::text, 6, '0')) $$;

CREATE FUNCTION scenario.channel_no(day date, pay_channel smallint, n bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE pay_channel
           WHEN 1 THEN to_char(day, 'YYYYMMDD') || '22001458860' || lpad(n::text, 9, '0')
           WHEN 2 THEN '4200002511' || to_char(day, 'YYYYMMDD') || lpad(n::text, 10, '0')
           ELSE 'CB' || to_char(day, 'YYYYMMDD') || lpad(n::text, 8, '0')
         END
$$;

CREATE FUNCTION scenario.channel_refund_no(pay_channel smallint, channel_no text, part integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE pay_channel WHEN 1 THEN NULL WHEN 2 THEN '50' || part || substr(channel_no, 4) ELSE channel_no || '-R' || part END
$$;

-- Repeatable "random" numbers: the same day gives the same payments in every run of the demo.
CREATE FUNCTION scenario.dice(day_no integer, pay_channel smallint, n bigint, question integer, sides bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (hashint8extended(n * 16 + question, day_no * 10 + pay_channel) & 9223372036854775807) % sides
$$;

-- Ordinary payments, spread over each day. The last percent was never paid: closed, failed, or pending to this day.
INSERT INTO scenario.movement (day_no, pay_channel, type, order_no, channel_no, good, coupon_fen, created_at, paid_at,
                               confirmed_later, shop_state, shop_amount_fen, bill_day_no, bill_at, bill_amount_fen)
SELECT day_no, pay_channel, 'PAY', scenario.order_no(day, pay_channel, n), scenario.channel_no(day, pay_channel, n),
       scenario.dice(day_no, pay_channel, n, 1, 8), coupon_fen,
       paid_at - make_interval(secs => 4 + scenario.dice(day_no, pay_channel, n, 2, 80)), paid_at,
       scenario.dice(day_no, pay_channel, n, 3, 10) < 2, shop_state, amount_fen,
       CASE WHEN shop_state = 2 THEN day_no END, paid_at, amount_fen
FROM scenario.day, scenario.channel, generate_series(1, :payments + :payments / 100) n,
     LATERAL (SELECT 1000 + scenario.dice(day_no, pay_channel, n, 4, 60000) AS amount_fen,
                     day + interval '10 minutes'
                       + make_interval(secs => n * 85000 / (:payments + :payments / 100)) AS paid_at,
                     CASE WHEN n <= :payments THEN 2 ELSE (ARRAY[4, 4, 3, 1])[1 + n % 4] END::smallint AS shop_state) a,
     LATERAL (SELECT CASE WHEN pay_channel IN (1, 2) AND scenario.dice(day_no, pay_channel, n, 5, 50) = 0
                          THEN amount_fen / 10 ELSE 0 END AS coupon_fen) c
ORDER BY day_no, paid_at, pay_channel;

-- One payment in a hundred is refunded in full on the same day, some hours later.
INSERT INTO scenario.movement (day_no, pay_channel, type, order_no, refund_no, channel_no, channel_refund_no, good,
                               created_at, paid_at, confirmed_later, shop_state, shop_amount_fen,
                               bill_day_no, bill_at, bill_amount_fen)
SELECT day_no, pay_channel, 'REFUND', order_no, 'R' || substr(order_no, 2), channel_no, scenario.channel_refund_no(pay_channel, channel_no, 1), good,
       refunded_at - interval '2 seconds', refunded_at, true, 2, shop_amount_fen,
       day_no, refunded_at, shop_amount_fen
FROM scenario.movement m JOIN scenario.day USING (day_no),
     LATERAL (SELECT paid_at + interval '2 hours' AS refunded_at) r
WHERE shop_state = 2 AND coupon_fen = 0 AND right(order_no, 2) = '37' AND refunded_at < day + interval '23 hours';
