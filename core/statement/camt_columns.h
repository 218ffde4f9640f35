// The columns that a camt record has beside its leaves: what needs more than one path to say.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/mapping/raw_record.h"
#include "core/statement/xml_leaves.h"

namespace pg_reconcile::core {

struct CamtAmounts {
  std::string_view amount;     // in the currency of the entry, unsigned
  std::string_view direction;  // CRDT, DBIT
  std::string_view charges;
  std::string_view gross;
};

class CamtColumns {
 public:
  // `detail` may be nullptr. Views into all arguments.
  CamtColumns(const XmlLeaves& entry, const XmlLeaves* detail, const CamtAmounts& amounts);

  [[nodiscard]] const std::vector<RawField>& fields() const { return fields_; }

 private:
  const XmlLeaves& entry_;
  const XmlLeaves* detail_;
  std::vector<RawField> fields_;
  std::vector<std::string_view> told_;  // leaves that a column says already

  void column(std::string_view name, std::string_view value);
  std::string_view take(std::string_view path);  // of the entry
  std::string_view take_first(std::initializer_list<std::string_view> paths);
  std::string_view of_detail(std::initializer_list<std::string_view> paths);
  void moment(std::string_view element, std::string_view day, std::string_view time);
  void counterparty(bool debtor);
  void original_amount();
  void rest();
};

}  // namespace pg_reconcile::core
