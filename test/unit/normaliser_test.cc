// The mapping vocabulary, word by word: what docs/formats.md promises.
#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/mapping/normaliser.h"

using namespace pg_reconcile::core;

namespace {

using Columns = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct Result {
  NormaliseOutcome outcome;
  Entry entry;
  Rejection rejection;
};

MappingDefaults shop_defaults() {
  MappingDefaults defaults;
  defaults.channel = "alipay";
  defaults.account = "2088";
  defaults.book = "internal";
  defaults.currency = "CNY";
  defaults.time_zone = "+08:00";
  return defaults;
}

Result run(const std::string& mapping, const Columns& columns, MappingDefaults defaults = shop_defaults()) {
  FixedOffsets zones;
  Normaliser normaliser = Normaliser::compile(mapping, std::move(defaults), zones);
  std::vector<RawField> fields;
  for (const auto& [name, value] : columns) {
    fields.push_back({name, value ? std::optional<std::string_view>(*value) : std::nullopt});
  }
  Result result{};
  result.outcome = normaliser.normalise({fields}, result.entry, result.rejection);
  return result;
}

// A mapping whose required fields are there, with `more` in place of or beside them.
std::string with(const std::string& more) {
  return R"({"order_key": {"column": "order_no"}, "kind": {"const": "payment"}, "status": {"const": "success"},
             "amount": {"column": "amount"}, "occurred_at": {"column": "paid_at"}, "attributes": [])" +
         (more.empty() ? "" : ", " + more) + "}";
}

Columns row(Columns more = {}) {
  Columns columns = {{"order_no", "A1"}, {"amount", "12.50"}, {"paid_at", "2026-11-21 10:00:00"}};
  for (auto& [name, value] : more) {
    bool replaced = false;
    for (auto& column : columns) {
      if (column.first == name) {
        column.second = value;
        replaced = true;
      }
    }
    if (!replaced) columns.emplace_back(name, value);
  }
  return columns;
}

std::string complaint(const std::string& mapping, MappingDefaults defaults = shop_defaults()) {
  FixedOffsets zones;
  try {
    Normaliser::compile(mapping, std::move(defaults), zones);
  } catch (const Error& error) {
    CHECK(std::string(error.state()) == "22023");
    CHECK(!error.hint().empty());
    return error.detail();
  }
  return "";
}

Decimal decimal(std::string_view text) {
  return *Decimal::parse(text);
}

constexpr std::int64_t seconds_2026_11_21 = 848534400;  // 2026-11-21 00:00:00, since 2000-01-01

}  // namespace

TEST_CASE("the mapping of DESIGN section 11 makes a payment and a refund") {
  const std::string mapping = R"({
    "channel":     {"column": "pay_channel", "map": {"1": "alipay", "2": "wechat"}},
    "account":     {"column": "merchant_id"},
    "order_key":   {"column": "order_no"},
    "match_key":   {"concat": ["order_no", "refund_no"], "separator": "/", "skip_empty": true},
    "kind":        {"column": "type", "map": {"PAY": "payment", "REFUND": "refund"}, "else": "reject"},
    "amount":      {"column": "amount_fen", "scale": 2, "sign": {"by": "kind", "negative": ["refund"]}},
    "fee":         {"column": "fee_fen", "scale": 2, "null_if": ["", "0"]},
    "currency":    {"const": "CNY"},
    "status":      {"column": "state", "map": {"1": "pending", "2": "success", "3": "failed"}},
    "occurred_at": {"by": "kind", "cases": {"refund": {"column": "refund_requested_at"},
                    "*": {"first": ["paid_at", "created_at"]}}, "time_zone": "Asia/Shanghai"},
    "attributes":  ["buyer_id", "shop_id"]})";
  struct Shanghai final : TimeZones {
    std::optional<std::int32_t> offset_of_local(std::string_view zone, std::int64_t) override {
      if (zone == "Asia/Shanghai") return 8 * 3600;
      return std::nullopt;
    }
  } zones;
  MappingDefaults defaults;
  defaults.book = "internal";
  Normaliser normaliser = Normaliser::compile(mapping, defaults, zones);
  CHECK(normaliser.channels() == std::vector<std::string>{"alipay", "wechat"});
  CHECK(normaliser.columns().size() == 13);

  const auto record = [&](std::string_view type, std::optional<std::string_view> refund_no) {
    return std::vector<RawField>{{"pay_channel", "2"},
                                 {"merchant_id", "1600"},
                                 {"order_no", "A1"},
                                 {"refund_no", refund_no},
                                 {"type", type},
                                 {"amount_fen", "1250"},
                                 {"fee_fen", "0"},
                                 {"state", "2"},
                                 {"refund_requested_at", "2026-11-22 00:00:01"},
                                 {"paid_at", std::nullopt},
                                 {"created_at", "2026-11-21 00:00:00.25"},
                                 {"buyer_id", "b7"},
                                 {"shop_id", std::nullopt}};
  };
  Entry entry;
  Rejection rejection;
  const auto payment = record("PAY", std::nullopt);
  REQUIRE(normaliser.normalise({payment}, entry, rejection) == NormaliseOutcome::entry);
  CHECK(entry.channel == "wechat");
  CHECK(entry.account == "1600");
  CHECK(entry.book == "internal");
  CHECK(entry.kind == "payment");
  CHECK(entry.order_key == "A1");
  CHECK(entry.match_key == "A1");
  CHECK(entry.amount == decimal("12.5"));
  CHECK(!entry.fee);
  CHECK(entry.currency == "CNY");
  CHECK(entry.status == "success");
  CHECK(entry.occurred_at == (seconds_2026_11_21 - 8 * 3600) * 1000000 + 250000);
  CHECK(entry.attributes ==
        std::vector<std::pair<std::string, std::optional<std::string>>>{{"buyer_id", "b7"}});

  const auto refund = record("REFUND", "R9");
  REQUIRE(normaliser.normalise({refund}, entry, rejection) == NormaliseOutcome::entry);
  CHECK(entry.kind == "refund");
  CHECK(entry.match_key == "A1/R9");
  CHECK(entry.amount == decimal("-12.5"));
  CHECK(entry.occurred_at == (seconds_2026_11_21 + 86401 - 8 * 3600) * 1000000);

  const auto strange = record("TOPUP", std::nullopt);
  REQUIRE(normaliser.normalise({strange}, entry, rejection) == NormaliseOutcome::rejected);
  CHECK(rejection.field == "kind");
  CHECK(rejection.column == "type");
  CHECK(rejection.value == "TOPUP");
  CHECK(rejection.reason == "is not in the map at $.kind.map");
}

TEST_CASE("else: reject, skip or a value; in: the accepted values") {
  const auto kind = [](const std::string& rule, const std::string& type) {
    return run(R"({"order_key": {"column": "order_no"}, "kind": )" + rule +
                   R"(, "status": {"const": "success"}, "amount": {"column": "amount"},
                      "occurred_at": {"column": "paid_at"}})",
               row({{"type", type}}));
  };
  const std::string map = R"("column": "type", "map": {"P": "payment"})";
  CHECK(kind("{" + map + "}", "X").outcome == NormaliseOutcome::rejected);
  CHECK(kind("{" + map + R"(, "else": "reject"})", "X").outcome == NormaliseOutcome::rejected);
  CHECK(kind("{" + map + R"(, "else": "skip"})", "X").outcome == NormaliseOutcome::skipped);
  CHECK(kind("{" + map + R"(, "else": "other"})", "X").entry.kind == "other");
  CHECK(kind(R"({"column": "type", "in": ["payment"]})", "payment").entry.kind == "payment");
  CHECK(kind(R"({"column": "type", "in": ["payment"], "else": "skip"})", "refund").outcome ==
        NormaliseOutcome::skipped);
  CHECK(kind(R"({"column": "type", "in": ["payment"]})", "refund").outcome == NormaliseOutcome::rejected);
}

TEST_CASE("amounts: scale, sign, two columns, sums, number formats") {
  const auto amount = [](const std::string& rule, Columns columns) {
    return run(R"({"order_key": {"column": "order_no"}, "kind": {"column": "kind", "default": "payment"},
                   "status": {"const": "success"}, "occurred_at": {"column": "paid_at"}, "amount": )" +
                   rule + ", \"currency\": {\"column\": \"cur\", \"default\": \"CNY\"}}",
               row(std::move(columns)));
  };
  CHECK(amount(R"({"column": "amount", "scale": "iso4217"})", {{"amount", "15000"}, {"cur", "JPY"}})
            .entry.amount == decimal("15000"));
  CHECK(amount(R"({"column": "amount", "scale": "iso4217"})", {{"amount", "15000"}, {"cur", "kwd"}})
            .entry.amount == decimal("15"));
  CHECK(amount(R"({"column": "amount", "scale": 2})", {{"amount", "15000"}, {"cur", "JPY"}}).entry.amount ==
        decimal("150"));
  CHECK(amount(R"({"column": "amount", "sign": "negate"})", {}).entry.amount == decimal("-12.5"));
  CHECK(amount(R"({"column": "amount", "abs": true})", {{"amount", "-3"}}).entry.amount == decimal("3"));
  CHECK(amount(R"({"column": "amount", "sign": {"by": "kind", "negative": ["refund"]}})",
               {{"kind", "refund"}, {"amount", "-3"}})
            .entry.amount == decimal("-3"));
  const std::string two = R"({"columns": ["in", "out"], "sign": "two_columns"})";
  CHECK(amount(two, {{"in", "5.00"}, {"out", ""}}).entry.amount == decimal("5"));
  CHECK(amount(two, {{"in", " "}, {"out", "2.00"}}).entry.amount == decimal("-2"));
  CHECK(amount(two, {{"in", ""}, {"out", ""}}).outcome == NormaliseOutcome::rejected);
  CHECK(amount(R"({"columns": ["in", "out"], "sign": "two_columns", "abs": true})",
               {{"in", ""}, {"out", "-2.00"}})
            .entry.amount == decimal("-2"));
  CHECK(
      amount(R"({"columns": ["a", "b", "c"]})", {{"a", "0.10"}, {"b", "0.20"}, {"c", "0.03"}}).entry.amount ==
      decimal("0.33"));
  const std::string mark = R"({"column": "amount", "sign": {"mark_column": "dir", "negative": ["支出"],
                                "positive": ["收入"]}})";
  CHECK(amount(mark, {{"dir", "支出"}}).entry.amount == decimal("-12.5"));
  CHECK(amount(mark, {{"dir", "收入"}}).entry.amount == decimal("12.5"));
  CHECK(amount(mark, {{"dir", "?"}}).outcome == NormaliseOutcome::rejected);
  const std::string prefix = R"({"column": "amount", "scale": 2, "sign": {"prefix": {"positive": ["C"],
                                  "negative": ["D"]}}})";
  CHECK(amount(prefix, {{"amount", "D000000000060"}}).entry.amount == decimal("-0.6"));
  CHECK(amount(prefix, {{"amount", "C000000000060"}}).entry.amount == decimal("0.6"));
  CHECK(amount(prefix, {{"amount", "000000000060"}}).outcome == NormaliseOutcome::rejected);
  CHECK(amount(R"({"column": "amount", "scale": 2, "sign": "overpunch"})", {{"amount", "0000123}"}})
            .entry.amount == decimal("-12.3"));
  CHECK(amount(R"({"column": "amount", "format": "1.234,56"})", {{"amount", "4.626,81"}}).entry.amount ==
        decimal("4626.81"));
  CHECK(amount(R"({"column": "amount", "format": "1,234.56"})", {{"amount", "-1,533.50"}}).entry.amount ==
        decimal("-1533.5"));
  CHECK(amount(R"({"column": "amount", "format": "1,234.56"})", {{"amount", "1,53.50"}}).outcome ==
        NormaliseOutcome::rejected);
  CHECK(amount(R"({"column": "amount", "default": "0"})", {{"amount", ""}}).entry.amount == Decimal());
}

TEST_CASE("an amount that is none is rejected with its field, column, value and reason") {
  for (const auto& [text, reason] : std::initializer_list<std::pair<std::string, std::string>>{
           {"abc", "is no amount"},
           {"1,5", "is no amount"},
           {"", "is missing"},
           {"NaN", "is no amount"},
           {"0x10", "is no amount"},
           {"1.2.3", "is no amount"},
           {"12345678901234567890",
            "is out of range: an amount has at most 18 digits before and 12 after the point"},
           {"0.0000000000001",
            "is out of range: an amount has at most 18 digits before and 12 after the point"},
           {"4.0E+27",
            "looks rewritten by a spreadsheet program: the number is lost, ask for the original file"},
           {"27-Oct",
            "looks rewritten by a spreadsheet program: the number is lost, ask for the original file"}}) {
    const Result result = run(with(""), row({{"amount", text}}));
    CAPTURE(text);
    REQUIRE(result.outcome == NormaliseOutcome::rejected);
    CHECK(result.rejection.field == "amount");
    CHECK(result.rejection.column == "amount");
    CHECK(result.rejection.value == text);
    CHECK(result.rejection.reason == reason);
  }
}

TEST_CASE("unknown currency, kind and status are rejections, never a guess") {
  CHECK(run(with(R"("currency": {"column": "cur"})"), row({{"cur", "XYZ"}})).rejection.reason ==
        "is no currency of ISO 4217");
  CHECK(run(with(R"("currency": {"column": "cur"})"), row({{"cur", "usd"}})).entry.currency == "USD");
  // A column that states nothing leaves the source's own currency in place.
  CHECK(run(with(R"("currency": {"column": "cur"})"), row({{"cur", ""}})).entry.currency == "CNY");
}

TEST_CASE("times: formats, offsets, zones") {
  const auto at = [](const std::string& rule, const std::string& text) {
    return run(
        R"({"order_key": {"column": "order_no"}, "kind": {"const": "payment"}, "status": {"const": "success"},
                   "amount": {"column": "amount"}, "occurred_at": )" +
            rule + "}",
        row({{"paid_at", text}}));
  };
  const std::int64_t ten = (seconds_2026_11_21 + 10 * 3600 - 8 * 3600) * 1000000;
  const std::string iso = R"({"column": "paid_at"})";
  CHECK(at(iso, "2026-11-21 10:00:00").entry.occurred_at == ten);
  CHECK(at(iso, "2026-11-21T10:00:00+08:00").entry.occurred_at == ten);
  CHECK(at(iso, "2026-11-21 10:00:00+08").entry.occurred_at == ten);
  CHECK(at(iso, "2026-11-21T02:00:00Z").entry.occurred_at == ten);
  CHECK(at(iso, "20261121T020000Z").entry.occurred_at == ten);
  CHECK(at(iso, "2026-11-21 02:00:00.000001+00").entry.occurred_at == ten + 1);
  CHECK(at(R"({"column": "paid_at", "time_zone": "UTC"})", "2026-11-21 02:00:00").entry.occurred_at == ten);
  CHECK(at(R"({"column": "paid_at", "format": "yyyyMMddHHmmss"})", "20261121100000").entry.occurred_at ==
        ten);
  CHECK(at(R"({"column": "paid_at", "format": ["dd/MM/yyyy HH:mm", "yyyy年MM月dd日 HH:mm:ss"]})",
           "2026年11月21日 10:00:00")
            .entry.occurred_at == ten);
  CHECK(
      at(R"({"column": "paid_at", "format": "M/d/yyyy h:mm a"})", "11/21/2026 10:00 AM").entry.occurred_at ==
      ten);
  const std::int64_t epoch_seconds = ten / 1000000 + 946684800;
  CHECK(at(R"({"column": "paid_at", "format": "epoch_seconds"})", std::to_string(epoch_seconds))
            .entry.occurred_at == ten);
  CHECK(at(R"({"column": "paid_at", "format": "epoch_millis"})", std::to_string(epoch_seconds * 1000 + 5))
            .entry.occurred_at == ten + 5000);
  for (const char* bad : {"2026-02-31 10:00:00", "2026-13-01 10:00:00", "infinity", "2026-11-21 25:00:00",
                          "yesterday", "0044-03-15 00:00:00 BC"}) {
    CAPTURE(bad);
    CHECK(at(iso, bad).outcome == NormaliseOutcome::rejected);
  }
  MappingDefaults no_zone = shop_defaults();
  no_zone.time_zone = "";
  CHECK(run(with(""), row(), no_zone).rejection.reason ==
        "has no offset from UTC, and no time zone is declared for it");
  CHECK(run(with(R"("business_date": {"column": "day", "format": "yyyyMMdd"})"), row({{"day", "20261121"}}))
            .entry.business_date == 9821);
}

TEST_CASE("net is settle_amount - fee: computed where not stated, checked where it is") {
  const std::string fields = R"("settle_amount": {"column": "settle"}, "fee": {"column": "fee"})";
  const Result computed = run(with(fields), row({{"settle", "10.00"}, {"fee", "0.06"}}));
  CHECK(computed.entry.net == decimal("9.94"));
  CHECK(computed.entry.settlement_currency == "CNY");
  const std::string stated = fields + R"(, "net": {"column": "net"})";
  CHECK(run(with(stated), row({{"settle", "10.00"}, {"fee", "0.06"}, {"net", "9.94"}})).outcome ==
        NormaliseOutcome::entry);
  const Result wrong = run(with(stated), row({{"settle", "10.00"}, {"fee", "0.06"}, {"net", "9.95"}}));
  REQUIRE(wrong.outcome == NormaliseOutcome::rejected);
  CHECK(wrong.rejection.reason == "is not settle_amount 10.00 - fee 0.06 = 9.94");
  MappingDefaults lenient = shop_defaults();
  lenient.net_tolerance = decimal("0.01");
  CHECK(run(with(stated), row({{"settle", "10.00"}, {"fee", "0.06"}, {"net", "9.95"}}), lenient).outcome ==
        NormaliseOutcome::entry);
}

TEST_CASE("trim, null_if, empty texts, concat") {
  CHECK(run(with(R"("channel_ref": {"column": "ref", "trim": true})"), row({{"ref", "2019\t"}}))
            .entry.channel_ref == "2019");
  CHECK(run(with(R"("channel_ref": {"column": "ref", "null_if": ["0"]})"), row({{"ref", "0"}}))
            .entry.channel_ref == std::nullopt);
  CHECK(run(with(R"("channel_ref": {"column": "ref"})"), row({{"ref", ""}})).entry.channel_ref ==
        std::nullopt);
  const std::string key =
      R"("match_key": {"concat": ["order_no", {"column": "refund", "null_if": "0"}], "separator": "/",
                       "skip_empty": true, "trim": true})";
  CHECK(run(with(key), row({{"refund", "0"}})).entry.match_key == "A1");
  CHECK(run(with(key), row({{"refund", "R1"}})).entry.match_key == "A1/R1");
  CHECK(run(with(key), row({{"order_no", std::nullopt}, {"refund", "0"}})).entry.match_key == std::nullopt);
}

TEST_CASE("a spreadsheet's damage to an identifier is recognised in files only") {
  MappingDefaults file = shop_defaults();
  file.suspect_spreadsheets = true;
  const Result damaged = run(with(""), row({{"order_no", "4.0E+27"}}), file);
  REQUIRE(damaged.outcome == NormaliseOutcome::rejected);
  CHECK(damaged.rejection.reason ==
        "looks rewritten by a spreadsheet program: the number is lost, ask for the original file");
  CHECK(run(with(""), row({{"order_no", "4.0E+27"}})).outcome == NormaliseOutcome::entry);
  CHECK(run(with(""), row({{"order_no", "E12+4"}}), file).outcome == NormaliseOutcome::entry);
}

TEST_CASE("attributes: everything that nothing else reads, unless said otherwise") {
  const std::string open = R"({"order_key": {"column": "order_no"}, "kind": {"const": "payment"},
      "status": {"const": "success"}, "amount": {"column": "amount"}, "occurred_at": {"column": "paid_at"})";
  const Columns columns = row({{"shop", " s1\t"}, {"note", ""}, {"@account", "x"}});
  using Attributes = std::vector<std::pair<std::string, std::optional<std::string>>>;
  CHECK(run(open + "}", columns).entry.attributes == Attributes{{"shop", "s1"}});
  CHECK(run(open + R"(, "attributes": []})", columns).entry.attributes.empty());
  CHECK(run(open + R"(, "attributes": {"store": {"column": "shop"}}})", columns).entry.attributes ==
        Attributes{{"store", "s1"}});
}

TEST_CASE("a mapping that is wrong names the path and what was expected") {
  CHECK(complaint("[1]") == "at $: expected an object: canonical field -> where it comes from, found [1]");
  CHECK(complaint("{").find("incomplete") != std::string::npos);
  CHECK(complaint("{}") ==
        "at $.kind: expected the entry kind, such as {\"const\": \"payment\"}, found nothing");
  CHECK(complaint(with(R"("amonut": {"column": "x"})")).starts_with("at $.amonut: is no canonical field"));
  CHECK(complaint(with(R"("fee": {"column": "f", "sign": {"by": "knid", "negative": ["refund"]}})")) ==
        "at $.fee.sign.by: expected a canonical text field such as \"kind\", or {\"column\": \"...\"} for a "
        "source "
        "column, found \"knid\"");
  CHECK(complaint(with(R"("fee": {"column": "f", "scale": 13})")) ==
        "at $.fee.scale: expected an integer from 0 to 12, found 13");
  CHECK(complaint(with(R"("fee": {"column": "f", "scale": 1.5})")) ==
        "at $.fee.scale: expected an integer from 0 to 12, found 1.5");
  CHECK(complaint(with(R"("fee": {"const": 1.5})"))
            .starts_with("at $.fee.const: expected a text (amounts too"));
  CHECK(
      complaint(with(R"("book": {"const": "ledger"})")) ==
      "at $.book.const: expected a book (internal, trade, fund, settlement, bank, notify), found \"ledger\"");
  CHECK(complaint(with(R"("fee": {"column": "f", "concat": ["a"]})")).find("exactly one of") !=
        std::string::npos);
  CHECK(complaint(with(R"("channel_ref": {"column": "f", "scale": 2})")) ==
        "at $.channel_ref.scale: this word is only for amounts");
  CHECK(complaint(with(R"("channel_ref": {"columm": "f"})"))
            .starts_with("at $.channel_ref.columm: unknown word"));
  CHECK(complaint(with(R"("value_date": {"column": "d", "format": "yyyy-QQ"})")) ==
        "at $.value_date.format: expected a date pattern such as yyyy-MM-dd HH:mm:ss, but 'QQ' is no part of "
        "a date "
        "pattern");
  CHECK(complaint(
            R"({"order_key": {"column": "o"}, "kind": {"by": "status", "cases": {"*": {"const": "payment"}}},
      "status": {"by": "kind", "cases": {"*": {"const": "success"}}}, "amount": {"column": "a"},
      "occurred_at": {"column": "t"}})")
            .find("depends on itself") != std::string::npos);
  CHECK(complaint(with(R"("sub_kind": {"column": "x", "else": "skip"})")) ==
        "at $.sub_kind.else: else goes with map or in");
  MappingDefaults nothing;
  CHECK(complaint(with(""), nothing) ==
        "at $.channel: expected the channel: the source names none, found nothing");
}

TEST_CASE("of settle_amount, fee and net two make the third") {
  const std::string mapping =
      with(R"("settle_amount": {"column": "settle"}, "fee": {"column": "fee"}, "net": {"column": "net"})");
  const auto amounts = [&](const Columns& stated) { return run(mapping, row(stated)).entry; };
  CHECK(amounts({{"settle", "10"}, {"fee", "0.06"}, {"net", ""}}).net == decimal("9.94"));
  CHECK(amounts({{"settle", ""}, {"fee", "0.06"}, {"net", "9.94"}}).settle_amount == decimal("10"));
  CHECK(amounts({{"settle", "10"}, {"fee", ""}, {"net", "9.94"}}).fee == decimal("0.06"));
  CHECK(!amounts({{"settle", ""}, {"fee", ""}, {"net", "9.94"}}).settle_amount);
}

TEST_CASE("net decides the sign of a fee whose own sign means nothing") {
  const std::string mapping = with(
      R"("settle_amount": {"column": "settle"}, "fee": {"column": "fee", "net_decides": true}, "net": {"column": "net"})");
  const auto fee = [&](const char* stated, const char* net) {
    return run(mapping, row({{"settle", "10"}, {"fee", stated}, {"net", net}}));
  };
  CHECK(fee("-0.06", "9.94").entry.fee == decimal("0.06"));
  CHECK(fee("0.06", "9.94").entry.fee == decimal("0.06"));
  CHECK(fee("0.06", "10.06").entry.fee == decimal("-0.06"));
  CHECK(fee("0.06", "9.95").outcome == NormaliseOutcome::rejected);
  CHECK(complaint(with(R"("net": {"column": "net", "net_decides": true})")) ==
        "at $.net.net_decides: only the fee's sign is decided by net");
}

TEST_CASE("a map's key that ends in * is a prefix: the longest one, and after what is named whole") {
  const std::string mapping =
      with(R"("sub_kind": {"column": "code", "map": {"T11*": "b", "T1107": "a", "T*": "c", "X*": null}})");
  const auto value = [&](const char* code) { return run(mapping, row({{"code", code}})).entry.sub_kind; };
  CHECK(value("T1107") == "a");
  CHECK(value("T1106") == "b");
  CHECK(value("T0006") == "c");
  CHECK(!value("X1"));
  CHECK(run(mapping, row({{"code", "Y"}})).outcome == NormaliseOutcome::rejected);
}

TEST_CASE("a map may say that a record is no movement") {
  const std::string mapping =
      with(R"("sub_kind": {"column": "code", "map": {"T13*": {"skip": true}, "T*": "c"}})");
  CHECK(run(mapping, row({{"code", "T1300"}})).outcome == NormaliseOutcome::skipped);
  CHECK(run(mapping, row({{"code", "T0006"}})).outcome == NormaliseOutcome::entry);
  CHECK(complaint(with(R"("sub_kind": {"column": "code", "map": {"T13*": {"skip": false}}})"))
            .find("expected {\"skip\": true}") != std::string::npos);
}

TEST_CASE("the case \"\" is the one of nothing stated, or of no such column") {
  const std::string mapping = with(
      R"("sub_kind": {"by": {"column": "zone"}, "cases": {"": {"const": "none"}, "*": {"const": "some"}}})");
  CHECK(run(mapping, row({{"zone", ""}})).entry.sub_kind == "none");
  CHECK(run(mapping, row()).entry.sub_kind == "none");
  CHECK(run(mapping, row({{"zone", "CET"}})).entry.sub_kind == "some");
}

TEST_CASE("a date without a year is the one nearest to a date that the file states") {
  const std::string mapping =
      R"({"order_key": "order_no", "kind": {"const": "payment"}, "status": {"const": "success"}, "amount": "amount",
          "occurred_at": {"column": "at", "format": "MMddHHmmss", "year_near": "@business_date"}})";
  const auto day = [&](const char* at, const char* file) -> std::int64_t {
    const Result result = run(mapping, row({{"at", at}, {"@business_date", file}}));
    REQUIRE(result.outcome == NormaliseOutcome::entry);
    return (*result.entry.occurred_at / 1000000 + 8 * 3600) / 86400 - seconds_2026_11_21 / 86400;
  };
  CHECK(day("1121000000", "2026-11-21") == 0);
  CHECK(day("1231235959", "2027-01-01") == 40);
  CHECK(day("0101000000", "2026-12-31") == 41);
  CHECK(day("0229120000", "2027-03-01") == 465);  // only 2028 has that day
  const Result lost = run(mapping, row({{"at", "1121000000"}}));
  CHECK(lost.outcome == NormaliseOutcome::rejected);
  CHECK(lost.rejection.reason == "has no year, and @business_date, which would say it, is not stated");
  CHECK(complaint(with(R"("value_date": {"column": "d", "format": "MMdd"})")).find("a date needs yyyy") !=
        std::string::npos);
}
