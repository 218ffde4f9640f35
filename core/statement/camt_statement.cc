#include "core/statement/camt_statement.h"

#include "core/mapping/timestamp_format.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t date_size = 10;

std::string_view day_of(std::string_view moment) {
  return moment.substr(0, std::min(date_size, moment.size()));
}

void tell_if(FrameSink& sink, std::string_view name, std::string_view value) {
  if (!value.empty()) sink.meta(name, value);
}

}  // namespace

void CamtStatement::begin() {
  leaves_.clear();
  balance_.clear();
  balances_.clear();
  totals = {};
}

void CamtStatement::end_balance() {
  const auto amount = Decimal::parse(balance_.find("Amt"));
  if (!amount || balances_.size() >= balances_max) return;
  const std::string_view type =
      balance_.first_of({"Tp/CdOrPrtry/Cd", "Tp/CdOrPrtry/Prtry", "Tp/Cd", "Tp/Prtry"});
  const bool debit = balance_.find("CdtDbtInd") == "DBIT";
  balances_.push_back({std::string(type), std::string(balance_.find("Amt@Ccy")),
                       std::string(day_of(balance_.first_of({"Dt/Dt", "Dt/DtTm", "Dt"}))),
                       debit ? amount->negated() : *amount});
}

// Of several balances of one kind, the one in the currency of the account.
const CamtStatement::Balance* CamtStatement::find(std::string_view type, bool last) const {
  const Balance* found = nullptr;
  bool in_currency = false;
  const std::string_view wanted = leaves_.find("Acct/Ccy");
  for (const Balance& balance : balances_) {
    if (balance.type != type) continue;
    const bool fits = wanted.empty() || balance.currency == wanted;
    if (found != nullptr && (!fits || !last) && (in_currency || !fits)) continue;
    found = &balance;
    in_currency = fits;
  }
  return found;
}

// Pages after the first open with the interim balance at which the page before closed.
const CamtStatement::Balance* CamtStatement::opening() const {
  for (std::string_view type : {"OPBD", "PRCD"}) {
    if (const Balance* found = find(type)) return found;
  }
  const bool later_page = !page().empty() && page() != "1";
  return later_page || !is_last_page() ? find("ITBD") : nullptr;
}

const CamtStatement::Balance* CamtStatement::closing() const {
  if (const Balance* found = find("CLBD")) return found;
  const Balance* interim = find("ITBD", true);
  return !is_last_page() && interim != opening() ? interim : nullptr;
}

std::string_view CamtStatement::page() const {
  const std::string_view own = leaves_.first_of({"StmtPgntn/PgNb", "RptPgntn/PgNb", "NtfctnPgntn/PgNb"});
  return own.empty() ? group_.find("MsgPgntn/PgNb") : own;
}

bool CamtStatement::is_last_page() const {
  std::string_view last =
      leaves_.first_of({"StmtPgntn/LastPgInd", "RptPgntn/LastPgInd", "NtfctnPgntn/LastPgInd"});
  if (last.empty()) last = group_.find("MsgPgntn/LastPgInd");
  return last != "false" && last != "0";
}

std::string_view CamtStatement::account() const {
  return leaves_.first_of({"Acct/Id/IBAN", "Acct/Id/Othr/Id", "Acct/Id/PrtryAcct/Id", "Acct/Id/BBAN",
                           "Acct/Id/UPIC", "Acct/Prxy/Id"});
}

std::string_view CamtStatement::currency() const {
  const std::string_view own = leaves_.find("Acct/Ccy");
  if (!own.empty()) return own;
  const Balance* balance = opening() != nullptr ? opening() : closing();
  return balance != nullptr ? std::string_view(balance->currency) : std::string_view();
}

void CamtStatement::tell_period(FrameSink& sink) const {
  const std::string_view from = leaves_.first_of({"FrToDt/FrDtTm", "FrToDt/FrDt"});
  const std::string_view to = leaves_.first_of({"FrToDt/ToDtTm", "FrToDt/ToDt"});
  const TimestampFormat iso = TimestampFormat::iso8601();
  const auto first = iso.parse(day_of(from));
  auto last = iso.parse(day_of(to));
  // A period that ends at a midnight ends with the day before it.
  if (last && first && last->date > first->date && to.substr(day_of(to).size()).starts_with("T00:00:00"))
    last->date--;
  if (first) sink.meta("period_start", date_text(first->date));
  if (last) sink.meta("period_end", date_text(last->date));
  if (first && last && first->date == last->date) sink.meta("business_date", date_text(first->date));
}

void CamtStatement::tell(FrameSink& sink) {
  sink.meta("message", message_);
  tell_if(sink, "account", account());
  tell_if(sink, "currency", currency());
  tell_if(sink, "statement_id", leaves_.find("Id"));
  tell_if(sink, "statement_no", leaves_.first_of({"ElctrncSeqNb", "LglSeqNb"}));
  tell_if(sink, "message_id", group_.find("MsgId"));
  std::string_view created = leaves_.find("CreDtTm");
  tell_if(sink, "created", created.empty() ? group_.find("CreDtTm") : created);
  tell_period(sink);
  if (!page().empty()) {
    sink.meta("page", page());
    sink.meta("last_page", is_last_page() ? "true" : "false");
  }
  // A day has many reports and notifications: none replaces another.
  if (message_ != "camt.053") tell_if(sink, "part", leaves_.find("Id"));
  const Balance* first = opening();
  const Balance* last = closing();
  if (first != nullptr) sink.meta("opening_balance", first->amount.to_string(2));
  if (last != nullptr && (first == nullptr || last->currency == first->currency))
    sink.meta("closing_balance", last->amount.to_string(2));
}

void CamtStatement::end(FrameSink& sink) {
  tell(sink);
  if (leaves_.overflow())
    sink.warn("the statement says more of itself than 500 values: the rest is not read");
  check_balance(sink);
  check_summary(sink);
  check_batches(sink);
}

void CamtStatement::check_balance(FrameSink& sink) const {
  const Balance* first = opening();
  const Balance* last = closing();
  if (first == nullptr || last == nullptr) return;
  const Decimal computed = first->amount + totals.booked_credit.sum - totals.booked_debit.sum;
  const bool one_currency = first->currency == last->currency;
  sink.control({"opening balance + booked entries = closing balance",
                last->amount.to_string(2) + " " + last->currency,
                computed.to_string(2) + " " + first->currency,
                one_currency && computed == last->amount && totals.unreadable == 0});
}

// Banks differ in whether entries that are not booked yet count.
void CamtStatement::check_summary(FrameSink& sink) const {
  if (!is_last_page() || (!page().empty() && page() != "1")) return;  // it speaks of all pages
  const auto check = [&](std::string_view path, Decimal all, Decimal booked) {
    const std::string_view text = leaves_.find(path);
    const auto stated = Decimal::parse(text);
    if (text.empty()) return;
    sink.control({std::string(path), std::string(text), all.to_string(0),
                  stated && totals.unreadable == 0 && (*stated == all || *stated == booked)});
  };
  const auto number = [](std::int64_t count) { return *Decimal::parse(std::to_string(count)); };
  const CamtTotals& t = totals;
  check("TxsSummry/TtlNtries/NbOfNtries", number(t.credit.count + t.debit.count),
        number(t.booked_credit.count + t.booked_debit.count));
  check("TxsSummry/TtlNtries/Sum", t.credit.sum + t.debit.sum, t.booked_credit.sum + t.booked_debit.sum);
  check("TxsSummry/TtlCdtNtries/NbOfNtries", number(t.credit.count), number(t.booked_credit.count));
  check("TxsSummry/TtlCdtNtries/Sum", t.credit.sum, t.booked_credit.sum);
  check("TxsSummry/TtlDbtNtries/NbOfNtries", number(t.debit.count), number(t.booked_debit.count));
  check("TxsSummry/TtlDbtNtries/Sum", t.debit.sum, t.booked_debit.sum);
  const Decimal all = t.credit.sum - t.debit.sum;
  const Decimal booked = t.booked_credit.sum - t.booked_debit.sum;
  check("TxsSummry/TtlNtries/TtlNetNtryAmt", all.magnitude(), booked.magnitude());
  check("TxsSummry/TtlNtries/TtlNetNtry/Amt", all.magnitude(), booked.magnitude());
}

void CamtStatement::check_batches(FrameSink& sink) const {
  if (totals.batch_count_stated) {
    sink.control({"Btch/NbOfTxs", totals.batch_transactions_stated.to_string(0),
                  std::to_string(totals.batch_transactions), totals.batch_counts_agree});
  }
  if (totals.batch_amount_is_stated) {
    sink.control({"Btch/TtlAmt", totals.batch_amount_stated.to_string(2), totals.batch_amount.to_string(2),
                  totals.batch_amounts_agree});
  }
}

}  // namespace pg_reconcile::core
