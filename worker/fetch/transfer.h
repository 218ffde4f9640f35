// One transfer with libcurl, in a loop that answers signals within a tenth of a second.
//
// What the other side sends is handed to a Receiver, inside libcurl's callbacks: it touches files and memory,
// never PostgreSQL. What needs a transaction is done in `between`, which is called outside of libcurl.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/fetch/schedule.h"

namespace pg_reconcile::worker {

// What is known when the first byte comes.
struct ResponseStart {
  long status = 0;              // HTTP; 0: another protocol
  core::RemoteVersion version;  // bytes: of what this transfer brings
};

class Receiver {
 public:
  virtual ~Receiver() = default;
  virtual void begin(const ResponseStart& start) = 0;
  virtual void write(std::string_view bytes) = 0;
};

struct TransferEnd {
  CURLcode code = CURLE_OK;
  std::string problem;  // in libcurl's words; "" when there was none
  long status = 0;
  std::string retry_after;
  core::RemoteVersion version;
};

class Transfer {
 public:
  Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  [[nodiscard]] CURL* handle() const { return easy_.get(); }
  void set(CURLoption option, long value) const;
  void set(CURLoption option, const std::string& value) const;
  void add_header(const std::string& header);

  // Returns when it has ended, however it did. What the receiver or `between` throws goes through.
  TransferEnd run(Receiver& receiver, const std::function<void()>& between = {});

 private:
  struct EasyDelete {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct ListDelete {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  static std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* self) noexcept;
  static std::size_t take_header(char* bytes, std::size_t size, std::size_t count, void* self) noexcept;
  void take_header_line(std::string_view line);
  ResponseStart response_start() const;
  CURLcode perform(const std::function<void()>& between);

  std::unique_ptr<CURL, EasyDelete> easy_;
  std::unique_ptr<curl_slist, ListDelete> headers_;
  std::unique_ptr<char[]> problem_;
  Receiver* receiver_ = nullptr;
  bool begun_ = false;
  std::exception_ptr error_;  // of a callback
  std::string etag_;
  std::string retry_after_;
};

// Keeps an answer in memory, up to a bound.
class TextReceiver final : public Receiver {
 public:
  explicit TextReceiver(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  void begin(const ResponseStart&) override {}
  void write(std::string_view bytes) override;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::size_t bytes_max_;
  std::string text_;
};

}  // namespace pg_reconcile::worker
