// ICAP connections: used again where both halves ended well, and only there.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <map>
#include <random>
#include <set>

using namespace e2e;

namespace {

std::string target(int number) {
  return "/" + std::to_string(number);
}

std::string body_of(int number) {
  static constexpr std::size_t sizes[] = {1, 500, 20'000, 200'000, 1'000'000};
  return noise(sizes[number % 5], static_cast<unsigned>(number));
}

}  // namespace

TEST_CASE("pool: two scans go over one ICAP connection") {
  stage on;
  on.origin.when("/a", {.body = noise(100'000), .form = framing::chunked});
  on.origin.when("/b", {.body = "small"});
  CHECK(on.get("/a").status == 200);
  CHECK(on.get("/b").status == 200);
  const auto scans = on.scanner.scans();
  REQUIRE(scans.size() == 2);
  CHECK(scans[0].connection == scans[1].connection);
  CHECK(scans[1].order == 1);
}

TEST_CASE("pool: pages and adapted responses leave the connection usable") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  for (const auto& answer :
       {block_page(), adapted("HTTP/1.1 200 OK\r\n\r\n", noise(100'000)), no_modification()}) {
    on.scanner.always(answer);
    on.get("/a");
  }
  const auto scans = on.scanner.scans();
  REQUIRE(scans.size() == 3);
  CHECK(scans[2].connection == scans[0].connection);
  CHECK(scans[2].order == 2);
}

TEST_CASE("pool: a scanner that closes idle connections at random costs no client an error") {
  std::minstd_rand dice(42);
  std::mutex guard;
  stage on;
  on.scanner.play([&](exchange& with) {
    unsigned roll = 0;
    {
      const std::lock_guard lock(guard);
      roll = static_cast<unsigned>(dice()) % 6;
    }
    // A used connection that ends before a byte of the answer: the gateway could not know it.
    if (with.seen().order > 0 && roll == 0) return with.wire().close();
    if (with.seen().order > 0 && roll == 1) return with.wire().reset();
    with.body();
    if (with.seen().order > 0 && roll == 2) return with.wire().close();
    with.answer(no_modification());
    if (roll == 3) with.wire().close();
    if (roll == 4) with.wire().reset();
  });
  auto client = on.client();
  for (int i = 0; i < 200; ++i) {
    on.origin.when(target(i), {.body = body_of(i), .form = framing::chunked});
    const auto got = client.get(target(i));
    INFO(i);
    CHECK(got.status == 200);
    CHECK(difference(got.body, body_of(i)) == "");
  }
  for (const auto& line : on.icapgate.lines(200)) CHECK(line.text("verdict") == "clean");
}

TEST_CASE("pool: a fresh connection that dies is an error and not tried for ever") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  on.scanner.play([](exchange& with) { with.wire().close(); });
  CHECK(on.get("/a").status == 503);
  CHECK(on.scanner.scans().size() <= 2);
}

TEST_CASE("pool: a connection is not used again after an early answer") {
  happening delivered;
  stage on;
  // More than sockets hold, and of no known length: that would be spooled before.
  on.origin.when("/large", {.body = noise(20'000'000), .form = framing::chunked});
  on.origin.when("/small", {.body = "small"});
  on.scanner.play([&](exchange& with) {
    with.next();
    with.answer(block_page());
    delivered.wait();
    with.body();  // whatever of it still comes
  });
  auto client = on.client();
  CHECK(client.get("/large").body == page_body());
  on.scanner.always(no_modification());
  CHECK(client.get("/small").body == "small");
  const auto early = on.scanner.scan_of("/large");
  const auto next = on.scanner.scan_of("/small");
  CHECK(next.connection != early.connection);
  CHECK(next.body == "small");
  delivered.tell();
}

TEST_CASE("pool: a connection is not used again where the scanner wants it closed") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  auto answer = no_modification();
  answer.replace(answer.find("keep-alive"), 10, "close");
  on.scanner.always(answer);
  for (int i = 0; i < 3; ++i) CHECK(on.get("/a").status == 200);
  std::set<int> connections;
  for (const auto& scan : on.scanner.scans()) connections.insert(scan.connection);
  CHECK(connections.size() == 3);
}

TEST_CASE("pool: an answer that nobody asked for is not taken for the next one") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  on.origin.when("/b", {.body = "harmful"});
  on.scanner.always(no_modification() + no_modification());
  on.get("/a");
  on.scanner.always(block_page());
  const auto got = on.get("/b");
  CHECK(got.status == 403);
  CHECK(got.body == page_body());
}

TEST_CASE("pool: more clients than connections to the scanner wait for their turn") {
  stage on({.env = {{setting::scanner_connections, "2"}}});
  std::vector<http_client> clients;
  for (int i = 0; i < 10; ++i) {
    on.origin.when(target(i), {.body = body_of(i)});
    clients.push_back(on.client());
    clients.back().send("GET", target(i));
  }
  for (int i = 0; i < 10; ++i) {
    const auto got = clients[static_cast<std::size_t>(i)].receive();
    CHECK(got.status == 200);
    CHECK(difference(got.body, body_of(i)) == "");
  }
  std::set<int> connections;
  for (const auto& scan : on.scanner.scans()) connections.insert(scan.connection);
  CHECK(connections.size() <= 2);
}

TEST_CASE("pool: with one of two scanners dead the other one serves") {
  const reserved_port nobody;
  icap_peer living;
  stage on({.scanners = {nobody.number(), living.port()}});
  auto client = on.client();
  for (int i = 0; i < 5; ++i) {
    on.origin.when(target(i), {.body = body_of(i)});
    const auto got = client.get(target(i));
    CHECK(got.status == 200);
    CHECK(difference(got.body, body_of(i)) == "");
  }
  CHECK(living.scans().size() == 5);
}

TEST_CASE("pool: an origin that closes idle connections costs no client an error") {
  std::map<int, int> served;
  stage on;
  on.origin.when("/a", [&](connection& to, const origin_request& request) {
    if (served[request.connection]++ > 0) return to.close();
    to.write(response_text{.body = "a body"}.wire());
  });
  auto client = on.client();
  for (int i = 0; i < 50; ++i) {
    const auto got = client.get("/a");
    CHECK(got.status == 200);
    CHECK(got.body == "a body");
  }
}

TEST_CASE("pool: a request that is not idempotent is never sent twice") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  on.origin.when("/order", [](connection& to, const origin_request&) { to.close(); });
  auto client = on.client();
  CHECK(client.get("/a").status == 200);
  const auto got = client.request("POST", "/order", {{"Content-Length", "1"}}, "1");
  CHECK(got.status == 502);
  const auto asked = on.origin.requests();
  CHECK(std::count_if(asked.begin(), asked.end(),
                      [](const auto& request) { return request.target == "/order"; }) == 1);
}

namespace {

int scans_apart(const icap_peer& scanner) {
  return scanner.connections() - scanner.options_asked() -
         static_cast<int>(scanner.canaries().size());
}

void wait_for_warm(const icap_peer& scanner, int number) {
  wait_until(std::to_string(number) + " warm connections",
             [&] { return scanner.options_asked() > 0 && scans_apart(scanner) == number; });
}

}  // namespace

TEST_CASE("pool: warm connections are open before the first request, which opens none") {
  for (const unsigned workers : {1u, 2u}) {
    stage on({.workers = workers, .env = {{setting::scanner_warm, "4"}}});
    on.origin.when("/a", {.body = "a body"});
    wait_for_warm(on.scanner, 4);
    for (int i = 0; i < 10; ++i) CHECK(on.get("/a").body == "a body");
    CHECK(scans_apart(on.scanner) == 4);
  }
}

TEST_CASE("pool: a warm connection that is gone is replaced without a request") {
  stage on({.env = {{setting::scanner_warm, "2"}}});
  on.origin.when("/a", {.body = "a body"});
  wait_for_warm(on.scanner, 2);
  on.scanner.play([](exchange& with) {
    with.body();
    with.answer(no_modification());
    with.wire().close();
  });
  CHECK(on.get("/a").body == "a body");
  wait_for_warm(on.scanner, 3);
}

TEST_CASE("pool: no warm connections beyond the scanner's limit, nor to one that stands by") {
  icap_peer standby;
  stage on({.env = {{setting::scanner_warm, "9"},
                    {setting::scanner_connections, "3"},
                    {setting::scanner_standby,
                     "icap://127.0.0.1:" + std::to_string(standby.port()) + "/avscan"}}});
  on.origin.when("/a", {.body = "a body"});
  wait_for_warm(on.scanner, 3);
  for (int i = 0; i < 5; ++i) CHECK(on.get("/a").body == "a body");
  CHECK(scans_apart(on.scanner) == 3);
  CHECK(scans_apart(standby) == 0);
}

TEST_CASE("pool: a scanner that has to prove itself gets warm connections when it did") {
  std::atomic<bool> detects = false;
  stage on({.env = {{setting::scanner_warm, "2"}, {setting::canary_interval, "1s"}},
            .canary = "enforce"});
  on.scanner.on_canary([&](exchange& with) {
    const bool eicar = with.body().find("EICAR") != std::string::npos;
    with.answer(eicar && detects ? block_page() : no_modification());
  });
  // The interval lies between: more than long enough for a tick.
  wait_until("two canaries", [&] { return on.scanner.canaries().size() >= 2; });
  CHECK(scans_apart(on.scanner) <= 0);
  detects = true;
  wait_for_warm(on.scanner, 2);
}

TEST_CASE("pool: a scanner of one exchange for each connection gets no warm ones") {
  stage on({.env = {{setting::scanner_warm, "2"},
                    {setting::scanner_vendor, "fortisandbox"},
                    {setting::options_min, "1s"}}},
           {.options = options_answer({{"Options-TTL", "1"}})});
  on.origin.when("/a", {.body = "a body"});
  wait_until("time has passed", [&] { return on.scanner.options_asked() >= 2; });
  CHECK(on.get("/a").body == "a body");
  CHECK(scans_apart(on.scanner) <= 1);
}

TEST_CASE("pool: a warm connection that is being opened does not hold up the end") {
  // Accepts, and never says a word of TLS.
  server mute([](connection& wire, int) { wire.read_to_end(); });
  origin_peer origin;
  const auto scanner = "icaps://127.0.0.1:" + std::to_string(mute.port()) + "/avscan";
  const temporary_folder folder;
  const reserved_port port;
  process child(
      {ICAPGATE_BINARY, "--listen", "127.0.0.1:" + std::to_string(port.number()), "--origin",
       "http://127.0.0.1:" + std::to_string(origin.port()), "--icap", scanner, "--workers", "1"},
      folder.path() / "output", {{setting::scanner_warm, "1"}, {setting::scanner_connect, "10m"}});
  wait_until("OPTIONS and the warm one", [&] { return mute.connections() == 2; });
  child.signal(SIGTERM);
  CHECK(child.wait(10s) == 0);
}
