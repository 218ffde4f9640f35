#include "core/statement/camt_framer.h"

#include <array>
#include <utility>

#include "core/statement/camt_entry.h"
#include "core/statement/camt_statement.h"
#include "core/statement/charset.h"
#include "core/statement/xml_path.h"
#include "core/statement/xml_reader.h"

namespace pg_reconcile::core {
namespace {

struct MessageName {
  std::string_view root;
  std::string_view statement;
  std::string_view name;
  std::string_view meaning;
};
constexpr std::array<MessageName, 3> message_names = {{
    {"BkToCstmrAcctRpt", "Rpt", "camt.052", "an account report"},
    {"BkToCstmrStmt", "Stmt", "camt.053", "a statement"},
    {"BkToCstmrDbtCdtNtfctn", "Ntfctn", "camt.054", "a notification"},
}};

// Charges are stated as records, or as one: collected until the element ends.
struct ChargeFacts {
  std::string amount, currency, direction, included;
  std::size_t depth = 0;
};

// One reading of one file.
class CamtReading {
 public:
  CamtReading(ByteSource& source, FrameSink& sink, Interrupts& interrupts,
              const std::set<std::string, std::less<>>& messages)
      : reader_(source, interrupts), sink_(sink), messages_(messages) {}

  void run();

 private:
  enum class Inside { nothing, group, statement, balance, entry, detail };
  static constexpr std::size_t entry_slot = 0;
  static constexpr std::size_t detail_slot = 1;

  XmlReader reader_;
  FrameSink& sink_;
  const std::set<std::string, std::less<>>& messages_;
  XmlPath path_;
  const MessageName* message_ = nullptr;
  XmlLeaves group_;
  std::optional<CamtStatement> statement_;
  CamtEntry entry_;
  CamtDetail detail_;
  ChargeFacts charge_;
  std::string root_;
  Inside inside_ = Inside::nothing;
  std::size_t statement_depth_ = 0;  // of the element that `inside_` is about
  std::size_t entry_depth_ = 0;
  std::size_t inner_depth_ = 0;  // balance, detail, group
  std::size_t statements_ = 0;

  void start(const XmlEvent& event);
  void start_message(std::string_view name);
  void begin_statement();
  void begin_entry(const XmlEvent& event);
  void begin_detail(const XmlEvent& event);
  void end(const XmlEvent& event);
  void end_charge();
  void leaf(std::string_view attribute, std::string_view text);
  void entry_leaf(std::string_view path, std::string_view text);
  void charge_leaf(std::string_view path, std::string_view text);
  void finish();
};

void CamtReading::start_message(std::string_view name) {
  for (const MessageName& known : message_names) {
    if (known.root != name) continue;
    if (!messages_.empty() && !messages_.contains(known.name)) {
      std::string wanted;
      for (const std::string& one : messages_) wanted += (wanted.empty() ? "" : ", ") + one;
      return sink_.reject("it is " + std::string(known.meaning) + " (" + std::string(known.name) +
                          "), and the format reads " + wanted);
    }
    message_ = &known;
    statement_.emplace(known.name, group_);
  }
}

void CamtReading::begin_statement() {
  if (statements_++ > 0) sink_.next_statement();
  statement_->begin();
  inside_ = Inside::statement;
  statement_depth_ = path_.depth();
}

void CamtReading::begin_entry(const XmlEvent& event) {
  statement_->tell(sink_);
  reader_.hold(entry_slot, event);
  entry_.begin(reader_.place_of(event));
  charge_ = {};
  inside_ = Inside::entry;
  entry_depth_ = path_.depth();
}

void CamtReading::begin_detail(const XmlEvent& event) {
  reader_.hold(detail_slot, event);
  detail_.place = reader_.place_of(event);
  detail_.raw.clear();
  detail_.leaves.clear();
  detail_.charges = {};
  inside_ = Inside::detail;
  inner_depth_ = path_.depth();
}

void CamtReading::start(const XmlEvent& event) {
  path_.start(event);
  const std::string_view name = event.name;
  if (path_.depth() == 1) root_ = name;
  switch (inside_) {
    case Inside::nothing:
      if (message_ == nullptr) start_message(name);
      if (message_ != nullptr && name == message_->statement) begin_statement();
      if (name == "GrpHdr") {
        inside_ = Inside::group;
        inner_depth_ = path_.depth();
      }
      break;
    case Inside::statement:
      if (name == "Ntry") {
        begin_entry(event);
      } else if (name == "Bal" && path_.depth() == statement_depth_ + 1) {
        statement_->begin_balance();
        inside_ = Inside::balance;
        inner_depth_ = path_.depth();
      }
      break;
    case Inside::entry:
      if (name == "TxDtls") begin_detail(event);
      if (name == "NtryDtls") entry_.begin_batch();
      break;
    default:
      break;
  }
  const bool in_entry = inside_ == Inside::entry || inside_ == Inside::detail;
  if (in_entry && (name == "Chrgs" || path_.below(0).ends_with("Chrgs/Rcrd"))) {
    charge_ = {};
    charge_.depth = path_.depth();
  }
  for (const XmlAttribute& attribute : event.attributes) {
    const bool is_namespace = attribute.name == "xmlns" || attribute.name.find(':') != std::string_view::npos;
    if (!is_namespace) leaf(attribute.name, attribute.value);
  }
}

// A leaf's text, or one of its attributes: "Amt@Ccy".
void CamtReading::leaf(std::string_view attribute, std::string_view text) {
  if (inside_ == Inside::nothing) return;
  const std::size_t depth = inside_ == Inside::statement ? statement_depth_
                            : inside_ == Inside::entry   ? entry_depth_
                                                         : inner_depth_;
  std::string path(path_.below(depth));
  if (path.empty()) return;
  if (!attribute.empty()) path.append("@").append(attribute);
  switch (inside_) {
    case Inside::group:
      return group_.add(path, text);
    case Inside::statement:
      return statement_->leaf(path, text);
    case Inside::balance:
      return statement_->balance_leaf(path, text);
    case Inside::detail:
      charge_leaf(path, text);
      return detail_.leaves.add("TxDtls/" + path, text);
    case Inside::entry:
      return entry_leaf(path, text);
    case Inside::nothing:
      break;
  }
}

void CamtReading::entry_leaf(std::string_view path, std::string_view text) {
  constexpr std::string_view details = "NtryDtls/";
  constexpr std::string_view batch = "Btch/";
  charge_leaf(path, text);
  if (path.starts_with(details)) path.remove_prefix(details.size());
  if (path.starts_with(batch)) entry_.batch_states(path.substr(batch.size()), text);
  // Names of ISO 20022 start with a capital; small ones are our columns.
  const bool is_ours = path.front() >= 'a' && path.front() <= 'z';
  entry_.leaves.add(is_ours ? "Ntry/" + std::string(path) : std::string(path), text);
}

void CamtReading::charge_leaf(std::string_view path, std::string_view text) {
  if (charge_.depth == 0) return;
  const auto is = [&](std::string_view leaf) {
    return path.ends_with("Chrgs/" + std::string(leaf)) || path.ends_with("Rcrd/" + std::string(leaf));
  };
  if (is("Amt") || is("TtlChrgsAndTaxAmt")) charge_.amount = text;
  if (is("Amt@Ccy") || is("TtlChrgsAndTaxAmt@Ccy")) charge_.currency = text;
  if (is("CdtDbtInd")) charge_.direction = text;
  if (is("ChrgInclInd")) charge_.included = text;
}

// A record of charges has ended, or all of them: what the records said is not said again by their sum.
void CamtReading::end_charge() {
  CamtCharges& charges = inside_ == Inside::detail ? detail_.charges : entry_.charges;
  charges.add(charge_.amount, charge_.currency, charge_.direction, charge_.included, entry_.currency());
  charge_ = {};
}

void CamtReading::end(const XmlEvent& event) {
  if (path_.is_leaf()) {
    if (path_.too_long()) {
      sink_.warn("line " + std::to_string(reader_.place_of(event).line) +
                 ": a text of more than 64 kB was cut off");
    }
    leaf("", path_.leaf_text());
  }
  const std::size_t depth = path_.depth();
  if (charge_.depth == depth) end_charge();
  switch (inside_) {
    case Inside::detail:
      if (depth != inner_depth_) break;
      detail_.raw = reader_.held(detail_slot, event.end_offset);
      entry_.add(std::move(detail_), sink_);
      detail_ = {};
      inside_ = Inside::entry;
      break;
    case Inside::entry:
      if (event.name == "NtryDtls") entry_.end_batch();
      if (depth != entry_depth_) break;
      entry_.raw = reader_.held(entry_slot, event.end_offset);
      entry_.end(sink_, statement_->totals);
      inside_ = Inside::statement;
      break;
    case Inside::balance:
      if (depth != inner_depth_) break;
      statement_->end_balance();
      inside_ = Inside::statement;
      break;
    case Inside::statement:
      if (depth != statement_depth_) break;
      statement_->end(sink_);
      inside_ = Inside::nothing;
      break;
    case Inside::group:
      if (depth == inner_depth_) inside_ = Inside::nothing;
      break;
    case Inside::nothing:
      break;
  }
  path_.end();
}

void CamtReading::run() {
  XmlEvent event;
  while (!sink_.stopped() && reader_.next(event)) {
    switch (event.kind) {
      case XmlEvent::Kind::start:
        start(event);
        break;
      case XmlEvent::Kind::text:
        path_.text(event);
        break;
      case XmlEvent::Kind::end:
        end(event);
        break;
    }
  }
  if (!sink_.stopped()) finish();
}

void CamtReading::finish() {
  if (reader_.bytes_read() == 0) return sink_.reject("it is empty: 0 bytes");
  if (!reader_.problem().empty()) return sink_.reject(reader_.problem());
  if (message_ == nullptr) {
    return sink_.reject("it is no camt.052, camt.053 or camt.054: its root element is " +
                        printable(root_, 60));
  }
  if (statements_ == 0) sink_.reject("it is a " + std::string(message_->name) + " without a statement in it");
}

}  // namespace

void CamtFramer::read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
                      Interrupts& interrupts) {
  CamtReading(source, sink, interrupts, messages_).run();
}

std::unique_ptr<Framer> make_camt_framer(const FormatDocument& format) {
  format.frame->allow_only({"type", "messages"});
  std::set<std::string, std::less<>> messages;
  if (const auto named = format.frame->find("messages")) {
    for (const JsonNode& item : named->items()) {
      messages.insert(item.text_in({"camt.052", "camt.053", "camt.054"}));
    }
  }
  return std::make_unique<CamtFramer>(std::move(messages));
}

}  // namespace pg_reconcile::core
