#include "http/date.hpp"

#include <array>
#include <cstdio>

namespace icapgate::http {

std::string_view date_writer::text(std::chrono::system_clock::time_point at) {
  using namespace std::chrono;
  static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto second = floor<seconds>(at);
  if (second != second_) {
    second_ = second;
    const auto day = floor<std::chrono::days>(second);
    const year_month_day date(day);
    const hh_mm_ss time(second - day);
    std::snprintf(
        text_, sizeof text_, "%s, %02u %s %04d %02d:%02d:%02d GMT", days[weekday(day).c_encoding()],
        static_cast<unsigned>(date.day()) % 100, months[static_cast<unsigned>(date.month()) - 1],
        static_cast<int>(date.year()) % 10000, static_cast<int>(time.hours().count()),
        static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  }
  return {text_, 29};
}

}  // namespace icapgate::http
