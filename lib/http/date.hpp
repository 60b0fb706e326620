// The Date field (RFC 9110 5.6.7, 6.6.1).
#pragma once

#include <chrono>
#include <string_view>

namespace icapgate::http {

// Writes dates, and remembers the last one: within a second all are the same.
class date_writer {
 public:
  // "Sun, 06 Nov 1994 08:49:37 GMT"; valid until the next call.
  std::string_view text(std::chrono::system_clock::time_point at);

 private:
  std::chrono::sys_seconds second_ = std::chrono::sys_seconds::min();
  char text_[30] = {};
};

}  // namespace icapgate::http
