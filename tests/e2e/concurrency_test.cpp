// Many at once, and both directions at once.
#include "kit/held_scans.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

std::string body_of(int client, int round) {
  return "client " + std::to_string(client) + " round " + std::to_string(round) + "\n" +
         noise(static_cast<std::size_t>(client * 997 + round * 4001),
               static_cast<unsigned>(client * 10 + round));
}

std::string page_of(const std::string& url) {
  return "<p>blocked: " + url + "</p>";
}

bool is_bad(int client, int round) {
  return (client + round) % 5 == 0;
}

std::string target(int client, int round) {
  return "/" + std::to_string(client) + "/" + std::to_string(round) +
         (is_bad(client, round) ? "/bad" : "/good");
}

// What was wrong with one client's rounds.
std::string play_client(std::uint16_t port, int number, int rounds) {
  std::string wrong;
  try {
    http_client client(port);
    for (int round = 0; round < rounds; ++round) {
      const auto path = target(number, round);
      const auto got = client.get(path);
      const auto expected =
          is_bad(number, round) ? page_of("http://shop.example" + path) : body_of(number, round);
      const auto differs = difference(got.body, expected);
      if (differs != "") wrong += path + ": " + differs + "\n";
    }
  } catch (const std::exception& error) {
    wrong += "client " + std::to_string(number) + ": " + error.what() + "\n";
  }
  return wrong;
}

void check_crowd(unsigned workers) {
  constexpr int clients = 50;
  constexpr int rounds = 6;
  stage on({.workers = workers});
  for (int client = 0; client < clients; ++client) {
    for (int round = 0; round < rounds; ++round) {
      on.origin.when(target(client, round), {.body = body_of(client, round),
                                             .form = static_cast<framing>((client + round) % 3)});
    }
  }
  on.scanner.play([](exchange& with) {
    with.body();
    const auto url = with.seen().request.second;
    with.answer(url.ends_with("/bad") ? adapted("HTTP/1.1 403 Forbidden\r\n\r\n", page_of(url),
                                                {{"X-Infection-Found", std::string(infection)}})
                                      : no_modification());
  });
  std::vector<std::string> wrong(clients);
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] {
      wrong[static_cast<std::size_t>(i)] = play_client(on.icapgate.port(), i, rounds);
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& text : wrong) CHECK(text == "");
  for (const auto& scan : on.scanner.scans()) {
    const auto path = scan.request.second.substr(std::string("http://shop.example").size());
    const auto slash = path.find('/', 1);
    CHECK(difference(scan.body,
                     body_of(std::stoi(path.substr(1)), std::stoi(path.substr(slash + 1)))) == "");
  }
  CHECK(on.icapgate.lines(clients * rounds).size() == clients * rounds);
}

}  // namespace

TEST_CASE("concurrency: 50 clients at once get each their own body on one worker") {
  check_crowd(1);
}

TEST_CASE("concurrency: 50 clients at once get each their own body on two workers") {
  check_crowd(2);
}

TEST_CASE("concurrency: a scan that waits holds up nobody else") {
  stage on;
  on.origin.when("/slow", {.body = "slow"});
  on.origin.when("/quick", {.body = "quick"});
  held_scans held(on.scanner, no_modification(), "/slow");
  auto waiting = on.client();
  waiting.send("GET", "/slow");
  for (int i = 0; i < 5; ++i) CHECK(on.get("/quick").body == "quick");
  held.decide();
  CHECK(waiting.receive().body == "slow");
}

TEST_CASE("concurrency: an early answer to a large body is not kept waiting by the rest of it") {
  happening delivered;
  stage on;
  on.origin.when("/large", {.body = noise(20'000'000), .form = framing::chunked});
  on.scanner.play([&](exchange& with) {
    with.next();
    with.answer(block_page());
    delivered.wait();  // and nothing more is read
  });
  const auto got = on.get("/large");
  CHECK(got.status == 403);
  CHECK(got.body == page_body());
  delivered.tell();
}

TEST_CASE("concurrency: an early 204 delivers the whole body") {
  happening delivered;
  stage on;
  on.origin.when("/large", {.body = noise(20'000'000), .form = framing::chunked});
  on.scanner.play([&](exchange& with) {
    with.next();
    with.answer(no_modification());
    delivered.wait();
  });
  const auto got = on.get("/large");
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(difference(got.body, noise(20'000'000)) == "");
  delivered.tell();
}

TEST_CASE("concurrency: a scanner that answers while it reads does not deadlock with 20 MB") {
  stage on;
  on.origin.when("/large", {.body = noise(20'000'000)});
  on.scanner.play([](exchange& with) {
    const std::string head = "HTTP/1.1 200 OK\r\nX-Adapted: yes\r\n\r\n";
    with.answer("ICAP/1.0 200 OK\r\nISTag: \"play-1\"\r\nEncapsulated: res-hdr=0, res-body=" +
                std::to_string(head.size()) + "\r\n\r\n" + head);
    for (auto part = with.next(); !part.empty(); part = with.next()) {
      const auto piece = chunked(part, {.size = part.size()});
      with.answer(std::string_view(piece).substr(0, piece.size() - 5));
    }
    with.answer("0\r\n\r\n");
  });
  const auto got = on.get("/large");
  CHECK(got.status == 200);
  CHECK(value(got.fields(), "X-Adapted") == "yes");
  CHECK(got.whole());
  CHECK(difference(got.body, noise(20'000'000)) == "");
}

TEST_CASE("concurrency: a client that reads slowly gets all of 20 MB") {
  stage on;
  on.origin.when("/large", {.body = noise(20'000'000), .form = framing::chunked});
  auto other = on.client();
  on.origin.when("/small", {.body = "small"});
  auto client = on.client();
  client.send("GET", "/large");
  client.wire().wait_for_more();  // its first bytes are there; now others are served
  for (int i = 0; i < 20; ++i) CHECK(other.get("/small").body == "small");
  CHECK(difference(client.receive().body, noise(20'000'000)) == "");
}

TEST_CASE("concurrency: a client that sends requests ahead without end keeps nobody waiting") {
  stage on({.workers = 1});
  on.origin.when("/other", {.body = "other"});
  const std::string request = "OPTIONS * HTTP/1.1\r\nHost: shop.example\r\nMax-Forwards: 0\r\n\r\n";
  std::string many;
  while (many.size() < 60'000) many += request;
  std::atomic<bool> stop{false};
  happening begun;
  std::thread ahead([&] {
    auto wire = connection::to(on.icapgate.port());
    wire.write(request);
    const auto size = wire.read_until("\r\n\r\n").size();
    const auto answers = many.size() / request.size() * size;
    for (int i = 0; i < 3; ++i) wire.write(many);
    begun.tell();
    // More is there than is answered, all the time.
    while (!stop) {
      wire.read_exact(answers);
      wire.write(many);
    }
  });
  begun.wait();
  std::string got;
  try {
    got = on.get("/other").body;
  } catch (const timed_out& error) {
    got = error.what();
  }
  stop = true;
  ahead.join();
  CHECK(got == "other");
}
