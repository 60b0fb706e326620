#include "http/head.hpp"

#include "catch.hpp"

#include <string>
#include <utility>
#include <vector>

using namespace icapgate;
using namespace std::string_literals;
using http::body_framing;

namespace {

std::string request(const std::string& fields, const std::string& line = "GET / HTTP/1.1") {
  return line + "\r\n" + fields + "\r\n";
}

errc parse_request(const std::string& text) {
  http::request_head head;
  return http::parse_request(text, head);
}

bool is_refused_by(errc reason, const std::string& fields,
                   const std::string& line = "POST / HTTP/1.1") {
  return parse_request(request("Host: a\r\n" + fields, line)) == reason;
}

bool is_refused(const std::string& fields, const std::string& line = "POST / HTTP/1.1") {
  return parse_request(request("Host: a\r\n" + fields, line)) == errc::client_head_invalid;
}

errc parse_response(const std::string& text, bool to_head = false) {
  http::response_head head;
  return http::parse_response(text, to_head, head);
}

bool keeps_request_open(const std::string& version, const std::string& fields) {
  const auto text = request("Host: a\r\n" + fields, "GET / HTTP/" + version);
  http::request_head head;
  REQUIRE(http::parse_request(text, head) == errc::complete);
  return head.keep_alive;
}

// Values with which Content-Length and Transfer-Encoding are refused in both directions.
const std::vector<std::string> ambiguous_framings{
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length: -0\r\n",
    "Content-Length: 5 5\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: 5,\r\n",
    "Content-Length: ,5\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: 5a\r\n",
    "Content-Length: 5.0\r\n",
    "Content-Length: \"5\"\r\n",
    "Content-Length:\r\n",
    "Content-Length: \t\r\n",
    "Content-Length: 9223372036854775808\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Content-Length: 18446744073709551621\r\n",
    "Content-Length: 99999999999999999999999999\r\n",
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding: identity\r\n",
    "Content-Length: 00000000000000000005\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: gzip, , chunked\r\n",
    "Transfer-Encoding: chunked, gzip, chunked\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: chunked;q=1\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: ,chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: \x0b"
    "chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Content-Length:\r\n\t5\r\n",
};

// Field sections that are not the grammar of RFC 9112 5.
const std::vector<std::string> broken_fields{
    "X: a\r\n b\r\n",  // folded
    "X: a\r\n\tb\r\n", "X:\r\n b\r\n", "X:\r\n \r\n",    "X: a\r\n \r\n", "X : a\r\n",
    "X\t: a\r\n",      " X: a\r\n",    "\tX: a\r\n",     ": a\r\n",       "X\r\n",
    "X a\r\n",         "X\0: a\r\n"s,  "X: a\0b\r\n"s,   "X\x01: a\r\n",  "X: a\x01\r\n",
    "X: a\x7f\r\n",    "X\x7f: a\r\n", "X\x80: a\r\n",   "X\": a\r\n",    "X(: a\r\n",
    "X/: a\r\n",       "X: a\rb\r\n",  "X: a\nY: b\r\n", "X: a\r\r\n",    "X: a\n\r\n",
    "X: a\x0b\r\n",    "X\r: a\r\n",   "X\n: a\r\n",     "X: a\r\nY\r\n", "\nX: a\r\n",
    "\rX: a\r\n",      "X: a\r\nY:\n", "X: a\r\n\r\nb",
};

}  // namespace

TEST_CASE("request head: order, duplicates, case and unknown fields are kept") {
  const auto text = request(
      "hOsT: a\r\nB: 2\r\nX-Unknown:  a  b \t\r\nb: 1\r\nCookie: x\r\nB: 2\r\nEmpty:\r\n"
      "Latin: \xe9\tx\r\n");
  http::request_head head;
  REQUIRE(http::parse_request(text, head) == errc::complete);
  const std::vector<std::pair<std::string_view, std::string_view>> expected{
      {"hOsT", "a"},   {"B", "2"}, {"X-Unknown", "a  b"}, {"b", "1"},
      {"Cookie", "x"}, {"B", "2"}, {"Empty", ""},         {"Latin", "\xe9\tx"}};
  REQUIRE(head.fields.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(head.fields[i].name == expected[i].first);
    CHECK(head.fields[i].value == expected[i].second);
  }
  CHECK(head.find(http::field_id::host) == &head.fields[0]);
  CHECK(head.find(http::field_id::etag) == nullptr);
}

TEST_CASE("request head: a second head into the same object leaves nothing of the first") {
  http::request_head head;
  const auto first = request("Host: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n");
  const auto second = request("", "OPTIONS * HTTP/1.0");
  REQUIRE(http::parse_request(first, head) == errc::complete);
  CHECK(head.expects_continue);
  REQUIRE(http::parse_request(second, head) == errc::complete);
  CHECK(head.fields.empty());
  CHECK(head.host.empty());
  CHECK(head.version == 10);
  CHECK(head.content_length == 0);
  CHECK(head.framing == body_framing::none);
  CHECK_FALSE(head.expects_continue);
}

TEST_CASE("request head: the framing is what the fields say, and nothing otherwise") {
  struct row {
    std::string method, fields;
    body_framing framing;
    std::uint64_t length;
  };
  const std::vector<row> rows{
      {"GET", "", body_framing::none, 0},
      {"POST", "", body_framing::none, 0},
      {"POST", "Content-Length: 0\r\n", body_framing::none, 0},
      {"POST", "content-LENGTH:\t7 \r\n", body_framing::length, 7},
      {"GET", "Content-Length: 007\r\n", body_framing::length, 7},
      {"HEAD", "Content-Length: 7\r\n", body_framing::length, 7},
      {"PUT", "Content-Length: 9223372036854775807\r\n", body_framing::length, INT64_MAX},
      {"PUT", "Transfer-Encoding: chunked\r\n", body_framing::chunked, 0},
      {"GET", "transfer-encoding: CHUNKED\r\n", body_framing::chunked, 0},
  };
  for (const auto& r : rows) {
    CAPTURE(r.method, r.fields);
    http::request_head head;
    const auto text = request("Host: a\r\n" + r.fields, r.method + " / HTTP/1.1");
    REQUIRE(http::parse_request(text, head) == errc::complete);
    CHECK(head.framing == r.framing);
    CHECK(head.content_length == r.length);
  }
}

TEST_CASE("response head: the framing follows RFC 9112 6.3") {
  struct row {
    unsigned status;
    bool to_head;
    std::string fields;
    body_framing framing;
  };
  const std::string length = "Content-Length: 7\r\n", chunked = "Transfer-Encoding: chunked\r\n";
  const std::vector<row> rows{
      {200, false, "", body_framing::until_close},
      {200, false, length, body_framing::length},
      {200, false, chunked, body_framing::chunked},
      {200, false, "Content-Length: 0\r\n", body_framing::none},
      {404, false, length, body_framing::length},
      {206, false, length, body_framing::length},
      {205, false, "", body_framing::until_close},
      {200, true, length, body_framing::none},
      {200, true, chunked, body_framing::none},
      {200, true, "", body_framing::none},
      {100, false, "", body_framing::none},
      {101, false, length, body_framing::none},
      {103, false, chunked, body_framing::none},
      {199, false, "", body_framing::none},
      {204, false, length, body_framing::none},
      {204, false, chunked, body_framing::none},
      {304, false, length, body_framing::none},
      {304, false, "", body_framing::none},
  };
  for (const auto& r : rows) {
    CAPTURE(r.status, r.to_head, r.fields);
    http::response_head head;
    const auto text = "HTTP/1.1 " + std::to_string(r.status) + " x\r\n" + r.fields + "\r\n";
    REQUIRE(http::parse_response(text, r.to_head, head) == errc::complete);
    CHECK(head.status == r.status);
    CHECK(head.framing == r.framing);
    CHECK(head.is_interim() == (r.status < 200));
    CHECK(head.keep_alive == (r.framing != body_framing::until_close));
  }
}

TEST_CASE("heads: ambiguous framing is refused in both directions") {
  for (const auto& fields : ambiguous_framings) {
    CAPTURE(fields);
    CHECK(is_refused(fields));
    for (const bool to_head : {false, true})
      for (const std::string status : {"200", "204", "304"})
        CHECK(parse_response("HTTP/1.1 " + status + " OK\r\n" + fields + "\r\n", to_head) ==
              errc::origin_head_invalid);
  }
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  CHECK(is_refused(chunked, "POST / HTTP/1.0"));
  CHECK(parse_response("HTTP/1.0 200 OK\r\n" + chunked + "\r\n") == errc::origin_head_invalid);
}

TEST_CASE("heads: a coding before chunked is told apart from an ambiguous one") {
  for (const std::string list : {"gzip, chunked", "gzip,chunked", "a, b ,CHUNKED"}) {
    CAPTURE(list);
    const auto fields = "Transfer-Encoding: " + list + "\r\n";
    CHECK(is_refused_by(errc::client_coding_unsupported, fields));
    CHECK(is_refused(fields, "POST / HTTP/1.0"));
    CHECK(is_refused(fields + "Content-Length: 5\r\n"));
    CHECK(parse_response("HTTP/1.1 200 OK\r\n" + fields + "\r\n") == errc::origin_head_invalid);
  }
}

TEST_CASE("request head: a framing field in disguise is refused") {
  for (const std::string name : {"Content_Length", "content_length", "Transfer_Encoding"})
    CHECK(is_refused(name + ": 5\r\n"));
  for (const std::string name : {"Content_Type", "Content_Length_", "Content__Length", "X_Y"})
    CHECK_FALSE(is_refused(name + ": 5\r\n"));
}

TEST_CASE("request head: CONNECT and TRACE are refused, whatever their target") {
  for (const std::string line : {"CONNECT a:443 HTTP/1.1", "CONNECT / HTTP/1.1", "TRACE / HTTP/1.1",
                                 "TRACE * HTTP/1.1", "CONNECT a:443 HTTP/1.0"})
    CHECK(is_refused_by(errc::client_method_refused, "", line));
  CHECK_FALSE(is_refused("", "connect / HTTP/1.1"));
}

TEST_CASE("request head: nobody goes on in HTTP/2") {
  const std::string option = "Connection: keep-alive, Upgrade\r\n";
  for (const std::string name : {"h2c", "H2C", "h2", "websocket, h2c", "HTTP/2.0", "HTTP/3"})
    CHECK(is_refused_by(errc::policy_upgrade_refused, option + "Upgrade: " + name + "\r\n"));
  CHECK(is_refused_by(errc::policy_upgrade_refused,
                      option + "Upgrade: websocket\r\nUpgrade: h2c\r\n"));
  // RFC 9110 7.8: without its option the field is not for this hop.
  CHECK(is_refused_by(errc::complete, "Upgrade: h2c\r\n"));
  CHECK(is_refused_by(errc::complete, option + "Upgrade: websocket\r\n"));
}

TEST_CASE(
    "request head: an absolute target and its Host name the same, or the request is refused") {
  const auto head = [](const std::string& target, const std::string& host) {
    return parse_request(request("Host: " + host + "\r\n", "GET http://" + target + " HTTP/1.1"));
  };
  for (const auto& [target, host] :
       std::vector<std::pair<std::string, std::string>>{{"a/", "a"},
                                                        {"A.b/", "a.B"},
                                                        {"a:80/", "a"},
                                                        {"a/", "a:80"},
                                                        {"a:/", "a"},
                                                        {"a:081/", "a:81"},
                                                        {"[::1]:8/", "[::1]:8"}})
    CHECK(head(target, host) == errc::complete);
  for (const auto& [target, host] :
       std::vector<std::pair<std::string, std::string>>{{"a/", "b"},
                                                        {"a:81/", "a"},
                                                        {"a/", "a:81"},
                                                        {"a/", "a."},
                                                        {"[::1]/", "[::2]"},
                                                        {"a/", "a.b"},
                                                        {"a:443/", "a"}})
    CHECK(head(target, host) == errc::client_head_invalid);
  CHECK(parse_request(request("", "GET http://a/ HTTP/1.0")) == errc::complete);
}

TEST_CASE("request head: Max-Forwards counts for OPTIONS alone") {
  const auto forwards = [](const std::string& fields, const std::string& line) {
    http::request_head head;
    const auto text = request("Host: a\r\n" + fields, line);
    REQUIRE(http::parse_request(text, head) == errc::complete);
    return head.max_forwards;
  };
  const std::string options = "OPTIONS / HTTP/1.1";
  CHECK(forwards("Max-Forwards: 0\r\n", options) == 0u);
  CHECK(forwards("Max-Forwards: 12\r\n", options) == 12u);
  CHECK(forwards("Max-Forwards: 99999999999999999999999\r\n", options) == UINT32_MAX);
  CHECK_FALSE(forwards("", options));
  CHECK_FALSE(forwards("Max-Forwards: x\r\n", "GET / HTTP/1.1"));
  for (const std::string value : {"", "-1", "+1", "1 2", "0x1", "1, 1"})
    CHECK(is_refused("Max-Forwards: " + value + "\r\n", options));
  CHECK(is_refused("Max-Forwards: 1\r\nMax-Forwards: 1\r\n", options));
}

TEST_CASE("heads: what is not the grammar of a field section is refused in both directions") {
  for (const auto& fields : broken_fields) {
    CAPTURE(fields);
    CHECK(is_refused(fields));
    CHECK(parse_response("HTTP/1.1 200 OK\r\n" + fields + "\r\n") == errc::origin_head_invalid);
  }
}

TEST_CASE("heads: no head that lacks its end or has bytes behind it is taken") {
  const auto whole = request("Host: a\r\nX: y\r\n");
  REQUIRE(parse_request(whole) == errc::complete);
  for (std::size_t n = 0; n < whole.size(); ++n)
    CHECK(parse_request(whole.substr(0, n)) == errc::client_head_invalid);
  CHECK(parse_request(whole + "x") == errc::client_head_invalid);
  CHECK(parse_request(whole + "\r\n") == errc::client_head_invalid);
  CHECK(parse_request("\r\n" + whole) == errc::client_head_invalid);
  const std::string response = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n";
  REQUIRE(parse_response(response) == errc::complete);
  for (std::size_t n = 0; n < response.size(); ++n)
    CHECK(parse_response(response.substr(0, n)) == errc::origin_head_invalid);
  CHECK(parse_response(response + "x") == errc::origin_head_invalid);
}

TEST_CASE("request head: exactly one valid Host, which version 1.0 may leave out") {
  for (const std::string host :
       {"",     " ",    "a b",    "a/b",    "u@a",         "a:b",      "a:80:80", ":80",
        "[::1", "[]",   "[::1]x", "::1",    "[g::1]x",     "a\"b",     "<a>",     "a?b",
        "a#b",  "a\\b", "\xe9",   "a:8\t0", "a:65536",     "a:000080", "%",       "%4",
        "%4g",  "[1]",  "[::1",   "[v1.a]", "[::1%25eth0]"}) {
    CAPTURE(host);
    CHECK(parse_request(request("Host: " + host + "\r\n")) == errc::client_head_invalid);
    // RFC 9112 3.2: an absolute target makes a Host field neither valid nor needless.
    CHECK(parse_request(request("Host: " + host + "\r\n", "GET http://a/ HTTP/1.1")) ==
          errc::client_head_invalid);
  }
  CHECK(parse_request(request("")) == errc::client_head_invalid);
  CHECK(parse_request(request("", "GET http://a/ HTTP/1.1")) == errc::client_head_invalid);
  CHECK(is_refused("Host: a\r\n"));
  CHECK(is_refused("HOST: b\r\n", "GET / HTTP/1.0"));
  for (const std::string host : {"a", "a.example", "a:80", "a:", "127.0.0.1:8080", "[::1]",
                                 "[::1]:80", "a_b.c~d", "%41", "a:65535", "[::ffff:1.2.3.4]"}) {
    CAPTURE(host);
    http::request_head head;
    const auto text = request("Host: " + host + "\r\n");
    REQUIRE(http::parse_request(text, head) == errc::complete);
    CHECK(head.host == host);
  }
  CHECK(parse_request(request("", "GET / HTTP/1.0")) == errc::complete);
  CHECK(parse_request(request("Host:\r\n", "GET / HTTP/1.0")) == errc::complete);
}

TEST_CASE("request head: origin form, absolute form and the asterisk are split") {
  struct row {
    std::string line, origin_form, host;  // whose Host field is the same
  };
  const std::vector<row> rows{
      {"GET / HTTP/1.1", "/", "h"},
      {"GET /a?b=c&d HTTP/1.1", "/a?b=c&d", "h"},
      {"GET //x/y HTTP/1.1", "//x/y", "h"},
      {"GET /{|}\"<>^`\xc3\xa9 HTTP/1.1", "/{|}\"<>^`\xc3\xa9", "h"},
      {"OPTIONS * HTTP/1.1", "*", "h"},
      {"GET http://b:81/c?d HTTP/1.1", "/c?d", "b:81"},
      {"GET HTTP://b HTTP/1.1", "/", "b"},
      {"OPTIONS http://b HTTP/1.1", "*", "b"},
      {"OPTIONS http://b/ HTTP/1.1", "/", "b"},
      {"GET http://[::1]:81/ HTTP/1.1", "/", "[::1]:81"},
      {"GET http://b/http://c/ HTTP/1.1", "/http://c/", "b"},
  };
  for (const auto& r : rows) {
    CAPTURE(r.line);
    http::request_head head;
    const auto text = request("Host: " + r.host + "\r\n", r.line);
    REQUIRE(http::parse_request(text, head) == errc::complete);
    CHECK(head.origin_form == r.origin_form);
    CHECK(head.host == r.host);
  }
}

TEST_CASE("request head: request lines that mean nothing here, or two things, are refused") {
  for (const std::string line : {"GET * HTTP/1.1",
                                 "GET a HTTP/1.1",
                                 "GET a:80 HTTP/1.1",
                                 "GET https://a/ HTTP/1.1",
                                 "GET ftp://a/ HTTP/1.1",
                                 "GET http:// HTTP/1.1",
                                 "GET http:///x HTTP/1.1",
                                 "GET http:///x HTTP/1.0",
                                 "GET http://u@a/ HTTP/1.1",
                                 "GET http://a:b/ HTTP/1.1",
                                 "GET http://a?b HTTP/1.1",
                                 "GET http:/a HTTP/1.1",
                                 "GET /#f HTTP/1.1",
                                 "GET http://a#/ HTTP/1.1",
                                 "GET /a b HTTP/1.1",
                                 "GET  / HTTP/1.1",
                                 "GET /  HTTP/1.1",
                                 "GET / HTTP/1.1 ",
                                 "GET /\tx HTTP/1.1",
                                 "GET /\x01 HTTP/1.1",
                                 "GET /\x7f HTTP/1.1",
                                 "GET\t/ HTTP/1.1",
                                 " GET / HTTP/1.1",
                                 "GET /",
                                 "GET",
                                 "",
                                 "GET / HTTP/1.1\rX",
                                 "GET / http/1.1",
                                 "GET / HTTP/1.1x",
                                 "GET / HTTP/1,1",
                                 "GET / HTTP/11",
                                 "GET / HTTP/x.1",
                                 "GET / HTTPS/1.1",
                                 "G(T / HTTP/1.1",
                                 "G\xc9T / HTTP/1.1",
                                 "\"GET\" / HTTP/1.1"}) {
    CAPTURE(line);
    CHECK(is_refused("", line));
  }
  CHECK(is_refused("", "GET /\0 HTTP/1.1"s));
  CHECK(is_refused("", "GET /\n HTTP/1.1"));
}

TEST_CASE("request head: another version is told apart from a broken line") {
  for (const std::string version : {"2.0", "3.0", "0.9", "1.2", "9.9"})
    CHECK(parse_request(request("Host: a\r\n", "GET / HTTP/" + version)) ==
          errc::client_version_unsupported);
}

TEST_CASE("response head: status lines that are not HTTP/1 are refused") {
  for (const std::string line :
       {"HTTP/1.1 200", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 x", "HTTP/1.1 000 x",
        "HTTP/1.1  200 OK", "HTTP/1.1 +20 OK", "HTTP/1.1 2x0 OK", "HTTP/2.0 200 OK", "ICY 200 OK",
        "HTTP/1.2 200 OK", "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\nK",
        "HTTP/1.1 200 O\x7fK", "http/1.1 200 OK", ""}) {
    CAPTURE(line);
    CHECK(parse_response(line + "\r\n\r\n") == errc::origin_head_invalid);
  }
  CHECK(parse_response("HTTP/1.1 200 O\0K\r\n\r\n"s) == errc::origin_head_invalid);
  http::response_head head;
  REQUIRE(http::parse_response("HTTP/1.0 999 n\xc3\xb6 \t!\r\n\r\n", false, head) ==
          errc::complete);
  CHECK(head.status == 999);
  CHECK(head.reason == "n\xc3\xb6 \t!");
  REQUIRE(http::parse_response("HTTP/1.1 200 \r\n\r\n", false, head) == errc::complete);
  CHECK(head.reason.empty());
}

TEST_CASE("heads: version 1.1 keeps the connection unless told, version 1.0 only when told") {
  CHECK(keeps_request_open("1.1", ""));
  CHECK(keeps_request_open("1.1", "Connection: x\r\n"));
  CHECK(keeps_request_open("1.1", "Connection: keep-alive\r\n"));
  CHECK_FALSE(keeps_request_open("1.1", "Connection: close\r\n"));
  CHECK_FALSE(keeps_request_open("1.1", "Connection: keep-alive, , CLOSE\r\n"));
  CHECK_FALSE(keeps_request_open("1.1", "Connection: x\r\nConnection: Close\r\n"));
  CHECK(keeps_request_open("1.1", "Connection: closed\r\n"));
  CHECK_FALSE(keeps_request_open("1.0", ""));
  CHECK_FALSE(keeps_request_open("1.0", "Connection: x\r\n"));
  CHECK(keeps_request_open("1.0", "Connection: x, Keep-Alive\r\n"));
  CHECK_FALSE(keeps_request_open("1.0", "Connection: keep-alive\r\nConnection: close\r\n"));
  CHECK_FALSE(keeps_request_open("1.0", "Connection: close\r\nConnection: keep-alive\r\n"));
  http::response_head head;
  REQUIRE(http::parse_response("HTTP/1.0 204 x\r\n\r\n", false, head) == errc::complete);
  CHECK_FALSE(head.keep_alive);
}

TEST_CASE("request head: 100-continue is expected by version 1.1 only") {
  http::request_head head;
  for (const auto& [line, value, expected] :
       std::vector<std::tuple<std::string, std::string, bool>>{
           {"POST / HTTP/1.1", "100-Continue", true},
           {"POST / HTTP/1.1", "100-continue, 100-continue", true},
           {"POST / HTTP/1.0", "100-continue", false}}) {
    const auto text = request("Host: a\r\nExpect: " + value + "\r\n", line);
    REQUIRE(http::parse_request(text, head) == errc::complete);
    CHECK(head.expects_continue == expected);
  }
  for (const std::string value :
       {"200-ok", "100-continue, x", "x, 100-continue", "100-continue;q=1"})
    CHECK(is_refused_by(errc::client_expectation_unsupported, "Expect: " + value + "\r\n"));
  CHECK(
      is_refused_by(errc::client_expectation_unsupported, "Expect: 100-continue\r\nExpect: x\r\n"));
}

TEST_CASE("request head: only methods that may be repeated are idempotent") {
  for (const auto& [method, idempotent] :
       std::vector<std::pair<std::string, bool>>{{"GET", true},
                                                 {"HEAD", true},
                                                 {"PUT", true},
                                                 {"DELETE", true},
                                                 {"OPTIONS", true},
                                                 {"POST", false},
                                                 {"PATCH", false},
                                                 {"get", false},
                                                 {"X", false}}) {
    CAPTURE(method);
    http::request_head head;
    const auto text = request("Host: a\r\n", method + " / HTTP/1.1");
    REQUIRE(http::parse_request(text, head) == errc::complete);
    CHECK(head.is_idempotent() == idempotent);
    CHECK(head.is_head() == (method == "HEAD"));
  }
}

TEST_CASE("request head: over TLS an absolute target is an https:// one, and no port is 443") {
  const auto read = [](const std::string& target, const std::string& host) {
    const auto text = request("Host: " + host + "\r\n", "GET " + target + " HTTP/1.1");
    http::request_head head;
    return http::parse_request(text, head, true);
  };
  CHECK(read("/x", "a") == errc::complete);
  CHECK(read("https://a/x", "a") == errc::complete);
  CHECK(read("HTTPS://a:443/x", "A") == errc::complete);
  CHECK(read("https://a/x", "a:443") == errc::complete);
  CHECK(read("https://a/x", "a:80") == errc::client_head_invalid);
  CHECK(read("https://a:80/x", "a") == errc::client_head_invalid);
  CHECK(read("http://a/x", "a") == errc::client_head_invalid);
  CHECK(read("https:///x", "a") == errc::client_head_invalid);
}
