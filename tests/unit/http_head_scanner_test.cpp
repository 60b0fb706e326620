#include "http/head_scanner.hpp"

#include "catch.hpp"

#include <string>
#include <vector>

using namespace icapgate;
using namespace std::string_literals;
using status = http::head_scanner::status;

namespace {

struct outcome {
  status last = status::need_input;
  std::size_t bytes = 0;  // that it took to know
  std::size_t size = 0;
};

// One byte more each time.
outcome scan(const std::string& text, std::size_t max_line = 100) {
  http::head_scanner scanner(max_line);
  outcome out;
  while (out.last == status::need_input && out.bytes <= text.size())
    out.last = scanner.scan(std::string_view(text).substr(0, out.bytes++));
  --out.bytes;
  if (out.last == status::complete) out.size = scanner.size();
  http::head_scanner whole(max_line);
  CHECK(whole.scan(text) == out.last);
  return out;
}

}  // namespace

TEST_CASE("head scanner: a head ends with its first empty line, whatever follows") {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nX: \t\xe9\r\n\r\n";
  for (const std::string behind : {"", "x", "\r\n", "\n", "\0"}) {
    const auto found = scan(head + behind);
    CHECK(found.last == status::complete);
    CHECK(found.size == head.size());
    CHECK(found.bytes == head.size());
  }
  for (std::size_t n = 0; n < head.size(); ++n)
    CHECK(scan(head.substr(0, n)).last == status::need_input);
}

TEST_CASE("head scanner: what no head may hold is refused at the byte that shows it") {
  const std::string begin = "GET / HTTP/1.1\r\nHost: a";
  for (const std::string& bad :
       {"\n"s, "\rx"s, "\r\r"s, "\0"s, "\x01"s, "\x0b"s, "\x1f"s, "\x7f"s}) {
    CAPTURE(bad);
    const auto found = scan(begin + bad + "\r\n\r\n");
    CHECK(found.last == status::invalid);
    CHECK(found.bytes == begin.size() + bad.size());
    CHECK(scan(bad + "\r\n\r\n").last == status::invalid);
  }
}

TEST_CASE("head scanner: the first line alone has a limit") {
  const std::string line(100, 'x'), field(1000, 'y');
  CHECK(scan(line + "\r\n" + field + "\r\n\r\n").last == status::complete);
  const auto longer = scan(line + "x\r\n\r\n");
  CHECK(longer.last == status::line_too_long);
  CHECK(longer.bytes == 101);
}

TEST_CASE("head scanner: after a reset another head begins") {
  http::head_scanner scanner(10);
  REQUIRE(scanner.scan("first\r\nlonger than that\r\n\r\n") == status::complete);
  scanner.reset();
  CHECK(scanner.scan("0123456789a") == status::line_too_long);
  scanner.reset();
  CHECK(scanner.scan("b\r\n\r\n") == status::complete);
  CHECK(scanner.size() == 5);
}
