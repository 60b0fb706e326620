// What one request may take: time in all, and of whom it is waited for, a rate.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <string>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>

using namespace e2e;

namespace {

constexpr auto request_time = "ICAPGATE_CLIENT__TIMEOUT__REQUEST";
constexpr auto origin_min_rate = "ICAPGATE_ORIGIN__MIN_RATE";
constexpr auto unscanned_mode = "ICAPGATE_MODE";
// Above the 30 s over which a rate is measured, below the minute after which a peer is idle.
constexpr auto soon = 45s;

// What the gateway's end of the connection does is told.
origin_peer::script stalled(happening& left, std::string begin = {}) {
  return [&left, begin](connection& to, const origin_request&) {
    to.write(begin);
    try {
      to.read_to_end();
    } catch (const was_reset&) {
    }
    left.tell();
    to.close();
  };
}

// A little now and then, for ever: far below 500 bytes a second.
origin_peer::script dripping(std::string begin) {
  return [begin](connection& to, const origin_request&) {
    to.write(begin);
    do {
      to.write("drip");
    } while (to.is_quiet(250ms));
    to.close();
  };
}

// A client whose system keeps nothing for it that could be seen from outside.
connection thin_connection(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int room = 2048;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  return connection(fd);
}

// The reason in the newest line of that target; "" where there is none.
std::string reason_of(stage& on, std::string_view target) {
  std::string found;
  for (const auto& line : on.icapgate.lines(0))
    if (line.text("target") == target) found = line.text("reason");
  return found;
}

// Asks and reads `bytes` at a time, eight times a second, until the gateway has ended it or for so
// long. The reason that it had, or "".
std::string read_slowly(stage& on, const std::string& target, std::size_t bytes) {
  const auto until = std::chrono::steady_clock::now() + soon;
  auto wire = thin_connection(on.icapgate.port());
  wire.write("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
  while (reason_of(on, target).empty() && std::chrono::steady_clock::now() < until) {
    wire.read_some(bytes);
    std::this_thread::sleep_for(125ms);  // the client's pace
  }
  return reason_of(on, target);
}

}  // namespace

// --- the time of a request in all

TEST_CASE(
    "limits: a request that an origin holds up ends with its time, and the client is served") {
  happening left;
  stage on({.env = {{request_time, "300ms"}}});
  on.origin.when("/slow", stalled(left));
  on.origin.when("/a", {.body = "text"});
  auto client = on.client();
  const auto got = client.get("/slow");
  CHECK(got.status == 504);
  CHECK(got.whole());
  left.wait();
  CHECK(on.icapgate.line().text("reason") == "client_request_timeout");
  CHECK(on.icapgate.line().number("status") == 504);
  // The time of the next one begins with it.
  CHECK(client.wire().is_quiet(500ms));
  CHECK(client.get("/a").body == "text");
  CHECK(metric(on, "transactions_total{reason=\"client_request_timeout\"}") == 1);
}

TEST_CASE("limits: a request that a scanner holds up ends with its time, and nothing leaks") {
  happening left;
  stage on({.env = {{request_time, "300ms"}}});
  on.origin.when("/a", {.body = "held back"});
  on.scanner.play([&](exchange& with) {
    with.body();
    try {
      with.wire().read_to_end();
    } catch (const was_reset&) {
    }
    left.tell();
    with.wire().close();
    throw peer_gone("the gateway left");
  });
  const auto got = on.get("/a");
  CHECK(got.status == 504);
  CHECK(got.body.find("held back") == std::string::npos);
  left.wait();
  CHECK(on.last_line().text("reason") == "client_request_timeout");
}

TEST_CASE("limits: a response that takes longer than its request may is cut") {
  stage on({.env = {{request_time, "300ms"}, {unscanned_mode, "off"}}});
  on.origin.when("/drip", dripping("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"));
  auto client = on.client();
  const auto got = client.get("/drip");
  CHECK(got.status == 200);
  CHECK_FALSE(got.whole());
  CHECK(on.icapgate.line().text("reason") == "client_request_timeout");
}

TEST_CASE("limits: an upload that takes longer than a request may is answered, and ended") {
  stage on({.env = {{request_time, "300ms"}}});
  auto client = on.client();
  client.send("POST", "/upload", {{"Content-Length", "1000000"}}, "a beginning");
  const auto got = client.receive();
  CHECK(got.status == 504);
  CHECK(value(got.fields(), "Connection") == "close");
  CHECK(client.ended());
  CHECK(on.icapgate.line().text("reason") == "client_request_timeout");
}

TEST_CASE("limits: tunnels and event streams have no end that would come too late") {
  happening had_it;
  stage on({.env = {{request_time, "300ms"}},
            .config = "[[policy.rule]]\nreason = \"live\"\npath = [\"/events\", \"/socket\"]\n"
                      "event_stream = true\nupgrade = true\n"});
  on.origin.when("/events", [&](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\none");
    had_it.wait();
    to.write("two");
    to.close();
  });
  on.origin.when("/socket", [](connection& to, const origin_request&) {
    to.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    to.write(to.read_exact(4));
    to.close();
  });
  auto socket = on.client();
  socket.send("GET", "/socket", {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}});
  socket.wire().read_until("\r\n\r\n");
  auto events = on.client();
  events.send("GET", "/events", {{"Accept", "text/event-stream"}});
  events.wire().read_until("one\r\n");
  CHECK(events.wire().is_quiet(1s));
  had_it.tell();
  CHECK(events.wire().read_until("two").ends_with("two"));
  socket.wire().write("ping");
  CHECK(socket.wire().read_exact(4) == "ping");
}

// --- slow peers

TEST_CASE(
    "limits: clients that send or read too slowly are ended, those that are fast enough not") {
  stage on({.config = "[[policy.rule]]\nreason = \"open\"\npath = \"/open\"\nmode = \"off\"\n"});
  on.origin.when("/upload", {.body = "never"});
  on.origin.when("/slow", {.body = noise(8'000'000)});
  // Nobody takes it from the origin faster than the client does.
  on.origin.when("/open", [](connection& to, const origin_request&) {
    try {
      to.write(response_text{.body = noise(8'000'000)}.wire());
    } catch (const std::runtime_error&) {
    }
    to.close();
  });
  on.origin.when("/enough", {.body = noise(8'000'000)});
  int uploaded = 0;
  std::thread upload([&] {
    auto client = on.client();
    client.send("POST", "/upload", {{"Content-Length", "1000000"}}, "a");
    while (client.wire().is_quiet(250ms)) client.wire().write("b");
    uploaded = client.receive().status;
  });
  std::string enough;
  std::thread reader([&] { enough = read_slowly(on, "/enough", 1024); });
  std::string open;
  std::thread unscanned([&] { open = read_slowly(on, "/open", 10); });
  CHECK(read_slowly(on, "/slow", 10) == "client_too_slow");
  upload.join();
  reader.join();
  unscanned.join();
  CHECK(enough == "");
  CHECK(open == "client_too_slow");
  CHECK(uploaded == 408);
  CHECK(reason_of(on, "/upload") == "client_too_slow");
}

TEST_CASE("limits: an origin below the rate that is asked of it is ended, scanned or not") {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
  stage on({.env = {{origin_min_rate, "500"}},
            .config = "[[policy.rule]]\nreason = \"open\"\npath = \"/open\"\nmode = \"off\"\n"});
  on.origin.when("/held", dripping(head));
  on.origin.when("/open", dripping(head));
  auto held = on.client();
  held.send("GET", "/held");
  auto open = on.client();
  open.send("GET", "/open");
  CHECK_FALSE(open.receive().whole());
  const auto got = held.receive();
  CHECK(got.status == 504);
  CHECK(got.body.find("drip") == std::string::npos);
  CHECK(on.icapgate.lines(2).size() == 2);
  CHECK(reason_of(on, "/held") == "origin_too_slow");
  CHECK(reason_of(on, "/open") == "origin_too_slow");
}
