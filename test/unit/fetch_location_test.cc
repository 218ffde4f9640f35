#include "core/fetch/location.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "core/mapping/timestamp_format.h"

using namespace pg_reconcile::core;

namespace {

const Date new_year_eve = *days_from_civil(2026, 12, 31);

std::string refusal(const char* location) {
  try {
    FetchLocation::compile(location);
  } catch (const Error& error) {
    return error.detail();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a location is one day's path or address") {
  const auto bills = FetchLocation::compile("sftp://bills/{yyyyMMdd}/*_{account}.zip");
  CHECK(bills.scheme() == FetchLocation::Scheme::sftp);
  CHECK(bills.lists());
  CHECK(bills.expand(new_year_eve, "2088") == "bills/20261231/*_2088.zip");
  const auto url = FetchLocation::compile("https://api.example.com/bill?date={yyyy-MM-dd}&kind=*");
  CHECK(url.scheme() == FetchLocation::Scheme::https);
  CHECK_FALSE(url.lists());
  CHECK(url.expand(new_year_eve, "") == "api.example.com/bill?date=2026-12-31&kind=*");
  const auto root = FetchLocation::compile("ftps:///out/{yyyy}/{M}/{dd}.csv");
  CHECK(root.expand(*days_from_civil(2026, 2, 3), "") == "/out/2026/2/03.csv");
  CHECK_FALSE(root.lists());
  CHECK(FetchLocation::is_remote("ftps://x"));
  CHECK_FALSE(FetchLocation::is_remote("file:///x"));
  CHECK_FALSE(FetchLocation::is_remote("ftp://x"));
}

TEST_CASE("a location that names no day, or leads elsewhere, is refused") {
  CHECK(refusal("sftp://bills/*.zip") == "It has no date, and every day is asked for by its own.");
  CHECK(refusal("sftp://") == "It names no path after sftp://, ftps:// or https://.");
  CHECK(refusal("http://host/{yyyyMMdd}") == "It names no path after sftp://, ftps:// or https://.");
  CHECK(refusal("sftp://{yyyyMMdd}/../x") == "It goes up by \"..\".");
  CHECK(refusal("sftp://*/{yyyyMMdd}.csv") ==
        "A wildcard stands in a folder's name; it may stand in the file's.");
  CHECK(refusal("sftp://{yyyyMMdd}/") == "It ends in a folder, and names no file.");
  CHECK(refusal("sftp://{yyyyMMdd") == "A { is opened and never closed.");
  CHECK(refusal("sftp://{HHmm}") == "{HHmm} is no date: it is written with yyyy, yy, MM, M, dd and d");
  CHECK(refusal("sftp://{-}") == "{-} is no date");
  CHECK(refusal("https://h/{yyyyMMdd}\r\nX: y") == "It holds a control character.");
}

TEST_CASE("of a listing the complete files that fit are taken, in order") {
  const auto names = matching_names(
      "b_1.zip\r\n.\n..\na_1.zip\na_2.zip.part\n.a_3.zip\nx/../a_4.zip\na_1.zip\nnotes.txt\n", "*_?.zip");
  CHECK(names == std::vector<std::string>{"a_1.zip", "b_1.zip"});
  CHECK(matching_names("", "*").empty());
  CHECK_FALSE(is_plain_name("a\nb"));
  CHECK_FALSE(is_plain_name(std::string(201, 'x')));
}
