// Origins and scanners by name: names that move, services with several hosts, names that nobody
// knows, and DNS servers that keep silent.
#include "kit/numbers.hpp"

#include "catch.hpp"
#include "dns_peer.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace e2e;
using icapgate::test::dns_address;
using icapgate::test::dns_peer;
using icapgate::test::dns_question;
using icapgate::test::dns_service;

namespace {

// Answers are asked for again after 100 ms; each request has a connection of its own.
gate_settings by_name(const dns_peer& names, std::string origin = {}) {
  return {.origin_url = std::move(origin),
          .env = {{"ICAPGATE_DNS__SERVERS", names.address()},
                  {"ICAPGATE_DNS__TTL_MIN", "100ms"},
                  {"ICAPGATE_ORIGIN__IDLE_CONNECTIONS", "0"},
                  {setting::origin_keep_alive, "1ms"}}};
}

std::string url_of(const std::string& host, std::uint16_t port) {
  return "http://" + host + ':' + std::to_string(port);
}

// Somebody else at the same port of 127.0.0.2, who says "moved" to everything.
class neighbour {
 public:
  explicit neighbour(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    at.sin_port = htons(port);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(fd_, 16) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~neighbour() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }

 private:
  void serve() const {
    for (int fd = ::accept(fd_, nullptr, nullptr); fd >= 0; fd = ::accept(fd_, nullptr, nullptr)) {
      connection visitor(fd);
      try {
        visitor.read_until("\r\n\r\n");
        visitor.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nmoved");
      } catch (const std::exception&) {
        // It is seen in what the client gets.
      }
    }
  }

  int fd_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("dns: new connections follow an origin that moves to another address") {
  dns_peer names;
  origin_peer origin;
  origin.when("/a", {.body = "here"});
  const neighbour other(origin.port());
  names.set("app.test", {dns_address("127.0.0.1", 0)});
  stage on(by_name(names, url_of("app.test", origin.port())));
  CHECK(on.get("/a").body == "here");
  names.set("app.test", {dns_address("127.0.0.2", 0)});
  wait_until("the origin has moved", [&] { return on.get("/a").body == "moved"; });
  // A server that lost its data, or went away, moves nobody.
  names.forget("app.test");
  const auto failures = [&] { return metric(on, "dns_failures_total"); };
  wait_until("a look-up fails", [&] { return on.get("/a").body == "moved" && failures() > 0; });
  CHECK(on.get("/a").body == "moved");
  CHECK(metric(on, "dns_lookups_total") >= 3);
  CHECK(metric(on, "dns_cache_hits_total") >= 1);
}

TEST_CASE("dns: an origin that is a service: hosts and ports by priority") {
  dns_peer names;
  origin_peer first, second;
  first.when("/a", {.body = "first"});
  second.when("/a", {.body = "second"});
  names.set("host.test", {dns_address("127.0.0.1", 60)});
  names.set("_http._tcp.app.test", {dns_service(2, 0, second.port(), "host.test", 60),
                                    dns_service(1, 0, first.port(), "host.test", 60)});
  stage on(by_name(names, "http+srv://_http._tcp.app.test"));
  for (int i = 0; i < 5; ++i) CHECK(on.get("/a").body == "first");
  first.stop();
  for (int i = 0; i < 5; ++i) CHECK(on.get("/a").body == "second");
  CHECK(on.last_line().text("origin") == "http+srv://_http._tcp.app.test");
}

TEST_CASE(
    "dns: scans are spread over the scanners of a service, and one that stops is done without") {
  dns_peer names;
  origin_peer origin;
  origin.when("/a", {.body = "a body"});
  icap_peer one({.authority = "scan.test"}), two({.authority = "scan.test"});
  const std::string once =
      "ICAP/1.0 204 Unmodified\r\nConnection: close\r\nISTag: \"play-1\"\r\n\r\n";
  for (auto* peer : {&one, &two}) peer->always(once);
  names.set("scan1.test", {dns_address("127.0.0.1", 60)});
  names.set("_icap._tcp.scan.test", {dns_service(0, 50, one.port(), "scan1.test", 60),
                                     dns_service(0, 50, two.port(), "scan1.test", 60)});
  auto settings = by_name(names, url_of("127.0.0.1", origin.port()));
  settings.more = {"--icap", "icap+srv://_icap._tcp.scan.test/avscan"};
  gate it(settings);
  // 2^-29 that chance does not ask both.
  for (int i = 0; i < 30; ++i) CHECK(http_client(it.port()).get("/a").body == "a body");
  CHECK(one.scans().size() + two.scans().size() == 30);
  REQUIRE(!one.scans().empty());
  REQUIRE(!two.scans().empty());
  CHECK(one.scans().front().icap.second == "icap://scan.test/avscan");
  CHECK(value(one.scans().front().icap.fields, "Host") == "scan.test");
  one.stop();
  for (int i = 0; i < 10; ++i) CHECK(http_client(it.port()).get("/a").body == "a body");
  CHECK(it.finish() == "");
}

TEST_CASE("dns: with unknown names it starts, and serves as soon as they are known") {
  dns_peer names;
  origin_peer origin;
  origin.when("/a", {.body = "a body"});
  icap_peer scanner({.authority = "scan.test"});
  auto settings = by_name(names, url_of("app.test", origin.port()));
  settings.more = {"--icap", "icap+srv://_icap._tcp.scan.test/avscan"};
  settings.env["ICAPGATE_SCANNER__BREAKER"] = "false";
  gate it(settings);
  CHECK(http_client(it.port()).get("/a").status == 502);
  CHECK(it.line().text("reason") == "origin_resolve_failed");
  names.set("app.test", {dns_address("127.0.0.1", 60)});
  std::size_t asked = 1;
  const auto reason = [&] {
    http_client(it.port()).get("/a");
    return it.line(++asked).text("reason");
  };
  wait_until("the origin is known", [&] { return reason() == "icap_resolve_failed"; });
  names.set("scan1.test", {dns_address("127.0.0.1", 60)});
  names.set("_icap._tcp.scan.test", {dns_service(0, 0, scanner.port(), "scan1.test", 60)});
  wait_until("the scanner is known", [&] { return reason() == "complete"; });
  CHECK(it.finish() == "");
}

TEST_CASE(
    "dns: a client that leaves during a look-up is noticed; a silent server holds nothing up") {
  dns_peer names;
  names.play([](const dns_question&) { return std::nullopt; });
  auto settings = by_name(names, "http://app.test");
  settings.env["ICAPGATE_DNS__TIMEOUT"] = "60s";
  settings.env["ICAPGATE_ORIGIN__TIMEOUT__CONNECT"] = "60s";
  {
    stage on(settings);
    {
      auto client = on.client();
      client.send("GET", "/a");
      REQUIRE(names.wait_asked("app.test"));
    }
    CHECK(on.icapgate.line().text("reason") == "client_closed");
  }
  settings.env["ICAPGATE_ORIGIN__TIMEOUT__CONNECT"] = "200ms";
  stage on(settings);
  CHECK(on.get("/a").status == 504);
  CHECK(on.last_line().text("reason") == "origin_connect_timeout");
}

TEST_CASE("dns: the doctor tells where a service's scanners are") {
  dns_peer names;
  icap_peer scanner({.authority = "scan.test"});
  names.set("scan1.test", {dns_address("127.0.0.1", 60)});
  names.set("_icap._tcp.scan.test", {dns_service(0, 0, scanner.port(), "scan1.test", 60)});
  const auto examine = [&](const std::string& name) {
    const auto url = "icap+srv://" + name + "/avscan";
    return run_icapgate({"doctor", url, "--timeout", "1s"},
                        {{"ICAPGATE_DNS__SERVERS", names.address()}})
        .output;
  };
  const auto found = examine("_icap._tcp.scan.test");
  INFO(found);
  CHECK(found.find("DNS") != found.npos);
  CHECK(found.find("127.0.0.1:" + std::to_string(scanner.port())) != found.npos);
  CHECK(found.find("RESPMOD") != found.npos);
  const auto nobody = examine("_icap._tcp.nobody.test");
  INFO(nobody);
  CHECK(nobody.find("no address for _icap._tcp.nobody.test") != nobody.npos);
  CHECK(nobody.find("dig SRV _icap._tcp.nobody.test") != nobody.npos);
}
