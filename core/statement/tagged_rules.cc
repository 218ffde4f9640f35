#include "core/statement/tagged_rules.h"

#include <algorithm>

#include "core/statement/line_frame.h"

namespace pg_reconcile::core {
namespace {

using Role = TaggedRecord::Role;

constexpr std::int64_t position_max = 4096;

Role read_role(const JsonNode& node) {
  const auto is = node.find("is");
  if (!is) return Role::row;
  const std::string word = is->text_in({"row", "fact", "names", "continuation", "skip", "end"});
  if (word == "fact") return Role::fact;
  if (word == "names") return Role::names;
  if (word == "continuation") return Role::continuation;
  if (word == "skip") return Role::skip;
  return word == "end" ? Role::end : Role::row;
}

void read_names(const JsonNode& names, TaggedRecord& out) {
  for (const JsonNode& item : names.items()) {
    out.names.push_back(item.is_null() ? std::string() : column_name(item.text()));
    const std::string& name = out.names.back();
    if (name.starts_with('@')) item.fail("a name does not start with @");
    if (!name.empty() && std::find(out.names.begin(), out.names.end() - 1, name) != out.names.end() - 1)
      item.fail("this name comes twice");
  }
  if (out.names.empty()) names.expected("at least one name (null for a column that nobody needs)");
}

TaggedRecord read_tagged_record(const JsonNode& node, const TaggedRules& rules, const JsonNode& frame) {
  node.allow_only({"is", "names", "fields", "of", "join", "starts_statement", "shorter"});
  TaggedRecord out;
  out.role = read_role(node);
  if (const auto starts = node.find("starts_statement")) out.starts_statement = starts->boolean();
  if (const auto shorter = node.find("shorter")) out.shorter = shorter->boolean();
  const auto join = node.find("join");
  if (join && out.role != Role::continuation) join->fail("this word is only for continuations");
  if (join) out.join = join->text();
  const auto of = node.find("of");
  if (of && out.role != Role::names) of->fail("this word is only for records that name columns");
  if (of) out.names_for = of->texts();
  const auto names = node.find("names");
  const auto fields = node.find("fields");
  const bool fieldless = out.role == Role::names || out.role == Role::skip;
  if (names && (rules.fixed || fieldless)) names->fail("only records of separated values have names");
  if (fields && (!rules.fixed || fieldless)) fields->fail("only records of fixed widths have fields");
  if (out.role == Role::names && rules.fixed) node.fail("fixed widths are not named by the file");
  if (names) read_names(*names, out);
  if (fields) {
    out.layout =
        FixedLayout::read(*fields, frame.find("separator") ? frame.at("separator", "").text()[0] : '\0',
                          read_trim(frame), out.shorter);
  } else if (rules.fixed && !fieldless) {
    (void)node.at("fields", "the record's fields: [{\"name\": ..., \"width\": ...}]");
  }
  return out;
}

void read_code(const JsonNode& frame, TaggedRules& out) {
  if (out.fixed) {
    const JsonNode code = frame.at("code", "where the code stands: {\"start\": 1, \"width\": 2}");
    code.allow_only({"start", "width"});
    out.code_start =
        static_cast<std::size_t>(code.at("start", "the code's first byte, from 1").integer(1, position_max)) -
        1;
    out.code_width =
        static_cast<std::size_t>(code.at("width", "the code's width in bytes").integer(1, position_max));
    return;
  }
  const auto code = frame.find("code");
  if (!code) return;
  code->allow_only({"column"});
  out.code_start =
      static_cast<std::size_t>(code->at("column", "the code's column, from 1").integer(1, position_max)) - 1;
}

// Every column that a row could need must have somebody who names it.
void check_named(const TaggedRules& rules, const JsonNode& records) {
  for (const auto& entry : rules.records) {
    const std::string& code = entry.first;
    const TaggedRecord& record = entry.second;
    for (const std::string& of : record.names_for) {
      const auto found = rules.records.find(of);
      if (found == rules.records.end() || !found->second.names.empty())
        records.at(code, "").at("of", "").expected("codes of records without names of their own");
    }
    if (rules.fixed || record.role != Role::row || !record.names.empty()) continue;
    const bool named = std::any_of(rules.records.begin(), rules.records.end(), [&](const auto& other) {
      const auto& codes = other.second.names_for;
      return other.second.role == Role::names &&
             (codes.empty() || std::find(codes.begin(), codes.end(), code) != codes.end());
    });
    if (!named) records.at(code, "").fail("expected \"names\", or a record that is \"names\" for this one");
  }
}

}  // namespace

std::string TaggedRules::foreign_name(std::string_view code, std::string_view name) {
  return std::string(code).append(".").append(name);
}

bool TaggedRules::has(TaggedRecord::Role role) const {
  return std::any_of(records.begin(), records.end(),
                     [&](const auto& record) { return record.second.role == role; });
}

TaggedRules TaggedRules::read(const FormatDocument& format) {
  const JsonNode& frame = *format.frame;
  frame.allow_only({"type", "layout", "separator", "quote", "prefix", "code", "records", "else", "trim",
                    "comment", "line_end", "number_format"});
  TaggedRules out;
  if (const auto layout = frame.find("layout")) {
    out.fixed = layout->text_in({"separated", "fixed"}) == "fixed";
  }
  for (const char* word : {"quote", "prefix"}) {
    if (const auto found = frame.find(word); found && out.fixed) {
      found->fail("this word is only for separated values");
    }
  }
  if (const auto trim = frame.find("trim"); trim && !out.fixed)
    trim->fail("this word is only for fixed widths");
  read_code(frame, out);
  out.line_end = read_line_end(frame);
  if (const auto otherwise = frame.find("else")) {
    out.skip_unknown = otherwise->text_in({"reject", "skip"}) == "skip";
  }
  const JsonNode records = frame.at("records", "an object: code -> what such a record is");
  for (const auto& [code, node] : records.members()) {
    if (code.empty()) records.expected("codes that are not empty");
    out.records.emplace(code, read_tagged_record(node, out, frame));
  }
  if (!out.has(Role::row)) records.expected("at least one record that is a row");
  check_named(out, records);
  return out;
}

}  // namespace pg_reconcile::core
