// A libpq connection that never blocks: every wait also watches the process's latch, so that a shutdown is
// answered at once, and has an end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/credentials.h"

// libpq's, so that its header stays out of this one.
struct pg_conn;

namespace pg_reconcile::worker {

// A query's rows as texts.
struct Rows {
  std::vector<std::vector<std::optional<std::string>>> rows;

  [[nodiscard]] bool empty() const { return rows.empty(); }
  // Throws 08P01 when the server didn't send it.
  [[nodiscard]] const std::string& text(std::size_t row, std::size_t column) const;
};

class Connection {
 public:
  enum class Purpose { queries, replication };

  static constexpr std::int64_t connect_ms_default = 20'000;
  static constexpr std::int64_t answer_ms_max = 60'000;
  static constexpr std::int64_t no_limit = -1;

  // Throws core::Error 08006 with libpq's message, which never holds a password.
  Connection(const Credentials& credentials, Purpose purpose, const std::string& application);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs one statement. The server's error keeps its SQLSTATE, message, detail and hint.
  Rows query(const std::string& sql, std::int64_t answer_ms = answer_ms_max);

  // COPY ... TO STDOUT: every row goes to `row`, which may throw.
  void copy_out(const std::string& sql, const std::function<void(std::string_view)>& row);

  // START_REPLICATION; after it only the functions below.
  void start_stream(const std::string& command);
  // The next frame if one has arrived; valid until the next call. Reads what the socket has, doesn't wait.
  std::optional<std::string_view> receive();
  // Waits for more, at most so long.
  void wait_readable(std::int64_t timeout_ms);
  void send(std::string_view frame);

  [[nodiscard]] int server_version() const;
  std::string quote_literal(const std::string& text) const;
  std::string quote_identifier(const std::string& text) const;

 private:
  class Result;
  struct FreeRow {
    void operator()(char* row) const;
  };
  void close() noexcept;
  void connect(const Credentials& credentials, Purpose purpose, const std::string& application);
  void poll_until_connected(std::int64_t deadline);
  void flush();
  Result next_result(std::int64_t answer_ms);
  std::optional<std::string_view> take_copy_row();
  [[noreturn]] void fail(const char* doing) const;
  [[noreturn]] void fail_silent(const char* doing, std::int64_t after_ms) const;

  pg_conn* connection_ = nullptr;
  bool descriptor_reserved_ = false;
  std::unique_ptr<char, FreeRow> row_;
};

}  // namespace pg_reconcile::worker
