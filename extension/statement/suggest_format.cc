// reconcile.suggest_format: a first format document for a file that no format describes.
#include <string>
#include <vector>

#include "core/statement/format_document.h"
#include "core/statement/format_suggestion.h"
#include "extension/pg/guard.h"
#include "extension/statement/allowed_path.h"
#include "extension/statement/container.h"
#include "extension/statement/format_store.h"

extern "C" {
#include <utils/builtins.h>
#include <utils/jsonb.h>
}

namespace {

using namespace pg_reconcile;

constexpr std::int64_t suggestion_bytes_max = 1073741824;  // beyond it the end of the file is not looked for

struct Ends {
  std::string head;
  std::string tail;  // empty: `head` is all there is
};

Ends ends_of(core::ByteSource& source, core::Interrupts& interrupts) {
  Ends ends;
  std::vector<char> chunk(65536);
  std::int64_t read = 0;
  while (read < suggestion_bytes_max) {
    interrupts.poll();
    const std::size_t count = source.read(chunk);
    if (count == 0) {
      if (read <= static_cast<std::int64_t>(ends.head.size())) ends.tail.clear();
      return ends;
    }
    read += static_cast<std::int64_t>(count);
    const std::string_view bytes(chunk.data(), count);
    if (ends.head.size() < core::suggestion_head_max) {
      ends.head += bytes.substr(0, core::suggestion_head_max - ends.head.size());
    }
    ends.tail += bytes;
    if (ends.tail.size() > 2 * core::suggestion_tail_max) {
      ends.tail.erase(0, ends.tail.size() - core::suggestion_tail_max);
    }
  }
  ends.tail = "\n";  // torn, and nothing is known of its end
  return ends;
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_suggest_format) {
  pg::require_utf8_database();
  const text* argument = pg::guarded([=] { return PG_GETARG_TEXT_PP(0); });
  const std::string path =
      pg::allowed_path(std::string(VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument)), GetUserId());
  const pg::OpenFile file(path);
  core::FormatDocument any;
  any.name = "that is looked for";
  any.unwrap.containers = {"zip", "gzip", "tar", "none"};
  any.charsets = {core::Charset::utf8, core::Charset::gb18030};
  pg::BackendInterrupts interrupts;
  std::string document;
  try {
    const auto source = pg::unwrap(file, any);
    const Ends ends = ends_of(*source, interrupts);
    document = core::suggest_format(ends.head, ends.tail);
  } catch (const pg::UnusableFile& unusable) {
    throw core::Error(core::sqlstate::data_corrupted, "file \"" + path + "\" can't be used",
                      std::string(unusable.what()) + ".",
                      "Unpack it, and ask about the one file of it that holds the statement.");
  }
  const char* json = document.c_str();
  return pg::guarded([=] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(json)); });
}
