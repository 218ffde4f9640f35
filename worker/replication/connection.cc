#include "worker/replication/connection.h"

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "extension/pg/background.h"
#include "worker/replication/resolver.h"

extern "C" {
#include <storage/fd.h>
}

namespace pg_reconcile::worker {
namespace {

std::string trimmed(const char* message) {
  std::string text = message == nullptr ? "" : message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

// Values that make every server write texts as the mapping vocabulary expects them, and connections that
// notice a peer that is gone.
struct Setting {
  const char* keyword;
  const char* value;
};
constexpr Setting defaults[] = {
    {"keepalives_idle", "30"},
    {"keepalives_interval", "10"},
    {"keepalives_count", "3"},
};
constexpr const char* session_options =
    "-c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=3 -c timezone=UTC -c search_path=";

}  // namespace

const std::string& Rows::text(std::size_t row, std::size_t column) const {
  if (row >= rows.size() || column >= rows[row].size() || !rows[row][column]) {
    throw core::Error(core::sqlstate::protocol_violation,
                      "the source's server left out a value that it must send",
                      "Row " + std::to_string(row) + ", column " + std::to_string(column) + ".",
                      "Check that the server is PostgreSQL 10 or later.");
  }
  return *rows[row][column];
}

// Owns a PGresult.
class Connection::Result {
 public:
  explicit Result(PGresult* result) : result_(result) {}
  ~Result() { PQclear(result_); }
  Result(Result&& other) noexcept : result_(std::exchange(other.result_, nullptr)) {}
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;
  Result& operator=(Result&&) = delete;

  [[nodiscard]] const PGresult* get() const { return result_; }
  [[nodiscard]] bool is_end() const { return result_ == nullptr; }
  [[nodiscard]] ExecStatusType status() const { return PQresultStatus(result_); }

  void throw_if_failed() const {
    const ExecStatusType now = status();
    if (now != PGRES_FATAL_ERROR && now != PGRES_BAD_RESPONSE && now != PGRES_NONFATAL_ERROR) return;
    const std::string state = field(result_, PG_DIAG_SQLSTATE);
    const std::string message = field(result_, PG_DIAG_MESSAGE_PRIMARY);
    throw core::Error(
        state.size() == 5 ? state.c_str() : core::sqlstate::connection_failure,
        "the source's server says: " + (message.empty() ? trimmed(PQresultErrorMessage(result_)) : message),
        field(result_, PG_DIAG_MESSAGE_DETAIL), field(result_, PG_DIAG_MESSAGE_HINT));
  }

 private:
  PGresult* result_;
};

void Connection::FreeRow::operator()(char* row) const {
  PQfreemem(row);
}

Connection::Connection(const Credentials& credentials, Purpose purpose, const std::string& application) {
  try {
    connect(credentials, purpose, application);
  } catch (...) {
    close();
    throw;
  }
}

Connection::~Connection() {
  close();
}

void Connection::close() noexcept {
  if (connection_ != nullptr) PQfinish(connection_);
  connection_ = nullptr;
  if (descriptor_reserved_) ReleaseExternalFD();
  descriptor_reserved_ = false;
}

void Connection::connect(const Credentials& credentials, Purpose purpose, const std::string& application) {
  const std::string encoding = GetDatabaseEncodingName();
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  const auto add = [&](const char* keyword, const char* value) {
    keywords.push_back(keyword);
    values.push_back(value);
  };
  // libpq takes the last of equal keywords: the server's own options come after our defaults.
  for (const Setting& setting : defaults) add(setting.keyword, setting.value);
  std::int64_t timeout_ms = connect_ms_default;
  for (const auto& [keyword, value] : credentials.parameters) {
    std::int64_t seconds = 0;
    if (keyword == "connect_timeout" &&
        std::from_chars(value.data(), value.data() + value.size(), seconds).ec == std::errc()) {
      timeout_ms = std::max<std::int64_t>(seconds, 2) * 1000;
    }
  }
  const std::int64_t deadline = pg::now_ms() + timeout_ms;
  const auto parameters = with_addresses(credentials.parameters, deadline);
  for (const auto& [keyword, value] : parameters) add(keyword.c_str(), value.c_str());
  add("client_encoding", encoding.c_str());
  add("options", session_options);
  add("application_name", application.c_str());
  if (purpose == Purpose::replication) add("replication", "database");
  add(nullptr, nullptr);

  if (!pg::guarded([] { return AcquireExternalFD(); })) {
    throw core::Error(core::sqlstate::connection_failure, "too many files are open on this server", {},
                      "Raise max_files_per_process and the account's limit of open files.");
  }
  descriptor_reserved_ = true;
  connection_ = PQconnectStartParams(keywords.data(), values.data(), 0);
  if (connection_ == nullptr) throw std::bad_alloc();
  poll_until_connected(deadline);
  if (credentials.must_use_password && PQconnectionUsedPassword(connection_) == 0) {
    throw core::Error(
        "2F003", "the source's server did not ask for the password",
        "The foreign server's owner here is not a superuser, so the password must be what lets the "
        "worker in.",
        "Make pg_hba.conf of the source ask reconcile's user for scram-sha-256.");
  }
  PQsetnonblocking(connection_, 1);
}

void Connection::poll_until_connected(std::int64_t deadline) {
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (PQstatus(connection_) != CONNECTION_BAD) {
    const std::int64_t left = deadline - pg::now_ms();
    if (left <= 0) {
      throw core::Error(core::sqlstate::connection_failure, "connecting to the source took too long",
                        "Nothing answered.",
                        "Check host and port; the server's option connect_timeout sets the limit.");
    }
    if (pg::wait_for_socket(PQsocket(connection_), status == PGRES_POLLING_WRITING,
                            std::min<std::int64_t>(left, 1000))) {
      status = PQconnectPoll(connection_);
    }
    if (status == PGRES_POLLING_OK) return;
    if (status == PGRES_POLLING_FAILED) break;
  }
  fail("connect to the source");
}

void Connection::fail(const char* doing) const {
  throw core::Error(
      core::sqlstate::connection_failure, std::string("could not ") + doing,
      trimmed(PQerrorMessage(connection_)),
      "Check the foreign server's options, the user mapping of reconcile_worker, and pg_hba.conf there.");
}

void Connection::fail_silent(const char* doing, std::int64_t after_ms) const {
  throw core::Error(
      core::sqlstate::connection_failure, std::string("the source's server did not answer: ") + doing,
      "Waited " + std::to_string(after_ms / 1000) + " s.", "The worker connects again by itself.");
}

void Connection::flush() {
  for (;;) {
    const int left = PQflush(connection_);
    if (left == 0) return;
    if (left < 0) fail("send to the source");
    // The server may be waiting for us to read before it reads: take in what it has.
    if (!pg::wait_for_socket(PQsocket(connection_), true, 1000)) {
      if (PQconsumeInput(connection_) == 0) fail("read from the source");
    }
  }
}

Connection::Result Connection::next_result(std::int64_t answer_ms) {
  const std::int64_t started = pg::now_ms();
  while (PQisBusy(connection_) != 0) {
    if (answer_ms != no_limit && pg::now_ms() - started > answer_ms) fail_silent("to a query", answer_ms);
    pg::wait_for_socket(PQsocket(connection_), false, 1000);
    if (PQconsumeInput(connection_) == 0) fail("read from the source");
  }
  return Result(PQgetResult(connection_));
}

Rows Connection::query(const std::string& sql, std::int64_t answer_ms) {
  if (PQsendQuery(connection_, sql.c_str()) == 0) fail("send to the source");
  flush();
  Rows rows;
  std::optional<core::Error> error;
  for (;;) {
    const Result result = next_result(answer_ms);
    if (result.is_end()) break;
    // An error must not leave results unread: the connection would be out of step.
    try {
      result.throw_if_failed();
    } catch (const core::Error& e) {
      if (!error) error.emplace(e);
    }
    if (PQstatus(connection_) == CONNECTION_BAD) break;
    if (result.status() != PGRES_TUPLES_OK) continue;
    rows.rows.clear();
    for (int row = 0; row < PQntuples(result.get()); row++) {
      auto& values = rows.rows.emplace_back();
      for (int column = 0; column < PQnfields(result.get()); column++) {
        if (PQgetisnull(result.get(), row, column) != 0) {
          values.emplace_back(std::nullopt);
        } else {
          values.emplace_back(PQgetvalue(result.get(), row, column));
        }
      }
    }
  }
  if (error) throw core::Error(*error);
  return rows;
}

std::optional<std::string_view> Connection::take_copy_row() {
  char* row = nullptr;
  const int length = PQgetCopyData(connection_, &row, 1);
  row_.reset(row);
  if (length > 0) return std::string_view(row_.get(), static_cast<std::size_t>(length));
  if (length == 0) return std::nullopt;
  if (length == -2) fail("read from the source");
  // The server ended the copy: its last word is the result.
  const Result result = next_result(answer_ms_max);
  result.throw_if_failed();
  return std::string_view();
}

void Connection::copy_out(const std::string& sql, const std::function<void(std::string_view)>& row) {
  if (PQsendQuery(connection_, sql.c_str()) == 0) fail("send to the source");
  flush();
  {
    const Result started = next_result(no_limit);
    started.throw_if_failed();
    if (started.status() != PGRES_COPY_OUT) fail("copy from the source");
  }
  for (;;) {
    const auto line = take_copy_row();
    if (!line) {
      wait_readable(1000);
      if (PQconsumeInput(connection_) == 0) fail("read from the source");
      continue;
    }
    if (line->data() == nullptr) break;
    row(*line);
  }
  while (!next_result(answer_ms_max).is_end()) {
  }
}

void Connection::start_stream(const std::string& command) {
  if (PQsendQuery(connection_, command.c_str()) == 0) fail("send to the source");
  flush();
  const Result result = next_result(answer_ms_max);
  result.throw_if_failed();
  if (result.status() != PGRES_COPY_BOTH) fail("start the stream");
}

std::optional<std::string_view> Connection::receive() {
  auto frame = take_copy_row();
  if (!frame) {
    if (PQconsumeInput(connection_) == 0) fail("read from the source");
    frame = take_copy_row();
  }
  if (frame && frame->data() == nullptr) {
    throw core::Error(core::sqlstate::connection_failure, "the source's server ended the stream", {},
                      "The worker connects again by itself.");
  }
  return frame;
}

void Connection::wait_readable(std::int64_t timeout_ms) {
  pg::wait_for_socket(PQsocket(connection_), false, timeout_ms);
}

void Connection::send(std::string_view frame) {
  for (;;) {
    const int queued = PQputCopyData(connection_, frame.data(), static_cast<int>(frame.size()));
    if (queued < 0) fail("send to the source");
    if (queued > 0) break;
    flush();
  }
  flush();
}

int Connection::server_version() const {
  return PQserverVersion(connection_);
}

std::string Connection::quote_literal(const std::string& text) const {
  char* quoted = PQescapeLiteral(connection_, text.c_str(), text.size());
  if (quoted == nullptr) fail("quote a text");
  std::string copy(quoted);
  PQfreemem(quoted);
  return copy;
}

std::string Connection::quote_identifier(const std::string& text) const {
  char* quoted = PQescapeIdentifier(connection_, text.c_str(), text.size());
  if (quoted == nullptr) fail("quote a name");
  std::string copy(quoted);
  PQfreemem(quoted);
  return copy;
}

}  // namespace pg_reconcile::worker
