// Any bytes as a file of the frame "mt940".
#include "core/statement/mt940_framer.h"
#include "test/fuzz/framer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace pg_reconcile::core;
  static Mt940Framer framer(Mt940Framer::Message::mt940, {Charset::utf8, Charset::latin1});
  return fuzz_framer(framer, bytes, size);
}
