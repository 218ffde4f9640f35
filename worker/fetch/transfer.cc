#include "worker/fetch/transfer.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include "core/error.h"
#include "extension/pg/background.h"

namespace pg_reconcile::worker {
namespace {

constexpr int poll_ms = 100;
constexpr std::size_t header_bytes_max = 1024;

void initialise_once() {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialised != CURLE_OK)
    throw core::Error(core::sqlstate::internal_error, "libcurl cannot be initialised");
}

// libcurl looks names up in a thread of its own, which must not take the worker's signals.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t every;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_ = {};
};

struct MultiDelete {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// The transfer's place in a multi handle.
class Running {
 public:
  explicit Running(CURL* easy) : multi_(curl_multi_init()), easy_(easy) {
    curl_multi_add_handle(multi_.get(), easy_);
  }
  ~Running() { curl_multi_remove_handle(multi_.get(), easy_); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  bool step() {
    const SignalsBlocked blocked;
    int running = 0;
    curl_multi_perform(multi_.get(), &running);
    return running > 0;
  }
  void wait() { curl_multi_poll(multi_.get(), nullptr, 0, poll_ms, nullptr); }
  CURLcode result() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg == CURLMSG_DONE) return message->data.result;
    }
    return CURLE_OK;
  }

 private:
  std::unique_ptr<CURLM, MultiDelete> multi_;
  CURL* easy_;
};

bool starts_with_ignoring_case(std::string_view line, std::string_view name) {
  return line.size() >= name.size() && std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b);
         });
}

std::string header_value(std::string_view line, std::size_t from) {
  line.remove_prefix(from);
  const std::size_t start = line.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  const std::size_t end = line.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos || end < start) return {};
  return std::string(line.substr(start, std::min(end - start + 1, header_bytes_max)));
}

}  // namespace

Transfer::Transfer() : problem_(std::make_unique<char[]>(CURL_ERROR_SIZE)) {
  initialise_once();
  easy_.reset(curl_easy_init());
  if (!easy_) throw core::Error(core::sqlstate::out_of_memory, "libcurl has no memory");
  curl_easy_setopt(handle(), CURLOPT_ERRORBUFFER, problem_.get());
  curl_easy_setopt(handle(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle(), CURLOPT_FILETIME, 1L);
  curl_easy_setopt(handle(), CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(handle(), CURLOPT_WRITEDATA, this);
  curl_easy_setopt(handle(), CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(handle(), CURLOPT_HEADERDATA, this);
}

void Transfer::set(CURLoption option, long value) const {
  if (curl_easy_setopt(handle(), option, value) == CURLE_OK) return;
  throw core::Error(core::sqlstate::feature_not_supported,
                    "this libcurl does not know option " + std::to_string(option));
}

void Transfer::set(CURLoption option, const std::string& value) const {
  if (curl_easy_setopt(handle(), option, value.c_str()) == CURLE_OK) return;
  throw core::Error(core::sqlstate::feature_not_supported,
                    "this libcurl does not know option " + std::to_string(option));
}

void Transfer::add_header(const std::string& header) {
  if (header.find_first_of("\r\n") != std::string::npos) {
    throw core::Error(core::sqlstate::invalid_parameter_value, "a header holds a line end");
  }
  curl_slist* list = curl_slist_append(headers_.get(), header.c_str());
  if (list == nullptr) throw core::Error(core::sqlstate::out_of_memory, "libcurl has no memory");
  (void)headers_.release();
  headers_.reset(list);
}

std::size_t Transfer::take_body(char* bytes, std::size_t size, std::size_t count, void* self) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    if (!transfer.begun_) {
      transfer.begun_ = true;
      transfer.receiver_->begin(transfer.response_start());
    }
    transfer.receiver_->write({bytes, size * count});
    return size * count;
  } catch (...) {
    transfer.error_ = std::current_exception();
    return 0;
  }
}

std::size_t Transfer::take_header(char* bytes, std::size_t size, std::size_t count, void* self) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    transfer.take_header_line({bytes, size * count});
    return size * count;
  } catch (...) {
    transfer.error_ = std::current_exception();
    return 0;
  }
}

void Transfer::take_header_line(std::string_view line) {
  constexpr std::string_view etag = "etag:";
  constexpr std::string_view retry_after = "retry-after:";
  if (starts_with_ignoring_case(line, etag)) etag_ = header_value(line, etag.size());
  if (starts_with_ignoring_case(line, retry_after)) retry_after_ = header_value(line, retry_after.size());
}

ResponseStart Transfer::response_start() const {
  ResponseStart start;
  curl_off_t length = -1;
  curl_off_t modified = -1;
  curl_easy_getinfo(handle(), CURLINFO_RESPONSE_CODE, &start.status);
  curl_easy_getinfo(handle(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  curl_easy_getinfo(handle(), CURLINFO_FILETIME_T, &modified);
  if (length >= 0) start.version.bytes = length;
  if (modified >= 0) start.version.modified = modified;
  start.version.etag = etag_;
  return start;
}

CURLcode Transfer::perform(const std::function<void()>& between) {
  Running running(handle());
  for (;;) {
    const bool goes_on = running.step();
    if (error_) std::rethrow_exception(error_);
    if (between) between();
    if (!goes_on) return running.result();
    running.wait();
    pg::wait_for_latch(0);
  }
}

TransferEnd Transfer::run(Receiver& receiver, const std::function<void()>& between) {
  receiver_ = &receiver;
  begun_ = false;
  if (headers_) curl_easy_setopt(handle(), CURLOPT_HTTPHEADER, headers_.get());
  TransferEnd end;
  end.code = perform(between);
  const ResponseStart start = response_start();
  end.status = start.status;
  end.version = start.version;
  end.retry_after = retry_after_;
  if (end.code != CURLE_OK) {
    end.problem = problem_[0] != '\0' ? problem_.get() : curl_easy_strerror(end.code);
  }
  return end;
}

void TextReceiver::write(std::string_view bytes) {
  if (text_.size() + bytes.size() > bytes_max_) {
    throw core::Error(core::sqlstate::program_limit_exceeded,
                      "the answer is longer than " + std::to_string(bytes_max_) + " bytes");
  }
  text_ += bytes;
}

}  // namespace pg_reconcile::worker
