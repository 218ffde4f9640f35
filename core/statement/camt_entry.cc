#include "core/statement/camt_entry.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/statement/camt_columns.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t raw_bytes_max = 4096;

std::optional<Decimal> unsigned_amount(std::string_view text) {
  const auto value = Decimal::parse(text);
  return value && !value->is_negative() ? value : std::nullopt;
}

Decimal with_sign(Decimal amount, std::string_view direction) {
  return direction == "DBIT" ? amount.negated() : amount;
}

std::string_view direction_of(Decimal amount) {
  return amount.is_negative() ? "DBIT" : "CRDT";
}

std::string text_of(const std::optional<Decimal>& amount) {
  return amount ? amount->to_string(2) : std::string();
}

}  // namespace

void CamtCharges::add(std::string_view amount, std::string_view currency, std::string_view direction,
                      std::string_view included, std::string_view entry_currency) {
  if (included == "false" || included == "0") return;  // booked by an entry of its own
  const auto value = unsigned_amount(amount);
  if (!value || value->is_zero()) return;
  if (!currency.empty() && currency != entry_currency) {
    foreign = true;
    return;
  }
  cost = cost.value_or(Decimal()) + (direction == "CRDT" ? value->negated() : *value);
}

std::optional<Decimal> CamtDetail::amount(std::string_view entry_currency,
                                          std::string_view entry_direction) const {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> places = {{
      {"TxDtls/Amt", "TxDtls/Amt@Ccy"},
      {"TxDtls/AmtDtls/TxAmt/Amt", "TxDtls/AmtDtls/TxAmt/Amt@Ccy"},
      {"TxDtls/AmtDtls/CntrValAmt/Amt", "TxDtls/AmtDtls/CntrValAmt/Amt@Ccy"},
      {"TxDtls/AmtDtls/InstdAmt/Amt", "TxDtls/AmtDtls/InstdAmt/Amt@Ccy"},
  }};
  const std::string_view own = leaves.find("TxDtls/CdtDbtInd");
  for (const auto& [amount_path, currency_path] : places) {
    const std::string_view text = leaves.find(amount_path);
    if (text.empty() || leaves.find(currency_path) != entry_currency) continue;
    const auto value = unsigned_amount(text);
    if (value) return with_sign(*value, own.empty() ? entry_direction : own);
  }
  return std::nullopt;
}

void CamtEntry::begin(RowPlace at) {
  place = at;
  raw.clear();
  leaves.clear();
  charges = {};
  mode_ = Mode::undecided;
  held_.clear();
  held_bytes_ = 0;
  details_ = 0;
  handed_on_ = {};
  batch_ = {};
  batches_.clear();
}

std::optional<Decimal> CamtEntry::booked() const {
  if (direction() != "CRDT" && direction() != "DBIT") return std::nullopt;
  const auto value = unsigned_amount(leaves.find("Amt"));
  return value ? std::optional(with_sign(*value, direction())) : std::nullopt;
}

void CamtEntry::begin_batch() {
  batch_ = {};
}

void CamtEntry::batch_states(std::string_view path, std::string_view text) {
  if (path == "NbOfTxs") batch_.count_stated = text;
  if (path == "TtlAmt") batch_.amount_stated = text;
  if (path == "TtlAmt@Ccy") batch_.currency = text;
}

void CamtEntry::add(CamtDetail detail, FrameSink& sink) {
  details_++;
  batch_.count++;
  const auto amount = detail.amount(currency(), direction());
  if (amount) {
    batch_.sum += *amount;
  } else {
    batch_.sum_known = false;
  }
  if (mode_ == Mode::once) return;
  if (mode_ == Mode::each) {
    if (amount) return emit_detail(detail, *amount, sink);
    BadRow bad;
    bad.place = detail.place;
    bad.raw = detail.raw;
    bad.field = "amount";
    bad.column = "TxDtls/Amt";
    bad.reason = "is not stated in the currency of the entry";
    return sink.bad(bad);
  }
  held_bytes_ += detail.leaves.bytes() + detail.raw.size() + 200;
  held_.push_back(std::move(detail));
  if (held_.size() > details_held_max || held_bytes_ > bytes_held_max) decide(sink);
}

// Too many to wait for the last of them.
void CamtEntry::decide(FrameSink& sink) {
  const bool all_state_it =
      booked() && held_.size() > 1 && std::all_of(held_.begin(), held_.end(), [&](const CamtDetail& detail) {
        return detail.amount(currency(), direction()).has_value() && !detail.leaves.overflow();
      });
  if (all_state_it) {
    mode_ = Mode::each;
    for (const CamtDetail& detail : held_) emit_detail(detail, *detail.amount(currency(), direction()), sink);
  } else {
    mode_ = Mode::once;
  }
  held_.clear();
  held_bytes_ = 0;
}

void CamtEntry::end_batch() {
  if (batch_.count == 0 || batches_.size() >= details_held_max) return;
  batches_.push_back(std::move(batch_));
  batch_ = {};
}

// Records per transaction, when they add up to what was booked: as they are, or less their charges.
bool CamtEntry::emit_each(FrameSink& sink) {
  const auto whole = booked();
  if (!whole || held_.size() < 2) return false;
  Decimal plain;
  Decimal less_charges;
  for (const CamtDetail& detail : held_) {
    const auto amount = detail.amount(currency(), direction());
    if (!amount || detail.leaves.overflow()) return false;
    plain += *amount;
    less_charges += *amount - detail.charges.cost.value_or(Decimal());
  }
  if (plain != *whole && less_charges != *whole) return false;
  for (const CamtDetail& detail : held_) {
    Decimal amount = *detail.amount(currency(), direction());
    if (plain != *whole) amount -= detail.charges.cost.value_or(Decimal());
    emit_detail(detail, amount, sink);
  }
  return true;
}

void CamtEntry::emit_detail(const CamtDetail& detail, Decimal amount, FrameSink& sink) {
  handed_on_ += amount;
  Amounts amounts{
      amount.magnitude().to_string(2), std::string(direction_of(amount)), detail.charges.cost, {}};
  if (amount.is_zero()) amounts.direction = direction();
  if (detail.charges.cost) amounts.gross = (amount + *detail.charges.cost).magnitude();
  emit(&detail, "TxDtls", amounts, sink);
}

void CamtEntry::emit_once(FrameSink& sink) {
  const bool single = details_ == 1 && held_.size() == 1;
  CamtCharges known = charges;
  if (single && !known.cost) known = held_.front().charges;
  Amounts amounts{std::string(leaves.find("Amt")), std::string(direction()), known.cost, {}};
  const auto whole = booked();
  if (known.cost && whole) amounts.gross = (*whole + *known.cost).magnitude();
  emit(single ? &held_.front() : nullptr, single ? "TxDtls" : "Ntry", amounts, sink);
}

void CamtEntry::emit_rest(Decimal rest, FrameSink& sink) {
  sink.warn("line " + std::to_string(place.line) + ": the " + std::to_string(details_) +
            " transactions of the entry add up to " + handed_on_.magnitude().to_string(2) +
            ", not to its amount " + std::string(leaves.find("Amt")) + ": the rest is a record of its own");
  emit(nullptr, "rest", {rest.magnitude().to_string(2), std::string(direction_of(rest)), {}, {}}, sink);
}

void CamtEntry::emit(const CamtDetail* detail, std::string_view type, const Amounts& amounts,
                     FrameSink& sink) const {
  const RowPlace& at = detail != nullptr && details_ > 1 ? detail->place : place;
  const std::string_view bytes = detail != nullptr && details_ > 1 ? detail->raw : raw;
  if (leaves.overflow() || (detail != nullptr && detail->leaves.overflow())) {
    BadRow bad;
    bad.place = at;
    bad.raw = bytes;
    bad.reason = "has more than 500 values or 256 kB of text";
    return sink.bad(bad);
  }
  const std::string charges_text = text_of(amounts.charges);
  const std::string gross_text = text_of(amounts.gross);
  const CamtColumns columns(leaves, detail != nullptr ? &detail->leaves : nullptr,
                            {amounts.amount, amounts.direction, charges_text, gross_text});
  sink.record({at, bytes.substr(0, raw_bytes_max), type, columns.fields()});
}

void CamtEntry::end(FrameSink& sink, CamtTotals& totals) {
  bool each = mode_ == Mode::each;
  if (mode_ == Mode::undecided) each = emit_each(sink);
  if (!each) {
    emit_once(sink);
    if (details_ > 1 && booked()) {
      sink.warn("line " + std::to_string(place.line) + ": the " + std::to_string(details_) +
                " transactions of the entry do not add up to its amount " + std::string(leaves.find("Amt")) +
                " " + std::string(currency()) + ": it is one record");
    }
  } else if (handed_on_ != *booked()) {
    emit_rest(*booked() - handed_on_, sink);
  }
  total(each, sink, totals);
  held_.clear();
}

void CamtEntry::total(bool each, FrameSink& sink, CamtTotals& totals) const {
  const auto whole = booked();
  if (!whole) {
    totals.unreadable++;
  } else {
    const bool credit = direction() == "CRDT";
    (credit ? totals.credit : totals.debit).add(*whole);
    if (leaves.first_of({"Sts/Cd", "Sts/Prtry", "Sts"}) == "BOOK")
      (credit ? totals.booked_credit : totals.booked_debit).add(*whole);
  }
  for (const Batch& batch : batches_) {
    const auto count = Decimal::parse(batch.count_stated);
    const auto amount = unsigned_amount(batch.amount_stated);
    const bool counts_agree = !count || *count == *Decimal::parse(std::to_string(batch.count));
    const bool comparable = amount && batch.sum_known && batch.currency == currency();
    const bool amounts_agree = !comparable || *amount == batch.sum.magnitude();
    if (!counts_agree || !amounts_agree) {
      sink.warn("line " + std::to_string(place.line) + ": a batch states " + batch.count_stated +
                " transactions, " + batch.amount_stated + " " + batch.currency + "; the file has " +
                std::to_string(batch.count) + ", " + batch.sum.magnitude().to_string(2) + " " +
                std::string(currency()));
    }
    if (!each) continue;  // it was booked as one, whatever its parts are said to be
    if (count) {
      totals.batch_count_stated = true;
      totals.batch_transactions += batch.count;
      totals.batch_transactions_stated += *count;
      totals.batch_counts_agree = totals.batch_counts_agree && counts_agree;
    }
    if (comparable) {
      totals.batch_amount_is_stated = true;
      totals.batch_amount += batch.sum.magnitude();
      totals.batch_amount_stated += *amount;
      totals.batch_amounts_agree = totals.batch_amounts_agree && amounts_agree;
    }
  }
}

}  // namespace pg_reconcile::core
