-- What the demo hides among the ordinary payments. Runs in the shop's database, after scenario.sql.
--
-- scenario.expected is the answer sheet: the discrepancies that reconciliation must find, and no others.

CREATE TABLE scenario.expected (
  channel       text NOT NULL,
  business_date date NOT NULL,
  opened_on     date NOT NULL,      -- the day whose run must find it
  order_no      text PRIMARY KEY,
  kind          text NOT NULL,
  difference    numeric(12,2) NOT NULL,   -- channel minus shop, yuan
  story         text NOT NULL
);

CREATE TEMPORARY TABLE plant (
  n               integer,          -- order numbers end in 9000 + n
  day_no          integer,
  pay_channel     smallint,
  at              time,
  shop_state      smallint,
  shop_amount_fen bigint,
  bill_day_no     integer,
  bill_at         time,
  bill_amount_fen bigint,
  coupon_fen      bigint DEFAULT 0,
  kind            text,             -- NULL: no discrepancy
  story           text
);

INSERT INTO plant (n, day_no, pay_channel, at, shop_state, shop_amount_fen, bill_day_no, bill_at, bill_amount_fen,
                   coupon_fen, kind, story) VALUES
  -- day 1
  (1, 1, 1, '10:11:12',    2, 18800,    NULL, NULL, NULL,        0, 'missing_trade',    'the shop booked it as paid, no Alipay bill has it'),
  (2, 1, 2, '11:12:13', NULL,  NULL,    1, '11:12:13', 25600,    0, 'missing_internal', 'WeChat took the money, the shop has no such order'),
  (3, 1, 3, '12:13:14',    2, 99900,    1, '12:13:14', 90000,    0, 'amount_mismatch',  'the bank credited 900.00 for an order of 999.00'),
  (4, 1, 1, '23:59:58',    2, 36500,    2, '00:00:01', 36500,    0, NULL,               'paid two seconds before midnight, in Alipay''s bill of the next day'),
  (5, 1, 1, '09:00:00',    2, 50000,    1, '09:00:02', 50000, 5000, NULL,               'Alipay: 500.00 agreed, 50.00 of it a coupon of ours'),
  (6, 1, 2, '09:30:00',    2, 40000,    1, '09:30:02', 40000, 4000, NULL,               'WeChat: 400.00 agreed, 40.00 of it a coupon of ours'),
  (7, 1, 1, '08:00:00',    2, 30000,    1, '08:00:03', 30000,    0, NULL,               'refunded in two parts, on day 2 and day 3'),
  -- day 2
  (8, 2, 1, '14:15:16',    3, 45900,    2, '14:15:16', 45900,    0, 'status_mismatch',  'Alipay took the money, the shop says the payment failed'),
  (9, 2, 2, '15:16:17',    2, 12800,    2, '15:16:17', 12800,    0, NULL,               'paid once by the first of two transactions'),
  (10, 2, 2, '23:59:58',   2, 77700,    3, '00:00:02', 77700,    0, NULL,               'paid two seconds before midnight, in WeChat''s bill of the next day'),
  (11, 2, 3, '16:00:00',   4, 61000,    NULL, NULL, NULL,        0, NULL,               'closed in the shop, never paid'),
  (12, 2, 3, '16:30:00',   1, 62000,    NULL, NULL, NULL,        0, NULL,               'pending in the shop, never paid'),
  -- day 3
  (13, 3, 3, '17:18:19', NULL, NULL,    3, '17:18:19', 8800,     0, 'missing_internal', 'the bank was paid, the shop has no such order');

INSERT INTO scenario.movement (day_no, pay_channel, type, order_no, channel_no, coupon_fen, created_at, paid_at,
                               confirmed_later, shop_state, shop_amount_fen, bill_day_no, bill_at, bill_amount_fen)
SELECT p.day_no, p.pay_channel, 'PAY', scenario.order_no(d.day, p.pay_channel, 900000 + p.n),
       scenario.channel_no(d.day, p.pay_channel, 900000 + p.n), p.coupon_fen,
       d.day + p.at - interval '7 seconds', d.day + p.at, coalesce(p.shop_state = 2, false), p.shop_state, p.shop_amount_fen,
       p.bill_day_no, b.day + p.bill_at, p.bill_amount_fen
FROM plant p JOIN scenario.day d USING (day_no) LEFT JOIN scenario.day b ON b.day_no = p.bill_day_no;

-- What the shop has and the channel doesn't is due a day later: until then it may stand in the next bill.
INSERT INTO scenario.expected (channel, business_date, opened_on, order_no, kind, difference, story)
SELECT c.channel, d.day, d.day + CASE p.kind WHEN 'missing_trade' THEN 1 ELSE 0 END,
       scenario.order_no(d.day, p.pay_channel, 900000 + p.n), p.kind,
       (coalesce(p.bill_amount_fen, 0) - CASE p.shop_state WHEN 2 THEN p.shop_amount_fen ELSE 0 END) / 100.0,
       p.story
FROM plant p JOIN scenario.day d USING (day_no) JOIN scenario.channel c USING (pay_channel)
WHERE p.kind IS NOT NULL;

-- The customer of plant 9 paid twice: WeChat has a second transaction of the same order, two minutes later.
INSERT INTO scenario.movement (day_no, pay_channel, type, order_no, channel_no, created_at, paid_at,
                               shop_state, bill_day_no, bill_at, bill_amount_fen)
SELECT m.day_no, m.pay_channel, 'PAY', m.order_no, scenario.channel_no(d.day, m.pay_channel, 900109),
       m.created_at, m.paid_at + interval '2 minutes', NULL, m.bill_day_no, m.bill_at + interval '2 minutes',
       m.bill_amount_fen
FROM scenario.movement m JOIN scenario.day d USING (day_no)
WHERE m.order_no = scenario.order_no(d.day, m.pay_channel, 900009);

INSERT INTO scenario.expected (channel, business_date, opened_on, order_no, kind, difference, story)
SELECT c.channel, d.day, d.day, m.order_no, 'duplicate_trade', m.bill_amount_fen / 100.0,
       'the customer paid one order twice at WeChat'
FROM scenario.movement m JOIN scenario.day d USING (day_no) JOIN scenario.channel c USING (pay_channel)
WHERE m.channel_no = scenario.channel_no(d.day, m.pay_channel, 900109);

-- Plant 7, a payment of day 1, is refunded in two parts.
INSERT INTO scenario.movement (day_no, pay_channel, type, order_no, refund_no, channel_no, channel_refund_no,
                               created_at, paid_at, confirmed_later, shop_state, shop_amount_fen,
                               bill_day_no, bill_at, bill_amount_fen)
SELECT r.day_no, m.pay_channel, 'REFUND', m.order_no, 'R' || substr(m.order_no, 2) || '-' || r.part, m.channel_no,
       scenario.channel_refund_no(m.pay_channel, m.channel_no, r.part),
       t.day + time '10:30', t.day + time '10:30:05', true, 2, r.amount_fen, r.day_no, t.day + time '10:30:05', r.amount_fen
FROM scenario.movement m JOIN scenario.day d USING (day_no),
     (VALUES (2, 1, 9900), (3, 2, 4550)) r (day_no, part, amount_fen) JOIN scenario.day t ON t.day_no = r.day_no
WHERE m.order_no = scenario.order_no(d.day, m.pay_channel, 900007);

ANALYZE scenario.movement;
