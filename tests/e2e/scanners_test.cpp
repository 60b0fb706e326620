// Several scanners, and scanners that can't be relied on: who is asked, who is left alone, and what
// the client notices of it.
#include "kit/held_scans.hpp"
#include "kit/lab.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <atomic>
#include <sstream>

using namespace e2e;

namespace {

constexpr std::string_view small_body = "the origin's body";

const std::string& large_body() {
  static const auto body = noise(3'000'000);
  return body;
}

gate_settings impatient(std::vector<std::uint16_t> scanners = {}) {
  return {.scanners = std::move(scanners),
          .env = {{setting::scanner_idle, "300ms"},
                  {setting::scanner_after_body, "300ms"},
                  {setting::scanner_per_mib, "1ms"}}};
}

std::string uri(const icap_peer& scanner) {
  return "icap://127.0.0.1:" + std::to_string(scanner.port()) + "/avscan";
}

struct trouble {
  std::string name;
  icap_peer::script play;
};

icap_peer::script says(const std::string& bytes) {
  return [bytes](exchange& with) {
    with.body();
    with.answer(bytes);
    with.wire().close();
  };
}

std::vector<trouble> troubles() {
  return {
      {"closes before the body", [](exchange& with) { with.wire().close(); }},
      {"resets before the body", [](exchange& with) { with.wire().reset(); }},
      {"resets in the body",
       [](exchange& with) {
         with.next();
         with.wire().reset();
       }},
      {"resets after the body",
       [](exchange& with) {
         with.body();
         with.wire().reset();
       }},
      {"closes after the body", says("")},
      {"closes in the head of its answer", says("ICAP/1.0 204 No")},
      {"closes in the body of its answer",
       says(adapted("HTTP/1.1 200 OK\r\nX-Bad: 1\r\n\r\n", noise(100'000)).substr(0, 50'000))},
      {"is silent",
       [](exchange& with) {
         with.body();
         with.wire().read_to_end();
       }},
      {"is silent in its answer",
       [](exchange& with) {
         with.body();
         with.answer("ICAP/1.0 204 No");
         with.wire().read_to_end();
       }},
      {"speaks garbage", says("nonsense\r\n\r\n")},
      {"is busy", says(icap_status("503 Service Overloaded"))},
      {"is busy early",
       [](exchange& with) {
         with.next();
         with.answer(icap_status("506 Too Many Connections"));
         with.wire().read_to_end();
       }},
      {"fails", says(icap_status("500 Server error"))},
  };
}

void serve_bodies(stage& on) {
  on.origin.when("/small", {.body = std::string(small_body)});
  on.origin.when("/large", {.body = large_body(), .form = framing::chunked});
}

std::size_t peak_memory(pid_t id) {
  std::istringstream in(file_text("/proc/" + std::to_string(id) + "/status"));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) / 1024;
  }
  throw std::runtime_error("no VmHWM");
}

void wait_for_output(stage& on, const std::string& text) {
  wait_until("\"" + text + "\" in the log",
             [&] { return on.icapgate.output().find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("scanners: whatever one of two does, no client sees an error, at any size") {
  for (const auto& [name, play] : troubles()) {
    INFO(name);
    icap_peer bad;
    icap_peer good;
    bad.play(play);
    stage on(impatient({bad.port(), good.port()}));
    serve_bodies(on);
    // Both have the same load, so that each is asked first in turn.
    for (const std::string target : {"/small", "/large"}) {
      const auto tried = bad.scans().size();
      while (bad.scans().size() == tried) {
        const auto got = on.get(target);
        REQUIRE(got.status == 200);
        CHECK(difference(got.body, target == "/small" ? small_body : large_body()) == "");
        CHECK_FALSE(has(got.fields(), "X-Bad"));
      }
    }
    CHECK(difference(good.scan_of("/large").body, large_body()) == "");
    CHECK(bad.failures() == std::vector<std::string>());
    CHECK(good.failures() == std::vector<std::string>());
  }
}

TEST_CASE("scanners: one of two that refuses connections costs no client an error") {
  const reserved_port nobody;
  icap_peer good;
  stage on(impatient({nobody.number(), good.port()}));
  serve_bodies(on);
  for (int i = 0; i < 8; ++i) {
    CHECK(on.get("/small").body == small_body);
    CHECK(difference(on.get("/large").body, large_body()) == "");
  }
  CHECK(good.scans().size() == 16);
}

TEST_CASE("scanners: two that say they are busy mean 503") {
  icap_peer one;
  icap_peer two;
  auto settings = impatient({one.port(), two.port()});
  settings.env[setting::scanner_queue] = "300ms";
  stage on(settings);
  serve_bodies(on);
  for (auto* each : {&one, &two}) each->always(icap_status("503 Service Overloaded"));
  const auto refused = on.get("/small");
  check_refusal(refused, on.last_line());
  CHECK(on.last_line().text("reason") == "icap_status_busy");
  CHECK(one.scans().size() >= 1);
  CHECK(two.scans().size() >= 1);
  // That is no failure: both are asked again.
  for (auto* each : {&one, &two}) each->always(no_modification());
  CHECK(on.get("/small").body == small_body);
}

TEST_CASE("scanners: one that says it is busy is not asked again at once by those that wait") {
  auto settings = impatient({});
  settings.env[setting::scanner_queue] = "1s";
  stage on(settings);
  serve_bodies(on);
  on.scanner.always(icap_status("503 Service Overloaded"));
  std::vector<http_client> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(on.client());
    clients.back().send("GET", "/small");
  }
  for (auto& client : clients) CHECK(client.receive().status == 503);
  // At each tenth of a second, and hardly more.
  CHECK(on.scanner.scans().size() <= 60);
}

TEST_CASE("scanners: checklist 13, one that says it is busy gets no more at once than it served") {
  using clock = std::chrono::steady_clock;
  happening release;
  std::mutex guard;
  int now = 0, most = 0;
  std::vector<clock::time_point> refused;
  stage on({.env = {{setting::scanner_connections, "20"}, {setting::scanner_queue, "20s"}}});
  serve_bodies(on);
  on.scanner.play([&](exchange& with) {
    with.body();
    bool serve = false;
    {
      const std::lock_guard lock(guard);
      most = std::max(most, now + 1);
      serve = now < 3;
      if (serve)
        ++now;
      else
        refused.push_back(clock::now());
    }
    if (!serve) return with.answer(icap_status("503 Service Overloaded"));
    release.wait();
    {
      const std::lock_guard lock(guard);
      --now;
    }
    with.answer(no_modification());
  });
  const auto refusals = [&] {
    const std::lock_guard lock(guard);
    return refused;
  };
  std::vector<http_client> clients;
  const auto ask = [&] {
    clients.push_back(on.client());
    clients.back().send("GET", "/small");
  };
  for (std::size_t i = 1; i <= 3; ++i) {
    ask();
    wait_until("it is served", [&] { return on.scanner.scans().size() == i; });
  }
  ask();
  wait_until("it is refused", [&] { return refusals().size() == 1; });
  for (int i = 0; i < 4; ++i) ask();
  // The limit rises by one a second, so that they are tried one at a time, and no sooner.
  wait_until("three are refused", [&] { return refusals().size() >= 3; });
  const auto times = refusals();
  for (std::size_t i = 1; i < times.size(); ++i) CHECK(times[i] - times[i - 1] >= 1s);
  CHECK(most <= 4);
  release.tell();
  for (auto& client : clients) CHECK(client.receive().body == small_body);
  CHECK(admin(on, "/metrics").body.find("icapgate_icap_busy_total{") != std::string::npos);
}

namespace {

std::string without_respmod(std::string options) {
  return options.replace(options.find("RESPMOD"), 7, "REQMOD");
}

std::size_t times_in(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("scanners: checklist 11 43, of two the one that does not list RESPMOD is not used") {
  const auto options = options_answer({{"Options-TTL", "1"}});
  icap_peer lame({.options = without_respmod(options)});
  icap_peer good;
  auto settings = impatient({lame.port(), good.port()});
  settings.env[setting::options_min] = "1s";
  settings.canary = "warn";
  stage on(settings);
  serve_bodies(on);
  wait_for_output(on, "DOES NOT LIST RESPMOD");
  for (int i = 0; i < 10; ++i) CHECK(on.get("/small").body == small_body);
  wait_until("OPTIONS again", [&] { return lame.options_asked() >= 3; });
  CHECK(lame.scans().empty());
  CHECK(lame.canaries().empty());
  CHECK(good.scans().size() == 10);
  const auto metric = "icapgate_icap_respmod{server=\"" + uri(lame) + "\"} ";
  CHECK(admin(on, "/metrics").body.find(metric + "0\n") != std::string::npos);
  lame.offer(options);
  wait_for_output(on, "lists RESPMOD again");
  CHECK(admin(on, "/metrics").body.find(metric + "1\n") != std::string::npos);
  for (int i = 0; i < 10; ++i) CHECK(on.get("/small").body == small_body);
  CHECK(lame.scans().size() >= 4);
  CHECK(times_in(on.icapgate.output(), "DOES NOT LIST RESPMOD") == 1);
}

TEST_CASE("scanners: checklist 11 43, only one and it does not list RESPMOD means 503") {
  stage on({}, {.options = without_respmod(options_answer())});
  serve_bodies(on);
  wait_for_output(on, "DOES NOT LIST RESPMOD");
  check_refusal(on, "/small");
  CHECK(on.last_line().text("reason") == "icap_scanners_shut");
  CHECK(on.scanner.scans().empty());
}

TEST_CASE("scanners: checklist 43, OPTIONS without Methods leave RESPMOD allowed") {
  auto options = options_answer();
  options.erase(options.find("Methods: RESPMOD\r\n"), 18);
  stage on({}, {.options = options});
  on.learn_options();
  serve_bodies(on);
  CHECK(on.get("/small").body == small_body);
  CHECK(on.scanner.scans().size() == 1);
}

TEST_CASE("scanners: an address without a service has that of its vendor") {
  // The scripted scanner objects to any path but its own.
  icap_peer scanner;
  stage on(
      {.scanners = {scanner.port()}, .service = "", .env = {{setting::scanner_vendor, "c-icap"}}});
  serve_bodies(on);
  CHECK(on.get("/small").body == small_body);
  CHECK(on.last_line().text("scanner") == uri(scanner));
  CHECK(scanner.failures() == std::vector<std::string>());
}

TEST_CASE("scanners: an address without a service and without a vendor that has one is refused") {
  for (const std::string address : {"icap://127.0.0.1:1344", "icap://127.0.0.1:1344/"}) {
    const auto got = run_icapgate(
        {"--origin", "http://127.0.0.1:1", "--icap", address, "--listen", "127.0.0.1:0"});
    CHECK(got.status == 78);
    CHECK(got.output.find("icap://127.0.0.1") != std::string::npos);
    CHECK(got.output.find("names no service, and vendor \"generic\"") != std::string::npos);
  }
}

TEST_CASE("scanners: a scan waits for a place, and has 503 when the queue's time is over") {
  icap_peer one;
  icap_peer two;
  held_scans at_one(one), at_two(two);
  stage on({.scanners = {one.port(), two.port()},
            .env = {{setting::scanner_connections, "1"}, {setting::scanner_queue, "400ms"}}});
  serve_bodies(on);
  auto first = on.client();
  auto second = on.client();
  first.send("GET", "/small");
  second.send("GET", "/small");
  wait_until("both are busy", [&] { return one.scans().size() + two.scans().size() == 2; });
  const auto refused = on.client().get("/small");
  const auto line = on.icapgate.line();
  check_refusal(refused, line);
  CHECK(line.text("reason") == "icap_acquire_timeout");
  CHECK(line.number("total_ms") >= 400);
  at_one.decide();
  at_two.decide();
  CHECK(first.receive().body == small_body);
  CHECK(second.receive().body == small_body);
}

TEST_CASE("scanners: a scan that waits gets the place that becomes free") {
  stage on({.env = {{setting::scanner_connections, "1"}, {setting::scanner_queue, "20s"}}});
  serve_bodies(on);
  held_scans held(on.scanner);
  auto first = on.client();
  auto second = on.client();
  first.send("GET", "/small");
  wait_until("it is busy", [&] { return on.scanner.scans().size() == 1; });
  second.send("GET", "/small");
  wait_until("both were fetched", [&] { return on.origin.requests().size() == 2; });
  held.decide();
  CHECK(first.receive().body == small_body);
  CHECK(second.receive().body == small_body);
}

TEST_CASE("scanners: one that stands by is used only where no other can be") {
  icap_peer first;
  icap_peer standby;
  auto settings = impatient({first.port()});
  settings.env[setting::scanner_standby] = uri(standby);
  stage on(settings);
  serve_bodies(on);
  for (int i = 0; i < 5; ++i) CHECK(on.get("/small").status == 200);
  CHECK(first.scans().size() == 5);
  CHECK(standby.scans().empty());
  first.stop();
  for (int i = 0; i < 10; ++i) CHECK(on.get("/small").body == small_body);
  CHECK(standby.scans().size() == 10);
}

TEST_CASE("scanners: one that goes on failing is left alone") {
  icap_peer bad;
  icap_peer good;
  bad.play([](exchange& with) { with.wire().close(); });
  stage on(impatient({bad.port(), good.port()}));
  serve_bodies(on);
  while (on.icapgate.output().find("left alone for a while") == std::string::npos) {
    REQUIRE(on.asked < 100);
    REQUIRE(on.get("/small").status == 200);
  }
  const auto began = std::chrono::steady_clock::now();
  const auto before = bad.scans().size();
  for (int i = 0; i < 50; ++i) CHECK(on.get("/small").status == 200);
  // One trial each time that a pause is over.
  const auto pauses = (std::chrono::steady_clock::now() - began) / 5s;
  CHECK(bad.scans().size() <= before + static_cast<std::size_t>(pauses) + 1);
}

TEST_CASE("scanners: one that was left alone is used again when a trial succeeds") {
  icap_peer bad;
  stage on(impatient({bad.port()}));
  serve_bodies(on);
  bad.play([](exchange& with) { with.wire().close(); });
  while (on.icapgate.output().find("left alone for a while") == std::string::npos) {
    REQUIRE(on.asked < 100);
    on.get("/small");
  }
  bad.always(no_modification());
  wait_until("the scanner is used again", [&] { return on.get("/small").status == 200; });
  CHECK(on.get("/small").body == small_body);
}

TEST_CASE("scanners: a change of the ISTag is logged and triggers a canary") {
  stage on({.canary = "warn"});
  serve_bodies(on);
  CHECK(on.get("/small").status == 200);
  wait_until("the first canary", [&] { return on.scanner.canaries().size() >= 2; });
  auto next = no_modification();
  next.replace(next.find("play-1"), 6, "play-2");
  on.scanner.on_canary([next](exchange& with) {
    auto page = block_page();
    page.replace(page.find("play-1"), 6, "play-2");
    with.answer(with.body().find(eicar()) == std::string::npos ? next : page);
  });
  on.scanner.always(next);
  const auto before = on.scanner.canaries().size();
  CHECK(on.get("/small").status == 200);
  wait_until("another canary", [&] { return on.scanner.canaries().size() >= before + 2; });
  wait_for_output(on, "ISTag changed from play-1 to play-2");
  CHECK(on.icapgate.output().find("DOES NOT DETECT") == std::string::npos);
}

TEST_CASE("scanners: without canaries none is sent") {
  stage on({.env = {{setting::options_min, "1s"}}, .canary = "off"},
           {.options = options_answer({{"Options-TTL", "1"}})});
  wait_until("OPTIONS was asked three times", [&] { return on.scanner.options_asked() >= 3; });
  CHECK(on.scanner.canaries().empty());
}

namespace {

void pass_everything(exchange& with) {
  with.body();
  with.answer(no_modification());
}

void find_it(exchange& with) {
  with.answer(with.body().find(eicar()) == std::string::npos ? no_modification() : block_page());
}

void block_everything(exchange& with) {
  with.body();
  with.answer(block_page());
}

}  // namespace

TEST_CASE("scanners: one that lets EICAR pass is told of loudly, and used with canary = warn") {
  for (const auto& bad : {pass_everything, block_everything}) {
    gate_settings settings;
    settings.env[setting::canary_interval] = "1s";
    settings.canary = "warn";
    stage on(settings);
    on.scanner.on_canary(bad);
    serve_bodies(on);
    wait_for_output(on, "DOES NOT DETECT");
    CHECK(on.get("/small").body == small_body);
    on.scanner.on_canary(find_it);
    wait_for_output(on, "detects again");
  }
}

TEST_CASE("scanners: a page in EICAR's place passes the canary, EICAR in another page does not") {
  auto settings = impatient();
  settings.env[setting::canary_interval] = "1s";
  settings.canary = "enforce";
  stage on(settings);
  std::atomic<bool> replaces = false;
  on.scanner.on_canary([&](exchange& with) {
    const bool bad = with.body().find(eicar()) != std::string::npos;
    const auto page = "Sorry. " + (replaces ? std::string("Not for you.") : with.body());
    with.answer(bad ? adapted("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", page)
                    : no_modification());
  });
  serve_bodies(on);
  wait_for_output(on, "DOES NOT DETECT");
  CHECK(on.get("/small").status == 503);
  replaces = true;
  wait_for_output(on, "detects again");
  CHECK(on.get("/small").body == small_body);
}

TEST_CASE("scanners: with canary = enforce one that lets EICAR pass is not used until it detects") {
  std::atomic<bool> detects = false;
  auto settings = impatient();
  settings.env[setting::canary_interval] = "1s";
  settings.canary = "enforce";
  stage on(settings);
  on.scanner.on_canary([&](exchange& with) { detects ? find_it(with) : pass_everything(with); });
  serve_bodies(on);
  wait_for_output(on, "DOES NOT DETECT");
  CHECK(on.get("/small").status == 503);
  CHECK(on.get("/large").status == 503);
  CHECK(on.scanner.scans().empty());
  detects = true;
  wait_for_output(on, "detects again");
  CHECK(on.get("/small").body == small_body);
  detects = false;
  wait_until("it is not used any more", [&] { return on.get("/small").status == 503; });
}

TEST_CASE("scanners: with canary = enforce another one that detects serves") {
  icap_peer bad;
  icap_peer good;
  bad.on_canary(pass_everything);
  auto settings = impatient({bad.port(), good.port()});
  settings.canary = "enforce";
  stage on(settings);
  serve_bodies(on);
  wait_for_output(on, "DOES NOT DETECT");
  wait_until("the good one is trusted", [&] { return on.get("/small").status == 200; });
  for (int i = 0; i < 10; ++i) CHECK(on.get("/small").body == small_body);
  CHECK(bad.scans().empty());
}

TEST_CASE("scanners: OPTIONS that fail leave the old options in use") {
  stage on({.env = {{setting::options_min, "1s"}}},
           {.options = options_answer({{"Preview", "1024"}, {"Options-TTL", "1"}})});
  on.learn_options();
  serve_bodies(on);
  for (const auto& failure : {icap_status("500 Server error"), std::string()}) {
    INFO(failure);
    on.scanner.offer(failure);
    const auto before = on.scanner.options_asked();
    wait_until("OPTIONS failed", [&] { return on.scanner.options_asked() > before; });
    CHECK(difference(on.get("/large").body, large_body()) == "");
    CHECK(on.scanner.scan_of("/large").preview == 1024);
  }
  wait_for_output(on, "OPTIONS failed");
  // New ones replace them.
  on.scanner.offer(options_answer({{"Preview", "7"}, {"Options-TTL", "3600"}}));
  wait_until("the new options are used", [&] {
    on.get("/large");
    return on.scanner.scan_of("/large").preview == 7;
  });
}

TEST_CASE("scanners: an infected file that trickles is blocked with a page of ours") {
  const auto& body = large_body();
  const auto part = body.substr(0, 150'000);
  const std::string head = "HTTP/1.1 200 OK\r\nX-Trickled: 1\r\n";
  const auto whole_length = "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  const auto part_length = "Content-Length: " + std::to_string(part.size()) + "\r\n\r\n";
  stage on(impatient());
  on.origin.when("/chunked",
                 {.fields = {{"X-Origin", "1"}}, .body = body, .form = framing::chunked});
  on.origin.when("/length", {.fields = {{"X-Origin", "1"}}, .body = body});
  for (const auto& more : {whole_length, part_length, std::string("\r\n")}) {
    const auto answer = adapted(head + more, part);
    const std::vector<icap_peer::script> plays = {
        says(answer),
        [answer](exchange& with) {  // while the rest is still being sent
          std::size_t seen = 0;
          while (seen < 2'000'000) seen += with.next().size();
          with.answer(std::string_view(answer).substr(0, 100'000));
          with.body();
          with.answer(std::string_view(answer).substr(100'000));
        }};
    for (const auto& play : plays) {
      for (const std::string target : {"/chunked", "/length"}) {
        INFO(target << " as " << more);
        on.scanner.play(play);
        const auto got = on.get(target);
        CHECK(got.status == 403);
        CHECK(got.whole());
        CHECK_FALSE(has(got.fields(), "X-Trickled"));
        CHECK_FALSE(has(got.fields(), "X-Origin"));
        CHECK(got.body.size() < 4096);
        CHECK(got.body.find(part.substr(0, 64)) == std::string::npos);
      }
    }
  }
  for (const auto& line : on.icapgate.lines(on.asked)) CHECK(line.text("verdict") == "blocked");
}

TEST_CASE("scanners: a shorter body with another status is an adapted one") {
  stage on;
  on.origin.when("/a", {.body = noise(5000)});
  on.scanner.always(adapted("HTTP/1.1 203 Non-Authoritative\r\nContent-Length: 100\r\n\r\n",
                            noise(5000).substr(0, 100)));
  const auto got = on.get("/a");
  CHECK(got.status == 203);
  CHECK(got.body == noise(5000).substr(0, 100));
  on.scanner.always(adapted("HTTP/1.1 200 OK\r\n\r\n", "a short text"));
  CHECK(on.get("/a").body == "a short text");
  for (const auto& line : on.icapgate.lines(2)) CHECK(line.text("verdict") == "adapted");
}

TEST_CASE("scanners: one that stops reading ends by timeout, and 200 MB do not pile up") {
  constexpr std::size_t mebibyte = 1 << 20;
  happening over;
  auto settings = impatient();
  settings.env["ASAN_OPTIONS"] = "quarantine_size_mb=1";
  settings.env[setting::max_scan_size] = "0";
  settings.env[setting::spool_first_above] = "0";
  stage on(settings);
  const auto block = noise(mebibyte);
  on.origin.when("/small", {.body = block});
  on.origin.when("/huge", [&](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(200 * mebibyte) + "\r\n\r\n");
    for (int i = 0; i < 200; ++i) to.write(block);
  });
  CHECK(on.get("/small").status == 200);
  const auto before = peak_memory(on.icapgate.id());
  on.scanner.play([&](exchange&) { over.wait(); });
  const auto refused = on.get("/huge");
  check_refusal(refused, on.last_line());
  CHECK(on.last_line().text("reason") == "icap_write_timeout");
  CHECK(peak_memory(on.icapgate.id()) < before + 16);
  over.tell();
}
