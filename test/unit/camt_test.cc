// camt.052, camt.053 and camt.054: every cent once, whatever way a bank writes its batches.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "test/unit/format_reading.h"

using namespace format_reading;

namespace {

std::string tag(const std::string& name, const std::string& content) {
  return "<" + name + ">" + content + "</" + name + ">";
}

std::string amount(const std::string& value, const std::string& currency = "EUR",
                   const std::string& name = "Amt") {
  return "<" + name + " Ccy=\"" + currency + "\">" + value + "</" + name + ">";
}

std::string balance(const std::string& type, const std::string& value, const std::string& direction = "CRDT",
                    const std::string& currency = "EUR") {
  return tag("Bal", tag("Tp", tag("CdOrPrtry", tag("Cd", type))) + amount(value, currency) +
                        tag("CdtDbtInd", direction) + tag("Dt", tag("Dt", "2026-11-20")));
}

struct EntryText {
  std::string value = "10.00";
  std::string direction = "CRDT";
  std::string status = "BOOK";
  std::string details = {};  // NtryDtls ...
  std::string currency = "EUR";
  std::string more = {};  // between the direction and the status
  operator std::string() const {
    return "\n" +
           tag("Ntry", amount(value, currency) + tag("CdtDbtInd", direction) + more + tag("Sts", status) +
                           tag("BookgDt", tag("Dt", "2026-11-20")) + tag("ValDt", tag("Dt", "2026-11-21")) +
                           tag("AcctSvcrRef", "BANK-1") + details + tag("AddtlNtryInf", "info"));
  }
};

std::string details(const std::string& content) {
  return tag("NtryDtls", content);
}

std::string transaction(const std::string& id, const std::string& own, const std::string& more = "") {
  return tag("TxDtls", tag("Refs", tag("EndToEndId", id)) + own + more);
}

std::string statement(const std::string& content, const std::string& account = "DE02120300000000202051") {
  return tag("Stmt", tag("Id", "S1") + tag("ElctrncSeqNb", "7") + tag("CreDtTm", "2026-11-21T05:00:00") +
                         tag("Acct", tag("Id", tag("IBAN", account)) + tag("Ccy", "EUR")) + content);
}

std::string document(const std::string& statements, const std::string& version = "08") {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document "
         "xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001." +
         version + "\">" +
         tag("BkToCstmrStmt",
             tag("GrpHdr", tag("MsgId", "M1") + tag("CreDtTm", "2026-11-21T05:00:00")) + statements) +
         "</Document>\n";
}

std::vector<Statement> read_053(const std::string& bytes, std::size_t chunk = 65536) {
  return read(built_in("camt.053"), bytes, chunk);
}

Statement one(const std::string& entries) {
  auto statements = read_053(document(statement(entries)));
  REQUIRE(statements.size() == 1);
  CHECK(statements[0].summary.rejected == std::nullopt);
  return statements[0];
}

Decimal decimal(std::string_view text) {
  return *Decimal::parse(text);
}

std::string amounts(const Statement& statement) {
  std::string text;
  for (const Entry& entry : statement.entries) text += (text.empty() ? "" : " ") + entry.amount.to_string(2);
  return text;
}

// A document as large as wanted, made while it is read.
class Generated final : public ByteSource {
 public:
  Generated(std::string head, std::string body, std::int64_t times, std::string tail)
      : head_(std::move(head)), body_(std::move(body)), tail_(std::move(tail)), times_(times) {}
  std::size_t read(std::span<char> into) override {
    while (rest_.empty()) {
      if (part_ == 0) {
        rest_ = head_;
        part_ = 1;
      } else if (part_ == 1 && done_ < times_) {
        rest_ = body_;
        done_++;
      } else if (part_ == 1) {
        rest_ = tail_;
        part_ = 2;
      } else {
        return 0;
      }
    }
    const std::size_t count = std::min(rest_.size(), into.size());
    std::copy_n(rest_.begin(), count, into.begin());
    rest_.remove_prefix(count);
    bytes += static_cast<std::int64_t>(count);
    return count;
  }
  std::int64_t bytes = 0;

 private:
  std::string head_, body_, tail_;
  std::string_view rest_;
  std::int64_t times_;
  std::int64_t done_ = 0;
  int part_ = 0;
};

class Counting final : public RowSink {
 public:
  std::int64_t rows = 0;
  Decimal sum;
  void row(const RowPlace&, std::string_view, Entry& entry) override {
    rows++;
    sum += entry.amount;
  }
  void bad_row(const BadRow&) override {}
  void next_statement() override {}
};

StatementSummary count(ByteSource& source, Counting& rows) {
  static FixedOffsets zones;
  NoInterrupts interrupts;
  MappingDefaults defaults;
  defaults.channel = "bank";
  DeclarativeReader reader(FormatDocument::compile(built_in("camt.053"), zones), defaults, zones);
  return reader.read(source, "s.xml", rows, interrupts).front();
}

// The sanitizers keep freed memory, and are slow: sizes are for the others.
#ifdef __has_feature
constexpr bool is_sanitized = __has_feature(address_sanitizer);
#elif defined(__SANITIZE_ADDRESS__)
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif

std::int64_t resident_kilobytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "VmHWM:") {
      std::int64_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes;
    }
  }
  return 0;
}

}  // namespace

TEST_CASE("camt: what a statement says of itself, and that it adds up") {
  const std::string bytes = document(statement(
      tag("FrToDt", tag("FrDtTm", "2026-11-20T00:00:00+01:00") + tag("ToDtTm", "2026-11-21T00:00:00+01:00")) +
      balance("OPBD", "100.00") + balance("CLBD", "5.00", "DBIT") +
      tag("TxsSummry", tag("TtlNtries", tag("NbOfNtries", "3") + tag("Sum", "125.00")) +
                           tag("TtlCdtNtries", tag("NbOfNtries", "1") + tag("Sum", "10.00")) +
                           tag("TtlDbtNtries", tag("NbOfNtries", "2") + tag("Sum", "115"))) +
      std::string(EntryText{}) + std::string(EntryText{.value = "110", .direction = "DBIT"}) +
      std::string(EntryText{.value = "5.0", .direction = "DBIT"})));
  for (std::size_t chunk : {1U, 13U, 65536U}) {
    const auto statements = read_053(bytes, chunk);
    REQUIRE(statements.size() == 1);
    const Statement& read = statements[0];
    CHECK(read.summary.verdict == ControlVerdict::agreed);
    CHECK(read.summary.controls.size() == 7);
    CHECK(amounts(read) == "10.00 -110.00 -5.00");
    CHECK(read.meta("account") == "DE02120300000000202051");
    CHECK(read.meta("statement_no") == "7");
    CHECK(read.meta("currency") == "EUR");
    CHECK(read.meta("period_end") == "2026-11-20");
    CHECK(date_text(*read.summary.business_date) == "2026-11-20");
    CHECK(read.summary.opening_balance == decimal("100"));
    CHECK(read.summary.closing_balance == decimal("-5"));
    CHECK(read.entries[0].account == "DE02120300000000202051");
    CHECK(read.entries[0].book == "bank");
    CHECK(read.entries[0].kind == "transfer");
    CHECK(read.entries[1].kind == "transfer");
    CHECK(read.entries[0].channel_ref == "BANK-1");
    CHECK(date_text(*read.entries[0].business_date) == "2026-11-20");
    CHECK(date_text(*read.entries[0].value_date) == "2026-11-21");
    CHECK(read.places[0].line == 3);
    CHECK(read.places[1].byte_offset ==
          static_cast<std::int64_t>(bytes.find("<Ntry>", bytes.find("</Ntry>"))));
  }
  const std::string wrong =
      document(statement(balance("OPBD", "1.00") + balance("CLBD", "2.00") +
                         tag("TxsSummry", tag("TtlNtries", tag("Sum", "9.99"))) + std::string(EntryText{})));
  const Statement read = read_053(wrong)[0];
  CHECK(read.summary.verdict == ControlVerdict::mismatch);
  CHECK(read.control("opening balance + booked entries = closing balance").computed == "11.00 EUR");
  CHECK_FALSE(read.control("TxsSummry/TtlNtries/Sum").agrees);
}

TEST_CASE("camt: the direction decides the sign; a reversal does not flip it again") {
  const Statement read = one(EntryText{.direction = "DBIT", .more = tag("RvslInd", "true")});
  CHECK(amounts(read) == "-10.00");
  CHECK(read.entries[0].kind == "reversal");
}

TEST_CASE("camt: pending is no success, information is no movement, an unknown word is set aside") {
  const Statement read =
      one(balance("OPBD", "0") + balance("CLBD", "10.00") + std::string(EntryText{}) +
          std::string(EntryText{.status = tag("Cd", "PDNG")}) + std::string(EntryText{.status = "INFO"}) +
          std::string(EntryText{.status = tag("Prtry", "HELD")}));
  REQUIRE(read.entries.size() == 2);
  CHECK(read.entries[0].status == "success");
  CHECK(read.entries[1].status == "pending");
  CHECK(read.summary.skipped == 1);
  REQUIRE(read.bad.size() == 1);
  CHECK(read.bad[0].value == "HELD");
  CHECK(read.control("opening balance + booked entries = closing balance").agrees);
  CHECK(read.summary.verdict == ControlVerdict::mismatch);
}

TEST_CASE("camt: a batch is booked once per transaction when they add up") {
  const Statement read =
      one(balance("OPBD", "0") + balance("CLBD", "10.00") +
          std::string(
              EntryText{.details = details(tag("Btch", tag("PmtInfId", "P1") + tag("NbOfTxs", "3") +
                                                           amount("10.00", "EUR", "TtlAmt")) +
                                           transaction("E1", amount("7.50")) +
                                           transaction("E2", tag("AmtDtls", tag("TxAmt", amount("3.50")))) +
                                           transaction("E3", amount("1") + tag("CdtDbtInd", "DBIT")))}));
  CHECK(amounts(read) == "7.50 3.50 -1.00");
  CHECK(read.summary.verdict == ControlVerdict::agreed);
  CHECK(read.control("Btch/NbOfTxs").agrees);
  CHECK(read.control("Btch/TtlAmt").agrees);
  CHECK(read.entries[0].match_key == "E1");
  CHECK(read.entries[2].match_key == "E3");
  CHECK(read.entries[0].settlement_ref == "P1");
  CHECK(read.entries[1].channel_ref == "BANK-1");
  CHECK(attribute(read.entries[0], "AddtlNtryInf").empty());  // it is the remittance: nothing comes twice
  CHECK(attribute(read.entries[0], "remittance") == "info");
  CHECK(attribute(read.entries[0], "Amt") == "10.00");
}

TEST_CASE("camt: what does not add up, or does not say, is one record of the entry") {
  for (const std::string& parts :
       {transaction("E1", amount("7.50")) + transaction("E2", amount("2.49")),
        transaction("E1", amount("7.50")) + transaction("E2", ""),
        transaction("E1", amount("7.50")) + transaction("E2", amount("2.50", "CHF"))}) {
    const Statement read = one(balance("OPBD", "0") + balance("CLBD", "10.00") +
                               std::string(EntryText{.details = details(parts)}));
    CHECK(amounts(read) == "10.00");
    CHECK(read.summary.verdict == ControlVerdict::agreed);
    REQUIRE(read.summary.warnings.size() == 1);
    CHECK(read.summary.warnings[0] ==
          "line 3: the 2 transactions of the entry do not add up to its amount 10.00 EUR: it is one record");
    CHECK(read.entries[0].match_key == std::nullopt);
    CHECK(read.entries[0].order_key == "BANK-1");
  }
  const Statement single = one(EntryText{.details = details(transaction("E1", amount("11.00", "CHF")))});
  CHECK(amounts(single) == "10.00");
  CHECK(single.entries[0].match_key == "E1");
  CHECK(attribute(single.entries[0], "TxDtls/Amt") == "11.00");
}

TEST_CASE("camt: charges inside an amount are the fee") {
  const std::string charged =
      tag("Chrgs", tag("TtlChrgsAndTaxAmt", "0.50") +
                       tag("Rcrd", amount("0.50") + tag("CdtDbtInd", "DBIT") + tag("ChrgInclInd", "true") +
                                       tag("Tax", tag("Amt", "0.08"))));
  const Statement single = one(EntryText{.details = details(transaction("E1", amount("10.50"), charged))});
  CHECK(amounts(single) == "10.00");
  CHECK(single.entries[0].fee == decimal("0.50"));
  CHECK(single.entries[0].settle_amount == decimal("10.50"));
  CHECK(single.entries[0].net == decimal("10.00"));
  const Statement out =
      one(EntryText{.direction = "DBIT", .details = details(transaction("E1", "", charged))});
  CHECK(out.entries[0].settle_amount == decimal("-9.50"));
  CHECK(out.entries[0].net == decimal("-10.00"));
  // A batch whose entry is less the charges of its transactions.
  const Statement batch = one(EntryText{
      .value = "9.50",
      .details = details(transaction("E1", amount("5"), charged) + transaction("E2", amount("5")))});
  CHECK(amounts(batch) == "4.50 5.00");
  CHECK(batch.summary.warnings.empty());
  const std::string beside = tag("Chrgs", tag("Rcrd", amount("0.50") + tag("ChrgInclInd", "false")));
  CHECK(one(EntryText{.details = details(transaction("E1", "", beside))}).entries[0].fee == std::nullopt);
  const std::string old = tag("Chrgs", amount("0.25") + tag("CdtDbtInd", "DBIT"));
  CHECK(one(EntryText{.details = old}).entries[0].fee == decimal("0.25"));
}

TEST_CASE("camt: another currency, parties, references and texts") {
  const std::string parties =
      tag("RltdPties", tag("Dbtr", tag("Pty", tag("Nm", "Ann"))) +
                           tag("DbtrAcct", tag("Id", tag("IBAN", "FR1"))) + tag("Cdtr", tag("Nm", "We")));
  const std::string more = tag("RmtInf", tag("Ustrd", "line 1") + tag("Ustrd", "line 2") +
                                             tag("Strd", tag("CdtrRefInf", tag("Ref", "RF18"))));
  const std::string exchange =
      tag("AmtDtls", tag("InstdAmt", amount("11.25", "CHF")) +
                         tag("CntrValAmt", amount("10.00") + tag("CcyXchg", tag("XchgRate", "1.125"))));
  const Statement read = one(EntryText{
      .details = details(transaction("NOTPROVIDED", exchange, parties + more)),
      .more = tag("BkTxCd", tag("Domn", tag("Cd", "PMNT") +
                                            tag("Fmly", tag("Cd", "RCDT") + tag("SubFmlyCd", "ESCT"))))});
  const Entry& entry = read.entries.at(0);
  CHECK(entry.match_key == "RF18");
  CHECK(entry.sub_kind == "PMNT/RCDT/ESCT");
  CHECK(attribute(entry, "counterparty") == "Ann");
  CHECK(attribute(entry, "counterparty_account") == "FR1");
  CHECK(attribute(entry, "remittance") == "line 1\nline 2");
  CHECK(attribute(entry, "original_amount") == "11.25");
  CHECK(attribute(entry, "original_currency") == "CHF");
  CHECK(entry.fx_rate == decimal("1.125"));
}

TEST_CASE("camt: returns, fees and interest by the bank's code") {
  const auto kind = [](const std::string& code, const std::string& direction, const std::string& more = "") {
    const std::string codes =
        tag("BkTxCd", tag("Domn", tag("Cd", "PMNT") + tag("Fmly", tag("Cd", "X") + tag("SubFmlyCd", code))));
    return one(EntryText{
                   .direction = direction, .details = details(transaction("E", "", more)), .more = codes})
        .entries.at(0)
        .kind;
  };
  CHECK(kind("CHRG", "DBIT") == "fee");
  CHECK(kind("INTR", "CRDT") == "other");
  CHECK(kind("UPDD", "DBIT") == "chargeback");
  CHECK(kind("RRTN", "CRDT") == "reversal");
  CHECK(kind("ESCT", "DBIT", tag("RtrInf", tag("Rsn", tag("Cd", "AC04")))) == "chargeback");
  CHECK(kind("ESCT", "CRDT") == "transfer");
}

TEST_CASE("camt: one file, several statements; every namespace, prefix or none") {
  for (const char* version : {"02", "03", "04", "06", "08", "10", "13", "14"}) {
    const auto statements =
        read_053(document(statement(EntryText{}) + statement(EntryText{.value = "1.00"}, "NL2"), version));
    REQUIRE(statements.size() == 2);
    CHECK(amounts(statements[0]) == "10.00");
    CHECK(amounts(statements[1]) == "1.00");
    CHECK(statements[1].summary.account == "NL2");
    CHECK(statements[1].places[0].row_no == 2);
  }
  const std::string bare = "<Document>" + tag("BkToCstmrStmt", statement(EntryText{})) + "</Document>";
  CHECK(amounts(read_053(bare)[0]) == "10.00");
  std::string prefixed = bare;
  for (std::size_t at = 0; (at = prefixed.find('<', at)) != std::string::npos;) {
    at += prefixed[at + 1] == '/' ? 2U : 1U;
    prefixed.insert(at, "n:");
  }
  CHECK(amounts(read_053("<Envelope>" + prefixed + "</Envelope>")[0]) == "10.00");
  // A statement without movements is one, too.
  const auto quiet = read_053(document(statement(balance("OPBD", "1") + balance("CLBD", "1"))));
  CHECK(quiet[0].summary.verdict == ControlVerdict::agreed);
  CHECK(quiet[0].summary.rows == 0);
}

TEST_CASE("camt: pages open and close with interim balances") {
  const auto page = [](const std::string& number, const std::string& last, const std::string& content) {
    return tag("StmtPgntn", tag("PgNb", number) + tag("LastPgInd", last)) + content +
           std::string(EntryText{});
  };
  const auto read =
      read_053(document(statement(page("1", "false", balance("OPBD", "0.00") + balance("ITBD", "10.00"))) +
                        statement(page("2", "false", balance("ITBD", "10.00") + balance("ITBD", "20.00"))) +
                        statement(page("3", "true",
                                       balance("ITBD", "20.00") + balance("CLBD", "30.00") +
                                           tag("TxsSummry", tag("TtlNtries", tag("NbOfNtries", "3")))))));
  REQUIRE(read.size() == 3);
  for (const Statement& each : read) CHECK(each.summary.verdict == ControlVerdict::agreed);
  CHECK(read[1].summary.opening_balance == decimal("10.00"));
  CHECK(read[1].summary.closing_balance == decimal("20.00"));
  CHECK(read[2].meta("last_page") == "true");
}

TEST_CASE("camt: the other messages, and the wrong one") {
  std::string report = document(statement(EntryText{}));
  const auto rename = [&](const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = report.find(from, at)) != std::string::npos; at += to.size())
      report.replace(at, from.size(), to);
  };
  rename("BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn");
  rename("Stmt>", "Ntfctn>");
  const auto read_054 = read(built_in("camt.054"), report);
  CHECK(amounts(read_054[0]) == "10.00");
  CHECK(read_054[0].meta("part") == "S1");
  CHECK(read_053(report)[0].summary.rejected ==
        "it is a notification (camt.054), and the format reads camt.053");
  CHECK(read_053("")[0].summary.rejected == "it is empty: 0 bytes");
  CHECK(read_053("<html/>")[0].summary.rejected ==
        "it is no camt.052, camt.053 or camt.054: its root element is html");
  CHECK(read_053(document(""))[0].summary.rejected == "it is a camt.053 without a statement in it");
  const std::string whole = document(statement(EntryText{}));
  CHECK(read_053(whole.substr(0, whole.size() / 2))[0].summary.rejected.value_or("") ==
        "line 2: the file ends in the middle of the document");
}

TEST_CASE("camt: what is broken further on does not move what was read before it") {
  const std::string bytes = document(statement(std::string(EntryText{}) + "\n<Ntry><Amt></Broken></Ntry>"));
  const auto whole = read_053(bytes);
  const auto pieces = read_053(bytes, 7);
  CHECK(whole[0].places.at(0).byte_offset == static_cast<std::int64_t>(bytes.find("<Ntry>")));
  CHECK(pieces[0].places.at(0).byte_offset == whole[0].places[0].byte_offset);
  CHECK(whole[0].summary.rejected == pieces[0].summary.rejected);
}

TEST_CASE("camt: an amount that is none is set aside, and the statement does not agree") {
  for (const char* wrong : {"12..34", "-1.00", "1,50", "", "1e3"}) {
    const Statement read =
        one(balance("OPBD", "0") + balance("CLBD", "0") + std::string(EntryText{.value = wrong}));
    CHECK(read.entries.size() == (std::string(wrong) == "-1.00" ? 1 : 0));
    CHECK(read.summary.verdict == ControlVerdict::mismatch);
  }
  const Statement aside = one(EntryText{.direction = "CREDIT"});
  REQUIRE(aside.bad.size() == 1);
  CHECK(aside.bad[0].raw.starts_with("<Ntry><Amt Ccy=\"EUR\">10.00</Amt>"));
}

TEST_CASE("camt: an entry of very many transactions goes out while it is read") {
  const std::string head = document(statement("")).substr(0, document(statement("")).find("</Stmt>"));
  const auto entry = [](const std::string& value) {
    return "<Ntry>" + amount(value) + tag("CdtDbtInd", "CRDT") + tag("Sts", "BOOK") +
           tag("BookgDt", tag("Dt", "2026-11-20")) + "<NtryDtls>" +
           tag("Btch", tag("NbOfTxs", "100000") + amount("100000.00", "EUR", "TtlAmt"));
  };
  const std::string tail = "</NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>";
  const std::string part = transaction("E", amount("1.00"), tag("AddtlTxInf", std::string(300, 'x')));
  const std::int64_t before = resident_kilobytes();
  for (const auto& [value, rows, warnings] :
       {std::tuple("100000.00", 100000, 0), std::tuple("100000.05", 100001, 1)}) {
    Generated source(head + balance("OPBD", "0") + balance("CLBD", value) + entry(value), part, 100000, tail);
    Counting counted;
    const StatementSummary summary = count(source, counted);
    CHECK(summary.rejected == std::nullopt);
    CHECK(counted.rows == rows);
    CHECK(counted.sum == decimal(value));
    CHECK(summary.verdict == ControlVerdict::agreed);
    CHECK(summary.warnings.size() == static_cast<std::size_t>(warnings));
  }
  // Transactions that do not say what they moved: the entry is one record.
  Generated silent(head + entry("7.00"), transaction("E", ""), 100000, tail);
  Counting counted;
  count(silent, counted);
  CHECK(counted.rows == 1);
  CHECK(counted.sum == decimal("7.00"));
  if (!is_sanitized) CHECK(resident_kilobytes() - before < 65536);
}

TEST_CASE("camt: hundreds of megabytes in bounded memory") {
  const std::string whole =
      document(statement(balance("OPBD", "0") + balance("CLBD", is_sanitized ? "24000.00" : "2400000.00")));
  const std::size_t at = whole.find("</Stmt>");
  const std::string body = EntryText{
      .details = details(transaction("E1", amount("10.00"), tag("AddtlTxInf", std::string(500, 'x'))))};
  const std::int64_t before = resident_kilobytes();
  constexpr int entries = is_sanitized ? 2400 : 240000;
  Generated source(whole.substr(0, at), body, entries, whole.substr(at));
  Counting counted;
  const StatementSummary summary = count(source, counted);
  CHECK(counted.rows == entries);
  CHECK(summary.verdict == ControlVerdict::agreed);
  if (is_sanitized) return;
  CHECK(source.bytes > 200000000);
  CHECK(resident_kilobytes() - before < 16384);
}

TEST_CASE("camt: files of other people" * doctest::skip(!fs::exists(samples() / "camt"))) {
  const auto sample = [](const std::string& name) { return file_text(samples() / "camt" / name); };
  const auto balanced = [](const Statement& read) {
    return read.control("opening balance + booked entries = closing balance").agrees;
  };
  const std::string rousseau = "sebastienrousseau-bankstatementparser__";
  const auto multi = read_053(sample("genkgo-camt__data_camt053.v2.multi.statement.xml"));
  REQUIRE(multi.size() == 2);
  CHECK(amounts(multi[0]) == "8.85");
  CHECK(amounts(multi[1]) == "-7.00");
  CHECK(balanced(multi[0]));
  CHECK(balanced(multi[1]));
  const auto v4 = read_053(sample("genkgo-camt__data_camt053.v4.xml"));
  CHECK(amounts(v4.at(0)) == "8.85");
  CHECK_FALSE(balanced(v4[0]));
  CHECK(attribute(v4[0].entries[0], "counterparty") == "NAME NAME");
  const auto digits = read_053(sample("genkgo-camt__data_camt053.v2.five.decimals.xml"));
  CHECK(amounts(digits.at(0)) == "8.85");
  CHECK_FALSE(balanced(digits[0]));
  const auto batch = read(built_in("camt.054"), sample("genkgo-camt__data_camt054.v4.xml"));
  CHECK(amounts(batch.at(0)) == "-200000.00");
  CHECK(batch[0].entries[0].currency == "SEK");
  const auto swedish = read_053(sample(rousseau + "test_data_camt.053.001.02.xml"));
  CHECK(amounts(swedish.at(0)) == "105678.50 -200000.00 30000.00");
  CHECK(balanced(swedish[0]));
  CHECK(swedish[0].summary.verdict == ControlVerdict::agreed);
  CHECK(swedish[0].entries[0].occurred_at.has_value());
  const auto currencies = read_053(sample(rousseau + "golden_camt053_multicurrency.xml"));
  REQUIRE(currencies.size() == 2);
  CHECK(currencies[0].sum() == decimal("750.25"));
  CHECK(balanced(currencies[0]));
  CHECK(currencies[1].sum() == decimal("-99.99"));
  CHECK(balanced(currencies[1]));
  CHECK(currencies[1].summary.account == "US-ACCT-0099");
  const auto twins = read_053(sample(rousseau + "golden_camt053_duplicate_same_day.xml"));
  CHECK(amounts(twins.at(0)) == "-4.50 -4.50");
  const auto garbled = read_053(sample(rousseau + "golden_camt053_garbled_amount.xml"));
  REQUIRE(garbled.at(0).bad.size() == 1);
  CHECK(garbled[0].bad[0].value == "12..34");
  const auto bare = read_053(sample(rousseau + "golden_camt053_no_namespace.xml"));
  CHECK(balanced(bare.at(0)));
  CHECK(read_053(sample(rousseau + "test_data_invalid.xml"))[0].summary.rejected.has_value());
  CHECK(read_053(sample("genkgo-camt__data_camt053.v2.wrong.xml"))[0].summary.rejected.has_value());
}

TEST_CASE("camt: no file of any kind is too much" * doctest::skip(!fs::exists(samples()))) {
  for (const auto& file : fs::recursive_directory_iterator(samples())) {
    if (!file.is_regular_file()) continue;
    const std::string bytes = file_text(file.path());
    const auto whole = read_053(bytes);
    const auto pieces = read_053(bytes, 11);
    CHECK(whole[0].summary.rejected == pieces[0].summary.rejected);
    if (file.path().parent_path().filename() != "camt") CHECK(whole[0].summary.rejected.has_value());
  }
}
