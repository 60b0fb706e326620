// The modes that scan nothing, or nothing that the client waits for.
#include "kit/held_scans.hpp"
#include "kit/lab.hpp"
#include "kit/numbers.hpp"

#include "catch.hpp"

#include <algorithm>

using namespace e2e;

namespace {

const gate_settings monitoring = {.config = "[policy]\nmode = \"monitor\"\n"};

gate_settings monitoring_with(const std::string& more) {
  return {.config = "[policy]\nmode = \"monitor\"\n" + more};
}

void check_delivered(const response& got, const std::string& body) {
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(difference(got.body, body) == "");
}

// A response to a request that would have been changed, were it for a scan.
void check_request_untouched(stage& on) {
  on.origin.when("/part", {.status = "206 Partial Content",
                           .fields = {{"Content-Range", "bytes 0-3/10"}},
                           .body = "four"});
  const auto got = on.get("/part", {{"Range", "bytes=0-3"}, {"Accept-Encoding", "gzip"}});
  CHECK(got.status == 206);
  CHECK(got.body == "four");
  const auto asked = on.origin.request("/part");
  CHECK(value(asked.head.fields, "Range") == "bytes=0-3");
  CHECK(value(asked.head.fields, "Accept-Encoding") == "gzip");
}

void check_monitored(const access_line& line, const std::string& verdict) {
  CHECK(line.text("action") == "monitored");
  CHECK(line.text("verdict") == verdict);
  CHECK(line.text("reason") == "complete");
  CHECK(line.number("status") == 200);
}

}  // namespace

TEST_CASE("monitor: mode off delivers all of it and asks no scanner") {
  stage on({.env = {{"ICAPGATE_MODE", "off"}}});
  on.scanner.always(block_page());
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    on.origin.when("/virus", {.body = eicar(), .form = form});
    check_delivered(on.get("/virus"), eicar());
    const auto line = on.last_line();
    CHECK(line.text("action") == "pass");
    CHECK(line.text("unscanned") == "mode_off");
    CHECK(line.text("verdict") == "skipped");
    CHECK(line.text("rule") == "");
  }
  CHECK(on.scanner.scans().empty());
  CHECK(unscanned(on, "mode_off") == 3);
}

TEST_CASE("monitor: mode off leaves the request as it is") {
  stage on({.env = {{"ICAPGATE_MODE", "off"}}});
  check_request_untouched(on);
}

TEST_CASE("monitor: the client has its whole response before the scanner answers") {
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    stage on(monitoring);
    on.origin.when("/virus", {.fields = {{"ETag", "\"1\""}}, .body = eicar(), .form = form});
    held_scans held(on.scanner, block_page());
    const auto got = on.get("/virus");
    check_delivered(got, eicar());
    CHECK(value(got.fields(), "ETag") == "\"1\"");
    wait_until("the scanner has the copy", [&] { return on.scanner.scans().size() == 1; });
    CHECK(on.icapgate.access_log() == "");
    held.decide();
    const auto line = on.icapgate.line();
    check_monitored(line, "blocked");
    CHECK(line.text("threat") == "Play.Virus");
    CHECK(line.number("bytes_out") > 0);
    CHECK(on.scanner.scan_of("/virus").body == eicar());
    CHECK(metric(on, "scans_total{verdict=\"blocked\"}") == 1);
  }
}

TEST_CASE("monitor: what is clean, adapted or in trouble is delivered and told all the same") {
  stage on(monitoring);
  on.origin.when("/a", {.body = "the origin's body"});
  on.scanner.always(no_modification());
  check_delivered(on.get("/a"), "the origin's body");
  check_monitored(on.last_line(), "clean");
  on.scanner.always(adapted("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "another"));
  check_delivered(on.get("/a"), "the origin's body");
  check_monitored(on.last_line(), "adapted");
  on.scanner.stop();
  check_delivered(on.get("/a"), "the origin's body");
  check_monitored(on.last_line(), "error");
  CHECK(unscanned(on, "on_error") == 0);
}

TEST_CASE("monitor: bytes pass as they come, before the origin has sent the rest") {
  happening got_first;
  stage on(monitoring);
  on.origin.when("/slow", [&](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst");
    got_first.wait();
    to.write("second");
  });
  auto client = on.client();
  client.send("GET", "/slow");
  client.wire().read_until("first");
  got_first.tell();
  CHECK(client.wire().read_exact(6) == "second");
  check_monitored(on.icapgate.line(), "clean");
  CHECK(on.scanner.scan_of("/slow").body == "firstsecond");
}

TEST_CASE("monitor: a pending scan does not hold up the next request of the connection") {
  stage on(monitoring);
  held_scans held(on.scanner, block_page());
  auto client = on.client();
  for (int i = 0; i < 3; ++i) {
    const auto target = "/" + std::to_string(i);
    on.origin.when(target, {.body = noise(100'000, static_cast<unsigned>(i))});
    check_delivered(client.get(target), noise(100'000, static_cast<unsigned>(i)));
  }
  held.decide();
  for (const auto& line : on.icapgate.lines(3)) check_monitored(line, "blocked");
  CHECK(on.scanner.scans().size() == 3);
}

TEST_CASE("monitor: large bodies are delivered and scanned whole") {
  stage on(monitoring);
  on.scanner.always(block_page());
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    on.origin.when("/large", {.body = noise(5'000'000), .form = form});
    check_delivered(on.get("/large"), noise(5'000'000));
    check_monitored(on.last_line(), "blocked");
    CHECK(difference(on.scanner.scan_of("/large").body, noise(5'000'000)) == "");
  }
}

TEST_CASE("monitor: a body over max_scan_size is delivered, and told as what enforce would block") {
  stage on(monitoring_with("max_scan_size = 1000\n"));
  const auto forms = {framing::length, framing::chunked, framing::close};
  for (const auto form : forms) {
    for (const std::size_t size : {1001, 2'000'000}) {
      INFO(static_cast<int>(form) << " " << size);
      on.origin.when("/large", {.body = noise(size), .form = form});
      check_delivered(on.get("/large"), noise(size));
    }
  }
  for (const auto& line : on.icapgate.lines(on.asked)) check_monitored(line, "unscannable");
  CHECK(on.scanner.scans().empty());
  for (const auto form : forms) {
    on.origin.when("/fits", {.body = noise(1000), .form = form});
    check_delivered(on.get("/fits"), noise(1000));
    check_monitored(on.last_line(), "clean");
  }
}

TEST_CASE("monitor: a full spool costs the scan and not the response") {
  stage on({.config =
                "[policy]\nmode = \"monitor\"\n"
                "[policy.spool]\ntotal_memory = \"1MiB\"\ntotal_disk = \"0\"\nwait = \"0\"\n"});
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    INFO(static_cast<int>(form));
    on.origin.when("/large", {.body = noise(3'000'000), .form = form});
    check_delivered(on.get("/large"), noise(3'000'000));
    check_monitored(on.last_line(), "error");
  }
  CHECK(on.scanner.scans().empty());
}

TEST_CASE("monitor: a client that leaves ends its transaction alone") {
  happening gone;
  stage on(monitoring);
  on.origin.when("/large", [&](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + noise(100'000));
    gone.wait();
    to.write(noise(49'900'000));
  });
  {
    auto client = on.client();
    client.send("GET", "/large");
    client.wire().read_exact(50'000);
    client.wire().reset();
    gone.tell();
  }
  const auto line = on.icapgate.line();
  CHECK(line.text("reason").starts_with("client_"));
  CHECK(on.scanner.scans().empty());
  on.origin.when("/a", {.body = "still there"});
  CHECK(on.client().get("/a").body == "still there");
}

TEST_CASE("monitor: a response that the origin cuts is cut for the client, and not scanned") {
  stage on(monitoring);
  on.origin.when("/cut", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n");
    to.close();
  });
  CHECK_FALSE(on.get("/cut").whole());
  CHECK(on.last_line().text("reason") == "origin_body_eof");
  CHECK(on.scanner.scans().empty());
}

TEST_CASE("monitor: the request is left as it is, and a part is delivered as one") {
  stage on(monitoring);
  check_request_untouched(on);
  CHECK(on.last_line().text("action") == "monitored");
  CHECK(on.last_line().text("verdict") == "unscannable");
}

TEST_CASE("monitor: a drain waits for the scans that no client waits for") {
  stage on(monitoring);
  on.origin.when("/virus", {.body = eicar()});
  held_scans held(on.scanner, block_page());
  {
    auto client = on.client();
    check_delivered(client.get("/virus", {{"Connection", "close"}}), eicar());
  }
  wait_until("the scanner has the copy", [&] { return on.scanner.scans().size() == 1; });
  on.icapgate.terminate();
  wait_until("new connections are refused", [&] { return !can_connect(on.icapgate.port()); });
  held.decide();
  CHECK(on.icapgate.wait() == 0);
  check_monitored(on.icapgate.line(), "blocked");
}

TEST_CASE("monitor: one rule may monitor while all else is enforced, and the other way round") {
  const auto rule = [](const std::string& mode) {
    return "[[policy.rule]]\nreason = \"on trial\"\npath = \"/trial/*\"\nmode = \"" + mode + "\"\n";
  };
  stage trial({.config = rule("monitor")});
  stage strict({.config = "[policy]\nmode = \"monitor\"\n" + rule("enforce")});
  for (auto* on : {&trial, &strict}) {
    on->scanner.always(block_page());
    for (const auto target : {"/trial/virus", "/virus"}) {
      INFO(target << (on == &trial ? " monitored by rule" : " enforced by rule"));
      on->origin.when(target, {.body = eicar()});
      const auto by_rule = std::string(target) == "/trial/virus";
      const auto got = on->get(target);
      const auto line = on->last_line();
      CHECK(line.text("rule") == (by_rule ? "on trial" : ""));
      CHECK(line.text("verdict") == "blocked");
      const bool monitored = by_rule == (on == &trial);
      CHECK(line.text("action") == (monitored ? "monitored" : "block"));
      CHECK(got.status == (monitored ? 200 : 403));
      CHECK((got.body == eicar()) == monitored);
    }
    CHECK(rule_hits(*on, "on trial") == 1);
  }
}
