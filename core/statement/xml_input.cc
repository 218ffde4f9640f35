#include "core/statement/xml_input.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/statement/charset.h"

namespace pg_reconcile::core {
namespace {

// Not every converter of the C library: what statements are written in, and stateless.
constexpr std::array<std::string_view, 13> single_byte = {
    "ISO-8859-1",   "ISO-8859-2",  "ISO-8859-5",   "ISO-8859-7",   "ISO-8859-9",
    "ISO-8859-13",  "ISO-8859-15", "WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252",
    "WINDOWS-1254", "LATIN1",      "KOI8-R"};
constexpr std::array<std::string_view, 7> multibyte = {"GB18030",   "GBK",    "GB2312", "BIG5",
                                                       "SHIFT_JIS", "EUC-JP", "EUC-KR"};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

template <std::size_t N>
bool listed(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The encoding that an XML declaration names; empty: none.
std::string declared_encoding(std::string_view start) {
  if (!start.starts_with("<?xml")) return {};
  start = start.substr(0, start.find("?>"));
  const std::size_t at = start.find("encoding");
  if (at == std::string_view::npos) return {};
  const std::size_t open = start.find_first_of("\"'", at);
  if (open == std::string_view::npos) return {};
  const std::size_t close = start.find(start[open], open + 1);
  if (close == std::string_view::npos) return {};
  return upper(start.substr(open + 1, close - open - 1));
}

}  // namespace

XmlInput::~XmlInput() {
  if (converter_ != nullptr) iconv_close(converter_);
}

bool XmlInput::fill() {
  if (ended_) return false;
  interrupts_.poll();
  const std::size_t held = bytes_.size();
  bytes_.resize(held + chunk_bytes);
  const std::size_t count = source_.read({bytes_.data() + held, chunk_bytes});
  bytes_.resize(held + count);
  source_end_ += static_cast<std::int64_t>(count);
  ended_ = count == 0;
  return !ended_;
}

void XmlInput::choose(std::string name) {
  encoding_ = std::move(name);
  if (encoding_.empty() || encoding_ == "UTF-8" || encoding_ == "UTF8" || encoding_ == "US-ASCII" ||
      encoding_ == "ASCII")
    return;
  std::string from = encoding_;
  if (encoding_ == "UTF-16LE" || encoding_ == "UTF-16BE") {
    width_ = Width::utf16;
  } else if (listed(single_byte, encoding_)) {
    width_ = Width::single;
  } else if (listed(multibyte, encoding_)) {
    width_ = Width::multibyte;
    if (encoding_.starts_with("GB")) from = "GB18030";  // files say GBK and hold GB18030
    if (encoding_ == "SHIFT_JIS") from = "CP932";
  } else {
    problem_ = "it declares the encoding " + printable(encoding_, 40) + ", which is not known here";
    return;
  }
  converter_ = iconv_open("UTF-8", from.c_str());
  if (converter_ == reinterpret_cast<void*>(-1)) {
    converter_ = nullptr;
    problem_ = "this system cannot read the encoding " + encoding_;
  }
}

// What decides the encoding: a byte order mark, zero bytes beside the first "<", the declaration.
void XmlInput::start() {
  started_ = true;
  while (bytes_.size() < 1024 && fill()) {
  }
  std::size_t skipped = 0;
  const auto mark = byte_order_mark(bytes_);
  if (mark) {
    skipped = mark->size;
    choose(upper(charset_name(mark->charset)));
  } else if (bytes_.starts_with(std::string_view("<\0", 2))) {
    choose("UTF-16LE");
  } else if (bytes_.starts_with(std::string_view("\0<", 2))) {
    choose("UTF-16BE");
  } else {
    std::string_view text = bytes_;
    skipped = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    std::string declared = declared_encoding(text.substr(skipped, 1024));
    // The declaration can be read byte by byte, so its UTF-16 is not true.
    choose(declared.starts_with("UTF-16") ? std::string() : std::move(declared));
  }
  cursor_place_.line +=
      std::count(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(skipped), '\n');
  cursor_place_.byte_offset = static_cast<std::int64_t>(skipped);
  bytes_.erase(0, skipped);
  read_ahead_ = true;
}

// bytes_ -> the end of window_; an incomplete character stays in bytes_.
void XmlInput::convert() {
  if (converter_ == nullptr) {
    window_ += bytes_;
    bytes_.clear();
    return;
  }
  const std::size_t before = window_.size();
  anchors_.push_back({window_base_ + static_cast<std::int64_t>(before),
                      source_end_ - static_cast<std::int64_t>(bytes_.size())});
  window_.resize(before + bytes_.size() * 3 + 8);
  char* in = bytes_.data();
  std::size_t in_left = bytes_.size();
  char* out = window_.data() + before;
  std::size_t out_left = window_.size() - before;
  const bool converted = iconv(converter_, &in, &in_left, &out, &out_left) != static_cast<std::size_t>(-1);
  const int error = errno;
  window_.resize(window_.size() - out_left);
  if (!converted && (error != EINVAL || (ended_ && in_left > 0))) {
    problem_ = "byte " + std::to_string(source_end_ - static_cast<std::int64_t>(in_left)) +
               " is no valid text in the encoding " + encoding_;
  }
  bytes_.erase(0, bytes_.size() - in_left);
}

std::string_view XmlInput::next(std::int64_t keep_from) {
  if (!started_) start();
  if (!problem_.empty()) return {};
  keep_from = std::clamp<std::int64_t>(keep_from, window_base_,
                                       window_base_ + static_cast<std::int64_t>(window_.size()));
  if (keep_from > cursor_) advance(keep_from);
  window_.erase(0, static_cast<std::size_t>(keep_from - window_base_));
  window_base_ = keep_from;
  const std::size_t before = window_.size();
  while (window_.size() == before && problem_.empty()) {
    // What start() read ahead goes first; a character that is cut off waits for more.
    if (!std::exchange(read_ahead_, false)) fill();
    if (bytes_.empty()) break;
    convert();
    if (ended_) break;
  }
  return std::string_view(window_).substr(before);
}

void XmlInput::advance(std::int64_t offset) {
  const std::string_view text = window_;
  for (; cursor_ < offset; cursor_++) {
    if (!anchors_.empty() && anchors_.front().text <= cursor_) {
      cursor_place_.byte_offset = anchors_.front().source;
      anchors_.pop_front();
    }
    const auto byte = static_cast<unsigned char>(text[static_cast<std::size_t>(cursor_ - window_base_)]);
    if (byte == '\n') cursor_place_.line++;
    const bool leads = (byte & 0xC0) != 0x80;
    switch (width_) {
      case Width::utf8:
        cursor_place_.byte_offset++;
        break;
      case Width::single:
        cursor_place_.byte_offset += leads ? 1 : 0;
        break;
      case Width::utf16:
        cursor_place_.byte_offset += !leads ? 0 : byte >= 0xF0 ? 4 : 2;
        break;
      case Width::multibyte:
        cursor_place_.byte_offset += !leads ? 0 : byte < 0x80 ? 1 : 2;
        break;
    }
  }
}

XmlInput::Place XmlInput::place_of(std::int64_t offset) {
  advance(std::min(offset, window_base_ + static_cast<std::int64_t>(window_.size())));
  return cursor_place_;
}

std::string_view XmlInput::text_from(std::int64_t offset) const {
  if (offset < window_base_) return {};
  return std::string_view(window_).substr(
      std::min(static_cast<std::size_t>(offset - window_base_), window_.size()));
}

}  // namespace pg_reconcile::core
