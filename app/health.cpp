#include "health.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace icapgate {

namespace {

constexpr unsigned patience = 2;         // seconds, for everything
constexpr std::size_t enough = 1 << 12;  // bytes of an answer

// One alarm bounds resolving, connecting and reading alike. Its sentence must stand before.
char too_late[256];

extern "C" void give_up(int) {
  [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, too_late, std::strlen(too_late));
  ::_exit(EXIT_FAILURE);
}

void set_alarm(const std::string& who) {
  const auto text = "unhealthy: " + who + ": no answer within 2 s\n";
  too_late[text.copy(too_late, sizeof too_late - 1)] = '\0';
  std::signal(SIGALRM, give_up);
  ::alarm(patience);
}

class connection {
 public:
  connection(int family, const sockaddr* address, socklen_t size)
      : socket_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (socket_ < 0 || ::connect(socket_, address, size) != 0) error_ = errno;
  }
  ~connection() {
    if (socket_ >= 0) ::close(socket_);
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  int error() const { return error_; }  // 0: it is open

  // Sends `request` and reads the answer, or its beginning, until the other side closes.
  std::string ask(std::string_view request) const {
    std::string answer;
    if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      return answer;
    std::array<char, enough> block;
    while (answer.size() < enough) {
      const auto got = ::recv(socket_, block.data(), block.size(), 0);
      if (got <= 0) break;
      answer.append(block.data(), static_cast<std::size_t>(got));
    }
    return answer;
  }

 private:
  int socket_;
  int error_ = 0;
};

// A listener on every address is asked over loopback.
std::string reachable(const std::string& host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

using opened = std::unique_ptr<connection>;

// `why`: what the system says where it fails.
opened open_unix(const std::string& path, std::string& why) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  auto out = std::make_unique<connection>(AF_UNIX, reinterpret_cast<const sockaddr*>(&address),
                                          sizeof address);
  why = std::strerror(out->error());
  return out->error() == 0 ? std::move(out) : nullptr;
}

opened open_tcp(const endpoint& at, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure =
      ::getaddrinfo(reachable(at.host).c_str(), std::to_string(at.port).c_str(), &hints, &found);
  if (failure != 0) {
    why = ::gai_strerror(failure);
    return nullptr;
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
  // The daemon listens on the first one.
  auto out = std::make_unique<connection>(all->ai_family, all->ai_addr, all->ai_addrlen);
  why = std::strerror(out->error());
  return out->error() == 0 ? std::move(out) : nullptr;
}

opened open(const endpoint& at, std::string& why) {
  return at.unix_socket.empty() ? open_tcp(at, why) : open_unix(at.unix_socket, why);
}

// "200 OK" of an answer's first line; nothing where it is no HTTP.
std::string status_of(std::string_view answer) {
  constexpr std::string_view version = "HTTP/1.1 ";
  if (!answer.starts_with(version)) return {};
  answer.remove_prefix(version.size());
  return std::string(answer.substr(0, answer.find('\r')));
}

health ask_admin(const endpoint& at, std::string_view page) {
  const auto place = at.to_string() + std::string(page);
  set_alarm(place);
  std::string why;
  const auto connected = open(at, why);
  if (!connected) return {false, "cannot connect to " + at.to_string() + ": " + why};
  const auto answer = connected->ask("GET " + std::string(page) +
                                     " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const auto status = status_of(answer);
  if (status.empty()) return {false, place + " gives no HTTP answer"};
  return {status.starts_with("200"), place + " says " + status};
}

}  // namespace

health ask_for_health(const config& settings, bool ready) {
  if (settings.admin) return ask_admin(*settings.admin, ready ? "/readyz" : "/livez");
  if (ready) return {false, "only the admin listener knows: set admin.address (ICAPGATE_ADMIN)"};
  const auto& at = settings.listeners.front().address;
  set_alarm(at.to_string());
  std::string why;
  if (!open(at, why)) return {false, "cannot connect to " + at.to_string() + ": " + why};
  return {true, at.to_string() + " takes connections; with admin.address (ICAPGATE_ADMIN) more " +
                    "could be told"};
}

}  // namespace icapgate
