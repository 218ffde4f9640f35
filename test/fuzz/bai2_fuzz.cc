// Any bytes as a file of the frame "bai2".
#include "core/statement/bai2_framer.h"
#include "test/fuzz/framer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace pg_reconcile::core;
  static Bai2Framer framer(true, {Charset::utf8, Charset::latin1});
  return fuzz_framer(framer, bytes, size);
}
