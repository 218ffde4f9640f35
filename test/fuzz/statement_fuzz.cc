// Whatever bytes a channel sends, reading ends: with entries, with rows set aside, or with a reason. Every
// data row is accounted for, and the size of the chunks that the bytes come in changes nothing.
//
// The first byte of the input chooses one of the shipped formats, the rest is the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/declarative_reader.h"

namespace {

using namespace pg_reconcile::core;

struct EveryZone final : TimeZones {
  std::optional<std::int32_t> offset_of_local(std::string_view, std::int64_t) override { return 8 * 3600; }
};

// Sums up what came, so that two readings can be compared.
struct Fingerprint final : RowSink {
  std::size_t rows = 0;
  std::size_t bad = 0;
  std::size_t bad_outside = 0;
  std::string text;

  void row(const RowPlace& place, std::string_view, Entry& entry) override {
    rows++;
    text += std::to_string(place.byte_offset) + entry.order_key + entry.amount.to_string() + "\n";
  }
  void bad_row(const BadRow& row) override {
    if (row.place.row_no == 0) bad_outside++;
    bad++;
    text += std::to_string(row.place.byte_offset) + std::string(row.reason) + std::string(row.raw) + "\n";
  }
  void next_statement() override { text += "next statement\n"; }
};

std::string document(const char* name) {
  const std::filesystem::path path = std::filesystem::path(PG_RECONCILE_FORMATS) / name;
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

EveryZone zones;

std::vector<std::unique_ptr<DeclarativeReader>> make_readers() {
  std::vector<std::unique_ptr<DeclarativeReader>> readers;
  for (const char* name :
       {"alipay.trade.json", "wechat.trade.json", "generic.csv.json", "alipay.fund_flow.json",
        "wechat.fund_flow.json", "antom.settlement.json", "paypal.activity.json",
        "adyen.settlement_details.json", "adyen.payments_accounting.json", "stripe.itemized.json",
        "checkout.breakdown.json"}) {
    MappingDefaults defaults;
    defaults.channel = "c";
    defaults.account = "a";
    defaults.currency = "CNY";
    defaults.time_zone = "Asia/Shanghai";
    readers.push_back(
        std::make_unique<DeclarativeReader>(FormatDocument::compile(document(name), zones), defaults, zones));
  }
  return readers;
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const std::vector<std::unique_ptr<DeclarativeReader>> readers = make_readers();
  if (size == 0) return 0;
  DeclarativeReader& reader = *readers[bytes[0] % readers.size()];
  const std::string_view file(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  NoInterrupts interrupts;
  Fingerprint whole;
  MemorySource at_once(file, 65536);
  const StatementSummary summary = reader.read(at_once, "bill_20261121.csv", whole, interrupts).front();
  require(static_cast<std::size_t>(summary.entries) == whole.rows);
  require(static_cast<std::size_t>(summary.bad_rows) == whole.bad);
  if (!summary.rejected) {
    require(static_cast<std::size_t>(summary.rows) ==
            whole.rows + static_cast<std::size_t>(summary.skipped) + whole.bad - whole.bad_outside);
  }
  Fingerprint pieces;
  MemorySource in_pieces(file, 7);
  const StatementSummary again = reader.read(in_pieces, "bill_20261121.csv", pieces, interrupts).front();
  require(whole.text == pieces.text);
  require(summary.rejected == again.rejected);
  require(summary.verdict == again.verdict);
  return 0;
}
