#include "worker/fetch/day_fetch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/fetch/side_file.h"
#include "core/mapping/timestamp_format.h"
#include "core/statement/charset.h"
#include "worker/fetch/decrypt.h"
#include "worker/fetch/file_digest.h"

namespace pg_reconcile::worker {
namespace {

using core::Answer;
using core::Outcome;

void make_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return;
  throw core::Error(
      core::sqlstate::io_error, "folder \"" + path + "\" cannot be made: " + strerror(errno), {},
      "pg_reconcile.store_directory must be writable by the operating system user that runs PostgreSQL.");
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

// A file of its address's name; of the day, where that is none.
std::string name_of(const std::string& address, core::Date day) {
  const std::string shown = shown_address(address);
  const std::string name = base_name(shown);
  const bool has_path = shown.find('/', shown.find("://") + 3) != std::string::npos;
  return has_path && core::is_plain_name(name) ? name : "statement_" + core::date_as("yyyyMMdd", day);
}

bool is_there(const std::string& path) {
  struct stat info = {};
  return lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

DayFetch::DayFetch(const FetchSettings& settings, const Endpoint& endpoint, std::string store, core::Date day)
    : settings_(settings),
      endpoint_(endpoint),
      store_(std::move(store)),
      day_(day),
      location_(core::FetchLocation::compile(settings.location)) {}

std::string DayFetch::folder() const {
  return "fetch/" + std::to_string(settings_.source_id) + "/" + core::date_text(day_);
}

Answer DayFetch::run() {
  make_folder(store_ + "/fetch");
  make_folder(store_ + "/fetch/" + std::to_string(settings_.source_id));
  make_folder(store_ + "/" + folder());
  Answer answer = endpoint_.is_http() ? fetch_from_address() : fetch_from_folder();
  if (answer.outcome == Outcome::found) answer.reason = outcome_;
  rmdir((store_ + "/" + folder()).c_str());  // unless something is left in it
  return answer;
}

Answer DayFetch::fetch_from_folder() {
  const std::string path = location_.expand(day_, settings_.account);
  const std::string remote_folder = folder_of(path);
  std::vector<std::string> names = {base_name(path)};
  if (location_.lists()) {
    std::string listing;
    Answer answer = fetch_text(settings_, endpoint_, {day_, {}, remote_folder, {}}, true, listing);
    if (answer.outcome != Outcome::found) return answer;
    names = core::matching_names(listing, base_name(path));
    if (names.empty()) return core::no_such_file(path, settings_.answers);
  }
  const auto readable_end = std::stable_partition(names.begin(), names.end(),
                                                  [](const auto& name) { return core::is_valid_utf8(name); });
  for (auto name = names.begin(); name != readable_end; ++name) {
    Answer answer = fetch({day_, *name, remote_folder + *name, {}}, {});
    if (answer.outcome != Outcome::found) return answer;
  }
  if (readable_end != names.end()) {
    return {Outcome::failed,
            "file \"" + core::printable(*readable_end, readable_end->size()) +
                "\" is left alone: its name is not UTF-8",
            std::nullopt};
  }
  if (static_cast<std::int64_t>(names.size()) < settings_.files) {
    return {Outcome::not_ready,
            std::to_string(names.size()) + " of " + std::to_string(settings_.files) + " files are there",
            std::nullopt};
  }
  return {};
}

Answer DayFetch::fetch_from_address() {
  Wanted wanted{day_, {}, "https://" + location_.expand(day_, settings_.account), settings_.headers};
  wanted.name = name_of(wanted.target, day_);
  if (!settings_.url_function.empty()) {
    SignedAddress address = ask_for_address(settings_, day_);
    if (address.url.empty())
      return {Outcome::not_ready, settings_.url_function + " knows no address yet", std::nullopt};
    wanted.target = address.url;
    wanted.headers.insert(wanted.headers.end(), address.headers.begin(), address.headers.end());
    wanted.name =
        "statement_" + core::date_as("yyyyMMdd", day_);  // addresses differ from one question to the next
  }
  std::string stated_digest;
  if (!settings_.link_url.empty()) {
    Answer answer = follow_link(wanted, stated_digest);
    if (answer.outcome != Outcome::found) return answer;
  }
  return fetch(wanted, stated_digest);
}

// The answer to the first question says where the file is, for some seconds or minutes.
Answer DayFetch::follow_link(Wanted& wanted, std::string& stated_digest) const {
  std::string text;
  Answer answer = fetch_text(settings_, endpoint_, wanted, false, text);
  if (answer.outcome != Outcome::found) return answer;
  const auto link = core::parse_link(text, settings_.link_url, settings_.link_digest);
  if (!link) {
    return {Outcome::failed, "the channel's answer has no \"" + settings_.link_url + "\" with an address",
            std::nullopt};
  }
  stated_digest = link->digest;
  wanted.name = "statement_" + core::date_as("yyyyMMdd", day_);
  wanted.target = link->url;
  wanted.headers = settings_.headers;
  if (!settings_.link_function.empty()) {
    SignedAddress address = ask_for_link(settings_, link->url);
    if (!address.url.empty()) wanted.target = address.url;
    wanted.headers.insert(wanted.headers.end(), address.headers.begin(), address.headers.end());
  }
  return {};
}

Answer DayFetch::fetch(const Wanted& wanted, const std::string& stated_digest) {
  const FetchFile known = load_fetch_file(settings_.source_id, day_, wanted.name);
  if (known.state == "done") return {};
  const std::string path = store_ + "/" + folder() + "/" + wanted.name;
  if (known.state != "fetched" || !is_there(path)) {
    Answer answer = bring(wanted, stated_digest, path);
    if (answer.outcome != Outcome::found) return answer;
  }
  std::string name = wanted.name;
  if (settings_.decrypts) {
    name = decrypted_name(wanted.name);
    const ServerOptions& options = endpoint_.options();
    try {
      decrypt_file({options.get("gpg_homedir"), options.get("gpg_passphrase"), settings_.bytes_max}, path,
                   store_ + "/" + folder() + "/" + name);
    } catch (const core::Error& error) {
      return refuse(wanted, path, std::string(error.what()) + ": " + error.detail());
    }
  }
  const std::string became = ingest_fetched(settings_, day_, wanted.name, folder() + "/" + name, name);
  outcome_ += (outcome_.empty() ? "" : "; ") + wanted.name + " " + became;
  unlink(path.c_str());
  if (settings_.decrypts) unlink((store_ + "/" + folder() + "/" + name).c_str());
  return {};
}

Answer DayFetch::bring(const Wanted& wanted, const std::string& stated_digest,
                       const std::string& path) const {
  Answer answer;
  try {
    answer = download(settings_, endpoint_, wanted, path);
  } catch (const core::Error& error) {
    if (strcmp(error.state(), core::sqlstate::program_limit_exceeded) != 0) throw;
    return refuse(wanted, path, error.what());
  }
  if (answer.outcome != Outcome::found) return answer;
  answer = check(wanted, stated_digest, path);
  if (answer.outcome != Outcome::found) return answer;
  struct stat info = {};
  stat(path.c_str(), &info);
  note_fetched(settings_.source_id, day_, wanted.name, info.st_size,
               digest_of_file(path, core::DigestAlgorithm::sha256, false));
  return answer;
}

Answer DayFetch::check(const Wanted& wanted, const std::string& stated_digest,
                       const std::string& path) const {
  if (!stated_digest.empty()) {
    const auto stated = core::parse_digest(stated_digest);
    if (!stated)
      return refuse(wanted, path, "the digest that the channel states is neither SHA-1 nor SHA-256");
    // What is stated beside an address is of the statement, not of what it is packed in.
    const std::string computed = digest_of_file(path, stated->algorithm, true);
    if (computed != stated->hex) {
      return refuse(wanted, path, "its digest is " + computed + ", and the channel states " + stated->hex);
    }
  }
  return settings_.digest_file.empty() ? Answer{} : check_side_file(wanted, path);
}

Answer DayFetch::check_side_file(const Wanted& wanted, const std::string& path) const {
  const std::string name = core::side_file_name(settings_.digest_file, wanted.name);
  Wanted side = wanted;
  side.name = name;
  const std::string shown = shown_address(wanted.target);
  side.target = folder_of(shown) + name + wanted.target.substr(shown.size());
  std::string text;
  Answer answer = fetch_text(settings_, endpoint_, side, false, text);
  if (answer.outcome != Outcome::found) {
    unlink(path.c_str());
    if (answer.outcome == Outcome::empty || answer.outcome == Outcome::gone)
      answer.outcome = Outcome::not_ready;
    answer.reason = "its digest: " + answer.reason;
    return answer;
  }
  const auto stated = core::parse_side_file(text, wanted.name);
  if (!stated) return refuse(wanted, path, "the digest file " + name + " has no SHA-1 or SHA-256 of it");
  const std::string computed = digest_of_file(path, stated->algorithm, settings_.digest_of_content);
  if (computed == stated->hex) return {};
  return refuse(wanted, path, "its digest is " + computed + ", and " + name + " states " + stated->hex);
}

// Asked for again at the channel's rhythm: it may be put right there.
Answer DayFetch::refuse(const Wanted& wanted, const std::string& path, const std::string& reason) const {
  note_refused(settings_.source_id, day_, wanted.name, reason);
  unlink(path.c_str());
  unlink((path + ".part").c_str());
  return {Outcome::denied, wanted.name + " is refused: " + reason, std::nullopt};
}

}  // namespace pg_reconcile::worker
