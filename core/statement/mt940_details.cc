#include "core/statement/mt940_details.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "core/mapping/expression.h"

namespace pg_reconcile::core {
namespace {

using Word = std::pair<std::string_view, std::string_view>;  // what banks write, and the field that it fills

// Slash words (Dutch and Nordic banks, SWIFT's own). "" is a word that only ends the one before it.
constexpr std::array<Word, 28> slash_words = {{
    {"TRTP", "posting_text"},
    {"IBAN", "counterparty_account"},
    {"BIC", "counterparty_bank"},
    {"NAME", "counterparty_name"},
    {"REMI", "purpose"},
    {"EREF", "end_to_end_id"},
    {"KREF", "customer_reference"},
    {"PREF", "payment_reference"},
    {"IREF", "instruction_id"},
    {"MARF", "mandate_id"},
    {"CSID", "creditor_id"},
    {"RTRN", "return_reason"},
    {"PURP", "purpose_code"},
    {"OCMT", "original_amount"},
    {"CHGS", "charges"},
    {"EXCH", "exchange_rate"},
    {"ULTD", "ultimate_debtor"},
    {"ULTB", "ultimate_creditor"},
    {"ULTC", "ultimate_creditor"},
    {"ADDR", "counterparty_address"},
    {"ORDP", ""},
    {"BENM", ""},
    {"ISDT", "issue_date"},
    {"ID", "counterparty_id"},
    {"CNTP", "counterparty"},
    {"SVCL", "service_level"},
    {"TEXT", "purpose"},
    {"SUBFMT", ""},
}};

// Words of the SEPA purpose as the German banking industry prefixes them.
constexpr std::array<Word, 18> sepa_words = {{
    {"EREF", "end_to_end_id"},
    {"KREF", "customer_reference"},
    {"MREF", "mandate_id"},
    {"CRED", "creditor_id"},
    {"DEBT", "creditor_id"},
    {"SVWZ", "purpose"},
    {"ABWA", "ultimate_debtor"},
    {"ABWE", "ultimate_creditor"},
    {"COAM", "charges"},
    {"OAMT", "original_amount"},
    {"IBAN", "counterparty_account"},
    {"BIC", "counterparty_bank"},
    {"PURP", "purpose_code"},
    {"BREF", "payment_reference"},
    {"RREF", "return_reference"},
    {"RCUR", ""},
    {"TAN", ""},
    {"TAN1", ""},
}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string without_line_ends(std::string_view text) {
  std::string joined(text);
  std::erase(joined, '\n');
  return joined;
}

std::string with_blanks(std::string_view text) {
  std::string joined;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::string_view words = mapping::trimmed(line);
    if (words.empty()) continue;
    if (!joined.empty()) joined += ' ';
    joined += words;
  }
  return joined;
}

// "SVWZ+text EREF+id": where the next known word starts, and how long it is with its plus.
std::size_t find_sepa_word(std::string_view text, std::size_t from, const Word*& word) {
  for (std::size_t plus = text.find('+', from); plus != std::string_view::npos;
       plus = text.find('+', plus + 1)) {
    for (const Word& candidate : sepa_words) {
      if (plus < from + candidate.first.size() ||
          text.substr(plus - candidate.first.size(), candidate.first.size()) != candidate.first) {
        continue;
      }
      word = &candidate;
      return plus - candidate.first.size();
    }
  }
  word = nullptr;
  return text.size();
}

// The purpose, with or without SEPA words in it.
void take_purpose(std::string_view text, RecordFields& fields) {
  const Word* word = nullptr;
  std::size_t at = find_sepa_word(text, 0, word);
  if (word == nullptr) return fields.append("purpose", mapping::trimmed(text), " ");
  fields.append("purpose", mapping::trimmed(text.substr(0, at)), " ");
  while (word != nullptr) {
    const Word* next = nullptr;
    const std::size_t start = at + word->first.size() + 1;
    const std::size_t end = find_sepa_word(text, start, next);
    const std::string_view value = mapping::trimmed(text.substr(start, end - start));
    if (!word->second.empty() && (fields.get(word->second).empty() || word->second == "purpose")) {
      fields.append(word->second, value, " ");
    } else {
      fields.append("other_details", std::string(word->first) + "+" + std::string(value), " ");
    }
    word = next;
    at = end;
  }
}

// Codes that banks use; "?77" in a text is a text.
bool is_field_code(std::string_view text) {
  if (text.size() < 2 || !is_digit(text[0]) || !is_digit(text[1])) return false;
  const int code = (text[0] - '0') * 10 + (text[1] - '0');
  return code == 0 || code == 10 || code == 11 || (code >= 20 && code <= 39) || (code >= 60 && code <= 69);
}

// The separator of a text like "166?00...": optionally a code of three digits, a sign, two digits.
std::optional<char> field_separator(std::string_view text) {
  constexpr std::string_view separators = "?>^<~@|";
  if (text.size() > 3 && std::all_of(text.begin(), text.begin() + 3, is_digit)) text.remove_prefix(3);
  if (text.empty() || separators.find(text.front()) == std::string_view::npos) return std::nullopt;
  if (!is_field_code(text.substr(1))) return std::nullopt;
  return text.front();
}

std::size_t find_field(std::string_view text, char separator, std::size_t from) {
  for (std::size_t at = text.find(separator, from); at != std::string_view::npos;
       at = text.find(separator, at + 1)) {
    if (is_field_code(text.substr(at + 1))) return at;
  }
  return text.size();
}

void take_coded_field(std::string_view code, std::string_view value, std::string& purpose,
                      RecordFields& fields) {
  const std::string_view words = mapping::trimmed(value);
  if (code == "00") return fields.set("posting_text", words);
  if (code == "10") return fields.set("primanota", words);
  if (code[0] == '2' || (code[0] == '6' && code[1] <= '5')) {
    purpose += value;  // one text, cut anywhere
  } else if (code == "30") {
    fields.set("counterparty_bank", words);
  } else if (code == "31" || code == "38") {
    fields.set("counterparty_account", words);
  } else if (code == "32" || code == "33") {
    fields.append("counterparty_name", value, "");
  } else if (code == "34") {
    fields.set("text_key_extension", words);
  } else if (!words.empty()) {
    fields.append("other_details", std::string(code) + ":" + std::string(words), " ");
  }
}

void take_coded(std::string_view lines, char separator, RecordFields& fields) {
  const std::string text = without_line_ends(lines);
  const std::string_view view = text;
  std::size_t at = find_field(view, separator, 0);
  fields.set("transaction_code", mapping::trimmed(view.substr(0, at)));
  std::string purpose;
  while (at < view.size()) {
    const std::size_t end = find_field(view, separator, at + 3);
    take_coded_field(view.substr(at + 1, 2), view.substr(at + 3, end - at - 3), purpose, fields);
    at = end;
  }
  const std::string name(mapping::trimmed(fields.get("counterparty_name")));
  fields.set("counterparty_name", name);
  take_purpose(purpose, fields);
}

// The next "/WORD/" at or after `from`.
std::size_t find_slash_word(std::string_view text, std::size_t from, const Word*& word) {
  for (std::size_t at = text.find('/', from); at != std::string_view::npos; at = text.find('/', at + 1)) {
    const std::size_t end = text.find('/', at + 1);
    if (end == std::string_view::npos) break;
    const std::string_view name = text.substr(at + 1, end - at - 1);
    const auto* found = std::find_if(slash_words.begin(), slash_words.end(),
                                     [&](const Word& candidate) { return candidate.first == name; });
    if (found == slash_words.end()) continue;
    word = found;
    return at;
  }
  word = nullptr;
  return text.size();
}

// "/CNTP/NL32INGB0000012345/INGBNL2A/ING BANK/AMSTERDAM//"
void take_counterparty(std::string_view value, RecordFields& fields) {
  constexpr std::array<std::string_view, 3> parts = {"counterparty_account", "counterparty_bank",
                                                     "counterparty_name"};
  for (std::string_view part : parts) {
    const std::string_view text = value.substr(0, value.find('/'));
    if (!text.empty()) fields.set(part, mapping::trimmed(text));
    value.remove_prefix(std::min(value.size(), text.size() + 1));
  }
}

void take_slash_value(const Word& word, std::string_view value, RecordFields& fields) {
  value = mapping::trimmed(value);
  if (word.first == "REMI") {
    for (std::string_view prefix : {"USTD//", "STRD/"}) {
      if (value.starts_with(prefix)) value.remove_prefix(prefix.size());
    }
  }
  while (value.ends_with('/')) value.remove_suffix(1);
  value = mapping::trimmed(value);
  if (value.empty()) return;
  if (word.second == "counterparty") return take_counterparty(value, fields);
  if (word.second.empty() || (!fields.get(word.second).empty() && word.second != "purpose")) {
    return fields.append("other_details", "/" + std::string(word.first) + "/" + std::string(value), "");
  }
  fields.append(word.second, value, " ");
}

bool take_slashed(std::string_view lines, RecordFields& fields) {
  const std::string text = without_line_ends(lines);
  const std::string_view view = text;
  const Word* word = nullptr;
  std::size_t at = find_slash_word(view, 0, word);
  if (word == nullptr || at != 0) return false;
  while (word != nullptr) {
    const Word* next = nullptr;
    const std::size_t start = at + word->first.size() + 2;
    const std::size_t end = find_slash_word(view, start - 1, next);
    take_slash_value(*word, view.substr(std::min(start, end), end - std::min(start, end)), fields);
    word = next;
    at = end;
  }
  return true;
}

}  // namespace

void take_mt940_details(std::string_view text, RecordFields& fields) {
  fields.set("details", mapping::trimmed(text));
  if (const auto separator = field_separator(text)) return take_coded(text, *separator, fields);
  if (text.starts_with('/') && take_slashed(text, fields)) return;
  const std::string joined = without_line_ends(text);
  const Word* word = nullptr;
  (void)find_sepa_word(joined, 0, word);
  take_purpose(word != nullptr ? joined : with_blanks(text), fields);
}

}  // namespace pg_reconcile::core
