#include "proxy/connector.hpp"

#include "catch.hpp"
#include "dns_peer.hpp"
#include "proxy/tls.hpp"
#include "tls_kit.hpp"
#include "wire.hpp"

#include <boost/asio/local/stream_protocol.hpp>

namespace asio = boost::asio;
using namespace icapgate;
using namespace std::chrono_literals;
using proxy::task;

namespace {

constexpr proxy::connect_reasons reasons{errc::icap_resolve_failed, errc::icap_connect_refused,
                                         errc::icap_connect_timeout, errc::icap_connect_failed};

class loop {
 public:
  loop() : all(context, [] {}), names(context, all, asking(server), counted) {}

  errc connect(const url& to, proxy::milliseconds timeout,
               std::shared_ptr<proxy::tls_client> tls = nullptr) {
    proxy::connector one(all, names, to, std::move(tls), timeout, reasons);
    return test::run(context, all, attempt(one));
  }
  errc connect(proxy::connector& with) { return test::run(context, all, attempt(with)); }

  test::dns_peer server;

  asio::io_context context{1};
  proxy::deadlines all;
  dns_metrics counted;
  proxy::resolver names;

 private:
  static dns_settings asking(const test::dns_peer& server) {
    dns_settings out;
    out.servers.push_back({"127.0.0.1", server.port()});
    return out;
  }
  static task<errc> attempt(proxy::connector& with) {
    const auto made = co_await with.connect();
    co_return made ? errc::complete : made.error();
  }
};

url address(const std::string& text) {
  url out;
  std::string why;
  INFO(text);
  REQUIRE(parse_url(text, out, why));
  return out;
}

class tcp_listener {
 public:
  explicit tcp_listener(const std::string& at = "127.0.0.1", std::uint16_t port = 0)
      : acceptor_(context_, {asio::ip::make_address(at), port}) {}
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::string authority(const std::string& host = "127.0.0.1") const {
    return host + ':' + std::to_string(acceptor_.local_endpoint().port());
  }
  int accept() { return acceptor_.accept().release(); }
  // Takes all that have come.
  int waiting() {
    acceptor_.non_blocking(true);
    int count = 0;
    for (boost::system::error_code ec;; ++count) {
      asio::ip::tcp::socket one(context_);
      acceptor_.accept(one, ec);
      if (ec) return count;
    }
  }

 private:
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
};

}  // namespace

TEST_CASE("connector: a unix socket is connected to; one that nobody listens on refuses") {
  const test::folder files;
  const auto path = files / "scanner.sock";
  const auto to = address("icap+unix:" + path + ":/avscan");
  loop l;
  CHECK(l.connect(to, 10s) == errc::icap_connect_refused);
  {
    asio::local::stream_protocol::acceptor listening(l.context, {path});
    CHECK(l.connect(to, 10s) == errc::complete);
  }
  CHECK(l.connect(to, 10s) == errc::icap_connect_refused);
  CHECK(l.connect(address("icap+unix:/dev/null/s:/x"), 10s) == errc::icap_connect_failed);
}

TEST_CASE(
    "connector: a unix socket whose queue is full is waited for, no longer than the timeout") {
  const test::folder files;
  const auto path = files / "scanner.sock";
  const auto to = address("icap+unix:" + path + ":/avscan");
  loop l;
  asio::local::stream_protocol::acceptor listening(l.context);
  listening.open();
  listening.bind({path});
  listening.listen(0);
  std::vector<asio::local::stream_protocol::socket> queue;
  boost::system::error_code full;
  while (!full) {
    auto& one = queue.emplace_back(l.context);
    one.open({});
    one.non_blocking(true);
    const asio::local::stream_protocol::endpoint end(path);
    if (::connect(one.native_handle(), end.data(), static_cast<socklen_t>(end.size())) != 0)
      full.assign(errno, boost::system::system_category());
  }
  REQUIRE(full == asio::error::try_again);
  CHECK(l.connect(to, 1ms) == errc::icap_connect_timeout);
  std::thread late(
      [&] { static_cast<void>(::accept(listening.native_handle(), nullptr, nullptr)); });
  CHECK(l.connect(to, 10s) == errc::complete);
  late.join();
}

TEST_CASE("connector: a name is looked up no longer than the timeout, though the look-up goes on") {
  tcp_listener peer;
  loop l;
  l.server.play([](const test::dns_question&) { return std::nullopt; });
  proxy::connector one(l.all, l.names,
                       address("icap://" + peer.authority("stuck.test") + "/x"), nullptr, 1ms,
                       reasons);
  for (int i = 0; i < 3; ++i) CHECK(l.connect(one) == errc::icap_connect_timeout);
  CHECK(l.counted.lookups.value() == 1);
}

TEST_CASE("connector: a name that does not exist, a port that refuses") {
  loop l;
  CHECK(l.connect(address("icap://nobody.test/x"), 60s) == errc::icap_resolve_failed);
  std::string gone;
  {
    tcp_listener peer;
    gone = peer.authority();
  }
  CHECK(l.connect(address("icap://" + gone + "/x"), 10s) == errc::icap_connect_refused);
}

TEST_CASE("connector: each new connection begins with another address, and tries all of them") {
  loop l;
  tcp_listener one("127.0.0.2"), two("127.0.0.3", one.port());
  l.server.set("scan.test", {test::dns_address("127.0.0.2", 60), test::dns_address("127.0.0.3", 60),
                             test::dns_address("127.0.0.4", 60)});
  proxy::connector to(l.all, l.names,
                      address("icap://" + one.authority("scan.test") + "/x"), nullptr, 10s,
                      reasons);
  for (int i = 0; i < 6; ++i) CHECK(l.connect(to) == errc::complete);
  // Where nobody listens on the third, the first one has its share as well.
  CHECK(one.waiting() == 4);
  CHECK(two.waiting() == 2);
  CHECK(l.counted.lookups.value() == 1);
}

TEST_CASE("connector: hosts and ports of a service come from DNS") {
  tcp_listener peer;
  loop l;
  l.server.set("_icap._tcp.scan.test", {test::dns_service(0, 0, 1, "nobody.test", 60),
                                        test::dns_service(1, 0, peer.port(), "scan1.test", 60)});
  l.server.set("scan1.test", {test::dns_address("127.0.0.1", 60)});
  const auto to = address("icap+srv://_icap._tcp.scan.test/x");
  CHECK(l.connect(to, 10s) == errc::complete);
  proxy::connector all(l.all, l.names, to, nullptr, 10s, reasons);
  const auto found = test::run(l.context, l.all, all.addresses());
  REQUIRE(found.size() == 1);
  CHECK(found[0].port() == peer.port());
  CHECK(l.connect(address("icap+srv://_icap._tcp.nobody.test/x"), 10s) ==
        errc::icap_resolve_failed);
  // What is promised is kept.
  CHECK(l.connect(address("icaps+srv://_icap._tcp.scan.test/x"), 10s) == errc::icap_tls_failed);
}

TEST_CASE("connector: a service's certificate is for the URL's host, not for one that DNS names") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  tcp_listener peer;
  loop l;
  l.server.set("host.test", {test::dns_address("127.0.0.1", 60)});
  l.server.set("scanner.test", {test::dns_address("127.0.0.1", 60)});
  const auto attempt = [&](const std::string& service, std::string_view target) {
    l.server.set(service, {test::dns_service(0, 0, peer.port(), target, 60)});
    std::thread other([&] {
      const int socket = peer.accept();
      server.play(socket, [](SSL*) {}).join();
      ::close(socket);
    });
    const auto to = address("icaps+srv://" + service + "/x");
    const auto end = l.connect(to, 10s, proxy::tls_for(to, world.settings));
    other.join();
    return end;
  };
  CHECK(attempt("_icap._tcp.scanner.test", "host.test") == errc::complete);
  CHECK(attempt("_icap._tcp.host.test", "scanner.test") == errc::icap_tls_certificate);
}

TEST_CASE("connector: TLS is part of connecting, with its own reasons and the same timeout") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  tcp_listener peer;
  loop l;
  const auto to = address("icaps://" + peer.authority() + "/x");
  const auto attempt = [&](const std::string& name) {
    std::thread other([&] {
      const int socket = peer.accept();
      server.play(socket, [](SSL*) {}).join();
      ::close(socket);
    });
    const auto end = l.connect(to, 10s, world.client(name));
    other.join();
    return end;
  };
  CHECK(attempt("127.0.0.1") == errc::complete);
  CHECK(attempt("127.0.0.9") == errc::icap_tls_certificate);
  {
    tcp_listener plain;
    const auto without = address("icaps://" + plain.authority() + "/x");
    CHECK(l.connect(without, 10s) == errc::icap_tls_failed);
  }
  // The kernel takes the connection; nobody answers.
  CHECK(l.connect(to, 1ms, world.client("127.0.0.1")) == errc::icap_connect_timeout);
  std::thread other([&] {
    ::close(peer.accept());  // that of the attempt before
    ::close(peer.accept());
  });
  CHECK(l.connect(to, 10s, world.client("127.0.0.1")) == errc::icap_tls_failed);
  other.join();
}
