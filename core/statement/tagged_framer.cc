#include "core/statement/tagged_framer.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/mapping/expression.h"
#include "core/statement/csv_lines.h"
#include "core/statement/line_frame.h"
#include "core/statement/table_header.h"
#include "core/statement/tagged_rules.h"

namespace pg_reconcile::core {
namespace {

using Role = TaggedRecord::Role;

constexpr std::size_t continued_bytes_max = 1048576;

// A row that continuations may still add to.
struct PendingRow {
  RowPlace place;
  std::string raw;
  std::string type;
  std::vector<std::pair<std::string, std::optional<std::string>>> fields;
  std::size_t bytes = 0;
};

class TaggedReading {
 public:
  TaggedReading(const FormatDocument& format, const TaggedRules& rules, ByteSource& source, FrameSink& sink,
                Interrupts& interrupts)
      : format_(format),
        rules_(rules),
        lines_(source, format.charsets, interrupts, rules.line_end),
        splitter_(format.shape),
        records_(lines_, splitter_),
        sink_(sink),
        may_continue_(rules.has(Role::continuation)) {}

  void run();

 private:
  const FormatDocument& format_;
  TaggedRules rules_;
  LineReader lines_;
  CsvSplitter splitter_;
  CsvLines records_;
  FrameSink& sink_;
  bool may_continue_;
  bool end_seen_ = false;
  bool any_record_ = false;
  std::vector<std::string> following_;  // what a record that names every other has said last
  std::vector<RawField> fields_;
  std::optional<PendingRow> pending_;

  [[nodiscard]] std::optional<std::string> code_of(const Line& line);
  void declare_columns();
  void declare_fact(std::string_view code);
  void take(Line& line);
  void take_names(std::string_view code, const TaggedRecord& record, const Line& line);
  bool cut(TaggedRecord& record, const Line& line, std::string& reason);
  bool cut_values(const TaggedRecord& record, const Line& line, std::string& reason);
  void emit(std::string_view code, const Line& line);
  void hold(std::string_view code, const Line& line);
  bool continue_pending(std::string_view code, const TaggedRecord& record, const Line& line,
                        std::string& reason);
  void flush();
};

// The record's code; nullopt: the line has none.
std::optional<std::string> TaggedReading::code_of(const Line& line) {
  if (rules_.fixed) {
    if (line.bytes.size() < rules_.code_start + rules_.code_width) return std::nullopt;
    return std::string(line.bytes.substr(rules_.code_start, rules_.code_width));
  }
  std::string problem;
  const auto* values = splitter_.split(line.text, problem);
  if (values == nullptr || values->size() <= rules_.code_start) return std::nullopt;
  return std::string(mapping::trimmed((*values)[rules_.code_start]));
}

// What rows see of records whose fields the format names.
void TaggedReading::declare_columns() {
  for (const auto& [code, record] : rules_.records) {
    const std::vector<std::string>& own = rules_.fixed ? record.layout.names() : record.names;
    std::vector<std::string> names;
    for (const std::string& name : own) {
      if (!name.empty())
        names.push_back(record.role == Role::row ? name : TaggedRules::foreign_name(code, name));
    }
    if (!names.empty()) sink_.columns(code, "", names);
  }
}

// A fact whose fields only the file names.
void TaggedReading::declare_fact(std::string_view code) {
  std::vector<std::string> names;
  for (const RawField& field : fields_) names.push_back(TaggedRules::foreign_name(code, field.name));
  sink_.columns(code, "", names);
}

void TaggedReading::take_names(std::string_view code, const TaggedRecord& record, const Line& line) {
  std::string problem;
  const auto* values = splitter_.split(line.text, problem);
  if (values == nullptr) return report_bad(sink_, line, problem);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < values->size(); i++) {
    if (i != rules_.code_start) names.push_back(column_name((*values)[i]));
  }
  while (!names.empty() && names.back().empty()) names.pop_back();  // separators that fill up the width
  names = unique_columns(std::move(names), format_.aliases);
  if (record.names_for.empty()) {
    following_ = names;
    sink_.columns(code, line.text, names);
    return;
  }
  for (const std::string& of : record.names_for) {
    rules_.records.find(of)->second.names = names;
    sink_.columns(of, line.text, names);
  }
}

bool TaggedReading::cut_values(const TaggedRecord& record, const Line& line, std::string& reason) {
  const std::vector<std::string>& names = record.names.empty() ? following_ : record.names;
  const auto* values = splitter_.split(line.text, reason);
  if (values == nullptr) return false;
  if (names.empty()) {
    if (record.role != Role::row) return true;  // a fact of which nobody needs a field
    reason = "comes before the record that names its columns";
    return false;
  }
  fields_.clear();
  std::size_t position = 0;
  for (std::size_t i = 0; i < values->size(); i++) {
    if (i == rules_.code_start) continue;
    if (position >= names.size()) {
      if ((*values)[i].empty()) continue;  // separators that fill up the width
      reason = "has " + std::to_string(values->size() - 1) + " values where its record has " +
               std::to_string(names.size());
      return false;
    }
    const std::string& name = names[position++];
    if (!name.empty()) fields_.push_back({name, (*values)[i]});
  }
  if (position < names.size() && !record.shorter) {
    reason =
        "has " + std::to_string(position) + " values where its record has " + std::to_string(names.size());
    if (!line.terminated) reason += ", and the file ends inside it";
    return false;
  }
  for (; position < names.size(); position++) {
    if (!names[position].empty()) fields_.push_back({names[position], std::nullopt});
  }
  return true;
}

bool TaggedReading::cut(TaggedRecord& record, const Line& line, std::string& reason) {
  fields_.clear();
  return rules_.fixed ? record.layout.cut(line, lines_, fields_, reason) : cut_values(record, line, reason);
}

void TaggedReading::hold(std::string_view code, const Line& line) {
  pending_.emplace();
  pending_->place = {0, line.number, line.offset};
  pending_->raw = line.bytes;
  pending_->type = code;
  pending_->bytes = line.bytes.size();
  for (const RawField& field : fields_) {
    pending_->fields.emplace_back(field.name,
                                  field.value ? std::optional<std::string>(*field.value) : std::nullopt);
  }
}

bool TaggedReading::continue_pending(std::string_view code, const TaggedRecord& record, const Line& line,
                                     std::string& reason) {
  if (!pending_) {
    reason = "continues a row, and there is none before it";
    return false;
  }
  pending_->bytes += line.bytes.size();
  if (pending_->bytes > continued_bytes_max) {
    reason = "continues a row to more than 1 MB";
    return false;
  }
  pending_->raw.append("\n").append(line.bytes);
  for (const RawField& field : fields_) {
    if (!field.value || field.value->empty()) continue;
    const std::string name = TaggedRules::foreign_name(code, field.name);
    const auto found = std::find_if(pending_->fields.begin(), pending_->fields.end(),
                                    [&](const auto& other) { return other.first == name; });
    if (found == pending_->fields.end()) {
      pending_->fields.emplace_back(name, *field.value);
    } else {
      found->second->append(record.join).append(*field.value);
    }
  }
  return true;
}

void TaggedReading::flush() {
  if (!pending_) return;
  fields_.clear();
  for (const auto& [name, value] : pending_->fields) {
    fields_.push_back({name, value ? std::optional<std::string_view>(*value) : std::nullopt});
  }
  sink_.record({pending_->place, pending_->raw, pending_->type, fields_});
  pending_.reset();
}

void TaggedReading::emit(std::string_view code, const Line& line) {
  if (may_continue_) return hold(code, line);
  sink_.record({{0, line.number, line.offset}, line.bytes, code, fields_});
}

void TaggedReading::take(Line& line) {
  if (line.valid && mapping::trimmed(line.text).empty()) return;
  if (line.bytes == "\x1A") return;  // the end of a file, as DOS wrote it
  boost::cmatch match;
  if (line.valid && format_.comment && search(line.text, *format_.comment, match))
    return report_outside(sink_, line);
  if (const auto problem = unusable(line)) {
    flush();
    return report_bad(sink_, line, *problem);
  }
  if (!rules_.fixed && !records_.complete(line)) {
    flush();
    return report_bad(sink_, line, "has a quoted value that never ends");
  }
  const std::string code = code_of(line).value_or("");
  const auto found = rules_.records.find(code);
  if (found == rules_.records.end()) {
    flush();
    if (!rules_.skip_unknown)
      report_bad(sink_, line, "is a record that the format does not know: '" + printable(code, 20) + "'");
    return;
  }
  any_record_ = true;
  TaggedRecord& record = found->second;
  const bool continues = record.role == Role::continuation;
  if (!continues) flush();
  if (record.starts_statement) sink_.next_statement();
  sink_.seen(code);
  if (record.role == Role::end) end_seen_ = true;
  if (record.role == Role::skip) return;
  if (record.role == Role::names) return take_names(code, record, line);
  std::string reason;
  if (!cut(record, line, reason) || (continues && !continue_pending(code, record, line, reason))) {
    return report_bad(sink_, line, reason);
  }
  if (continues) return;
  if (record.role == Role::row) return emit(code, line);
  if (!rules_.fixed && record.names.empty()) declare_fact(code);
  sink_.fact({{0, line.number, line.offset}, line.bytes, code, fields_});
}

void TaggedReading::run() {
  const auto known_record = [this](const Line& line) {
    const auto code = code_of(line);
    return code && rules_.records.contains(*code);
  };
  if (says_empty(format_, lines_, known_record)) return sink_.empty();
  declare_columns();
  Line line;
  while (!sink_.stopped() && records_.next(line)) take(line);
  if (sink_.stopped()) return;
  flush();
  if (lines_.bytes_read() == 0) return sink_.reject("it is empty: 0 bytes");
  if (!any_record_) return sink_.reject("it has none of the records that the format knows");
  if (rules_.has(Role::end) && !end_seen_) {
    sink_.control({"end mark", "", "the file ends before its end record", false});
  }
}

class TaggedFramer final : public Framer {
 public:
  explicit TaggedFramer(const FormatDocument& format) : format_(format), rules_(TaggedRules::read(format)) {}
  void read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
            Interrupts& interrupts) override {
    TaggedReading(format_, rules_, source, sink, interrupts).run();
  }
  [[nodiscard]] std::vector<std::string> columns() const override;
  [[nodiscard]] std::vector<std::string> types() const override;

 private:
  FormatDocument format_;
  TaggedRules rules_;
};

std::vector<std::string> TaggedFramer::columns() const {
  std::set<std::string> names;
  for (const auto& [code, record] : rules_.records) {
    if (record.role == Role::names) return {};  // only the file says
    for (const std::string& name : rules_.fixed ? record.layout.names() : record.names) {
      if (!name.empty())
        names.insert(record.role == Role::row ? name : TaggedRules::foreign_name(code, name));
    }
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> TaggedFramer::types() const {
  std::vector<std::string> types;
  for (const auto& [code, record] : rules_.records) {
    if (record.role == Role::row) types.push_back(code);
  }
  return types;
}

}  // namespace

std::unique_ptr<Framer> make_tagged_framer(const FormatDocument& format) {
  return std::make_unique<TaggedFramer>(format);
}

}  // namespace pg_reconcile::core
