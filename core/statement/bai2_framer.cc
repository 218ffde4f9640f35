#include "core/statement/bai2_framer.h"

#include <array>
#include <map>
#include <optional>
#include <set>

#include "core/mapping/timestamp_format.h"
#include "core/money/currency.h"
#include "core/statement/bai2_record.h"
#include "core/statement/format_document.h"
#include "core/statement/line_frame.h"
#include "core/statement/pending_record.h"
#include "core/statement/short_date.h"

namespace pg_reconcile::core {
namespace {

constexpr std::array<std::string_view, 17> column_names = {
    "type_code",          "amount",    "currency",   "direction",  "funds_type",      "value_date",
    "value_time",         "immediate", "one_day",    "later",      "distribution",    "bank_reference",
    "customer_reference", "text",      "as_of_date", "as_of_time", "group_originator"};

constexpr int usual_digits = 2;  // of a currency that nobody knows: the map refuses it

// A total that is stated, and the sum of what it is the total of.
struct Totals {
  Decimal amounts;
  std::int64_t records = 0;
  std::int64_t parts = 0;  // accounts of a group, groups of a file
};

struct Header {
  std::string sender;
  std::string file_id;
  std::string originator;
  std::string group_status;
  std::string as_of_date;  // yyyy-MM-dd
  std::string as_of_time;
  std::string currency;
  std::string report;  // interim or final, of the day before or of the same day
};

struct Summary {
  Decimal amount;
  std::optional<std::int64_t> count;
};

std::string iso_date(std::string_view yymmdd) {
  const auto date = date_of_yymmdd(yymmdd);
  return date ? date_text(*date) : std::string();
}

class Reading {
 public:
  Reading(bool complete_detail, FrameSink& sink)
      : complete_detail_(complete_detail), sink_(sink), movement_(column_names) {}

  void line(const Line& line);
  void finish();

 private:
  bool complete_detail_;
  FrameSink& sink_;
  bool in_file_ = false;
  bool in_group_ = false;
  bool in_account_ = false;
  bool slashes_ = true;
  bool damaged_ = false;  // an amount of the account can't be read: its total proves nothing
  Header header_;
  Totals file_;
  Totals group_;
  Totals account_;

  std::vector<Bai2Piece> pieces_;
  std::string code_;  // of the record under way
  Bai2Record record_;
  RowPlace place_;
  PendingRecord movement_;

  std::string account_number_;
  std::string currency_;
  int digits_ = usual_digits;
  std::map<std::string, Summary> summaries_;
  Decimal credits_;
  Decimal debits_;
  std::int64_t credit_count_ = 0;
  std::int64_t debit_count_ = 0;
  std::map<std::string, int> seen_;  // account and day -> how often
  std::set<std::string> custom_codes_;

  void piece(const Line& line, const Bai2Piece& piece);
  void go_on(const Line& line, const Bai2Piece& piece, const RowPlace& place);
  void start(const Bai2Piece& piece, const RowPlace& place);
  void aside(const RowPlace& place, std::string_view raw, std::string_view reason);
  void finish_record();
  void finish_file_header();
  void finish_group_header();
  void finish_account_header();
  void finish_detail();
  bool fill_detail();
  void finish_trailer();
  void close_account();
  void close_group();
  void report_account();
  void report_balances();
  void report_summary(const char* code, const char* name, Decimal sum, std::int64_t count);
  void take_summaries(Bai2Fields& fields);
  void compare(const std::string& name, std::string_view stated, Decimal computed);
  void compare_count(const std::string& name, std::string_view stated, std::int64_t computed);
  void missing(const std::string& name);
  [[nodiscard]] std::string money(Decimal minor_units) const;
  [[nodiscard]] std::optional<Decimal> balance(const char* ledger, const char* available) const;
};

std::string Reading::money(Decimal minor_units) const {
  return minor_units.shifted_right(digits_).value_or(minor_units).to_string(digits_);
}

void Reading::aside(const RowPlace& place, std::string_view raw, std::string_view reason) {
  BadRow row;
  row.place = place;
  row.raw = raw;
  row.reason = reason;
  sink_.bad_outside(row);
}

void Reading::line(const Line& line) {
  if (const char* problem = line_problem(line)) {
    if (movement_.open()) return movement_.add(line);
    if (in_account_) damaged_ = true;
    return aside({0, line.number, line.offset}, line.bytes, problem);
  }
  split_bai2_line(line.text, pieces_);
  for (std::size_t i = 0; i < pieces_.size() && !sink_.stopped(); i++) piece(line, pieces_[i]);
}

void Reading::piece(const Line& line, const Bai2Piece& piece) {
  RowPlace place{0, line.number, line.offset};
  if (line.text.data() == line.bytes.data()) place.byte_offset += piece.text.data() - line.text.data();
  if (!in_file_ && piece.code != "01") {
    return sink_.reject("it is no BAI2 file: it starts with \"" + std::string(piece.text.substr(0, 16)) +
                        "\" where a record 01 is expected");
  }
  if (piece.code.empty() || piece.code == "88") return go_on(line, piece, place);
  finish_record();
  if (!sink_.stopped()) start(piece, place);
}

void Reading::go_on(const Line& line, const Bai2Piece& piece, const RowPlace& place) {
  const bool is_88 = piece.code == "88";
  if (code_.empty() || (!is_88 && (record_.ended() || code_ != "16"))) {
    return aside(place, line.bytes,
                 is_88 ? "goes on with a record that is not there" : "is no record of BAI2");
  }
  if (is_88) {
    account_.records++;
    group_.records++;
    file_.records++;
  }
  if (movement_.open()) movement_.add(piece.text);
  if (record_.text().size() > PendingRecord::bytes_max) {
    damaged_ = true;  // a summary without end
    return;
  }
  record_.add(piece, slashes_);
}

void Reading::start(const Bai2Piece& piece, const RowPlace& place) {
  code_ = piece.code;
  place_ = place;
  record_.begin(piece);
  if (code_ == "01") {
    slashes_ = record_.ended();
    file_ = Totals();
    in_file_ = true;
  } else if (code_ == "02") {
    close_group();
    group_ = Totals();
    in_group_ = true;
    file_.parts++;
  } else if (code_ == "03") {
    close_account();
    account_ = Totals();
    in_account_ = true;
    group_.parts++;
  } else if (code_ == "16") {
    movement_.begin(place, piece.text);
  }
  account_.records++;
  group_.records++;
  file_.records++;
}

void Reading::finish_record() {
  const std::string code = code_;
  code_.clear();
  if (code == "01") {
    finish_file_header();
  } else if (code == "02") {
    finish_group_header();
  } else if (code == "03") {
    finish_account_header();
  } else if (code == "16") {
    finish_detail();
  } else if (!code.empty()) {
    code_ = code;
    finish_trailer();
    code_.clear();
  }
}

void Reading::finish_file_header() {
  Bai2Fields fields(record_.text());
  header_ = Header();
  header_.sender = fields.next();
  (void)fields.next();  // receiver
  (void)fields.next();  // date and time of creation
  (void)fields.next();
  header_.file_id = fields.next();
}

void Reading::finish_group_header() {
  constexpr std::array<std::string_view, 5> reports = {"", "interim previous day", "final previous day",
                                                       "interim same day", "final same day"};
  Bai2Fields fields(record_.text());
  (void)fields.next();  // ultimate receiver
  header_.originator = fields.next();
  header_.group_status = fields.next();
  const std::string as_of(fields.next());
  header_.as_of_date = iso_date(as_of);
  header_.as_of_time = fields.next();
  header_.currency = fields.next();
  const std::string_view modifier = fields.next();
  const bool known = modifier.size() == 1 && modifier[0] >= '1' && modifier[0] <= '4';
  header_.report = known ? reports[static_cast<std::size_t>(modifier[0] - '0')] : std::string_view();
  if (header_.as_of_date.empty())
    aside(place_, "02," + record_.text(), "has no as-of date written as yyMMdd");
  if (header_.group_status == "2" || header_.group_status == "4") {
    sink_.reject(
        "line " + std::to_string(place_.line) + ": group status " + header_.group_status +
        (header_.group_status == "2" ? " deletes what an earlier file said" : " says that it is a test"));
  }
}

void Reading::take_summaries(Bai2Fields& fields) {
  while (!fields.at_end()) {
    const std::string type(fields.next());
    if (type.empty()) continue;
    const std::string_view written = fields.next();
    const auto amount = bai2_amount(written);
    const std::string_view count = fields.next();
    Bai2Funds funds;
    if (!amount || type.size() > 3 || !all_digits(type) || !take_bai2_funds(fields, funds)) {
      damaged_ = true;
      return aside(place_, "03," + record_.text(),
                   "has a balance or summary that can't be read: " + type + "," + std::string(written));
    }
    account_.amounts += *amount;
    if (written.empty()) continue;
    Summary summary{*amount, std::nullopt};
    if (all_digits(count) && count.size() <= 9) summary.count = std::stoll(std::string(count));
    summaries_.insert_or_assign(type, summary);
  }
}

std::optional<Decimal> Reading::balance(const char* ledger, const char* available) const {
  for (const char* code : {ledger, available}) {
    const auto found = summaries_.find(code);
    if (found != summaries_.end()) return found->second.amount;
  }
  return std::nullopt;
}

void Reading::finish_account_header() {
  sink_.next_statement();
  summaries_.clear();
  credits_ = debits_ = Decimal();
  credit_count_ = debit_count_ = 0;
  damaged_ = record_.text().size() > PendingRecord::bytes_max;
  Bai2Fields fields(record_.text());
  account_number_ = fields.next();
  currency_ = fields.next();
  if (currency_.empty()) currency_ = header_.currency.empty() ? "USD" : header_.currency;
  currency_ = currency_code(currency_).value_or(currency_);
  digits_ = minor_unit_digits(currency_).value_or(usual_digits);
  sink_.meta("account", account_number_);
  sink_.meta("currency", currency_);
  const std::pair<const char*, const std::string&> facts[] = {{"business_date", header_.as_of_date},
                                                              {"as_of_time", header_.as_of_time},
                                                              {"report", header_.report},
                                                              {"sender", header_.sender},
                                                              {"file_id", header_.file_id},
                                                              {"group_originator", header_.originator},
                                                              {"group_status", header_.group_status}};
  for (const auto& [name, value] : facts) {
    if (!value.empty()) sink_.meta(name, value);
  }
  const int times = ++seen_[account_number_ + "\n" + header_.as_of_date];
  if (times > 1) sink_.meta("part", std::to_string(times));
  if (!in_group_)
    aside(place_, "03," + record_.text(), "is an account outside a group: no record 02 before it");
  take_summaries(fields);
  report_balances();
}

void Reading::report_balances() {
  constexpr std::size_t summaries_max = 200;
  if (const auto opening = balance("010", "040")) sink_.meta("opening_balance", money(*opening));
  if (const auto closing = balance("015", "045")) sink_.meta("closing_balance", money(*closing));
  std::size_t count = 0;
  for (const auto& [code, summary] : summaries_) {
    if (++count > summaries_max) break;
    sink_.meta("summary_" + code, money(summary.amount));
  }
}

// False: the record is spoilt.
bool Reading::fill_detail() {
  Bai2Fields in(record_.text());
  RecordFields& out = movement_.fields;
  const std::string type_code(in.next());
  const std::string written(in.next());
  const auto amount = bai2_amount(written);
  if (!amount) damaged_ = true;
  if (amount) account_.amounts += *amount;
  const auto spoil = [&](const char* column, std::string_view value, const char* reason) {
    movement_.spoil(column, value, reason);
    return false;
  };
  if (type_code.size() != 3 || !all_digits(type_code)) {
    return spoil("type_code", type_code, "is no type code of three digits");
  }
  if (!amount) return spoil("amount", written, "is no amount in minor units");
  const Bai2Direction direction = bai2_direction(type_code);
  const bool note = type_code == "890";
  if (direction == Bai2Direction::none && !note) {
    return spoil("type_code", type_code, "says neither credit (100 to 399) nor debit (400 to 699)");
  }
  if (!in_account_) return spoil("", "", "is a movement outside an account: no record 03 before it");
  Bai2Funds funds;
  if (!take_bai2_funds(in, funds)) return spoil("funds_type", funds.type, "is no funds type of BAI2");
  if (!funds.value_date.empty() && !all_zeros(funds.value_date) && iso_date(funds.value_date).empty()) {
    return spoil("value_date", funds.value_date, "is no date of the calendar written as yyMMdd");
  }
  const auto signed_amount = direction == Bai2Direction::debit ? amount->negated() : *amount;
  out.set("type_code", type_code);
  out.set("amount", money(signed_amount));
  out.set("currency", currency_);
  if (!note) out.set("direction", direction == Bai2Direction::debit ? "debit" : "credit");
  out.set("funds_type", funds.type);
  out.set("value_date", iso_date(funds.value_date));
  out.set("value_time", funds.value_time);
  const std::pair<const char*, const std::string&> parts[] = {
      {"immediate", funds.immediate}, {"one_day", funds.one_day}, {"later", funds.later}};
  for (const auto& [name, value] : parts) {
    const auto part = bai2_amount(value);
    if (part && !value.empty()) out.set(name, money(*part));
  }
  out.set("distribution", funds.distribution);
  out.set("bank_reference", in.next());
  out.set("customer_reference", in.next());
  out.set("text", in.rest());
  out.set("as_of_date", header_.as_of_date);
  out.set("as_of_time", header_.as_of_time);
  out.set("group_originator", header_.originator);
  if (type_code[0] == '9' && custom_codes_.insert(type_code).second) {
    sink_.warn("type code " + type_code + " is the bank's own: taken as a " +
               std::string(out.get("direction")));
  }
  return true;
}

void Reading::finish_detail() {
  if (!movement_.open()) return;
  const bool good = fill_detail();
  const bool note = movement_.fields.get("type_code") == "890";
  const auto amount = good ? Decimal::parse(movement_.fields.get("amount")) : std::nullopt;
  if (!movement_.hand_over(sink_, note ? "note" : "transaction") || !amount || note) return;
  if (movement_.fields.get("direction") == "debit") {
    debits_ -= *amount;
    debit_count_++;
  } else {
    credits_ += *amount;
    credit_count_++;
  }
}

void Reading::compare(const std::string& name, std::string_view stated, Decimal computed) {
  const auto amount = bai2_amount(stated);
  const bool agrees = amount && !stated.empty() && *amount == computed && !damaged_;
  sink_.control({name, amount ? amount->to_string() : std::string(stated), computed.to_string(), agrees});
}

void Reading::compare_count(const std::string& name, std::string_view stated, std::int64_t computed) {
  const auto count = bai2_amount(stated);
  const bool agrees = count && !stated.empty() && count->to_string() == std::to_string(computed);
  sink_.control({name, count ? count->to_string() : std::string(stated), std::to_string(computed), agrees});
}

void Reading::missing(const std::string& name) {
  sink_.control({name, "missing", "the file ends before it, or goes on without it", false});
}

// 49, 98 and 99: amounts and counts of what they close. A counter counts its own trailer.
void Reading::finish_trailer() {
  Bai2Fields fields(record_.text());
  const std::string total(fields.next());
  if (code_ == "49") {
    if (!in_account_) return aside(place_, "49," + record_.text(), "closes an account that was not opened");
    compare("49 account total", total, account_.amounts);
    compare_count("49 records", fields.next(), account_.records);
    report_account();
    group_.amounts += account_.amounts;
    in_account_ = false;
    return;
  }
  close_account();
  if (code_ == "98") {
    if (!in_group_) return aside(place_, "98," + record_.text(), "closes a group that was not opened");
    compare("98 group total", total, group_.amounts);
    compare_count("98 accounts", fields.next(), group_.parts);
    compare_count("98 records", fields.next(), group_.records);
    file_.amounts += group_.amounts;
    in_group_ = false;
    return;
  }
  close_group();
  compare("99 file total", total, file_.amounts);
  compare_count("99 groups", fields.next(), file_.parts);
  compare_count("99 records", fields.next(), file_.records);
  in_file_ = false;
}

void Reading::report_summary(const char* code, const char* name, Decimal sum, std::int64_t count) {
  const auto found = summaries_.find(code);
  if (found == summaries_.end()) return;
  const std::string prefix = std::string(code) + " " + name;
  const std::string stated = money(found->second.amount);
  sink_.control({prefix, stated, sum.to_string(digits_), stated == sum.to_string(digits_)});
  const auto& items = found->second.count;
  if (items)
    sink_.control({prefix + " count", std::to_string(*items), std::to_string(count), *items == count});
}

void Reading::report_account() {
  if (!complete_detail_) return;
  report_summary("100", "total credits", credits_, credit_count_);
  report_summary("400", "total debits", debits_, debit_count_);
  const auto opening = summaries_.find("010");
  const auto closing = summaries_.find("015");
  if (opening == summaries_.end() || closing == summaries_.end()) return;
  const auto before = Decimal::parse(money(opening->second.amount));
  const std::string computed = (before.value_or(Decimal()) + credits_ - debits_).to_string(digits_);
  const std::string stated = money(closing->second.amount);
  sink_.control({"015 closing ledger", stated, computed, stated == computed});
}

void Reading::close_account() {
  if (!in_account_) return;
  missing("49 account total");
  group_.amounts += account_.amounts;
  in_account_ = false;
}

void Reading::close_group() {
  close_account();
  if (!in_group_) return;
  missing("98 group total");
  file_.amounts += group_.amounts;
  in_group_ = false;
}

void Reading::finish() {
  if (!in_file_ && code_.empty() && file_.records == 0)
    return sink_.reject("it is no BAI2 file: it has no record 01");
  finish_record();
  if (sink_.stopped()) return;
  close_group();
  if (in_file_) missing("99 file total");
}

}  // namespace

void Bai2Framer::read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
                      Interrupts& interrupts) {
  LineReader lines(source, charsets_, interrupts);
  Reading reading(complete_detail_, sink);
  read_lines(lines, sink, reading);
}

std::vector<std::string> Bai2Framer::columns() const {
  return {column_names.begin(), column_names.end()};
}

std::unique_ptr<Framer> make_bai2_framer(const FormatDocument& format) {
  format.frame->allow_only({"type", "detail"});
  bool complete = true;
  if (const auto detail = format.frame->find("detail")) {
    complete = detail->text_in({"complete", "partial"}) == "complete";
  }
  return std::make_unique<Bai2Framer>(complete, format.charsets);
}

}  // namespace pg_reconcile::core
