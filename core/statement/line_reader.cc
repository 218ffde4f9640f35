#include "core/statement/line_reader.h"

namespace pg_reconcile::core {

LineReader::LineReader(ByteSource& source, std::vector<Charset> charsets, Interrupts& interrupts,
                       char line_end)
    : source_(source), charsets_(std::move(charsets)), interrupts_(interrupts), line_end_(line_end) {}

LineReader::~LineReader() = default;

// Drops what has been read and appends one chunk. False at the end of the source.
bool LineReader::fill() {
  if (ended_) return false;
  interrupts_.poll();
  if (position_ > 0) {
    buffer_.erase(0, position_);
    base_ += static_cast<std::int64_t>(position_);
    position_ = 0;
  }
  const std::size_t held = buffer_.size();
  buffer_.resize(held + chunk_bytes);
  const std::size_t count = source_.read({buffer_.data() + held, chunk_bytes});
  buffer_.resize(held + count);
  ended_ = count == 0;
  return !ended_;
}

void LineReader::start() {
  started_ = true;
  while (buffer_.size() < chunk_bytes && fill()) {
  }
  const auto mark = byte_order_mark(buffer_);
  if (!mark) {
    // Without a mark, UTF-16 is only what a format says alone: its bytes are valid in most other charsets.
    if (charsets_.size() == 1) decoder_ = std::make_unique<Decoder>(charsets_.front());
  } else {
    position_ = mark->size;
    decoder_ = std::make_unique<Decoder>(mark->charset);
  }
  if (decoder_ && (decoder_->charset() == Charset::utf16le || decoder_->charset() == Charset::utf16be))
    unit_ = 2;
}

std::optional<std::string_view> LineReader::short_file() {
  if (!started_) start();
  if (buffer_.size() >= chunk_bytes) return std::nullopt;
  return buffer_;
}

// Position of the line feed's first byte at or after `from`, or npos.
std::size_t LineReader::find_line_end(std::size_t from) const {
  if (unit_ == 1) return buffer_.find(line_end_, from);
  const bool big = decoder_->charset() == Charset::utf16be;
  for (std::size_t i = from; i + 1 < buffer_.size(); i += 2) {
    const char low = big ? buffer_[i + 1] : buffer_[i];
    const char high = big ? buffer_[i] : buffer_[i + 1];
    if (low == line_end_ && high == '\0') return i;
  }
  return std::string::npos;
}

void LineReader::decode(Line& line) {
  if (unit_ == 1 && line.bytes.ends_with('\r')) line.bytes.remove_suffix(1);
  if (!decoder_) {
    if (is_ascii(line.bytes)) {
      line.text = line.bytes;
      line.valid = line.bytes.find('\0') == std::string_view::npos;
      return;
    }
    // The first line that is not ASCII decides, together with all that follows it in the buffer.
    const std::size_t from = static_cast<std::size_t>(line.bytes.data() - buffer_.data());
    decoder_ = std::make_unique<Decoder>(detect_charset(std::string_view(buffer_).substr(from), charsets_));
  }
  const auto text = decoder_->decode(line.bytes, decoded_);
  line.valid = text.has_value();
  line.text = text.value_or(std::string_view{});
  if (unit_ == 2 && line.text.ends_with('\r')) line.text.remove_suffix(1);
}

std::optional<std::string_view> LineReader::decode_part(std::string_view bytes, std::string& buffer) {
  if (decoder_) return decoder_->decode(bytes, buffer);
  // Nothing but ASCII so far.
  return is_ascii(bytes) && bytes.find('\0') == std::string_view::npos ? std::optional(bytes) : std::nullopt;
}

bool LineReader::skip_to_line_end() {
  for (;;) {
    const std::size_t end = find_line_end(position_);
    if (end != std::string::npos) {
      position_ = end + unit_;
      return true;
    }
    // Keep an odd byte of a two-byte unit.
    position_ = unit_ == 1 ? buffer_.size() : position_ + (buffer_.size() - position_) / 2 * 2;
    if (!fill()) {
      position_ = buffer_.size();
      return false;
    }
  }
}

bool LineReader::next(Line& line) {
  if (!started_) start();
  line = Line{};
  std::size_t searched = position_;
  std::size_t end = find_line_end(searched);
  while (end == std::string::npos && buffer_.size() - position_ <= line_bytes_max) {
    searched = (buffer_.size() - position_) / unit_ * unit_;
    if (!fill()) break;
    end = find_line_end(searched);  // fill() has moved position_ to 0
  }
  if (end == std::string::npos && position_ == buffer_.size()) return false;
  line.number = ++number_;
  line.offset = base_ + static_cast<std::int64_t>(position_);
  if (end == std::string::npos && buffer_.size() - position_ > line_bytes_max) {
    // The start of the line is copied: the buffer moves on while its end is looked for.
    decoded_.assign(buffer_, position_, 256);
    line.too_long = true;
    line.valid = false;
    line.terminated = skip_to_line_end();
    line.bytes = decoded_;
    return true;
  }
  line.terminated = end != std::string::npos;
  const std::size_t stop = line.terminated ? end : buffer_.size();
  line.bytes = std::string_view(buffer_).substr(position_, stop - position_);
  position_ = line.terminated ? end + unit_ : stop;
  decode(line);
  return true;
}

}  // namespace pg_reconcile::core
