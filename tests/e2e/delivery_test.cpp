// What a client gets of a response that the scanner let pass, and what each side gets to see.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>
#include <cctype>

using namespace e2e;

namespace {

std::string form_name(framing form) {
  return form == framing::length ? "length" : form == framing::chunked ? "chunked" : "close";
}

// Plays one body through the gate, which must deliver it unchanged and show all of it to the
// scanner.
void check_delivery(stage& on, const std::string& target, const response_text& text) {
  INFO(target);
  on.origin.when(target, text);
  auto client = on.client();
  const auto got = client.get(target);
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(difference(got.body, text.body) == "");
  const auto seen = on.scanner.scan_of(target);
  CHECK(seen.whole);
  CHECK(difference(seen.body, text.body) == "");
}

void check_sizes(const std::vector<std::size_t>& sizes) {
  stage on;
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    for (const auto size : sizes) {
      check_delivery(on, "/" + form_name(form) + "/" + std::to_string(size),
                     {.body = noise(size), .form = form});
    }
  }
}

}  // namespace

TEST_CASE("delivery: a 204 passes the origin's response on byte for byte") {
  stage on;
  const field_list fields = {{"Date", "Sun, 06 Nov 1994 08:49:37 GMT"},
                             {"Set-Cookie", "a=1; Path=/"},
                             {"ETag", "W/\"abc-123\""},
                             {"X-Unknown-Thing", "  spaced , and \"quoted\""},
                             {"Set-Cookie", "b=2; HttpOnly"},
                             {"cache-CONTROL", "private, max-age=60"},
                             {"Content-Type", "text/plain; charset=utf-8"},
                             {"Vary", "Accept-Encoding"},
                             {"Set-Cookie", "c=3"},
                             {"Vary", "Cookie"},
                             {"Server", "an origin/1.0"},
                             {"Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"},
                             {"X-Empty", ""}};
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    const auto target = "/" + form_name(form);
    INFO(target);
    on.origin.when(target, {.fields = fields, .body = "the body\n", .form = form});
    const auto got = on.get(target);
    CHECK(got.status == 200);
    CHECK(got.head.third == "OK");
    auto expected = fields;
    expected[3].value = "spaced , and \"quoted\"";
    CHECK(lines(end_to_end(got.fields())) == lines(expected));
    CHECK(got.body == "the body\n");
    CHECK(got.whole());
  }
}

TEST_CASE("delivery: small bodies of every framing arrive and are scanned whole") {
  check_sizes({1, 2, 1000, 1024, 16384});
}

TEST_CASE("delivery: bodies around 64 KiB and of 1 MB arrive and are scanned whole") {
  check_sizes({65535, 65536, 65537, 1'000'000, 1 << 20, (1 << 20) + 1});
}

TEST_CASE("delivery: bodies of 20 MB arrive and are scanned whole") {
  check_sizes({20'000'000});
}

TEST_CASE("delivery: a body beyond the memory limit comes back from the spool file unchanged") {
  stage on({.env = {{setting::spool_memory, "64KiB"}}});
  check_delivery(on, "/spooled", {.body = noise(3'000'001), .form = framing::length});
  check_delivery(on, "/spooled-chunks", {.body = noise(3'000'001), .form = framing::chunked});
}

TEST_CASE("delivery: an empty body of unknown length is delivered empty") {
  stage on;
  for (const auto form : {framing::chunked, framing::close}) {
    const auto target = "/" + form_name(form);
    INFO(target);
    on.origin.when(target, {.fields = {{"ETag", "\"0\""}}, .form = form});
    auto client = on.client();
    const auto got = client.get(target);
    CHECK(got.status == 200);
    CHECK(got.whole());
    CHECK(got.body == "");
    CHECK(value(got.fields(), "ETag") == "\"0\"");
  }
}

TEST_CASE("delivery: a chunk per byte is as good as one for all") {
  stage on;
  check_delivery(on, "/fine",
                 {.body = noise(5000), .form = framing::chunked, .chunks = {.size = 1}});
}

TEST_CASE("delivery: a response without a body is not shown to the scanner") {
  stage on;
  on.origin.when("/page", {.fields = {{"ETag", "\"1\""}}, .body = "a page"});
  on.origin.when("/none", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 204 No Content\r\nETag: \"2\"\r\n\r\n");
  });
  on.origin.when("/same", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 304 Not Modified\r\nETag: \"3\"\r\nContent-Length: 500\r\n\r\n");
  });
  on.origin.when("/empty", {.fields = {{"ETag", "\"4\""}}});

  auto client = on.client();
  const auto head = client.request("HEAD", "/page");
  CHECK(head.status == 200);
  CHECK(value(head.fields(), "ETag") == "\"1\"");
  CHECK(value(head.fields(), "Content-Length") == "6");
  const auto none = client.get("/none");
  CHECK(none.status == 204);
  CHECK(value(none.fields(), "ETag") == "\"2\"");
  CHECK_FALSE(has(none.fields(), "Content-Length"));
  const auto same = client.get("/same");
  CHECK(same.status == 304);
  CHECK(value(same.fields(), "ETag") == "\"3\"");
  const auto empty = client.get("/empty");
  CHECK(empty.status == 200);
  CHECK(value(empty.fields(), "ETag") == "\"4\"");
  CHECK(value(empty.fields(), "Content-Length") == "0");

  CHECK(on.scanner.scans().empty());
  CHECK(on.icapgate.lines(4).size() == 4);
}

TEST_CASE("delivery: every status with a body is scanned") {
  stage on;
  auto client = on.client();
  for (const std::string status :
       {"200 OK", "201 Created", "203 Non-Authoritative", "301 Moved", "400 Bad Request",
        "401 Unauthorized", "404 Not Found", "416 Range Not Satisfiable", "418 I'm a teapot",
        "500 Oh No", "503 Away", "599 Unheard Of"}) {
    const auto target = "/" + status.substr(0, 3);
    INFO(status);
    on.origin.when(target, {.status = status, .body = "page of " + status});
    const auto got = client.get(target);
    CHECK(std::to_string(got.status) == status.substr(0, 3));
    CHECK(got.head.third == status.substr(4));
    CHECK(got.body == "page of " + status);
    CHECK(on.scanner.scan_of(target).body == got.body);
  }
}

TEST_CASE("delivery: a 200 without a detection delivers the scanner's version") {
  stage on;
  on.origin.when(
      "/doc", {.fields = {{"ETag", "\"origin\""}, {"Set-Cookie", "a=1"}}, .body = noise(30'000)});
  const auto body = noise(50'000, 2);
  on.scanner.always(
      adapted("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Cleaned: yes\r\n"
              "Content-Length: 50000\r\n\r\n",
              body));
  auto client = on.client();
  const auto got = client.get("/doc");
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(difference(got.body, body) == "");
  CHECK(value(got.fields(), "X-Cleaned") == "yes");
  CHECK_FALSE(has(got.fields(), "ETag"));
  CHECK_FALSE(has(got.fields(), "Set-Cookie"));
  CHECK(on.icapgate.line().text("verdict") == "adapted");
}

TEST_CASE("delivery: an adapted response with a body of 5 MB arrives whole") {
  stage on;
  on.origin.when("/doc", {.body = "short"});
  const auto body = noise(5'000'000, 3);
  on.scanner.always(adapted("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", body));
  const auto got = on.get("/doc");
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(difference(got.body, body) == "");
}

TEST_CASE("delivery: one client connection carries many requests") {
  stage on;
  auto client = on.client();
  for (int i = 0; i < 30; ++i) {
    const auto target = "/" + std::to_string(i);
    on.origin.when(target, {.body = noise(static_cast<std::size_t>(i) * 100 + 1),
                            .form = i % 3 == 0   ? framing::length
                                    : i % 3 == 1 ? framing::chunked
                                                 : framing::close});
    const auto got = client.get(target);
    CHECK(got.status == 200);
    CHECK(difference(got.body, noise(static_cast<std::size_t>(i) * 100 + 1)) == "");
  }
}

TEST_CASE("delivery: pipelined requests are answered in their order") {
  stage on;
  std::string requests;
  for (int i = 0; i < 10; ++i) {
    const auto target = "/" + std::to_string(i);
    on.origin.when(target, {.body = "body " + std::to_string(i)});
    requests += "GET " + target + " HTTP/1.1\r\nHost: shop.example\r\n\r\n";
  }
  auto client = on.client();
  client.wire().write(requests);
  for (int i = 0; i < 10; ++i) {
    const auto got = client.receive();
    CHECK(got.status == 200);
    CHECK(got.body == "body " + std::to_string(i));
  }
}

TEST_CASE("delivery: a client that asks to close gets its response and then the end") {
  stage on;
  on.origin.when("/a", {.body = "last one"});
  auto client = on.client();
  const auto got = client.get("/a", {{"Connection", "close"}});
  CHECK(got.body == "last one");
  CHECK(got.whole());
  CHECK(lower(value(got.fields(), "Connection")) == "close");
  CHECK(client.ended());
}

TEST_CASE("delivery: an HTTP/1.0 client gets a body without chunks and then the end") {
  stage on;
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    const auto target = "/" + form_name(form);
    INFO(target);
    on.origin.when(target, {.body = noise(70'000), .form = form});
    auto client = on.client();
    client.wire().write("GET " + target + " HTTP/1.0\r\nHost: shop.example\r\n\r\n");
    const auto got = client.receive();
    CHECK(got.status == 200);
    CHECK_FALSE(has(got.fields(), "Transfer-Encoding"));
    CHECK(got.whole());
    CHECK(difference(got.body, noise(70'000)) == "");
    if (got.form != framing::close) CHECK(client.ended());
  }
}

TEST_CASE("delivery: an upload arrives at the origin as it was sent") {
  stage on;
  on.origin.when("/up", {.body = "thanks"});
  auto client = on.client();
  for (const std::size_t size : {0u, 1u, 70'000u, 3'000'000u}) {
    INFO(size);
    const auto body = noise(size, 7);
    const auto got =
        client.request("POST", "/up", {{"Content-Length", std::to_string(size)}}, body);
    CHECK(got.body == "thanks");
    CHECK(difference(on.origin.request("/up").body, body) == "");

    const auto put = client.request("PUT", "/up", {{"Transfer-Encoding", "chunked"}},
                                    chunked(body, {.size = 5000, .extension = ";x=y"}));
    CHECK(put.body == "thanks");
    CHECK(on.origin.request("/up").method == "PUT");
    CHECK(difference(on.origin.request("/up").body, body) == "");
  }
}

TEST_CASE("delivery: a client that waits for 100 Continue gets it or its answer") {
  stage on;
  on.origin.when("/up", {.body = "thanks"});
  auto client = on.client();
  client.send("POST", "/up", {{"Content-Length", "5"}, {"Expect", "100-continue"}});
  CHECK(parse_head(client.wire().read_until("\r\n\r\n")).second == "100");
  client.wire().write("hello");
  CHECK(client.receive().body == "thanks");
  CHECK(on.origin.request("/up").body == "hello");
}

TEST_CASE("delivery: the request reaches the origin with its own fields and without hop-by-hop") {
  stage on;
  on.origin.when("/a?b=c%20d&e", {.body = "ok"});
  const auto got = on.get("/a?b=c%20d&e", {{"Host", "shop.example:81"},
                                           {"Cookie", "a=1; b=2"},
                                           {"X-One", "1"},
                                           {"Connection", "keep-alive, X-Gone"},
                                           {"X-Gone", "secret"},
                                           {"Keep-Alive", "timeout=5"},
                                           {"Proxy-Connection", "keep-alive"},
                                           {"TE", "trailers"},
                                           {"Upgrade", "h2c"},
                                           {"X-Two", "2"},
                                           {"Accept-Encoding", "gzip"}});
  CHECK(got.status == 200);
  const auto asked = on.origin.request("/a?b=c%20d&e").head;
  CHECK(value(asked.fields, "Host") == "shop.example:81");
  CHECK(value(asked.fields, "Cookie") == "a=1; b=2");
  CHECK(value(asked.fields, "X-One") == "1");
  CHECK(value(asked.fields, "X-Two") == "2");
  for (const auto gone : {"X-Gone", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade"}) {
    INFO(gone);
    CHECK_FALSE(has(asked.fields, gone));
    CHECK_FALSE(has(on.scanner.scan_of("/a?b=c%20d&e").request.fields, gone));
  }
}

TEST_CASE("delivery: hop-by-hop fields of the origin reach neither scanner nor client") {
  stage on;
  on.origin.when("/a", [](connection& to, const origin_request&) {
    to.write(
        "HTTP/1.1 200 OK\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: "
        "timeout=9\r\n"
        "Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTrailer: X-Late\r\nX-Stays: 1\r\n"
        "Content-Length: 2\r\n\r\nok");
  });
  const auto got = on.get("/a");
  CHECK(got.body == "ok");
  CHECK(value(got.fields(), "X-Stays") == "1");
  const auto seen = on.scanner.scan_of("/a").response;
  CHECK(value(seen.fields, "X-Stays") == "1");
  for (const auto gone : {"X-Mine", "Keep-Alive", "Proxy-Connection", "Upgrade", "Trailer"}) {
    INFO(gone);
    CHECK_FALSE(has(got.fields(), gone));
    CHECK_FALSE(has(seen.fields, gone));
  }
  CHECK_FALSE(has(seen.fields, "Connection"));
  CHECK_FALSE(has(seen.fields, "Transfer-Encoding"));
}

TEST_CASE("delivery: chunk extensions and trailers of the origin never reach the scanner") {
  stage on;
  on.origin.when("/a", {.body = noise(10'000),
                        .form = framing::chunked,
                        .chunks = {.size = 700,
                                   .extension = ";name=\"value\"",
                                   .trailers = "X-Late: 1\r\nX-Later: 2\r\n"}});
  const auto got = on.get("/a");
  CHECK(got.status == 200);
  CHECK(difference(got.body, noise(10'000)) == "");
  const auto seen = on.scanner.scan_of("/a");
  CHECK(seen.whole);
  CHECK(difference(seen.body, noise(10'000)) == "");
  for (const auto& line : seen.size_lines) {
    INFO(line);
    CHECK(std::all_of(line.begin(), line.end(), [](unsigned char c) { return std::isxdigit(c); }));
  }
}

TEST_CASE("delivery: interim responses of the origin are not taken for the response") {
  stage on;
  on.origin.when("/a", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 103 Early Hints\r\nLink: </x.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    to.write(response_text{.body = "the response"}.wire());
  });
  const auto got = on.get("/a");
  CHECK(got.status == 200);
  CHECK(got.body == "the response");
  CHECK(on.scanner.scan_of("/a").body == "the response");
}

TEST_CASE(
    "delivery: what a client sends behind its last request takes nothing of the response away") {
  const auto body =
      noise(3'000'000);  // waits in the gateway's socket while the client reads nothing
  stage on;
  on.origin.when("/a", {.body = body});
  auto client = on.client();
  std::string ahead = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  for (int i = 0; i < 2000; ++i) ahead += "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
  client.wire().write(ahead);
  CHECK(on.icapgate.line().text("reason") == "complete");
  const auto got = client.receive();
  CHECK(got.whole());
  CHECK(difference(got.body, body) == "");
  CHECK(client.ended());
  CHECK(on.origin.requests().size() == 1);
}
