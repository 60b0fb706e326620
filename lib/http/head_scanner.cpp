#include "http/head_scanner.hpp"

#include "base/characters.hpp"

#include <cstdint>
#include <cstring>

namespace icapgate::http {
namespace {

// Whether some of eight bytes is below a blank or DEL: what ends plain text. A tab counts, too: the
// bytes are looked at one by one then.
bool may_end_text(const char* eight) {
  constexpr std::uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
  std::uint64_t word = 0;
  std::memcpy(&word, eight, sizeof word);
  const auto below_blank = (word - ones * 0x20) & ~word;
  const auto other = word ^ ones * 0x7f;
  const auto del = (other - ones) & ~other;
  return ((below_blank | del) & highs) != 0;
}

std::size_t end_of_text(std::string_view text, std::size_t at) {
  while (at + 8 <= text.size() && !may_end_text(text.data() + at)) at += 8;
  while (at < text.size() && is_field_text(text[at])) ++at;
  return at;
}

}  // namespace

head_scanner::status head_scanner::scan(std::string_view text) {
  for (;;) {
    at_ = end_of_text(text, at_);
    if (is_first_too_long(at_)) return status::line_too_long;
    if (at_ == text.size()) return status::need_input;
    if (text[at_] != '\r') return status::invalid;
    if (at_ + 1 == text.size()) return status::need_input;
    if (text[at_ + 1] != '\n') return status::invalid;
    const bool empty = at_ == line_;
    at_ += 2;
    line_ = at_;
    first_ = false;
    if (empty) return status::complete;
  }
}

void head_scanner::reset() {
  at_ = line_ = 0;
  first_ = true;
}

}  // namespace icapgate::http
