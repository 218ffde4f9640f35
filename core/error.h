// The one exception type of core. It carries what PostgreSQL will show: a SQLSTATE, a message, a detail, a
// hint.
#pragma once

#ifdef POSTGRES_H
#error "core/ never meets postgres.h: include core headers first"
#endif

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace pg_reconcile::core {

// SQLSTATEs that core raises, as PostgreSQL's errcodes appendix names them.
namespace sqlstate {
inline constexpr const char* invalid_parameter_value = "22023";
inline constexpr const char* invalid_text_representation = "22P02";
inline constexpr const char* invalid_binary_representation = "22P03";
inline constexpr const char* invalid_datetime_format = "22007";
inline constexpr const char* null_value_not_allowed = "22004";
inline constexpr const char* numeric_value_out_of_range = "22003";
inline constexpr const char* character_not_in_repertoire = "22021";
inline constexpr const char* data_corrupted = "XX001";
inline constexpr const char* undefined_column = "42703";
inline constexpr const char* undefined_object = "42704";
inline constexpr const char* datatype_mismatch = "42804";
inline constexpr const char* insufficient_privilege = "42501";
inline constexpr const char* out_of_memory = "53200";
inline constexpr const char* program_limit_exceeded = "54000";
inline constexpr const char* object_not_in_prerequisite_state = "55000";
inline constexpr const char* query_canceled = "57014";
inline constexpr const char* io_error = "58030";
inline constexpr const char* undefined_file = "58P01";
inline constexpr const char* protocol_violation = "08P01";
inline constexpr const char* connection_failure = "08006";
inline constexpr const char* feature_not_supported = "0A000";
inline constexpr const char* internal_error = "XX000";
}  // namespace sqlstate

class Error : public std::runtime_error {
 public:
  // `state` is a five character SQLSTATE; it is copied.
  Error(const char* state, const std::string& message, std::string detail = {}, std::string hint = {})
      : std::runtime_error(message), detail_(std::move(detail)), hint_(std::move(hint)) {
    for (std::size_t i = 0; i + 1 < sizeof(state_) && state[i] != '\0'; i++) state_[i] = state[i];
  }

  [[nodiscard]] const char* state() const noexcept { return state_; }
  [[nodiscard]] const std::string& detail() const noexcept { return detail_; }
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

 private:
  char state_[6] = {};
  std::string detail_;
  std::string hint_;
};

}  // namespace pg_reconcile::core
