// What the origin, the scanner and the access log are told of the way that a request came.
#include "kit/stage.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

const field_list claims{{"X-Forwarded-For", "203.0.113.9, 192.0.2.1, 127.0.0.9"},
                        {"X-Forwarded-Proto", "https"},
                        {"X-Forwarded-Host", "www.example"},
                        {"X-Forwarded-Port", "8443"},
                        {"X-Real-IP", "192.0.2.1"},
                        {"Forwarded", "for=198.51.100.7;proto=http;host=other.example"},
                        {"X-Request-Id", "theirs-1"}};

gate_settings trusting(const std::string& more = {}) {
  return {.env = {{"ICAPGATE_SCANNER__TELL", "client_ip"}},
          .config = "[listen.public]\ntrusted_proxies = [\"127.0.0.0/8\"]\n" + more};
}

}  // namespace

TEST_CASE("forwarded: of a stranger nothing is believed, and the origin is told what we know") {
  stage on({.env = {{"ICAPGATE_SCANNER__TELL", "client_ip"}}});
  on.origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a", claims).status == 200);
  const auto line = on.last_line();
  const auto asked = on.origin.request("/a").head.fields;
  const auto host = value(asked, "Host");
  CHECK(values(asked, "X-Forwarded-For") == std::vector<std::string>{"127.0.0.1"});
  CHECK(values(asked, "X-Forwarded-Proto") == std::vector<std::string>{"http"});
  CHECK(values(asked, "X-Forwarded-Host") == std::vector<std::string>{host});
  CHECK(values(asked, "Forwarded") ==
        std::vector<std::string>{"for=127.0.0.1;host=\"" + host + "\";proto=http"});
  CHECK(values(asked, "X-Request-Id") == std::vector<std::string>{line.text("request_id")});
  CHECK(line.text("request_id") != "theirs-1");
  CHECK_FALSE(has(asked, "X-Real-IP"));
  CHECK_FALSE(has(asked, "X-Forwarded-Port"));
  CHECK(line.text("client") == "127.0.0.1");
  const auto scan = on.scanner.scans().back();
  CHECK(value(scan.icap.fields, "X-Client-IP") == "127.0.0.1");
  CHECK(scan.request.wire.find("198.51.100.7") == std::string::npos);
  CHECK(scan.request.wire.find("X-Forwarded-For: 127.0.0.1\r\n") != std::string::npos);
}

TEST_CASE("forwarded: a trusted proxy's word goes on, and its client is the client") {
  stage on(trusting());
  on.origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a", claims).status == 200);
  const auto line = on.last_line();
  const auto asked = on.origin.request("/a").head.fields;
  CHECK(value(asked, "X-Forwarded-For") == "203.0.113.9, 192.0.2.1, 127.0.0.9, 127.0.0.1");
  CHECK(value(asked, "X-Forwarded-Proto") == "https");
  CHECK(value(asked, "X-Forwarded-Host") == "www.example");
  CHECK(value(asked, "X-Forwarded-Port") == "8443");
  CHECK(value(asked, "X-Real-IP") == "192.0.2.1");
  CHECK(value(asked, "X-Request-Id") == "theirs-1");
  CHECK(values(asked, "Forwarded").size() == 1);
  CHECK(value(asked, "Forwarded").find("198.51.100.7") == std::string::npos);
  CHECK(line.text("client") == "192.0.2.1");
  CHECK(line.text("request_id") == "theirs-1");
  CHECK(value(on.scanner.scans().back().icap.fields, "X-Client-IP") == "192.0.2.1");
}

TEST_CASE("forwarded: the other header is believed where the settings say so") {
  stage on(trusting("trusted_header = \"forwarded\"\n"));
  on.origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a", claims).status == 200);
  CHECK(on.last_line().text("client") == "198.51.100.7");
  CHECK(value(on.origin.request("/a").head.fields, "X-Forwarded-For") == "198.51.100.7, 127.0.0.1");
}

TEST_CASE("forwarded: each request of a connection has its own way") {
  stage on(trusting());
  on.origin.when("/a", {.body = "a body"});
  auto client = on.client();
  for (const auto* address : {"192.0.2.1", "192.0.2.2"})
    CHECK(client.get("/a", {{"X-Forwarded-For", address}}).status == 200);
  CHECK(client.get("/a").status == 200);
  const auto lines = on.icapgate.lines(3);
  CHECK(lines[0].text("client") == "192.0.2.1");
  CHECK(lines[1].text("client") == "192.0.2.2");
  CHECK(lines[2].text("client") == "127.0.0.1");
  CHECK(lines[0].text("request_id") != lines[1].text("request_id"));
}

TEST_CASE("forwarded: traceparent passes if it is valid") {
  const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  stage on;
  on.origin.when("/a", {.body = "a body"});
  on.origin.when("/b", {.body = "a body"});
  on.get("/a", {{"traceparent", good}, {"tracestate", "a=1"}});
  on.get("/b", {{"traceparent", good + "x"}, {"tracestate", "a=1"}});
  CHECK(value(on.origin.request("/a").head.fields, "traceparent") == good);
  CHECK(value(on.origin.request("/a").head.fields, "tracestate") == "a=1");
  CHECK_FALSE(has(on.origin.request("/b").head.fields, "traceparent"));
  CHECK_FALSE(has(on.origin.request("/b").head.fields, "tracestate"));
}
