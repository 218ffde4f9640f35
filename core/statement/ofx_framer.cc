#include "core/statement/ofx_framer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/mapping/timestamp_format.h"
#include "core/statement/charset.h"
#include "core/statement/ofx_tokens.h"
#include "core/statement/xml_leaves.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t depth_max = 32;
constexpr std::size_t raw_bytes_max = 4096;
constexpr std::int64_t record_bytes_max = 1048576;

// What groups others. Anything else that has no text states nothing: SGML does not tell the two apart.
constexpr std::array<std::string_view, 32> groups = {
    "OFX",          "SIGNONMSGSRSV1",     "SONRS",       "STATUS",       "FI",
    "BANKMSGSRSV1", "CREDITCARDMSGSRSV1", "STMTTRNRS",   "CCSTMTTRNRS",  "STMTRS",
    "CCSTMTRS",     "BANKACCTFROM",       "CCACCTFROM",  "BANKTRANLIST", "BANKTRANLISTP",
    "STMTTRN",      "STMTTRNP",           "PAYEE",       "CURRENCY",     "ORIGCURRENCY",
    "BANKACCTTO",   "CCACCTTO",           "LEDGERBAL",   "AVAILBAL",     "INVSTMTMSGSRSV1",
    "INVSTMTTRNRS", "INVSTMTRS",          "INVACCTFROM", "INVTRANLIST",  "INVBANKTRAN",
    "BAL",          "IMAGEDATA"};

bool is_group(std::string_view name) {
  return std::find(groups.begin(), groups.end(), name) != groups.end();
}

// "20260320120000.000[-5:EST]" as "2026-03-20" and, where there is a time, "2026-03-20T12:00:00-05:00". A
// text that is no such date comes out as it is: whoever reads it as a date says so.
struct OfxTime {
  std::string day;
  std::string moment;
};

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "[-3.5:NST]" as "-03:30"; without a bracket times are of Greenwich.
std::optional<std::string> offset_of(std::string_view zone) {
  if (zone.empty()) return "+00:00";
  zone.remove_prefix(1);
  zone = zone.substr(0, zone.find_first_of(":]"));
  char sign = '+';
  if (zone.starts_with('-') || zone.starts_with('+')) {
    sign = zone[0];
    zone.remove_prefix(1);
  }
  const std::size_t point = std::min(zone.find('.'), zone.size());
  const std::string_view hours = zone.substr(0, point);
  const std::string_view part = point < zone.size() ? zone.substr(point + 1) : std::string_view();
  if (!all_digits(hours) || hours.size() > 2) return std::nullopt;
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> parts = {
      {{"", "00"}, {"0", "00"}, {"00", "00"}, {"5", "30"}, {"50", "30"}, {"25", "15"}, {"75", "45"}}};
  for (const auto& [written, minutes] : parts) {
    if (written == part)
      return sign + std::string(2 - hours.size(), '0') + std::string(hours) + ":" + std::string(minutes);
  }
  return std::nullopt;
}

OfxTime time_of(std::string_view text) {
  const std::size_t bracket = std::min(text.find('['), text.size());
  const std::string_view written = text.substr(0, std::min(text.find('.'), bracket));
  const bool is_moment = written.size() == 14 || written.size() == 12;
  if (!all_digits(written) || (written.size() != 8 && !is_moment)) return {std::string(text), {}};
  const auto part = [&](std::size_t at, std::size_t size) { return std::string(written.substr(at, size)); };
  OfxTime time{part(0, 4) + "-" + part(4, 2) + "-" + part(6, 2), {}};
  const std::string clock =
      is_moment ? part(8, 2) + ":" + part(10, 2) + ":" + (written.size() == 14 ? part(12, 2) : "00") : "";
  const auto offset = offset_of(text.substr(bracket));
  if (is_moment && clock != "00:00:00" && offset) time.moment = time.day + "T" + clock + *offset;
  return time;
}

// A comma is a decimal point in OFX. Before three digits it may be a bank's own grouping: left as it is, it
// is set aside.
std::string amount_of(std::string_view text) {
  std::string amount(text);
  const std::size_t comma = amount.find(',');
  if (comma != std::string::npos && amount.find(',', comma + 1) == std::string::npos &&
      amount.find('.') == std::string::npos && amount.size() - comma != 4)
    amount[comma] = '.';
  return amount;
}

// One reading of one file.
class OfxReading {
 public:
  OfxReading(ByteSource& source, FrameSink& sink, Interrupts& interrupts)
      : tokens_(source, interrupts), sink_(sink) {}

  void run();

 private:
  OfxTokens tokens_;
  FrameSink& sink_;
  std::vector<std::string> open_;
  XmlLeaves facts_;  // of the statement under way
  XmlLeaves record_;
  std::optional<OfxToken> record_start_;
  bool record_valid_ = true;
  bool in_statement_ = false;
  bool told_ = false;
  bool investment_ = false;
  bool securities_ = false;
  std::string statement_group_;
  bool complete_ = false;
  std::int64_t statements_ = 0;
  std::int64_t records_ = 0;
  std::string error_code_, severity_, status_message_;  // of the status under way
  std::string error_;

  void open(const OfxToken& token);
  void value(const OfxToken& token);
  void close(const OfxToken& token);
  void leave(const std::string& name, std::int64_t end_offset);
  void end_record(std::int64_t end_offset);
  void begin_statement(const std::string& name);
  void end_statement();
  void tell();
  void finish();
  [[nodiscard]] std::string path_below(std::string_view group, std::string_view name) const;
};

std::string OfxReading::path_below(std::string_view group, std::string_view name) const {
  std::string path;
  auto at = std::find(open_.rbegin(), open_.rend(), group).base();
  for (; at != open_.end(); ++at) path.append(*at).append("/");
  return path.append(name);
}

void OfxReading::begin_statement(const std::string& name) {
  if (statements_++ > 0) sink_.next_statement();
  in_statement_ = true;
  told_ = false;
  statement_group_ = name;
  investment_ = name == "INVSTMTRS";
  facts_.clear();
}

void OfxReading::tell() {
  const auto if_stated = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) sink_.meta(name, value);
  };
  if_stated("account", facts_.first_of({"BANKACCTFROM/ACCTID", "CCACCTFROM/ACCTID", "INVACCTFROM/ACCTID"}));
  if_stated("bank", facts_.first_of({"BANKACCTFROM/BANKID", "INVACCTFROM/BROKERID"}));
  if_stated("account_type", facts_.find("BANKACCTFROM/ACCTTYPE"));
  if_stated("currency", facts_.find("CURDEF"));
  const TimestampFormat iso = TimestampFormat::iso8601();
  for (const auto& [name, path] :
       {std::pair("period_start", "BANKTRANLIST/DTSTART"), std::pair("period_end", "BANKTRANLIST/DTEND")}) {
    const OfxTime time = time_of(facts_.find(path));
    if (iso.parse(time.day)) sink_.meta(name, time.day);
  }
}

void OfxReading::end_statement() {
  tell();
  in_statement_ = false;
  const std::string balance = amount_of(facts_.find("LEDGERBAL/BALAMT"));
  if (const auto value = Decimal::parse(balance)) {
    sink_.meta("closing_balance", value->to_string(2));
    const OfxTime time = time_of(facts_.find("LEDGERBAL/DTASOF"));
    if (!time.day.empty()) sink_.meta("closing_balance_date", time.day);
  } else if (!balance.empty()) {
    sink_.warn("LEDGERBAL: '" + printable(balance, 60) + "' is no amount");
  }
  if (std::exchange(securities_, false)) {
    sink_.warn("purchases, sales and other movements of securities are no bank transactions: not read");
  }
}

void OfxReading::open(const OfxToken& token) {
  if (!is_group(token.name)) {
    if (!open_.empty() && open_.back() == "INVTRANLIST") securities_ = true;
    return;
  }
  // An element that was never closed ends where the next of its kind starts.
  if ((token.name == "STMTTRN" || token.name == "STMTTRNP") && record_start_) end_record(token.offset);
  if (open_.size() >= depth_max) return sink_.reject("its elements are nested more than 32 deep");
  open_.push_back(token.name);
  if (token.name == "STMTRS" || token.name == "CCSTMTRS" || token.name == "INVSTMTRS") {
    begin_statement(token.name);
  } else if ((token.name == "STMTTRN" || token.name == "STMTTRNP") && in_statement_) {
    if (!std::exchange(told_, true)) tell();
    records_++;
    record_.clear();
    record_valid_ = true;
    record_start_ = token;
    tokens_.keep_from(token.offset);
  } else if (token.name == "STATUS") {
    error_code_.clear();
    severity_.clear();
    status_message_.clear();
  }
}

void OfxReading::value(const OfxToken& token) {
  if (token.value.empty()) return;
  if (record_start_) {
    record_valid_ = record_valid_ && token.valid;
    if (token.end_offset - record_start_->offset > record_bytes_max)
      return sink_.reject("it has a transaction of more than 1 MB");
    return record_.add(path_below(record_start_->name, token.name), token.value);
  }
  if (in_statement_) {
    if (open_.empty() || open_.back() != "INVTRANLIST")
      facts_.add(path_below(statement_group_, token.name), token.value);
    return;
  }
  if (!open_.empty() && open_.back() == "STATUS") {
    if (token.name == "CODE") error_code_ = token.value;
    if (token.name == "SEVERITY") severity_ = token.value;
    if (token.name == "MESSAGE") status_message_ = token.value;
  }
}

void OfxReading::end_record(std::int64_t end_offset) {
  const OfxToken start = *record_start_;
  record_start_.reset();
  const std::string raw(tokens_.text_between(start.offset, end_offset).substr(0, raw_bytes_max));
  tokens_.keep_from(std::nullopt);
  BadRow bad;
  bad.place = tokens_.place_of(start);
  bad.raw = raw;
  if (record_.overflow()) bad.reason = "has more than 500 values or 256 kB of text";
  if (!record_valid_) bad.reason = "has bytes that are no valid text";
  const std::string_view corrected = record_.find("CORRECTFITID");
  if (!corrected.empty()) {
    bad.field = "status";
    bad.column = "CORRECTFITID";
    bad.value = corrected;
    bad.reason = "is corrected by this transaction: put it right by hand, the file alone can't";
  }
  if (!bad.reason.empty()) return sink_.bad(bad);
  const std::string amount = amount_of(record_.find("TRNAMT"));
  const OfxTime posted = time_of(record_.first_of({"DTPOSTED", "DTTRAN"}));
  const OfxTime available = time_of(record_.find("DTAVAIL"));
  const OfxTime entered = time_of(record_.find("DTUSER"));
  std::vector<RawField> fields;
  const auto column = [&](std::string_view name, std::string_view value) {
    fields.push_back({name, value.empty() ? std::nullopt : std::optional(value)});
  };
  column("amount", amount);
  column("currency", record_.find("CURRENCY/CURSYM"));
  column("posted_date", posted.day);
  column("posted_at", posted.moment);
  column("value_date", available.day);
  column("user_date", entered.day);
  constexpr std::array<std::string_view, 5> told = {"TRNAMT", "DTPOSTED", "DTTRAN", "DTAVAIL", "DTUSER"};
  for (const auto& [path, value] : record_.all()) {
    if (std::find(told.begin(), told.end(), path) == told.end()) column(path, value);
  }
  sink_.record({bad.place, raw, start.name, fields});
}

void OfxReading::leave(const std::string& name, std::int64_t end_offset) {
  if (record_start_ && (name == record_start_->name || name == "BANKTRANLIST" || name == "BANKTRANLISTP"))
    end_record(end_offset);
  if (name == "STMTRS" || name == "CCSTMTRS" || name == "INVSTMTRS") end_statement();
  if (name == "OFX") complete_ = true;
  if (name == "STATUS" && severity_ == "ERROR") error_ = error_code_ + " " + status_message_;
}

// Ends the element and what is still open in it. The end of an element that has a value means nothing.
void OfxReading::close(const OfxToken& token) {
  const auto found = std::find(open_.rbegin(), open_.rend(), token.name);
  if (found == open_.rend()) return;
  const auto keep = static_cast<std::size_t>(open_.rend() - found) - 1;
  while (open_.size() > keep) {
    const std::string name = open_.back();
    open_.pop_back();
    leave(name, token.end_offset);
  }
}

void OfxReading::run() {
  OfxToken token;
  while (!sink_.stopped() && !complete_ && tokens_.next(token)) {
    switch (token.kind) {
      case OfxToken::Kind::open:
        open(token);
        break;
      case OfxToken::Kind::value:
        value(token);
        break;
      case OfxToken::Kind::close:
        close(token);
        break;
    }
  }
  if (!sink_.stopped()) finish();
}

void OfxReading::finish() {
  if (tokens_.bytes_read() == 0) return sink_.reject("it is empty: 0 bytes");
  if (!tokens_.problem().empty()) return sink_.reject(tokens_.problem());
  if (!complete_ && std::find(open_.begin(), open_.end(), "OFX") == open_.end())
    return sink_.reject("it has no element OFX");
  if (!complete_) return sink_.reject("the file ends in the middle of the document: </OFX> is missing");
  if (statements_ == 0 && !error_.empty())
    return sink_.reject("the bank answered with the error " + printable(error_, 200));
  if (statements_ == 0) return sink_.reject("it has no bank or credit card statement");
  if (records_ == 0 && investment_) sink_.reject("it is an investment statement without bank transactions");
}

}  // namespace

void OfxFramer::read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
                     Interrupts& interrupts) {
  OfxReading(source, sink, interrupts).run();
}

std::unique_ptr<Framer> make_ofx_framer(const FormatDocument& format) {
  format.frame->allow_only({"type"});
  return std::make_unique<OfxFramer>();
}

}  // namespace pg_reconcile::core
