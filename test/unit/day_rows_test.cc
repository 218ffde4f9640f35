#include "core/matching/day_rows.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "core/matching/day_log.h"
#include "test/unit/day_entries.h"

using namespace pg_reconcile::core;
using namespace day_entries;

namespace {

KeyedHash::Secret secret_of(unsigned seed) {
  std::mt19937 random(seed);
  KeyedHash::Secret secret;
  for (unsigned char& byte : secret) byte = static_cast<unsigned char>(random());
  return secret;
}

std::uint32_t fee_code(const MatchEntry& entry) {
  if (!entry.has_fee) return FeeCode::none;
  return entry.fee_currency == entry.currency ? FeeCode::of(entry.fee) : FeeCode::other;
}

// What a day came to: by names, and in sums.
struct Outcome {
  std::set<std::string> stored;  // pairs that must be stored, groups, open entries
  std::map<int, CountAndAmount> left, right;
  std::map<int, Decimal> residual, left_fee, right_fee;
  std::int64_t fees_not_compared = 0;
  std::size_t pairs = 0;
  uint128 digest = 0;
  bool operator==(const Outcome&) const = default;
};

struct Day {
  std::vector<Row> left;
  std::vector<Row> right;
};

std::string joined(const std::vector<std::uint32_t>& indexes, const std::vector<Row>& rows) {
  std::set<std::string> names;
  for (const std::uint32_t i : indexes) names.insert(rows[i].name);
  std::string text;
  for (const std::string& name : names) text += name + ",";
  return text;
}

Outcome whole(const Day& day, std::span<const MatchPass> passes) {
  NoInterrupts interrupts;
  const auto l = entries(day.left, 1);
  const auto r = entries(day.right, 1);
  const DayMatch match =
      match_day({l, versions(day.left, 1), sources(day.left)},
                {r, versions(day.right, 1), sources(day.right)}, passes, reversal, interrupts);
  Outcome outcome;
  outcome.digest = match.digest;
  outcome.pairs = match.pairs.size();
  for (const MatchedPair& pair : match.pairs) {
    const bool carried = day.left[pair.left].carried || day.right[pair.right].carried;
    if (!pair.fee_differs && !pair.reference_differs && !carried) continue;
    outcome.stored.insert(day.left[pair.left].name + "=" + day.right[pair.right].name + "/" +
                          std::to_string(pair.pass) + (pair.fee_differs ? "!f" : "") +
                          (pair.reference_differs ? "!r" : ""));
  }
  for (const MatchedGroup& group : match.groups) {
    outcome.stored.insert(joined(group.left, day.left) + "=" + joined(group.right, day.right) + "/" +
                          std::to_string(group.pass));
  }
  for (const std::uint32_t i : match.left_open) outcome.stored.insert(day.left[i].name + "?");
  for (const std::uint32_t i : match.right_open) outcome.stored.insert("?" + day.right[i].name);
  for (std::size_t code = 0; code < match.figures.size(); code++) {
    const MatchedFigures& f = match.figures[code];
    const int currency = static_cast<int>(code);
    outcome.left[currency] = f.left;
    outcome.right[currency] = f.right;
    outcome.residual[currency] = f.residual;
    outcome.left_fee[currency] = f.left_fee;
    outcome.right_fee[currency] = f.right_fee;
    outcome.fees_not_compared += f.fees_not_compared;
  }
  return outcome;
}

// What the partitioned match leaves over, by places in the day.
struct Rest final : DayRowSink {
  std::set<std::uint32_t> rows[2];
  void rest(Side side, const DayPlace& place) override {
    if (place.offset != 0) rows[static_cast<int>(side)].insert(place.block);
  }
};

// The settled pairs first, then the rest by match_day(). `known`: these take part, and are never settled.
Outcome split(const Day& day, std::span<const MatchPass> passes, bool prefers_key, unsigned bits,
              const std::set<std::string>& known, unsigned seed, std::size_t& settled) {
  const KeyedHash hash(secret_of(seed));
  const DayPairing pairing = DayPairing::of(passes, prefers_key);
  const bool by_key = pairing.key == DayKey::match_key;
  Rest rest;
  std::vector<std::vector<CompactRow>> parts[2];
  bool states[2] = {false, false};
  for (int side = 0; side < 2; side++) {
    const std::vector<Row>& rows = side == 0 ? day.left : day.right;
    parts[side].resize(std::size_t{1} << bits);
    const auto matched = entries(rows, 1);
    for (std::uint32_t i = 0; i < rows.size(); i++) {
      const Row& row = rows[i];
      if (row.carried) {
        rest.rows[side].insert(i);
        continue;
      }
      states[side] = states[side] || !row.ref.empty();
      const bool is_known = known.contains(row.name);
      if (is_known) rest.rows[side].insert(i);
      const std::string& name = by_key ? row.key : row.ref;
      const std::string& other = by_key ? row.ref : row.key;
      if (pairing.key == DayKey::none || name.empty()) {
        rest.rows[side].insert(i);
        continue;
      }
      const Hash128 key =
          day_key(hash, hash(name.data(), name.size()), matched[i].amount, row.kind, row.currency);
      std::optional<Hash128> other_name;
      if (!other.empty()) other_name = hash(other.data(), other.size());
      const CompactRow compact = DayRow::make(
          key, other_name, fee_code(matched[i]),
          is_known ? DayPlace{} : DayPlace{i, static_cast<std::uint16_t>(1 + i % 7), row.currency});
      parts[side][partition_of(compact, bits)].push_back(compact);
    }
  }
  NoInterrupts interrupts;
  DayPartMatcher matcher(states[0] && states[1] ? pairing : pairing.with_silent_book(), rest, interrupts);
  settled = 0;
  for (std::size_t i = 0; i < parts[0].size(); i++) settled += matcher.match(parts[0][i], parts[1][i]);

  Day left_over;
  Outcome all;
  for (int side = 0; side < 2; side++) {
    const std::vector<Row>& rows = side == 0 ? day.left : day.right;
    const auto matched = entries(rows, 1);
    for (std::uint32_t i = 0; i < rows.size(); i++) {
      if (rest.rows[side].contains(i)) {
        (side == 0 ? left_over.left : left_over.right).push_back(rows[i]);
      } else {
        (side == 0 ? all.left : all.right)[rows[i].currency].add(matched[i].amount);
        all.digest += matched[i].identity;
      }
    }
  }
  Outcome outcome = whole(left_over, passes);
  for (const auto& [currency, sum] : all.left) outcome.left[currency].add(sum.amount, sum.count);
  for (const auto& [currency, sum] : all.right) outcome.right[currency].add(sum.amount, sum.count);
  for (const int currency : {cny, usd}) {
    const Decimal fees = matcher.fees()[static_cast<std::size_t>(currency)];
    outcome.left_fee[currency] += fees;
    outcome.right_fee[currency] += fees;
  }
  outcome.pairs += settled;
  outcome.digest += all.digest;
  return outcome;
}

// Figures of nothing are no figures.
Outcome tidy(Outcome outcome) {
  for (auto* sums : {&outcome.left, &outcome.right}) {
    std::erase_if(*sums, [](const auto& f) { return f.second == CountAndAmount{}; });
  }
  for (auto* sums : {&outcome.residual, &outcome.left_fee, &outcome.right_fee}) {
    std::erase_if(*sums, [](const auto& f) { return f.second.is_zero(); });
  }
  return outcome;
}

// How much a random day has of what makes it difficult.
struct Recipe {
  unsigned names;        // from so many
  unsigned missing_ref;  // one in so many; 1: all
  unsigned missing_key;
  unsigned silent_ref;  // the side that states no reference: 0, 1; 2: none
};

std::vector<Row> random_side(std::mt19937& engine, int side, const Recipe& recipe) {
  const auto random = [&engine] { return static_cast<unsigned>(engine()); };
  std::vector<Row> rows;
  const unsigned count = random() % 24;
  const std::string prefix = side == 0 ? "l" : "r";
  for (unsigned i = 0; i < count; i++) {
    Row row;
    const unsigned name = random() % recipe.names;
    row.name = prefix + std::to_string(i);
    if (random() % 8 == 0) row.name = prefix + std::to_string(random() % (i + 1)) + "#" + std::to_string(i);
    row.ref = random() % recipe.missing_ref == 0 || recipe.silent_ref == static_cast<unsigned>(side)
                  ? ""
                  : "r" + std::to_string(random() % 6 == 0 ? random() % recipe.names : name);
    row.key = random() % recipe.missing_key == 0
                  ? ""
                  : "k" + std::to_string(random() % 6 == 0 ? random() % recipe.names : name);
    row.amount = random() % 12 == 0 ? "-10" : std::to_string(random() % 4 == 0 ? 20 : 10);
    row.order = "o" + std::to_string(name / 2);
    row.kind = random() % 16 == 0 ? reversal : payment;
    row.currency = random() % 10 == 0 ? usd : cny;
    const unsigned fee = random() % 6;
    row.fee = fee < 3 ? "" : fee == 3 ? "0.00001" : fee == 4 ? "0.06" : std::to_string(random() % 2);
    row.fee_currency = random() % 8 == 0 ? usd : row.currency;
    row.carried = random() % 6 == 0;
    row.at = random() % 3;
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

TEST_CASE("a fee's code says which fee it is") {
  for (const char* text : {"0", "1", "-1", "0.06", "-0.06", "0.0001", "12345.67", "26843.5454", "268435456",
                           "100", "9000000", "0.10"}) {
    CAPTURE(text);
    const Decimal fee = *Decimal::parse(text);
    const std::uint32_t code = FeeCode::of(fee);
    REQUIRE(code != FeeCode::none);
    if (std::string(text) == "268435456") {
      CHECK(code == FeeCode::other);  // beyond 64 bits of units
    } else {
      REQUIRE(code != FeeCode::other);
      CHECK(FeeCode::value(code) == fee);
    }
  }
  for (const char* text : {"0.00001", "99999.9999", "999999999999999999.999999999999", "-99999.9999"}) {
    CAPTURE(text);
    CHECK(FeeCode::of(*Decimal::parse(text)) == FeeCode::other);
  }
  CHECK(FeeCode::of(*Decimal::parse("0.10")) == FeeCode::of(*Decimal::parse("0.1")));
  CHECK(FeeCode::of(*Decimal::parse("1")) != FeeCode::of(*Decimal::parse("0.01")));
}

TEST_CASE("a place keeps its block, offset and currency") {
  for (const DayPlace& place : {DayPlace{0, 1, 0}, DayPlace{0xFFFFFFFE, 2047, 30}, DayPlace{7, 291, 31}}) {
    const CompactRow row = DayRow::make({1, 2}, std::nullopt, 0x89ABCDEF, place);
    const DayPlace back = DayPlace::of(row.ordinal());
    CHECK(back.block == place.block);
    CHECK(back.offset == place.offset);
    CHECK(back.currency == place.currency);
    CHECK(DayRow::fee(row) == 0x89ABCDEF);
    CHECK(DayRow::other_name(row) == 0);
  }
}

TEST_CASE("random days: what is settled first and the rest come to what match_day() says of the whole") {
  constexpr MatchPass keys_first[] = {{1, MatchRule::match_key}, {2, MatchRule::channel_ref}};
  constexpr MatchPass references_alone[] = {{1, MatchRule::channel_ref}};
  constexpr MatchPass references_then_carried[] = {
      {1, MatchRule::channel_ref}, {2, MatchRule::carried}, {3, MatchRule::match_key}};
  constexpr MatchPass carried_first[] = {{1, MatchRule::carried}, {2, MatchRule::channel_ref}};
  const std::span<const MatchPass> all[] = {
      all_passes, keys_first, references_alone, references_then_carried, carried_first, {}};
  constexpr Recipe recipes[] = {{24, 8, 8, 2},   {60, 20, 20, 2}, {6, 3, 3, 2},   {40, 30, 30, 0},
                                {40, 30, 30, 1}, {30, 2, 20, 2},  {30, 20, 2, 2}, {30, 1, 20, 2},
                                {30, 20, 1, 2},  {3, 9, 9, 2},    {30, 1, 1, 2}};
  std::size_t settled_in_all = 0;
  for (unsigned seed = 0; seed < 2000; seed++) {
    std::mt19937 random(seed);
    const Recipe& recipe = recipes[seed % std::size(recipes)];
    const Day day{random_side(random, 0, recipe), random_side(random, 1, recipe)};
    std::set<std::string> known;
    for (const auto* rows : {&day.left, &day.right}) {
      for (const Row& row : *rows) {
        if (random() % 12 == 0) known.insert(row.name);
      }
    }
    for (const std::span<const MatchPass> passes : all) {
      const Outcome expected = tidy(whole(day, passes));
      for (const bool prefers_key : {false, true}) {
        for (const unsigned bits : {0U, 1U, 4U}) {
          CAPTURE(seed);
          CAPTURE(prefers_key);
          CAPTURE(bits);
          CAPTURE(passes.size());
          std::size_t settled = 0;
          const Outcome found = tidy(split(day, passes, prefers_key, bits, known, seed + bits, settled));
          settled_in_all += settled;
          CHECK(found.stored == expected.stored);
          CHECK(found == expected);
        }
      }
    }
  }
  CHECK(settled_in_all > 5000);
}

TEST_CASE("what one process found is read by another") {
  struct Chunks final : ChunkStore {
    std::vector<std::vector<Chunk>> chunks;
    Open go_on(const Open& full) override {
      chunks.emplace_back(smallest_chunk / sizeof(Chunk));
      Chunk* chunk = chunks.back().data();
      chunk->next = full.reference;
      chunk->used = 0;
      chunk->capacity = smallest_chunk - sizeof(Chunk);
      return {chunk, chunks.size()};
    }
    const Chunk* read(ChunkReference reference) override { return chunks[reference - 1].data(); }
  } store;
  struct Reader final : DayLogReader {
    std::set<std::string> found;
    static std::string side_name(Side side) { return side == Side::left ? "left " : "right "; }
    void rest(Side side, const DayPlace& place) override {
      found.insert(side_name(side) + std::to_string(place.block) + "/" + std::to_string(place.offset));
    }
    void refunded_order(Side side, std::string order_key) override {
      found.insert(side_name(side) + order_key);
    }
    void sums(Side side, const DaySums& sums) override {
      found.insert(side_name(side) + currency_text(sums.currency) + std::to_string(sums.in.count) + " " +
                   sums.in.amount.to_string() + " " +
                   std::to_string(static_cast<std::uint64_t>(sums.digest >> 64)));
    }
    void identities(Side side, uint128 sum) override {
      found.insert(side_name(side) + "identities " + std::to_string(static_cast<std::uint64_t>(sum >> 64)));
    }
    void fees(std::uint64_t currency, Decimal sum) override {
      found.insert("fees " + currency_text(currency) + " " + sum.to_string());
    }
  } reader;
  const std::string long_key(1000, 'x');
  DayLog log(store);
  log.rest(Side::right, {4000000000, 291, 31});
  log.refunded_order(Side::left, long_key);
  log.refunded_order(Side::right, "eight888");
  log.sums(Side::right, {*currency_word("CNY"), {3, *Decimal::parse("-1.25")}, uint128{7} << 64});
  log.identities(Side::left, uint128{9} << 64);
  log.fees(*currency_word("USD"), *Decimal::parse("0.01"));
  log.refunded_order(Side::left, "");
  replay(store, log.finish(), reader);
  CHECK(reader.found == std::set<std::string>{"right 4000000000/291", "left " + long_key, "right eight888",
                                              "right CNY3 -1.25 7", "left identities 9", "fees USD 0.01",
                                              "left "});
  CHECK_FALSE(currency_word("too long a name"));
}
