#include "base/chunked.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace icapgate {
namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::uint64_t max_size = std::numeric_limits<std::int64_t>::max();

bool is_text(std::string_view text) {
  return std::ranges::all_of(text, is_field_text);
}

}  // namespace

chunk_decoder::event chunk_decoder::next(std::string_view& input, std::string_view& data) {
  for (;;) {
    if (state_ == state::complete) return event::complete;
    if (state_ == state::invalid) return event::invalid;
    if (input.empty()) return event::need_input;
    if (state_ == state::data) {
      data = input.substr(0, std::min<std::uint64_t>(remaining_, input.size()));
      input.remove_prefix(data.size());
      remaining_ -= data.size();
      extensions_ -= std::min<std::uint64_t>(extensions_, data.size());
      if (remaining_ == 0) end_data(input);
      return event::data;
    }
    state_ = read_framing(input);
  }
}

// One step through what stands between the data; `input` is not empty.
chunk_decoder::state chunk_decoder::read_framing(std::string_view& input) {
  switch (state_) {
    case state::size:
      return read_size(input);
    case state::extension:
      return read_extension(input);
    case state::size_lf:
      return read_byte(input, '\n', remaining_ == 0 ? state::trailer : state::data);
    case state::data_cr:
      return read_byte(input, '\r', state::data_lf);
    case state::data_lf:
      return read_byte(input, '\n', state::size);
    case state::trailer:
      return read_trailer(input);
    case state::data:
    case state::complete:
    case state::invalid:
      break;
  }
  return state::invalid;
}

chunk_decoder::state chunk_decoder::read_byte(std::string_view& input, char expected, state then) {
  if (input.front() != expected) return state::invalid;
  input.remove_prefix(1);
  return then;
}

chunk_decoder::state chunk_decoder::read_size(std::string_view& input) {
  while (!input.empty()) {
    const int digit = hex_value(input.front());
    if (digit < 0) return end_size(input);
    // Sixteen digits fit in 64 bits, so the shift loses nothing.
    if (++digits_ > 16) return state::invalid;
    remaining_ = remaining_ << 4 | static_cast<unsigned>(digit);
    input.remove_prefix(1);
  }
  return state::size;
}

// Hardly any chunk has an extension: its line ends here, in one step where all of the end is there.
chunk_decoder::state chunk_decoder::end_size(std::string_view& input) {
  if (digits_ == 0) return state::invalid;
  if (remaining_ > max_size || !input.starts_with(line_end)) return state::extension;
  input.remove_prefix(line_end.size());
  return remaining_ == 0 ? state::trailer : state::data;
}

chunk_decoder::state chunk_decoder::read_extension(std::string_view& input) {
  if (remaining_ > max_size) return state::invalid;
  const auto end = input.find('\r');
  const auto part = input.substr(0, end);
  extensions_ += part.size();
  if (digits_ + extension_.size() + part.size() > max_line || !is_text(part) ||
      extensions_ > free_extensions)
    return state::invalid;
  extension_ += part;
  input.remove_prefix(part.size());
  const auto text = trim(extension_);
  if (!text.empty() && text.front() != ';') return state::invalid;
  if (end == std::string_view::npos) return state::extension;
  input.remove_prefix(1);
  // Blanks may stand around the ';' (RFC 9112 7.1.1), but not without one.
  return text.empty() && !extension_.empty() ? state::invalid : state::size_lf;
}

chunk_decoder::state chunk_decoder::read_trailer(std::string_view& input) {
  const auto lf = input.find('\n');
  const auto part = input.substr(0, lf == std::string_view::npos ? lf : lf + 1);
  if (trailers_.size() + part.size() > max_trailers + 2) return state::invalid;
  trailers_ += part;
  input.remove_prefix(part.size());
  if (lf == std::string_view::npos) return state::trailer;

  return end_trailer_line();
}

chunk_decoder::state chunk_decoder::end_trailer_line() {
  auto line = std::string_view(trailers_).substr(line_);
  if (!line.ends_with("\r\n")) return state::invalid;
  line.remove_suffix(2);
  if (line.empty()) {
    trailers_.resize(line_);
    return state::complete;
  }
  if (!is_token(line.substr(0, line.find(':'))) || line.find(':') == line.npos || !is_text(line))
    return state::invalid;
  line_ = trailers_.size();
  return state::trailer;
}

void chunk_decoder::end_data(std::string_view& input) {
  const bool whole = input.starts_with(line_end);
  if (whole) input.remove_prefix(line_end.size());
  state_ = whole ? state::size : state::data_cr;
  digits_ = 0;
  extension_.clear();
}

void chunk_decoder::reset() {
  state_ = state::size;
  remaining_ = 0;
  digits_ = 0;
  line_ = 0;
  extension_.clear();
  extensions_ = 0;
  trailers_.clear();
}

std::string_view chunk_decoder::last_extension() const {
  auto text = trim(extension_);
  if (!text.empty()) text.remove_prefix(1);
  return trim(text);
}

std::string_view chunk_decoder::trailers() const {
  return trailers_;
}

chunk_size_line::chunk_size_line(std::uint64_t size) {
  char* const begin = text_.data();
  char* end = std::to_chars(begin, begin + text_.size() - 2, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  length_ = static_cast<std::size_t>(end - begin);
}

}  // namespace icapgate
