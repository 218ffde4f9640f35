// Writes what a day's matching came to: matches that can't be derived, unmatched entries, suggestions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "extension/run/rule_passes.h"
#include "extension/run/stored_rows.h"

namespace pg_reconcile {

enum class Side : std::uint8_t { left, right };

// A source has two entries under one key, in two months, and both are exceptions: the leg can't tell them
// apart.
class KeyStoredTwice : public core::Error {
 public:
  using core::Error::Error;
};

class DayWriter {
 public:
  DayWriter(pg::Spi& spi, const LegConfig& leg, core::Date day, std::int64_t run_id, const BookDay& left,
            const BookDay& right, const Dictionary& currencies)
      : spi_(spi),
        leg_(leg),
        day_(day),
        run_id_(run_id),
        left_(left),
        right_(right),
        currencies_(currencies) {}

  void write_matches(const core::DayMatch& match, const std::vector<DecidedMatch>& decisions);
  void write_open_items(Side side, const std::vector<std::uint32_t>& open);
  void write_suggestions(const std::vector<Suggestion>& suggestions);
  // Entries of a book as members of matches: each list as a jsonb array.
  std::vector<std::string> member_lists(Side side, const std::vector<std::vector<std::uint32_t>>& lists);

 private:
  // A match that the entries of the day alone don't tell.
  struct Stored {
    std::vector<std::uint32_t> left;
    std::vector<std::uint32_t> right;
    int pass;
    bool differs;
  };

  [[nodiscard]] std::vector<Stored> stored_matches(const core::DayMatch& match) const;
  std::vector<std::int64_t> insert_groups(const std::vector<Stored>& stored,
                                          const std::vector<DecidedMatch>& decisions);
  void insert_items(Side side, const std::vector<Stored>& stored, const std::vector<std::int64_t>& group_ids);
  [[nodiscard]] core::Decimal residual(const std::vector<std::uint32_t>& left,
                                       const std::vector<std::uint32_t>& right) const;
  // Throws KeyStoredTwice when `stored` (open_item, match_item) holds the source key of a row in `rows`, a
  // FROM list that ends with e (source_id, source_key): another entry, of another month, has the same key.
  void require_new_keys(const char* stored, Side side, const std::string& rows,
                        const std::vector<pg::Argument>& arguments);
  [[nodiscard]] std::vector<pg::Argument> leg_arguments() const;
  [[nodiscard]] const BookDay& book(Side side) const { return side == Side::left ? left_ : right_; }
  [[nodiscard]] const std::string& book_name(Side side) const {
    return side == Side::left ? leg_.left_book : leg_.right_book;
  }

  pg::Spi& spi_;
  const LegConfig& leg_;
  core::Date day_;
  std::int64_t run_id_;
  const BookDay& left_;
  const BookDay& right_;
  const Dictionary& currencies_;
};

}  // namespace pg_reconcile
