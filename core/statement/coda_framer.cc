#include "core/statement/coda_framer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/mapping/expression.h"
#include "core/mapping/timestamp_format.h"
#include "core/statement/character_columns.h"
#include "core/statement/format_document.h"
#include "core/statement/line_frame.h"
#include "core/statement/pending_record.h"
#include "core/statement/short_date.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t line_columns = 128;
constexpr int amount_digits = 3;

constexpr std::array<std::string_view, 26> column_names = {"sequence",
                                                           "detail_number",
                                                           "bank_reference",
                                                           "amount",
                                                           "currency",
                                                           "value_date",
                                                           "entry_date",
                                                           "transaction_code",
                                                           "family",
                                                           "communication",
                                                           "communication_type",
                                                           "structured_communication",
                                                           "customer_reference",
                                                           "counterparty_bic",
                                                           "return_type",
                                                           "return_reason",
                                                           "category_purpose",
                                                           "purpose",
                                                           "counterparty_account",
                                                           "counterparty_name",
                                                           "information",
                                                           "globalisation",
                                                           "mandate_id",
                                                           "creditor_id",
                                                           "direction",
                                                           "statement_no"};

struct Statement {
  bool open = false;
  std::string account;
  std::string currency;
  std::string number;
  std::optional<Decimal> opening;
  std::optional<Decimal> closing;
  std::optional<Date> closing_date;
  Decimal debits;
  Decimal credits;
  std::optional<Date> first_booked;
  std::optional<Date> last_booked;
};

class Reading {
 public:
  explicit Reading(FrameSink& sink) : sink_(sink), columns_(line_columns), movement_(column_names) {}

  void line(const Line& line);
  void finish();

 private:
  FrameSink& sink_;
  CharacterColumns columns_;
  PendingRecord movement_;
  Statement statement_;
  bool in_file_ = false;
  bool any_ = false;
  std::int64_t records_ = 0;  // that record 9 counts: 1, 2x, 3x and 8
  Decimal file_debits_;
  Decimal file_credits_;

  std::string created_;
  std::string bank_;
  std::string file_reference_;

  std::string communication_;  // as it is cut over 21, 22 and 23
  std::optional<Decimal> amount_;
  std::optional<Date> booked_;
  bool is_detail_ = false;

  void header(const Line& line);
  void old_balance(const Line& line);
  void movement(const Line& line);
  void more(const Line& line, std::string_view code);
  void new_balance(const Line& line);
  void trailer(const Line& line);
  void end_movement();
  void end_statement();
  void end_file(bool complete);
  void take_communication();
  void report_dates();
  void bad(const Line& line, const char* column, std::string_view value, std::string_view reason);
  [[nodiscard]] std::optional<Decimal> amount(std::size_t sign, std::size_t first) const;
  [[nodiscard]] std::pair<std::string, std::string> account(std::size_t first, char structure) const;
};

void Reading::bad(const Line& line, const char* column, std::string_view value, std::string_view reason) {
  BadRow row;
  row.place = {0, line.number, line.offset};
  row.raw = line.bytes;
  row.column = column;
  row.value = value;
  row.reason = reason;
  sink_.bad(row);
}

// Fifteen digits, three of them behind the point; the sign 0 is credit, 1 debit.
std::optional<Decimal> Reading::amount(std::size_t sign, std::size_t first) const {
  const std::string_view digits = columns_.at(first, first + 14);
  const char mark = columns_.at(sign);
  if (!all_digits(digits) || (mark != '0' && mark != '1')) return std::nullopt;
  const auto whole = Decimal::parse(digits);
  const auto value = whole ? whole->shifted_right(amount_digits) : std::nullopt;
  return value && mark == '1' ? value->negated() : value;
}

// Account and currency, 37 columns: Belgian, foreign, Belgian IBAN, foreign IBAN.
std::pair<std::string, std::string> Reading::account(std::size_t first, char structure) const {
  if (structure == '0') {
    return {std::string(columns_.at(first, first + 11)), std::string(columns_.at(first + 13, first + 15))};
  }
  const std::size_t last = structure == '2' ? first + 30 : first + 33;
  return {std::string(columns_.at(first, last)), std::string(columns_.at(first + 34, first + 36))};
}

void Reading::line(const Line& line) {
  constexpr std::size_t shortest = 40;
  if (const char* problem = line_problem(line)) {
    if (movement_.open()) return movement_.add(line);
    return bad(line, "", "", problem);
  }
  if (mapping::trimmed(line.text).empty() || line.text == "\x1a") return;
  const bool fits = columns_.take(line.text, shortest);
  const char record = columns_.at(1);
  const std::string_view code = columns_.raw(1, 2);
  if (!fits) {
    end_movement();
    return bad(line, "", "", "has " + std::to_string(columns_.size()) + " columns where 128 are expected");
  }
  if (record == '0') return header(line);
  if (!in_file_) return sink_.reject("it is no CODA file: it does not start with a record 0");
  if (record != '4' && record != '9') records_++;
  if (code == "22" || code == "23" || record == '3') return more(line, code);
  end_movement();
  if (record == '1') {
    old_balance(line);
  } else if (code == "21") {
    movement(line);
  } else if (record == '8') {
    new_balance(line);
  } else if (record == '9') {
    trailer(line);
  } else if (record == '4') {
    if (statement_.open) sink_.meta("message", columns_.at(33, 112));
  } else {
    bad(line, "", code, "is no record of CODA");
  }
}

void Reading::header(const Line& line) {
  end_movement();
  if (in_file_) end_file(false);
  const char version = columns_.at(128);
  if (version != '2') {
    return sink_.reject("line " + std::to_string(line.number) + ": it says CODA version '" +
                        std::string(1, version) + "', and 2 is known");
  }
  in_file_ = any_ = true;
  records_ = 0;
  file_debits_ = file_credits_ = Decimal();
  const auto created = date_of_ddmmyy(columns_.at(6, 11));
  created_ = created ? date_text(*created) : std::string();
  bank_ = columns_.at(61, 71);
  file_reference_ = columns_.at(25, 34);
  if (columns_.at(17) == 'D') sink_.warn("the bank marks the file as a duplicate");
}

void Reading::old_balance(const Line& line) {
  if (statement_.open) end_statement();
  sink_.next_statement();
  statement_ = Statement();
  statement_.open = true;
  const auto [number, currency] = account(6, columns_.at(2));
  statement_.account = number;
  statement_.currency = currency;
  statement_.number = columns_.at(3, 5);
  sink_.meta("account", number);
  sink_.meta("currency", currency);
  sink_.meta("bank", bank_);
  sink_.meta("file_reference", file_reference_);
  if (!created_.empty()) sink_.meta("created", created_);
  sink_.meta("account_holder", columns_.at(65, 90));
  if (!all_zeros(statement_.number)) {
    sink_.meta("statement_no", statement_.number);
    sink_.meta("part", statement_.number);
  }
  statement_.opening = amount(43, 44);
  if (!statement_.opening)
    return bad(line, "opening_balance", columns_.at(43, 58), "is no amount of 15 digits with its sign");
  sink_.meta("opening_balance", statement_.opening->to_string(2));
  const auto date = date_of_ddmmyy(columns_.at(59, 64));
  if (date) sink_.meta("opening_date", date_text(*date));
}

void Reading::movement(const Line& line) {
  movement_.begin(line);
  is_detail_ = columns_.at(7, 10) != "0000";
  amount_ = amount(32, 33);
  const std::string_view entry = columns_.at(116, 121);
  const std::string_view value = columns_.at(48, 53);
  booked_ = date_of_ddmmyy(entry);
  const auto value_date = date_of_ddmmyy(value);
  if (!statement_.open) movement_.spoil("", "", "is a movement outside a statement: no record 1 before it");
  if (!amount_) movement_.spoil("amount", columns_.at(32, 47), "is no amount of 15 digits with its sign");
  if (!booked_) movement_.spoil("entry_date", entry, "is no date of the calendar written as ddMMyy");
  if (!value_date && !all_zeros(value)) {
    movement_.spoil("value_date", value, "is no date of the calendar written as ddMMyy");
  }
  RecordFields& fields = movement_.fields;
  fields.set("sequence", columns_.at(3, 6));
  fields.set("detail_number", columns_.at(7, 10));
  fields.set("bank_reference", columns_.at(11, 31));
  fields.set("currency", statement_.currency);
  if (amount_) fields.set("amount", amount_->to_string(2));
  if (amount_) fields.set("direction", amount_->is_negative() ? "debit" : "credit");
  if (value_date) fields.set("value_date", date_text(*value_date));
  if (booked_) fields.set("entry_date", date_text(*booked_));
  fields.set("transaction_code", columns_.at(54, 61));
  fields.set("family", columns_.at(55, 56));
  fields.set("communication_type", columns_.at(62, 62));
  fields.set("globalisation", columns_.at(125, 125));
  fields.set("statement_no", statement_.number);
  communication_ = columns_.raw(63, 115);
}

void Reading::more(const Line& line, std::string_view code) {
  if (!movement_.open()) return bad(line, "", "", "completes a movement that is not there");
  movement_.add(line);
  if (movement_.full()) return;
  RecordFields& fields = movement_.fields;
  if (code == "22") {
    communication_ += columns_.raw(11, 63);
    if (!all_zeros(columns_.at(64, 98))) fields.set("customer_reference", columns_.at(64, 98));
    fields.set("counterparty_bic", columns_.at(99, 109));
    fields.set("return_type", columns_.at(113, 113));
    fields.set("return_reason", columns_.at(114, 117));
    fields.set("category_purpose", columns_.at(118, 121));
    fields.set("purpose", columns_.at(122, 125));
  } else if (code == "23") {
    fields.set("counterparty_account", columns_.at(11, 44));
    fields.set("counterparty_name", columns_.at(48, 82));
    communication_ += columns_.raw(83, 125);
  } else if (code == "31") {
    fields.append("information", columns_.at(41, 113), " ");
  } else {
    fields.append("information", code == "32" ? columns_.at(11, 115) : columns_.at(11, 100), " ");
  }
}

// Structured: three digits that say what follows. 101 and 102: a payment reference of twelve digits; 127: a
// SEPA direct debit.
void Reading::take_communication() {
  constexpr std::size_t reference_digits = 12;
  RecordFields& fields = movement_.fields;
  const std::string_view text = communication_;
  fields.set("communication", mapping::trimmed(text));
  if (fields.get("communication_type") != "1" || text.size() < 3 + reference_digits) return;
  const std::string_view type = text.substr(0, 3);
  if (type == "101" || type == "102") {
    const std::string_view reference = text.substr(3, reference_digits);
    if (all_digits(reference)) fields.set("structured_communication", reference);
  } else if (type == "127") {
    constexpr std::size_t creditor_at = 12;
    constexpr std::size_t width = 35;
    if (text.size() > creditor_at)
      fields.set("creditor_id", mapping::trimmed(text.substr(creditor_at, width)));
    if (text.size() > creditor_at + width) {
      fields.set("mandate_id", mapping::trimmed(text.substr(creditor_at + width, width)));
    }
  }
}

void Reading::end_movement() {
  if (!movement_.open()) return;
  take_communication();
  if (!movement_.hand_over(sink_, is_detail_ ? "detail" : "movement") || is_detail_) return;
  (amount_->is_negative() ? statement_.debits : statement_.credits) += amount_->magnitude();
  statement_.first_booked = std::min(statement_.first_booked.value_or(*booked_), *booked_);
  statement_.last_booked = std::max(statement_.last_booked.value_or(*booked_), *booked_);
}

void Reading::new_balance(const Line& line) {
  if (!statement_.open)
    return bad(line, "", "", "closes a statement that was not opened: no record 1 before it");
  statement_.closing = amount(42, 43);
  statement_.closing_date = date_of_ddmmyy(columns_.at(58, 63));
  if (!statement_.closing) {
    bad(line, "closing_balance", columns_.at(42, 57), "is no amount of 15 digits with its sign");
  } else {
    sink_.meta("closing_balance", statement_.closing->to_string(2));
  }
  if (!statement_.closing_date) {
    bad(line, "date", columns_.at(58, 63), "is no date of the calendar written as ddMMyy");
  }
  end_statement();
}

void Reading::report_dates() {
  if (!statement_.closing_date) return;
  const Date end = *statement_.closing_date;
  const Date first = statement_.first_booked.value_or(end);
  const Date last = std::max(statement_.last_booked.value_or(end), end);
  if (first == end && last == end) return sink_.meta("business_date", date_text(end));
  sink_.meta("period_start", date_text(std::min(first, end)));
  sink_.meta("period_end", date_text(last));
}

void Reading::end_statement() {
  report_dates();
  ControlLine line{"new balance", "the statement has no record 8", "no old balance", false};
  if (statement_.closing) line.stated = statement_.closing->to_string(2);
  if (statement_.opening) {
    const Decimal computed = *statement_.opening + statement_.credits - statement_.debits;
    line.computed = computed.to_string(2);
    line.agrees = statement_.closing && *statement_.closing == computed;
  }
  sink_.control(std::move(line));
  file_debits_ += statement_.debits;
  file_credits_ += statement_.credits;
  statement_ = Statement();
}

void Reading::trailer(const Line& /*line*/) {
  if (statement_.open) end_statement();
  const auto stated = [&](const char* name, std::size_t first, std::size_t last, const std::string& computed,
                          int digits) {
    const std::string_view written = columns_.at(first, last);
    const auto whole = all_digits(written) ? Decimal::parse(written) : std::nullopt;
    const auto value = whole ? whole->shifted_right(digits) : std::nullopt;
    const std::string text = value ? value->to_string(digits == 0 ? 0 : 2) : std::string(written);
    sink_.control({name, text, computed, value && text == computed});
  };
  stated("records", 17, 22, std::to_string(records_), 0);
  stated("debits", 23, 37, file_debits_.to_string(2), amount_digits);
  stated("credits", 38, 52, file_credits_.to_string(2), amount_digits);
  end_file(true);
}

void Reading::end_file(bool complete) {
  if (statement_.open) end_statement();
  if (!complete)
    sink_.control({"record 9", "missing", "the file ends before it, or goes on without it", false});
  in_file_ = false;
}

void Reading::finish() {
  end_movement();
  if (in_file_) end_file(false);
  if (!any_) sink_.reject("it is no CODA file: it does not start with a record 0");
}

}  // namespace

void CodaFramer::read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
                      Interrupts& interrupts) {
  LineReader lines(source, charsets_, interrupts);
  Reading reading(sink);
  read_lines(lines, sink, reading);
}

std::vector<std::string> CodaFramer::columns() const {
  return {column_names.begin(), column_names.end()};
}

std::unique_ptr<Framer> make_coda_framer(const FormatDocument& format) {
  format.frame->allow_only({"type"});
  return std::make_unique<CodaFramer>(format.charsets);
}

}  // namespace pg_reconcile::core
