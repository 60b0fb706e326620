#include "proxy/connector.hpp"

#include "catch.hpp"
#include "proxy/tls.hpp"
#include "tls_kit.hpp"
#include "wire.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <dlfcn.h>
#include <netdb.h>

namespace asio = boost::asio;
using namespace icapgate;
using namespace std::chrono_literals;
using proxy::task;

namespace {

// The system's resolver, which for the name "stuck.test" answers only when it is let go.
struct {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  int lookups = 0;
} resolver;

void hold_resolver() {
  const std::lock_guard lock(resolver.mutex);
  resolver.held = true;
  resolver.lookups = 0;
}

void let_resolver_go() {
  const std::lock_guard lock(resolver.mutex);
  resolver.held = false;
  resolver.changed.notify_all();
}

}  // namespace

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** found) noexcept(noexcept(::getaddrinfo(nullptr, nullptr,
                                                                             nullptr, nullptr))) {
  if (name && std::string_view(name) == "stuck.test") {
    std::unique_lock lock(resolver.mutex);
    ++resolver.lookups;
    resolver.changed.wait(lock, [] { return !resolver.held; });
    name = "127.0.0.1";
  }
  using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(name, service, hints, found);
}

namespace {

constexpr proxy::connect_reasons reasons{errc::icap_resolve_failed, errc::icap_connect_refused,
                                         errc::icap_connect_timeout, errc::icap_connect_failed};

class loop {
 public:
  loop() : all(context, [] {}) {}

  errc connect(const url& to, proxy::milliseconds timeout,
               std::shared_ptr<proxy::tls_client> tls = nullptr) {
    proxy::connector one(context, all, to, std::move(tls), timeout, reasons);
    return test::run(context, all, attempt(one));
  }

  asio::io_context context{1};
  proxy::deadlines all;

 private:
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
  tcp_listener() : acceptor_(context_, {asio::ip::address_v4::loopback(), 0}) {}
  std::string authority(const std::string& host = "127.0.0.1") const {
    return host + ':' + std::to_string(acceptor_.local_endpoint().port());
  }
  int accept() { return acceptor_.accept().release(); }

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

TEST_CASE("connector: a name is looked up no longer than the timeout, though the system goes on") {
  tcp_listener peer;
  loop l;
  hold_resolver();
  proxy::connector one(l.context, l.all, address("icap://" + peer.authority("stuck.test") + "/x"),
                       nullptr, 1ms, reasons);
  const auto three_times = [&]() -> task<std::vector<errc>> {
    std::vector<errc> out;
    for (int i = 0; i < 3; ++i) {
      const auto made = co_await one.connect();
      out.push_back(made ? errc::complete : made.error());
    }
    let_resolver_go();
    co_return out;
  };
  // All of them wait for one look-up: a thread of the system's resolver is stuck already.
  const auto ends = test::run(l.context, l.all, three_times());
  CHECK(ends == std::vector(3, errc::icap_connect_timeout));
  CHECK(resolver.lookups == 1);
  const auto again = [&]() -> task<bool> {
    const auto made = co_await one.connect();
    co_return made.has_value();
  };
  CHECK(test::run(l.context, l.all, again()));
}

TEST_CASE("connector: a name that does not exist, a port that refuses") {
  loop l;
  CHECK(l.connect(address("icap://nobody.invalid/x"), 60s) == errc::icap_resolve_failed);
  std::string gone;
  {
    tcp_listener peer;
    gone = peer.authority();
  }
  CHECK(l.connect(address("icap://" + gone + "/x"), 10s) == errc::icap_connect_refused);
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
