// Whatever tags a bank opens and does not close, reading ends; every record is accounted for; the size of the
// chunks that the bytes come in changes nothing.
#include <cstddef>
#include <cstdint>

#include "test/fuzz/format_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const auto readers = format_fuzz::make_readers({"ofx.json"});
  format_fuzz::read_both_ways(*readers[0], bytes, size);
  return 0;
}
