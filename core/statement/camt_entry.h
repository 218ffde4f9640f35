// One entry (Ntry) of a camt message: what was booked in one amount, and the transactions (TxDtls) it is made
// of. It becomes one record per transaction where their amounts add up to what was booked, else one record:
// no cent is lost, none comes twice.
//
// Source: ISO 20022 camt.052/053/054, ReportEntry and EntryTransaction of versions 2 to 14.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/money/decimal.h"
#include "core/statement/framer.h"
#include "core/statement/xml_leaves.h"

namespace pg_reconcile::core {

// Charges that are part of an amount, as a cost; nullopt where none are stated or their currency is another.
struct CamtCharges {
  std::optional<Decimal> cost;
  bool foreign = false;

  void add(std::string_view amount, std::string_view currency, std::string_view direction,
           std::string_view included, std::string_view entry_currency);
};

struct CamtDetail {
  RowPlace place;
  std::string raw;
  XmlLeaves leaves;  // "TxDtls/..."
  CamtCharges charges;

  // What this transaction moved, signed, in the currency of the entry; nullopt where it does not say.
  [[nodiscard]] std::optional<Decimal> amount(std::string_view entry_currency,
                                              std::string_view entry_direction) const;
};

// Totals over the entries of a statement.
struct CamtTotals {
  struct Sum {
    std::int64_t count = 0;
    Decimal sum;
    void add(Decimal amount) {
      count++;
      sum += amount.magnitude();
    }
  };
  Sum credit, debit, booked_credit, booked_debit;
  std::int64_t unreadable = 0;  // entries without an amount
  // What batches (Btch) state of themselves, where their transactions became records.
  std::int64_t batch_transactions = 0;
  Decimal batch_transactions_stated;
  Decimal batch_amount, batch_amount_stated;
  bool batch_counts_agree = true, batch_amounts_agree = true;
  bool batch_count_stated = false, batch_amount_is_stated = false;
};

class CamtEntry {
 public:
  // More transactions than this are handed on while the entry is still being read.
  static constexpr std::size_t details_held_max = 1000;
  static constexpr std::size_t bytes_held_max = 4194304;

  RowPlace place;
  std::string raw;
  XmlLeaves leaves;
  CamtCharges charges;

  void begin(RowPlace at);
  void begin_batch();
  // What a batch says of itself: the path below it, the text.
  void batch_states(std::string_view path, std::string_view text);
  void add(CamtDetail detail, FrameSink& sink);
  void end_batch();
  void end(FrameSink& sink, CamtTotals& totals);

  [[nodiscard]] std::string_view currency() const { return leaves.find("Amt@Ccy"); }

 private:
  enum class Mode { undecided, each, once };
  struct Batch {
    std::string count_stated, amount_stated, currency;
    std::int64_t count = 0;
    Decimal sum;
    bool sum_known = true;
  };

  Mode mode_ = Mode::undecided;
  std::vector<CamtDetail> held_;
  std::size_t held_bytes_ = 0;
  std::int64_t details_ = 0;
  Decimal handed_on_;  // the sum of the records that went out already
  Batch batch_;
  std::vector<Batch> batches_;

  // What a record is made of besides the leaves.
  struct Amounts {
    std::string amount;
    std::string direction;
    std::optional<Decimal> charges;
    std::optional<Decimal> gross;
  };

  [[nodiscard]] std::optional<Decimal> booked() const;
  [[nodiscard]] std::string_view direction() const { return leaves.find("CdtDbtInd"); }
  void decide(FrameSink& sink);
  bool emit_each(FrameSink& sink);
  void emit_once(FrameSink& sink);
  void emit_detail(const CamtDetail& detail, Decimal amount, FrameSink& sink);
  void emit_rest(Decimal rest, FrameSink& sink);
  void emit(const CamtDetail* detail, std::string_view type, const Amounts& amounts, FrameSink& sink) const;
  void total(bool each, FrameSink& sink, CamtTotals& totals) const;
};

}  // namespace pg_reconcile::core
