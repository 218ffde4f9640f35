#include "worker/fetch/download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "extension/pg/background.h"
#include "worker/local_source.h"

namespace pg_reconcile::worker {
namespace {

using core::Answer;
using core::Outcome;

constexpr int resumptions_max = 5;
constexpr std::size_t text_bytes_max = 4 << 20;  // a listing of tens of thousands of names
constexpr std::size_t error_text_max = 65536;
constexpr std::size_t beginning_bytes = 4096;
constexpr long partial_content = 206;
constexpr long range_not_satisfiable = 416;

// The remote file is not the one that the bytes here are of.
struct OtherVersion {};

[[noreturn]] void fail(const std::string& path) {
  throw core::Error(
      core::sqlstate::io_error, "file \"" + path + "\" cannot be written: " + strerror(errno), {},
      "pg_reconcile.store_directory must be writable by the operating system user that runs PostgreSQL.");
}

class File {
 public:
  explicit File(const std::string& path)
      : path_(path), number_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    if (number_ < 0) fail(path_);
  }
  ~File() { close(number_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] std::int64_t bytes() const {
    struct stat info = {};
    if (fstat(number_, &info) != 0) fail(path_);
    return info.st_size;
  }
  void cut() const {
    if (ftruncate(number_, 0) != 0) fail(path_);
  }
  void append(std::string_view bytes) const {
    if (lseek(number_, 0, SEEK_END) < 0) fail(path_);
    while (!bytes.empty()) {
      const ssize_t count = write(number_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail(path_);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  [[nodiscard]] std::string beginning() const {
    std::string text(beginning_bytes, '\0');
    const ssize_t count = pread(number_, text.data(), text.size(), 0);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }
  void flush() const {
    if (fsync(number_) != 0) fail(path_);
  }

 private:
  std::string path_;
  int number_;
};

class FileReceiver final : public Receiver {
 public:
  // `is_http`: other protocols' answers with a file have codes of their own.
  FileReceiver(const File& file, std::int64_t have, core::RemoteVersion known, std::int64_t bytes_max,
               bool is_http)
      : file_(file), have_(have), known_(std::move(known)), bytes_max_(bytes_max), is_http_(is_http) {}

  void begin(const ResponseStart& start) override {
    begun_ = true;
    version_ = start.version;
    is_error_ = is_http_ && start.status != 200 && start.status != partial_content;
    if (is_error_) return;
    if (is_http_ && start.status == 200 && have_ > 0) {
      file_.cut();
      have_ = 0;
    }
    if (version_.bytes) *version_.bytes += have_;
    if (have_ > 0 && !core::is_same_version(known_, version_)) throw OtherVersion{};
  }

  void write(std::string_view bytes) override {
    if (is_error_) {
      if (error_text_.size() < error_text_max) error_text_ += bytes;
      return;
    }
    have_ += static_cast<std::int64_t>(bytes.size());
    if (have_ > bytes_max_) {
      throw core::Error(
          core::sqlstate::program_limit_exceeded,
          "it is larger than the source's option bytes_max (" + std::to_string(bytes_max_) + ")");
    }
    file_.append(bytes);
  }

  // Bytes of the file are coming.
  [[nodiscard]] bool is_coming() const { return begun_ && !is_error_; }
  [[nodiscard]] const core::RemoteVersion& version() const { return version_; }
  [[nodiscard]] const std::string& error_text() const { return error_text_; }

 private:
  const File& file_;
  std::int64_t have_;
  core::RemoteVersion known_;
  std::int64_t bytes_max_;
  bool is_http_;
  bool begun_ = false;
  bool is_error_ = false;
  core::RemoteVersion version_;
  std::string error_text_;
};

bool says_no_such_file(CURLcode code) {
  return code == CURLE_REMOTE_FILE_NOT_FOUND || code == CURLE_FTP_COULDNT_RETR_FILE ||
         code == CURLE_REMOTE_ACCESS_DENIED;
}

std::string in_words(const core::Error& error) {
  std::string text = error.what();
  if (!error.detail().empty()) text += ": " + error.detail();
  if (!error.hint().empty()) text += ". " + error.hint();
  return text;
}

// An answer that libcurl could not bring.
Answer answer_to_failure(const FetchSettings& settings, const Endpoint& endpoint, const Wanted& wanted,
                         const TransferEnd& end) {
  if (says_no_such_file(end.code)) return core::no_such_file(wanted.target, settings.answers);
  const core::Error error = endpoint.explain(end);
  if (end.code == CURLE_LOGIN_DENIED) throw SourceStop("paused", error);
  return {Outcome::failed, in_words(error), std::nullopt};
}

// One download, over as many transfers as it takes.
class Download {
 public:
  Download(const FetchSettings& settings, const Endpoint& endpoint, const Wanted& wanted,
           const std::string& path)
      : settings_(settings), endpoint_(endpoint), wanted_(wanted), file_(path) {
    const FetchFile known = load_fetch_file(settings.source_id, wanted.day, wanted.name);
    if (known.state == "partial") {
      known_ = known.version;
    } else {
      file_.cut();
    }
  }

  Answer run() {
    Answer answer;
    for (int attempt = 0; attempt < resumptions_max; attempt++) {
      const std::int64_t before = file_.bytes();
      try {
        answer = transfer();
      } catch (const OtherVersion&) {
        file_.cut();
        continue;
      }
      // What brought something is gone on with at once; what did not, later.
      if (answer.outcome != Outcome::failed || file_.bytes() == before) return answer;
    }
    return answer;
  }

  [[nodiscard]] const File& file() const { return file_; }

 private:
  Answer transfer() {
    const std::int64_t have = file_.bytes();
    Transfer transfer;
    endpoint_.prepare(transfer, wanted_.target);
    for (const std::string& header : wanted_.headers) transfer.add_header(header);
    if (have > 0) ask_for_the_rest(transfer, have);
    FileReceiver receiver(file_, have, known_, settings_.bytes_max, endpoint_.is_http());
    bool noted = false;
    const TransferEnd end = transfer.run(receiver, [&] {
      if (noted || !receiver.is_coming()) return;
      noted = true;
      known_ = receiver.version();
      note_partial(settings_.source_id, wanted_.day, wanted_.name, known_);
    });
    return judge(end, receiver);
  }

  void ask_for_the_rest(Transfer& transfer, std::int64_t have) const {
    if (!endpoint_.is_http()) {
      curl_easy_setopt(transfer.handle(), CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(have));
      return;
    }
    transfer.set(CURLOPT_RANGE, std::to_string(have) + "-");
    if (!known_.etag.empty() && !known_.etag.starts_with("W/"))
      transfer.add_header("If-Range: " + known_.etag);
  }

  Answer judge(const TransferEnd& end, const FileReceiver& receiver) const {
    if (end.code == CURLE_BAD_DOWNLOAD_RESUME || (endpoint_.is_http() && end.status == range_not_satisfiable))
      throw OtherVersion{};
    if (end.code != CURLE_OK) return answer_to_failure(settings_, endpoint_, wanted_, end);
    if (endpoint_.is_http()) {
      Answer answer =
          core::classify_http(end.status, receiver.error_text(), end.retry_after, settings_.answers);
      if (answer.outcome != Outcome::found) return answer;
      // Asked for the rest, it sends nothing: what is here may be anything's beginning.
      if (!receiver.is_coming() && file_.bytes() > 0) throw OtherVersion{};
    }
    const auto expected = receiver.version().bytes;
    if (expected && *expected != file_.bytes()) {
      return {Outcome::failed,
              "the transfer broke off after " + std::to_string(file_.bytes()) + " of " +
                  std::to_string(*expected) + " bytes",
              std::nullopt};
    }
    return {};
  }

  const FetchSettings& settings_;
  const Endpoint& endpoint_;
  const Wanted& wanted_;
  File file_;
  core::RemoteVersion known_;
};

}  // namespace

core::Answer download(const FetchSettings& settings, const Endpoint& endpoint, const Wanted& wanted,
                      const std::string& path) {
  const std::string part = path + ".part";
  Answer answer;
  bool brought_nothing = false;
  {
    Download download(settings, endpoint, wanted, part);
    answer = download.run();
    brought_nothing = download.file().bytes() == 0;
    if (answer.outcome == Outcome::found && endpoint.is_http()) {
      if (auto document = core::classify_error_document(download.file().beginning())) answer = *document;
    }
    if (answer.outcome == Outcome::found) download.file().flush();
  }
  if (answer.outcome == Outcome::failed && !brought_nothing) return answer;  // gone on with later
  if (answer.outcome != Outcome::found) {
    unlink(part.c_str());
    return answer;
  }
  if (rename(part.c_str(), path.c_str()) != 0) fail(path);
  return answer;
}

core::Answer fetch_text(const FetchSettings& settings, const Endpoint& endpoint, const Wanted& wanted,
                        bool names_only, std::string& text) {
  Transfer transfer;
  endpoint.prepare(transfer, wanted.target);
  for (const std::string& header : wanted.headers) transfer.add_header(header);
  if (names_only) transfer.set(CURLOPT_DIRLISTONLY, 1L);
  TextReceiver receiver(text_bytes_max);
  const TransferEnd end = transfer.run(receiver);
  if (end.code != CURLE_OK) return answer_to_failure(settings, endpoint, wanted, end);
  text = receiver.text();
  if (!endpoint.is_http()) return {};
  return core::classify_http(end.status, text.substr(0, beginning_bytes), end.retry_after, settings.answers);
}

}  // namespace pg_reconcile::worker
