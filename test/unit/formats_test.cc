// The shipped documents of CSV statements: each on a file written here in its channel's shape, and on real
// ones where they are.
#include <doctest/doctest.h>

#include <string>

#include "test/unit/statement_reading.h"

using namespace pg_reconcile::core;
using namespace pg_reconcile::test;

namespace {

// 2026-11-21 00:00:00+00 in microseconds since 2000.
constexpr std::int64_t midnight = 848534400LL * 1000000;
constexpr std::int64_t hour = 3600LL * 1000000;

void require_clean(const FileReading& reading) {
  CAPTURE(reading.summary.rejected.value_or(""));
  REQUIRE(!reading.summary.rejected);
  for (const auto& bad : reading.rows.bad)
    MESSAGE(bad.field, " ", bad.column, " '", bad.value, "' ", bad.reason);
  REQUIRE(reading.rows.bad.empty());
}

}  // namespace

TEST_CASE("alipay.trade: where a row states its net, the fee has the sign that leads to it") {
  const auto bill = [](const std::string& rows) {
    return "#支付宝业务明细查询\n#账号：[2088]\n"
           "#起始日期：[2026年11月21日 00:00:00]   终止日期：[2026年11月22日 "
           "00:00:00]\n#---业务明细列表----\n"
           "支付宝交易号,商户订单号,业务类型,商品名称,完成时间,订单金额（元）,商家实收（元）,退款批次号/"
           "请求号,"
           "服务费（元）,分润（元）,实收净额（元）\n" +
           rows +
           "#---业务明细列表结束---\n#交易合计：2笔，商家实收共20.00元\n#退款合计：2笔，商家实收共-8.00元\n";
  };
  const FileReading reading = read_file(
      "alipay.trade", bill("42\t,A1\t,交易,a,2026-11-21 10:00:00,10.00,10.00,\t,-0.05,0.00,9.95\n"
                           "43\t,A2\t,交易,a,2026-11-21 10:00:00,10.00,10.00,\t,0.05,0.00,9.95\n"
                           "42\t,A1\t,退款,a,2026-11-21 11:00:00,-4.00,-4.00,R1\t,0.02,0.00,-3.98\n"
                           "43\t,A2\t,退款,a,2026-11-21 11:00:00,-4.00,-4.00,R2\t,-0.03,0.00,-4.03\n"));
  require_clean(reading);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.entry(0).fee == decimal("0.05"));
  CHECK(reading.entry(1).fee == decimal("0.05"));
  CHECK(reading.entry(2).fee == decimal("-0.02"));
  CHECK(reading.entry(3).fee == decimal("0.03"));  // a refund that cost a fee: only net can say so
  CHECK(reading.entry(3).net == decimal("-4.03"));

  const FileReading wrong = read_file(
      "alipay.trade", bill("42\t,A1\t,交易,a,2026-11-21 10:00:00,10.00,10.00,\t,-0.05,0.00,9.90\n"));
  REQUIRE(wrong.rows.bad.size() == 1);
  CHECK(wrong.rows.bad[0].field == "net");

  // A share of the profit lies between the fee and the stated net: net is then what the fee leaves.
  const FileReading shared = read_file(
      "alipay.trade", bill("42\t,A1\t,交易,a,2026-11-21 10:00:00,10.00,10.00,\t,-0.05,-1.00,8.95\n"));
  require_clean(shared);
  CHECK(shared.entry(0).net == decimal("9.95"));
}

TEST_CASE("alipay.fund_flow: two columns of magnitudes, whatever their signs; fees, payouts and transfers") {
  const std::string bill =
      "#支付宝账务明细查询\n#账号：[2088]\n"
      "#起始日期：[2026年11月21日 00:00:00]   终止日期：[2026年11月22日 00:00:00]\n#---账务明细列表----\n"
      "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,"
      "账户余额（元）,"
      "交易渠道,业务类型,备注\n"
      "1\t,42\t,A1\t,tea, green,2026-11-21 10:00:00,b***@example.com,10.00,0.00,110.00,支付宝,在线支付,\n"
      "2\t,42\t,A1\t,tea,2026-11-21 10:00:00,,0.00,-0.06,109.94,支付宝,收费,服务费[42]\n"
      "3\t,42\t,A1\t,tea,2026-11-21 11:00:00,,0.00,4.00,105.94,支付宝,交易退款,\n"
      "4\t,44\t,\t,,2026-11-21 12:00:00,,,-100.00,5.94,支付宝,提现,\n"
      "5\t,45\t,\t,,2026-11-21 13:00:00,,1.00,,6.94,支付宝,其它,\n"
      "#---账务明细列表结束---\n#支出合计：3笔，共-104.06元\n#收入合计：2笔，共11.00元\n";
  const FileReading reading = read_file("alipay.fund_flow", bill);
  require_clean(reading);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.account == "2088");
  CHECK(date_text(*reading.summary.business_date) == "2026-11-21");
  REQUIRE(reading.rows.entries.size() == 5);
  const Entry& payment = reading.entry(0);
  CHECK(payment.book == "fund");
  CHECK(payment.kind == "payment");
  CHECK(payment.amount == decimal("10"));
  CHECK(payment.channel_ref == "42");
  CHECK(payment.match_key == "A1");
  CHECK(reading.entry(1).kind == "fee");
  CHECK(reading.entry(1).amount == decimal("-0.06"));
  CHECK(reading.entry(2).kind == "refund");
  CHECK(reading.entry(2).amount == decimal("-4"));
  CHECK(reading.entry(3).kind == "payout");
  CHECK(reading.entry(3).amount == decimal("-100"));
  CHECK(reading.entry(3).order_key == "44");
  CHECK(reading.entry(4).kind == "other");
  CHECK(reading.entry(4).amount == decimal("1"));

  CHECK(reading.summary.controls.size() == 4);
  for (const auto& [from, to] : {std::pair("共11.00", "共11.01"), std::pair("共-104.06", "共-104.05"),
                                 std::pair("合计：3笔", "合计：4笔"), std::pair("合计：2笔", "合计：5笔")}) {
    CAPTURE(from);
    std::string wrong = bill;
    wrong.replace(wrong.find(from), std::string(from).size(), to);
    CHECK(read_file("alipay.fund_flow", wrong).summary.verdict == ControlVerdict::mismatch);
  }
}

namespace {

const std::string wechat_start =
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
    "货币种类,"
    "应结订单金额,代金券金额,";
const std::string wechat_summary =
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\n";

FileReading read_wechat(const std::string& bill, const std::string& name = "1600_2026-11-21.csv") {
  return read_file("wechat.trade", bill, name, "Asia/Shanghai", "CNY");
}

}  // namespace

TEST_CASE("wechat.trade ALL: payments and refunds with their amounts, fees and totals") {
  const FileReading reading = read_wechat(
      wechat_start +
      "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,"
      "订单金额,"
      "申请退款金额,费率备注\r\n"
      "`2026-11-21 "
      "10:00:00,`wx1,`1600,`0,`,`4200,`S1,`u,`JSAPI,`SUCCESS,`O,`CNY,`9.00,`1.00,`0,`0,`0.00,`0.00,`,`,"
      "`tea,`d,`0.05400,`0.60%,`10.00,`0.00,`\r\n"
      "`2026-11-21 "
      "11:00:00,`wx1,`1600,`0,`,`4200,`S1,`u,`JSAPI,`REFUND,`O,`CNY,`0.00,`0.00,`5000,`R1,`4.50,`0.00,"
      "`ORIGINAL,`SUCCESS,`tea,`d,`-0.02700,`0.60%,`0.00,`5.00,`\r\n" +
      wechat_summary + "`2,`9.00,`4.50,`0.00,`0.02700,`10.00,`5.00\r\n");
  require_clean(reading);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(!reading.summary.meta.contains("part"));
  CHECK(reading.entry(0).amount == decimal("10"));
  CHECK(reading.entry(0).settle_amount == decimal("9"));
  CHECK(reading.entry(0).net == decimal("8.946"));
  CHECK(reading.entry(1).amount == decimal("-5"));
  CHECK(reading.entry(1).settle_amount == decimal("-4.5"));
  CHECK(reading.entry(1).fee == decimal("-0.027"));
  CHECK(reading.entry(1).match_key == "S1/R1");
}

TEST_CASE("wechat.trade SUCCESS: no refund columns; the part of the day is known by that") {
  const FileReading reading = read_wechat(
      wechat_start +
      "商品名称,商户数据包,手续费,费率,订单金额,费率备注\n"
      "`2026-11-21 "
      "10:00:00,`wx1,`1600,`0,`,`4200,`S1,`u,`JSAPI,`SUCCESS,`O,`CNY,`9.00,`1.00,`tea,`d,`0.05400,`0.60%,"
      "`10.00,`\n" +
      wechat_summary + "`1,`9.00,`0.00,`0.00,`0.05400,`10.00,`0.00\n");
  require_clean(reading);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.meta.at("part") == "success");
  CHECK(reading.entry(0).kind == "payment");
}

namespace {

const std::string wechat_refund_bill =
    wechat_start +
    "退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,"
    "商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注\n"
    "`2026-11-21 09:00:00,`wx1,`1600,`0,`,`4200,`S1,`u,`JSAPI,`REFUND,`O,`CNY,`0.00,`0.00,`2026-11-21 "
    "11:00:00,"
    "`2026-11-21 11:00:04,`5000,`R1,`4.50,`0.00,`ORIGINAL,`SUCCESS,`tea,`d,`-0.02700,`0.60%,`0.00,`5.00,`\n"
    "`2026-11-21 09:00:00,`wx1,`1600,`0,`,`4201,`S2,`u,`JSAPI,`REFUND,`O,`CNY,`0.00,`0.00,`2026-11-21 "
    "12:00:00,`,"
    "`5001,`R2,`1.00,`0.00,`ORIGINAL,`FAIL,`tea,`d,`0.00000,`0.60%,`0.00,`1.00,`\n" +
    wechat_summary + "`2,`0.00,`5.50,`0.00,`-0.02700,`0.00,`6.00\n";

}  // namespace

TEST_CASE("wechat.trade REFUND: refunds happen when they are asked for; a failed one moves nothing") {
  const FileReading reading = read_wechat(wechat_refund_bill);
  require_clean(reading);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.meta.at("part") == "refund");
  CHECK(reading.entry(0).status == "success");
  CHECK(reading.entry(0).occurred_at == midnight + 3 * hour);
  CHECK(reading.entry(1).status == "failed");
}

TEST_CASE(
    "wechat.trade RECHARGE_REFUND: a part of its own, by the file's name, that replaces no refund bill") {
  const FileReading reading = read_wechat(wechat_refund_bill, "1600_RECHARGE_REFUND_2026-11-21.csv");
  require_clean(reading);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.meta.at("part") == "recharge_refund");
  CHECK(reading.entry(0).kind == "refund");
  CHECK(date_text(*reading.summary.business_date) == "2026-11-21");
}

TEST_CASE("wechat.trade of a service provider: each row is of its own merchant") {
  const FileReading reading = read_wechat(
      wechat_start +
      "商品名称,商户数据包,手续费,费率,订单金额,费率备注\n"
      "`2026-11-21 "
      "10:00:00,`wx1,`1600,`1699,`,`4200,`S1,`u,`JSAPI,`SUCCESS,`O,`CNY,`9.00,`0.00,`t,`d,`0.05400,`0.60%,"
      "`9.00,`\n"
      "`2026-11-21 "
      "10:00:00,`wx1,`1600,`1700,`,`4201,`S2,`u,`JSAPI,`SUCCESS,`O,`CNY,`1.00,`0.00,`t,`d,`0.00600,`0.60%,"
      "`1.00,`\n" +
      wechat_summary + "`2,`10.00,`0.00,`0.00,`0.06000,`10.00,`0.00\n");
  require_clean(reading);
  CHECK(reading.entry(0).account == "1699");
  CHECK(reading.entry(1).account == "1700");
  CHECK(!reading.summary.account);
}

TEST_CASE("wechat.trade in 24 columns: one total is both amounts, refunds too") {
  const FileReading reading = read_wechat(
      "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
      "货币种类,"
      "总金额,企业红包金额,微信退款单号,商户退款单号,退款金额,企业红包退款金额,退款类型,退款状态,商品名称,"
      "商户数据包,"
      "手续费,费率\n"
      "`2014-11-10 "
      "16:33:45,`wx2,`1000,`0,`1,`1001,`S1,`u,`MICROPAY,`SUCCESS,`CFT,`CNY,`0.03,`0.0,`0,`0,`0,`0,`,`,`b,"
      "`d,`0,`0.60%\n"
      "`2014-11-10 "
      "16:46:14,`wx2,`1000,`0,`1,`1001,`S1,`u,`MICROPAY,`REFUND,`CFT,`CNY,`0.00,`0.0,`2000,`R1,`0.02,`0.0,"
      "`ORIGINAL,`PROCESSING,`b,`d,`0,`0.60%\n"
      "总交易单数,总交易额,总退款金额,总企业红包退款金额,手续费总金额\n`2,`0.03,`0.02,`0.0,`0\n");
  require_clean(reading);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.entry(0).settle_amount == decimal("0.03"));
  CHECK(reading.entry(1).amount == decimal("-0.02"));
  CHECK(reading.entry(1).settle_amount == decimal("-0.02"));
  CHECK(reading.entry(1).status == "success");
}

TEST_CASE("wechat.fund_flow: direction from a column, counts and sums of both directions") {
  const std::string bill =
      "\xEF\xBB\xBF记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余("
      "元),"
      "资金变更提交申请人,备注,业务凭证号\r\n"
      "`2026-11-21 10:00:00,`4200,`F1,`交易,`交易,`收入,`10.00,`110.00,`system,`a, b,`S1\r\n"
      "`2026-11-21 "
      "10:00:01,`4200,`F2,`扣除交易手续费,`扣除交易手续费,`支出,`0.06,`109.94,`system,`fee,`S1\r\n"
      "`2026-11-21 11:00:00,`5000,`F3,`退款,`退款,`支出,`4.00,`105.94,`system,`x,`R1\r\n"
      "`2026-11-21 12:00:00,`0,`F4,`提现,`提现,`支出,`100.00,`5.94,`1600,`,`W1\r\n"
      "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n`4.0,`1.0,`10.00,`3.0,`104.06\r\n";
  const FileReading reading =
      read_file("wechat.fund_flow", bill, "fundflow_20261121.csv", "Asia/Shanghai", "CNY");
  require_clean(reading);
  CHECK(reading.summary.verdict == ControlVerdict::agreed);
  CHECK(reading.summary.controls.size() == 5);
  CHECK(date_text(*reading.summary.business_date) == "2026-11-21");
  CHECK(reading.entry(0).kind == "payment");
  CHECK(reading.entry(0).channel_ref == "4200");
  CHECK(reading.entry(0).occurred_at == midnight + 2 * hour);
  CHECK(reading.entry(1).kind == "fee");
  CHECK(reading.entry(1).amount == decimal("-0.06"));
  CHECK(reading.entry(2).kind == "refund");
  CHECK(reading.entry(3).kind == "payout");
  CHECK(reading.entry(3).channel_ref == "F4");
  std::string torn = bill.substr(0, bill.find("资金流水总笔数"));
  CHECK(read_file("wechat.fund_flow", torn, "f.csv", "Asia/Shanghai", "CNY").summary.verdict ==
        ControlVerdict::mismatch);
  CHECK(read_file("wechat.fund_flow", "{\"code\":\"NO_STATEMENT_EXIST\"}", "20261121.csv").summary.empty);
}

TEST_CASE("antom.settlement: batch, gross, fee and net; a report without <END> is torn") {
  const std::string start =
      "settlementBatchId,customerId,PSP,transactionId,transactionRequestId,originalTransactionId,"
      "transactionType,"
      "paymentMethodType,paymentTime,settlementTime,transactionAmountValue,transactionCurrency,"
      "grossSettlementAmountValue,feeAmountValue,settlementAmountValue,settlementCurrency,fxRate\n"
      "B1,M1,ANTOM,P1,REQ1,,PAYMENT,GCASH,2026-11-20T10:00:00+08:00,2026-11-21T09:00:00+08:00,1000,PHP,24.00,"
      "0.50,"
      "23.50,SGD,0.024\n"
      "B1,M1,ANTOM,R1,REF1,P1,REFUND,GCASH,2026-11-20T11:00:00+08:00,2026-11-21T09:00:00+08:00,500,PHP,12.00,"
      "0.25,"
      "-11.75,SGD,0.024\n"
      "B1,M1,ANTOM,P2,,,SETTLEMENT_FEE,,2026-11-21T09:00:00+08:00,2026-11-21T09:00:00+08:00,,,,,1.00,SGD,\n"
      "B1,M1,ANTOM,P3,REQ3,,AUTHORIZATION,CARD,2026-11-20T10:00:00+08:00,2026-11-21T09:00:00+08:00,7,SGD,,,0,"
      "SGD,\n";
  const FileReading reading = read_file("antom.settlement", start + "<END>\n", "M1_settle_20261121_B1.csv");
  require_clean(reading);
  CHECK(reading.summary.verdict != ControlVerdict::mismatch);
  CHECK(reading.summary.skipped == 1);
  REQUIRE(reading.rows.entries.size() == 3);
  const Entry& payment = reading.entry(0);
  CHECK(payment.account == "M1");
  CHECK(payment.amount == decimal("1000"));
  CHECK(payment.currency == "PHP");
  CHECK(payment.settle_amount == decimal("24"));
  CHECK(payment.settlement_currency == "SGD");
  CHECK(payment.fee == decimal("0.5"));
  CHECK(payment.settlement_ref == "B1");
  CHECK(payment.match_key == "REQ1");
  const Entry& refund = reading.entry(1);
  CHECK(refund.amount == decimal("-500"));
  CHECK(refund.net == decimal("-11.75"));
  CHECK(refund.fee == decimal("-0.25"));
  CHECK(refund.original_ref == "P1");
  CHECK(reading.entry(2).kind == "fee");
  CHECK(reading.entry(2).amount == decimal("-1"));
  CHECK(reading.entry(2).currency == "SGD");
  CHECK(date_text(*reading.summary.business_date) == "2026-11-21");
  const FileReading torn = read_file("antom.settlement", start, "M1_settle_20261121_B1.csv");
  CHECK(torn.summary.verdict == ControlVerdict::mismatch);
  CHECK(torn.control("end mark") != nullptr);
}

TEST_CASE("paypal.activity: negative fees are costs, memo rows move nothing, zones stand in each row") {
  const std::string bill =
      "\xEF\xBB\xBF\"Date\",\"Time\",\"TimeZone\",\"Name\",\"Type\",\"Status\",\"Currency\",\"Gross\","
      "\"Fee\",\"Net\","
      "\"Transaction ID\",\"Reference Txn ID\",\"Invoice Number\",\"Custom Number\",\"Balance\",\"Balance "
      "Impact\"\n"
      "\"11/20/2026\",\"16:00:00\",\"PST\",\"Ann, B\",\"Express Checkout "
      "Payment\",\"Completed\",\"USD\",\"1,250.00\","
      "\"-36.55\",\"1,213.45\",\"T1\",\"\",\"A1\",\"\",\"1,213.45\",\"Credit\"\n"
      "\"11/20/2026\",\"17:00:00\",\"PST\",\"Ann, B\",\"Payment "
      "Refund\",\"Completed\",\"USD\",\"-50.00\",\"1.00\","
      "\"-49.00\",\"T2\",\"T1\",\"A1\",\"\",\"1,164.45\",\"Debit\"\n"
      "\"11/20/2026\",\"18:00:00\",\"PST\",\"\",\"General Withdrawal - Bank "
      "Account\",\"Pending\",\"USD\",\"-1,000.00\","
      "\"0.00\",\"-1,000.00\",\"T3\",\"\",\"\",\"\",\"164.45\",\"Debit\"\n"
      "\"11/20/2026\",\"18:00:00\",\"PST\",\"\",\"General "
      "Authorization\",\"Pending\",\"USD\",\"9.00\",\"0.00\","
      "\"9.00\",\"T4\",\"\",\"A2\",\"\",\"164.45\",\"Memo\"\n";
  const FileReading reading = read_file("paypal.activity", bill);
  require_clean(reading);
  CHECK(reading.summary.skipped == 1);
  REQUIRE(reading.rows.entries.size() == 3);
  CHECK(reading.entry(0).amount == decimal("1250"));
  CHECK(reading.entry(0).fee == decimal("36.55"));
  CHECK(reading.entry(0).net == decimal("1213.45"));
  CHECK(reading.entry(0).occurred_at == midnight);
  CHECK(reading.entry(1).kind == "refund");
  CHECK(reading.entry(1).original_ref == "T1");
  CHECK(reading.entry(1).fee == decimal("-1"));
  CHECK(reading.entry(2).kind == "payout");
  CHECK(reading.entry(2).status == "pending");
}

namespace {

const std::string adyen_header =
    "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Creation "
    "Date,TimeZone,Type,"
    "Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),Exchange Rate,Net Currency,"
    "Net Debit (NC),Net Credit (NC),Commission (NC),Markup (NC),Scheme Fees (NC),Interchange (NC),Batch "
    "Number\n";

}  // namespace

TEST_CASE("adyen.settlement_details: gross and net sides, four kinds of fees, the payout closes the batch") {
  const FileReading reading = read_file(
      "adyen.settlement_details",
      adyen_header +
          "Co,Shop,P1,A1,visa,2026-11-20 "
          "16:00:00,PST,Settled,C1,EUR,,10.00,1.1,USD,,10.70,,0.10,0.05,0.15,7\n"
          "Co,Shop,P1,A1,visa,2026-11-20 17:00:00,PST,Refunded,M1,EUR,2.00,,1.1,USD,2.20,,,,,,7\n"
          "Co,Shop,P2,A2,visa,2026-11-20 18:00:00,PST,Chargeback,D1,USD,1.00,,1,USD,3.00,,,2.00,,,7\n"
          "Co,Shop,,,,2026-11-20 19:00:00,PST,Fee,Transaction fees,EUR,,,,USD,1.50,,,,,,7\n"
          "Co,Shop,,,,2026-11-20 19:00:00,PST,DepositCorrection,,EUR,,,,USD,1.00,,,,,,7\n"
          "Co,Shop,,,,2026-11-20 20:00:00,PST,MerchantPayout,\"TX1 batch 7, Shop\",EUR,,,,USD,3.00,,,,,,7\n");
  require_clean(reading);
  REQUIRE(reading.rows.entries.size() == 6);
  const Entry& payment = reading.entry(0);
  CHECK(payment.amount == decimal("10"));
  CHECK(payment.currency == "EUR");
  CHECK(payment.settle_amount == decimal("11"));
  CHECK(payment.settlement_currency == "USD");
  CHECK(payment.fee == decimal("0.3"));
  CHECK(payment.net == decimal("10.7"));
  CHECK(payment.channel_ref == "P1");
  CHECK(payment.settlement_ref == "7");
  CHECK(payment.occurred_at == midnight);
  const Entry& refund = reading.entry(1);
  CHECK(refund.amount == decimal("-2"));
  CHECK(refund.net == decimal("-2.2"));
  CHECK(refund.channel_ref == "M1");
  CHECK(refund.original_ref == "P1");
  const Entry& chargeback = reading.entry(2);
  CHECK(chargeback.amount == decimal("-1"));
  CHECK(chargeback.fee == decimal("2"));
  CHECK(chargeback.net == decimal("-3"));
  CHECK(reading.entry(3).kind == "fee");
  CHECK(reading.entry(3).amount == decimal("-1.5"));
  CHECK(reading.entry(3).currency == "USD");
  CHECK(reading.entry(4).kind == "reserve");
  CHECK(reading.entry(5).kind == "payout");
  CHECK(reading.entry(5).amount == decimal("-3"));
  CHECK(reading.sum_of_net() == Decimal());
}

TEST_CASE("adyen.payments_accounting: of the steps of a payment only movements become entries") {
  const FileReading reading =
      read_file("adyen.payments_accounting",
                "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Booking "
                "Date,TimeZone,"
                "Record Type,Modification Psp Reference,Payment Currency,Captured (PC),Settlement "
                "Currency,Payable (SC),"
                "Commission (SC),Markup (SC),Scheme Fees (SC),Interchange (SC)\n"
                "Co,Shop,P1,A1,visa,2026-11-21 10:00:00,CET,Received,,EUR,,,,,,,\n"
                "Co,Shop,P1,A1,visa,2026-11-21 10:00:01,CET,Authorised,,EUR,,,,,,,\n"
                "Co,Shop,P1,A1,visa,2026-11-21 10:00:02,CET,SentForSettle,C1,EUR,10.00,EUR,,,,,\n"
                "Co,Shop,P1,A1,visa,2026-11-21 11:00:00,CET,Settled,C1,EUR,-10.00,EUR,9.70,,0.10,0.05,0.15\n"
                "Co,Shop,P1,A1,visa,2026-11-21 12:00:00,CET,Refunded,M1,EUR,2.00,EUR,-2.00,,,,\n"
                "Co,Shop,P2,A2,visa,2026-11-21 12:00:00,CET,Chargeback,D1,EUR,,EUR,-5.00,,2.00,,\n",
                "payments_accounting_report_2026_11_21.csv");
  require_clean(reading);
  CHECK(reading.summary.rows == 6);
  CHECK(reading.summary.skipped == 3);
  CHECK(date_text(*reading.summary.business_date) == "2026-11-21");
  REQUIRE(reading.rows.entries.size() == 3);
  CHECK(reading.entry(0).amount == decimal("10"));
  CHECK(reading.entry(0).settle_amount == decimal("10"));
  CHECK(reading.entry(0).fee == decimal("0.3"));
  CHECK(reading.entry(0).occurred_at == midnight + 10 * hour);
  CHECK(reading.entry(1).kind == "refund");
  CHECK(reading.entry(1).amount == decimal("-2"));
  CHECK(reading.entry(2).amount == decimal("-3"));
  CHECK(reading.entry(2).fee == decimal("2"));
}

TEST_CASE("stripe.itemized: your own metadata is the order, the payout leaves the account") {
  const std::string report =
      "balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,source_id,"
      "charge_id,"
      "payment_intent_id,automatic_payout_id,description,payment_metadata[order_id],customer_facing_amount,"
      "customer_facing_currency\n"
      "txn_1,2026-11-21 10:00:00,2026-11-23 00:00:00,usd,11.00,0.62,10.38,charge,ch_1,ch_1,pi_1,po_1,\"a, "
      "b\",A1,10.00,eur\n"
      "txn_2,2026-11-21 11:00:00,2026-11-23 "
      "00:00:00,usd,-2.20,0,-2.20,refund,re_1,ch_1,pi_1,po_1,,A1,-2.00,eur\n"
      "txn_3,2026-11-21 12:00:00,2026-11-23 "
      "00:00:00,usd,-5.00,15.00,-20.00,dispute,dp_1,ch_2,pi_2,po_1,,A2,,\n"
      "txn_4,2026-11-21 13:00:00,2026-11-23 00:00:00,usd,-0.50,0,-0.50,fee,,,,po_1,Radar,,,\n"
      "txn_5,2026-11-21 14:00:00,2026-11-23 00:00:00,usd,12.00,0,12.32,payout,po_1,,,po_1,Payout,,,\n"
      "txn_6,2026-11-21 15:00:00,2026-11-23 00:00:00,usd,1.00,0,1.00,something_new,x_1,,,po_1,,,,\n";
  const FileReading reading =
      read_file("stripe.itemized", report, "Payout_reconciliation_2026-11-21_to_2026-11-22_UTC.csv");
  require_clean(reading);
  CHECK(date_text(*reading.summary.business_date) == "2026-11-21");
  REQUIRE(reading.rows.entries.size() == 6);
  const Entry& payment = reading.entry(0);
  CHECK(payment.amount == decimal("10"));
  CHECK(payment.currency == "EUR");
  CHECK(payment.settle_amount == decimal("11"));
  CHECK(payment.settlement_currency == "USD");
  CHECK(payment.fee == decimal("0.62"));
  CHECK(payment.match_key == "A1");
  CHECK(payment.channel_ref == "pi_1");
  CHECK(payment.settlement_ref == "po_1");
  CHECK(date_text(*payment.value_date) == "2026-11-23");
  CHECK(reading.entry(1).amount == decimal("-2"));
  CHECK(reading.entry(1).channel_ref == "re_1");
  CHECK(reading.entry(1).original_ref == "pi_1");
  CHECK(reading.entry(2).kind == "chargeback");
  CHECK(reading.entry(2).net == decimal("-20"));
  CHECK(reading.entry(3).kind == "fee");
  CHECK(reading.entry(4).kind == "payout");
  CHECK(reading.entry(4).amount == decimal("-12.32"));
  CHECK(reading.entry(4).net == decimal("-12.32"));
  CHECK(reading.entry(5).kind == "other");
}

TEST_CASE("checkout.breakdown: deductions are the fee; what has no gross is a fee itself") {
  const FileReading reading = read_file(
      "checkout.breakdown",
      "Client Entity ID,Type,Payment ID,Action ID,Reference,Processed On,Available On,Holding "
      "Currency,Payout ID,"
      "Gross In Holding Currency,Deduction In Holding Currency,Net In Holding Currency,Processing Currency,"
      "Gross In Processing Currency,FX Rate Applied,Payment Method\n"
      "ent_1,Charge,pay_1,act_1,A1,2026-11-20T10:00:00.000,2026-11-21T00:00:00.000,USD,PO1,11,-0.4,10.6,EUR,"
      "10,1.1,VISA\n"
      "ent_1,Refund,pay_1,act_2,A1,2026-11-20T11:00:00.000,2026-11-21T00:00:00.000,USD,PO1,-2.2,-0.05,-2.25,"
      "EUR,-2,1.1,VISA\n"
      "ent_1,Charge,pay_2,act_3,A2,2026-11-20T12:00:00.000,2026-11-21T00:00:00.000,USD,PO1,0,-0.25,-0.25,USD,"
      "0,1,VISA\n"
      "ent_1,Network Token "
      "Update,tok_1,,A2,2026-11-20T12:00:00.000,2026-11-21T00:00:00.000,USD,PO1,0,-0.1,-0.1,,0,,VISA\n"
      "ent_1,Merchant Payout,,,,2026-11-21T00:00:00.000,2026-11-21T00:00:00.000,USD,PO1,0,-2,-2,USD,0,1,\n",
      "settlement-breakdown_ent_1_20261121_PO1_1.csv");
  require_clean(reading);
  CHECK(date_text(*reading.summary.business_date) == "2026-11-21");
  REQUIRE(reading.rows.entries.size() == 5);
  const Entry& payment = reading.entry(0);
  CHECK(payment.account == "ent_1");
  CHECK(payment.amount == decimal("10"));
  CHECK(payment.currency == "EUR");
  CHECK(payment.settle_amount == decimal("11"));
  CHECK(payment.fee == decimal("0.4"));
  CHECK(payment.net == decimal("10.6"));
  CHECK(payment.settlement_ref == "PO1");
  const Entry& refund = reading.entry(1);
  CHECK(refund.kind == "refund");
  CHECK(refund.amount == decimal("-2"));
  CHECK(refund.fee == decimal("0.05"));
  CHECK(refund.channel_ref == "act_2");
  CHECK(refund.original_ref == "pay_1");
  CHECK(reading.entry(2).kind == "fee");
  CHECK(reading.entry(2).amount == decimal("-0.25"));
  CHECK(reading.entry(3).kind == "fee");
  CHECK(reading.entry(3).currency == "USD");
  CHECK(reading.entry(4).kind == "fee");
  CHECK(reading.entry(4).sub_kind == "Merchant Payout");
}

TEST_CASE("the real samples of Adyen, Stripe and Checkout give what their index says") {
  if (samples().empty()) {
    MESSAGE("SKIPPED: no samples; set PG_RECONCILE_SAMPLES to their folder");
    return;
  }
  for (const char* name : {"report_donation.csv", "report_donation_reordered.csv"}) {
    CAPTURE(name);
    const FileReading donation = read_file("adyen.settlement_details", sample("adyen", name));
    require_clean(donation);
    REQUIRE(donation.rows.entries.size() == 2);
    CHECK(donation.entry(0).amount == decimal("1.00"));
    CHECK(donation.entry(0).fee == decimal("0.24"));
    CHECK(donation.entry(0).net == decimal("0.76"));
    CHECK(donation.entry(0).settle_amount == decimal("1.00"));
    CHECK(donation.entry(1).kind == "payout");
    CHECK(donation.sum_of_net() == Decimal());
  }
  const FileReading refund = read_file("adyen.settlement_details", sample("adyen", "report_refund.csv"));
  require_clean(refund);
  REQUIRE(refund.rows.entries.size() == 3);
  CHECK(refund.entry(0).kind == "refund");
  CHECK(refund.entry(0).net == decimal("-1.00"));
  CHECK(refund.sum_of_net() == decimal("-6.83"));
  const FileReading chargeback =
      read_file("adyen.settlement_details", sample("adyen", "report_chargeback.csv"));
  require_clean(chargeback);
  CHECK(chargeback.entry(0).amount == decimal("-1.00"));
  CHECK(chargeback.entry(0).fee == decimal("2.00"));
  CHECK(chargeback.entry(0).net == decimal("-3.00"));
  CHECK(chargeback.sum_of_net() == decimal("-8.83"));
  const FileReading accounting =
      read_file("adyen.payments_accounting", sample("adyen", "accounting_report_nyce.csv"));
  require_clean(accounting);
  CHECK(accounting.summary.skipped == 3);
  REQUIRE(accounting.rows.entries.size() == 1);
  CHECK(accounting.entry(0).amount == decimal("10.40"));
  CHECK(accounting.entry(0).settle_amount == decimal("10.40"));
  CHECK(accounting.entry(0).net == decimal("10.02"));

  const FileReading stripe = read_file("stripe.itemized", sample("stripe", "settlement_report.csv"));
  require_clean(stripe);
  REQUIRE(stripe.rows.entries.size() == 7);
  CHECK(stripe.entry(0).fee == decimal("0.95"));
  CHECK(stripe.entry(0).net == decimal("24.05"));
  const std::vector<std::string> kinds = {"payment", "refund", "payment", "fee", "fee", "chargeback_reversal",
                                          "payout"};
  for (std::size_t i = 0; i < kinds.size(); i++) CHECK(stripe.entry(i).kind == kinds[i]);
  CHECK(stripe.entry(6).amount == decimal("-23.05"));
  CHECK(stripe.sum_of_net() - *stripe.entry(6).net == decimal("26.40"));
  const FileReading activity = read_file("stripe.itemized", sample("stripe", "payments_activity.csv"));
  require_clean(activity);
  REQUIRE(activity.rows.entries.size() == 2);
  CHECK(activity.entry(1).kind == "chargeback");
  CHECK(activity.sum_of_net() == decimal("-16.20"));

  const FileReading checkout =
      read_file("checkout.breakdown", sample("checkoutcom", "20260702_00000003k599_1.csv"),
                "settlement-breakdown_ent_x_20260702_00000003k599_1.csv");
  require_clean(checkout);
  CHECK(checkout.rows.entries.size() == 9);
  CHECK(checkout.sum_of_net() == decimal("79.50"));
  CHECK(checkout.entry(0).fee == decimal("1.5"));
}
