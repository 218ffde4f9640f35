// What a row says, as hashes: how a re-issued statement is compared with what is stored of the one that it
// corrects.
//
// Rows are compared by everything that an entry holds of its source: two rows of the same content are the
// same row, and twins are counted. 128 bits under a random key decide (DESIGN section 10).
#pragma once

#include <optional>
#include <string>

#include "core/mapping/entry.h"
#include "core/matching/keyed_hash.h"

namespace pg_reconcile::core {

class EntryContent {
 public:
  explicit EntryContent(const KeyedHash::Secret& secret) : hash_(secret) {}

  // Of all columns. `business_date` is resolved, and an order key that is the row's own source key is left
  // empty: they say nothing that the source said. Attributes are compared as jsonb compares them: their order
  // does not matter, and of a name that comes twice the last value counts.
  Hash128 content(const Entry& entry);

  // Of what names the movement: account, book, kind, order key, match key and the channel's number. nullopt
  // where the source gives it no name: such a row can't be known again once it has changed.
  std::optional<Hash128> identity(const Entry& entry);

 private:
  KeyedHash hash_;
  std::string bytes_;

  void add(const std::string& text);
  void add(const std::optional<std::string>& text);
  void add(const std::optional<Decimal>& amount);
  template <class Number>
  void add_number(const std::optional<Number>& number);
  void add_attributes(const Entry& entry);
};

}  // namespace pg_reconcile::core
