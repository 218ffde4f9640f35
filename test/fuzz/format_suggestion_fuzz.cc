// Whatever bytes somebody asks about: either there is a reason why no format can be suggested, or what is
// suggested is a format, and reading the file with it ends.
//
// The first byte says how much of the rest is the head of the file; what remains is its end.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/statement/declarative_reader.h"
#include "core/statement/format_suggestion.h"

namespace {

using namespace pg_reconcile::core;

struct EveryZone final : TimeZones {
  std::optional<std::int32_t> offset_of_local(std::string_view, std::int64_t) override { return 8 * 3600; }
};

struct Counted final : RowSink {
  std::size_t rows = 0;
  void row(const RowPlace&, std::string_view, Entry&) override { rows++; }
  void bad_row(const BadRow&) override {}
  void next_statement() override {}
};

EveryZone zones;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view file(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const std::size_t head = bytes[0] == 0xFF ? file.size() : file.size() * bytes[0] / 0xFF;
  std::string document;
  try {
    document = suggest_format(file.substr(0, head), file.substr(head));
  } catch (const Error& error) {
    if (std::string_view(error.state()) != "22023") std::abort();
    return 0;
  }
  MappingDefaults defaults;
  defaults.channel = "c";
  defaults.account = "a";
  defaults.currency = "CNY";
  defaults.time_zone = "Asia/Shanghai";
  DeclarativeReader reader(FormatDocument::compile(document, zones), defaults, zones);  // throws: a finding
  MemorySource source(file);
  NoInterrupts interrupts;
  Counted rows;
  const auto statements = reader.read(source, "bill_20261121.csv", rows, interrupts);
  if (statements.size() != 1) std::abort();
  if (static_cast<std::size_t>(statements.front().entries) != rows.rows) std::abort();
  return 0;
}
