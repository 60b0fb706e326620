// Under a service manager: what it is told, and the sockets that it hands over.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <csignal>
#include <cstring>
#include <optional>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace e2e;

namespace {

// The datagram socket of a manager.
class manager {
 public:
  manager()
      : path_(folder_.path() / "notify"), fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strcpy(at.sun_path, path_.c_str());
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0)
      throw std::runtime_error("no notify socket");
  }
  ~manager() { ::close(fd_); }
  manager(const manager&) = delete;
  manager& operator=(const manager&) = delete;

  const std::string& path() const { return path_; }
  // Waits until that was said since the last call. What it came in.
  std::string wait_for(const std::string& text) {
    std::string message;
    wait_until("the manager is told " + text, [&] {
      char bytes[4096];
      for (ssize_t got; (got = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;) {
        message.assign(bytes, static_cast<std::size_t>(got));
        if (message.find(text) != std::string::npos) return true;
      }
      return false;
    });
    return message;
  }

 private:
  temporary_folder folder_;
  const std::string path_;
  int fd_;
};

// The program as a manager starts it: with descriptors from 3 on.
class service {
 public:
  service(const std::vector<int>& sockets, const std::string& names,
          const std::vector<std::string>& arguments) {
    std::string script = "LISTEN_PID=$$ LISTEN_FDS=" + std::to_string(sockets.size()) +
                         " LISTEN_FDNAMES=" + names + " exec \"$@\"";
    int target = 3;
    for (const int fd : sockets)
      script += ' ' + std::to_string(target++) + "<&" + std::to_string(fd);
    std::vector<std::string> command{"/bin/bash", "-c", script, "sh", program()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    process_.emplace(command, folder_.path() / "output");
  }
  process& running() { return *process_; }

 private:
  temporary_folder folder_;
  std::optional<process> process_;
};

// A listening socket that programs started by this one inherit.
class handed_over {
 public:
  handed_over() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(fd_, 8) != 0)
      throw std::runtime_error("no socket to hand over");
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
  }
  ~handed_over() { ::close(fd_); }
  handed_over(const handed_over&) = delete;
  handed_over& operator=(const handed_over&) = delete;
  int fd() const { return fd_; }
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

std::string url(const char* scheme, std::uint16_t port, const char* path = "") {
  return std::string(scheme) + "://127.0.0.1:" + std::to_string(port) + path;
}

}  // namespace

TEST_CASE("service: the manager is told of start, reload, life and end") {
  manager told;
  stage on({.env = {{"NOTIFY_SOCKET", told.path()}, {"WATCHDOG_USEC", "200000"}},
            .config = "[policy]\nmode = \"enforce\"\n"});
  told.wait_for("READY=1");
  told.wait_for("WATCHDOG=1");
  on.origin.when("/a", {.body = "a body"});
  on.scanner.always(block_page());
  CHECK(on.get("/a").status == 403);
  const auto numbers = told.wait_for("1 responses blocked");
  CHECK(numbers.starts_with("STATUS="));
  CHECK(numbers.find("1 of 1 scanners in use") != std::string::npos);
  REQUIRE(on.icapgate.reload("[policy]\nmode = \"off\"\n"));
  CHECK(told.wait_for("RELOADING=1").find("MONOTONIC_USEC=") != std::string::npos);
  told.wait_for("READY=1");
  CHECK_FALSE(on.icapgate.reload("[policy\n"));
  told.wait_for("RELOADING=1");
  told.wait_for("READY=1");
  on.icapgate.terminate();
  told.wait_for("STOPPING=1");
  CHECK(on.icapgate.wait() == 0);
}

TEST_CASE("service: one listener takes every socket, and nobody who waits in them is refused") {
  origin_peer origin;
  icap_peer scanner;
  origin.when("/a", {.body = "a body"});
  handed_over first, second;
  http_client early(first.port());
  early.send("GET", "/a");
  service icapgate(
      {first.fd(), second.fd()}, "x:y",
      {"--origin", url("http", origin.port()), "--icap", url("icap", scanner.port(), "/avscan"),
       "--workers", "2", "--access-log", "off", "--listen", "192.0.2.1:1"});
  CHECK(early.receive().body == "a body");
  CHECK(http_client(second.port()).get("/a").body == "a body");
  icapgate.running().signal(SIGTERM);
  CHECK(icapgate.running().wait() == 0);
}

TEST_CASE("service: several listeners take sockets by name; a name that none has is an error") {
  origin_peer origin;
  icap_peer scanner;
  origin.when("/a", {.body = "a body"});
  const temporary_folder folder;
  const auto file = folder.path() / "icapgate.toml";
  const reserved_port own;
  write_file(file,
             "[listen.given]\naddress = \"192.0.2.1:1\"\n[listen.own]\naddress = \"127.0.0.1:" +
                 std::to_string(own.number()) + "\"\n");
  const std::vector<std::string> arguments{"--origin",     url("http", origin.port()),
                                           "--icap",       url("icap", scanner.port(), "/avscan"),
                                           "--config",     file.string(),
                                           "--access-log", "off"};
  handed_over socket;
  {
    service icapgate({socket.fd()}, "given", arguments);
    CHECK(http_client(socket.port()).get("/a").body == "a body");
    CHECK(http_client(own.number()).get("/a").body == "a body");
    icapgate.running().signal(SIGHUP);
    CHECK(http_client(socket.port()).get("/a").body == "a body");
    icapgate.running().signal(SIGTERM);
    CHECK(icapgate.running().wait() == 0);
  }
  service refused({socket.fd()}, "other", arguments);
  CHECK(refused.running().wait() == 78);
  CHECK(refused.running().output().find("a socket named \"other\"") != std::string::npos);
}
