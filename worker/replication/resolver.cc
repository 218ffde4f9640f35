#include "worker/replication/resolver.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>

#include "core/error.h"
#include "extension/pg/background.h"

namespace pg_reconcile::worker {
namespace {

// Shared by the worker and the thread: the last one frees it and closes the pipe.
struct Lookup {
  std::string host;
  std::array<int, 2> pipe = {-1, -1};  // a byte in it: done
  std::atomic<bool> done = false;
  std::string problem;
  std::vector<std::string> addresses;

  explicit Lookup(const std::string& name) : host(name) {
    if (pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
      throw core::Error(core::sqlstate::io_error, std::string("no pipe can be made: ") + strerror(errno));
    }
  }
  ~Lookup() {
    close(pipe[0]);
    close(pipe[1]);
  }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  void run() {
    addrinfo wanted = {};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int result = getaddrinfo(host.c_str(), nullptr, &wanted, &found);
    if (result != 0) problem = result == EAI_SYSTEM ? strerror(errno) : gai_strerror(result);
    for (const addrinfo* at = result == 0 ? found : nullptr; at != nullptr; at = at->ai_next) {
      std::array<char, NI_MAXHOST> text = {};
      if (getnameinfo(at->ai_addr, at->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) ==
          0) {
        addresses.emplace_back(text.data());
      }
    }
    if (result == 0) freeaddrinfo(found);
    done.store(true, std::memory_order_release);
    const char byte = 0;
    if (write(pipe[1], &byte, 1) < 0) return;  // the worker looks at `done` every second all the same
  }
};

// Signals are the worker's: a thread that took one would set its latch, but not wake it.
void start(const std::shared_ptr<Lookup>& lookup) {
  sigset_t every;
  sigset_t before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  std::string problem;
  try {
    std::thread([lookup] { lookup->run(); }).detach();
  } catch (const std::system_error& error) {
    problem = error.what();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!problem.empty()) throw core::Error(core::sqlstate::io_error, "no thread can be started: " + problem);
}

std::vector<std::string> elements(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t from = 0;;) {
    const std::size_t comma = list.find(',', from);
    parts.push_back(list.substr(from, comma == std::string::npos ? comma : comma - from));
    if (comma == std::string::npos) return parts;
    from = comma + 1;
  }
}

void append(std::string& list, const std::string& element, bool first) {
  if (!first) list += ',';
  list += element;
}

// The last of equal keywords counts, as for libpq.
std::string* find(std::vector<std::pair<std::string, std::string>>& parameters, const char* keyword) {
  const auto found = std::find_if(parameters.rbegin(), parameters.rend(),
                                  [keyword](const auto& entry) { return entry.first == keyword; });
  return found == parameters.rend() || found->second.empty() ? nullptr : &found->second;
}

bool is_name(const std::string& host) {
  return !host.empty() && host.front() != '/' && host.front() != '@';  // those are sockets
}

}  // namespace

std::vector<std::string> resolve_host(const std::string& host, std::int64_t deadline, std::string& problem) {
  const auto lookup = std::make_shared<Lookup>(host);
  start(lookup);
  while (!lookup->done.load(std::memory_order_acquire)) {
    const std::int64_t left = deadline - pg::now_ms();
    if (left <= 0) {
      problem = "the resolver does not answer";
      return {};
    }
    pg::wait_for_socket(lookup->pipe[0], false, std::min<std::int64_t>(left, 1000));
  }
  problem = lookup->problem;
  return lookup->addresses;
}

std::vector<std::pair<std::string, std::string>> with_addresses(
    std::vector<std::pair<std::string, std::string>> parameters, std::int64_t deadline) {
  std::string* const host_list = find(parameters, "host");
  if (host_list == nullptr || find(parameters, "hostaddr") != nullptr) return parameters;
  const std::vector<std::string> hosts = elements(*host_list);
  if (std::none_of(hosts.begin(), hosts.end(), is_name)) return parameters;
  std::string* const port_list = find(parameters, "port");
  const std::vector<std::string> ports =
      port_list != nullptr ? elements(*port_list) : std::vector<std::string>();
  if (ports.size() > 1 && ports.size() != hosts.size()) return parameters;  // libpq's to refuse

  std::string new_hosts;
  std::string new_addresses;
  std::string new_ports;
  std::string problem;
  bool first = true;
  for (std::size_t i = 0; i < hosts.size(); i++) {
    std::vector<std::string> addresses = {""};
    if (is_name(hosts[i])) addresses = resolve_host(hosts[i], deadline, problem);
    for (const std::string& address : addresses) {
      append(new_hosts, hosts[i], first);
      append(new_addresses, address, first);
      if (ports.size() > 1) append(new_ports, ports[i], first);
      first = false;
    }
  }
  if (first) {
    throw core::Error(
        core::sqlstate::connection_failure,
        "could not translate host name \"" + *host_list + "\" to an address", problem,
        "Check the option host of the foreign server, and this machine's resolver; with hostaddr "
        "nothing is looked up.");
  }
  *host_list = new_hosts;
  if (ports.size() > 1) *port_list = new_ports;
  parameters.emplace_back("hostaddr", new_addresses);
  return parameters;
}

}  // namespace pg_reconcile::worker
