#include "worker/fetch/endpoint.h"

#include <array>
#include <cctype>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "core/error.h"
#include "core/fetch/side_file.h"

namespace pg_reconcile::worker {
namespace {

using Scheme = core::FetchLocation::Scheme;

constexpr long connect_seconds = 20;
constexpr std::streamsize key_bytes_max = 65536;

struct UrlDelete {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct TextDelete {
  void operator()(char* text) const { curl_free(text); }
};

std::string part_of(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) != CURLUE_OK) return {};
  const std::unique_ptr<char, TextDelete> owner(text);
  return text;
}

std::unique_ptr<CURLU, UrlDelete> parse(const std::string& address) {
  std::unique_ptr<CURLU, UrlDelete> url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, address.c_str(), 0) != CURLUE_OK ||
      part_of(url.get(), CURLUPART_SCHEME) != "https") {
    throw core::Error(core::sqlstate::invalid_parameter_value,
                      "\"" + shown_address(address) + "\" is no https:// address");
  }
  if (!part_of(url.get(), CURLUPART_USER).empty() || !part_of(url.get(), CURLUPART_PASSWORD).empty()) {
    throw core::Error(core::sqlstate::invalid_parameter_value, "the address holds a user or a password", {},
                      "They belong into the user mapping of reconcile_worker.");
  }
  return url;
}

bool is_equal_host(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); i++) {
    if (std::tolower(static_cast<unsigned char>(a[i])) != std::tolower(static_cast<unsigned char>(b[i])))
      return false;
  }
  return true;
}

// Percent-encoded, folder by folder.
std::string escaped(CURL* handle, const std::string& path) {
  std::string text;
  std::size_t from = 0;
  for (;;) {
    const std::size_t slash = path.find('/', from);
    const std::string part = path.substr(from, slash == std::string::npos ? slash : slash - from);
    const std::unique_ptr<char, TextDelete> safe(
        curl_easy_escape(handle, part.data(), static_cast<int>(part.size())));
    if (!part.empty()) text += safe.get();
    if (slash == std::string::npos) return text;
    text += '/';
    from = slash + 1;
  }
}

int refuse_host(CURL*, const curl_khkey*, const curl_khkey*, curl_khmatch match, void*) {
  return match == CURLKHMATCH_OK ? CURLKHSTAT_FINE : CURLKHSTAT_REJECT;
}

bool file_holds_rsa_key(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(key_bytes_max, '\0');
  file.read(text.data(), key_bytes_max);
  text.resize(static_cast<std::size_t>(file.gcount()));
  return core::is_rsa_key(text);
}

// "1.10.0" in "libssh2/1.10.0".
bool signs_with_sha1_alone() {
  const char* version = curl_version_info(CURLVERSION_NOW)->libssh_version;
  return version != nullptr && std::string_view(version).starts_with("libssh2/1.") &&
         std::string_view(version) < std::string_view("libssh2/1.11");
}

std::string without_prefix(const std::string& text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

}  // namespace

std::string shown_address(const std::string& address) {
  return address.substr(0, address.find_first_of("?#"));
}

Endpoint::Endpoint(Scheme scheme, ServerOptions options, long stall_seconds)
    : scheme_(scheme), options_(std::move(options)), stall_seconds_(stall_seconds) {}

void Endpoint::prepare(Transfer& transfer, const std::string& target) const {
  const std::string timeout = options_.get("connect_timeout");
  transfer.set(CURLOPT_CONNECTTIMEOUT, timeout.empty() ? connect_seconds : std::stol(timeout));
  transfer.set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  transfer.set(CURLOPT_LOW_SPEED_TIME, stall_seconds_);
  transfer.set(CURLOPT_FOLLOWLOCATION, 0L);
  transfer.set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  transfer.set(CURLOPT_USERAGENT, std::string("pg_reconcile"));
  prepare_proxy(transfer);
  if (is_http()) {
    prepare_https(transfer, target);
  } else {
    prepare_files(transfer, target);
  }
}

void Endpoint::prepare_proxy(Transfer& transfer) const {
  transfer.set(CURLOPT_PROXY, options_.get("proxy"));
  if (!options_.get("proxy_user").empty()) transfer.set(CURLOPT_PROXYUSERNAME, options_.get("proxy_user"));
  if (!options_.get("proxy_password").empty())
    transfer.set(CURLOPT_PROXYPASSWORD, options_.get("proxy_password"));
}

void Endpoint::prepare_files(Transfer& transfer, const std::string& path) const {
  const bool is_ssh = scheme_ == Scheme::sftp;
  const bool is_implicit = options_.get("tls") == "implicit";
  std::string host = options_.get("host");
  if (host.empty()) {
    throw core::Error(core::sqlstate::invalid_parameter_value, "the server has no option host", {},
                      "ALTER SERVER ... OPTIONS (ADD host '...');");
  }
  if (host.find(':') != std::string::npos) host.insert(0, "[").append("]");
  if (!options_.get("port").empty()) host += ":" + options_.get("port");
  // A path that starts with a slash is one from the root; others start where a login ends.
  const bool from_root = path.starts_with('/');
  std::string url = is_ssh ? "sftp://" : (is_implicit ? "ftps://" : "ftp://");
  url += host + "/";
  if (is_ssh && !from_root) url += "~/";
  if (!is_ssh && from_root) url += "%2F";
  url += escaped(transfer.handle(), from_root ? path.substr(1) : path);
  transfer.set(CURLOPT_URL, url);
  transfer.set(CURLOPT_PROTOCOLS_STR, std::string(is_ssh ? "sftp" : "ftp,ftps"));
  transfer.set(CURLOPT_USERNAME, options_.get("user"));
  transfer.set(CURLOPT_PASSWORD, options_.get("password"));
  if (is_ssh) {
    prepare_ssh(transfer);
  } else {
    transfer.set(CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
    transfer.set(CURLOPT_FTPSSLAUTH, static_cast<long>(CURLFTPAUTH_TLS));
    prepare_tls(transfer);
  }
}

void Endpoint::prepare_ssh(Transfer& transfer) const {
  const std::string key = options_.get("key_file");
  const std::string known_hosts = options_.get("known_hosts");
  const std::string fingerprint = options_.get("host_key_sha256");
  transfer.set(CURLOPT_SSH_AUTH_TYPES, key.empty()
                                           ? static_cast<long>(CURLSSH_AUTH_PASSWORD | CURLSSH_AUTH_KEYBOARD)
                                           : static_cast<long>(CURLSSH_AUTH_PUBLICKEY));
  if (!key.empty()) transfer.set(CURLOPT_SSH_PRIVATE_KEYFILE, key);
  if (!options_.get("key_passphrase").empty())
    transfer.set(CURLOPT_KEYPASSWD, options_.get("key_passphrase"));
  if (!fingerprint.empty()) {
    transfer.set(CURLOPT_SSH_HOST_PUBLIC_KEY_SHA256, without_prefix(fingerprint, "SHA256:"));
  } else if (!known_hosts.empty()) {
    transfer.set(CURLOPT_SSH_KNOWNHOSTS, known_hosts);
    curl_easy_setopt(transfer.handle(), CURLOPT_SSH_KEYFUNCTION, refuse_host);
  } else {
    throw core::Error(
        core::sqlstate::object_not_in_prerequisite_state,
        "the server's host key is not known: it could be anybody's",
        "The server has neither the option known_hosts nor host_key_sha256.",
        "ssh-keyscan shows its keys; compare one with what the channel states, then ALTER SERVER ... OPTIONS "
        "(ADD host_key_sha256 'SHA256:...').");
  }
}

void Endpoint::prepare_tls(Transfer& transfer) const {
  transfer.set(CURLOPT_SSL_VERIFYPEER, 1L);
  transfer.set(CURLOPT_SSL_VERIFYHOST, 2L);
  transfer.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options_.get("sslrootcert").empty()) transfer.set(CURLOPT_CAINFO, options_.get("sslrootcert"));
  if (!options_.get("sslcert").empty()) transfer.set(CURLOPT_SSLCERT, options_.get("sslcert"));
  if (!options_.get("sslkey").empty()) transfer.set(CURLOPT_SSLKEY, options_.get("sslkey"));
}

bool Endpoint::is_own_host(const std::string& address) const {
  const auto url = parse(address);
  const std::string port = options_.get("port");
  return is_equal_host(part_of(url.get(), CURLUPART_HOST), options_.get("host")) &&
         part_of(url.get(), CURLUPART_PORT) == (port.empty() ? "443" : port);
}

void Endpoint::prepare_https(Transfer& transfer, const std::string& address) const {
  const bool trusted = is_own_host(address);
  transfer.set(CURLOPT_URL, address);
  transfer.set(CURLOPT_PROTOCOLS_STR, std::string("https"));
  prepare_tls(transfer);
  if (!trusted) {
    transfer.set(CURLOPT_SSLCERT, std::string());
    return;
  }
  if (!options_.get("bearer_token").empty()) {
    transfer.set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
    transfer.set(CURLOPT_XOAUTH2_BEARER, options_.get("bearer_token"));
  } else if (!options_.get("user").empty()) {
    transfer.set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    transfer.set(CURLOPT_USERNAME, options_.get("user"));
    transfer.set(CURLOPT_PASSWORD, options_.get("password"));
  }
  std::string lines = options_.get("headers");
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n');
    if (end != 0) transfer.add_header(lines.substr(0, end));
    lines = end == std::string::npos ? std::string() : lines.substr(end + 1);
  }
}

std::string Endpoint::login_hint() const {
  const std::string key = options_.get("key_file");
  if (scheme_ == Scheme::sftp && !key.empty() && signs_with_sha1_alone() && file_holds_rsa_key(key)) {
    return "The key is an RSA key, and this machine's libssh2 (before 1.11) signs with SHA-1 alone, which "
           "OpenSSH 8.8 and "
           "newer refuse: make an ed25519 key (ssh-keygen -t ed25519) and give the channel its public half.";
  }
  return "Check user and password, or key, in the user mapping of reconcile_worker; then SELECT "
         "reconcile.resume_source(...).";
}

core::Error Endpoint::explain(const TransferEnd& end) const {
  switch (end.code) {
    case CURLE_LOGIN_DENIED:
      return {"28000", "the channel does not let us in", end.problem, login_hint()};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      if (scheme_ == Scheme::sftp) {
        return {core::sqlstate::connection_failure, "the server's host key is not the one that is known",
                end.problem,
                "Somebody may be in between. Ask the channel for its key; then change known_hosts or "
                "host_key_sha256 of "
                "the server."};
      }
      return {core::sqlstate::connection_failure, "the server's certificate is not trusted", end.problem,
              "The option sslrootcert of the server names the file of the authority that signed it."};
    default:
      return {core::sqlstate::connection_failure, "the transfer failed", end.problem};
  }
}

}  // namespace pg_reconcile::worker
