// Texts from elsewhere, made fit to be stored or sent.
#pragma once

namespace pg_reconcile::pg {

// Replaces, in place, what the database's encoding doesn't know by question marks: messages quote input, and
// other servers' messages come in encodings of their own.
void make_valid(char* text);

}  // namespace pg_reconcile::pg
