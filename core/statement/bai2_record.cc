#include "core/statement/bai2_record.h"

#include <algorithm>
#include <array>

#include "core/mapping/expression.h"
#include "core/statement/short_date.h"

namespace pg_reconcile::core {
namespace {

constexpr char boundary = '\x1f';  // ends a field as a comma does, and is a blank in a text
constexpr std::size_t distribution_max = 1000;
constexpr std::array<std::string_view, 8> codes = {"01", "02", "03", "16", "49", "88", "98", "99"};

bool is_code(std::string_view text) {
  return std::find(codes.begin(), codes.end(), text) != codes.end();
}

std::string_view code_of(std::string_view text) {
  if (text.size() < 3 || text[2] != ',' || !is_code(text.substr(0, 2))) return {};
  return text.substr(0, 2);
}

bool is_signed_number(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return all_digits(text);
}

// Whether a record starts here, behind a slash in the middle of a line: a text may hold "/ 16," as well.
bool starts_record(std::string_view text) {
  const std::string_view code = code_of(text);
  if (code.empty()) return false;
  text.remove_prefix(3);
  const std::string_view first = text.substr(0, text.find_first_of(",/"));
  if (code == "16") return first.size() == 3 && all_digits(first);
  if (code == "49" || code == "98" || code == "99") return is_signed_number(first);
  if (code == "03") return !first.empty() && first.size() < text.size() && text[first.size()] == ',';
  return true;
}

}  // namespace

void split_bai2_line(std::string_view line, std::vector<Bai2Piece>& pieces) {
  pieces.clear();
  const std::size_t start = line.find_first_not_of(" \t");
  if (start == std::string_view::npos) return;
  line.remove_prefix(start);
  for (std::size_t slash = line.find('/'); slash != std::string_view::npos;
       slash = line.find('/', slash + 1)) {
    const std::size_t next = line.find_first_not_of(" \t", slash + 1);
    if (next == std::string_view::npos || next == slash + 1 || !starts_record(line.substr(next))) continue;
    const std::string_view piece = line.substr(0, slash + 1);
    pieces.push_back({code_of(piece), piece});
    line.remove_prefix(next);
    slash = 0;
  }
  pieces.push_back({code_of(line), line});
}

void Bai2Record::take_end(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r");
  ended_ = last != std::string_view::npos && text[last] == '/';
  text_ += ended_ ? text.substr(0, last) : text;
}

void Bai2Record::begin(const Bai2Piece& piece) {
  text_.clear();
  take_end(piece.text.substr(std::min<std::size_t>(piece.text.size(), 3)));
}

void Bai2Record::add(const Bai2Piece& piece, bool slashes) {
  if (piece.code.empty()) {
    text_ += ' ';
    return take_end(piece.text);
  }
  if (ended_ || !slashes) text_ += boundary;
  take_end(piece.text.substr(3));
}

std::string_view Bai2Fields::next() {
  constexpr std::string_view ends(",\x1f", 2);
  const std::size_t end = rest_.find_first_of(ends);
  const std::string_view field = rest_.substr(0, end);
  if (end == std::string_view::npos) {
    rest_ = {};
    ended_ = true;
  } else {
    rest_.remove_prefix(end + 1);
  }
  return mapping::trimmed(field);
}

std::string Bai2Fields::rest() {
  std::string text(rest_);
  std::replace(text.begin(), text.end(), boundary, ' ');
  rest_ = {};
  ended_ = true;
  return std::string(mapping::trimmed(text));
}

bool take_bai2_funds(Bai2Fields& fields, Bai2Funds& funds) {
  funds = Bai2Funds();
  funds.type = fields.next();
  const std::string& type = funds.type;
  if (type.empty() || type == "Z" || type == "0" || type == "1" || type == "2") return true;
  if (type == "S") {
    funds.immediate = fields.next();
    funds.one_day = fields.next();
    funds.later = fields.next();
    return true;
  }
  if (type == "V") {
    funds.value_date = fields.next();
    funds.value_time = fields.next();
    return true;
  }
  if (type != "D") return false;
  const std::string_view count = fields.next();
  if (!all_digits(count) || count.size() > 4 || std::stoul(std::string(count)) > distribution_max)
    return false;
  for (std::size_t left = std::stoul(std::string(count)); left > 0 && !fields.at_end(); left--) {
    if (!funds.distribution.empty()) funds.distribution += ' ';
    funds.distribution += fields.next();
    funds.distribution += ':';
    funds.distribution += fields.next();
  }
  return true;
}

std::optional<Decimal> bai2_amount(std::string_view text) {
  if (text.empty()) return Decimal();
  if (!is_signed_number(text)) return std::nullopt;
  return Decimal::parse(text);
}

Bai2Direction bai2_direction(std::string_view type_code) {
  if (type_code.size() != 3 || !all_digits(type_code)) return Bai2Direction::none;
  const bool credit =
      (type_code >= "100" && type_code <= "399") || (type_code >= "920" && type_code <= "959");
  const bool debit = (type_code >= "400" && type_code <= "699") || type_code >= "960";
  return credit ? Bai2Direction::credit : debit ? Bai2Direction::debit : Bai2Direction::none;
}

}  // namespace pg_reconcile::core
