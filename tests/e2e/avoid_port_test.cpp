// --avoid-port: what came from that origin port is delivered without the scanner.
#include "kit/stage.hpp"

#include "catch.hpp"

using namespace e2e;

TEST_CASE("avoid port: its responses are delivered and never shown to the scanner") {
  origin_peer origin;
  stage on({.origin = origin.port(), .avoid_ports = {1, origin.port()}});
  on.scanner.always(block_page());
  auto client = on.client();
  const std::string date = "Thu, 01 Jan 2026 00:00:00 GMT";
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    origin.when("/a", {.fields = {{"ETag", "\"1\""},
                                  {"Set-Cookie", "a=1"},
                                  {"Set-Cookie", "b=2"},
                                  {"Date", date}},
                       .body = noise(3'000'000),
                       .form = form});
    const auto got = client.get("/a");
    CHECK(got.status == 200);
    CHECK(got.whole());
    CHECK(difference(got.body, noise(3'000'000)) == "");
    CHECK(lines(end_to_end(got.fields())) ==
          std::vector<std::string>{"ETag: \"1\"", "Set-Cookie: a=1", "Set-Cookie: b=2",
                                   "Date: " + date});
  }
  CHECK(on.scanner.scans().empty());
  for (const auto& line : on.icapgate.lines(3)) {
    CHECK(line.text("verdict") != "clean");
    CHECK(line.text("reason") == "complete");
    CHECK_FALSE(line.flag("fallback"));
  }
}

TEST_CASE("avoid port: other ports are scanned") {
  origin_peer origin;
  const reserved_port other;
  stage on({.origin = origin.port(), .avoid_ports = {other.number()}});
  origin.when("/a", {.body = "a body"});
  on.scanner.always(block_page());
  CHECK(on.get("/a").status == 403);
  CHECK(on.scanner.scans().size() == 1);
}

TEST_CASE("avoid port: it needs no scanner at all") {
  origin_peer origin;
  const reserved_port nobody;
  stage on(
      {.origin = origin.port(), .scanners = {nobody.number()}, .avoid_ports = {origin.port()}});
  origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a").body == "a body");
}

TEST_CASE("avoid port: a body that breaks off is cut at the client too") {
  origin_peer origin;
  stage on({.origin = origin.port(), .avoid_ports = {origin.port()}});
  for (const auto form : {framing::length, framing::chunked}) {
    origin.when("/a", [form](connection& to, const origin_request&) {
      const auto wire = response_text{.body = noise(500'000), .form = form}.wire();
      to.write(std::string_view(wire).substr(0, wire.size() - 5));
      to.close();
    });
    const auto got = on.get("/a");
    CHECK_FALSE((got.status == 200 && got.whole()));
  }
}

TEST_CASE("avoid port: an event stream arrives while it goes on") {
  happening seen;
  origin_peer origin;
  stage on({.origin = origin.port(), .avoid_ports = {origin.port()}});
  origin.when("/events", [&](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    seen.wait();
    to.write("6\r\nsecond\r\n0\r\n\r\n");
  });
  auto client = on.client();
  client.send("GET", "/events");
  CHECK(parse_head(client.wire().read_until("\r\n\r\n")).second == "200");
  CHECK(read_chunk(client.wire()).data == "first");
  seen.tell();
  CHECK(read_chunk(client.wire()).data == "second");
}
