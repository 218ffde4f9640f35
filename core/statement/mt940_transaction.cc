#include "core/statement/mt940_transaction.h"

#include <algorithm>

#include "core/mapping/expression.h"
#include "core/statement/short_date.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t reference_characters = 16;
constexpr std::size_t type_characters = 4;
constexpr std::size_t joined_lines_max = 2;  // lines that a broken first line is put together from

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view take(std::string_view& rest, std::size_t count) {
  const std::string_view head = rest.substr(0, count);
  rest.remove_prefix(head.size());
  return head;
}

std::string_view take_amount(std::string_view& rest) {
  std::size_t count = 0;
  while (count < rest.size() && (is_digit(rest[count]) || rest[count] == ',')) count++;
  return take(rest, count);
}

std::optional<Decimal> amount_of(std::string_view text) {
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  return Decimal::parse(text, ',');
}

std::string take_mark(std::string_view& rest) {
  const bool prefixed =
      rest.size() > 1 && (rest[0] == 'R' || rest[0] == 'E') && (rest[1] == 'C' || rest[1] == 'D');
  if (prefixed) return std::string(take(rest, 2));
  if (!rest.empty() && (rest[0] == 'C' || rest[0] == 'D')) return std::string(take(rest, 1));
  return {};
}

bool take_dates(std::string_view& rest, Mt940Transaction& out, Mt940Problem& problem) {
  const std::string_view value_date = take(rest, 6);
  const auto date = date_of_yymmdd(value_date);
  if (!date) {
    problem = {"value_date", std::string(value_date), "is no date of the calendar written as yyMMdd"};
    return false;
  }
  out.value_date = *date;
  if (rest.starts_with("    ")) {
    take(rest, 4);
  } else if (!rest.empty() && is_digit(rest.front())) {
    const std::string_view entry_date = take(rest, 4);
    out.entry_date = nearest_mmdd(entry_date, *date);
    if (!out.entry_date) {
      problem = {"entry_date", std::string(entry_date), "is no date of the calendar written as MMdd"};
      return false;
    }
  }
  return true;
}

// Everything before the references; false: `problem` says why not, `cut`: because the line ends.
bool take_head(std::string_view& rest, Mt940Transaction& out, Mt940Problem& problem, bool& cut) {
  const auto fail = [&](const char* part, std::string_view value, const char* reason) {
    cut = rest.empty();
    problem = {part, std::string(value), reason};
    return false;
  };
  if (!take_dates(rest, out, problem)) return false;
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  out.mark = take_mark(rest);
  if (out.mark.empty()) return fail("mark", rest.substr(0, 2), "is none of C, D, RC, RD, EC and ED");
  if (!rest.empty() && is_upper(rest.front())) out.funds_code = std::string(take(rest, 1));
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  const std::string_view written = take_amount(rest);
  const auto amount = amount_of(written);
  if (!amount) return fail("amount", written, "is no amount written as 1234,56");
  const bool grows = out.mark == "C" || out.mark == "RD" || out.mark == "EC";
  out.amount = grows ? *amount : amount->negated();
  out.type = mapping::trimmed(take(rest, type_characters));
  if (out.type.empty()) return fail("type", "", "is missing: the line ends behind the amount");
  return true;
}

// "REFERENCE//BANKREFERENCE", and what some banks write behind a reference of 16 characters.
void take_references(std::string_view rest, Mt940Transaction& out) {
  const std::size_t slashes = rest.find("//");
  std::string_view reference = rest.substr(0, slashes);
  if (slashes != std::string_view::npos) out.bank_reference = mapping::trimmed(rest.substr(slashes + 2));
  const bool padded = reference.size() > reference_characters &&
                      reference.substr(0, reference_characters).find(' ') != std::string_view::npos;
  if (padded) {
    out.supplementary = mapping::trimmed(reference.substr(reference_characters));
    reference = reference.substr(0, reference_characters);
  }
  out.reference = mapping::trimmed(reference);
}

// A reference that goes on in the next line: both together are no longer than a reference, and the bank's
// follows.
bool continues_reference(std::string_view rest, std::string_view next) {
  const std::size_t slashes = next.find("//");
  return !rest.empty() && rest.find("//") == std::string_view::npos && slashes != std::string_view::npos &&
         slashes > 0 && rest.size() + slashes <= reference_characters &&
         next.substr(0, slashes).find_first_of(" /:") == std::string_view::npos;
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

bool is_letter_or_digit(char c) {
  return is_upper(c) || is_digit(c);
}

}  // namespace

std::optional<Mt940Transaction> parse_mt940_transaction(std::string_view text, Mt940Problem& problem) {
  std::string first(mapping::trimmed(take_line(text)));
  Mt940Transaction out;
  std::string_view rest;
  for (std::size_t joined = 0;; joined++) {
    out = Mt940Transaction();
    rest = first;
    bool cut = false;
    if (take_head(rest, out, problem, cut)) break;
    if (!cut || text.empty() || joined == joined_lines_max) return std::nullopt;
    first += take_line(text);
  }
  std::string_view following = text;
  const std::string_view next = take_line(following);
  std::string references(rest);
  if (continues_reference(references, next)) {
    references += next;
    text = following;
  }
  take_references(references, out);
  while (!text.empty()) {
    const std::string_view line = mapping::trimmed(take_line(text));
    if (line.empty()) continue;
    if (!out.supplementary.empty()) out.supplementary += '\n';
    out.supplementary += line;
  }
  return out;
}

std::optional<Mt940Balance> parse_mt940_balance(std::string_view text) {
  text = mapping::trimmed(text);
  Mt940Balance out;
  if (text.empty() || (text.front() != 'C' && text.front() != 'D')) return std::nullopt;
  const bool negative = take(text, 1) == "D";
  const auto date = date_of_yymmdd(take(text, 6));
  if (!date) return std::nullopt;
  out.date = *date;
  if (text.size() > 3 && std::all_of(text.begin(), text.begin() + 3, is_upper)) out.currency = take(text, 3);
  const auto amount = amount_of(text);
  if (!amount) return std::nullopt;
  out.amount = negative ? amount->negated() : *amount;
  return out;
}

std::optional<Mt940Totals> parse_mt940_totals(std::string_view text) {
  text = mapping::trimmed(text);
  Mt940Totals out;
  std::size_t digits = 0;
  while (digits < text.size() && digits < 9 && is_digit(text[digits])) {
    out.count = out.count * 10 + (text[digits] - '0');
    digits++;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  if (text.size() < 3 || !std::all_of(text.begin(), text.begin() + 3, is_upper)) return std::nullopt;
  out.currency = take(text, 3);
  const auto amount = amount_of(text);
  if (!amount) return std::nullopt;
  out.amount = *amount;
  return out;
}

bool looks_like_iban(std::string_view text) {
  constexpr std::size_t shortest = 15;
  constexpr std::size_t longest = 34;
  return text.size() >= shortest && text.size() <= longest && is_upper(text[0]) && is_upper(text[1]) &&
         is_digit(text[2]) && is_digit(text[3]) && std::all_of(text.begin(), text.end(), is_letter_or_digit);
}

bool is_iban(std::string_view text) {
  constexpr int modulus = 97;
  if (!looks_like_iban(text)) return false;
  int remainder = 0;
  for (std::size_t i = 0; i < text.size(); i++) {
    const char c = text[(i + 4) % text.size()];
    remainder =
        is_digit(c) ? (remainder * 10 + (c - '0')) % modulus : (remainder * 100 + (c - 'A' + 10)) % modulus;
  }
  return remainder == 1;
}

}  // namespace pg_reconcile::core
