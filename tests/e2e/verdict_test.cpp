// What the scanner gets to see, and what its word does.
#include "kit/held_scans.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>

using namespace e2e;

namespace {

const field_list secrets = {{"Set-Cookie", "session=1"},
                            {"ETag", "\"origin\""},
                            {"X-Origin-Only", "1"},
                            {"Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"},
                            {"Content-Disposition", "attachment"}};

void serve_secret(stage& on) {
  on.origin.when("/file", {.fields = secrets, .body = "a harmful body"});
}

void check_nothing_leaks(const response& got) {
  for (const auto& secret : secrets) {
    INFO(secret.name);
    CHECK_FALSE(has(got.fields(), secret.name));
  }
  CHECK(got.body.find("harmful body") == std::string::npos);
}

}  // namespace

TEST_CASE("verdict: a detection replaces the origin's response by the scanner's page") {
  stage on;
  serve_secret(on);
  on.scanner.always(block_page());
  auto client = on.client();
  const auto got = client.get("/file");
  CHECK(got.status == 403);
  CHECK(got.whole());
  CHECK(got.body == page_body());
  CHECK(value(got.fields(), "Content-Type") == "text/html");
  CHECK(value(got.fields(), "Content-Language") == "en");
  check_nothing_leaks(got);

  const auto line = on.icapgate.line();
  CHECK(line.text("verdict") == "blocked");
  CHECK(line.text("threat") == "Play.Virus");
  CHECK(line.text("reason") == "blocked");
  CHECK(line.number("status") == 403);
  CHECK(line.number("icap_status") == 200);

  // The page said "Connection: close" to the gateway, not to the client.
  on.scanner.always(no_modification());
  CHECK(client.get("/file").body == "a harmful body");
}

TEST_CASE("verdict: a detection counts in any case and in either head") {
  stage on;
  serve_secret(on);
  auto client = on.client();
  for (const std::string name : {"X-Infection-Found", "x-infection-found", "X-INFECTION-FOUND",
                                 "X-Violations-Found", "x-Violations-FOUND"}) {
    INFO(name);
    const std::string found = name.size() == 17 ? "Type=0; Resolution=2; Threat=T;" : "1";
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
    for (const auto& answer : {adapted(head + "\r\n", "the page", {{name, found}}),
                               adapted(head + name + ": " + found + "\r\n\r\n", "the page")}) {
      on.scanner.always(answer);
      const auto got = client.get("/file");
      CHECK(got.status == 200);
      CHECK(got.body == "the page");
      check_nothing_leaks(got);
    }
  }
  for (const auto& line : on.icapgate.lines(on.scanner.scans().size())) {
    CHECK(line.text("verdict") == "blocked");
  }
}

TEST_CASE("verdict: a 201 with a detection is a block like any other") {
  stage on;
  serve_secret(on);
  auto answer = block_page();
  answer.replace(answer.find("200 OK"), 6, "201 Created");
  on.scanner.always(answer);
  const auto got = on.get("/file");
  CHECK(got.status == 403);
  CHECK(got.body == page_body());
  check_nothing_leaks(got);
}

TEST_CASE("verdict: a detection without a page still delivers nothing of the origin") {
  stage on;
  serve_secret(on);
  on.scanner.always("ICAP/1.0 200 OK\r\nISTag: \"play-1\"\r\nX-Infection-Found: " +
                    std::string(infection) + "\r\nEncapsulated: null-body=0\r\n\r\n");
  const auto got = on.get("/file");
  CHECK(got.status == 403);
  CHECK(got.whole());
  check_nothing_leaks(got);
  CHECK(on.icapgate.line().text("verdict") == "blocked");
}

TEST_CASE("verdict: the scanner sees the request in absolute form and the response's exact head") {
  stage on;
  on.origin.when("/dir/a.txt?q=1",
                 {.status = "207 Multi-Status",
                  .fields = {{"Set-Cookie", "a=1"}, {"X-One", "eins"}, {"Set-Cookie", "b=2"}},
                  .body = "four"});
  on.get("/dir/a.txt?q=1", {{"User-Agent", "play/1"}});
  const auto seen = on.scanner.scan_of("/dir/a.txt?q=1");
  CHECK(seen.request.first == "GET");
  CHECK(seen.request.second == "http://shop.example/dir/a.txt?q=1");
  CHECK(seen.request.third == "HTTP/1.1");
  CHECK(value(seen.request.fields, "Host") == "shop.example");
  CHECK(value(seen.request.fields, "User-Agent") == "play/1");
  CHECK(seen.response.first == "HTTP/1.1");
  CHECK(seen.response.second == "207");
  CHECK(lines(end_to_end(seen.response.fields)) ==
        std::vector<std::string>{"Set-Cookie: a=1", "X-One: eins", "Set-Cookie: b=2"});
  CHECK(value(seen.response.fields, "Content-Length") == "4");
  CHECK(seen.has_body);
  CHECK(seen.body == "four");
}

TEST_CASE("verdict: nothing of the body reaches the client before it") {
  stage on;
  held_scans held(on.scanner);
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    on.origin.when("/" + std::to_string(static_cast<int>(form)),
                   {.body = noise(3'000'000), .form = form});
  }
  std::vector<http_client> clients;
  for (const auto target : {"/0", "/1", "/2"}) {
    clients.push_back(on.client());
    clients.back().send("GET", target);
  }
  held.wait_for_one();
  wait_until("three whole scans", [&] {
    const auto scans = on.scanner.scans();
    return std::count_if(scans.begin(), scans.end(), [](const scan& s) { return s.whole; }) == 3;
  });
  for (auto& client : clients) CHECK(client.wire().is_quiet(50ms));
  held.decide();
  for (auto& client : clients) {
    const auto got = client.receive();
    CHECK(got.whole());
    CHECK(difference(got.body, noise(3'000'000)) == "");
  }
}

TEST_CASE("verdict: an infected body of 3 MB gives the page and not one byte of its own") {
  stage on;
  on.origin.when("/big", {.body = noise(3'000'000), .form = framing::chunked});
  on.scanner.always(block_page());
  auto client = on.client();
  const auto got = client.get("/big");
  CHECK(got.status == 403);
  CHECK(got.body == page_body());
  CHECK(on.scanner.scan_of("/big").body.size() == 3'000'000);
}

TEST_CASE("verdict: a detection that breaks off is a block, whatever else is at hand") {
  const auto page = block_page();
  const std::vector<std::string> answers = {
      page.substr(0, page.size() - 5), page.substr(0, page.size() - 20),
      page.substr(0, page.find("HTTP/1.0 403") + 30), page.substr(0, page.size() - 5) + "zz\r\n",
      page + "bytes behind the end"};
  for (const auto& answer : answers) {
    INFO(answer);
    icap_peer finder;
    finder.play([&](exchange& with) {
      with.body();
      with.answer(answer);
      with.wire().close();
    });
    icap_peer blind;
    stage on({.scanners = {finder.port(), blind.port()}, .fallback = true});
    on.origin.when("/a", {.body = "the origin's body"});
    const auto got = on.get("/a");
    CHECK(got.status == 403);
    CHECK(got.whole());
    CHECK(got.body.find("the origin's body") == std::string::npos);
    const auto line = on.icapgate.line();
    CHECK(line.text("verdict") == "blocked");
    CHECK(line.text("reason") == "blocked");
    CHECK(line.text("threat") == "Play.Virus");
    CHECK(blind.scans().empty());
  }
}
