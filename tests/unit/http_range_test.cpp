#include "http/range.hpp"

#include "catch.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace icapgate;
using outcome = http::range_outcome;

namespace {

constexpr std::string_view boundary = "0123456789abcdef0123456789abcdef";

struct request {
  explicit request(const std::string& fields, const std::string& method = "GET")
      : text(method + " /file HTTP/1.1\r\nHost: site\r\n" + fields + "\r\n") {
    REQUIRE(http::parse_request(text, head) == errc::complete);
  }
  std::string text;
  http::request_head head;
};

struct response {
  explicit response(const std::string& fields, const std::string& status = "200 OK")
      : text("HTTP/1.1 " + status + "\r\n" + fields + "\r\n") {
    REQUIRE(http::parse_response(text, false, head) == errc::complete);
  }
  std::string text;
  http::response_head head;
};

const std::string plain = "Content-Type: text/plain\r\n";

http::range_plan plan_fields(const std::string& request_fields, const std::string& response_fields,
                             std::uint64_t size) {
  const request asked(request_fields);
  const response got(response_fields);
  return http::plan_ranges(asked.head, got.head, size, boundary);
}

http::range_plan plan(const std::string& range, std::uint64_t size) {
  return plan_fields("Range: " + range + "\r\n", plain, size);
}

using extents = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

// First and last byte of each part.
extents parts(const http::range_plan& plan) {
  extents found;
  for (const auto& part : plan.pieces)
    found.emplace_back(part.offset, part.offset + part.length - 1);
  return found;
}

extents parts(const std::string& range, std::uint64_t size) {
  const auto made = plan(range, size);
  REQUIRE(made.outcome == outcome::partial);
  return parts(made);
}

std::string sent(const http::range_plan& plan, std::string_view body) {
  std::string wire;
  for (const auto& part : plan.pieces) {
    REQUIRE(part.offset + part.length <= body.size());
    wire.append(part.before).append(body.substr(part.offset, part.length));
  }
  return wire.append(plan.after);
}

std::string head_of(const http::range_plan& plan, const http::response_head& head,
                    const http::client_connection& to = {}) {
  std::string wire;
  http::append_partial_response(wire, head, plan, to);
  return wire;
}

outcome with_if_range(const std::string& condition, const std::string& response_fields) {
  return plan_fields("Range: bytes=0-4\r\nIf-Range: " + condition + "\r\n", response_fields, 10)
      .outcome;
}

const std::string monday = "Mon, 01 Jan 2024 10:00:00 GMT";

// As a client reads it: each part by its Content-Range, the bytes put where they belong.
std::map<std::uint64_t, char> read_multipart(std::string_view wire, std::uint64_t size) {
  std::map<std::uint64_t, char> bytes;
  const std::string delimiter = "--" + std::string(boundary);
  const auto take = [&wire](std::string_view text) {
    REQUIRE(wire.substr(0, text.size()) == text);
    wire.remove_prefix(text.size());
  };
  const auto take_number = [&wire] {
    std::uint64_t value = 0;
    const auto end = std::from_chars(wire.data(), wire.data() + wire.size(), value).ptr;
    REQUIRE(end != wire.data());
    wire.remove_prefix(static_cast<std::size_t>(end - wire.data()));
    return value;
  };
  take(delimiter);
  while (!wire.starts_with("--")) {
    take("\r\nContent-Type: text/plain\r\nContent-Range: bytes ");
    const auto first = take_number();
    take("-");
    const auto last = take_number();
    take("/");
    REQUIRE(take_number() == size);
    take("\r\n\r\n");
    for (auto at = first; at <= last; ++at) {
      REQUIRE(bytes.emplace(at, wire.at(0)).second);
      wire.remove_prefix(1);
    }
    take("\r\n" + delimiter);
  }
  CHECK(wire == "--\r\n");
  return bytes;
}

}  // namespace

TEST_CASE("range: each form of one range, at its limits") {
  // RFC 9110 14.1.2's own examples, of 10000 bytes.
  CHECK(parts("bytes=0-499", 10000) == extents{{0, 499}});
  CHECK(parts("bytes=500-999", 10000) == extents{{500, 999}});
  CHECK(parts("bytes=-500", 10000) == extents{{9500, 9999}});
  CHECK(parts("bytes=9500-", 10000) == extents{{9500, 9999}});
  CHECK(parts("bytes=0-0", 1) == extents{{0, 0}});
  CHECK(parts("bytes=0-", 10) == extents{{0, 9}});
  CHECK(parts("bytes=9-", 10) == extents{{9, 9}});
  CHECK(parts("bytes=9-9", 10) == extents{{9, 9}});
  CHECK(parts("bytes=8-9", 10) == extents{{8, 9}});
  CHECK(parts("bytes=8-10", 10) == extents{{8, 9}});
  CHECK(parts("bytes=-1", 10) == extents{{9, 9}});
  CHECK(parts("bytes=-10", 10) == extents{{0, 9}});
  CHECK(parts("bytes=-11", 10) == extents{{0, 9}});
  CHECK(parts("BYTES=0001-0002", 10) == extents{{1, 2}});
}

TEST_CASE("range: several ranges keep their order, blanks and empty elements are nothing") {
  CHECK(parts("bytes=0-0,-1", 10000) == extents{{0, 0}, {9999, 9999}});
  CHECK(parts("bytes=7-8,0-1", 10) == extents{{7, 8}, {0, 1}});
  CHECK(parts("bytes= 0-1 ,\t3-4 ,, -1 ,", 10) == extents{{0, 1}, {3, 4}, {9, 9}});
}

TEST_CASE("range: ranges that overlap or touch become one in the place of the first") {
  CHECK(parts("bytes=500-600,601-999", 10000) == extents{{500, 999}});
  CHECK(parts("bytes=500-700,601-999", 10000) == extents{{500, 999}});
  CHECK(parts("bytes=0-1,3-4", 10) == extents{{0, 1}, {3, 4}});
  CHECK(parts("bytes=0-1,3-4,2-2", 10) == extents{{0, 4}});
  CHECK(parts("bytes=8-9,0-1,4-5,2-3", 10) == extents{{8, 9}, {0, 5}});
  CHECK(parts("bytes=4-5,9-9,0-1,1-6", 10) == extents{{0, 6}, {9, 9}});
  CHECK(parts("bytes=0-,0-,0-,-10", 10) == extents{{0, 9}});
}

TEST_CASE("range: numbers up to the largest that a length can be, and any beyond") {
  const std::uint64_t most = INT64_MAX;
  CHECK(parts("bytes=9223372036854775806-", most) == extents{{most - 1, most - 1}});
  CHECK(parts("bytes=0-9223372036854775807", most) == extents{{0, most - 1}});
  CHECK(parts("bytes=-9223372036854775807", most) == extents{{0, most - 1}});
  CHECK(parts("bytes=0-0,-9223372036854775806", most) == extents{{0, most - 1}});
  CHECK(plan("bytes=0-1,9223372036854775000-", most).length > most - 9223372036854775000U);
  for (const std::string huge :
       {"18446744073709551615", "18446744073709551616", "99999999999999999999999999999999999999"}) {
    CHECK(parts("bytes=1-" + huge, 10) == extents{{1, 9}});
    CHECK(parts("bytes=-" + huge, 10) == extents{{0, 9}});
    CHECK(plan("bytes=" + huge + "-", 10).outcome == outcome::unsatisfiable);
    CHECK(plan("bytes=" + huge + "-" + huge, 10).outcome == outcome::unsatisfiable);
  }
}

TEST_CASE("range: what is not a valid set of byte ranges is ignored as a whole") {
  for (const std::string value : {"",
                                  "bytes",
                                  "bytes=",
                                  "bytes=,",
                                  "bytes=-",
                                  "bytes=--1",
                                  "bytes=1",
                                  "bytes=a-b",
                                  "bytes=0-1x",
                                  "bytes=x0-1",
                                  "bytes=+0-1",
                                  "bytes=0-+1",
                                  "bytes=0x0-1",
                                  "bytes=0 - 1",
                                  "bytes=0- 1",
                                  "bytes=0-1 2-3",
                                  "bytes=0-1;2-3",
                                  "bytes=5-4",
                                  "bytes=0-1,5-4",
                                  "bytes=5-4,0-1",
                                  "bytes=0-1,x",
                                  "bytes =0-1",
                                  " =0-1",
                                  "bytes:0-1",
                                  "0-1",
                                  "items=0-1",
                                  "byte=0-1",
                                  "bytes=0-1-2",
                                  "bytes=1.0-2",
                                  "bytes=0-1,bytes=3-4",
                                  "bytes=-1-",
                                  "bytes=99-98"}) {
    CAPTURE(value);
    CHECK(plan(value, 10).outcome == outcome::whole);
  }
  CHECK(plan_fields("", plain, 10).outcome == outcome::whole);
  CHECK(plan_fields("Range: bytes=0-1\r\nRange: bytes=0-1\r\n", plain, 10).outcome ==
        outcome::whole);
}

TEST_CASE("range: none of the ranges lies in the body, or one does") {
  CHECK(plan("bytes=9-", 10).outcome == outcome::partial);
  CHECK(plan("bytes=10-", 10).outcome == outcome::unsatisfiable);
  CHECK(plan("bytes=10-10,11-,-0", 10).outcome == outcome::unsatisfiable);
  CHECK(plan("bytes=-0", 10).outcome == outcome::unsatisfiable);
  CHECK(parts("bytes=10-10,3-4,-0", 10) == extents{{3, 4}});
  const auto none = plan("bytes=10-", 10);
  CHECK(none.content_range == "bytes */10");
  CHECK(none.pieces.empty());
  CHECK(none.length == 0);
}

TEST_CASE("range: an empty body goes whole") {
  for (const std::string value : {"bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-6"})
    CHECK(plan(value, 0).outcome == outcome::whole);
}

TEST_CASE("range: sixteen ranges are served, seventeen are not, those behind the end don't count") {
  std::string value = "bytes=100-";
  for (int i = 0; i < 50; ++i) value += ",100-200,-0";
  for (int i = 0; i < 16; ++i) value += "," + std::to_string(i * 2) + "-" + std::to_string(i * 2);
  CHECK(parts(value, 100).size() == 16);
  CHECK(plan(value + ",50-50", 100).outcome == outcome::whole);
  CHECK(plan(value + ",0-99", 100).outcome == outcome::whole);
  CHECK(plan(value + ",100-", 100).outcome == outcome::partial);
}

TEST_CASE("range: only a GET that the origin answers with 200 has parts") {
  for (const std::string method : {"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get"}) {
    const request asked("Range: bytes=0-1\r\n", method);
    const response got(plain);
    CHECK(http::plan_ranges(asked.head, got.head, 10, boundary).outcome == outcome::whole);
    CHECK_FALSE(http::asks_for_ranges(asked.head));
  }
  for (const std::string status : {"201 Created", "203 Other", "206 Partial Content", "301 Moved",
                                   "404 Not Found", "416 Range", "500 Broken"}) {
    const request asked("Range: bytes=0-1\r\n");
    const response got(plain, status);
    CHECK(http::plan_ranges(asked.head, got.head, 10, boundary).outcome == outcome::whole);
  }
}

TEST_CASE("range: a request tells before the response whether it asks for ranges") {
  const auto asks = [](const std::string& fields) {
    return http::asks_for_ranges(request(fields).head);
  };
  CHECK(asks("Range: bytes=0-1\r\n"));
  CHECK(asks("Range: bytes=5-,-3\r\n"));
  CHECK_FALSE(asks(""));
  CHECK_FALSE(asks("If-Range: \"a\"\r\n"));
  CHECK_FALSE(asks("Range: items=0-1\r\n"));
  CHECK_FALSE(asks("Range: bytes=0-1,x\r\n"));
  CHECK_FALSE(asks("Range: bytes=0-1\r\nRange: bytes=2-3\r\n"));
}

TEST_CASE("range: the fields that can make an origin answer with a part") {
  const request asked("Range: a\r\nif-range: b\r\nREQUEST-RANGE: c\r\nAccept-Ranges: d\r\n");
  std::string found;
  for (const auto& f : asked.head.fields)
    if (http::is_range_field(f)) found += f.value;
  CHECK(found == "abc");
}

TEST_CASE("range: If-Range with an entity tag holds for the same strong one alone") {
  const std::string tag = "ETag: \"v1\"\r\n";
  CHECK(with_if_range("\"v1\"", tag) == outcome::partial);
  CHECK(with_if_range("\"\"", "ETag: \"\"\r\n") == outcome::partial);
  CHECK(with_if_range("\"v2\"", tag) == outcome::whole);
  CHECK(with_if_range("\"V1\"", tag) == outcome::whole);
  CHECK(with_if_range("W/\"v1\"", tag) == outcome::whole);
  CHECK(with_if_range("W/\"v1\"", "ETag: W/\"v1\"\r\n") == outcome::whole);
  CHECK(with_if_range("\"v1\"", "ETag: W/\"v1\"\r\n") == outcome::whole);
  CHECK(with_if_range("\"v1\"", plain) == outcome::whole);
  CHECK(with_if_range("\"v1\"", tag + tag) == outcome::whole);
  CHECK(with_if_range("v1", "ETag: v1\r\n") == outcome::whole);
  CHECK(with_if_range("\"v1", "ETag: \"v1\r\n") == outcome::whole);
  CHECK(with_if_range("\"", "ETag: \"\r\n") == outcome::whole);
  CHECK(with_if_range("\"a\", \"b\"", "ETag: \"a\", \"b\"\r\n") == outcome::whole);
  CHECK(with_if_range("\"v1\"\r\nIf-Range: \"v1\"", tag) == outcome::whole);
}

TEST_CASE("range: If-Range with a date holds for the very Last-Modified of an earlier second") {
  const auto holds = [](const std::string& modified, const std::string& date) {
    return with_if_range(modified, "Last-Modified: " + modified + "\r\nDate: " + date + "\r\n") ==
           outcome::partial;
  };
  CHECK(holds(monday, "Mon, 01 Jan 2024 10:00:01 GMT"));
  CHECK_FALSE(holds(monday, monday));
  CHECK_FALSE(holds(monday, "Mon, 01 Jan 2024 09:59:59 GMT"));
  CHECK_FALSE(holds(monday, "Sun, 31 Dec 2023 23:59:59 GMT"));
  CHECK(holds("Wed, 31 Jan 2024 23:59:59 GMT", "Thu, 01 Feb 2024 00:00:00 GMT"));
  CHECK(holds("Sun, 31 Dec 2023 23:59:59 GMT", "Mon, 01 Jan 2024 00:00:00 GMT"));
  CHECK(holds("Sat, 31 Aug 2024 09:09:09 GMT", "Sun, 01 Sep 2024 00:00:00 GMT"));
  CHECK_FALSE(holds(monday, "Monday, 01-Jan-24 11:00:00 GMT"));
  CHECK_FALSE(holds("Monday, 01-Jan-24 10:00:00 GMT", "Mon, 01 Jan 2024 11:00:00 GMT"));
  CHECK_FALSE(holds("Mon, 01 anF 2024 10:00:00 GMT", "Mon, 01 Feb 2024 11:00:00 GMT"));
  CHECK_FALSE(holds("Mon, 01 Jan 2O24 10:00:00 GMT", "Mon, 01 Feb 2024 11:00:00 GMT"));
  CHECK_FALSE(holds("Mon, 01 Jan 2024 10:00:00 UTC", "Mon, 01 Feb 2024 11:00:00 GMT"));

  const std::string later = "Date: Tue, 02 Jan 2024 10:00:00 GMT\r\n";
  const std::string modified = "Last-Modified: " + monday + "\r\n";
  CHECK(with_if_range(monday, modified + later) == outcome::partial);
  CHECK(with_if_range(monday, modified) == outcome::whole);
  CHECK(with_if_range(monday, later) == outcome::whole);
  CHECK(with_if_range(monday, modified + modified + later) == outcome::whole);
  CHECK(with_if_range(monday, modified + later + later) == outcome::whole);
  CHECK(with_if_range("Mon, 01 Jan 2024 10:00:01 GMT", modified + later) == outcome::whole);
  CHECK(with_if_range("mon, 01 Jan 2024 10:00:00 GMT", modified + later) == outcome::whole);
}

TEST_CASE("range: an If-Range that fails goes before a range that lies behind the end") {
  CHECK(plan_fields("Range: bytes=99-\r\nIf-Range: \"a\"\r\n", "ETag: \"b\"\r\n", 10).outcome ==
        outcome::whole);
  CHECK(plan_fields("Range: bytes=99-\r\nIf-Range: \"a\"\r\n", "ETag: \"a\"\r\n", 10).outcome ==
        outcome::unsatisfiable);
}

TEST_CASE("range: one part goes as it is, several between boundaries, byte by byte") {
  const std::string body = "0123456789";
  const auto one = plan("bytes=2-4", 10);
  CHECK(sent(one, body) == "234");
  CHECK(one.length == 3);
  const auto two = plan("bytes=8-,0-1", 10);
  const std::string expected =
      "--0123456789abcdef0123456789abcdef\r\nContent-Type: text/plain\r\n"
      "Content-Range: bytes 8-9/10\r\n\r\n89\r\n"
      "--0123456789abcdef0123456789abcdef\r\nContent-Type: text/plain\r\n"
      "Content-Range: bytes 0-1/10\r\n\r\n01\r\n"
      "--0123456789abcdef0123456789abcdef--\r\n";
  CHECK(sent(two, body) == expected);
  CHECK(two.length == expected.size());
  const auto untyped = plan_fields("Range: bytes=0-0,9-9\r\n", "", 10);
  CHECK(sent(untyped, body).find("Content-Type") == std::string::npos);
}

TEST_CASE("range: a type that is too long to repeat in each part makes the response whole") {
  const auto typed = [](std::size_t size) {
    return "Content-Type: " + std::string(size, 'a') + "\r\n";
  };
  CHECK(plan_fields("Range: bytes=0-0,9-9\r\n", typed(1024), 10).outcome == outcome::partial);
  CHECK(plan_fields("Range: bytes=0-0,9-9\r\n", typed(1025), 10).outcome == outcome::whole);
  CHECK(plan_fields("Range: bytes=0-0\r\n", typed(1025), 10).outcome == outcome::partial);
}

const std::string origin_fields =
    "Date: Tue, 02 Jan 2024 10:00:00 GMT\r\nETag: \"v1\"\r\nLast-Modified: " + monday +
    "\r\nContent-Type: text/plain\r\nContent-Encoding: br\r\nContent-Length: 10\r\n"
    "Content-MD5: x\r\nContent-Digest: x\r\nRepr-Digest: y\r\nAccept-Ranges: none\r\n"
    "Expires: 0\r\nContent-Range: bytes 0-9/10\r\nSet-Cookie: a\r\n"
    "Set-Cookie: b\r\nContent-Security-Policy: c\r\nContent-Disposition: attachment\r\n"
    "Connection: x-hop, content-range, accept-ranges\r\nX-Hop: 1\r\nVary: *\r\n";

TEST_CASE("range: the head of one part is the origin's with what is true of the part") {
  const response got(origin_fields + "Cache-Control: max-age=9\r\n");
  const auto made = plan_fields("Range: bytes=2-4\r\n", origin_fields, 10);
  CHECK(made.status() == 206);
  CHECK(head_of(made, got.head) ==
        "HTTP/1.1 206 Partial Content\r\n"
        "Date: Tue, 02 Jan 2024 10:00:00 GMT\r\nETag: \"v1\"\r\nLast-Modified: " +
            monday +
            "\r\nContent-Type: text/plain\r\nContent-Encoding: br\r\nRepr-Digest: y\r\n"
            "Expires: 0\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
            "Content-Security-Policy: c\r\nContent-Disposition: attachment\r\nVary: *\r\n"
            "Cache-Control: max-age=9\r\nContent-Length: 3\r\n"
            "Content-Range: bytes 2-4/10\r\nAccept-Ranges: bytes\r\n\r\n");
}

TEST_CASE("range: the head of several parts names the boundary and no range") {
  const response got(
      "Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\nX-A: 1\r\n"
      "Content-Range: bytes 0-9/10\r\n");
  const auto made = plan("bytes=0-0,9-9", 10);
  const auto length = sent(made, "0123456789").size();
  CHECK(head_of(made, got.head) ==
        "HTTP/1.1 206 Partial Content\r\nX-A: 1\r\nContent-Length: " + std::to_string(length) +
            "\r\nContent-Type: multipart/byteranges; boundary=0123456789abcdef0123456789abcdef\r\n"
            "Accept-Ranges: bytes\r\n\r\n");
}

TEST_CASE("range: the head of a 416 tells the size and nothing of what was not sent") {
  const response got(origin_fields + "Cache-Control: max-age=9\r\n");
  const auto made = plan_fields("Range: bytes=10-\r\n", origin_fields, 10);
  CHECK(made.status() == 416);
  CHECK(head_of(made, got.head) ==
        "HTTP/1.1 416 Range Not Satisfiable\r\nDate: Tue, 02 Jan 2024 10:00:00 GMT\r\n"
        "Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Security-Policy: c\r\nVary: *\r\n"
        "Content-Length: 0\r\nContent-Range: bytes */10\r\nAccept-Ranges: bytes\r\n"
        "Cache-Control: no-store\r\n\r\n");
}

TEST_CASE("range: the head says what becomes of the connection") {
  const response got(plain);
  for (const std::string range : {"bytes=0-1", "bytes=10-"}) {
    const auto made = plan(range, 10);
    CHECK(head_of(made, got.head, {false, 11}).find("\r\nConnection: close\r\n") !=
          std::string::npos);
    CHECK(head_of(made, got.head, {true, 10}).find("\r\nConnection: keep-alive\r\n") !=
          std::string::npos);
    CHECK(head_of(made, got.head, {true, 11}).find("Connection") == std::string::npos);
  }
}

namespace {

// One random range and what it means, worked out without the code under test.
struct sample {
  std::string text;
  std::uint64_t first, behind;  // empty: not in the body
};

sample random_range(std::mt19937& random, std::uint64_t size) {
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  if (below(4) == 0) {
    const auto count = below(size + 3);
    return {"-" + std::to_string(count), size - std::min(count, size), size};
  }
  const auto first = below(size + 3);
  if (below(4) == 0) return {std::to_string(first) + "-", std::min(first, size), size};
  const auto last = first + below(size / 4 + 2);
  return {std::to_string(first) + "-" + std::to_string(last), std::min(first, size),
          std::min(last + 1, size)};
}

}  // namespace

TEST_CASE("range: a client that puts the parts together has just the bytes it asked for") {
  std::mt19937 random(20240101);
  for (int round = 0; round < 3000; ++round) {
    const std::uint64_t size = 1 + random() % 200;
    std::string body;
    while (body.size() < size) body.push_back(static_cast<char>(random()));
    std::string value = "bytes=";
    std::map<std::uint64_t, char> wanted;
    const auto count = 1 + random() % http::max_ranges;
    for (std::size_t i = 0; i < count; ++i) {
      const auto range = random_range(random, size);
      value += (i == 0 ? "" : i % 2 == 0 ? " , " : ",") + range.text;
      for (auto at = range.first; at < range.behind; ++at) wanted.emplace(at, body[at]);
    }
    CAPTURE(value, size);
    const auto made = plan(value, size);
    const auto wire = sent(made, body);
    REQUIRE(made.length == wire.size());
    if (wanted.empty()) {
      REQUIRE(made.outcome == outcome::unsatisfiable);
      continue;
    }
    REQUIRE(made.outcome == outcome::partial);
    if (made.pieces.size() > 1) {
      REQUIRE(read_multipart(wire, size) == wanted);
    } else {
      REQUIRE(wire.size() == wanted.size());
      REQUIRE(wire == body.substr(wanted.begin()->first, wanted.size()));
    }
  }
}
