#include "core/statement/framers.h"

#include <algorithm>
#include <array>

#include "core/statement/bai2_framer.h"
#include "core/statement/camt_framer.h"
#include "core/statement/cfonb120_framer.h"
#include "core/statement/coda_framer.h"
#include "core/statement/csv_framer.h"
#include "core/statement/fixed_framer.h"
#include "core/statement/mt940_framer.h"
#include "core/statement/nacha_framer.h"
#include "core/statement/ofx_framer.h"
#include "core/statement/tagged_framer.h"
#include "core/statement/xlsx_framer.h"

namespace pg_reconcile::core {
namespace {

constexpr std::array frames = {
    FrameType{"csv", make_csv_framer, true, true},
    FrameType{"fixed", make_fixed_framer, false, true},
    FrameType{"tagged", make_tagged_framer, false, false},
    FrameType{"camt", make_camt_framer, false, false},
    FrameType{"ofx", make_ofx_framer, false, false},
    FrameType{"mt940", make_mt940_framer, false, false},
    FrameType{"mt942", make_mt942_framer, false, false},
    FrameType{"bai2", make_bai2_framer, false, false},
    FrameType{"cfonb120", make_cfonb120_framer, false, false},
    FrameType{"coda", make_coda_framer, false, false},
    FrameType{"nacha", make_nacha_framer, false, false},
    FrameType{"xlsx", make_xlsx_framer, true, true},
};

}  // namespace

const FrameType* find_frame_type(std::string_view name) {
  const auto* found =
      std::find_if(frames.begin(), frames.end(), [&](const FrameType& frame) { return frame.name == name; });
  return found == frames.end() ? nullptr : found;
}

std::string frame_type_names() {
  std::string names;
  for (std::size_t i = 0; i < frames.size(); i++) {
    if (i > 0) names += i + 1 == frames.size() ? " or " : ", ";
    names += frames[i].name;
  }
  return names;
}

std::unique_ptr<Framer> make_framer(const FormatDocument& format) {
  const FrameType* type = find_frame_type(format.frame_type);
  if (type == nullptr) format.frame->at("type", "a frame").expected(frame_type_names());
  return type->make(format);
}

}  // namespace pg_reconcile::core
