// A second real scanner: e2guardian. It has no preview, says Allow: 204 and never answers so,
// leaves its ISTag unquoted, ends connections without saying so, and marks its pages by no header
// at all.
#include "kit/e2guardian.hpp"
#include "kit/gate.hpp"
#include "kit/http_client.hpp"
#include "kit/origin_peer.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

struct guarded {
  explicit guarded(const std::string& vendor = "e2guardian",
                   const std::string& service = "response")
      : icapgate({.origin = origin.port(),
                  .more = {"--icap", scanner.url(service)},
                  .env = {{setting::scanner_vendor, vendor},
                          {setting::scanner_connections, "1"},
                          {setting::max_scan_size, std::to_string(scanned_up_to)}}}) {
    scanner_has("/clean.html", "<html>nothing in it</html>\n", "text/html");
    scanner_has("/eicar.com", eicar());
  }
  ~guarded() {
    CHECK(icapgate.finish() == "");
    CHECK(origin.failures() == std::vector<std::string>());
  }

  void scanner_has(const std::string& target, const std::string& body,
                   const std::string& type = "application/octet-stream",
                   framing form = framing::length) {
    origin.when(
        target,
        {.fields = {{"Content-Type", type}, {"X-Origin", "yes"}}, .body = body, .form = form});
  }
  response get(const std::string& target) { return http_client(icapgate.port()).get(target); }

  e2guardian scanner;
  origin_peer origin;
  gate icapgate;
};

// Its page has the status 200 in some versions and 403 in others.
void check_page(const response& got, std::string_view forbidden) {
  CHECK((got.status == 200 || got.status == 403));
  CHECK(got.whole());
  CHECK(got.body.size() > 1000);
  CHECK(got.body.size() < 200'000);
  CHECK(got.body.find(forbidden) == std::string::npos);
  CHECK_FALSE(has(got.fields(), "X-Origin"));
}

}  // namespace

TEST_CASE("e2guardian: bodies of every size and framing arrive whole") {
  guarded on;
  http_client client(on.icapgate.port());
  std::vector<std::string> expected;
  for (const auto form : {framing::length, framing::chunked}) {
    for (const std::size_t size : {0, 1, 4095, 4096, 4097, 1'000'000, 3'000'000}) {
      const auto body = noise(size, 3);
      on.scanner_has("/file", body, "application/octet-stream", form);
      const auto got = client.get("/file");
      INFO(size);
      CHECK(got.status == 200);
      CHECK(got.whole());
      CHECK(difference(got.body, body) == "");
      CHECK(has(got.fields(), "X-Origin"));
      // It gives the original back; 204 it only promises. What has no body is not sent to it.
      expected.push_back(size == 0 && form == framing::length ? "skipped" : "adapted");
    }
  }
  std::vector<std::string> verdicts;
  for (const auto& line : on.icapgate.lines(expected.size())) {
    verdicts.push_back(line.text("verdict"));
  }
  CHECK(verdicts == expected);
}

TEST_CASE("e2guardian: a page with a banned phrase is replaced") {
  guarded on;
  const std::string secret = "what only the origin knows";
  on.scanner_has("/page.html",
                 "<html><body>" + secret + " " + std::string(banned_phrase) + "</body></html>",
                 "text/html");
  check_page(on.get("/page.html"), secret);
  CHECK(on.get("/clean.html").body == "<html>nothing in it</html>\n");
}

TEST_CASE("e2guardian: a banned type is answered before the body is there, at any size") {
  guarded on;
  for (const std::size_t size : {10, 3'000'000}) {
    const auto body = noise(size, 4);
    on.scanner_has("/play", body, std::string(banned_type));
    check_page(on.get("/play"), std::string_view(body).substr(0, 10));
  }
  CHECK(on.get("/clean.html").status == 200);
}

TEST_CASE("e2guardian: EICAR is found wherever it stands, and its page tells of no threat") {
  guarded on;
  on.scanner_has("/late.bin", noise(3'000'000, 5) + eicar());
  on.scanner_has("/early.bin", eicar() + noise(3'000'000, 6));
  for (const auto target : {"/eicar.com", "/late.bin", "/early.bin"}) {
    INFO(target);
    check_page(on.get(target), eicar());
  }
}

TEST_CASE("e2guardian: with its limit as max_scan_size nothing passes unscanned") {
  guarded on;
  const auto noise_before = [](std::size_t size) { return noise(size - eicar().size(), 7); };
  for (const auto form : {framing::length, framing::chunked}) {
    on.scanner_has("/just.bin", noise_before(scanned_up_to) + eicar(), "application/zip", form);
    on.scanner_has("/over.bin", noise_before(scanned_up_to + 1) + eicar(), "application/zip", form);
    check_page(on.get("/just.bin"), eicar());
    const auto over = on.get("/over.bin");
    CHECK(over.status == 403);
    CHECK(over.body.find(eicar()) == std::string::npos);
    CHECK_FALSE(has(over.fields(), "X-Origin"));
  }
  std::vector<std::string> reasons;
  for (const auto& line : on.icapgate.lines(4)) reasons.push_back(line.text("reason"));
  CHECK(reasons ==
        std::vector<std::string>{"complete", "policy_oversize", "complete", "policy_oversize"});
}

TEST_CASE("e2guardian: with clamd stopped nothing of the origin is delivered") {
  guarded on;
  CHECK(on.get("/clean.html").status == 200);
  on.scanner.stop_clamd();
  check_page(on.get("/clean.html"), "nothing in it");
  check_page(on.get("/eicar.com"), eicar());
  on.scanner.start_clamd();
  CHECK(on.get("/clean.html").body == "<html>nothing in it</html>\n");
}

TEST_CASE("e2guardian: one connection serves many clean files, and pages cost no error") {
  guarded on;
  http_client client(on.icapgate.port());
  for (int i = 0; i < 10; ++i) CHECK(client.get("/clean.html").status == 200);
  // After a page it closes the connection and does not say so.
  for (int i = 0; i < 5; ++i) {
    check_page(client.get("/eicar.com"), eicar());
    CHECK(client.get("/clean.html").body == "<html>nothing in it</html>\n");
  }
}

TEST_CASE("e2guardian: without its state header it refuses, and that is no verdict") {
  guarded on("generic");
  const auto got = on.get("/clean.html");
  CHECK(got.status == 503);
  CHECK(on.icapgate.line().text("reason") == "icap_status_error");
  CHECK(on.icapgate.line().number("icap_status") == 418);
}

TEST_CASE("e2guardian: a wrong path ends in a head without an end, and nothing is delivered") {
  guarded on("e2guardian", "nobody");
  CHECK(on.get("/clean.html").status == 503);
  CHECK(on.icapgate.line().text("reason") == "icap_answer_eof");
}

TEST_CASE("e2guardian: nothing is delivered while it is away, and all is well when it is back") {
  guarded on;
  http_client client(on.icapgate.port());
  CHECK(client.get("/clean.html").status == 200);
  on.scanner.stop();
  const auto got = client.get("/clean.html");
  CHECK(got.status == 503);
  CHECK(got.body.find("nothing in it") == std::string::npos);
  on.scanner.start();
  CHECK(client.get("/clean.html").body == "<html>nothing in it</html>\n");
  check_page(client.get("/eicar.com"), eicar());
}

TEST_CASE("e2guardian: the doctor reads its OPTIONS and sees that no header marks its pages") {
  const e2guardian scanner;
  const auto got = run_icapgate({"doctor", scanner.url(), "--vendor", "e2guardian"});
  INFO(got.output);
  CHECK(got.output.find("no preview, 204, ISTag") != std::string::npos);
  CHECK(got.output.find("ok    clean text") != std::string::npos);
  CHECK(got.output.find("ok    empty body") != std::string::npos);
  CHECK(got.output.find("ok    connection reuse") != std::string::npos);
}

TEST_CASE("e2guardian: the doctor finds the size above which it scans no more") {
  const e2guardian scanner;
  const auto got = run_icapgate(
      {"doctor", scanner.url(), "--vendor", "e2guardian", "--ladder", "--max-size", "5MiB"});
  INFO(got.output);
  CHECK(got.output.find("warn  EICAR in 1MiB") != std::string::npos);
  CHECK(got.output.find("warn  EICAR in 5MiB") != std::string::npos);
  CHECK(got.output.find("EICAR PASSES; 200: the same bytes came back") != std::string::npos);
  CHECK(got.output.find("it detects up to 1MiB of these files") != std::string::npos);
  CHECK(got.output.find("# max_scan_size = \"1MiB\"") != std::string::npos);
}
