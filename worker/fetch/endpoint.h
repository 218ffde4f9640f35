// Where a source's files are fetched from, and as whom: the options of its server and user mapping, as
// libcurl takes them. Hosts and certificates are checked, nothing of the operating system account's own
// (netrc, agents, proxies of the environment) is used.
#pragma once

#include <string>
#include <vector>

#include "core/error.h"
#include "core/fetch/location.h"
#include "worker/credentials.h"
#include "worker/fetch/transfer.h"

namespace pg_reconcile::worker {

class Endpoint {
 public:
  Endpoint(core::FetchLocation::Scheme scheme, ServerOptions options, long stall_seconds);

  [[nodiscard]] core::FetchLocation::Scheme scheme() const { return scheme_; }
  [[nodiscard]] const ServerOptions& options() const { return options_; }
  [[nodiscard]] bool is_http() const { return scheme_ == core::FetchLocation::Scheme::https; }

  // Prepares a transfer of a path at the server; of an address, for https. Credentials are sent to the
  // server's own host alone. Throws core::Error.
  void prepare(Transfer& transfer, const std::string& target) const;

  // What to say, and to do, about a transfer that libcurl could not make: nothing secret is in it.
  [[nodiscard]] core::Error explain(const TransferEnd& end) const;

 private:
  void prepare_files(Transfer& transfer, const std::string& path) const;
  void prepare_https(Transfer& transfer, const std::string& address) const;
  void prepare_tls(Transfer& transfer) const;
  void prepare_ssh(Transfer& transfer) const;
  void prepare_proxy(Transfer& transfer) const;
  [[nodiscard]] bool is_own_host(const std::string& address) const;
  [[nodiscard]] std::string login_hint() const;

  core::FetchLocation::Scheme scheme_;
  ServerOptions options_;
  long stall_seconds_;
};

// An address without what follows its path: queries hold signatures.
std::string shown_address(const std::string& address);

}  // namespace pg_reconcile::worker
