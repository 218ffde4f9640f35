// Any bytes as a file of the frame "cfonb120".
#include "core/statement/cfonb120_framer.h"
#include "test/fuzz/framer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace pg_reconcile::core;
  static Cfonb120Framer framer({Charset::utf8, Charset::latin1});
  return fuzz_framer(framer, bytes, size);
}
