// Where clients connect: unix sockets, and how many of them at once.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

using namespace e2e;

namespace {

connection connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  connection made(fd);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect to " + path);
  return made;
}

// The program on a unix socket, without the kit's listener.
struct unix_gate {
  unix_gate(std::uint16_t origin, std::uint16_t scanner, const std::string& mode = "660",
            unsigned workers = 1)
      : socket((folder.path() / "s").string()) {
    const char* other = std::getenv("ICAPGATE_BINARY");
    command = {other != nullptr ? other : ICAPGATE_BINARY,
               "--listen",
               "unix:" + socket,
               "--origin",
               "http://127.0.0.1:" + std::to_string(origin),
               "--icap",
               "icap://127.0.0.1:" + std::to_string(scanner) + "/avscan",
               "--access-log",
               (folder.path() / "log").string(),
               "--workers",
               std::to_string(workers)};
    env = {{"ICAPGATE_LISTEN__SOCKET_MODE", mode}, {setting::canary, "off"}};
  }
  void start() {
    child = std::make_unique<process>(command, folder.path() / "output", env);
    wait_until("it listens", [&] {
      if (!child->running()) throw std::runtime_error("it ended: " + child->output());
      return can_connect(socket);
    });
  }
  int stop() {
    child->signal(SIGTERM);
    return child->wait();
  }

  temporary_folder folder;
  std::string socket;
  std::vector<std::string> command;
  std::map<std::string, std::string> env;
  std::unique_ptr<process> child;
};

std::string get(const std::string& socket) {
  auto wire = connect_unix(socket);
  wire.write("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  return wire.read_to_end();
}

bool is_closed(http_client& client) {
  try {
    return client.wire().read_some(1).empty();
  } catch (const was_reset&) {
    return true;
  }
}

double refused(stage& on, const std::string& why) {
  return metric(on, "client_refused_total{reason=\"" + why + "\"}");
}

}  // namespace

TEST_CASE("unix socket: it serves, has its mode, and goes with the program") {
  origin_peer origin;
  icap_peer scanner({.path = "avscan"});
  origin.when("/a", {.body = "a body"});
  for (const auto& [mode, bits] : {std::pair("660", 0660u), {"600", 0600u}, {"666", 0666u}}) {
    unix_gate on(origin.port(), scanner.port(), mode, 2);
    on.start();
    struct stat file{};
    REQUIRE(::stat(on.socket.c_str(), &file) == 0);
    CHECK((file.st_mode & 0777) == bits);
    for (int i = 0; i < 4; ++i) CHECK(get(on.socket).ends_with("a body"));
    const auto asked = origin.request("/a").head.fields;
    CHECK(value(asked, "X-Forwarded-For") == "unknown");
    CHECK(on.stop() == 0);
    CHECK_FALSE(std::filesystem::exists(on.socket));
    CHECK(file_text(on.folder.path() / "log").find("\"client\":\"unix\"") != std::string::npos);
  }
}

TEST_CASE("unix socket: one that was left behind is replaced, one in use is not") {
  origin_peer origin;
  icap_peer scanner({.path = "avscan"});
  origin.when("/a", {.body = "a body"});
  unix_gate on(origin.port(), scanner.port());
  on.start();
  process second(on.command, on.folder.path() / "output2", on.env);
  CHECK(second.wait() == 69);
  CHECK(second.output().find("cannot listen on unix:" + on.socket) != std::string::npos);
  CHECK(get(on.socket).ends_with("a body"));
  on.child->signal(SIGKILL);
  on.child->wait();
  CHECK(std::filesystem::exists(on.socket));
  on.start();
  CHECK(get(on.socket).ends_with("a body"));
  CHECK(on.stop() == 0);
}

TEST_CASE("unix socket: a file that is none stays") {
  origin_peer origin;
  icap_peer scanner({.path = "avscan"});
  unix_gate on(origin.port(), scanner.port());
  write_file(on.socket, "a text");
  process child(on.command, on.folder.path() / "output", on.env);
  CHECK(child.wait() == 69);
  CHECK(file_text(on.socket) == "a text");
}

TEST_CASE("limits: more clients than may be are closed, until one goes") {
  stage on({.workers = 2, .config = "[client]\nmax_connections = 2\n"});
  on.origin.when("/a", {.body = "a body"});
  // The kit's look whether it listens took a place, too.
  wait_until("nobody is there", [&] { return metric(on, "client_connections") == 0; });
  auto first = std::make_optional(on.client());
  CHECK(first->get("/a").status == 200);
  auto second = on.client();
  CHECK(second.get("/a").status == 200);
  const auto before = refused(on, "max_connections");
  auto third = on.client();
  CHECK(is_closed(third));
  CHECK(refused(on, "max_connections") == before + 1);
  CHECK(second.get("/a").status == 200);
  first.reset();
  wait_until("one has gone", [&] { return metric(on, "client_connections") == 1; });
  CHECK(on.client().get("/a").status == 200);
}

TEST_CASE("limits: one address has its share, and trusted proxies have no limit") {
  for (const bool trusted : {false, true}) {
    const std::string listen =
        trusted ? "[listen.a]\ntrusted_proxies = [\"127.0.0.1\"]\n" : std::string();
    stage on({.config = listen + "[client]\nmax_per_address = 1\n"});
    on.origin.when("/a", {.body = "a body"});
    wait_until("nobody is there", [&] { return metric(on, "client_connections") == 0; });
    const auto before = refused(on, "max_per_address");
    auto first = on.client();
    CHECK(first.get("/a").status == 200);
    auto second = on.client();
    if (trusted) {
      CHECK(second.get("/a").status == 200);
    } else {
      CHECK(is_closed(second));
    }
    CHECK(refused(on, "max_per_address") == before + (trusted ? 0 : 1));
  }
}

TEST_CASE("limits: the address is the one that a PROXY header names") {
  stage on({.config = "[listen.a]\ntrusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\n"
                      "[client]\nmax_per_address = 1\n"});
  on.origin.when("/a", {.body = "a body"});
  const auto ask = [&](http_client& client, const std::string& address) {
    client.wire().write("PROXY TCP4 " + address + " 10.0.0.1 1 2\r\n");
    client.send("GET", "/a");
  };
  auto first = on.client(), second = on.client(), third = on.client();
  ask(first, "192.0.2.1");
  CHECK(first.receive().status == 200);
  ask(second, "192.0.2.2");
  CHECK(second.receive().status == 200);
  ask(third, "192.0.2.1");
  CHECK(is_closed(third));
  CHECK(refused(on, "max_per_address") == 1);
}

TEST_CASE("limits: with the descriptors used up it waits, serves who is there, and goes on") {
  // A program with few of them.
  const temporary_folder folder;
  const auto script = folder.path() / "few";
  const char* other = std::getenv("ICAPGATE_BINARY");
  const std::string program = other != nullptr ? other : ICAPGATE_BINARY;
  write_file(script, "#!/bin/sh\nulimit -n 64\nexec '" + program + "' \"$@\"\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  ::setenv("ICAPGATE_BINARY", script.c_str(), 1);
  stage on;
  if (other != nullptr)
    ::setenv("ICAPGATE_BINARY", program.c_str(), 1);
  else
    ::unsetenv("ICAPGATE_BINARY");

  on.origin.when("/a", {.body = "a body"});
  auto early = on.client();
  CHECK(early.get("/a").status == 200);
  std::vector<http_client> crowd;
  for (int i = 0; i < 80; ++i) crowd.push_back(on.client());
  wait_until("some are refused", [&] { return refused(on, "descriptors") >= 1; });
  // What is kept back is enough for an origin and a scanner, and for whoever asks for metrics.
  for (int i = 0; i < 5; ++i) CHECK(early.get("/a").body == "a body");
  crowd.clear();
  wait_until("there is room again", [&] { return metric(on, "client_connections") == 1; });
  CHECK(on.client().get("/a").status == 200);
}
