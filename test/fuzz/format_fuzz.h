// Reads a file in a shipped format whole and in small pieces: both must say the same, and count every record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/declarative_reader.h"

namespace format_fuzz {

using namespace pg_reconcile::core;

struct EveryZone final : TimeZones {
  std::optional<std::int32_t> offset_of_local(std::string_view, std::int64_t) override { return 8 * 3600; }
};

inline std::string document(const char* name) {
  const std::filesystem::path path = std::filesystem::path(PG_RECONCILE_FORMATS) / name;
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::vector<std::unique_ptr<DeclarativeReader>> make_readers(
    std::initializer_list<const char*> names) {
  static EveryZone zones;
  std::vector<std::unique_ptr<DeclarativeReader>> readers;
  for (const char* name : names) {
    MappingDefaults defaults;
    defaults.channel = "c";
    defaults.account = "a";
    defaults.currency = "EUR";
    defaults.time_zone = "UTC";
    readers.push_back(
        std::make_unique<DeclarativeReader>(FormatDocument::compile(document(name), zones), defaults, zones));
  }
  return readers;
}

inline void require(bool condition) {
  if (!condition) std::abort();
}

struct Fingerprint final : RowSink {
  std::int64_t rows = 0;
  std::int64_t bad = 0;
  std::int64_t bad_outside = 0;
  std::string text;

  void row(const RowPlace& place, std::string_view raw, Entry& entry) override {
    rows++;
    text += std::to_string(place.byte_offset) + entry.order_key + entry.amount.to_string() + std::string(raw);
  }
  void bad_row(const BadRow& row) override {
    if (row.place.row_no == 0) bad_outside++;
    bad++;
    text += std::to_string(row.place.byte_offset) + std::string(row.reason) + std::string(row.raw) + "\n";
  }
  void next_statement() override { text += "next\n"; }
};

inline void read_both_ways(DeclarativeReader& reader, const std::uint8_t* bytes, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(bytes), size);
  NoInterrupts interrupts;
  Fingerprint whole;
  MemorySource at_once(file, 65536);
  const auto summaries = reader.read(at_once, "statement_20261121", whole, interrupts);
  std::int64_t entries = 0;
  std::int64_t bad = 0;
  std::int64_t rows = 0;
  std::int64_t skipped = 0;
  for (const StatementSummary& summary : summaries) {
    entries += summary.entries;
    bad += summary.bad_rows;
    rows += summary.rows;
    skipped += summary.skipped;
  }
  require(entries == whole.rows);
  require(bad == whole.bad);
  if (!summaries.front().rejected) require(rows == entries + skipped + bad - whole.bad_outside);
  Fingerprint pieces;
  MemorySource in_pieces(file, 7);
  const auto again = reader.read(in_pieces, "statement_20261121", pieces, interrupts);
  require(whole.text == pieces.text);
  require(summaries.size() == again.size());
  for (std::size_t i = 0; i < again.size(); i++) {
    require(summaries[i].rejected == again[i].rejected);
    require(summaries[i].verdict == again[i].verdict);
    require(summaries[i].meta == again[i].meta);
  }
}

}  // namespace format_fuzz
