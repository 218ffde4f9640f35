#include "core/statement/camt_columns.h"

#include <algorithm>

namespace pg_reconcile::core {
namespace {

template <std::size_t N>
bool is_one_of(std::string_view code, const std::array<std::string_view, N>& codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

// Sub-families of the ISO 20022 bank transaction codes (external code sets).
constexpr std::array<std::string_view, 6> fee_codes = {"CHRG", "COMM", "FEES", "COME", "COMI", "COMT"};
constexpr std::array<std::string_view, 5> return_codes = {"RRTN", "UPDD", "UPCQ", "UPCT", "RIMB"};

// What happened, in one word that a format's map turns into an entry kind.
std::string_view movement(std::string_view code, bool reversal, bool returned, bool credit) {
  if (reversal) return "reversal";
  if (returned || is_one_of(code, return_codes)) return credit ? "return" : "chargeback";
  if (is_one_of(code, fee_codes)) return "fee";
  if (code == "INTR") return "interest";
  if (code == "TAXE") return "tax";
  return credit ? "credit" : "debit";
}

}  // namespace

CamtColumns::CamtColumns(const XmlLeaves& entry, const XmlLeaves* detail, const CamtAmounts& amounts)
    : entry_(entry), detail_(detail) {
  column("amount", amounts.amount);
  column("direction", amounts.direction);
  column("currency", take("Amt@Ccy"));
  column("status", take_first({"Sts/Cd", "Sts/Prtry", "Sts"}));
  const std::string_view reversal_mark = entry.find("RvslInd");
  const bool reversal = reversal_mark == "true" || reversal_mark == "1";
  const bool returned =
      detail != nullptr && !detail->first_of({"TxDtls/RtrInf/Rsn/Cd", "TxDtls/RtrInf/Rsn/Prtry"}).empty();
  std::string_view code = of_detail({"TxDtls/BkTxCd/Domn/Fmly/SubFmlyCd"});
  if (code.empty()) code = entry.find("BkTxCd/Domn/Fmly/SubFmlyCd");
  const bool credit = amounts.direction == "CRDT";
  column("movement", movement(code, reversal, returned, credit));
  moment("BookgDt", "booking_date", "booking_time");
  moment("ValDt", "value_date", "value_time");
  // A reversal and a return name the parties of the movement that they take back.
  counterparty(credit != (reversal || returned));
  std::string_view text =
      of_detail({"TxDtls/RmtInf/Ustrd", "TxDtls/RmtInf/Strd/AddtlRmtInf", "TxDtls/AddtlTxInf"});
  if (text.empty()) text = take("AddtlNtryInf");
  column("remittance", text);
  column("charges", amounts.charges);
  column("gross", amounts.gross);
  original_amount();
  rest();
}

void CamtColumns::column(std::string_view name, std::string_view value) {
  fields_.push_back({name, value.empty() ? std::nullopt : std::optional(value)});
}

std::string_view CamtColumns::take(std::string_view path) {
  const std::string_view value = entry_.find(path);
  if (!value.empty()) told_.push_back(path);
  return value;
}

std::string_view CamtColumns::take_first(std::initializer_list<std::string_view> paths) {
  for (std::string_view path : paths) {
    const std::string_view value = take(path);
    if (!value.empty()) return value;
  }
  return {};
}

std::string_view CamtColumns::of_detail(std::initializer_list<std::string_view> paths) {
  return detail_ == nullptr ? std::string_view() : detail_->first_of(paths);
}

// A date, or a date with a time: the day is the one that the bank wrote, whatever its offset.
void CamtColumns::moment(std::string_view element, std::string_view day, std::string_view time) {
  constexpr std::size_t date_size = 10;  // yyyy-MM-dd, maybe with an offset: xs:date may carry one
  const bool booking = element == "BookgDt";
  const std::string_view date = take(booking ? "BookgDt/Dt" : "ValDt/Dt");
  const std::string_view moment = take(booking ? "BookgDt/DtTm" : "ValDt/DtTm");
  const std::string_view stated = date.empty() ? moment : date;
  column(day, stated.substr(0, std::min(date_size, stated.size())));
  column(time, moment);
}

void CamtColumns::counterparty(bool debtor) {
  column("counterparty",
         debtor ? of_detail({"TxDtls/RltdPties/Dbtr/Nm", "TxDtls/RltdPties/Dbtr/Pty/Nm",
                             "TxDtls/RltdPties/UltmtDbtr/Nm", "TxDtls/RltdPties/UltmtDbtr/Pty/Nm"})
                : of_detail({"TxDtls/RltdPties/Cdtr/Nm", "TxDtls/RltdPties/Cdtr/Pty/Nm",
                             "TxDtls/RltdPties/UltmtCdtr/Nm", "TxDtls/RltdPties/UltmtCdtr/Pty/Nm"}));
  column("counterparty_account",
         debtor ? of_detail({"TxDtls/RltdPties/DbtrAcct/Id/IBAN", "TxDtls/RltdPties/DbtrAcct/Id/Othr/Id",
                             "TxDtls/RltdPties/DbtrAcct/Id/PrtryAcct/Id"})
                : of_detail({"TxDtls/RltdPties/CdtrAcct/Id/IBAN", "TxDtls/RltdPties/CdtrAcct/Id/Othr/Id",
                             "TxDtls/RltdPties/CdtrAcct/Id/PrtryAcct/Id"}));
}

// What the counterparty moved, where that was in another currency than the account's.
void CamtColumns::original_amount() {
  struct Place {
    std::string_view amount, currency, rate;
  };
  constexpr std::array<Place, 6> places = {{
      {"TxDtls/AmtDtls/InstdAmt/Amt", "TxDtls/AmtDtls/InstdAmt/Amt@Ccy",
       "TxDtls/AmtDtls/InstdAmt/CcyXchg/XchgRate"},
      {"TxDtls/AmtDtls/TxAmt/Amt", "TxDtls/AmtDtls/TxAmt/Amt@Ccy", "TxDtls/AmtDtls/TxAmt/CcyXchg/XchgRate"},
      {"TxDtls/AmtDtls/CntrValAmt/Amt", "TxDtls/AmtDtls/CntrValAmt/Amt@Ccy",
       "TxDtls/AmtDtls/CntrValAmt/CcyXchg/XchgRate"},
      {"AmtDtls/InstdAmt/Amt", "AmtDtls/InstdAmt/Amt@Ccy", "AmtDtls/InstdAmt/CcyXchg/XchgRate"},
      {"AmtDtls/TxAmt/Amt", "AmtDtls/TxAmt/Amt@Ccy", "AmtDtls/TxAmt/CcyXchg/XchgRate"},
      {"AmtDtls/CntrValAmt/Amt", "AmtDtls/CntrValAmt/Amt@Ccy", "AmtDtls/CntrValAmt/CcyXchg/XchgRate"},
  }};
  const std::string_view booked = entry_.find("Amt@Ccy");
  std::string_view amount;
  std::string_view currency;
  std::string_view rate;
  for (const Place& place : places) {
    const bool of_entry = place.amount.starts_with("AmtDtls");
    if (!of_entry && detail_ == nullptr) continue;
    const XmlLeaves& leaves = of_entry ? entry_ : *detail_;
    if (rate.empty()) rate = leaves.find(place.rate);
    const std::string_view other = leaves.find(place.currency);
    if (!currency.empty() || other.empty() || other == booked) continue;
    amount = leaves.find(place.amount);
    currency = other;
  }
  column("original_amount", amount);
  column("original_currency", currency);
  column("exchange_rate", rate);
}

// Every other leaf by its path. The entry's own amount stays visible where a transaction has another.
void CamtColumns::rest() {
  const std::string_view amount = entry_.find("Amt");
  if (fields_.front().value == amount) told_.push_back("Amt");
  if (fields_[1].value == entry_.find("CdtDbtInd")) told_.push_back("CdtDbtInd");
  for (const auto& [path, value] : entry_.all()) {
    if (value.empty() || std::find(told_.begin(), told_.end(), path) != told_.end()) continue;
    fields_.push_back({path, std::string_view(value)});
  }
  if (detail_ == nullptr) return;
  for (const auto& [path, value] : detail_->all()) {
    if (!value.empty()) fields_.push_back({path, std::string_view(value)});
  }
}

}  // namespace pg_reconcile::core
