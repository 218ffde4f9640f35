#include "core/statement/nacha_framer.h"

#include <array>
#include <optional>
#include <utility>

#include "core/mapping/timestamp_format.h"
#include "core/statement/format_document.h"
#include "core/statement/nacha_record_reader.h"
#include "core/statement/pending_record.h"
#include "core/statement/short_date.h"

namespace pg_reconcile::core {
namespace {

constexpr std::array<std::string_view, 31> column_names = {
    "transaction_code",    "direction",        "amount",
    "routing_number",      "account_number",   "individual_id",
    "individual_name",     "trace_number",     "return_code",
    "original_trace",      "original_routing", "date_of_death",
    "information",         "change_code",      "corrected_data",
    "payment_information", "return_trace",     "return_settlement_day",
    "returned_code",       "dishonored_trace", "dishonored_code",
    "company_name",        "company_id",       "entry_class",
    "entry_description",   "descriptive_date", "effective_date",
    "settlement_date",     "batch_number",     "originating_routing",
    "discretionary_data"};

constexpr std::uint64_t hash_modulus = 10000000000ULL;
constexpr int cents_digits = 2;

struct Sums {
  std::int64_t records = 0;  // entries and addenda
  std::uint64_t hash = 0;
  Decimal debits;  // in cents
  Decimal credits;
};

struct Batch {
  bool open = false;
  bool advice = false;  // ADV: wider amounts
  bool international = false;
  std::string company_name, company_id, entry_class, description, descriptive_date, effective, settlement,
      number, originator;
  Sums sums;
};

class Reading {
 public:
  Reading(NachaRecordReader& in, FrameSink& sink) : in_(in), sink_(sink), entry_(column_names) {}

  void record();
  void finish();

 private:
  static constexpr int batches_listed_max = 100;

  NachaRecordReader& in_;
  FrameSink& sink_;
  bool in_file_ = false;
  bool any_ = false;
  std::optional<Date> file_date_;
  Batch batch_;
  Sums file_;
  std::int64_t records_ = 0;  // of the file, the filling nines too
  std::int64_t batches_ = 0;
  std::int64_t batches_agree_ = 0;
  int batches_listed_ = 0;
  std::optional<std::string> stated_blocks_;

  PendingRecord entry_;
  std::string type_;
  std::string amount_;  // of the entry, in cents
  bool debit_ = false;

  void file_header();
  void batch_header();
  void entry();
  void addenda();
  void return_addenda();
  void batch_control();
  void file_control();
  void end_entry();
  void end_batch();
  void end_file();
  void bad(std::string_view column, std::string_view value, std::string_view reason);
  bool compare(const std::string& name, std::string_view stated, const std::string& computed, bool always);
  bool compare_sums(const std::string& prefix, const Sums& sums, std::size_t count_at, std::size_t count_end,
                    std::size_t amount_width, bool always);
};

void Reading::bad(std::string_view column, std::string_view value, std::string_view reason) {
  BadRow row;
  row.place = in_.place();
  row.raw = in_.record();
  row.column = column;
  row.value = value;
  row.reason = reason;
  sink_.bad(row);
}

void Reading::record() {
  const char code = in_.record()[0];
  const bool filling = in_.record().find_first_not_of('9') == std::string::npos;
  if (!in_.is_text()) {
    end_entry();
    records_++;
    return bad("", "", "has bytes that are no printable ASCII");
  }
  if (code == '1') {
    end_file();
    file_header();
  } else if (filling) {
    end_entry();
  } else if (in_.size() < NachaRecordReader::record_bytes && code != '9') {
    end_entry();
    bad("", "", "has " + std::to_string(in_.size()) + " columns where 94 are expected");
  } else if (code == '5') {
    batch_header();
  } else if (code == '6') {
    entry();
  } else if (code == '7') {
    addenda();
  } else if (code == '8') {
    batch_control();
  } else if (code == '9') {
    file_control();
  } else {
    end_entry();
    bad("", in_.record().substr(0, 1), "is no record of an ACH file (1, 5, 6, 7, 8, 9)");
  }
  records_++;
}

void Reading::file_header() {
  in_file_ = any_ = true;
  file_ = Sums();
  records_ = batches_ = batches_agree_ = 0;
  batches_listed_ = 0;
  stated_blocks_.reset();
  sink_.next_statement();
  file_date_ = date_of_yymmdd(in_.at(24, 29));
  if (file_date_) {
    sink_.meta("business_date", date_text(*file_date_));
  } else {
    sink_.warn("the file header has no date of creation: '" + std::string(in_.at(24, 29)) + "'");
  }
  const std::pair<const char*, std::string_view> facts[] = {{"destination", in_.at(4, 13)},
                                                            {"origin", in_.at(14, 23)},
                                                            {"file_id", in_.at(34, 34)},
                                                            {"destination_name", in_.at(41, 63)},
                                                            {"origin_name", in_.at(64, 86)}};
  for (const auto& [name, value] : facts) {
    if (!value.empty()) sink_.meta(name, value);
  }
}

void Reading::batch_header() {
  end_batch();
  any_ = true;
  batch_ = Batch();
  batch_.open = true;
  batches_++;
  batch_.company_name = in_.at(5, 20);
  batch_.company_id = in_.at(41, 50);
  batch_.entry_class = in_.at(51, 53);
  batch_.description = in_.at(54, 63);
  batch_.descriptive_date = in_.at(64, 69);
  batch_.originator = in_.at(80, 87);
  batch_.number = in_.at(88, 94);
  batch_.advice = batch_.entry_class == "ADV" || in_.at(2, 4) == "280";
  batch_.international = batch_.entry_class == "IAT";
  const auto effective = date_of_yymmdd(in_.at(70, 75));
  if (effective) batch_.effective = date_text(*effective);
  const std::optional<Date> beside = effective ? effective : file_date_;
  const auto settlement = beside ? nearest_day_of_year(in_.at(76, 78), *beside) : std::nullopt;
  if (settlement) batch_.settlement = date_text(*settlement);
}

void Reading::entry() {
  end_entry();
  any_ = true;
  entry_.begin(in_.place(), std::string_view(in_.record()).substr(0, in_.size()));
  const std::string_view code = in_.at(2, 3);
  const std::string_view routing = in_.at(4, 11);
  const std::string_view amount = batch_.advice ? in_.at(28, 39) : in_.at(30, 39);
  type_ =
      code.size() == 2 && (code[1] == '3' || code[1] == '8') && !batch_.advice ? "prenotification" : "entry";
  amount_ = all_digits(amount) ? amount : std::string_view();
  if (!batch_.open) entry_.spoil("", "", "is an entry outside a batch: no record 5 before it");
  if (code.size() != 2 || !all_digits(code)) entry_.spoil("transaction_code", code, "is no transaction code");
  if (routing.size() != 8 || !all_digits(routing))
    entry_.spoil("routing_number", routing, "is no routing number");
  if (amount_.empty()) entry_.spoil("amount", amount, "is no amount in cents");
  debit_ = code.size() == 2 && (batch_.advice ? (code[1] - '0') % 2 == 0 : code[1] >= '5');
  batch_.sums.records++;
  if (all_digits(routing)) batch_.sums.hash += std::stoull(std::string(routing));
  RecordFields& fields = entry_.fields;
  fields.set("transaction_code", code);
  fields.set("direction", debit_ ? "debit" : "credit");
  fields.set("routing_number", in_.at(4, 12));
  fields.set("account_number", batch_.advice          ? in_.at(13, 27)
                               : batch_.international ? in_.at(40, 74)
                                                      : in_.at(13, 29));
  if (!batch_.advice && !batch_.international) fields.set("individual_id", in_.at(40, 54));
  if (!batch_.international) fields.set("individual_name", in_.at(55, 76));
  fields.set("discretionary_data", in_.at(77, 78));
  fields.set("trace_number", in_.at(80, 94));
}

void Reading::addenda() {
  if (!entry_.open()) return bad("", "", "is an addenda without an entry");
  entry_.add(std::string_view(in_.record()).substr(0, in_.size()));
  batch_.sums.records++;
  if (entry_.full()) return;
  const std::string_view type = in_.at(2, 3);
  RecordFields& fields = entry_.fields;
  if (type == "99") return return_addenda();
  if (type == "98") {
    type_ = "notice_of_change";
    fields.set("change_code", in_.at(4, 6));
    fields.set("original_trace", in_.at(7, 21));
    fields.set("original_routing", in_.at(28, 35));
    fields.set("corrected_data", in_.at(36, 64));
  } else if (type == "05") {
    fields.append("payment_information", in_.at(4, 83), "");
  } else if (batch_.international && type == "10") {
    fields.set("individual_name", in_.at(47, 81));
  } else {
    fields.append("information", in_.at(4, 79), " ");
  }
}

void Reading::return_addenda() {
  RecordFields& fields = entry_.fields;
  const std::string_view code = in_.at(4, 6);
  const bool known = code.size() == 3 && (code[0] == 'R') && all_digits(code.substr(1));
  if (!known) entry_.spoil("return_code", code, "is no return code (R01 to R99)");
  const bool dishonored = code >= "R61" && code <= "R70";
  const bool contested = code >= "R71" && code <= "R79";
  type_ = dishonored ? "dishonored_return" : contested ? "contested_return" : "return";
  fields.set("return_code", code);
  fields.set("original_trace", in_.at(7, 21));
  fields.set("original_routing", in_.at(28, 35));
  if (dishonored || contested) {
    fields.set("return_trace", in_.at(39, 53));
    fields.set("return_settlement_day", in_.at(54, 56));
    fields.set("returned_code", in_.at(57, 58));
    if (dishonored) fields.set("information", in_.at(59, 79));
    if (contested) fields.set("dishonored_trace", in_.at(59, 73));
    if (contested) fields.set("dishonored_code", in_.at(77, 78));
    return;
  }
  const auto death = date_of_yymmdd(in_.at(22, 27));
  if (death) fields.set("date_of_death", date_text(*death));
  fields.set("information", batch_.international ? in_.at(46, 79) : in_.at(36, 79));
}

// What it does to the originator's money: a debit that comes back is lost, a credit that comes back is
// regained; a dishonored return undoes that. An entry that is no return stands as its receiver sees it.
void Reading::end_entry() {
  if (!entry_.open()) return;
  const auto cents = Decimal::parse(amount_);
  const auto amount = cents ? cents->shifted_right(cents_digits) : std::nullopt;
  if (cents) (debit_ ? batch_.sums.debits : batch_.sums.credits) += *cents;
  const bool negative = debit_ != (type_ == "dishonored_return");
  RecordFields& fields = entry_.fields;
  if (amount) fields.set("amount", (negative ? amount->negated() : *amount).to_string(cents_digits));
  fields.set("company_name", batch_.company_name);
  fields.set("company_id", batch_.company_id);
  fields.set("entry_class", batch_.entry_class);
  fields.set("entry_description", batch_.description);
  fields.set("descriptive_date", batch_.descriptive_date);
  fields.set("effective_date", batch_.effective);
  fields.set("settlement_date", batch_.settlement);
  fields.set("batch_number", batch_.number);
  fields.set("originating_routing", batch_.originator);
  entry_.hand_over(sink_, type_);
}

bool Reading::compare(const std::string& name, std::string_view stated, const std::string& computed,
                      bool always) {
  const auto number = all_digits(stated) ? Decimal::parse_sum(stated) : std::nullopt;
  const std::string text = number ? number->to_string() : std::string(stated);
  const bool agrees = number && text == computed;
  if (always || (!agrees && batches_listed_ < batches_listed_max)) {
    sink_.control({name, text, computed, agrees});
    if (!always) batches_listed_++;
  }
  return agrees;
}

// Count, hash, debits and credits stand one behind the other.
bool Reading::compare_sums(const std::string& prefix, const Sums& sums, std::size_t count_at,
                           std::size_t count_end, std::size_t amount_width, bool always) {
  constexpr std::size_t hash_width = 10;
  const std::size_t debit_at = count_end + 1 + hash_width;
  bool agrees = compare(prefix + " entries and addenda", in_.at(count_at, count_end),
                        std::to_string(sums.records), always);
  agrees &= compare(prefix + " entry hash", in_.at(count_end + 1, count_end + hash_width),
                    std::to_string(sums.hash % hash_modulus), always);
  agrees &= compare(prefix + " debits", in_.at(debit_at, debit_at + amount_width - 1),
                    sums.debits.to_string(), always);
  agrees &= compare(prefix + " credits", in_.at(debit_at + amount_width, debit_at + 2 * amount_width - 1),
                    sums.credits.to_string(), always);
  return agrees;
}

void Reading::batch_control() {
  end_entry();
  if (!batch_.open) return bad("", "", "closes a batch that was not opened: no record 5 before it");
  const std::size_t width = batch_.advice ? 20 : 12;
  if (compare_sums("batch " + batch_.number, batch_.sums, 5, 10, width, false)) batches_agree_++;
  file_.records += batch_.sums.records;
  file_.hash += batch_.sums.hash % hash_modulus;
  file_.debits += batch_.sums.debits;
  file_.credits += batch_.sums.credits;
  batch_.open = false;
}

void Reading::end_batch() {
  end_entry();
  if (!batch_.open) return;
  sink_.control({"batch " + batch_.number, "missing",
                 "the file ends before its record 8, or goes on without it", false});
  file_.records += batch_.sums.records;
  batch_.open = false;
}

void Reading::file_control() {
  end_batch();
  if (!in_file_) return bad("", "", "closes a file that was not opened: no record 1 before it");
  in_file_ = false;
  compare("file batches", in_.at(2, 7), std::to_string(batches_), true);
  compare_sums("file", file_, 14, 21, batch_.advice ? 20 : 12, true);
  stated_blocks_ = in_.at(8, 13);
}

// Blocks are of ten records; the last one is filled with nines, which some files leave out.
void Reading::end_file() {
  end_batch();
  if (!any_) return;
  constexpr std::int64_t block_records = 10;
  sink_.control({"batch controls", std::to_string(batches_), std::to_string(batches_agree_),
                 batches_ == batches_agree_});
  if (stated_blocks_) {
    compare("file blocks", *stated_blocks_, std::to_string((records_ + block_records - 1) / block_records),
            true);
  } else {
    sink_.control({"file control", "missing", "the file ends before its record 9", false});
  }
  any_ = false;
}

void Reading::finish() {
  const bool seen = any_;
  end_file();
  if (!seen) sink_.reject("it is no ACH file: no record 1, 5 or 6");
}

}  // namespace

void NachaFramer::read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
                       Interrupts& interrupts) {
  NachaRecordReader records(source, interrupts);
  Reading reading(records, sink);
  while (!sink.stopped() && records.next()) reading.record();
  if (!sink.stopped()) reading.finish();
}

std::vector<std::string> NachaFramer::columns() const {
  return {column_names.begin(), column_names.end()};
}

std::unique_ptr<Framer> make_nacha_framer(const FormatDocument& format) {
  format.frame->allow_only({"type"});
  return std::make_unique<NachaFramer>();
}

}  // namespace pg_reconcile::core
