#include <boost/json.hpp>

#include "core/digest/row_hash.h"
#include "extension/run/run_detail.h"

namespace pg_reconcile {
namespace {

namespace json = boost::json;

constexpr std::int64_t version = 1;

json::array to_json(const core::CountAndAmount& value) {
  return {value.count, value.amount.to_string()};
}

std::string text_of(const json::value& value) {
  const json::string& text = value.as_string();
  return {text.data(), text.size()};
}

core::CountAndAmount count_and_amount(const json::value& value) {
  return {value.at(0).as_int64(), exact_decimal(text_of(value.at(1)))};
}

core::uint128 digest_of(const json::value& value) {
  core::uint128 digest = 0;
  for (const char digit : text_of(value)) digest = digest * 10 + static_cast<core::uint128>(digit - '0');
  return digest;
}

}  // namespace

RunDetail begin_detail(pg::Spi& spi, const LegConfig& leg) {
  RunDetail detail;
  spi.run(
      "SELECT pg_current_xact_id()::text, coalesce(pg_sequence_last_value("
      "pg_get_serial_sequence('reconcile.entry_change', 'change_id')::regclass), 0), "
      "(SELECT md5(concat_ws(E'\\x1f', l::text, c::text, k::text, $4, "
      " (SELECT string_agg(d::text, ',' ORDER BY d.day) FROM reconcile.calendar_day d WHERE d.calendar = "
      "l.calendar))) "
      " FROM reconcile.leg l JOIN reconcile.channel c ON c.channel = l.channel "
      " LEFT JOIN reconcile.calendar k ON k.calendar = l.calendar "
      " WHERE l.channel = $1 AND l.leg = $2 AND l.version = $3)",
      {pg::Argument::text(leg.channel), pg::Argument::text(leg.leg), pg::Argument::int4(leg.version),
       pg::Argument::text(leg.rules_json)});
  detail.transaction = spi.text(0, 0);
  detail.last_change = spi.int8(0, 1);
  detail.settings = spi.text(0, 2);
  return detail;
}

std::string detail_to_json(const RunDetail& detail) {
  json::object currencies;
  for (const auto& [currency, f] : detail.currencies) {
    currencies[currency] = json::object{{"left_in", to_json(f.left_in)},
                                        {"right_in", to_json(f.right_in)},
                                        {"left_matched", to_json(f.left_matched)},
                                        {"right_matched", to_json(f.right_matched)},
                                        {"left_digest", core::to_string(f.left_digest)},
                                        {"right_digest", core::to_string(f.right_digest)},
                                        {"residual", f.residual.to_string()},
                                        {"left_fee", f.left_fee.to_string()},
                                        {"right_fee", f.right_fee.to_string()},
                                        {"fees_not_compared", f.fees_not_compared}};
  }
  return json::serialize(json::object{{"version", version},
                                      {"transaction", detail.transaction},
                                      {"last_change", detail.last_change},
                                      {"settings", detail.settings},
                                      {"match_digest", core::to_string(detail.match_digest)},
                                      {"currencies", std::move(currencies)}});
}

std::optional<RunDetail> detail_from_json(const std::string& text) {
  const json::value stored = json::parse(text);
  if (stored.at("version").as_int64() != version) return std::nullopt;
  RunDetail detail;
  detail.transaction = text_of(stored.at("transaction"));
  detail.last_change = stored.at("last_change").as_int64();
  detail.settings = text_of(stored.at("settings"));
  detail.match_digest = digest_of(stored.at("match_digest"));
  for (const auto& [currency, f] : stored.at("currencies").as_object()) {
    CurrencyDetail& sums = detail.currencies[std::string(currency.data(), currency.size())];
    sums.left_in = count_and_amount(f.at("left_in"));
    sums.right_in = count_and_amount(f.at("right_in"));
    sums.left_matched = count_and_amount(f.at("left_matched"));
    sums.right_matched = count_and_amount(f.at("right_matched"));
    sums.left_digest = digest_of(f.at("left_digest"));
    sums.right_digest = digest_of(f.at("right_digest"));
    sums.residual = exact_decimal(text_of(f.at("residual")));
    sums.left_fee = exact_decimal(text_of(f.at("left_fee")));
    sums.right_fee = exact_decimal(text_of(f.at("right_fee")));
    sums.fees_not_compared = f.at("fees_not_compared").as_int64();
  }
  return detail;
}

void complete_detail(RunDetail& detail, const DayResult& result) {
  detail.match_digest = result.match_digest;
  const auto digest = [](const std::map<std::string, core::uint128>& digests, const std::string& currency) {
    const auto at = digests.find(currency);
    return at == digests.end() ? core::uint128{0} : at->second;
  };
  for (const auto& [currency, f] : result.figures) {
    CurrencyDetail& sums = detail.currencies[currency];
    sums.left_in = f.left.detail_in;
    sums.right_in = f.right.detail_in;
    sums.left_matched = f.left.matched;
    sums.right_matched = f.right.matched;
    sums.left_digest = digest(result.left_digest, currency);
    sums.right_digest = digest(result.right_digest, currency);
    sums.residual = f.residual;
    sums.left_fee = f.left_fee;
    sums.right_fee = f.right_fee;
    sums.fees_not_compared = f.fees_not_compared;
  }
}

}  // namespace pg_reconcile
