// A mapping (DESIGN "One mapping vocabulary") turned into the machine that makes entries out of raw records.
//
// The mapping is validated once, when it is stored and when it is loaded: an error names the JSON path and
// what was expected. Per record it allocates nothing that it doesn't put into the Entry.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/mapping/entry.h"
#include "core/mapping/raw_record.h"
#include "core/mapping/time_zone.h"

namespace pg_reconcile::core {

class JsonNode;

// What the mapping leaves out is taken from here: the source's channel, account, book, the channel's currency
// and time zone ("" = not known; then the mapping must say).
struct MappingDefaults {
  std::string channel;
  std::string account;
  std::string book;
  std::string currency;
  std::string time_zone;
  // Where the record states net beside settle_amount and fee: how far net may be from their difference.
  // nullopt: not checked.
  std::optional<Decimal> net_tolerance = Decimal();
  // Files pass through spreadsheet programs: an identifier such as 4.0E+27 is then a rejection with that
  // reason.
  bool suspect_spreadsheets = false;
};

// Why a record can't become an entry. `field` is the canonical field, `column` and `value` what the source
// said.
struct Rejection {
  std::string field;
  std::string column;
  std::string value;
  std::string reason;
};

enum class NormaliseOutcome {
  entry,    // `entry` is filled
  skipped,  // the mapping says that this record is no movement ("else": "skip")
  rejected  // `rejection` says why
};

class Normaliser {
 public:
  // `mapping` is JSON text. Throws core::Error 22023 with DETAIL "at $.amount.sign.by: expected ...".
  // `zones` must outlive the Normaliser. Words: docs/formats.md.
  static Normaliser compile(std::string_view mapping, MappingDefaults defaults, TimeZones& zones);
  // The same for a mapping that is a part of a larger document (a file format's "map").
  static Normaliser compile(const JsonNode& mapping, MappingDefaults defaults, TimeZones& zones);

  Normaliser(Normaliser&&) noexcept;
  Normaliser& operator=(Normaliser&&) noexcept;
  ~Normaliser();

  // An empty text is NULL. `entry.order_key` comes out empty where the source states none: the caller puts
  // the source key there. `entry.net` is settle_amount - fee where it is not stated;
  // `entry.settlement_currency` is `currency` where it is not stated and an amount in it is.
  NormaliseOutcome normalise(const RawRecord& record, Entry& entry, Rejection& rejection);

  // Every source column that the mapping reads: a column that disappears is an error with a name.
  [[nodiscard]] const std::vector<std::string>& columns() const;

  // The channels that this mapping can yield: its constant, its map's values, or empty when a column's own
  // text is taken as the channel (any channel).
  [[nodiscard]] const std::vector<std::string>& channels() const;

 private:
  struct Program;
  explicit Normaliser(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace pg_reconcile::core
