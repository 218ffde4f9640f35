// What a framer says of a file, collected for tests.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/framer.h"

namespace pg_reconcile::test {

using core::BadRow;
using core::ControlLine;
using core::FrameRecord;
using core::RawField;
using core::RowPlace;

struct FramedRecord {
  RowPlace place;
  std::string raw;
  std::string type;
  std::map<std::string, std::string> fields;

  [[nodiscard]] std::string operator[](const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

struct FramedBad {
  RowPlace place;
  std::string raw, column, value, reason;
};

struct FramedStatement {
  std::map<std::string, std::string> meta;
  std::vector<FramedRecord> records;
  std::vector<FramedBad> bad;
  std::vector<FramedBad> outside;
  std::vector<ControlLine> controls;

  [[nodiscard]] const ControlLine* control(const std::string& name) const {
    for (const ControlLine& line : controls) {
      if (line.name == name) return &line;
    }
    return nullptr;
  }
  [[nodiscard]] bool agrees(const std::string& name) const {
    const ControlLine* line = control(name);
    return line != nullptr && line->agrees;
  }
  [[nodiscard]] bool all_agree() const {
    for (const ControlLine& line : controls) {
      if (!line.agrees) return false;
    }
    return bad.empty() && outside.empty();
  }
};

struct Framed final : core::FrameSink {
  std::vector<FramedStatement> statements = std::vector<FramedStatement>(1);
  std::vector<std::string> warnings;
  std::optional<std::string> rejected;
  bool said = false;

  void meta(std::string_view name, std::string_view value) override {
    said = true;
    statements.back().meta[std::string(name)] = value;
  }
  void record(const FrameRecord& record) override {
    said = true;
    FramedRecord copy{record.place, std::string(record.raw), std::string(record.type), {}};
    for (const RawField& field : record.fields) {
      if (field.value) copy.fields[std::string(field.name)] = *field.value;
    }
    statements.back().records.push_back(std::move(copy));
  }
  static FramedBad copied(const BadRow& row) {
    return {row.place, std::string(row.raw), std::string(row.column), std::string(row.value),
            std::string(row.reason)};
  }
  void bad(const BadRow& row) override {
    said = true;
    statements.back().bad.push_back(copied(row));
  }
  void bad_outside(const BadRow& row) override {
    said = true;
    statements.back().outside.push_back(copied(row));
  }
  void control(ControlLine line) override {
    said = true;
    statements.back().controls.push_back(std::move(line));
  }
  void warn(std::string text) override { warnings.push_back(std::move(text)); }
  void next_statement() override {
    if (said) statements.emplace_back();
    said = false;
  }
  void reject(std::string reason) override { rejected = std::move(reason); }
  [[nodiscard]] bool stopped() const override { return rejected.has_value(); }

  [[nodiscard]] std::size_t records() const {
    std::size_t count = 0;
    for (const FramedStatement& statement : statements) count += statement.records.size();
    return count;
  }
  [[nodiscard]] std::size_t bad_rows() const {
    std::size_t count = 0;
    for (const FramedStatement& statement : statements) count += statement.bad.size();
    return count;
  }
};

inline Framed framed(core::Framer& framer, const std::string& bytes, std::size_t chunk = 65536) {
  Framed result;
  core::NoInterrupts interrupts;
  core::MemorySource source(bytes, chunk);
  framer.read(source, "file", result, interrupts);
  return result;
}

// Bytes without end and without line end: `size` times one character.
class EndlessLine final : public core::ByteSource {
 public:
  EndlessLine(std::string start, char filler, std::int64_t size)
      : start_(std::move(start)), filler_(filler), left_(size) {}
  std::size_t read(std::span<char> into) override {
    if (!start_.empty()) {
      const std::size_t count = std::min(into.size(), start_.size());
      std::copy_n(start_.begin(), count, into.begin());
      start_.erase(0, count);
      return count;
    }
    const std::size_t count = std::min(into.size(), static_cast<std::size_t>(left_));
    std::fill_n(into.begin(), count, filler_);
    left_ -= static_cast<std::int64_t>(count);
    return count;
  }

 private:
  std::string start_;
  char filler_;
  std::int64_t left_;
};

}  // namespace pg_reconcile::test
