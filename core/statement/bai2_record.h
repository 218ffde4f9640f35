// The records of a BAI2 file: how lines become records, and records fields. Source: Cash Management Balance
// Reporting Specifications Version 2 (Bank Administration Institute), and what banks make of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/money/decimal.h"

namespace pg_reconcile::core {

// One record as it stands in a line: "16,142,2500,Z,,,TEXT/".
struct Bai2Piece {
  std::string_view code;  // "" for a line that goes on with the record above it without an 88
  std::string_view text;  // the piece with its code, without the blanks around it
};

// A line holds one record; some banks write several, blanks between. A slash in a text ends no record: what
// follows must look like the start of one.
void split_bai2_line(std::string_view line, std::vector<Bai2Piece>& pieces);

// A record as it grows: its first piece, and the 88 records that go on with it, also in the middle of a
// field.
class Bai2Record {
 public:
  void begin(const Bai2Piece& piece);
  // `slashes`: the file ends its records with "/"; without it a line end does.
  void add(const Bai2Piece& piece, bool slashes);
  [[nodiscard]] bool ended() const { return ended_; }  // with a slash
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;  // boundaries between pieces that end a field are marked
  bool ended_ = false;

  void take_end(std::string_view text);
};

class Bai2Fields {
 public:
  explicit Bai2Fields(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool at_end() const { return ended_; }
  std::string_view next();
  // All that is left, as a text.
  std::string rest();

 private:
  std::string_view rest_;
  bool ended_ = false;
};

// Availability: S three amounts, V date and time, D a list. False: no funds type is written so.
struct Bai2Funds {
  std::string type;
  std::string immediate, one_day, later;
  std::string value_date, value_time;
  std::string distribution;  // "0:20000000 1:30000000": days and amounts
};
[[nodiscard]] bool take_bai2_funds(Bai2Fields& fields, Bai2Funds& funds);

// "+00123", "-5", "": an amount in minor units. nullopt: not one.
[[nodiscard]] std::optional<Decimal> bai2_amount(std::string_view text);

enum class Bai2Direction { credit, debit, none };
// 100-399 and 920-959 credit, 400-699 and 960-999 debit.
[[nodiscard]] Bai2Direction bai2_direction(std::string_view type_code);

}  // namespace pg_reconcile::core
