// Digests of files that were downloaded, bounded in memory; answers signals.
#pragma once

#include <string>

#include "core/fetch/side_file.h"

namespace pg_reconcile::worker {

// In hexadecimal, of the file's bytes; `of_content`: of what a gzip holds, where it is one.
std::string digest_of_file(const std::string& path, core::DigestAlgorithm algorithm, bool of_content);

}  // namespace pg_reconcile::worker
