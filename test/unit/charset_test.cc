// Which charset a file is in, when some of its bytes are damaged.
#include <doctest/doctest.h>

#include "core/statement/charset.h"

using namespace pg_reconcile::core;

TEST_CASE("charset: a damaged byte costs its line, not the charset of the file") {
  const std::vector<Charset> charsets = {Charset::utf8, Charset::gb18030};
  const std::string row = "交易时间,微信订单号,商户订单号\n";
  const std::string damaged = "交易\xB5,微信\n";
  CHECK(detect_charset(row + damaged + row + row, charsets) == Charset::utf8);
  CHECK(detect_charset(row + row + "交易\xE6\x97", charsets) == Charset::utf8);  // cut inside a character
}

TEST_CASE("charset: GB18030 is not taken for UTF-8, damaged or not") {
  const std::vector<Charset> charsets = {Charset::utf8, Charset::gb18030};
  const std::string row = "\xBD\xBB\xD2\xD7\xCA\xB1\xBC\xE4,\xB6\xA9\xB5\xA5\n";
  CHECK(detect_charset(row + row, charsets) == Charset::gb18030);
  CHECK(detect_charset(row + "\xBD\xFF\xFF\n" + row + row, charsets) == Charset::gb18030);
}
