// Field 86 of an MT940 or MT942 message taken apart: SWIFT leaves its text to the banks, and a few ways to
// write it are known everywhere.
//
//   166?00GUTSCHRIFT?20SVWZ+Rechnung?21 4711?30COBADEFF?31DE89...?32Muster GmbH   German: a code, then ?NN
//   020>20...  020^00...                                                          the same, other separators
//   /TRTP/SEPA OVERBOEKING/IBAN/NL91.../NAME/J. Jansen/REMI/Factuur/EREF/NOTPROV  words between slashes
//   anything else                                                                 text in lines
#pragma once

#include <string_view>

#include "core/statement/pending_record.h"

namespace pg_reconcile::core {

// Fills details (the text as it stands), purpose, counterparty_name, counterparty_account, counterparty_bank,
// end_to_end_id, mandate_id, creditor_id ... Lines are separated by "\n".
void take_mt940_details(std::string_view text, RecordFields& fields);

}  // namespace pg_reconcile::core
