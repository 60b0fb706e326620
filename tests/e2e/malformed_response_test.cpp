// Responses of an origin that two recipients could read in two ways: the client gets 502 and
// nothing of them, and the origin's connection is of no more use.
#include "data/malformed_responses.hpp"

#include "kit/stage.hpp"

#include "catch.hpp"

#include <atomic>

using namespace e2e;

namespace {

const std::vector<malformed::part>& table() {
  static const auto all = malformed::all_responses();
  return all;
}

// Writes it, and waits for the gateway to end the connection.
origin_peer::script one_answer(std::string text, std::size_t piece, std::atomic<int>& ended) {
  return [text = std::move(text), piece, &ended](connection& to, const origin_request&) {
    try {
      for (std::string_view rest = text; !rest.empty();
           rest.remove_prefix(std::min(piece, rest.size())))
        to.write(rest.substr(0, piece));
      if (!to.read_some().empty()) return;  // another request on it
    } catch (const was_reset&) {
    }
    ++ended;
    to.close();
  };
}

void check_all(std::size_t (*piece_of)(const std::string&)) {
  std::atomic<int> ended{0};
  stage on;
  on.origin.when("/good", {.body = "good"});
  auto client = on.client();
  int connections = 0;
  for (const auto& one : table()) {
    INFO(one.what);
    on.origin.when("/a", one_answer(one.text, piece_of(one.text), ended));
    const auto got = client.get("/a");
    CHECK(got.status == 502);
    CHECK(got.whole());
    CHECK(got.body.find("hello") == std::string::npos);
    ++connections;
    wait_until("the end of the origin's connection", [&] { return ended == connections; });
  }
  CHECK(on.origin.connections() == connections);
  CHECK(client.get("/good").body == "good");
}

}  // namespace

TEST_CASE("malformed responses: the client gets 502, and the origin's connection is closed") {
  REQUIRE(table().size() >= 60);
  check_all([](const std::string& text) { return text.size(); });
}

TEST_CASE("malformed responses: byte by byte, too") {
  check_all([](const std::string& text) { return std::size_t(text.size() > 3000 ? 61 : 1); });
}

TEST_CASE("malformed responses: what an origin sends behind its answer is nobody's answer") {
  const std::string evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
  const std::vector<std::string> answers{
      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
  };
  stage on;
  on.origin.when("/next", {.body = "next"});
  for (const auto& answer : answers) {
    CAPTURE(answer);
    for (const auto& behind : {evil, "\r\n" + evil, std::string("x"), std::string("\r\n")}) {
      on.origin.when("/a",
                     [&](connection& to, const origin_request&) { to.write(answer + behind); });
      auto client = on.client();
      CHECK(client.get("/a").body.find("evil") == std::string::npos);
      CHECK(client.get("/next").body == "next");
    }
  }
}
