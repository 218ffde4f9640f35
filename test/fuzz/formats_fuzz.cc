// Any bytes as a file of a shipped format of fixed widths or of tagged records. The first byte chooses the
// format, the rest is the file; seeds name formats by their place, so new ones come last.
#include "test/fuzz/format_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace format_fuzz;
  static const auto readers =
      make_readers({"unionpay.zm.json", "unionpay.zme.json", "norma43.json", "generic.fixed.json",
                    "paypal.trr.json", "dlocal.settlement.json"});
  if (size == 0) return 0;
  read_both_ways(*readers[bytes[0] % readers.size()], bytes + 1, size - 1);
  return 0;
}
