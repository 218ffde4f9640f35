#include "core/protocol/lsn.h"

#include <doctest/doctest.h>

using namespace pg_reconcile::core;

TEST_CASE("LSNs read and write as pg_lsn does") {
  CHECK(parse_lsn("16/B374D848") == 0x16B374D848ULL);
  CHECK(parse_lsn("0/0") == 0ULL);
  CHECK(format_lsn(0x16B374D848ULL) == "16/B374D848");
  CHECK(format_lsn(0xFFFFFFFFFFFFFFFFULL) == "FFFFFFFF/FFFFFFFF");
  for (const char* wrong : {"", "/", "1", "1/", "/1", "1/G", "100000000/0", "1/2/3", " 1/2", "-1/2"}) {
    CHECK_FALSE(parse_lsn(wrong).has_value());
  }
}
