// Peers of version 1.0 on either side.
#include "kit/stage.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

using texts = std::vector<std::string>;

// An origin of version 1.0 that says so, and ends its connection where `ends` is true.
origin_peer::script old_origin(const std::string& fields, const std::string& body, bool ends) {
  return [=](connection& to, const origin_request&) {
    to.write("HTTP/1.0 200 OK\r\n" + fields + "\r\n" + body);
    if (!ends) return;
    to.end();
    to.close();
  };
}

void send_old(http_client& client, const std::string& target, const std::string& fields = {}) {
  client.wire().write("GET " + target + " HTTP/1.0\r\nHost: shop.example\r\n" + fields + "\r\n");
}

constexpr auto unscanned_policy = "[policy]\nmode = \"off\"\n";

}  // namespace

TEST_CASE("version 1.0: an origin's connection is used once, unless it says keep-alive") {
  for (const bool scanned : {true, false}) {
    INFO(scanned);
    stage on({.config = scanned ? "" : unscanned_policy});
    on.origin.when("/once", old_origin("Content-Length: 4\r\n", "text", false));
    on.origin.when("/kept",
                   old_origin("Connection: keep-alive\r\nContent-Length: 4\r\n", "text", false));
    auto client = on.client();
    for (int i = 1; i <= 3; ++i) {
      const auto got = client.get("/once");
      CHECK(got.head.first == "HTTP/1.1");
      CHECK(got.body == "text");
      CHECK(got.end == response::ending::complete);
      CHECK_FALSE(has(got.fields(), "Connection"));
      CHECK(on.origin.connections() == i);
    }
    for (int i = 0; i < 3; ++i) {
      const auto got = client.get("/kept");
      CHECK(got.body == "text");
      CHECK_FALSE(has(got.fields(), "Connection"));
    }
    CHECK(on.origin.connections() == 4);
  }
}

TEST_CASE("version 1.0: a body of an origin that ends with its connection is delivered whole") {
  const auto large = noise(300'000);
  for (const bool scanned : {true, false}) {
    INFO(scanned);
    stage on({.config = scanned ? "" : unscanned_policy});
    on.origin.when("/plain", old_origin("", large, true));
    // It may say what it likes: without a length there is no next message.
    on.origin.when("/liar", old_origin("Connection: keep-alive\r\n", large, true));
    on.origin.when("/empty", old_origin("", "", true));
    auto client = on.client();
    for (const auto target : {"/plain", "/liar", "/empty"}) {
      INFO(target);
      const auto got = client.get(target);
      CHECK(got.status == 200);
      CHECK(got.end == response::ending::complete);
      CHECK(difference(got.body, target == std::string("/empty") ? "" : large) == "");
    }
    CHECK(on.origin.connections() == 3);
    if (scanned) CHECK(difference(on.scanner.scan_of("/plain").body, large) == "");
  }
}

TEST_CASE("version 1.0: a shorter body of an origin than it tells is not delivered as a whole") {
  stage on;
  on.origin.when("/short", old_origin("Content-Length: 10\r\n", "text", true));
  CHECK(on.get("/short").status == 502);
  CHECK(on.last_line().text("reason") == "origin_body_eof");
}

TEST_CASE("version 1.0: a client that asks for it keeps its connection, as long as bodies end") {
  stage on;
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    on.origin.when("/a", {.body = "text", .form = form});
    auto client = on.client();
    for (int i = 0; i < 3; ++i) {
      send_old(client, "/a", "Connection: Keep-Alive\r\n");
      const auto got = client.receive();
      CHECK(got.body == "text");
      CHECK(got.form == framing::length);
      CHECK(values(got.fields(), "Connection") == texts{"keep-alive"});
    }
    send_old(client, "/a");
    CHECK(client.receive().body == "text");
    CHECK(client.ended());
  }
}

TEST_CASE("version 1.0: a client whose response has no length is told that its connection ends") {
  stage on({.config = unscanned_policy});
  on.origin.when("/chunked", {.body = noise(100'000), .form = framing::chunked});
  on.origin.when("/close", {.body = noise(100'000), .form = framing::close});
  for (const auto target : {"/chunked", "/close"}) {
    INFO(target);
    auto client = on.client();
    send_old(client, target, "Connection: keep-alive\r\n");
    const auto got = client.receive();
    CHECK(got.end == response::ending::closed);
    CHECK(difference(got.body, noise(100'000)) == "");
    CHECK(values(got.fields(), "Connection") == texts{"close"});
  }
}

TEST_CASE("version 1.0: a page of our own ends the connection, and says so") {
  stage on;
  on.origin.when("/broken", [](connection& to, const origin_request&) { to.close(); });
  auto client = on.client();
  send_old(client, "/broken", "Connection: keep-alive\r\n");
  const auto got = client.receive();
  CHECK(got.status == 502);
  CHECK(values(got.fields(), "Connection") == texts{"close"});
  CHECK(client.ended());
}
