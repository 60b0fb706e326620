#include "http/rules.hpp"

#include "catch.hpp"

#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

using namespace icapgate;
using kind = http::outgoing_body::kind;

namespace {

// A head and the text it points into.
struct request {
  explicit request(std::string its_text) : text(std::move(its_text)) {
    REQUIRE(http::parse_request(text, head) == errc::complete);
  }
  std::string text;
  http::request_head head;
};

struct response {
  explicit response(std::string its_text, bool to_head = false) : text(std::move(its_text)) {
    REQUIRE(http::parse_response(text, to_head, head) == errc::complete);
  }
  std::string text;
  http::response_head head;
};

std::string origin_request(const std::string& text) {
  const request r(text);
  std::string wire;
  http::append_origin_request(wire, r.head);
  return wire;
}

std::string scanner_request(const std::string& text) {
  const request r(text);
  std::string wire;
  http::append_scanner_request(wire, r.head, true);
  return wire;
}

std::string scanner_response(const std::string& text) {
  const response r(text);
  std::string wire;
  http::append_scanner_response(wire, r.head);
  return wire;
}

std::string client_response(const std::string& text, const http::client_response& to = {}) {
  const response r(text);
  std::string wire;
  http::append_client_response(wire, r.head, to);
  return wire;
}

const std::string hop_by_hop_fields =
    "Connection: close, X-Gone ,, keep-alive\r\nKeep-Alive: timeout=5\r\nx-gone: 1\r\n"
    "Proxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: X-Sum\r\nUpgrade: h2c\r\n"
    "X-Stays: 1\r\nX-Gone: 2\r\n";

using pairs = std::vector<std::pair<std::string, std::string>>;

// All fields but those that end at a hop or are made anew.
pairs end_to_end(const http::message_head& head) {
  const http::hop_by_hop dropped(head);
  pairs found;
  for (const auto& f : head.fields) {
    const bool made = f.id == http::field_id::host || f.id == http::field_id::via;
    if (!made && !dropped.contains(f)) found.emplace_back(f.name, f.value);
  }
  return found;
}

}  // namespace

TEST_CASE("rules: the origin gets the request in origin form, with Via") {
  CHECK(origin_request("GET http://b/p?q HTTP/1.1\r\nA: 1\r\nhost: a\r\nB:2\r\na: 1\r\n\r\n") ==
        "GET /p?q HTTP/1.1\r\nHost: b\r\nA: 1\r\nB: 2\r\na: 1\r\nVia: 1.1 icapgate\r\n\r\n");
  CHECK(
      origin_request("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\nVia: 1.1 x\r\n\r\n") ==
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nVia: 1.1 x\r\nVia: 1.0 icapgate\r\n\r\n");
  CHECK(origin_request("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n") ==
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nVia: 1.1 icapgate\r\n\r\n");
  CHECK(origin_request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            .starts_with("OPTIONS * HTTP/1.1\r\n"));
  CHECK(origin_request("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n")
            .starts_with("OPTIONS * HTTP/1.1\r\nHost: b\r\n"));
}

TEST_CASE("rules: the scanner sees the request in absolute form, without framing") {
  CHECK(scanner_request(
            "GET /p?q HTTP/1.1\r\nHost: a:8\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n") ==
        "GET http://a:8/p?q HTTP/1.1\r\nHost: a:8\r\nX: y\r\n\r\n");
  CHECK(scanner_request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_CASE("rules: the scanner learns that there were credentials and not which") {
  const request r(
      "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic c2VjcmV0\r\nCookie: sid=secret\r\n\r\n");
  std::string kept;
  std::string replaced;
  http::append_scanner_request(kept, r.head, true);
  http::append_scanner_request(replaced, r.head, false);
  CHECK(kept.find("Basic c2VjcmV0") != std::string::npos);
  CHECK(replaced.find("c2VjcmV0") == std::string::npos);
  CHECK(replaced.find("secret") == std::string::npos);
  CHECK(replaced.find("Authorization: -\r\nCookie: -\r\n") != std::string::npos);
}

TEST_CASE("RFC 3507 row 22: the fields of proxies are not encapsulated, and pass all the same") {
  const std::string fields =
      "Proxy-Authenticate: Basic\r\nA: 1\r\nProxy-Authorization: Basic QTpi\r\n"
      "Proxy-Authenticate: Negotiate\r\n";
  CHECK(scanner_request("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n") ==
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n");
  CHECK(scanner_response("HTTP/1.1 200 OK\r\n" + fields + "\r\n") ==
        "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n");
  CHECK(client_response("HTTP/1.1 200 OK\r\n" + fields + "\r\n") ==
        "HTTP/1.1 200 OK\r\n" + fields + "\r\n");
}

TEST_CASE("rules: fields that end at this hop go to nobody") {
  CHECK(origin_request("GET / HTTP/1.1\r\nHost: a\r\n" + hop_by_hop_fields + "\r\n") ==
        "GET / HTTP/1.1\r\nHost: a\r\nX-Stays: 1\r\nVia: 1.1 icapgate\r\n\r\n");
  CHECK(scanner_request("GET / HTTP/1.1\r\nHost: a\r\n" + hop_by_hop_fields + "\r\n") ==
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nX-Stays: 1\r\n\r\n");
  const auto text = "HTTP/1.1 200 OK\r\n" + hop_by_hop_fields + "\r\n";
  CHECK(scanner_response(text) == "HTTP/1.1 200 OK\r\nX-Stays: 1\r\n\r\n");
  CHECK(client_response(text) == "HTTP/1.1 200 OK\r\nX-Stays: 1\r\n\r\n");
}

TEST_CASE("rules: every nominated field is dropped, in whatever order Connection names them") {
  CHECK(client_response("HTTP/1.1 200 OK\r\nConnection: z, B,y\r\nConnection: X ,a, c\r\n"
                        "A: 1\r\nb: 2\r\nC: 3\r\nx: 4\r\nY: 5\r\nZ: 6\r\nD: 7\r\nAB: 8\r\n\r\n") ==
        "HTTP/1.1 200 OK\r\nD: 7\r\nAB: 8\r\n\r\n");
}

TEST_CASE("rules: Connection can't take away what a message means or where it goes") {
  const std::string fields =
      "Content-Length: 5\r\ncontent-TYPE: a/b\r\nContent-Encoding: gzip\r\n"
      "Cache-Control: no-cache\r\nAuthorization: x\r\n";
  const std::string nominated =
      "Connection: Content-Length, host, CONTENT-TYPE\r\n"
      "Connection: content-encoding, Cache-Control, authorization\r\n";
  CHECK(origin_request("POST / HTTP/1.1\r\nHost: a\r\n" + nominated + fields + "\r\n") ==
        "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "Via: 1.1 icapgate\r\n\r\n");
  CHECK(client_response("HTTP/1.1 200 OK\r\n" + nominated + fields + "\r\n") ==
        "HTTP/1.1 200 OK\r\n" + fields + "\r\n");
}

TEST_CASE(
    "rules: thousands of nominations against thousands of fields cost no more than a glance") {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: b";
  for (int i = 0; i < 20000; ++i) text += ",c";
  text += "\r\n";
  for (int i = 0; i < 20000; ++i) text += "x:\r\n";
  const request r(text + "\r\n");
  const http::hop_by_hop dropped(r.head);
  const auto began = std::clock();
  CHECK(std::none_of(r.head.fields.begin() + 2, r.head.fields.end(),
                     [&](const auto& f) { return dropped.contains(f); }));
  // One comparison of every pair would take more than this even without a sanitizer.
  CHECK(std::clock() - began < CLOCKS_PER_SEC);
}

TEST_CASE("rules: the client's response has the length that its body will have") {
  const std::string length = "Content-Length: 7\r\n", field = "Set-Cookie: a\r\nset-cookie: b\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  const std::string ok = "HTTP/1.1 200 OK\r\n", end = "\r\n";
  struct row {
    std::string text;
    http::outgoing_body body;
    std::string expected;
  };
  const std::vector<row> rows{
      {ok + length + field + end, {kind::unchanged, 0}, ok + length + field + end},
      {ok + field + length + end, {kind::length, 12}, ok + field + "Content-Length: 12\r\n" + end},
      {ok + field + length + end, {kind::length, 0}, ok + field + "Content-Length: 0\r\n" + end},
      {ok + length + field + end, {kind::chunked, 0}, ok + field + chunked + end},
      {ok + length + field + end, {kind::until_close, 0}, ok + field + end},
      {ok + chunked + field + end, {kind::unchanged, 0}, ok + field + end},
      {ok + chunked + field + end, {kind::chunked, 0}, ok + field + chunked + end},
      {ok + field + end,
       {kind::length, UINT64_MAX},
       ok + field + "Content-Length: 18446744073709551615\r\n" + end},
      {ok + field + end, {kind::until_close, 0}, ok + field + end},
      {"HTTP/1.1 304 \r\n" + length + end,
       {kind::unchanged, 0},
       "HTTP/1.1 304 \r\n" + length + end},
  };
  for (const auto& r : rows) {
    CAPTURE(r.text, static_cast<int>(r.body.framing));
    http::client_response to;
    to.body = r.body;
    CHECK(client_response(r.text, to) == r.expected);
  }
}

TEST_CASE("rules: a 204 is never framed") {
  for (const auto framing : {kind::unchanged, kind::length, kind::chunked, kind::until_close}) {
    http::client_response to;
    to.body = {framing, 7};
    CHECK(client_response("HTTP/1.1 204 No\r\nContent-Length: 7\r\nA: b\r\n\r\n", to) ==
          "HTTP/1.1 204 No\r\nA: b\r\n\r\n");
  }
}

TEST_CASE("rules: the client is told what becomes of its connection") {
  const std::string bare = "HTTP/1.1 404 No\r\n\r\n", begin = "HTTP/1.1 404 No\r\n";
  http::client_response to;
  CHECK(client_response(bare, to) == bare);
  to.client_version = 10;
  CHECK(client_response(bare, to) == begin + "Connection: keep-alive\r\n\r\n");
  to.keep_alive = false;
  CHECK(client_response(bare, to) == begin + "Connection: close\r\n\r\n");
  to.client_version = 11;
  CHECK(client_response(bare, to) == begin + "Connection: close\r\n\r\n");
  CHECK(client_response("HTTP/1.0 200 x\r\n\r\n") == "HTTP/1.1 200 x\r\n\r\n");
}

TEST_CASE("rules: a block page is not stored, whatever the scanner said of it") {
  http::client_response to;
  to.no_store = true;
  CHECK(client_response(
            "HTTP/1.1 403 x\r\ncache-control: public\r\nA: b\r\nCache-Control: max-age=9\r\n\r\n",
            to) == "HTTP/1.1 403 x\r\nA: b\r\nCache-Control: no-store\r\n\r\n");
}

TEST_CASE("rules: a head that went through parses again and has the same end-to-end fields") {
  const std::string fields = "B: 1\r\n" + hop_by_hop_fields +
                             "b:\t 2\t \r\nEmpty:\r\nL: \xff\"\\\r\nColon: a: b\r\nC: 3\r\n";
  const request sent("PUT http://b:8/%0d%0a?x:y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" +
                     fields + "\r\n");
  std::string wire;
  http::append_origin_request(wire, sent.head);
  const request at_origin(wire);
  CHECK(end_to_end(at_origin.head) == end_to_end(sent.head));
  CHECK(at_origin.head.target == sent.head.origin_form);
  CHECK(at_origin.head.host == sent.head.host);
  CHECK(at_origin.head.content_length == 3);
  const request at_scanner(scanner_request(sent.text));
  CHECK(end_to_end(at_scanner.head) == end_to_end(sent.head));
  CHECK(at_scanner.head.host == sent.head.host);
  CHECK(at_scanner.head.origin_form == sent.head.origin_form);

  const response got("HTTP/1.1 299 Odd \xe9\r\nContent-Length: 3\r\n" + fields + "\r\n");
  for (const auto& text : {scanner_response(got.text), client_response(got.text)}) {
    const response again(text);
    CHECK(end_to_end(again.head) == end_to_end(got.head));
    CHECK(again.head.status == 299);
    CHECK(again.head.reason == got.head.reason);
    CHECK(again.head.content_length == 3);
  }
}

TEST_CASE("rules: no byte put anywhere into a head makes a line that was not there") {
  const std::string line = "GET /path HTTP/1.1\r\n", fields = "Host: a\r\nX-Field: value\r\n\r\n";
  for (std::size_t at = 0; at < (line + fields).size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      auto text = line + fields;
      text[at] = static_cast<char>(byte);
      http::request_head head;
      if (http::parse_request(text, head) != errc::complete || head.host.empty()) continue;
      std::string wire;
      http::append_origin_request(wire, head);
      http::request_head again;
      REQUIRE(http::parse_request(wire, again) == errc::complete);
      // Host comes first and Via last; nothing else is added.
      REQUIRE(again.fields.size() == head.fields.size() + 1);
      REQUIRE(std::count(wire.begin(), wire.end(), '\n') ==
              static_cast<std::ptrdiff_t>(again.fields.size()) + 2);
      REQUIRE(std::count(wire.begin(), wire.end(), '\r') ==
              std::count(wire.begin(), wire.end(), '\n'));
    }
  }
}
