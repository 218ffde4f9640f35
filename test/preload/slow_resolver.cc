// Preloaded into a server by test/cluster/125_slow_resolver.pl: a resolver that does not answer for a minute
// when it is asked for slow.invalid, whatever signals come.
#include <dlfcn.h>
#include <netdb.h>

#include <chrono>
#include <cstring>
#include <thread>

extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char* host, const char* service,
                                                                  const addrinfo* wanted, addrinfo** found) {
  using Resolve = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  if (host != nullptr && strcmp(host, "slow.invalid") == 0) {
    std::this_thread::sleep_for(std::chrono::seconds(60));
    return EAI_AGAIN;
  }
  return reinterpret_cast<Resolve>(dlsym(RTLD_NEXT, "getaddrinfo"))(host, service, wanted, found);
}
