// The PROXY protocol in front of a client's first request.
#include "kit/stage.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

constexpr std::string_view header = "PROXY TCP4 192.0.2.1 10.0.0.1 12345 443\r\n";
constexpr std::string_view request =
    "GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";

gate_settings expecting(const std::string& trusted = "\"127.0.0.1\"") {
  return {
      .env = {{"ICAPGATE_SCANNER__TELL", "client_ip"}, {setting::client_head, "1s"}},
      .config = "[listen.public]\nproxy_protocol = true\ntrusted_proxies = [" + trusted + "]\n"};
}

double ended_badly(stage& on) {
  // Scraped over the admin listener, which has no part in this.
  return metric(on, "transactions_total{reason=\"client_proxy_invalid\"}");
}

}  // namespace

TEST_CASE("PROXY protocol: the client is whom the balancer names, whose own claims don't count") {
  stage on(expecting());
  on.origin.when("/a", {.body = "a body"});
  const std::string binary(
      "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x02\x0a\0\0\x01\x30\x39\x01\xbb\x04\0\0", 31);
  std::size_t count = 0;
  for (const auto& [bytes, address] :
       {std::pair(std::string(header), "192.0.2.1"), std::pair(binary, "192.0.2.2")}) {
    auto client = on.client();
    client.wire().write(bytes + std::string(request));
    CHECK(client.receive().body == "a body");
    CHECK(client.get("/a").body == "a body");  // once in a connection
    for (int i = 0; i < 2; ++i) CHECK(on.icapgate.line(++count).text("client") == address);
    CHECK(value(on.scanner.scans().back().icap.fields, "X-Client-IP") == address);
    CHECK(value(on.origin.request("/a").head.fields, "X-Forwarded-For") == address);
  }
}

TEST_CASE("PROXY protocol: a header in pieces is whole in the end") {
  stage on(expecting());
  on.origin.when("/a", {.body = "a body"});
  auto client = on.client();
  const auto all = std::string(header) + std::string(request);
  for (const char c : all.substr(0, header.size() + 3)) {
    client.wire().write(std::string(1, c));
    client.wire().wait_taken();
  }
  client.wire().write(all.substr(header.size() + 3));
  CHECK(client.receive().body == "a body");
  CHECK(on.icapgate.line().text("client") == "192.0.2.1");
}

TEST_CASE("PROXY protocol: without an address the connection's own counts") {
  stage on(expecting());
  on.origin.when("/a", {.body = "a body"});
  auto client = on.client();
  client.wire().write("PROXY UNKNOWN\r\n" + std::string(request));
  CHECK(client.receive().body == "a body");
  // It is the balancer that speaks, and that is trusted.
  CHECK(on.icapgate.line().text("client") == "6.6.6.6");
}

TEST_CASE("PROXY protocol: a trusted peer that sends none is closed without an answer") {
  stage on(expecting());
  on.origin.when("/a", {.body = "a body"});
  std::size_t count = 0;
  for (const auto& bytes :
       {std::string(request), std::string("PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n"),
        "PROXY UNKNOWN " + std::string(200, 'a')}) {
    auto client = on.client();
    client.wire().write(bytes);
    CHECK_THROWS_AS(client.wire().read_exact(1), peer_gone);
    const auto line = on.icapgate.line(++count);
    CHECK(line.text("reason") == "client_proxy_invalid");
    CHECK(line.number("status") == 0);
  }
  {
    auto client = on.client();
    client.wire().write("PROXY TCP4");
    client.wire().end();
    CHECK_THROWS_AS(client.wire().read_exact(1), peer_gone);
  }
  {
    auto client = on.client();  // never ends its header
    client.wire().write("PROXY TCP4");
    CHECK_THROWS_AS(client.wire().read_exact(1), peer_gone);
  }
  on.icapgate.lines(count + 2);
  CHECK(ended_badly(on) == count + 2);
  CHECK(on.origin.requests().empty());
}

TEST_CASE("PROXY protocol: a look whether we listen is no failure") {
  stage on(expecting());
  on.origin.when("/a", {.body = "a body"});
  on.client().wire().end();
  auto client = on.client();
  client.wire().write(std::string(header) + std::string(request));
  CHECK(client.receive().status == 200);
  CHECK(ended_badly(on) == 0);
}

TEST_CASE("PROXY protocol: a stranger may not send it, and needs none") {
  stage on(expecting("\"192.0.2.0/24\""));
  on.origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a").status == 200);
  CHECK(on.icapgate.line(1).text("client") == "127.0.0.1");
  auto client = on.client();
  client.wire().write(std::string(header) + std::string(request));
  CHECK(client.receive().status == 400);
  CHECK(on.icapgate.line(2).text("client") == "127.0.0.1");
  CHECK(on.origin.requests().size() == 1);
}

TEST_CASE("PROXY protocol: without trusted proxies it is a mistake in the settings") {
  const auto got = run_icapgate({"--origin", "http://a", "--icap", "icap://a/b"},
                                {{"ICAPGATE_LISTEN__PROXY_PROTOCOL", "true"}});
  CHECK(got.status == 78);
  CHECK(got.output.find("ICAPGATE_LISTEN__PROXY_PROTOCOL: ") != std::string::npos);
  CHECK(got.output.find("trusted_proxies") != std::string::npos);
}
