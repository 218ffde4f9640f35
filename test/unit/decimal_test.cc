#include "core/money/decimal.h"

#include <doctest/doctest.h>

#include <random>

#include "core/error.h"

using namespace pg_reconcile::core;

namespace {

std::string shown(std::string_view text, int fraction_min = 0) {
  const auto value = Decimal::parse(text);
  return value ? value->to_string(fraction_min) : "refused";
}

}  // namespace

TEST_CASE("texts that are amounts") {
  CHECK(shown("12") == "12");
  CHECK(shown("-0.50") == "-0.5");
  CHECK(shown("+7.") == "7");
  CHECK(shown(".5") == "0.5");
  CHECK(shown("-0") == "0");
  CHECK(shown("000012.3400") == "12.34");
  CHECK(shown("0.000000000001") == "0.000000000001");
  CHECK(shown("0.0000000000010000") == "0.000000000001");
  CHECK(shown("999999999999999999.999999999999") == "999999999999999999.999999999999");
  CHECK(Decimal::parse("12,5", ',')->to_string() == "12.5");
}

TEST_CASE("texts that are not") {
  for (const char* text : {"", "-", "+", ".", "1e3", "1,000", " 1", "1 ", "--1", "1.2.3", "NaN", "Infinity",
                           "0x1", "12a", "0.0000000000001", "1000000000000000000"}) {
    CAPTURE(text);
    CHECK_FALSE(Decimal::parse(text));
  }
}

TEST_CASE("a sum may be longer than an amount, until 128 bits end") {
  CHECK(Decimal::parse_sum("1999999999999999999.98")->to_string() == "1999999999999999999.98");
  CHECK(Decimal::parse_sum("-99999999999999999999999999.999999999999")->to_string() ==
        "-99999999999999999999999999.999999999999");
  CHECK_FALSE(Decimal::parse_sum("100000000000000000000000000"));
  CHECK_FALSE(Decimal::parse_sum("0.0000000000001"));
}

TEST_CASE("at least so many fraction digits") {
  CHECK(shown("3", 2) == "3.00");
  CHECK(shown("3.125", 2) == "3.125");
  CHECK(shown("-0.1", 2) == "-0.10");
}

TEST_CASE("sums are exact, and an overflow is an error") {
  Decimal sum;
  for (int i = 0; i < 10; i++) sum += *Decimal::parse("0.1");
  CHECK(sum == *Decimal::parse("1"));
  CHECK((sum - *Decimal::parse("1.000000000001")).to_string() == "-0.000000000001");
  Decimal huge = *Decimal::parse_sum("99999999999999999999999999");
  CHECK_THROWS_AS(huge += huge, Error);
}

TEST_CASE("what is written reads back the same") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; i++) {
    const int128 units = static_cast<int128>(random() % 1000000000000000000ULL) *
                         static_cast<int128>(random() % 1000000000000ULL);
    const Decimal value = Decimal::from_units(random() % 2 == 0 ? units : -units);
    CHECK(Decimal::parse(value.to_string()) == value);
    CHECK(Decimal::parse(value.to_string(2)) == value);
  }
}

TEST_CASE("minor units shift without loss, or not at all") {
  CHECK(Decimal::parse("1234")->shifted_right(2)->to_string() == "12.34");
  CHECK_FALSE(Decimal::parse("0.000000000001")->shifted_right(1));
  CHECK_FALSE(Decimal::parse("1")->shifted_right(13));
}
