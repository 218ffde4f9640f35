#include "core/statement/xlsx_package.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "core/error.h"
#include "core/statement/xml_reader.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t block_bytes = 65536;
constexpr std::int64_t ratio_from_bytes =
    16777216;  // sheets of empty cells compress well: no bomb fits in 16 MB
constexpr std::size_t relations_max = 10000;

[[noreturn]] void cannot(const char* what) {
  throw Error(sqlstate::io_error, std::string("the temporary file of a spreadsheet cannot be ") + what +
                                      ": " + std::strerror(errno));
}

// Where there is room: what the environment says, the system's folders, the working folder (of a server its
// data directory). The file loses its name at once, so that nothing stays behind whatever happens.
int open_temporary_file() {
  const char* given = std::getenv("TMPDIR");
  for (const char* folder : {given, "/tmp", "/var/tmp", "."}) {
    if (folder == nullptr || *folder == '\0') continue;
    std::string path = std::string(folder) + "/pg_reconcile_XXXXXX";
    const int descriptor = mkostemp(path.data(), O_CLOEXEC);
    if (descriptor < 0) continue;
    unlink(path.c_str());
    return descriptor;
  }
  cannot("made");
}

void write_all(std::string_view bytes, int descriptor) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) cannot("written");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

// One part, unpacked as it is read. libarchive's C frames are not thrown through.
class PartSource final : public ByteSource {
 public:
  PartSource(int descriptor, Interrupts& interrupts, const XlsxLimits& limits)
      : descriptor_(descriptor),
        interrupts_(interrupts),
        limits_(limits),
        block_(block_bytes),
        archive_(archive_read_new(), archive_read_free) {
    if (!archive_) throw std::bad_alloc();
    archive_read_support_format_zip(archive_.get());
    archive_read_set_callback_data(archive_.get(), this);
    archive_read_set_read_callback(archive_.get(), read_packed);
    archive_read_set_seek_callback(archive_.get(), seek_packed);
    if (lseek(descriptor_, 0, SEEK_SET) < 0) cannot("read");
    if (archive_read_open1(archive_.get()) != ARCHIVE_OK) broken();
  }

  // False: there is no such part.
  bool find(std::string_view name) {
    for (int parts = 0;; parts++) {
      archive_entry* entry = nullptr;
      const int result = archive_read_next_header(archive_.get(), &entry);
      if (result == ARCHIVE_EOF) return false;
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) broken();
      if (parts >= limits_.parts_max)
        throw XlsxProblem{"it has more than " + std::to_string(limits_.parts_max) + " parts"};
      const char* path = archive_entry_pathname(entry);
      if (path == nullptr || name != path) continue;
      if (archive_entry_is_encrypted(entry) == 1) throw XlsxProblem{"it is encrypted"};
      packed_start_ = packed_read_;
      return true;
    }
  }

  std::size_t read(std::span<char> into) override {
    const la_ssize_t count = archive_read_data(archive_.get(), into.data(), into.size());
    if (count < 0) broken();
    unpacked_ += count;
    if (unpacked_ > limits_.part_bytes_max)
      throw XlsxProblem{"it unpacks to more than the format's unwrap.bytes_max"};
    const std::int64_t packed =
        std::max<std::int64_t>(packed_read_ - packed_start_, 1) + static_cast<std::int64_t>(block_bytes);
    if (unpacked_ > ratio_from_bytes && unpacked_ / packed > limits_.ratio_max) {
      throw XlsxProblem{"it unpacks to more than " + std::to_string(limits_.ratio_max) +
                        " times its size: this looks like a zip bomb"};
    }
    return static_cast<std::size_t>(count);
  }

 private:
  static la_ssize_t read_packed(archive* archive, void* self, const void** bytes) {
    auto& part = *static_cast<PartSource*>(self);
    try {
      part.interrupts_.poll();
    } catch (...) {
      part.error_ = std::current_exception();
      archive_set_error(archive, ECANCELED, "interrupted");
      return ARCHIVE_FATAL;
    }
    *bytes = part.block_.data();
    for (;;) {
      const ssize_t count = ::read(part.descriptor_, part.block_.data(), part.block_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) archive_set_error(archive, errno, "%s", std::strerror(errno));
      part.packed_read_ += std::max<ssize_t>(count, 0);
      return count;
    }
  }

  static la_int64_t seek_packed(archive* archive, void* self, la_int64_t offset, int whence) {
    const off_t position = lseek(static_cast<PartSource*>(self)->descriptor_, offset, whence);
    if (position >= 0) return position;
    archive_set_error(archive, errno, "%s", std::strerror(errno));
    return ARCHIVE_FATAL;
  }

  [[noreturn]] void broken() const {
    if (error_) std::rethrow_exception(error_);
    const char* reason = archive_error_string(archive_.get());
    throw XlsxProblem{"it cannot be unpacked: " + std::string(reason != nullptr ? reason : "unknown reason")};
  }

  int descriptor_;
  Interrupts& interrupts_;
  XlsxLimits limits_;
  std::vector<char> block_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
  std::exception_ptr error_;
  std::int64_t packed_read_ = 0;
  std::int64_t packed_start_ = 0;
  std::int64_t unpacked_ = 0;
};

void check_start(std::string_view start) {
  if (start.starts_with("PK\x03\x04")) return;
  if (start.empty()) throw XlsxProblem{"it is empty: 0 bytes"};
  if (start.starts_with("\xD0\xCF\x11\xE0")) {
    throw XlsxProblem{
        "it is an Excel file of the old kind (.xls), or has a password: save it as .xlsx without one"};
  }
  throw XlsxProblem{"it is no xlsx file"};
}

// "../worksheets/sheet1.xml" beside "xl/workbook.xml".
std::string resolved(std::string_view target, std::string_view part) {
  if (target.starts_with('/')) return std::string(target.substr(1));
  std::string folder(part.substr(0, part.rfind('/') == std::string_view::npos ? 0 : part.rfind('/') + 1));
  while (target.starts_with("../")) {
    target.remove_prefix(3);
    if (!folder.empty()) folder.pop_back();
    folder.resize(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/') + 1);
  }
  return folder.append(target);
}

}  // namespace

XlsxPackage::XlsxPackage(ByteSource& source, Interrupts& interrupts, XlsxLimits limits)
    : interrupts_(interrupts), limits_(limits), descriptor_(open_temporary_file()) {
  try {
    fill(source);
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

XlsxPackage::~XlsxPackage() {
  close(descriptor_);
}

void XlsxPackage::fill(ByteSource& source) {
  std::vector<char> block(block_bytes);
  std::string start;
  std::int64_t written = 0;
  while (const std::size_t count = source.read(block)) {
    interrupts_.poll();
    if (start.size() < 4) start.append(block.data(), std::min<std::size_t>(count, 4));
    written += static_cast<std::int64_t>(count);
    if (written > limits_.package_bytes_max) throw XlsxProblem{"it is larger than 1 GB"};
    write_all({block.data(), count}, descriptor_);
  }
  check_start(start);
}

std::unique_ptr<ByteSource> XlsxPackage::open(std::string_view part) const {
  auto source = std::make_unique<PartSource>(descriptor_, interrupts_, limits_);
  if (!source->find(part)) return nullptr;
  return source;
}

std::vector<XlsxPackage::Relation> XlsxPackage::relations_of(std::string_view part) const {
  const std::size_t slash = part.rfind('/');
  const std::size_t name = slash == std::string_view::npos ? 0 : slash + 1;
  const auto source =
      open(std::string(part.substr(0, name)) + "_rels/" + std::string(part.substr(name)) + ".rels");
  std::vector<Relation> relations;
  if (source == nullptr) return relations;
  XmlReader reader(*source, interrupts_);
  XmlEvent event;
  while (reader.next(event) && relations.size() < relations_max) {
    if (event.kind != XmlEvent::Kind::start || event.name != "Relationship") continue;
    Relation relation;
    bool external = false;
    for (const XmlAttribute& attribute : event.attributes) {
      if (attribute.name == "Id") relation.id = attribute.value;
      if (attribute.name == "Type") relation.type = attribute.value.substr(attribute.value.rfind('/') + 1);
      if (attribute.name == "Target") relation.target = resolved(attribute.value, part);
      if (attribute.name == "TargetMode") external = attribute.value == "External";
    }
    if (!external) relations.push_back(std::move(relation));
  }
  if (!reader.problem().empty()) throw XlsxProblem{"its relationships: " + reader.problem()};
  return relations;
}

}  // namespace pg_reconcile::core
