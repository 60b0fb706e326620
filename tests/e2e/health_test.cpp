// icapgate health, as a container's health check or a person runs it: same settings, exit status 0
// or 1, one line.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>

using namespace e2e;

namespace {

std::string local(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

std::map<std::string, std::string> admin_at(std::uint16_t port) {
  return {{"ICAPGATE_ADMIN", local(port)}};
}

outcome health(const std::map<std::string, std::string>& env, const std::string& flag = {}) {
  std::vector<std::string> arguments{"health"};
  if (!flag.empty()) arguments.push_back(flag);
  const auto got = run_icapgate(arguments, env);
  INFO(got.output);
  CHECK(std::ranges::count(got.output, '\n') == 1);
  return got;
}

}  // namespace

TEST_CASE("health: a gateway that lives is healthy, and ready where its scanner answers") {
  stage on;
  const auto env = admin_at(on.icapgate.admin_port());
  const auto alive = health(env);
  CHECK(alive.status == 0);
  CHECK(alive.output == "healthy: " + local(on.icapgate.admin_port()) + "/livez says 200 OK\n");
  const auto ready = health(env, "--ready");
  CHECK(ready.status == 0);
  CHECK(ready.output == "healthy: " + local(on.icapgate.admin_port()) + "/readyz says 200 OK\n");
}

TEST_CASE("health: while it drains a gateway lives and is not ready") {
  happening scanned;
  happening decide;
  stage on;
  on.origin.when("/a", {.body = "a body"});
  on.scanner.play([&](exchange& with) {
    with.body();
    scanned.tell();
    decide.wait();
    with.answer(no_modification());
  });
  auto client = on.client();
  client.send("GET", "/a");
  scanned.wait();
  on.icapgate.terminate();
  wait_until("it drains", [&] { return admin(on, "/readyz").status == 503; });
  const auto env = admin_at(on.icapgate.admin_port());
  CHECK(health(env).status == 0);
  const auto ready = health(env, "--ready");
  CHECK(ready.status == 1);
  CHECK(ready.output ==
        "unhealthy: " + local(on.icapgate.admin_port()) + "/readyz says 503 Service Unavailable\n");
  decide.tell();
  CHECK(client.receive().body == "a body");
  CHECK(on.icapgate.wait() == 0);
}

TEST_CASE("health: the settings come from a file as well, in front of or behind the command") {
  stage on;
  const temporary_folder folder;
  const auto file = (folder.path() / "icapgate.toml").string();
  write_file(file,
             "[admin]\naddress = \"0.0.0.0:" + std::to_string(on.icapgate.admin_port()) + "\"\n");
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"health", "--config", file}, {"--config", file, "health"}, {"health"}}) {
    const auto got = run_icapgate(arguments, arguments.size() == 1
                                                 ? decltype(admin_at(0)){{"ICAPGATE_CONFIG", file}}
                                                 : decltype(admin_at(0)){});
    INFO(got.output);
    CHECK(got.status == 0);
  }
}

TEST_CASE("health: nobody there is unhealthy, with what the system says") {
  const reserved_port nobody;
  const auto got = health(admin_at(nobody.number()));
  CHECK(got.status == 1);
  CHECK(got.output ==
        "unhealthy: cannot connect to " + local(nobody.number()) + ": Connection refused\n");
}

TEST_CASE("health: a listener that does not answer is unhealthy after two seconds") {
  server silent([](e2e::connection& with, int) { with.read_to_end(); });
  const auto begin = std::chrono::steady_clock::now();
  const auto got = health(admin_at(silent.port()));
  CHECK(got.status == 1);
  CHECK(got.output == "unhealthy: " + local(silent.port()) + "/livez: no answer within 2 s\n");
  CHECK(std::chrono::steady_clock::now() - begin >= 1900ms);
}

TEST_CASE("health: an answer that drips does not take longer, and one without end is cut") {
  server drips([](e2e::connection& with, int) {
    with.read_until("\r\n\r\n");
    with.write("HTTP/1.1 200 OK\r\n");
    while (true) {
      with.write("X: y\r\n");
      if (!with.is_quiet(50ms)) break;
    }
  });
  CHECK(health(admin_at(drips.port())).status == 1);
  server endless([](e2e::connection& with, int) {
    while (true) with.write(std::string(65536, 'x'));
  });
  const auto got = health(admin_at(endless.port()));
  CHECK(got.status == 1);
  CHECK(got.output == "unhealthy: " + local(endless.port()) + "/livez gives no HTTP answer\n");
}

TEST_CASE(
    "health: without an admin listener the listening address has to do, but not for --ready") {
  stage on;
  const std::map<std::string, std::string> env{{"ICAPGATE_LISTEN", local(on.icapgate.port())}};
  const auto alive = health(env);
  CHECK(alive.status == 0);
  CHECK(alive.output.starts_with("healthy: " + local(on.icapgate.port()) + " takes connections"));
  const auto ready = health(env, "--ready");
  CHECK(ready.status == 1);
  CHECK(ready.output.find("ICAPGATE_ADMIN") != std::string::npos);
  const reserved_port nobody;
  CHECK(health({{"ICAPGATE_LISTEN", local(nobody.number())}}).status == 1);
}

TEST_CASE("health: a unix socket is a listening address, too") {
  const temporary_folder folder;
  const auto path = (folder.path() / "socket").string();
  const std::map<std::string, std::string> env{{"ICAPGATE_LISTEN", "unix:" + path}};
  CHECK(health(env).status == 1);
  server there([](e2e::connection& with, int) { with.read_to_end(); }, path);
  CHECK(health(env).status == 0);
}

TEST_CASE("health: settings that are wrong are unhealthy, in one line") {
  const auto got = health({{"ICAPGATE_ADMIN", "nowhere"}});
  CHECK(got.status == 1);
  CHECK(got.output.starts_with("unhealthy: no valid settings: ICAPGATE_ADMIN: "));
}

TEST_CASE("health: takes nothing else") {
  const auto got = run_icapgate({"health", "--redy"});
  CHECK(got.status == 78);
  CHECK(got.output.find("--redy") != std::string::npos);
  CHECK(run_icapgate({"health", "--help"}).status == 0);
}
