-- The channels' bills of a day as text, line by line, each in its channel's own layout. Runs in the shop's database.

-- What each channel's bill of a day lists, with signed amounts in fen.
CREATE VIEW scenario.bill_row AS
SELECT m.bill_day_no AS day_no, m.pay_channel, c.merchant_id, m.type, m.order_no, coalesce(m.refund_no, '') AS refund_no,
       m.channel_no, m.channel_refund_no, g.name AS good, m.created_at, m.bill_at,
       s.sign * m.bill_amount_fen AS amount_fen,
       s.sign * m.coupon_fen AS coupon_fen,
       s.sign * (m.bill_amount_fen - m.coupon_fen) AS settle_fen,
       s.sign * scenario.fee_fen(m.bill_amount_fen, m.coupon_fen) AS fee_fen
FROM scenario.movement m JOIN scenario.channel c USING (pay_channel) JOIN scenario.good g ON g.id = m.good,
     LATERAL (SELECT CASE m.type WHEN 'REFUND' THEN -1 ELSE 1 END AS sign) s
WHERE m.bill_day_no IS NOT NULL;

CREATE FUNCTION scenario.yuan(fen numeric) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT to_char(fen / 100, 'FM99999999990.00') $$;

CREATE FUNCTION scenario.chinese(day date) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT to_char(day, 'YYYY"年"MM"月"DD"日"') $$;

-- Alipay 业务明细: `#` lines around a CSV whose ids end in a tab; refunds negative; the service charge negative where
-- it was taken and positive where it was given back.
CREATE FUNCTION scenario.alipay_detail(day_no integer) RETURNS TABLE (line text) LANGUAGE sql STABLE AS $$
  SELECT unnest(ARRAY[
    '#支付宝业务明细查询',
    format('#账号：[%s]', c.merchant_id),
    format('#起始日期：[%s 00:00:00]   终止日期：[%s 00:00:00]', scenario.chinese(d.day), scenario.chinese(d.day + 1)),
    '#-----------------------------------------业务明细列表----------------------------------------',
    '支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注'])
  FROM scenario.day d, scenario.channel c WHERE d.day_no = alipay_detail.day_no AND c.pay_channel = 1
  UNION ALL
  (SELECT concat_ws(',', channel_no || E'\t', order_no || E'\t', CASE type WHEN 'PAY' THEN E'交易\t' ELSE E'退款\t' END,
                    good, to_char(created_at, 'YYYY-MM-DD HH24:MI:SS'), to_char(bill_at, 'YYYY-MM-DD HH24:MI:SS'),
                    E'\t', E'\t', E'\t', E'\t', E'*小明(138****00)\t',
                    scenario.yuan(amount_fen), scenario.yuan(settle_fen), '0.00', '0.00', '0.00',
                    scenario.yuan(coupon_fen), '0.00', '', E'0.00\t', E'0.00\t', refund_no || E'\t',
                    scenario.yuan(-fee_fen), '0.00', '')
   FROM scenario.bill_row r WHERE r.day_no = alipay_detail.day_no AND pay_channel = 1 ORDER BY bill_at, channel_no, refund_no)
  UNION ALL
  SELECT unnest(ARRAY[
    '#-----------------------------------------业务明细列表结束------------------------------------',
    format('#交易合计：%s笔，商家实收共%s元，商家优惠共%s元', count(*) FILTER (WHERE type = 'PAY'),
           scenario.yuan(coalesce(sum(settle_fen) FILTER (WHERE type = 'PAY'), 0)),
           scenario.yuan(coalesce(sum(coupon_fen) FILTER (WHERE type = 'PAY'), 0))),
    format('#退款合计：%s笔，商家实收退款共%s元，商家优惠退款共%s元', count(*) FILTER (WHERE type = 'REFUND'),
           scenario.yuan(coalesce(sum(settle_fen) FILTER (WHERE type = 'REFUND'), 0)),
           scenario.yuan(coalesce(sum(coupon_fen) FILTER (WHERE type = 'REFUND'), 0))),
    format('#导出时间：[%s 09:12:49]', scenario.chinese((SELECT day + 1 FROM scenario.day d WHERE d.day_no = alipay_detail.day_no)))])
  FROM scenario.bill_row r WHERE r.day_no = alipay_detail.day_no AND pay_channel = 1
$$;

-- Alipay 业务汇总, the second file of the zip.
CREATE FUNCTION scenario.alipay_summary(day_no integer) RETURNS TABLE (line text) LANGUAGE sql STABLE AS $$
  SELECT unnest(ARRAY[
    '#支付宝业务汇总查询',
    format('#账号：[%s]', min(r.merchant_id)),
    format('#起始日期：[%s 00:00:00]   终止日期：[%s 00:00:00]', scenario.chinese(min(d.day)), scenario.chinese(min(d.day) + 1)),
    '#-----------------------------------------业务汇总列表----------------------------------------',
    '门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）',
    concat_ws(',', E'合计\t', E'\t', count(*) FILTER (WHERE type = 'PAY'), count(*) FILTER (WHERE type = 'REFUND'),
              scenario.yuan(sum(amount_fen)), scenario.yuan(sum(settle_fen)), '0.00', scenario.yuan(sum(coupon_fen)),
              '0.00', scenario.yuan(-sum(fee_fen)), '0.00', scenario.yuan(sum(settle_fen - fee_fen))),
    '#-----------------------------------------业务汇总列表结束------------------------------------',
    format('#导出时间：[%s 09:12:49]', scenario.chinese(min(d.day) + 1))])
  FROM scenario.bill_row r JOIN scenario.day d USING (day_no)
  WHERE r.day_no = alipay_summary.day_no AND pay_channel = 1
$$;

-- WeChat's trade bill (ALL): a backtick before every value, no quoting, two summary lines. Refund rows have amounts
-- of their own columns and a negative charge.
CREATE FUNCTION scenario.wechat_bill(day_no integer) RETURNS TABLE (line text) LANGUAGE sql STABLE AS $$
  SELECT '交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注'
  UNION ALL
  (SELECT '`' || concat_ws(',`', to_char(bill_at, 'YYYY-MM-DD HH24:MI:SS'), 'wx81be3101902f7cb2', merchant_id, '0', '',
                           channel_no, order_no, 'ofyak5qR_1wYsC99CsWA6R9MJazA', 'JSAPI',
                           CASE type WHEN 'PAY' THEN 'SUCCESS' ELSE 'REFUND' END, 'OTHERS', 'CNY',
                           scenario.yuan(greatest(settle_fen, 0)), scenario.yuan(greatest(coupon_fen, 0)),
                           CASE type WHEN 'PAY' THEN '0' ELSE channel_refund_no END,
                           CASE type WHEN 'PAY' THEN '0' ELSE refund_no END,
                           scenario.yuan(greatest(-settle_fen, 0)), '0.00',
                           CASE type WHEN 'PAY' THEN '' ELSE 'ORIGINAL' END, CASE type WHEN 'PAY' THEN '' ELSE 'SUCCESS' END,
                           good, '', to_char(fee_fen::numeric / 100, 'FM999990.00000'), '0.60%',
                           scenario.yuan(greatest(amount_fen, 0)), scenario.yuan(greatest(-amount_fen, 0)), '')
   FROM scenario.bill_row r WHERE r.day_no = wechat_bill.day_no AND pay_channel = 2 ORDER BY bill_at DESC, channel_no, refund_no)
  UNION ALL
  SELECT '总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额'
  UNION ALL
  SELECT '`' || concat_ws(',`', count(*), scenario.yuan(sum(greatest(settle_fen, 0))),
                          scenario.yuan(sum(greatest(-settle_fen, 0))), '0.00',
                          to_char(sum(fee_fen) / 100, 'FM99999990.00000'),
                          scenario.yuan(sum(greatest(amount_fen, 0))), scenario.yuan(sum(greatest(-amount_fen, 0))))
  FROM scenario.bill_row r WHERE r.day_no = wechat_bill.day_no AND pay_channel = 2
$$;

-- The bank's statement: a CSV whose header says pg_reconcile's own column names, and a control line.
CREATE FUNCTION scenario.citybank_statement(day_no integer) RETURNS TABLE (line text) LANGUAGE sql STABLE AS $$
  SELECT unnest(ARRAY[format('#account=%s', c.merchant_id), format('#business_date=%s', d.day),
                      'order_key,match_key,kind,channel_ref,amount,fee,currency,occurred_at,description'])
  FROM scenario.day d, scenario.channel c WHERE d.day_no = citybank_statement.day_no AND c.pay_channel = 3
  UNION ALL
  (SELECT concat_ws(',', order_no, concat_ws('/', order_no, nullif(refund_no, '')),
                    CASE type WHEN 'PAY' THEN 'payment' ELSE 'refund' END, coalesce(channel_refund_no, channel_no),
                    scenario.yuan(abs(amount_fen)), scenario.yuan(fee_fen), 'CNY',
                    to_char(bill_at, 'YYYY-MM-DD"T"HH24:MI:SS"+08:00"'), '"' || good || ', POS 17"')
   FROM scenario.bill_row r WHERE r.day_no = citybank_statement.day_no AND pay_channel = 3 ORDER BY bill_at, channel_no, refund_no)
  UNION ALL
  SELECT format('#control,count=%s,amount=%s', count(*), scenario.yuan(sum(abs(amount_fen))))
  FROM scenario.bill_row r WHERE r.day_no = citybank_statement.day_no AND pay_channel = 3
$$;
