#include "core/protocol/copy_text.h"

#include <doctest/doctest.h>

#include "core/error.h"

using namespace pg_reconcile::core;

TEST_CASE("rows of COPY in text format") {
  CopyTextRow row;
  SUBCASE("plain, empty and NULL") {
    const auto& fields = row.parse("a\t\t\\N\n", 3);
    CHECK(fields[0] == "a");
    CHECK(fields[1] == "");
    CHECK_FALSE(fields[2].has_value());
  }
  SUBCASE("escapes, several fields of them") {
    const auto& fields = row.parse("tab\\there\tline\\nend\\\\\t\\\\N\n", 3);
    CHECK(fields[0] == "tab\there");
    CHECK(fields[1] == "line\nend\\");
    CHECK(fields[2] == "\\N");
  }
  SUBCASE("one column, nothing in it") {
    CHECK(row.parse("\n", 1)[0] == "");
  }
  SUBCASE("cut escapes and wrong widths are refused") {
    CHECK_THROWS_AS(row.parse("a\\\n", 1), Error);
    CHECK_THROWS_AS(row.parse("a\tb\n", 3), Error);
    CHECK_THROWS_AS(row.parse("a\tb\n", 1), Error);
  }
}
