// Finds the end of a head while its bytes come in, and says at once what no head may hold.
#pragma once

#include <cstddef>
#include <string_view>

namespace icapgate::http {

// Each byte is looked at once. A line feed without a carriage return, a carriage return without a
// line feed, NUL and all other control characters but the tab are refused where they stand (RFC
// 9112 2.2, RFC 9110 5.5): a peer that ends its lines otherwise would never send what ends a head,
// and who reads them otherwise would see another one.
class head_scanner {
 public:
  enum class status {
    need_input,
    complete,
    invalid,
    line_too_long,  // the first one
  };

  // `max_line`: bytes of the first line, without its end.
  explicit head_scanner(std::size_t max_line) : max_line_(max_line) {}

  // `text`: all of the head that was received so far, with whatever came behind it. From call to
  // call it only grows, until reset().
  status scan(std::string_view text);

  // Once `complete`: bytes of the head with the empty line.
  std::size_t size() const { return at_; }

  void reset();

 private:
  bool is_first_too_long(std::size_t end) const { return first_ && end > max_line_; }

  std::size_t max_line_;
  std::size_t at_ = 0;    // bytes that were looked at
  std::size_t line_ = 0;  // where the current line begins
  bool first_ = true;
};

}  // namespace icapgate::http
