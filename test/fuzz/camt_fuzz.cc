// Whatever XML a bank sends, reading ends; every record is accounted for; the size of the chunks that the
// bytes come in changes nothing. And what goes in as entries comes out to the cent: as one record or as many.
//
// The first byte of the input chooses the message, the rest is the file.
#include <cstddef>
#include <cstdint>

#include "test/fuzz/format_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const auto readers = format_fuzz::make_readers({"camt.052.json", "camt.053.json", "camt.054.json"});
  if (size > 0) format_fuzz::read_both_ways(*readers[bytes[0] % readers.size()], bytes + 1, size - 1);
  return 0;
}
