#include "extension/statement/container.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "core/statement/charset.h"
#include "extension/pg/progress.h"
#include "extension/statement/gzip_source.h"

namespace pg_reconcile::pg {
namespace {

constexpr std::size_t block_bytes = 65536;
constexpr std::size_t sample_bytes = 65536;
constexpr std::int64_t ratio_from_bytes = 4194304;  // small texts compress well: no bomb fits in 4 MB

class PlainSource final : public core::ByteSource {
 public:
  PlainSource(const OpenFile& file, std::int64_t bytes_max) : file_(file), left_(bytes_max) { file.rewind(); }
  std::size_t read(std::span<char> into) override {
    for (;;) {
      const ssize_t count = ::read(file_.descriptor(), into.data(), into.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        throw core::Error(core::sqlstate::io_error,
                          "file \"" + file_.path() + "\" cannot be read: " + strerror(errno));
      }
      left_ -= count;
      read_ += count;
      Progress::bytes_done(static_cast<std::uint64_t>(read_));
      if (left_ < 0) throw UnusableFile("it is larger than the format's unwrap.bytes_max");
      return static_cast<std::size_t>(count);
    }
  }

 private:
  const OpenFile& file_;
  std::int64_t left_;
  std::int64_t read_ = 0;
};

// The packed bytes, for libarchive. It may read on and on before it hands out a byte (a gzip of empty
// members), so this is where interrupts are answered; its C frames must not be thrown through.
class PackedFile {
 public:
  explicit PackedFile(const OpenFile& file) : file_(file), block_(block_bytes) {}

  void open(archive* archive) {
    file_.rewind();
    archive_read_set_callback_data(archive, this);
    archive_read_set_read_callback(archive, read);
    archive_read_set_seek_callback(archive, seek);
  }

  // What a callback could not throw.
  void rethrow_error() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static la_ssize_t read(archive* archive, void* self, const void** bytes) {
    auto& packed = *static_cast<PackedFile*>(self);
    try {
      check_for_interrupts();
    } catch (...) {
      packed.error_ = std::current_exception();
      archive_set_error(archive, ECANCELED, "interrupted");
      return ARCHIVE_FATAL;
    }
    *bytes = packed.block_.data();
    for (;;) {
      const ssize_t count = ::read(packed.file_.descriptor(), packed.block_.data(), packed.block_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) archive_set_error(archive, errno, "%s", strerror(errno));
      packed.position_ += std::max<ssize_t>(count, 0);
      Progress::bytes_done(static_cast<std::uint64_t>(packed.position_));
      return count;
    }
  }

  static la_int64_t seek(archive* archive, void* self, la_int64_t offset, int whence) {
    auto& packed = *static_cast<PackedFile*>(self);
    const off_t position = lseek(packed.file_.descriptor(), offset, whence);
    if (position < 0) {
      archive_set_error(archive, errno, "%s", strerror(errno));
      return ARCHIVE_FATAL;
    }
    packed.position_ = position;
    return position;
  }

  const OpenFile& file_;
  std::vector<char> block_;
  std::int64_t position_ = 0;
  std::exception_ptr error_;
};

class Archive {
 public:
  Archive(const OpenFile& file, const core::UnwrapRule& rule, const std::string& container)
      : rule_(rule), packed_(file), archive_(archive_read_new(), archive_read_free) {
    if (!archive_) throw std::bad_alloc();
    if (container == "zip") archive_read_support_format_zip(archive_.get());
    if (container == "tar") archive_read_support_format_tar(archive_.get());
    packed_.open(archive_.get());
    if (archive_read_open1(archive_.get()) != ARCHIVE_OK) broken();
  }

  // Moves to the next regular file. False at the end.
  bool next_entry() {
    for (;;) {
      archive_entry* entry = nullptr;
      const int result = archive_read_next_header(archive_.get(), &entry);
      if (result == ARCHIVE_EOF) return false;
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) broken();  // a warning: a name that is not UTF-8
      if (++entries_ > rule_.entries_max) {
        throw UnusableFile("it has more than " + std::to_string(rule_.entries_max) + " entries");
      }
      unpacked_ = 0;
      if (archive_entry_is_encrypted(entry) == 1) throw UnusableFile("it is encrypted");
      const char* name = archive_entry_pathname(entry);
      entry_name_ = name != nullptr ? name : "";
      if (archive_entry_filetype(entry) == AE_IFREG) return true;
    }
  }

  [[nodiscard]] std::string_view entry_name() const { return entry_name_; }

  std::size_t read(std::span<char> into) {
    const la_ssize_t count = archive_read_data(archive_.get(), into.data(), into.size());
    if (count < 0) broken();
    unpacked_ += count;
    total_ += count;
    if (unpacked_ > rule_.bytes_max)
      throw UnusableFile("it unpacks to more than the format's unwrap.bytes_max");
    check_unpacking_ratio(total_, archive_filter_bytes(archive_.get(), -1), rule_);
    return static_cast<std::size_t>(count);
  }

 private:
  const core::UnwrapRule& rule_;
  PackedFile packed_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
  std::int64_t entries_ = 0;
  std::string entry_name_;     // "" where it is no text
  std::int64_t unpacked_ = 0;  // of this entry
  std::int64_t total_ = 0;

  [[noreturn]] void broken() const {
    packed_.rethrow_error();
    const char* reason = archive_error_string(archive_.get());
    throw UnusableFile("it cannot be unpacked: " +
                       std::string(reason != nullptr ? reason : "unknown reason"));
  }
};

std::string container_of(std::string_view start) {
  if (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06")) return "zip";
  if (start.starts_with("\x1F\x8B")) return "gzip";
  if (start.size() >= 262 && start.substr(257, 5) == "ustar") return "tar";
  return "none";
}

// What was packed is not packed itself.
class UnpackedSource : public core::ByteSource {
 public:
  // `holds_workbook`: an xlsx file, which is a zip itself.
  explicit UnpackedSource(bool holds_workbook) : may_be_packed_(holds_workbook) {}
  std::size_t read(std::span<char> into) override {
    const std::size_t count = unpack(into);
    if (std::exchange(at_start_, false)) {
      if (!may_be_packed_ && container_of({into.data(), count}) != "none") {
        throw UnusableFile("it is packed more than once");
      }
      check_start(count);
    }
    return count;
  }

 protected:
  virtual std::size_t unpack(std::span<char> into) = 0;
  virtual void check_start(std::size_t /*count*/) const {}

 private:
  bool may_be_packed_;
  bool at_start_ = true;
};

class ArchiveSource final : public UnpackedSource {
 public:
  ArchiveSource(std::unique_ptr<Archive> archive, bool holds_workbook)
      : UnpackedSource(holds_workbook), archive_(std::move(archive)) {}

 private:
  std::size_t unpack(std::span<char> into) override { return archive_->read(into); }
  std::unique_ptr<Archive> archive_;
};

class GzipFileSource final : public UnpackedSource {
 public:
  GzipFileSource(const OpenFile& file, const core::UnwrapRule& rule, bool holds_workbook)
      : UnpackedSource(holds_workbook), gzip_(std::make_unique<PlainSource>(file, rule.bytes_max), rule) {}

 private:
  std::size_t unpack(std::span<char> into) override { return gzip_.read(into); }
  void check_start(std::size_t count) const override {
    if (count == 0) throw UnusableFile("it is empty once it is unpacked");
  }
  GzipSource gzip_;
};

std::string start_of(const OpenFile& file) {
  std::string start(512, '\0');
  const ssize_t count = pread(file.descriptor(), start.data(), start.size(), 0);
  start.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return start;
}

std::string decoded_start(Archive& archive, const std::vector<core::Charset>& charsets) {
  std::string sample(sample_bytes, '\0');
  std::size_t held = 0;
  while (held < sample.size()) {
    const std::size_t count = archive.read({sample.data() + held, sample.size() - held});
    if (count == 0) break;
    held += count;
  }
  sample.resize(held);
  std::string_view bytes = sample;
  const auto mark = core::byte_order_mark(bytes);
  if (mark) bytes.remove_prefix(mark->size);
  core::Decoder decoder(mark ? mark->charset : core::detect_charset(bytes, charsets));
  // Line by line, so that one bad byte does not hide the rest.
  std::string text;
  std::string buffer;
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size() - 1) + 1;
    if (const auto line =
            decoder.decode(bytes.substr(0, mark && mark->size == 2 ? bytes.size() : end), buffer)) {
      text += *line;
    }
    bytes.remove_prefix(mark && mark->size == 2 ? bytes.size() : end);
  }
  return text;
}

// A workbook is a zip itself: its parts are not statements.
bool is_workbook(const OpenFile& file, const core::FormatDocument& format) {
  Archive archive(file, format.unwrap, "zip");
  constexpr int entries_looked_at = 64;
  for (int i = 0; i < entries_looked_at && archive.next_entry(); i++) {
    if (archive.entry_name() == "[Content_Types].xml") return true;
  }
  return false;
}

// The position of the one entry whose start holds one of the format's texts.
std::int64_t pick(const OpenFile& file, const core::FormatDocument& format, const std::string& container) {
  Archive archive(file, format.unwrap, container);
  std::int64_t picked = -1;
  std::int64_t files = 0;
  for (; archive.next_entry(); files++) {
    if (format.frame_type == "xlsx") {
      std::string start(4, '\0');
      if (archive.read(start) < start.size() || container_of(start) != "zip") continue;
      if (picked >= 0) throw UnusableFile("it holds more than one workbook");
      picked = files;
      continue;
    }
    const auto& wanted = format.unwrap.content;
    const std::string start = decoded_start(archive, format.charsets);
    const auto holds = [&](const std::string& text) { return start.find(text) != std::string::npos; };
    if (!wanted.empty() && std::none_of(wanted.begin(), wanted.end(), holds)) continue;
    if (picked >= 0) throw UnusableFile("it holds more than one file in this format");
    picked = files;
  }
  if (picked >= 0) return picked;
  throw UnusableFile("none of its " + std::to_string(files) + " files is in the format " + format.name);
}

}  // namespace

void check_unpacking_ratio(std::int64_t unpacked, std::int64_t packed, const core::UnwrapRule& rule) {
  if (unpacked <= ratio_from_bytes || unpacked / std::max<std::int64_t>(packed, 1) <= rule.ratio_max) return;
  throw UnusableFile("it unpacks to more than " + std::to_string(rule.ratio_max) +
                     " times its size: this looks like a zip bomb");
}

std::unique_ptr<core::ByteSource> unwrap(const OpenFile& file, const core::FormatDocument& format) {
  std::string container = container_of(start_of(file));
  const bool workbooks = format.frame_type == "xlsx";
  if (container == "zip" && is_workbook(file, format)) {
    if (!workbooks) {
      throw UnusableFile("it is an Excel workbook, and the format " + format.name + " reads " +
                         format.frame_type);
    }
    container = "none";
  }
  const auto& allowed = format.unwrap.containers;
  if (std::find(allowed.begin(), allowed.end(), container) == allowed.end()) {
    throw UnusableFile(container == "none" ? "it is not compressed, and the format expects that"
                                           : "it is a " + container + ", which the format does not expect");
  }
  if (container == "none") return std::make_unique<PlainSource>(file, format.unwrap.bytes_max);
  if (container == "gzip") return std::make_unique<GzipFileSource>(file, format.unwrap, workbooks);
  const std::int64_t position = pick(file, format, container);
  auto archive = std::make_unique<Archive>(file, format.unwrap, container);
  for (std::int64_t i = 0; i <= position; i++) {
    if (!archive->next_entry()) throw UnusableFile("it changed while it was read");
  }
  return std::make_unique<ArchiveSource>(std::move(archive), workbooks);
}

}  // namespace pg_reconcile::pg
