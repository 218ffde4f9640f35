#include "core/statement/mt940_framer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/mapping/expression.h"
#include "core/mapping/timestamp_format.h"
#include "core/money/currency.h"
#include "core/statement/mt940_details.h"
#include "core/statement/mt940_transaction.h"
#include "core/statement/format_document.h"
#include "core/statement/line_frame.h"
#include "core/statement/pending_record.h"
#include "core/statement/short_date.h"

namespace pg_reconcile::core {
namespace {

constexpr std::array<std::string_view, 40> column_names = {"value_date",
                                                           "entry_date",
                                                           "mark",
                                                           "funds_code",
                                                           "amount",
                                                           "currency",
                                                           "type",
                                                           "type_code",
                                                           "reference",
                                                           "bank_reference",
                                                           "supplementary",
                                                           "transaction_code",
                                                           "posting_text",
                                                           "primanota",
                                                           "purpose",
                                                           "counterparty_name",
                                                           "counterparty_account",
                                                           "counterparty_bank",
                                                           "counterparty_address",
                                                           "counterparty_id",
                                                           "text_key_extension",
                                                           "end_to_end_id",
                                                           "customer_reference",
                                                           "payment_reference",
                                                           "instruction_id",
                                                           "mandate_id",
                                                           "creditor_id",
                                                           "return_reason",
                                                           "return_reference",
                                                           "purpose_code",
                                                           "original_amount",
                                                           "charges",
                                                           "exchange_rate",
                                                           "ultimate_debtor",
                                                           "ultimate_creditor",
                                                           "issue_date",
                                                           "service_level",
                                                           "other_details",
                                                           "details",
                                                           "non_swift"};

// The fields of the two messages; anything else behind a colon is text.
constexpr std::array<std::string_view, 21> known_tags = {"13",  "13D", "20",  "21",  "25",  "25P", "28",
                                                         "28C", "34F", "60F", "60M", "61",  "62F", "62M",
                                                         "64",  "65",  "86",  "90C", "90D", "NS",  "NS1"};

constexpr std::size_t field_bytes_max = 65536;  // of a field that is no movement

struct Tagged {
  std::string_view tag;
  std::string_view value;
};

std::optional<Tagged> tagged(std::string_view line) {
  constexpr std::size_t longest_tag = 3;
  if (!line.starts_with(':')) return std::nullopt;
  const std::size_t end = line.find(':', 1);
  if (end == std::string_view::npos || end == 1 || end > longest_tag + 1) return std::nullopt;
  return Tagged{line.substr(1, end - 1), line.substr(end + 1)};
}

bool is_known(std::string_view tag) {
  return std::find(known_tags.begin(), known_tags.end(), tag) != known_tags.end();
}

// A time of day that a line end has cut before its minutes: "... 12-09-2014T16" and ":20:37 Folgenr".
bool continues_time(std::string_view before, const Tagged& line) {
  const auto digits_at = [](std::string_view text, std::size_t from) {
    return all_digits(text.substr(from, 2));
  };
  if (before.size() < 3 || !digits_at(before, before.size() - 2)) return false;
  if (!all_digits(line.tag) || line.tag.size() != 2 || line.tag >= "60") return false;
  const bool hour =
      before.substr(before.size() - 2) <= "23" && !all_digits(before.substr(before.size() - 3, 1));
  const bool seconds = line.value.size() >= 2 && digits_at(line.value, 0) &&
                       (line.value.size() == 2 || !all_digits(line.value.substr(2, 1)));
  return hour && seconds;
}

std::string_view without_control_characters(std::string_view text) {
  constexpr std::string_view marks("\x01\x02\x03\x04\x0B\x0C\x1A", 7);
  while (!text.empty() && marks.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && marks.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

// "NL71RABO0123456789EUR", "NL71 RABO 0123 4567 89 EUR": the IBAN; anything else as it stands.
std::string account_of(std::string_view text) {
  std::string packed;
  for (char c : text.substr(0, text.find('\n'))) {
    if (c != ' ') packed += c;
  }
  if (is_iban(packed)) return packed;
  if (packed.size() > 3 && currency_code(packed.substr(packed.size() - 3)) &&
      is_iban(std::string_view(packed).substr(0, packed.size() - 3))) {
    return packed.substr(0, packed.size() - 3);
  }
  return std::string(mapping::trimmed(text.substr(0, text.find('\n'))));
}

// What a message has said so far.
struct Message {
  bool open = false;
  bool closed = false;  // its closing balance has come
  bool other_type = false;
  std::string account;
  std::string number;
  std::string currency;
  int page = 0;
  bool has_pages = false;
  bool ends_in_middle = false;  // 62M
  bool one_currency = true;
  std::optional<Mt940Balance> opening;
  std::optional<Mt940Balance> closing;
  std::optional<Mt940Totals> stated_debits;
  std::optional<Mt940Totals> stated_credits;
  Decimal sum;
  Decimal debits;
  Decimal credits;
  std::int64_t debit_count = 0;
  std::int64_t credit_count = 0;
  std::optional<Date> first_booked;
  std::optional<Date> last_booked;
};

class Reading {
 public:
  Reading(Mt940Framer::Message type, FrameSink& sink) : type_(type), sink_(sink), movement_(column_names) {}

  void line(const Line& line);
  void finish();

 private:
  Mt940Framer::Message type_;
  FrameSink& sink_;
  Message message_;
  Message previous_;
  bool any_message_ = false;
  bool next_is_other_type_ = false;  // the envelope says so
  std::string sender_;

  std::string tag_;    // of the field under way
  std::string field_;  // its text, lines separated by "\n"
  PendingRecord movement_;
  std::optional<Mt940Transaction> transaction_;
  std::string details_;

  [[nodiscard]] bool is_940() const { return type_ == Mt940Framer::Message::mt940; }
  [[nodiscard]] bool in_movement() const {
    return movement_.open() && (tag_ == "61" || tag_ == "86" || tag_.starts_with("NS"));
  }
  void text_line(const Line& line, std::string_view text);
  bool envelope(const Line& line, std::string_view text);
  void start_field(const Line& line, std::string_view tag, std::string_view value);
  void finish_field();
  void take_field();
  void finish_account();
  void finish_number();
  void finish_balance();
  void finish_totals();
  void finish_information();
  void begin_message(bool other_type);
  void end_message();
  void end_movement();
  void book();
  void fill(const Mt940Transaction& transaction);
  void report_pages();
  void report_dates();
  void report_controls();
  void compare(const char* name, const std::optional<Mt940Totals>& stated, std::int64_t count, Decimal sum);
};

void Reading::begin_message(bool other_type) {
  end_message();
  any_message_ = true;
  previous_ = std::exchange(message_, Message());
  message_.open = true;
  message_.other_type = other_type;
  next_is_other_type_ = false;
  if (other_type) return;
  sink_.next_statement();
  if (!sender_.empty()) sink_.meta("sender", sender_);
}

void Reading::end_message() {
  finish_field();
  end_movement();
  tag_.clear();
  if (!message_.open) return;
  message_.open = false;
  if (message_.other_type) return;
  report_pages();
  report_dates();
  report_controls();
}

// {1:F01BANKDEFFAXXX0001000001}{2:O9401157...}{4: ... -}{5:...}, all of it optional. True: nothing of the
// line is left.
bool Reading::envelope(const Line& line, std::string_view text) {
  if (text == "-" || text.starts_with("-}")) {
    end_message();
    text.remove_prefix(1);
    if (text.starts_with('}')) text.remove_prefix(1);
  } else if (text.size() < 3 || text[0] != '{' || text[2] != ':') {
    return false;
  }
  const std::size_t block = text.find("{2:");
  if (block != std::string_view::npos && text.size() > block + 7) {
    constexpr std::size_t sender_at = 14;  // "O940", time, date
    const std::string_view header = text.substr(block + 3);
    const std::string_view number = header.substr(1, 3);
    const bool fits = is_940() ? number == "940" || number == "950" || number == "941" : number == "942";
    next_is_other_type_ = all_digits(number) && !fits;
    sender_.clear();
    if (header.starts_with('O') && header.size() >= sender_at + 8) sender_ = header.substr(sender_at, 8);
    if (next_is_other_type_) {
      sink_.warn("line " + std::to_string(line.number) + ": a message of type " + std::string(number) +
                 " is left out");
      begin_message(true);
    }
  }
  const std::size_t body = text.find("{4:");
  if (body != std::string_view::npos) {
    const std::string_view rest = text.substr(body + 3);
    if (!mapping::trimmed(rest).empty()) text_line(line, rest);
  }
  return true;
}

void Reading::line(const Line& line) {
  if (line_problem(line) != nullptr) {
    if (in_movement()) return movement_.add(line);
    if (!message_.open || message_.other_type) return set_line_aside(sink_, line, "");
    end_movement();
    movement_.begin(line);  // it may have been a movement
    return end_movement();
  }
  text_line(line, without_control_characters(line.text));
}

void Reading::text_line(const Line& line, std::string_view text) {
  if (const auto field = tagged(text)) {
    const bool in_text = tag_ == "61" || tag_ == "86" || tag_.starts_with("NS");
    const bool is_text = in_text && (!is_known(field->tag) || continues_time(field_, *field));
    if (!is_text && (is_known(field->tag) || field->tag.size() >= 2))
      return start_field(line, field->tag, field->value);
  }
  if (envelope(line, text)) return;
  if (tag_.empty()) {
    if (!mapping::trimmed(text).empty() && !message_.other_type) {
      set_line_aside(sink_, line, "stands outside the fields of a message");
    }
    return;
  }
  if (in_movement()) movement_.add(line);
  if (in_movement() ? movement_.full() : field_.size() + text.size() > field_bytes_max) return;
  field_ += '\n';
  field_ += text;
}

void Reading::start_field(const Line& line, std::string_view tag, std::string_view value) {
  const bool first_of_other = message_.open && message_.other_type && tag_.empty();
  finish_field();
  if (tag != "86" && !tag.starts_with("NS")) end_movement();
  const bool starts = tag == "25" || tag == "25P" || tag == "28C" || tag == "60F" || tag == "60M";
  if (!first_of_other && (tag == "20" || (starts && (!message_.open || message_.closed)))) {
    begin_message(next_is_other_type_);
  }
  tag_ = tag;
  field_ = value;
  if (message_.other_type) return;
  if (tag == "61") {
    movement_.begin(line);
    if (!message_.open) {
      movement_.spoil("", "", "is a movement outside a statement: no :20:, :25: or :60F: stands before it");
    }
    details_.clear();
    transaction_.reset();
  } else if (movement_.open()) {
    movement_.add(line);
    if (movement_.full()) field_.clear();
  } else if (!message_.open && tag == "86") {
    set_line_aside(sink_, line, "stands outside a statement");
  }
}

void Reading::finish_field() {
  if (!message_.other_type) take_field();
  tag_.clear();
  field_.clear();
}

void Reading::take_field() {
  if (tag_ == "61") {
    Mt940Problem problem;
    transaction_ = parse_mt940_transaction(field_, problem);
    if (!transaction_) movement_.spoil(problem.part, problem.value, problem.reason);
  } else if (tag_ == "86" || tag_.starts_with("NS")) {
    finish_information();
  } else if (tag_ == "25" || tag_ == "25P") {
    finish_account();
  } else if (tag_ == "28" || tag_ == "28C") {
    finish_number();
  } else if (tag_ == "60F" || tag_ == "60M" || tag_.starts_with("62") || tag_ == "64") {
    finish_balance();
  } else if (tag_ == "90C" || tag_ == "90D" || tag_ == "34F" || tag_.starts_with("13")) {
    finish_totals();
  } else if (tag_ == "20") {
    sink_.meta("message_reference", mapping::trimmed(field_));
  }
}

void Reading::finish_information() {
  if (!movement_.open()) {
    if (message_.open && tag_ == "86") sink_.meta("information", mapping::trimmed(field_));
    return;
  }
  if (tag_ != "86") return movement_.fields.append("non_swift", mapping::trimmed(field_), "\n");
  if (!details_.empty()) details_ += '\n';
  details_ += field_;
}

void Reading::finish_account() {
  message_.account = account_of(field_);
  if (!message_.account.empty()) sink_.meta("account", message_.account);
}

// 28C: "117/2": number and page. A bank that counts neither writes zeros.
void Reading::finish_number() {
  const std::string_view text = mapping::trimmed(field_);
  const std::size_t slash = text.find('/');
  std::string_view number = text.substr(0, slash);
  while (number.starts_with('0')) number.remove_prefix(1);
  message_.number = number;
  if (!number.empty()) {
    sink_.meta("statement_no", number);
    sink_.meta("part", number);
  }
  const std::string_view page = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  constexpr std::size_t page_digits_max = 6;
  if (!all_digits(page) || page.size() > page_digits_max) return;
  message_.page = std::stoi(std::string(page));
  message_.has_pages = message_.page > 0;
}

void Reading::finish_balance() {
  const auto balance = parse_mt940_balance(field_);
  const bool is_opening = tag_.starts_with("60");
  if (tag_.starts_with("62")) message_.closed = true;
  if (!balance) return sink_.warn(":" + tag_ + ": '" + field_.substr(0, 64) + "' is no balance");
  if (!balance->currency.empty()) message_.currency = balance->currency;
  if (tag_ == "64") return sink_.meta("available_balance", balance->amount.to_string(2));
  if (is_opening) {
    message_.opening = balance;
    if (!message_.currency.empty()) sink_.meta("currency", message_.currency);
    sink_.meta("opening_balance", balance->amount.to_string(2));
    sink_.meta("opening_date", date_text(balance->date));
    if (tag_ == "60M") message_.has_pages = true;
  } else {
    message_.closing = balance;
    const std::string& opened_in = message_.opening ? message_.opening->currency : balance->currency;
    message_.one_currency = balance->currency.empty() || opened_in.empty() || opened_in == balance->currency;
    if (!message_.one_currency)
      sink_.warn("it opens in " + opened_in + " and closes in " + balance->currency);
    message_.ends_in_middle = tag_ == "62M";
    message_.has_pages = message_.has_pages || message_.ends_in_middle;
    sink_.meta("closing_balance", balance->amount.to_string(2));
  }
}

// 90C, 90D, the floor limit (which names the currency of an MT942) and the time of the report.
void Reading::finish_totals() {
  const std::string_view text = mapping::trimmed(field_);
  if (tag_ == "34F") {
    if (text.size() >= 3 && currency_code(text.substr(0, 3))) {
      message_.currency = text.substr(0, 3);
      sink_.meta("currency", message_.currency);
    }
    sink_.meta(text.size() > 3 && text[3] == 'C' ? "credit_floor_limit" : "floor_limit", text);
    return;
  }
  if (tag_.starts_with("13")) {
    const auto date = date_of_yymmdd(text.substr(0, 6));
    if (!date) return sink_.warn(":" + tag_ + ": '" + field_.substr(0, 64) + "' is no time");
    sink_.meta("report_time", text);
    if (!is_940()) sink_.meta("business_date", date_text(*date));
    return;
  }
  const auto totals = parse_mt940_totals(text);
  if (!totals) return sink_.warn(":" + tag_ + ": '" + field_.substr(0, 64) + "' is no number and sum");
  (tag_ == "90C" ? message_.stated_credits : message_.stated_debits) = totals;
}

void Reading::fill(const Mt940Transaction& transaction) {
  RecordFields& fields = movement_.fields;
  fields.set("value_date", date_text(transaction.value_date));
  if (transaction.entry_date) fields.set("entry_date", date_text(*transaction.entry_date));
  fields.set("mark", transaction.mark);
  fields.set("funds_code", transaction.funds_code);
  fields.set("amount", transaction.amount.to_string(2));
  fields.set("currency", message_.currency);
  fields.set("type", transaction.type);
  if (transaction.type.size() > 1) fields.set("type_code", transaction.type.substr(1));
  fields.set("reference", transaction.reference);
  fields.set("bank_reference", transaction.bank_reference);
  fields.set("supplementary", transaction.supplementary);
  if (!details_.empty()) take_mt940_details(details_, fields);
  const std::string_view first_line =
      std::string_view(transaction.supplementary).substr(0, transaction.supplementary.find('\n'));
  if (fields.get("counterparty_account").empty() && looks_like_iban(first_line)) {
    fields.set("counterparty_account", first_line);
  }
}

// The record that was handed over counts in the totals.
void Reading::book() {
  const Mt940Transaction& transaction = *transaction_;
  if (transaction.mark.starts_with('E')) return;
  message_.sum += transaction.amount;
  if (transaction.amount.is_negative() || transaction.mark == "D" || transaction.mark == "RC") {
    message_.debits += transaction.amount.negated();
    message_.debit_count++;
  } else {
    message_.credits += transaction.amount;
    message_.credit_count++;
  }
  const Date booked = transaction.entry_date.value_or(transaction.value_date);
  message_.first_booked = std::min(message_.first_booked.value_or(booked), booked);
  message_.last_booked = std::max(message_.last_booked.value_or(booked), booked);
}

void Reading::end_movement() {
  if (!movement_.open()) return;
  if (transaction_ && !movement_.spoilt()) fill(*transaction_);
  const bool expected = transaction_ && transaction_->mark.starts_with('E');
  if (movement_.hand_over(sink_, expected ? "expected" : "booked")) book();
  transaction_.reset();
  details_.clear();
}

// Pages of one statement follow each other; some banks number them, some say only that more is to come.
void Reading::report_pages() {
  const bool continued = previous_.ends_in_middle && previous_.account == message_.account;
  if (continued && message_.page <= previous_.page) message_.page = previous_.page + 1;
  if (!message_.has_pages && !continued) return;
  message_.page = std::max(message_.page, 1);
  sink_.meta("page", std::to_string(message_.page));
  if (message_.closing && !message_.ends_in_middle) sink_.meta("last_page", "true");
}

// An MT940 that covers one day is of that day; else it has a period.
void Reading::report_dates() {
  if (!is_940() || !message_.closing) return;
  const Date end = message_.closing->date;
  const Date first = message_.first_booked.value_or(end);
  const Date last = std::max(message_.last_booked.value_or(end), end);
  if (first == end && last == end) return sink_.meta("business_date", date_text(end));
  sink_.meta("period_start", date_text(std::min(first, end)));
  sink_.meta("period_end", date_text(last));
}

void Reading::compare(const char* name, const std::optional<Mt940Totals>& stated, std::int64_t count,
                      Decimal sum) {
  if (!stated) return;
  const std::string prefix = name;
  sink_.control(
      {prefix + " count", std::to_string(stated->count), std::to_string(count), stated->count == count});
  sink_.control({prefix + " sum", stated->amount.to_string(2), sum.to_string(2), stated->amount == sum});
}

void Reading::report_controls() {
  if (is_940()) {
    ControlLine line{"closing balance", message_.closing ? message_.closing->amount.to_string(2) : "",
                     message_.opening ? (message_.opening->amount + message_.sum).to_string(2) : "", false};
    line.agrees =
        message_.opening && message_.closing && line.stated == line.computed && message_.one_currency;
    if (!message_.opening) line.computed = "no opening balance";
    if (!message_.closing) line.stated = "the message has no :62F: or :62M:";
    sink_.control(std::move(line));
  }
  compare("debit", message_.stated_debits, message_.debit_count, message_.debits);
  compare("credit", message_.stated_credits, message_.credit_count, message_.credits);
}

void Reading::finish() {
  end_message();
  if (!any_message_)
    sink_.reject(is_940() ? "it holds no MT940 message: no :20:, :25: or :60F:"
                          : "it holds no MT942 message: no :20: or :25:");
}

}  // namespace

void Mt940Framer::read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
                       Interrupts& interrupts) {
  LineReader lines(source, charsets_, interrupts);
  Reading reading(message_, sink);
  read_lines(lines, sink, reading);
}

std::vector<std::string> Mt940Framer::columns() const {
  return {column_names.begin(), column_names.end()};
}

std::unique_ptr<Framer> make_mt940_framer(const FormatDocument& format) {
  format.frame->allow_only({"type"});
  return std::make_unique<Mt940Framer>(Mt940Framer::Message::mt940, format.charsets);
}

std::unique_ptr<Framer> make_mt942_framer(const FormatDocument& format) {
  format.frame->allow_only({"type"});
  return std::make_unique<Mt940Framer>(Mt940Framer::Message::mt942, format.charsets);
}

}  // namespace pg_reconcile::core
