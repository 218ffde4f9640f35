// What SQL asks of the store: where a file is, whether it is as it was, and to remove it.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "extension/pg/guard.h"
#include "extension/statement/file_store.h"
#include "extension/values/hex.h"
#include "extension/values/payload.h"

extern "C" {
#include <utils/builtins.h>
}

namespace {

using namespace pg_reconcile;

std::string text_argument(FunctionCallInfo fcinfo, int position) {
  return std::string(pg::payload_in_place(fcinfo->args[position].value));
}

Datum text_datum(const std::string& text) {
  const char* data = text.data();
  const int size = static_cast<int>(text.size());
  return pg::guarded([=] { return PointerGetDatum(cstring_to_text_with_len(data, size)); });
}

// What is wrong with a stored file; "": nothing.
std::string problem_of(const std::string& path, const std::string& hash) {
  try {
    const pg::OpenFile file(path);
    return pg::hex(pg::sha256(file)) == hash ? std::string() : "its bytes are not those that were stored";
  } catch (const core::Error& error) {  // never a PostgresError: that one goes through
    return error.what();
  }
}

}  // namespace

// (sha256, normalised sha256 or NULL) -> path; NULL when there is no store.
PG_RECONCILE_FUNCTION(reconcile_stored_path) {
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  const std::string folder = pg::readable_store();
  if (folder.empty()) PG_RETURN_NULL();
  const std::string hash = text_argument(fcinfo, 0);
  return text_datum(PG_ARGISNULL(1) ? pg::stored_path(folder, hash)
                                    : pg::normalised_path(folder, hash, text_argument(fcinfo, 1)));
}

// (path, sha256) -> what is wrong, or NULL.
PG_RECONCILE_FUNCTION(reconcile_stored_problem) {
  const std::string problem = problem_of(text_argument(fcinfo, 0), text_argument(fcinfo, 1));
  if (problem.empty()) PG_RETURN_NULL();
  return text_datum(problem);
}

// (path) -> whether it was there.
PG_RECONCILE_FUNCTION(reconcile_remove_stored) {
  const std::string path = text_argument(fcinfo, 0);
  if (!path.starts_with(pg::store_folder() + "/")) {
    throw core::Error(core::sqlstate::insufficient_privilege, "file \"" + path + "\" is not in the store");
  }
  if (unlink(path.c_str()) == 0) PG_RETURN_BOOL(true);
  if (errno == ENOENT) PG_RETURN_BOOL(false);
  throw core::Error(core::sqlstate::io_error, "file \"" + path + "\" cannot be removed: " + strerror(errno));
}

PG_RECONCILE_FUNCTION(reconcile_adopt_store) {
  const std::string folder = pg::adopt_store_folder();
  if (folder.empty()) PG_RETURN_NULL();
  return text_datum(folder);
}
