#include "core/statement/normalised_csv.h"

#include <array>
#include <cstdio>
#include <optional>
#include <string_view>

#include "core/mapping/attributes_json.h"
#include "core/mapping/timestamp_format.h"

namespace pg_reconcile::core {
namespace {

void append_text(std::string& out, std::string_view text) {
  // An empty text would be NULL, and \. alone ends COPY's input.
  const bool quoted = text.empty() || text.find_first_of("\",\r\n") != std::string_view::npos ||
                      text.front() == ' ' || text.back() == ' ' || text == "\\.";
  if (!quoted) {
    out += text;
    return;
  }
  out += '"';
  for (char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

void append(std::string& out, const std::string& text) {
  out += ',';
  append_text(out, text);
}

void append(std::string& out, const std::optional<std::string>& text) {
  out += ',';
  if (text) append_text(out, *text);
}

void append(std::string& out, const std::optional<Decimal>& amount) {
  out += ',';
  if (amount) out += amount->to_string(2);
}

void append(std::string& out, const std::optional<Date>& date) {
  out += ',';
  if (date) out += date_text(*date);
}

}  // namespace

std::string utc_text(TimestampTz time) {
  constexpr std::int64_t microseconds_per_day = 86'400'000'000;
  std::int64_t day = time / microseconds_per_day;
  if (time % microseconds_per_day < 0) day--;
  const std::int64_t in_day = time - day * microseconds_per_day;
  const std::int64_t seconds = in_day / 1'000'000;
  std::array<char, 32> clock = {};
  const int length = snprintf(clock.data(), clock.size(), " %02d:%02d:%02d.%06d+00",
                              static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60 % 60),
                              static_cast<int>(seconds % 60), static_cast<int>(in_day % 1'000'000));
  return date_text(static_cast<Date>(day)).append(clock.data(), static_cast<std::size_t>(length));
}

std::string normalised_csv_header() {
  return "row_no,account,book,kind,sub_kind,order_key,match_key,channel_ref,original_ref,amount,currency,"
         "settle_amount,settlement_currency,fx_rate,fee,net,status,source_status,occurred_at,value_date,"
         "business_date,settlement_ref,attributes\n";
}

void append_normalised_csv(std::string& out, std::int64_t row_no, const Entry& entry) {
  out += std::to_string(row_no);
  append(out, entry.account);
  append(out, entry.book);
  append(out, entry.kind);
  append(out, entry.sub_kind);
  append(out, entry.order_key);
  append(out, entry.match_key);
  append(out, entry.channel_ref);
  append(out, entry.original_ref);
  append(out, std::optional(entry.amount));
  append(out, entry.currency);
  append(out, entry.settle_amount);
  append(out, entry.settlement_currency);
  append(out, entry.fx_rate);
  append(out, entry.fee);
  append(out, entry.net);
  append(out, entry.status);
  append(out, entry.source_status);
  out += ',';
  if (entry.occurred_at) out += utc_text(*entry.occurred_at);
  append(out, entry.value_date);
  append(out, entry.business_date);
  append(out, entry.settlement_ref);
  append(out, attributes_json(entry));
  out += '\n';
}

}  // namespace pg_reconcile::core
