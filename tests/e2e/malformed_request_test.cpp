// Requests that two recipients could read in two ways, or that nobody may send: refused, and
// nothing behind them is read.
#include "data/malformed_requests.hpp"

#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>

using namespace e2e;

namespace {

// What a successful attack would bring to the origin.
const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

const std::vector<malformed::request>& table() {
  static const auto all = malformed::all_requests();
  return all;
}

// As pieces of their own, so that the gateway may see the request split at every byte. Only what is
// long for the sake of a limit goes in larger ones.
void write_pieces(connection& to, std::string_view text) {
  const std::size_t size = text.size() > 3000 ? 61 : 1;
  for (; !text.empty(); text.remove_prefix(std::min(size, text.size())))
    to.write(text.substr(0, size));
}

// One response, whole, and the end of the connection behind it.
void check_refused(connection& wire, int status) {
  const auto got = wire.read_to_end();
  const auto end = got.find("\r\n\r\n");
  REQUIRE(end != std::string::npos);
  const auto head = parse_head(got.substr(0, end + 4));
  CHECK(head.first == "HTTP/1.1");
  CHECK(head.second == std::to_string(status));
  CHECK(value(head.fields, "Connection") == "close");
  CHECK(value(head.fields, "Content-Length") == std::to_string(got.size() - end - 4));
}

bool has_body(const malformed::request& one) {
  return one.text.find("Encoding: chunked\r\n\r\n") != std::string::npos;
}

// What was asked of the origin, if only in part, is the beginning of one well-formed request.
// `connections`: requests whose body may have shown its fault after the head had gone on.
void check_origin(const stage& on, std::ptrdiff_t connections = 0) {
  CHECK(on.origin.requests().empty());
  CHECK(on.origin.connections() <= connections);
}

}  // namespace

TEST_CASE(
    "malformed requests: each is refused, its connection closed, and the origin sees no request") {
  stage on;
  REQUIRE(table().size() >= 150);
  for (const auto& one : table()) {
    INFO(one.what);
    auto client = on.client();
    client.wire().write(one.text + smuggled);
    check_refused(client.wire(), one.status);
  }
  // A body that is larger than one read.
  check_origin(on, std::count_if(table().begin(), table().end(), [](const auto& one) {
                 return has_body(one) && one.text.size() > 3000;
               }));
}

TEST_CASE("malformed requests: each is refused byte by byte, too") {
  stage on;
  for (const auto& one : table()) {
    INFO(one.what);
    auto client = on.client();
    write_pieces(client.wire(), one.text + smuggled);
    check_refused(client.wire(), one.status);
  }
  check_origin(on, std::count_if(table().begin(), table().end(), has_body));
}

TEST_CASE("malformed requests: each is refused behind a good one on the same connection") {
  stage on;
  on.origin.when("/good", {.body = "good"});
  std::size_t asked = 0;
  for (const auto& one : table()) {
    INFO(one.what);
    auto client = on.client();
    client.wire().write("GET /good HTTP/1.1\r\nHost: a\r\n\r\n" + one.text + smuggled);
    CHECK(client.receive().body == "good");
    check_refused(client.wire(), one.status);
    CHECK(on.origin.requests().size() == ++asked);
  }
  for (const auto& request : on.origin.requests()) CHECK(request.target == "/good");
}

TEST_CASE("malformed requests: an unfinished head with a bare line end is refused without a wait") {
  stage on;
  for (const std::string text :
       {"GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\n", "GET / HTTP/1.1\r\nHost: a\rX", "\n",
        "GET /\r\r", "GET / HTTP/1.1\r\nHost: a\r\n\n"}) {
    CAPTURE(text);
    auto client = on.client();
    client.wire().write(text);
    check_refused(client.wire(), 400);
  }
  check_origin(on);
}

TEST_CASE("malformed requests: what is odd and valid reaches the origin as one request") {
  struct row {
    std::string text, body;
  };
  const std::string host = "Host: a\r\n", coded = "Transfer-Encoding: chunked\r\n\r\n";
  const std::vector<row> rows{
      {"\r\n\r\nGET /odd HTTP/1.1\r\n" + host + "\r\n", ""},
      {"GET /odd HTTP/1.0\r\n\r\n", ""},
      {"GET /odd HTTP/1.0\r\nHost:\r\n\r\n", ""},
      {"GET http://A/odd HTTP/1.1\r\nHost: a:80\r\n\r\n", ""},
      {"get /odd HTTP/1.1\r\n" + host + "\r\n", ""},
      {"X-!#$%&'*+.^_`|~ /odd HTTP/1.1\r\n" + host + "\r\n", ""},
      {"GET /odd HTTP/1.1\r\nhOST:a\r\nX:\xff\r\nX: \t a \t \r\nEmpty:\r\n\r\n", ""},
      {"GET /odd HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", "hello"},
      {"POST /odd HTTP/1.1\r\n" + host + "Content-Length: 0005 \r\n\r\nhello", "hello"},
      {"POST /odd HTTP/1.1\r\n" + host +
           "Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello",
       "hello"},
      {"POST /odd HTTP/1.1\r\n" + host + "Connection: Transfer-Encoding, Host\r\n" + coded +
           "5\r\nhello\r\n0\r\n\r\n",
       "hello"},
      {"POST /odd HTTP/1.1\r\n" + host + coded + "00005 ; a = \"b\" ;c\r\nhello\r\n000;x\r\n\r\n",
       "hello"},
      {"POST /odd HTTP/1.1\r\n" + host + coded + "5\r\n0\r\n\r\n\r\n0\r\nHost: b\r\n\r\n",
       "0\r\n\r\n"},
      {"POST /odd HTTP/1.1\r\n" + host + "Upgrade: h2c\r\nContent-Length: 5\r\n\r\nhello", "hello"},
  };
  stage on;
  std::size_t asked = 0;
  on.origin.when("/odd", {.body = "one answer"});
  for (const auto& r : rows) {
    for (const bool split : {false, true}) {
      CAPTURE(r.text, split);
      auto client = on.client();
      split ? write_pieces(client.wire(), r.text) : client.wire().write(r.text);
      CHECK(client.receive().body == "one answer");
      CHECK(on.origin.requests().size() == ++asked);
      const auto seen = on.origin.request("/odd");
      CHECK(seen.head.third == "HTTP/1.1");
      CHECK(values(seen.head.fields, "Host").size() == 1);
      CHECK_FALSE(
          (has(seen.head.fields, "Content-Length") && has(seen.head.fields, "Transfer-Encoding")));
      CHECK(seen.body == r.body);
    }
  }
}

TEST_CASE("malformed requests: Max-Forwards 0 is answered here, and a higher one is counted down") {
  stage on;
  on.origin.when("*", {.body = "the origin's"});
  auto client = on.client();
  const auto here = client.request("OPTIONS", "*", {{"Max-Forwards", "0"}});
  CHECK(here.status == 200);
  CHECK(here.body.empty());
  CHECK(on.origin.connections() == 0);
  CHECK(client.request("OPTIONS", "*", {{"Max-Forwards", "7"}}).body == "the origin's");
  CHECK(value(on.origin.request("*").head.fields, "Max-Forwards") == "6");
}
