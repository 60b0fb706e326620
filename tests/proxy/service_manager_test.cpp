#include "proxy/service_manager.hpp"

#include "catch.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>

using icapgate::proxy::service_manager;
using namespace std::chrono_literals;

namespace {

// The manager's end of NOTIFY_SOCKET. Reading waits for 5 s at most.
class notifications {
 public:
  explicit notifications(bool abstract) {
    address_ = (abstract ? "@icapgate-test-" : "/tmp/icapgate-test-") + std::to_string(::getpid()) +
               ".notify";
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, address_.data(), address_.size());
    if (abstract) at.sun_path[0] = '\0';
    ::unlink(address_.c_str());
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const timeval patience{5, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&at),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size())) == 0);
    ::setenv("NOTIFY_SOCKET", address_.c_str(), 1);
  }
  ~notifications() {
    ::close(socket_);
    ::unlink(address_.c_str());
    ::unsetenv("NOTIFY_SOCKET");
  }

  std::string next() const {
    std::array<char, 4096> buffer{};
    const auto size = ::recv(socket_, buffer.data(), buffer.size(), 0);
    REQUIRE(size >= 0);
    return {buffer.data(), static_cast<std::size_t>(size)};
  }

 private:
  std::string address_;
  int socket_ = -1;
};

int listening_socket(int family, int type = SOCK_STREAM) {
  const int descriptor = ::socket(family, type, 0);
  sockaddr_storage any{};
  any.ss_family = static_cast<sa_family_t>(family);
  ::bind(descriptor, reinterpret_cast<sockaddr*>(&any),
         family == AF_INET ? sizeof(sockaddr_in) : sizeof(sa_family_t));
  ::listen(descriptor, 1);
  return descriptor;
}

struct environment {
  const char* count = nullptr;
  const char* names = nullptr;
  const char* pid = nullptr;  // none: the process's own
};

// What `look` says in a process of its own, whose descriptors 3, 4, ... are the given ones. An
// empty text is well.
std::string with_descriptors(const std::vector<int>& given, const environment& set,
                             const std::function<std::string(service_manager&)>& look) {
  int answer[2];
  REQUIRE(::pipe(answer) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int out = ::fcntl(answer[1], F_DUPFD, 200);
    std::vector<int> high;
    for (const int one : given) high.push_back(::fcntl(one, F_DUPFD, 100));
    for (int low = 3; low < 100; ++low) ::close(low);
    for (std::size_t i = 0; i < high.size(); ++i) {
      ::dup2(high[i], 3 + static_cast<int>(i));
      ::close(high[i]);
    }
    if (set.count) ::setenv("LISTEN_FDS", set.count, 1);
    if (set.names) ::setenv("LISTEN_FDNAMES", set.names, 1);
    ::setenv("LISTEN_PID", set.pid ? set.pid : std::to_string(::getpid()).c_str(), 1);
    auto manager = service_manager::from_environment();
    const auto text = look(manager);
    const bool written =
        ::write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(written ? 0 : 1);
  }
  ::close(answer[1]);
  std::string text;
  std::array<char, 512> buffer{};
  for (ssize_t n = 0; (n = ::read(answer[0], buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  ::close(answer[0]);
  int status = -1;
  ::waitpid(child, &status, 0);
  REQUIRE(status == 0);
  for (const int one : given) ::close(one);
  return text;
}

std::string first_problem(service_manager& manager) {
  return manager.problems().empty() ? "none" : manager.problems()[0];
}

}  // namespace

TEST_CASE("service manager: each message reaches a socket with a path, and one without") {
  const bool abstract = GENERATE(false, true);
  const notifications manager_end(abstract);
  const auto manager = service_manager::from_environment();
  REQUIRE(manager.warnings().empty());
  REQUIRE(manager.listens());

  REQUIRE(manager.ready());
  CHECK(manager_end.next() == "READY=1");
  REQUIRE(manager.status("serving 3 clients"));
  CHECK(manager_end.next() == "STATUS=serving 3 clients");
  REQUIRE(manager.watchdog());
  CHECK(manager_end.next() == "WATCHDOG=1");
  REQUIRE(manager.extend_timeout(5s));
  CHECK(manager_end.next() == "EXTEND_TIMEOUT_USEC=5000000");
  REQUIRE(manager.stopping());
  CHECK(manager_end.next() == "STOPPING=1");
}

TEST_CASE("service manager: a reload tells when it began, in microseconds of the monotonic clock") {
  const notifications manager_end(false);
  const auto manager = service_manager::from_environment();
  const auto now = [] {
    timespec at{};
    ::clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1'000'000LL + at.tv_nsec / 1000;
  };
  const auto before = now();
  REQUIRE(manager.reloading());
  const auto message = manager_end.next();
  const std::string head = "RELOADING=1\nMONOTONIC_USEC=";
  REQUIRE(message.substr(0, head.size()) == head);
  const auto told = std::stoll(message.substr(head.size()));
  CHECK(told >= before);
  CHECK(told <= now());
}

TEST_CASE("service manager: a line break in a status starts no message of its own") {
  const notifications manager_end(false);
  const auto manager = service_manager::from_environment();
  REQUIRE(manager.status("a\nSTOPPING=1"));
  CHECK(manager_end.next() == "STATUS=a STOPPING=1");
}

TEST_CASE("service manager: a status does not wait for a manager that reads nothing") {
  const notifications manager_end(false);
  const auto manager = service_manager::from_environment();
  int sent = 0;
  while (sent < 100'000 && manager.status("one more")) ++sent;
  CHECK(sent > 0);
  CHECK(sent < 100'000);
}

TEST_CASE("service manager: without one, messages go nowhere and nothing fails") {
  ::unsetenv("NOTIFY_SOCKET");
  auto manager = service_manager::from_environment();
  CHECK_FALSE(manager.listens());
  CHECK(manager.ready());
  CHECK(manager.watchdog());
  CHECK(manager.watchdog_interval() == 0us);
  CHECK(manager.take_sockets().empty());
  CHECK(manager.problems().empty());
}

TEST_CASE("service manager: an address that is none, or that nobody serves, is told of") {
  const std::string address = GENERATE(as<std::string>(), "", "@", "relative", "vsock:2:1234",
                                       "/nonexistent/notify", "/" + std::string(200, 'x'));
  ::setenv("NOTIFY_SOCKET", address.c_str(), 1);
  const auto manager = service_manager::from_environment();
  CHECK(manager.problems().empty());
  REQUIRE(manager.warnings().size() == 1);
  CHECK(manager.warnings()[0].find("NOTIFY_SOCKET") == 0);
  CHECK_FALSE(manager.listens());
  CHECK(manager.ready());
}

TEST_CASE("service manager: the watchdog's interval counts for this process only") {
  const auto own = std::to_string(::getpid());
  const auto interval = [](const char* microseconds, const char* pid) {
    ::setenv("WATCHDOG_USEC", microseconds, 1);
    if (pid) ::setenv("WATCHDOG_PID", pid, 1);
    return service_manager::from_environment().watchdog_interval();
  };
  CHECK(interval("20000000", nullptr) == 20s);
  CHECK(interval("20000000", own.c_str()) == 20s);
  CHECK(interval("20000000", "1") == 0us);
  CHECK(interval("0", nullptr) == 0us);
  CHECK(interval("-5", nullptr) == 0us);
  CHECK(interval("18446744073709551615", nullptr) == 0us);
  CHECK(interval("soon", nullptr) == 0us);
}

TEST_CASE("service manager: its variables are gone once they were read") {
  const notifications manager_end(false);
  for (const auto* name :
       {"WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
    ::setenv(name, "1", 1);
  const auto manager = service_manager::from_environment();
  for (const auto* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID",
                           "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    INFO(name);
    CHECK(std::getenv(name) == nullptr);
  }
}

TEST_CASE("service manager: sockets of several units come with their names, closed on exec") {
  const auto text = with_descriptors(
      {listening_socket(AF_INET), listening_socket(AF_UNIX), listening_socket(AF_INET)},
      {"3", "http:local:http"}, [](service_manager& manager) {
        std::string all;
        for (const auto& p : manager.problems()) all += p;
        for (const auto& one : manager.take_sockets()) {
          const bool kept = (::fcntl(one.descriptor(), F_GETFD) & FD_CLOEXEC) == 0;
          all += std::to_string(one.descriptor()) + ' ' + one.name() +
                 (one.family() == AF_UNIX ? " unix" : " inet") + (kept ? " kept; " : "; ");
        }
        return all + (manager.take_sockets().empty() ? "" : "twice");
      });
  CHECK(text == "3 http inet; 4 local unix; 5 http inet; ");
}

TEST_CASE("service manager: a socket without a name is handed over all the same") {
  const auto text = with_descriptors({listening_socket(AF_INET)}, {"1"}, [](auto& manager) {
    const auto all = manager.take_sockets();
    return all.size() == 1 && all[0].name().empty() ? std::string() : first_problem(manager);
  });
  CHECK(text.empty());
}

TEST_CASE("service manager: sockets for another process are left alone") {
  const auto text = with_descriptors({listening_socket(AF_INET)}, {"1", "http", "1"},
                                     [](service_manager& manager) {
                                       const bool none = manager.take_sockets().empty();
                                       const bool open = ::fcntl(3, F_GETFD) >= 0;
                                       return none && open ? std::string() : "taken or closed";
                                     });
  CHECK(text.empty());
}

TEST_CASE("service manager: a socket that was not released is closed with its owner") {
  const auto text =
      with_descriptors({listening_socket(AF_INET), listening_socket(AF_INET)}, {"2", "a:b"},
                       [](service_manager& manager) {
                         int kept = -1;
                         {
                           auto all = manager.take_sockets();
                           kept = all[1].release();
                         }
                         const bool closed = ::fcntl(3, F_GETFD) < 0;
                         return closed && ::fcntl(kept, F_GETFD) >= 0 ? std::string() : "wrong";
                       });
  CHECK(text.empty());
}

TEST_CASE("service manager: descriptors that are no listening stream sockets are named") {
  const auto datagram =
      with_descriptors({listening_socket(AF_INET, SOCK_DGRAM)}, {"1", "dns"}, first_problem);
  CHECK(datagram == "LISTEN_FDS: descriptor 3 \"dns\" is no listening stream socket");
  const auto idle =
      with_descriptors({::socket(AF_INET, SOCK_STREAM, 0)}, {"1", "idle"}, first_problem);
  CHECK(idle == "LISTEN_FDS: descriptor 3 \"idle\" is no listening stream socket");
  const auto missing = with_descriptors({}, {"1", "gone"}, first_problem);
  CHECK(missing == "LISTEN_FDS: descriptor 3 \"gone\" is no listening stream socket");
}

TEST_CASE("service manager: counts and names that make no sense hand nothing over") {
  const auto handed = [](const char* count, const char* names) {
    return with_descriptors({listening_socket(AF_INET)}, {count, names}, [](auto& manager) {
      return manager.take_sockets().empty() ? first_problem(manager) : std::string("handed over");
    });
  };
  CHECK(handed("many", nullptr) == "LISTEN_FDS: \"many\" is no number of sockets");
  CHECK(handed("-1", nullptr) == "LISTEN_FDS: \"-1\" is no number of sockets");
  CHECK(handed("99999999999", nullptr) == "LISTEN_FDS: \"99999999999\" is no number of sockets");
  CHECK(handed("1", "a:b") == "LISTEN_FDNAMES: \"a:b\" does not name 1 sockets");
  CHECK(handed("0", "") == "none");
}
