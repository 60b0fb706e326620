// Where bodies are until their verdict: the budget of memory and disk, trouble with the file, and
// scanners' connections that slow bodies don't hold.
#include "kit/held_scans.hpp"
#include "kit/numbers.hpp"

#include "catch.hpp"

#include <sys/resource.h>
#include <csignal>

using namespace e2e;

namespace {

constexpr std::size_t mebibyte = 1 << 20;

gate_settings spooling(const std::string& lines, const std::string& more = {}) {
  return {.config = "[policy.spool]\n" + lines + more};
}

// One MiB of memory and one of disk, for all bodies together.
std::string tight(const std::string& wait) {
  return "total_memory = \"1MiB\"\ntotal_disk = \"1MiB\"\nwait = \"" + wait + "\"\n";
}

// An origin that sends a part of a body, and the rest when it is told to.
class slow_body {
 public:
  slow_body(stage& on, const std::string& target, const std::string& body, std::size_t first,
            framing form = framing::length) {
    const response_text text{.body = body, .form = form, .chunks = {.size = body.size()}};
    const auto wire = text.wire();
    const auto cut = wire.size() - (body.size() - first);
    on.origin.when(target, [go_on = go_on_, wire, cut](connection& to, const origin_request&) {
      to.write(std::string_view(wire).substr(0, cut));
      go_on->wait();
      to.write(std::string_view(wire).substr(cut));
    });
  }
  ~slow_body() { go_on(); }
  void go_on() { go_on_->tell(); }

 private:
  std::shared_ptr<happening> go_on_ = std::make_shared<happening>();
};

// One MiB of memory and one of disk for all bodies together, and a body at the scanner that needs
// both.
struct full_spool {
  explicit full_spool(const std::string& wait)
      : on(spooling(tight(wait))),
        scanner(on.scanner, no_modification(), "/first"),
        first(on.client()) {
    on.origin.when("/first", {.body = body});
    first.send("GET", "/first");
    scanner.wait_for_one();
  }
  void let_go() {
    scanner.decide();
    CHECK(difference(first.receive().body, body) == "");
  }

  const std::string body = noise(2 * mebibyte);
  stage on;
  held_scans scanner;
  http_client first;
};

void check_spool_empty(stage& on) {
  wait_until("an empty spool", [&] {
    return metric(on, "spool_bytes{store=\"memory\"}") == 0 &&
           metric(on, "spool_bytes{store=\"disk\"}") == 0;
  });
}

void check_refused(const response& got, const access_line& line, const std::string& reason) {
  CHECK(got.status == 503);
  CHECK(got.whole());
  CHECK(has(got.fields(), "Retry-After"));
  CHECK(got.body.size() < 4096);
  CHECK(line.text("reason") == reason);
  CHECK(line.text("action") == "fail");
  CHECK(line.number("status") == 503);
}

// Of a get() of that target.
void check_refused(stage& on, const std::string& target, const std::string& reason) {
  const auto got = on.get(target);
  check_refused(got, on.last_line(), reason);
}

// Of that process, files without a name that lie in the folder.
std::size_t nameless_files(pid_t id, const std::filesystem::path& folder) {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(id) + "/fd")) {
    std::error_code gone;
    const auto at = std::filesystem::read_symlink(entry.path(), gone).string();
    if (at.starts_with(folder.string() + "/") && at.ends_with(" (deleted)")) ++count;
  }
  return count;
}

}  // namespace

// --- the budget

TEST_CASE("spool: bodies that find no memory go on in files") {
  for (const auto form : {framing::length, framing::chunked}) {
    stage on(spooling("total_memory = \"1MiB\"\ntotal_disk = \"16MiB\"\n"));
    const auto body = noise(mebibyte);
    on.origin.when("/a", {.body = body, .form = form});
    held_scans scanner(on.scanner);
    std::vector<http_client> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(on.client());
      clients.back().send("GET", "/a");
    }
    wait_until("three bodies in the spool", [&] {
      return metric(on, "spool_bytes{store=\"memory\"}") +
                 metric(on, "spool_bytes{store=\"disk\"}") >=
             3.0 * mebibyte;
    });
    CHECK(metric(on, "spool_bytes{store=\"memory\"}") <= mebibyte);
    CHECK(metric(on, "spool_limit_bytes{store=\"memory\"}") == mebibyte);
    CHECK(metric(on, "spool_limit_bytes{store=\"disk\"}") == 16.0 * mebibyte);
    scanner.decide();
    for (auto& client : clients) CHECK(difference(client.receive().body, body) == "");
    CHECK(metric(on, "spool_waits_total") == 0);
    check_spool_empty(on);
  }
}

TEST_CASE("spool: a full budget is waited for, then it means 503") {
  for (const auto form : {framing::length, framing::chunked}) {
    INFO("framing " << static_cast<int>(form));
    full_spool full("400ms");
    auto& on = full.on;
    const auto body = noise(2 * mebibyte - 1);
    on.origin.when("/second", {.body = body, .form = form});
    const auto began = std::chrono::steady_clock::now();
    const auto refused = on.get("/second");
    CHECK(std::chrono::steady_clock::now() - began >= 400ms);
    check_refused(refused, on.last_line(), "spool_full");
    CHECK(metric(on, "spool_waits_total") == 1);
    CHECK(metric(on, "spool_refusals_total") == 1);
    CHECK(metric(on, "transactions_total{reason=\"spool_full\"}") == 1);
    full.let_go();
    CHECK(difference(on.client().get("/second").body, body) == "");
    CHECK(metric(on, "spool_refusals_total") == 1);
    check_spool_empty(on);
  }
}

TEST_CASE("spool: room that is made in time means no error") {
  for (const auto form : {framing::length, framing::chunked}) {
    INFO("framing " << static_cast<int>(form));
    full_spool full("1m");
    auto& on = full.on;
    const auto body = noise(2 * mebibyte - 1);
    on.origin.when("/second", {.body = body, .form = form});
    auto second = on.client();
    second.send("GET", "/second");
    wait_until("a body that waits for room", [&] { return metric(on, "spool_waits_total") == 1; });
    full.let_go();
    CHECK(difference(second.receive().body, body) == "");
    CHECK(metric(on, "spool_refusals_total") == 0);
    check_spool_empty(on);
  }
}

TEST_CASE("spool: without a wait a full budget means 503 at once") {
  full_spool full("0");
  full.on.origin.when("/second", {.body = noise(1000)});
  check_refused(full.on, "/second", "spool_full");
  full.let_go();
}

TEST_CASE("spool: a body larger than the whole budget is refused at once, to the byte") {
  stage on(spooling(tight("1h")));
  on.origin.when("/fits", {.body = noise(2 * mebibyte)});
  on.origin.when("/beyond", {.body = noise(2 * mebibyte + 1)});
  CHECK(difference(on.get("/fits").body, noise(2 * mebibyte)) == "");
  CHECK(on.scanner.scans().size() == 1);
  check_refused(on, "/beyond", "spool_full");
  CHECK(on.scanner.scans().size() == 1);
  CHECK(metric(on, "spool_waits_total") == 0);
  CHECK(metric(on, "spool_refusals_total") == 1);
}

TEST_CASE("spool: a body without a length outgrows the whole budget") {
  stage on(spooling(tight("100ms")));
  // The end of such a body is seen by looking for more of it, and that takes room.
  on.origin.when("/fits", {.body = noise(2 * mebibyte - 1), .form = framing::chunked});
  on.origin.when("/beyond", {.body = noise(2 * mebibyte + 1), .form = framing::chunked});
  CHECK(difference(on.get("/fits").body, noise(2 * mebibyte - 1)) == "");
  check_refused(on, "/beyond", "spool_full");
  CHECK(metric(on, "spool_refusals_total") == 1);
  check_spool_empty(on);
}

TEST_CASE("spool: without a disk what fits into one body's memory is scanned, and no more") {
  const temporary_folder folder;
  stage on(
      spooling("total_disk = 0\nwait = \"100ms\"\ndir = \"" + folder.path().string() + "\"\n"));
  on.origin.when("/fits", {.body = noise(mebibyte)});
  on.origin.when("/beyond", {.body = noise(mebibyte + 1)});
  on.origin.when("/chunked", {.body = noise(mebibyte + 1), .form = framing::chunked});
  CHECK(difference(on.get("/fits").body, noise(mebibyte)) == "");
  check_refused(on, "/beyond", "spool_full");
  check_refused(on, "/chunked", "spool_full");
  CHECK(difference(on.get("/fits").body, noise(mebibyte)) == "");
}

TEST_CASE("spool: a scanner's version that finds no room means 503 and is counted") {
  stage on(spooling(tight("100ms")));
  on.origin.when("/a", {.body = noise(1000)});
  on.origin.when("/b", {.body = noise(1000)});
  on.scanner.always(adapted("HTTP/1.1 200 OK\r\n\r\n", noise(2 * mebibyte)));
  check_refused(on, "/a", "spool_full");
  CHECK(metric(on, "spool_refusals_total") == 1);
  on.scanner.always(no_modification());
  CHECK(on.get("/b").body == noise(1000));
  check_spool_empty(on);
}

// --- trouble with the file

TEST_CASE("spool: a folder that is gone costs only those bodies that need a file") {
  const temporary_folder folder;
  const auto dir = folder.path() / "spool";
  std::filesystem::create_directory(dir);
  stage on(spooling("memory = \"64KiB\"\ndir = \"" + dir.string() + "\"\n"));
  on.origin.when("/large", {.body = noise(200'000)});
  on.origin.when("/small", {.body = noise(60'000)});
  CHECK(on.get("/large").status == 200);
  std::filesystem::remove(dir);
  check_refused(on, "/large", "spool_failed");
  CHECK(on.get("/small").body == noise(60'000));
  CHECK(metric(on, "transactions_total{reason=\"spool_failed\"}") == 1);
  std::filesystem::create_directory(dir);
  CHECK(difference(on.get("/large").body, noise(200'000)) == "");
  check_spool_empty(on);
}

TEST_CASE("spool: a file that may not grow costs only its own transaction") {
  for (const auto form : {framing::length, framing::chunked}) {
    stage on(spooling("memory = \"64KiB\"\n"));
    on.origin.when("/large", {.body = noise(2 * mebibyte), .form = form});
    on.origin.when("/fits", {.body = noise(mebibyte), .form = form});
    const rlimit most{mebibyte, mebibyte};
    REQUIRE(::prlimit(on.icapgate.id(), RLIMIT_FSIZE, &most, nullptr) == 0);
    check_refused(on, "/large", "spool_failed");
    CHECK(difference(on.get("/fits").body, noise(mebibyte)) == "");
    check_refused(on, "/large", "spool_failed");
    check_spool_empty(on);
  }
}

TEST_CASE("spool: killed in the middle of 20 bodies it leaves nothing behind") {
  const temporary_folder folder;
  happening over;
  std::atomic<int> held = 0;
  origin_peer origin;
  icap_peer scanner;
  origin.when("/a", {.body = noise(300'000)});
  scanner.play([&](exchange& with) {
    with.body();
    ++held;
    over.wait();
  });
  gate icapgate(
      {.origin = origin.port(),
       .scanners = {scanner.port()},
       .workers = 2,
       .config = "[policy.spool]\nmemory = \"16KiB\"\ndir = \"" + folder.path().string() + "\"\n"});
  std::vector<http_client> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(icapgate.port());
    clients.back().send("GET", "/a");
  }
  wait_until("20 bodies at the scanner", [&] { return held == 20; });
  CHECK(nameless_files(icapgate.id(), folder.path()) == 20);
  REQUIRE(::kill(icapgate.id(), SIGKILL) == 0);
  CHECK(icapgate.wait() == 128 + SIGKILL);
  CHECK(std::filesystem::is_empty(folder.path()));
  over.tell();
}

// --- the scanner's connections

TEST_CASE("spool: a body that comes too slowly gives the scanner's only connection back") {
  stage on({.env = {{setting::scanner_connections, "1"}, {setting::scanner_queue, "20s"}}});
  const auto body = noise(50'000);
  slow_body slow(on, "/slow", body, 20'000);
  on.origin.when("/quick", {.body = "quick"});
  auto first = on.client();
  first.send("GET", "/slow");
  wait_until("a scan", [&] { return on.scanner.scans().size() == 1; });
  CHECK(on.client().get("/quick").body == "quick");
  CHECK(metric(on, "scans_postponed_total") == 1);
  slow.go_on();
  CHECK(difference(first.receive().body, body) == "");
  const auto scan = on.scanner.scan_of("/slow");
  CHECK(scan.whole);
  CHECK(difference(scan.body, body) == "");
  CHECK(metric(on, "scans_postponed_total") == 1);
}

TEST_CASE("spool: a body that drips below the rate is scanned when it is whole, and blocked") {
  stage on({.env = {{setting::scanner_connections, "1"}, {setting::scanner_queue, "20s"}}});
  auto enough = std::make_shared<happening>();
  on.origin.when("/slow", [enough](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (!enough->told()) {
      to.write(chunked("a drop").substr(0, 11));
      std::this_thread::sleep_for(20ms);
    }
    to.write("0\r\n\r\n");
  });
  on.origin.when("/quick", {.body = "quick"});
  on.scanner.play([](exchange& with) {
    with.answer(with.body().find("drop") == std::string::npos ? no_modification() : block_page());
  });
  auto first = on.client();
  first.send("GET", "/slow");
  wait_until("a scan", [&] { return on.scanner.scans().size() == 1; });
  CHECK(on.client().get("/quick").body == "quick");
  CHECK(metric(on, "scans_postponed_total") == 1);
  enough->tell();
  const auto got = first.receive();
  CHECK(got.status == 403);
  CHECK(got.body == page_body());
}

TEST_CASE("spool: with no rate asked for a slow body keeps the scanner's connection") {
  stage on({.env = {{setting::scanner_connections, "1"}, {setting::scanner_queue, "2500ms"}},
            .config = "[policy.spool]\nmin_rate = 0\n"});
  slow_body slow(on, "/slow", noise(50'000), 20'000);
  on.origin.when("/quick", {.body = "quick"});
  auto first = on.client();
  first.send("GET", "/slow");
  wait_until("a scan", [&] { return on.scanner.scans().size() == 1; });
  const auto refused = on.get("/quick");
  check_refusal(refused, on.icapgate.line());
  CHECK(on.icapgate.line().text("reason") == "icap_acquire_timeout");
  slow.go_on();
  CHECK(difference(first.receive().body, noise(50'000)) == "");
  CHECK(metric(on, "scans_postponed_total") == 0);
  CHECK(on.scanner.scans().size() == 1);
}

TEST_CASE("spool: a body that is known to be large is whole before a scanner sees it") {
  constexpr std::size_t limit = 100'000;
  stage on({.env = {{setting::scanner_connections, "1"}},
            .config = "[policy.spool]\nfirst_above = " + std::to_string(limit) + "\n"});
  const auto body = noise(limit + 1);
  slow_body slow(on, "/large", body, limit);
  on.origin.when("/quick", {.body = "quick"});
  auto first = on.client();
  first.send("GET", "/large");
  wait_until("most of the body in the spool",
             [&] { return metric(on, "spool_bytes{store=\"memory\"}") >= limit; });
  CHECK(on.client().get("/quick").body == "quick");
  CHECK(on.scanner.scans().size() == 1);
  slow.go_on();
  CHECK(difference(first.receive().body, body) == "");
  CHECK(difference(on.scanner.scan_of("/large").body, body) == "");
  CHECK(metric(on, "scans_postponed_total") == 0);
}

TEST_CASE("spool: a body of just that size is scanned while it comes, and so is one of no length") {
  constexpr std::size_t limit = 100'000;
  for (const auto& [form, size] :
       {std::pair(framing::length, limit), std::pair(framing::chunked, 2 * limit)}) {
    stage on(spooling("first_above = " + std::to_string(limit) + "\n"));
    const auto body = noise(size);
    slow_body slow(on, "/a", body, 50'000, form);
    auto client = on.client();
    client.send("GET", "/a");
    wait_until("a scan of what is there", [&] {
      const auto all = on.scanner.scans();
      return all.size() == 1 && all[0].body.size() >= 50'000;
    });
    slow.go_on();
    CHECK(difference(client.receive().body, body) == "");
  }
}

TEST_CASE("spool: with first_above = 0 a large body is scanned while it comes") {
  stage on(spooling("first_above = 0\n"));
  const auto body = noise(20 * mebibyte);
  slow_body slow(on, "/a", body, mebibyte);
  auto client = on.client();
  client.send("GET", "/a");
  wait_until("a scan", [&] { return on.scanner.scans().size() == 1; });
  slow.go_on();
  CHECK(difference(client.receive().body, body) == "");
}
