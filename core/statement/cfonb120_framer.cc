#include "core/statement/cfonb120_framer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/mapping/expression.h"
#include "core/mapping/number_format.h"
#include "core/mapping/timestamp_format.h"
#include "core/statement/character_columns.h"
#include "core/statement/format_document.h"
#include "core/statement/line_frame.h"
#include "core/statement/pending_record.h"
#include "core/statement/short_date.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t line_columns = 120;

constexpr std::array<std::string_view, 28> column_names = {"booking_date",
                                                           "value_date",
                                                           "amount",
                                                           "currency",
                                                           "operation_code",
                                                           "internal_code",
                                                           "label",
                                                           "entry_number",
                                                           "reference",
                                                           "reject_code",
                                                           "exemption_code",
                                                           "unavailable_code",
                                                           "payment_reference",
                                                           "end_to_end_id",
                                                           "purpose",
                                                           "remittance",
                                                           "counterparty_name",
                                                           "counterparty_id",
                                                           "counterparty_account",
                                                           "ultimate_party",
                                                           "mandate_id",
                                                           "creditor_id",
                                                           "original_amount",
                                                           "fees",
                                                           "additional_label",
                                                           "bank_transaction",
                                                           "complements",
                                                           "direction"};

// Qualifiers of record 05 (columns 46 to 48) and the field that their text fills.
using Qualifier = std::pair<std::string_view, std::string_view>;
constexpr std::array<Qualifier, 17> qualifiers = {{
    {"LIB", "additional_label"},
    {"LCC", "remittance"},
    {"LC2", "remittance"},
    {"LCS", "remittance"},
    {"NPY", "counterparty_name"},
    {"NBE", "counterparty_name"},
    {"IPY", "counterparty_id"},
    {"IBE", "counterparty_id"},
    {"NPO", "ultimate_party"},
    {"NBU", "ultimate_party"},
    {"CBE", "counterparty_account"},
    {"CPY", "counterparty_account"},
    {"RUM", "mandate_id"},
    {"ICS", "creditor_id"},
    {"MMO", "original_amount"},
    {"FEE", "fees"},
    {"PDO", "bank_transaction"},
}};

// A statement between its 01 and its 07.
struct Statement {
  bool open = false;
  std::string number;  // the account's, columns 22 to 32
  std::string currency;
  std::optional<Decimal> opening;
  Decimal sum;
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
  Statement statement_;
  PendingRecord movement_;
  Decimal amount_;  // of the movement
  Date booked_ = 0;
  bool any_ = false;

  void opening(const Line& line);
  void movement(const Line& line);
  bool fill();
  void complement(const Line& line);
  void closing(const Line& line);
  void end_movement();
  void end_statement(const std::string& stated, std::optional<Decimal> closing);
  void report_dates(Date end);
  [[nodiscard]] std::string account() const;
  [[nodiscard]] std::optional<Decimal> amount() const;
  void bad(const Line& line, const char* column, std::string_view value, std::string_view reason);
};

std::string Reading::account() const {
  return std::string(columns_.at(3, 7)) + std::string(columns_.at(12, 16)) + std::string(columns_.at(22, 32));
}

// Columns 91 to 104, the sign over its last digit, as many decimals as column 20 says.
std::optional<Decimal> Reading::amount() const {
  const char decimals = columns_.at(20);
  const auto plain = undo_overpunch(columns_.at(91, 104));
  if (!plain || decimals < '0' || decimals > '9') return std::nullopt;
  const auto whole = Decimal::parse(*plain);
  return whole && plain->find('.') == std::string::npos ? whole->shifted_right(decimals - '0') : std::nullopt;
}

void Reading::bad(const Line& line, const char* column, std::string_view value, std::string_view reason) {
  BadRow row;
  row.place = {0, line.number, line.offset};
  row.raw = line.bytes;
  row.column = column;
  row.value = value;
  row.reason = reason;
  sink_.bad(row);
}

void Reading::line(const Line& line) {
  constexpr std::size_t shortest = 48;
  if (const char* problem = line_problem(line)) {
    if (movement_.open()) return movement_.add(line);
    return bad(line, "", "", problem);
  }
  if (mapping::trimmed(line.text).empty() || line.text == "\x1a") return;
  const bool fits = columns_.take(line.text, shortest);
  const std::string_view code = columns_.raw(1, 2);
  if (code == "05" && movement_.open()) return complement(line);
  end_movement();
  if (!fits)
    return bad(line, "", "", "has " + std::to_string(columns_.size()) + " columns where 120 are expected");
  if (code == "01") {
    opening(line);
  } else if (code == "04") {
    movement(line);
  } else if (code == "07") {
    closing(line);
  } else if (code == "05") {
    bad(line, "", "", "completes a movement that is not there");
  } else {
    bad(line, "", code, "is no record of CFONB 120 (01, 04, 05, 07)");
  }
}

void Reading::opening(const Line& line) {
  if (statement_.open) end_statement("", std::nullopt);
  statement_ = Statement();
  statement_.open = true;
  any_ = true;
  statement_.number = columns_.at(22, 32);
  statement_.currency = columns_.at(17, 19);
  sink_.next_statement();
  sink_.meta("account", account());
  sink_.meta("currency", statement_.currency);
  sink_.meta("bank_code", columns_.at(3, 7));
  statement_.opening = amount();
  if (statement_.opening) {
    sink_.meta("opening_balance", statement_.opening->to_string(2));
  } else {
    bad(line, "opening_balance", columns_.at(91, 104), "is no amount with its sign over the last digit");
  }
  const auto date = date_of_ddmmyy(columns_.at(35, 40));
  if (!date) return bad(line, "date", columns_.at(35, 40), "is no date of the calendar written as ddMMyy");
  sink_.meta("opening_date", date_text(*date));
}

// False: the record is spoilt.
bool Reading::fill() {
  const auto amount_read = amount();
  const auto booked = date_of_ddmmyy(columns_.at(35, 40));
  const std::string_view value_text = columns_.at(43, 48);
  const auto value = date_of_ddmmyy(value_text);
  if (!booked) {
    movement_.spoil("booking_date", columns_.at(35, 40), "is no date of the calendar written as ddMMyy");
  } else if (!value && !value_text.empty() && !all_zeros(value_text)) {
    movement_.spoil("value_date", value_text, "is no date of the calendar written as ddMMyy");
  } else if (!amount_read) {
    movement_.spoil("amount", columns_.at(91, 104), "is no amount with its sign over the last digit");
  }
  if (movement_.spoilt()) return false;
  amount_ = *amount_read;
  booked_ = *booked;
  RecordFields& fields = movement_.fields;
  fields.set("booking_date", date_text(*booked));
  if (value) fields.set("value_date", date_text(*value));
  fields.set("amount", amount_.to_string(2));
  fields.set("direction", amount_.is_negative() ? "debit" : "credit");
  fields.set("currency", columns_.at(17, 19));
  fields.set("internal_code", columns_.at(8, 11));
  fields.set("operation_code", columns_.at(33, 34));
  fields.set("reject_code", columns_.at(41, 42));
  fields.set("label", columns_.at(49, 79));
  fields.set("entry_number", all_zeros(columns_.at(82, 88)) ? std::string_view() : columns_.at(82, 88));
  fields.set("exemption_code", columns_.at(89, 89));
  fields.set("unavailable_code", columns_.at(90, 90));
  fields.set("reference", columns_.at(105, 120));
  return true;
}

void Reading::movement(const Line& line) {
  movement_.begin(line);
  any_ = true;
  if (!statement_.open) {
    movement_.spoil("", "", "is a movement outside a statement: no record 01 before it");
  } else if (columns_.at(22, 32) != statement_.number) {
    movement_.spoil("account", columns_.at(22, 32),
                    "is not the account of the statement, " + statement_.number);
  } else if (columns_.at(17, 19) != statement_.currency) {
    movement_.spoil("currency", columns_.at(17, 19),
                    "is not the currency of the statement, " + statement_.currency);
  }
  (void)fill();
}

void Reading::complement(const Line& line) {
  constexpr std::size_t half = 35;  // REF and RCN hold two texts
  movement_.add(line);
  if (movement_.full()) return;
  const std::string_view name = columns_.raw(46, 48);
  const std::string_view text = columns_.at(49, 118);
  if (text.empty()) return;
  RecordFields& fields = movement_.fields;
  if (name == "REF" || name == "RCN") {
    const std::string_view first = columns_.at(49, 48 + half);
    const std::string_view second = columns_.at(49 + half, 118);
    fields.append(name == "REF" ? "payment_reference" : "end_to_end_id", first, " ");
    return fields.append(name == "REF" ? "bank_transaction" : "purpose", second, " ");
  }
  const auto* known = std::find_if(qualifiers.begin(), qualifiers.end(),
                                   [&](const Qualifier& candidate) { return candidate.first == name; });
  const bool has_field = known != qualifiers.end();
  if (has_field) return fields.append(known->second, text, name == "LIB" ? "\n" : " ");
  fields.append("complements", std::string(mapping::trimmed(name)) + ": " + std::string(text), "\n");
}

void Reading::end_movement() {
  if (!movement_.open()) return;
  if (!movement_.hand_over(sink_, "")) return;
  statement_.sum += amount_;
  statement_.first_booked = std::min(statement_.first_booked.value_or(booked_), booked_);
  statement_.last_booked = std::max(statement_.last_booked.value_or(booked_), booked_);
}

void Reading::report_dates(Date end) {
  const Date first = statement_.first_booked.value_or(end);
  const Date last = std::max(statement_.last_booked.value_or(end), end);
  if (first == end && last == end) return sink_.meta("business_date", date_text(end));
  sink_.meta("period_start", date_text(std::min(first, end)));
  sink_.meta("period_end", date_text(last));
}

void Reading::end_statement(const std::string& stated, std::optional<Decimal> closing) {
  ControlLine line{"new balance", stated.empty() ? "the statement has no record 07" : stated,
                   "no old balance", false};
  if (statement_.opening) {
    const Decimal computed = *statement_.opening + statement_.sum;
    line.computed = computed.to_string(2);
    line.agrees = closing && *closing == computed;
  }
  sink_.control(std::move(line));
  statement_ = Statement();
}

void Reading::closing(const Line& line) {
  any_ = true;
  if (!statement_.open) {
    return bad(line, "", "", "closes a statement that was not opened: no record 01 before it");
  }
  if (columns_.at(22, 32) != statement_.number) {
    end_statement("", std::nullopt);
    return bad(line, "account", columns_.at(22, 32), "is not the account of the statement that it closes");
  }
  const auto balance = amount();
  const auto date = date_of_ddmmyy(columns_.at(35, 40));
  if (!balance)
    bad(line, "closing_balance", columns_.at(91, 104), "is no amount with its sign over the last digit");
  if (!date) bad(line, "date", columns_.at(35, 40), "is no date of the calendar written as ddMMyy");
  if (balance) sink_.meta("closing_balance", balance->to_string(2));
  if (date) report_dates(*date);
  end_statement(balance ? balance->to_string(2) : std::string(columns_.at(91, 104)), balance);
}

void Reading::finish() {
  end_movement();
  if (statement_.open) end_statement("", std::nullopt);
  if (!any_) sink_.reject("it is no CFONB 120 file: no record 01, 04 or 07");
}

}  // namespace

void Cfonb120Framer::read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
                          Interrupts& interrupts) {
  LineReader lines(source, charsets_, interrupts);
  Reading reading(sink);
  read_lines(lines, sink, reading);
}

std::vector<std::string> Cfonb120Framer::columns() const {
  return {column_names.begin(), column_names.end()};
}

std::unique_ptr<Framer> make_cfonb120_framer(const FormatDocument& format) {
  format.frame->allow_only({"type"});
  return std::make_unique<Cfonb120Framer>(format.charsets);
}

}  // namespace pg_reconcile::core
