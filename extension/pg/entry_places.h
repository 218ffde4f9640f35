// Which day an entry is of, and why one can't be taken in: what reconcile.place_entries says, one entry at a
// time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

struct EntryPlace {
  std::int32_t day;
  std::int32_t recon_day;
  std::optional<bool> effective;
};

struct Placed {
  std::string_view channel;  // "": not stated, as all texts here
  std::string_view account;
  std::string_view book;
  std::string_view status;
  std::optional<std::int64_t> occurred_at;
  std::optional<std::int32_t> business_date;
};

using AccountName = std::pair<std::string, std::string>;  // channel, account

// Of the accounts of one batch, under their locks: the account's signed-off days stay as they are until the
// transaction ends.
class EntryPlaces {
 public:
  explicit EntryPlaces(const std::set<AccountName>& accounts);

  // nullopt: refused, and `refused` says why.
  std::optional<EntryPlace> place(const Placed& entry, std::string& refused);

 private:
  struct Account {
    bool channel_known = false;
    bool account_known = false;
    std::string time_zone;
    std::int64_t day_start = 0;  // microseconds
    std::int32_t first_date = 0;
    std::optional<std::int32_t> open_from;  // after the last day that is signed off
    std::vector<std::optional<std::string>> effective_statuses;
    // In this span of occurred_at, local time is that far ahead.
    std::int64_t span_begin = 0;
    std::int64_t span_end = 0;
    std::int64_t span_offset = 0;
  };

  std::map<AccountName, Account> accounts_;
  const AccountName* last_name_ = nullptr;
  Account* last_ = nullptr;
  std::int32_t today_;

  Account& find(const Placed& entry);
  static std::int32_t day_of(Account& account, std::int64_t occurred_at);
};

}  // namespace pg_reconcile::pg
