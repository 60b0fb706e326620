#include "http/date.hpp"

#include "catch.hpp"

#include <string>

using namespace icapgate;
using namespace std::chrono;

TEST_CASE("date: it is written as RFC 9110 wants it, in any order of calls") {
  http::date_writer dates;
  const auto at = [&](sys_seconds second) { return std::string(dates.text(second)); };
  const auto example = sys_days(1994y / 11 / 6) + 8h + 49min + 37s;
  CHECK(at(example) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(at(example + 1s) == "Sun, 06 Nov 1994 08:49:38 GMT");
  CHECK(at(example) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(at(sys_days(2024y / 2 / 29) + 23h + 59min + 59s) == "Thu, 29 Feb 2024 23:59:59 GMT");
  CHECK(at(sys_days(2024y / 2 / 29) + 24h) == "Fri, 01 Mar 2024 00:00:00 GMT");
  CHECK(at(sys_days(1970y / 1 / 1)) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(dates.text(example + 999ms) == "Sun, 06 Nov 1994 08:49:37 GMT");
}
