// A filter is one boolean expression over one relation, and nothing else: it cannot end the query it goes
// into.
#pragma once

#include <string>

#include "extension/compare/relation.h"

extern "C" {
#include <nodes/nodes.h>
}

namespace pg_reconcile::pg {

// Parses and analyses `filter` as PostgreSQL's own parser does, with the caller's search_path. Returns when
// it is exactly one expression of type boolean; what it is then may stand between parentheses. Throws
// core::Error with the parser's own words, where in the filter they point to, and a HINT. `argument` is
// left_filter or right_filter.
void check_filter(const ComparedRelation& relation, const std::string& filter, const char* argument);

// An expression over the columns of a relation that has been checked, or is known to be right, analysed as
// PostgreSQL's parser does. In the current memory context.
Node* analysed_expression(const ComparedRelation& relation, const std::string& expression);

}  // namespace pg_reconcile::pg
