#include "core/statement/column_guess.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "core/mapping/number_format.h"
#include "core/mapping/timestamp_format.h"

namespace pg_reconcile::core {
namespace {

struct Word {
  std::string_view field;
  std::string_view name;  // lower case; "*" at the end: the start of a name, at both ends: a part of it
};

// The first that fits is taken, so narrow words stand before wide ones.
constexpr Word field_words[] = {
    {"original_ref", "*original*"},
    {"original_ref", "*原交易*"},
    {"original_ref", "*原订单*"},
    {"original_ref", "reference txn id"},
    {"refund_no", "*退款单号*"},
    {"refund_no", "*退款批次*"},
    {"refund_no", "*退款流水*"},
    {"refund_no", "refund id"},
    {"refund_no", "*refund no*"},
    {"refund_no", "refund_id"},
    {"channel_ref", "*交易流水号*"},
    {"channel_ref", "*支付宝交易号*"},
    {"channel_ref", "*微信订单号*"},
    {"channel_ref", "*平台订单号*"},
    {"channel_ref", "*渠道*号*"},
    {"channel_ref", "*流水号*"},
    {"channel_ref", "*交易单号*"},
    {"channel_ref", "*交易号*"},
    {"channel_ref", "transaction id"},
    {"channel_ref", "transaction_id"},
    {"channel_ref", "transactionid"},
    {"channel_ref", "txn id"},
    {"channel_ref", "txn_id"},
    {"channel_ref", "payment id"},
    {"channel_ref", "payment_id"},
    {"channel_ref", "psp reference"},
    {"channel_ref", "bank reference*"},
    {"channel_ref", "charge_id"},
    {"order_key", "*订单号*"},
    {"order_key", "*商户单号*"},
    {"order_key", "*商户订单*"},
    {"order_key", "*订单编号*"},
    {"order_key", "order_key"},
    {"order_key", "order"},
    {"order_key", "order *"},
    {"order_key", "order_*"},
    {"order_key", "orderid"},
    {"order_key", "orderno"},
    {"order_key", "merchant reference"},
    {"order_key", "merchant_reference"},
    {"order_key", "invoice*"},
    {"order_key", "reference"},
    {"order_key", "reference *"},
    {"order_key", "end*to*end*"},
    {"order_key", "customer reference"},
    {"order_key", "rechnung*"},
    {"order_key", "belegnummer*"},
    {"account", "*商户号*"},
    {"account", "*本方账号*"},
    {"account", "merchant id"},
    {"account", "merchant_id"},
    {"account", "merchant account"},
    {"account", "account"},
    {"account", "account number"},
    {"account", "iban"},
    {"currency", "*币种*"},
    {"currency", "*货币*"},
    {"currency", "currency*"},
    {"currency", "ccy"},
    {"currency", "währung"},
    {"currency", "waehrung"},
    {"currency", "*_currency"},
    {"balance", "*余额*"},
    {"balance", "*结余*"},
    {"balance", "balance*"},
    {"balance", "*balance"},
    {"balance", "saldo*"},
    {"fee", "*手续费*"},
    {"fee", "*服务费*"},
    {"fee", "fee"},
    {"fee", "fee *"},
    {"fee", "fees"},
    {"fee", "fee_*"},
    {"fee", "commission*"},
    {"fee", "gebühr*"},
    {"net", "*实收净额*"},
    {"net", "*结算净额*"},
    {"net", "net"},
    {"net", "net *"},
    {"net", "net_*"},
    {"net", "netto*"},
    {"settle_amount", "*商家实收*"},
    {"settle_amount", "*结算金额*"},
    {"settle_amount", "*应结*金额*"},
    {"settle_amount", "settle*amount*"},
    {"settle_amount", "settlement amount"},
    {"credit", "*收入*金额*"},
    {"credit", "*贷方*"},
    {"credit", "*存入*"},
    {"credit", "收入*"},
    {"credit", "credit"},
    {"credit", "credit *"},
    {"credit", "credits"},
    {"credit", "deposit*"},
    {"credit", "money in"},
    {"credit", "paid in"},
    {"credit", "haben"},
    {"debit", "*支出*金额*"},
    {"debit", "*借方*"},
    {"debit", "*支取*"},
    {"debit", "支出*"},
    {"debit", "debit"},
    {"debit", "debit *"},
    {"debit", "debits"},
    {"debit", "withdrawal*"},
    {"debit", "money out"},
    {"debit", "paid out"},
    {"debit", "soll"},
    {"amount", "*订单金额*"},
    {"amount", "*交易金额*"},
    {"amount", "*金额*"},
    {"amount", "*交易额*"},
    {"amount", "amount"},
    {"amount", "amount *"},
    {"amount", "amount_*"},
    {"amount", "*amount"},
    {"amount", "gross*"},
    {"amount", "value"},
    {"amount", "total"},
    {"amount", "betrag*"},
    {"amount", "umsatz*"},
    {"amount", "montant*"},
    {"amount", "importe*"},
    {"status", "*交易状态*"},
    {"status", "*状态*"},
    {"status", "status"},
    {"status", "status *"},
    {"status", "payment_status"},
    {"status", "order_status"},
    {"status", "transaction_status"},
    {"status", "trade_status"},
    {"status", "state"},
    {"direction", "收/支"},
    {"direction", "收支*"},
    {"direction", "*借贷*"},
    {"direction", "*d/c*"},
    {"direction", "debit/credit"},
    {"direction", "credit/debit*"},
    {"direction", "direction"},
    {"direction", "balance impact"},
    {"kind", "*业务类型*"},
    {"kind", "*交易类型*"},
    {"kind", "*类型*"},
    {"kind", "type"},
    {"kind", "type *"},
    {"kind", "* type"},
    {"kind", "*_type"},
    {"kind", "kind"},
    {"kind", "category"},
    {"kind", "art"},
    {"value_date", "*起息日*"},
    {"value_date", "value date"},
    {"value_date", "value_date"},
    {"value_date", "valuta*"},
    {"date", "*完成时间*"},
    {"date", "*交易时间*"},
    {"date", "*支付时间*"},
    {"date", "*付款时间*"},
    {"date", "*入账时间*"},
    {"date", "*记账时间*"},
    {"date", "*记账日*"},
    {"date", "*发生时间*"},
    {"date", "*交易日*"},
    {"date", "*日期*"},
    {"date", "occurred_at"},
    {"date", "created*"},
    {"date", "booking date"},
    {"date", "posting date"},
    {"date", "transaction date"},
    {"date", "transaction_date"},
    {"date", "date"},
    {"date", "date *"},
    {"date", "*date"},
    {"date", "*datum"},
    {"date", "buchungstag"},
    {"date", "timestamp"},
    {"date", "fecha*"},
    {"time", "time"},
    {"time", "时间"},
    {"time", "zeit"},
    {"date", "*时间*"},
    {"date", "*time"},
};

constexpr Word kind_words[] = {
    {"chargeback_reversal", "*chargeback*revers*"},
    {"chargeback_reversal", "dispute_reversal"},
    {"chargeback", "*chargeback*"},
    {"chargeback", "dispute*"},
    {"chargeback", "*拒付*"},
    {"refund", "*退款*"},
    {"refund", "*refund*"},
    {"refund", "re"},
    {"refund", "*erstattung*"},
    {"reversal", "*撤销*"},
    {"reversal", "*冲正*"},
    {"reversal", "*revers*"},
    {"reversal", "void*"},
    {"fee", "*手续费*"},
    {"fee", "*服务费*"},
    {"fee", "收费"},
    {"fee", "*fee*"},
    {"fee", "*charges*"},
    {"fee", "*commission*"},
    {"fee", "*gebühr*"},
    {"tax", "*税*"},
    {"tax", "*tax*"},
    {"payout", "*提现*"},
    {"payout", "*payout*"},
    {"payout", "*withdraw*"},
    {"fx_conversion", "*conversion*"},
    {"reserve_release", "*release*"},
    {"reserve", "*reserve*"},
    {"reserve", "*hold*"},
    {"reserve", "*保证金*"},
    {"profit_share", "*分账*"},
    {"profit_share", "*分润*"},
    {"transfer", "*转账*"},
    {"transfer", "*充值*"},
    {"transfer", "*transfer*"},
    {"transfer", "*überweisung*"},
    {"adjustment", "*调账*"},
    {"adjustment", "*adjust*"},
    {"adjustment", "*correction*"},
    {"payment", "*交易*"},
    {"payment", "*支付*"},
    {"payment", "*消费*"},
    {"payment", "*收款*"},
    {"payment", "*付款*"},
    {"payment", "*payment*"},
    {"payment", "*pay"},
    {"payment", "*sale*"},
    {"payment", "*charge"},
    {"payment", "*capture*"},
    {"payment", "*purchase*"},
    {"payment", "settled"},
    {"payment", "success"},
    {"payment", "za"},
    {"payment", "*zahlung*"},
};

constexpr Word status_words[] = {
    {"failed", "*失败*"},     {"failed", "*fail*"},     {"failed", "*denied*"},  {"failed", "*declined*"},
    {"failed", "*refused*"},  {"failed", "*reject*"},   {"failed", "*error*"},   {"closed", "*关闭*"},
    {"closed", "*cancel*"},   {"closed", "*expired*"},  {"closed", "*closed*"},  {"closed", "*void*"},
    {"pending", "*处理中*"},  {"pending", "*待*"},      {"pending", "*未支付*"}, {"pending", "*pending*"},
    {"pending", "*process*"}, {"pending", "*waiting*"}, {"success", "*成功*"},   {"success", "*完成*"},
    {"success", "*已支付*"},  {"success", "*已退款*"},  {"success", "*已收*"},   {"success", "success*"},
    {"success", "succeeded"}, {"success", "complete*"}, {"success", "paid*"},    {"success", "settled"},
    {"success", "booked"},    {"success", "cleared"},   {"success", "ok"},       {"success", "approved"},
    {"success", "posted"},    {"success", "refunded"},  {"success", "captured"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// "*" stands for any text. Patterns are ours and short, so trying all is cheap.
bool fits(std::string_view pattern, std::string_view text) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  text.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  const std::size_t next = pattern.find('*');
  const std::string_view piece = pattern.substr(0, next);
  if (next == std::string_view::npos) return text.ends_with(piece);
  for (std::size_t at = text.find(piece); at != std::string_view::npos; at = text.find(piece, at + 1)) {
    if (fits(pattern.substr(next), text.substr(at + piece.size()))) return true;
    if (piece.empty()) break;
  }
  return false;
}

template <std::size_t n>
std::string_view meaning(const Word (&words)[n], std::string_view text) {
  constexpr std::size_t word_bytes_max = 80;  // what is longer is a sentence
  if (text.empty() || text.size() > word_bytes_max) return {};
  const std::string name = lower(text);
  for (const Word& word : words) {
    if (fits(word.name, name)) return word.field;
  }
  return {};
}

// The day may come first or the month: both are tried, and both are named where both fit.
constexpr std::string_view date_formats[] = {
    "iso8601",
    "yyyy/MM/dd HH:mm:ss",
    "yyyy/MM/dd HH:mm",
    "yyyy/M/d H:mm:ss",
    "yyyy/M/d H:mm",
    "yyyy/M/d",
    "yyyy.MM.dd",
    "dd/MM/yyyy HH:mm:ss",
    "MM/dd/yyyy HH:mm:ss",
    "dd/MM/yyyy HH:mm",
    "MM/dd/yyyy HH:mm",
    "dd/MM/yyyy",
    "MM/dd/yyyy",
    "d/M/yyyy",
    "M/d/yyyy",
    "M/d/yyyy H:mm",
    "dd.MM.yyyy HH:mm:ss",
    "dd.MM.yyyy HH:mm",
    "d.M.yyyy",
    "dd.MM.yy",
    "dd-MM-yyyy HH:mm:ss",
    "dd-MM-yyyy",
    "yyyyMMddHHmmss",
    "yyyyMMdd HH:mm:ss",
    "yyyyMMdd",
    "yyyy年MM月dd日 HH:mm:ss",
    "yyyy年MM月dd日",
    "yyyy/MM/dd HH:mm:ss X",
    "yyyy-MM-dd HH:mm:ss X",
};

constexpr std::array<std::string_view, 6> number_formats = {"1234.56",  "1,234.56", "1234,56",
                                                            "1.234,56", "1 234,56", "1'234.56"};

bool has_digit(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Digits alone, and more of them than an amount has: an order's number.
bool is_long_number(std::string_view text) {
  constexpr std::size_t amount_digits_max = 9;
  return text.size() > amount_digits_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void guess_date(const ColumnValues& column, ColumnGuess& guess) {
  std::string problem;
  for (std::string_view pattern : date_formats) {
    const auto format = TimestampFormat::compile(pattern, problem);
    if (!format) continue;
    const bool all = std::all_of(column.values.begin(), column.values.end(),
                                 [&](const std::string& value) { return format->parse(value).has_value(); });
    if (!all) continue;
    if (guess.date_format.empty()) {
      guess.date_format = pattern;
    } else {
      if (guess.also_fits.empty() && pattern.size() == guess.date_format.size()) guess.also_fits = pattern;
      break;
    }
  }
  guess.has_time =
      std::any_of(column.values.begin(), column.values.end(),
                  [](const std::string& value) { return value.find(':') != std::string::npos; }) ||
      guess.date_format == "yyyyMMddHHmmss";
}

void guess_number(const ColumnValues& column, ColumnGuess& guess) {
  std::string reason;
  for (std::string_view name : number_formats) {
    const auto format = NumberFormat::named(name);
    const bool all = std::all_of(column.values.begin(), column.values.end(), [&](const std::string& value) {
      return has_digit(value) && format->parse(value, reason).has_value();
    });
    if (!all) continue;
    guess.number_format = name;
    return;
  }
}

}  // namespace

std::string_view field_of_name(std::string_view name) {
  return meaning(field_words, name);
}

std::string_view kind_of_word(std::string_view word) {
  return meaning(kind_words, word);
}

std::string_view status_of_word(std::string_view word) {
  return meaning(status_words, word);
}

ColumnGuess guess_column(const ColumnValues& column) {
  constexpr std::size_t distinct_max = 20;
  ColumnGuess guess;
  if (column.values.empty()) return guess;
  std::set<std::string> different(column.values.begin(), column.values.end());
  if (different.size() <= distinct_max) guess.distinct.assign(different.begin(), different.end());
  const bool long_numbers = std::all_of(column.values.begin(), column.values.end(), is_long_number);
  guess_date(column, guess);
  if (!long_numbers && guess.date_format.empty()) guess_number(column, guess);
  guess.is_identifier = long_numbers || (guess.date_format.empty() && guess.number_format.empty() &&
                                         different.size() == column.values.size());
  return guess;
}

}  // namespace pg_reconcile::core
