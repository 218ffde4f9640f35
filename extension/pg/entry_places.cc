#include "extension/pg/entry_places.h"

#include <algorithm>

#include "core/mapping/vocabulary.h"
#include "extension/pg/spi.h"

extern "C" {
#include <pgtime.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/fmgrprotos.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr std::int32_t days_ahead_max = 40;
constexpr std::int64_t second_us = 1000000;
constexpr std::int64_t day_us = 86400 * second_us;
constexpr std::int64_t unix_epoch_s =
    static_cast<std::int64_t>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

std::int64_t floor_divide(std::int64_t value, std::int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

std::int64_t raw_offset(const char* zone, std::int64_t time) {
  const Datum local =
      DirectFunctionCall2(timestamptz_zone, CStringGetTextDatum(zone), TimestampTzGetDatum(time));
  return DatumGetTimestamp(local) - time;
}

// The first change of a zone's clocks after a second of Unix time; nullopt: none.
std::optional<std::int64_t> next_change(const pg_tz* zone, std::int64_t second) {
  pg_time_t from = second;
  pg_time_t boundary = 0;
  long before = 0;
  long after = 0;
  int before_is_summer = 0;
  int after_is_summer = 0;
  const int found =
      pg_next_dst_boundary(&from, &before, &before_is_summer, &boundary, &after, &after_is_summer, zone);
  if (found != 1) return std::nullopt;
  return boundary;
}

std::string date_text(std::int32_t day) {
  return guarded([=] { return DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(day))); });
}

std::optional<std::string> stated(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

EntryPlaces::EntryPlaces(const std::set<AccountName>& accounts)
    : today_(guarded([] { return GetSQLCurrentDate(); })) {
  std::vector<std::optional<std::string>> channels;
  std::vector<std::optional<std::string>> names;
  for (const auto& [channel, account] : accounts) {
    channels.push_back(stated(channel));
    names.push_back(stated(account));
  }
  Spi spi;
  spi.run(
      "SELECT coalesce(a.channel, ''), coalesce(a.account, ''), a.channel_known, a.account_known, "
      "a.time_zone, "
      "a.day_start, a.first_date, a.open_from, s.status FROM reconcile.open_accounts($1, $2) a "
      "LEFT JOIN LATERAL unnest(a.effective_statuses) AS s (status) ON true",
      {Argument::text_array(channels), Argument::text_array(names)});
  for (std::uint64_t i = 0; i < spi.rows(); i++) {
    const auto [at, fresh] = accounts_.try_emplace({spi.text(i, 0), spi.text(i, 1)});
    Account& account = at->second;
    account.channel_known = spi.boolean(i, 2);
    if (!account.channel_known) continue;
    account.account_known = spi.boolean(i, 3);
    account.time_zone = spi.text(i, 4);
    account.day_start = spi.int8(i, 5);
    account.first_date = static_cast<std::int32_t>(spi.int8(i, 6));
    if (!spi.is_null(i, 7)) account.open_from = static_cast<std::int32_t>(spi.int8(i, 7));
    account.effective_statuses.push_back(spi.text_or_null(i, 8));
  }
}

EntryPlaces::Account& EntryPlaces::find(const Placed& entry) {
  if (last_ == nullptr || last_name_->first != entry.channel || last_name_->second != entry.account) {
    const auto found = accounts_.try_emplace({std::string(entry.channel), std::string(entry.account)}).first;
    last_name_ = &found->first;
    last_ = &found->second;
  }
  return *last_;
}

// ((occurred_at AT TIME ZONE time_zone) - day_start)::date
std::int32_t EntryPlaces::day_of(Account& account, std::int64_t occurred_at) {
  if (TIMESTAMP_IS_NOEND(occurred_at)) return DATEVAL_NOEND;
  if (TIMESTAMP_IS_NOBEGIN(occurred_at)) return DATEVAL_NOBEGIN;
  if (occurred_at < account.span_begin || occurred_at >= account.span_end) {
    const char* zone = account.time_zone.c_str();
    account.span_offset = guarded([=] { return raw_offset(zone, occurred_at); });
    account.span_begin = occurred_at;
    account.span_end = occurred_at + 1;
    // Other names may be abbreviations, of which the session says what they mean.
    if (account.time_zone.find('/') != std::string::npos) {
      const pg_tz* found = guarded([=] { return pg_tzset(zone); });
      const std::int64_t second = floor_divide(occurred_at, second_us) + unix_epoch_s;
      const auto to_time = [](std::int64_t unix_second) { return (unix_second - unix_epoch_s) * second_us; };
      const auto before = found == nullptr ? std::nullopt : next_change(found, second - SECS_PER_DAY);
      if (before && *before > second) {
        account.span_begin = to_time(second - SECS_PER_DAY + 1);
        account.span_end = to_time(*before);
      } else if (found != nullptr) {
        account.span_begin = before ? to_time(*before) : to_time(second - SECS_PER_DAY + 1);
        const auto after = next_change(found, second);
        account.span_end = after ? to_time(*after) : to_time(second + SECS_PER_DAY);
      }
    } else if (account.time_zone == "UTC") {
      account.span_begin = floor_divide(occurred_at, day_us) * day_us;
      account.span_end = account.span_begin + day_us;
    }
  }
  return static_cast<std::int32_t>(
      floor_divide(occurred_at + account.span_offset - account.day_start, day_us));
}

std::optional<EntryPlace> EntryPlaces::place(const Placed& entry, std::string& refused) {
  Account& account = find(entry);
  const std::string channel(entry.channel);
  if (!account.channel_known) {
    refused = "channel \"" + channel + "\" does not exist: create it with reconcile.create_channel()";
  } else if (!account.account_known) {
    refused = "account \"" + std::string(entry.account) + "\" of channel \"" + channel +
              "\" does not exist: create it with reconcile.create_account()";
  } else if (!core::contains(core::books, entry.book)) {
    refused = "book \"" + std::string(entry.book) + "\" is not known";
  } else if (!entry.business_date && !entry.occurred_at) {
    refused = "neither business_date nor occurred_at is stated";
  } else {
    const std::int32_t day = entry.business_date ? *entry.business_date : day_of(account, *entry.occurred_at);
    if (day < account.first_date) {
      refused = date_text(day) + " is before the channel's first date " + date_text(account.first_date);
    } else if (day > today_ + days_ahead_max) {
      refused = date_text(day) + " is more than 40 days ahead";
    } else {
      const auto& statuses = account.effective_statuses;
      std::optional<bool> effective;
      if (!entry.status.empty()) {
        effective = std::any_of(statuses.begin(), statuses.end(),
                                [&](const auto& status) { return status == entry.status; });
      }
      return EntryPlace{day, std::max(day, account.open_from.value_or(day)), effective};
    }
  }
  return std::nullopt;
}

}  // namespace pg_reconcile::pg
