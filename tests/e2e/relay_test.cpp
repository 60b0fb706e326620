// Bodies that are relayed unscanned, as they come: every byte of them, and nothing in place of what
// is missing.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>
#include <filesystem>
#include <thread>

using namespace e2e;

namespace {

namespace fs = std::filesystem;

constexpr auto client_idle = "ICAPGATE_CLIENT__TIMEOUT__IDLE";

gate_settings unscanned(std::map<std::string, std::string> env = {}) {
  return {.env = std::move(env), .config = "[policy]\nmode = \"off\"\n"};
}

std::string body_of(std::size_t size) {
  static const auto largest = noise(20'000'000);
  return largest.substr(0, size);
}

std::string name(framing form) {
  return form == framing::length ? "length" : form == framing::chunked ? "chunked" : "close";
}

// What the access lines count is what the clients got, head and framing with it.
void check_counts(stage& on, const std::vector<std::uint64_t>& received) {
  const auto lines = on.icapgate.lines(received.size());
  for (std::size_t i = 0; i < received.size(); ++i) {
    INFO(lines.at(i).text("target"));
    CHECK(lines.at(i).number("bytes_out") == static_cast<double>(received[i]));
    CHECK(lines.at(i).text("reason") == "complete");
  }
}

// Sends what stands behind a moment only then.
origin_peer::script in_two(const std::string& wire, std::size_t first, const happening& rest) {
  return [=, &rest](connection& to, const origin_request&) {
    to.write(std::string_view(wire).substr(0, first));
    rest.wait();
    to.write(std::string_view(wire).substr(first));
  };
}

// So many bytes of a body, of a response that promises more; then `end`.
origin_peer::script broken(framing form, std::size_t size, void (connection::*end)()) {
  return [=](connection& to, const origin_request&) {
    auto head = "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n";
    if (form == framing::close) head = "HTTP/1.0 200 OK\r\n\r\n";
    to.write(head + body_of(size));
    // What the gateway has not taken would be lost with a reset.
    to.wait_taken();
    (to.*end)();
  };
}

// A body that does not end by itself, until the gateway has left.
origin_peer::script endless(happening& left) {
  return [&left](connection& to, const origin_request&) {
    const auto block = body_of(1 << 20);
    try {
      to.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n");
      for (;;) to.write(block);
    } catch (const peer_gone&) {
      left.tell();
    }
    to.close();
  };
}

std::size_t pipes_of(pid_t id) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(id) + "/fd")) {
    std::error_code gone;
    if (fs::read_symlink(entry.path(), gone).string().starts_with("pipe:")) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("relay: bodies of 0 B to 20 MB in every framing arrive byte for byte, and are counted") {
  stage on(unscanned());
  std::vector<std::uint64_t> received;
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    auto client = on.client();
    for (const std::size_t size : {0, 1, 15'000, 16'384, 16'385, 49'000, 65'536, 100'000, 262'144,
                                   262'145, 1'000'000, 3'000'001, 20'000'000}) {
      const auto target = "/" + name(form) + "/" + std::to_string(size);
      INFO(target);
      on.origin.when(target, {.body = body_of(size), .form = form, .chunks = {.size = 30'000}});
      const auto before = client.wire().received();
      const auto got = client.get(target);
      CHECK(got.status == 200);
      CHECK(got.whole());
      CHECK(difference(got.body, body_of(size)) == "");
      received.push_back(client.wire().received() - before);
    }
  }
  check_counts(on, received);
  // A connection is used again, whatever way a body took, until a body ends with it.
  CHECK(on.origin.connections() == 13);
  CHECK(on.scanner.scans().empty());
}

TEST_CASE("relay: to a client of version 1.0 the end of the connection is the end of the body") {
  stage on(unscanned());
  std::vector<std::uint64_t> received;
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    for (const std::size_t size : {0, 100, 100'000, 5'000'000}) {
      const auto target = "/" + name(form) + "/" + std::to_string(size);
      INFO(target);
      on.origin.when(target, {.body = body_of(size), .form = form});
      auto client = on.client();
      client.wire().write("GET " + target + " HTTP/1.0\r\nHost: a\r\n\r\n");
      const auto got = client.receive();
      CHECK(got.whole());
      CHECK(difference(got.body, body_of(size)) == "");
      CHECK(client.ended());
      received.push_back(client.wire().received());
    }
  }
  check_counts(on, received);
}

TEST_CASE("relay: a body that pauses anywhere goes on, and what came before the pause is there") {
  stage on(unscanned());
  const auto body = body_of(400'000);
  const auto wire = response_text{.body = body}.wire();
  const auto head = wire.size() - body.size();
  for (const std::size_t first : {head, head + 1, head + 20'000, head + 300'000, wire.size() - 1}) {
    INFO(first);
    happening rest;
    on.origin.when("/a", in_two(wire, first, rest));
    auto client = on.client();
    client.send("GET", "/a");
    const auto begin = client.wire().read_until("\r\n\r\n");
    CHECK(client.wire().read_exact(first - head) == body.substr(0, first - head));
    rest.tell();
    CHECK(difference(client.wire().read_exact(wire.size() - first), body.substr(first - head)) ==
          "");
  }
}

TEST_CASE("relay: bytes behind a body are nobody's response") {
  for (const std::size_t size : {100, 300'000}) {
    stage on(unscanned());
    const auto wire = response_text{.body = body_of(size)}.wire();
    on.origin.when("/a", [&](connection& to, const origin_request&) {
      to.write(wire + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    });
    on.origin.when("/b", {.body = "a body"});
    auto client = on.client();
    CHECK(difference(client.get("/a").body, body_of(size)) == "");
    CHECK(client.get("/b").body == "a body");
    CHECK(on.origin.connections() == 2);
  }
}

TEST_CASE("relay: a body whose origin dies in the middle ends as a cut connection") {
  stage on(unscanned());
  const auto fin = &connection::close;
  const auto rst = &connection::reset;
  const struct {
    framing form;
    void (connection::*end)();
    std::string reason;
  } all[] = {{framing::length, fin, "origin_body_eof"},
             {framing::length, rst, "origin_body_reset"},
             {framing::close, rst, "origin_body_reset"}};
  std::vector<std::string> reasons;
  for (const auto& one : all) {
    for (const std::size_t size : {1000, 40'000, 2'000'000}) {
      for (const std::string version : {"1.0", "1.1"}) {
        INFO(name(one.form) << " " << one.reason << " " << size << " " << version);
        on.origin.when("/a", broken(one.form, size, one.end));
        auto client = on.client();
        client.wire().write("GET /a HTTP/" + version + "\r\nHost: a\r\n\r\n");
        CHECK(client.receive().end == response::ending::cut);
        reasons.push_back(one.reason);
      }
    }
  }
  const auto lines = on.icapgate.lines(reasons.size());
  for (std::size_t i = 0; i < reasons.size(); ++i) CHECK(lines.at(i).text("reason") == reasons[i]);
}

TEST_CASE("relay: a client that stops reading is ended, and its origin with it") {
  happening left;
  stage on(unscanned({{client_idle, "300ms"}}));
  on.origin.when("/endless", endless(left));
  auto client = on.client();
  client.send("GET", "/endless");
  client.wire().read_exact(1'000'000);
  left.wait();
  CHECK(on.icapgate.line().text("reason") == "client_write_timeout");
  CHECK(on.icapgate.line().number("bytes_out") >= 1'000'000);
}

TEST_CASE("relay: a client that leaves in the middle ends its own transfer and leaves no pipe") {
  happening left_by_reset;
  happening left_by_end;
  stage on(unscanned());
  on.origin.when("/reset", endless(left_by_reset));
  on.origin.when("/end", endless(left_by_end));
  on.origin.when("/a", {.body = body_of(1'000'000)});
  for (const bool reset : {true, false}) {
    INFO(reset);
    auto client = on.client();
    client.send("GET", reset ? "/reset" : "/end");
    client.wire().read_exact(1'000'000);
    reset ? client.wire().reset() : client.wire().close();
    (reset ? left_by_reset : left_by_end).wait();
  }
  for (const auto& line : on.icapgate.lines(2)) CHECK(line.text("reason").starts_with("client_"));
  CHECK(difference(on.get("/a").body, body_of(1'000'000)) == "");
  wait_until("few pipes are left", [&] { return pipes_of(on.icapgate.id()) <= 2 * 4 + 4; });
}

TEST_CASE("relay: more transfers at once than there are pipes come to a good end") {
  stage on(unscanned());
  const auto body = body_of(3'000'000);
  on.origin.when("/a", {.body = body});
  std::vector<http_client> clients;
  for (int i = 0; i < 80; ++i) {
    clients.push_back(on.client());
    clients.back().send("GET", "/a");
  }
  for (auto& client : clients) client.wire().wait_for_more();
  for (auto& client : clients) CHECK(difference(client.receive().body, body) == "");
}
