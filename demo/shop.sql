-- The shop: one table of payments and refunds, published, and a procedure that plays a day of them.

CREATE TABLE public.payments (
  payment_id       bigint PRIMARY KEY,
  merchant_id      text NOT NULL,
  pay_channel      smallint NOT NULL,
  type             text NOT NULL,
  order_no         text NOT NULL,
  refund_no        text,
  amount_fen       bigint NOT NULL,
  fee_fen          bigint,
  state            smallint NOT NULL,     -- 1 pending, 2 success, 3 failed, 4 closed
  created_at       timestamptz NOT NULL,
  paid_at          timestamptz,
  channel_trade_no text,
  buyer_id         text,
  shop_id          text
);
CREATE PUBLICATION payments FOR TABLE public.payments;
CREATE ROLE repl LOGIN REPLICATION PASSWORD :'repl_password';
GRANT SELECT ON public.payments TO repl;

-- Plays the day in slices of two hours. One order in five is first recorded as pending and becomes a success when
-- the channel calls back, in a transaction of their own, so that updates stream too.
CREATE PROCEDURE scenario.play_day(day_no integer) LANGUAGE plpgsql AS $$
DECLARE
  slice integer;
  slice_start timestamp;
BEGIN
  FOR slice IN 0 .. 11 LOOP
    SELECT d.day + make_interval(hours => slice * 2) INTO slice_start FROM scenario.day d WHERE d.day_no = play_day.day_no;

    INSERT INTO public.payments
    SELECT m.payment_id, c.merchant_id, m.pay_channel, m.type, m.order_no, m.refund_no, m.shop_amount_fen,
           CASE WHEN shown.state = 2 THEN CASE m.type WHEN 'REFUND' THEN -1 ELSE 1 END
                                          * scenario.fee_fen(m.shop_amount_fen, m.coupon_fen) END,
           shown.state, m.created_at AT TIME ZONE 'Asia/Shanghai',
           CASE WHEN shown.state = 2 THEN m.paid_at AT TIME ZONE 'Asia/Shanghai' END,
           CASE WHEN shown.state = 2 THEN coalesce(m.channel_refund_no, m.channel_no) END,
           'b' || m.payment_id % 5000, 's' || m.payment_id % 40
    FROM scenario.movement m JOIN scenario.channel c USING (pay_channel),
         LATERAL (SELECT CASE WHEN m.confirmed_later THEN 1 ELSE m.shop_state END AS state) shown
    WHERE m.day_no = play_day.day_no AND m.shop_state IS NOT NULL
      AND m.paid_at >= slice_start AND m.paid_at < slice_start + interval '2 hours'
    ORDER BY m.paid_at;
    COMMIT;

    UPDATE public.payments p
    SET state = m.shop_state,
        paid_at = CASE WHEN m.shop_state = 2 THEN m.paid_at AT TIME ZONE 'Asia/Shanghai' END,
        channel_trade_no = CASE WHEN m.shop_state = 2 THEN coalesce(m.channel_refund_no, m.channel_no) END,
        fee_fen = CASE WHEN m.shop_state = 2 THEN CASE m.type WHEN 'REFUND' THEN -1 ELSE 1 END
                                                  * scenario.fee_fen(m.shop_amount_fen, m.coupon_fen) END
    FROM scenario.movement m
    WHERE p.payment_id = m.payment_id AND m.day_no = play_day.day_no AND m.confirmed_later AND m.shop_state <> 1
      AND m.paid_at >= slice_start AND m.paid_at < slice_start + interval '2 hours';
    COMMIT;
  END LOOP;
END
$$;
