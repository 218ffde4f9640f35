// Any bytes as a file of the frame "nacha".
#include "core/statement/nacha_framer.h"
#include "test/fuzz/framer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace pg_reconcile::core;
  static NachaFramer framer;
  return fuzz_framer(framer, bytes, size);
}
