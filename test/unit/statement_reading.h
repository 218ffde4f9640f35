// Reads a text in a shipped format, as the tests of statements do.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/statement/declarative_reader.h"

namespace pg_reconcile::test {

namespace fs = std::filesystem;

// The zones that the shipped formats name, without their summer time.
struct FewZones final : core::TimeZones {
  std::optional<std::int32_t> offset_of_local(std::string_view zone, std::int64_t local) override {
    if (zone == "Asia/Shanghai") return 8 * 3600;
    if (zone == "America/Los_Angeles") return -8 * 3600;
    if (zone == "America/New_York") return -5 * 3600;
    if (zone == "Europe/Amsterdam" || zone == "Europe/Madrid") return 3600;
    return core::FixedOffsets().offset_of_local(zone, local);
  }
};

struct CollectedRows final : core::RowSink {
  struct Bad {
    core::RowPlace place;
    std::string raw, field, column, value, reason;
  };
  std::vector<core::RowPlace> places;
  std::vector<core::Entry> entries;
  std::vector<Bad> bad;

  void row(const core::RowPlace& place, std::string_view, core::Entry& entry) override {
    places.push_back(place);
    entries.push_back(entry);
  }
  void bad_row(const core::BadRow& row) override {
    bad.push_back({row.place, std::string(row.raw), std::string(row.field), std::string(row.column),
                   std::string(row.value), std::string(row.reason)});
  }
  void next_statement() override { statements++; }
  std::size_t statements = 1;
};

struct FileReading {
  core::StatementSummary summary;  // of the first statement
  std::vector<core::StatementSummary> summaries;
  CollectedRows rows;

  [[nodiscard]] const core::Entry& entry(std::size_t index) const { return rows.entries.at(index); }
  [[nodiscard]] core::Decimal sum_of_net() const {
    core::Decimal sum;
    for (const core::Entry& entry : rows.entries) sum += entry.net.value_or(core::Decimal());
    return sum;
  }
  [[nodiscard]] const core::ControlLine* control(const std::string& name) const {
    for (const core::ControlLine& line : summary.controls) {
      if (line.name == name) return &line;
    }
    return nullptr;
  }
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

// As a source with an account does: the channel's zone and currency are known.
inline FileReading read_file(const std::string& format, const std::string& bytes,
                             const std::string& file_name = "bill.csv", const std::string& time_zone = "UTC",
                             const std::string& currency = "USD") {
  static FewZones zones;
  core::NoInterrupts interrupts;
  core::MappingDefaults defaults;
  defaults.channel = "c";
  defaults.account = "a1";
  defaults.currency = currency;
  defaults.time_zone = time_zone;
  core::DeclarativeReader reader(core::FormatDocument::compile(built_in(format), zones), std::move(defaults),
                                 zones);
  core::MemorySource source(bytes);
  FileReading reading;
  reading.summaries = reader.read(source, file_name, reading.rows, interrupts);
  reading.summary = reading.summaries.front();
  return reading;
}

inline core::Decimal decimal(std::string_view text) {
  return *core::Decimal::parse(text);
}

// Real statements, where somebody has them; empty: there are none.
inline fs::path samples() {
  const char* given = std::getenv("PG_RECONCILE_SAMPLES");
  const fs::path root = given != nullptr ? fs::path(given) : above("shared/samples");
  return !root.empty() && fs::exists(root / "INDEX.md") ? root : fs::path();
}

// The file of a sample folder whose name ends so.
inline std::string sample(const std::string& folder, const std::string& ending) {
  const fs::path root = samples();
  for (const auto& file : fs::directory_iterator(root / folder)) {
    if (file.path().filename().string().ends_with(ending)) return file_text(file.path());
  }
  return {};
}

}  // namespace pg_reconcile::test
