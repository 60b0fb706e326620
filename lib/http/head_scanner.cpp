#include "http/head_scanner.hpp"

#include "base/field_text.hpp"

namespace icapgate::http {
head_scanner::status head_scanner::scan(std::string_view text) {
  for (;;) {
    at_ = end_of_field_text(text, at_);
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
