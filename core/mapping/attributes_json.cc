#include "core/mapping/attributes_json.h"

#include <boost/json.hpp>

namespace pg_reconcile::core {

std::string attributes_json(const Entry& entry) {
  boost::json::object object;
  for (const auto& [name, value] : entry.attributes) {
    if (value) {
      object[name] = *value;
    } else {
      object[name] = nullptr;
    }
  }
  return boost::json::serialize(object);
}

}  // namespace pg_reconcile::core
