#include "extension/pg/valid_text.h"

#include <cstring>

#include "extension/pg/postgres.h"

namespace pg_reconcile::pg {

void make_valid(char* text) {
  const int encoding = GetDatabaseEncoding();
  int left = static_cast<int>(strlen(text));
  while (left > 0) {
    const int length = pg_encoding_verifymbchar(encoding, text, left);
    if (length > 0) {
      text += length;
      left -= length;
    } else {
      *text++ = '?';
      left--;
    }
  }
}

}  // namespace pg_reconcile::pg
