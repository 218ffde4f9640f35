// Reads bytes in one of the shipped formats, as the server would: what comes out, statement by statement.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/statement/declarative_reader.h"

namespace format_reading {

using namespace pg_reconcile::core;
namespace fs = std::filesystem;

struct Bad {
  RowPlace place;
  std::string raw, field, column, value, reason;
};

struct Statement {
  StatementSummary summary;
  std::vector<RowPlace> places;
  std::vector<Entry> entries;
  std::vector<Bad> bad;

  [[nodiscard]] Decimal sum() const {
    Decimal sum;
    for (const Entry& entry : entries) sum += entry.amount;
    return sum;
  }
  [[nodiscard]] ControlLine control(const std::string& name) const {
    for (const ControlLine& line : summary.controls) {
      if (line.name == name) return line;
    }
    return {};
  }
  [[nodiscard]] std::string meta(const std::string& name) const {
    const auto found = summary.meta.find(name);
    return found == summary.meta.end() ? std::string() : found->second;
  }
};

class Collected final : public RowSink {
 public:
  std::vector<Statement> statements{1};

  void row(const RowPlace& place, std::string_view, Entry& entry) override {
    statements.back().places.push_back(place);
    statements.back().entries.push_back(entry);
  }
  void bad_row(const BadRow& row) override {
    statements.back().bad.push_back({row.place, std::string(row.raw), std::string(row.field),
                                     std::string(row.column), std::string(row.value),
                                     std::string(row.reason)});
  }
  void next_statement() override { statements.emplace_back(); }
};

inline std::string file_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Tests run in the build tree or anywhere below the project.
inline fs::path above(const fs::path& relative) {
  for (fs::path at = fs::absolute(__FILE__).parent_path(); at != at.root_path(); at = at.parent_path()) {
    if (fs::exists(at / relative)) return at / relative;
  }
  return {};
}

inline std::string built_in(const std::string& name) {
  return file_text(above("sql/formats/" + name + ".json"));
}

inline fs::path samples() {
  if (const char* given = std::getenv("PG_RECONCILE_SAMPLES")) return given;
  return above("shared/samples");
}

inline std::vector<Statement> read_from(const std::string& format, ByteSource& source,
                                        const std::string& file_name = "statement.xml") {
  static FixedOffsets zones;
  NoInterrupts interrupts;
  MappingDefaults defaults;
  defaults.channel = "bank";
  defaults.account = "a1";
  defaults.currency = "EUR";
  defaults.time_zone = "UTC";
  DeclarativeReader reader(FormatDocument::compile(format, zones), defaults, zones);
  Collected rows;
  auto summaries = reader.read(source, file_name, rows, interrupts);
  REQUIRE(summaries.size() == rows.statements.size());
  for (std::size_t i = 0; i < summaries.size(); i++) rows.statements[i].summary = std::move(summaries[i]);
  return std::move(rows.statements);
}

inline std::vector<Statement> read(const std::string& format, const std::string& bytes,
                                   std::size_t chunk = 65536) {
  MemorySource source(bytes, chunk);
  return read_from(format, source);
}

inline std::string attribute(const Entry& entry, const std::string& name) {
  for (const auto& [key, value] : entry.attributes) {
    if (key == name) return value.value_or("");
  }
  return "";
}

}  // namespace format_reading
