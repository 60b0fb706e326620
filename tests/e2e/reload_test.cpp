// SIGHUP: the settings are read again, and nobody who is served notices.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

using namespace e2e;

namespace {

constexpr auto enforce = "[policy]\nmode = \"enforce\"\n";
constexpr auto off = "[policy]\nmode = \"off\"\n";

bool says(const stage& on, const std::string& text) {
  return on.icapgate.output().find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("reload: the next request on an open connection follows the new settings") {
  stage on({.config = enforce});
  on.origin.when("/a", {.body = "a body"});
  on.scanner.always(block_page());
  auto client = on.client();
  CHECK(client.get("/a").status == 403);
  REQUIRE(on.icapgate.reload(off));
  CHECK(client.get("/a").body == "a body");
  REQUIRE(on.icapgate.reload(enforce));
  CHECK(client.get("/a").status == 403);
  CHECK(says(on, "reload: policy.mode: \"off\", before: \"enforce\""));
  CHECK(metric(on, "reloads_total{result=\"done\"}") == 2);
  CHECK(metric(on, "config_last_reload_successful") == 1);
}

TEST_CASE("reload: a transfer that runs finishes as it began") {
  happening scanned;
  happening decide;
  stage on({.config = enforce});
  on.origin.when("/a", {.body = "a body"});
  on.scanner.play([&](exchange& with) {
    with.body();
    scanned.tell();
    decide.wait();
    with.answer(block_page());
  });
  auto client = on.client();
  client.send("GET", "/a");
  scanned.wait();
  REQUIRE(on.icapgate.reload(off));
  decide.tell();
  CHECK(client.receive().status == 403);
  CHECK(on.get("/a").body == "a body");
}

TEST_CASE(
    "reload: a request that runs keeps its route and scanner, the one behind it has the new") {
  happening scanned, decide;
  icap_peer own;
  const origin_peer unused;
  const auto route = [](const std::string& host, std::uint16_t origin, const std::string& more) {
    return "[[route]]\nhost = \"" + host +
           "\"\norigin = \"http://127.0.0.1:" + std::to_string(origin) + "\"\n" + more;
  };
  const auto scanner =
      "scanner = { servers = [\"icap://127.0.0.1:" + std::to_string(own.port()) + "/avscan\"] }\n";
  origin_peer origin;
  icap_peer common;
  gate icapgate({.scanners = {common.port()},
                 .config = route("shop.example", origin.port(), scanner) +
                           route("other", unused.port(), "")});
  origin.when("/a", {.body = "a body"});
  own.play([&](exchange& with) {
    with.body();
    scanned.tell();
    decide.wait();
    with.answer(block_page());
  });
  http_client client(icapgate.port());
  client.send("GET", "/a");
  scanned.wait();
  client.send("GET", "/a");
  REQUIRE(icapgate.reload(route("other", unused.port(), "")));
  decide.tell();
  CHECK(client.receive().status == 403);
  CHECK(client.receive().status == 421);
  CHECK(origin.requests().size() == 1);
  CHECK(common.scans().empty());
  CHECK(icapgate.finish() == "");
}

TEST_CASE("reload: with any mistake the settings of before stay, and the mistake is named") {
  struct row {
    std::string config, named;
  };
  const e2e::listener other;
  const auto taken = "127.0.0.1:" + std::to_string(other.port());
  const auto with_listener = [](const std::string& more) {
    return "[listen.main]\naddress = \"127.0.0.1:@PORT@\"\n" + more;
  };
  const std::vector<row> rows{
      {"[policy\n", "icapgate.toml:1:8"},
      {"[policy]\nmod = \"off\"\n", "did you mean \"mode\""},
      {"[policy]\nmode = \"loud\"\n", "is none of: enforce monitor off"},
      {"[policy.block_page]\ntemplate = \"/nowhere\"\n", "/nowhere"},
      {"[policy.spool]\ndir = \"/nowhere\"\n", "/nowhere"},
      {"[[policy.rule]]\npath = \"/x\"\n", "has no reason"},
      {"[[route]]\nhost = \"x\"\n", "has no origin"},
      {with_listener("tls = { certificate = \"/nowhere.pem\" }\n"), "/nowhere.pem"},
      {with_listener("[listen.other]\naddress = \"" + taken + "\"\n"), "cannot listen on " + taken},
      {with_listener("[listen.other]\naddress = \"192.0.2.1:1\"\n"),
       "cannot listen on 192.0.2.1:1"}};
  stage on({.config = with_listener("[policy]\nmode = \"enforce\"\n")});
  on.origin.when("/a", {.body = "a body"});
  auto client = on.client();
  for (const auto& r : rows) {
    INFO(r.config);
    CHECK_FALSE(on.icapgate.reload(r.config));
    INFO(on.icapgate.output());
    CHECK(says(on, r.named));
    CHECK(client.get("/a").body == "a body");
  }
  std::filesystem::remove(on.icapgate.config_file());
  on.icapgate.signal(SIGHUP);
  wait_until("the missing file is told", [&] { return says(on, "cannot be read"); });
  CHECK(on.get("/a").body == "a body");
  CHECK(metric(on, "config_last_reload_successful") == 0);
  CHECK(metric(on, "reloads_total{result=\"refused\"}") == static_cast<double>(rows.size() + 1));
}

TEST_CASE("reload: settings that can't be used are not what later ones are compared with") {
  const e2e::listener other;
  const std::string first = "[listen.main]\naddress = \"127.0.0.1:@PORT@\"\n";
  const auto second =
      "[listen.other]\naddress = \"127.0.0.1:" + std::to_string(other.port()) + "\"\n";
  const std::string difference = "reload: policy.mode: \"off\", before: \"enforce\"";
  stage on({.config = first + enforce});
  CHECK_FALSE(on.icapgate.reload(first + second + off + "[log]\nlevel = \"error\"\n"));
  CHECK_FALSE(says(on, difference));
  REQUIRE(on.icapgate.reload(first + off));
  CHECK(says(on, difference));
}

TEST_CASE("reload: listeners come and go, and the others keep their clients") {
  const reserved_port extra;
  const std::string first = "[listen.first]\naddress = \"127.0.0.1:@PORT@\"\n";
  const std::string second =
      "[listen.second]\naddress = \"127.0.0.1:" + std::to_string(extra.number()) + "\"\n";
  stage on({.workers = 2, .config = first});
  on.origin.when("/a", {.body = "a body"});
  auto stays = on.client();
  CHECK(stays.get("/a").status == 200);
  REQUIRE(on.icapgate.reload(first + second));
  http_client leaves(extra.number());
  CHECK(leaves.get("/a").status == 200);
  REQUIRE(on.icapgate.reload(first));
  wait_until("the second listener is closed", [&] { return !can_connect(extra.number()); });
  CHECK(stays.get("/a").status == 200);
  CHECK(leaves.get("/a").status == 200);
}

TEST_CASE("reload: a unix socket gets another mode and stays open") {
  namespace fs = std::filesystem;
  const temporary_folder folder;
  const auto path = folder.path() / "socket";
  const auto with_mode = [&](const std::string& mode) {
    return "[listen.main]\naddress = \"127.0.0.1:@PORT@\"\n[listen.local]\naddress = \"unix:" +
           path.string() + "\"\nsocket_mode = \"" + mode + "\"\n";
  };
  stage on({.config = with_mode("600")});
  CHECK(fs::status(path).permissions() == fs::perms(0600));
  REQUIRE(on.icapgate.reload(with_mode("666")));
  CHECK(fs::status(path).permissions() == fs::perms(0666));
  CHECK(can_connect(path.string()));
}

TEST_CASE("reload: each listener believes its own proxies") {
  const reserved_port inside;
  stage on({.config = "[listen.outside]\naddress = \"127.0.0.1:@PORT@\"\n[listen.inside]\naddress "
                      "= \"127.0.0.1:" +
                      std::to_string(inside.number()) + "\"\ntrusted_proxies = \"127.0.0.1\"\n"});
  on.origin.when("/a", {.body = "a body"});
  const field_list told{{"X-Forwarded-For", "192.0.2.7"}};
  CHECK(on.client().get("/a", told).status == 200);
  CHECK(on.icapgate.line(1).text("client") == "127.0.0.1");
  CHECK(http_client(inside.number()).get("/a", told).status == 200);
  CHECK(on.icapgate.line(2).text("client") == "192.0.2.7");
}

TEST_CASE("reload: connections to origin and scanner stay where nothing about them changed") {
  stage on({.config = enforce});
  on.origin.when("/a", {.body = "a body"});
  on.learn_options();
  CHECK(on.get("/a").status == 200);
  const auto to_origin = on.origin.connections();
  const auto to_scanner = on.scanner.scan_connections();
  REQUIRE(on.icapgate.reload(std::string(enforce) + "max_scan_size = \"1GiB\"\n"));
  CHECK(on.get("/a").status == 200);
  CHECK(on.origin.connections() == to_origin);
  CHECK(on.scanner.scan_connections() == to_scanner);
  REQUIRE(on.icapgate.reload(std::string(enforce) + "[origin]\nkeep_alive = \"29s\"\n"));
  CHECK(on.get("/a").status == 200);
  CHECK(on.origin.connections() == to_origin + 1);
  CHECK(on.scanner.scan_connections() == to_scanner);
}

TEST_CASE("reload: a connection that transfers of before give back is closed") {
  happening asked, finish, held, closed;
  stage on({.config = off});
  on.origin.when("/long", [&](connection& to, const origin_request&) {
    held.tell();
    closed.wait();
    to.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
  });
  on.origin.when("/short", [&](connection& to, const origin_request&) {
    asked.tell();
    finish.wait();
    to.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    if (to.read_some().empty()) closed.tell();
  });
  auto longer = on.client();
  longer.send("GET", "/long");
  held.wait();
  auto shorter = on.client();
  shorter.send("GET", "/short");
  asked.wait();
  REQUIRE(on.icapgate.reload(std::string(off) + "[origin]\nkeep_alive = \"29m\"\n"));
  finish.tell();
  CHECK(shorter.receive().body == "x");
  closed.wait();
  CHECK(longer.receive().body == "x");
}

TEST_CASE("reload: limits of heads hold for the next request on an open connection") {
  const std::string tight = "max_request_line = 1024\nmax_head = 2048\n";
  stage on({.config = std::string(off) + tight});
  on.origin.when("/a", {.body = "a body"});
  const auto get = [](http_client& client, std::size_t size) {
    return client.get("/a", {{"X-Large", std::string(size, 'x')}}).status;
  };
  auto raised = on.client();
  CHECK(get(raised, 1000) == 200);
  REQUIRE(on.icapgate.reload(off));
  CHECK(get(raised, 4000) == 200);
  auto lowered = on.client();
  CHECK(get(lowered, 4000) == 200);
  REQUIRE(on.icapgate.reload(std::string(off) + tight));
  CHECK(get(lowered, 4000) == 431);
}

TEST_CASE("reload: what is known of a scanner outlives changed limits") {
  stage on({.config = enforce});
  on.origin.when("/a", {.body = "a body"});
  on.learn_options();
  REQUIRE(on.icapgate.reload(std::string(enforce) + "[scanner.a]\ntimeout = { total = \"9m\" }\n"));
  CHECK(on.get("/a").status == 200);
  // Only who knows the options tells the client's address.
  CHECK(value(on.scanner.scan_of("/a").icap.fields, "X-Client-IP") == "127.0.0.1");
}

TEST_CASE("reload: what only a restart can change is told, and the rest is done") {
  stage on({.config = enforce});
  on.origin.when("/a", {.body = "a body"});
  on.scanner.always(block_page());
  // The flag --workers beats the file.
  REQUIRE(on.icapgate.reload("workers = 3\n" + std::string(off)));
  CHECK_FALSE(says(on, "stays as it was"));
  CHECK(on.get("/a").status == 200);
}

TEST_CASE("reload: SIGHUP opens the access log anew") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a").status == 200);
  CHECK(on.last_line().number("status") == 200);
  const auto kept = on.icapgate.access_log_file();
  std::filesystem::rename(kept, kept.string() + ".1");
  on.icapgate.signal(SIGHUP);
  // Lines that wait for the writer then may still go to the old one.
  wait_until("a line is in the new file", [&] {
    CHECK(on.get("/a").status == 200);
    return std::filesystem::exists(kept) && !on.icapgate.access_log().empty();
  });
  CHECK(on.icapgate.line().number("status") == 200);
}

TEST_CASE("reload: 200 times under load, and no request fails") {
  stage on({.workers = 2, .config = enforce});
  const auto body = noise(200'000);
  on.origin.when("/small", {.body = "a body"});
  on.origin.when("/large", {.body = body});
  std::atomic<bool> over{false};
  std::atomic<std::size_t> served{0};
  std::vector<std::string> failures(6);
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < failures.size(); ++i)
    clients.emplace_back([&, i] {
      try {
        auto kept = on.client();
        while (!over) {
          auto fresh = on.client();
          for (auto* one : {&kept, &fresh}) {
            const bool large = i % 2 == 0;
            const auto got = one->get(large ? "/large" : "/small");
            if (got.status != 200 || got.body != (large ? body : "a body"))
              failures[i] = "status " + std::to_string(got.status);
            ++served;
          }
        }
      } catch (const std::exception& e) {
        failures[i] = e.what();
      }
    });
  const reserved_port extra;
  const std::string other = "[scanner.a]\ntimeout = { total = \"9m\" }\n";
  bool all_done = true;
  for (int i = 0; i < 200; ++i) {
    std::string config = enforce;
    if (i % 2 == 0) config += "max_scan_size = \"1GiB\"\n";
    if (i % 3 == 0)
      config += "[origin]\ntimeout = { first_byte = \"" + std::to_string(i + 9) + "s\" }\n";
    if (i % 5 == 0) config += other;
    if (i % 7 == 0) config += "[[policy.rule]]\nreason = \"" + std::to_string(i) + "\"\n";
    all_done = on.icapgate.reload(config) && all_done;
  }
  over = true;
  for (auto& c : clients) c.join();
  CHECK(all_done);
  CHECK(served > 200);
  for (const auto& f : failures) CHECK(f.empty());
}

TEST_CASE(
    "stop: during the delay clients are served, /readyz says no, and a second signal ends it") {
  origin_peer origin;
  icap_peer scanner;
  gate icapgate({.origin = origin.port(),
                 .scanners = {scanner.port()},
                 .env = {{"ICAPGATE_ADMIN__DRAIN_DELAY", "1h"}}});
  origin.when("/a", {.body = "a body"});
  http_client open(icapgate.port());
  CHECK(open.get("/a").status == 200);
  icapgate.terminate();
  const auto admin_says = [&](const std::string& target) {
    return http_client(icapgate.admin_port()).get(target).status;
  };
  wait_until("it is not ready", [&] { return admin_says("/readyz") == 503; });
  CHECK(admin_says("/livez") == 200);
  CHECK(open.get("/a").status == 200);
  CHECK(http_client(icapgate.port()).get("/a").status == 200);
  icapgate.signal(SIGINT);
  CHECK(icapgate.wait() == 1);
}

TEST_CASE("stop: SIGINT and a short delay end with status 0") {
  for (const auto number : {SIGINT, SIGTERM}) {
    gate_settings settings;
    settings.env["ICAPGATE_ADMIN__DRAIN_DELAY"] = number == SIGINT ? "1h" : "10ms";
    stage on(settings);
    on.icapgate.signal(number);
    CHECK(on.icapgate.wait() == 0);
  }
}

TEST_CASE("stop: every client that the system has accepted is served") {
  for (int round = 0; round < 10; ++round) {
    stage on;
    on.origin.when("/a", {.body = "a body"});
    CHECK(on.get("/a").status == 200);
    // The end is asked for while all of them wait, so that it comes between two of them.
    on.icapgate.signal(SIGSTOP);
    std::vector<http_client> clients;
    for (int i = 0; i < 60; ++i) {
      clients.push_back(on.client());
      clients.back().send("GET", "/a");
    }
    on.icapgate.terminate();
    on.icapgate.signal(SIGCONT);
    for (auto& one : clients) CHECK(one.receive().status == 200);
    CHECK(on.icapgate.wait() == 0);
  }
}

TEST_CASE("stop: SIGTERM under load with large transfers: all finish, and the status is 0") {
  constexpr std::size_t count = 30;
  stage on({.workers = 2});
  const auto body = noise(5'000'000);
  happening go_on;
  std::atomic<std::size_t> begun{0};
  on.origin.when("/large", [&](connection& wire, const origin_request&) {
    wire.write("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n");
    wire.write(std::string_view(body).substr(0, 2'000'000));
    ++begun;
    go_on.wait();
    wire.write(std::string_view(body).substr(2'000'000));
  });
  std::vector<std::string> outcomes(count);
  std::vector<std::thread> clients;
  for (auto& o : outcomes)
    clients.emplace_back([&] {
      try {
        const auto got = on.client().get("/large");
        o = got.status == 200 && got.body == body ? "whole"
                                                  : "status " + std::to_string(got.status);
      } catch (const std::exception& e) {
        o = e.what();
      }
    });
  wait_until("all transfers run", [&] { return begun == count; });
  on.icapgate.terminate();
  wait_until("new connections are refused", [&] { return !can_connect(on.icapgate.port()); });
  go_on.tell();
  for (auto& c : clients) c.join();
  for (const auto& o : outcomes) CHECK(o == "whole");
  CHECK(on.icapgate.wait() == 0);
}
