// A format document for a file that nobody has described yet: a first guess, for a person to mend.
#pragma once

#include <string>
#include <string_view>

namespace pg_reconcile::core {

// The longest start of a file that is looked at, and the longest end.
constexpr std::size_t suggestion_head_max = 262144;
constexpr std::size_t suggestion_tail_max = 16384;

// `head`: the start of the unpacked file; `tail`: its end, where the head is not all of it. JSON text that
// FormatDocument::compile takes; its description says what is uncertain. Throws core::Error 22023 when no
// table is found.
[[nodiscard]] std::string suggest_format(std::string_view head, std::string_view tail);

}  // namespace pg_reconcile::core
