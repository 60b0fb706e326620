#include "proxy/service_manager.hpp"

#include "base/options.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <system_error>
#include <utility>

namespace icapgate::proxy {
namespace {

constexpr int first_descriptor = 3;           // sd_listen_fds(3): behind the standard three
constexpr std::uint64_t most_sockets = 1024;  // more than any unit names
constexpr timeval patience{1, 0};

// The variable's value; it is gone afterwards.
std::optional<std::string> take(const char* name) {
  const char* found = std::getenv(name);
  if (!found) return std::nullopt;
  std::string value(found);
  ::unsetenv(name);
  return value;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_this_process(const std::string& pid) {
  return number(pid) == static_cast<std::uint64_t>(::getpid());
}

// Names are separated by colons, which none of them can hold.
std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  for (;;) {
    const auto colon = text.find(':');
    names.emplace_back(text.substr(0, colon));
    if (colon == text.npos) return names;
    text.remove_prefix(colon + 1);
  }
}

int socket_option(int descriptor, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool listens_for_streams(int descriptor) {
  const int family = socket_option(descriptor, SO_DOMAIN);
  return socket_option(descriptor, SO_TYPE) == SOCK_STREAM &&
         socket_option(descriptor, SO_ACCEPTCONN) == 1 &&
         (family == AF_INET || family == AF_INET6 || family == AF_UNIX);
}

void close_if_open(int descriptor) {
  if (descriptor >= 0) ::close(descriptor);
}

// From the same clock as the manager's own, in microseconds.
std::int64_t monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

inherited_socket::inherited_socket(int descriptor, std::string name)
    : descriptor_(descriptor),
      family_(socket_option(descriptor, SO_DOMAIN)),
      name_(std::move(name)) {}

inherited_socket::inherited_socket(inherited_socket&& other) noexcept
    : descriptor_(other.release()), family_(other.family_), name_(std::move(other.name_)) {}

inherited_socket& inherited_socket::operator=(inherited_socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(family_, other.family_);
  name_.swap(other.name_);
  return *this;
}

inherited_socket::~inherited_socket() {
  close_if_open(descriptor_);
}

int inherited_socket::release() {
  return std::exchange(descriptor_, -1);
}

service_manager service_manager::from_environment() {
  service_manager manager;
  manager.read_sockets();
  manager.read_watchdog();
  if (const auto address = take("NOTIFY_SOCKET")) manager.connect(*address);
  return manager;
}

service_manager::service_manager(service_manager&& other) noexcept
    : notify_(std::exchange(other.notify_, -1)),
      watchdog_interval_(other.watchdog_interval_),
      sockets_(std::move(other.sockets_)),
      problems_(std::move(other.problems_)),
      warnings_(std::move(other.warnings_)) {}

service_manager& service_manager::operator=(service_manager&& other) noexcept {
  std::swap(notify_, other.notify_);
  std::swap(watchdog_interval_, other.watchdog_interval_);
  sockets_.swap(other.sockets_);
  problems_.swap(other.problems_);
  warnings_.swap(other.warnings_);
  return *this;
}

service_manager::~service_manager() {
  close_if_open(notify_);
}

// A path, or '@' and a name in the abstract namespace, which begins with a zero byte on the wire.
void service_manager::connect(const std::string& address) {
  sockaddr_un peer{};
  peer.sun_family = AF_UNIX;
  const bool known = address.size() > 1 && (address[0] == '/' || address[0] == '@');
  if (!known || address.size() >= sizeof peer.sun_path) {
    warnings_.push_back("NOTIFY_SOCKET: " + in_quotes(address) +
                        " is neither a path nor an abstract address");
    return;
  }
  std::memcpy(peer.sun_path, address.data(), address.size());
  if (address[0] == '@') peer.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());

  notify_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (notify_ >= 0 && ::connect(notify_, reinterpret_cast<const sockaddr*>(&peer), size) == 0) {
    ::setsockopt(notify_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return;
  }
  warnings_.push_back("NOTIFY_SOCKET: " + in_quotes(address) + ": " +
                      std::generic_category().message(errno));
  close_if_open(std::exchange(notify_, -1));
}

void service_manager::read_watchdog() {
  const auto interval = take("WATCHDOG_USEC");
  const auto pid = take("WATCHDOG_PID");
  if (!interval || (pid && !is_this_process(*pid))) return;
  const auto value = number(*interval);
  if (value && *value > 0 && *value <= INT64_MAX)
    watchdog_interval_ = std::chrono::microseconds(static_cast<std::int64_t>(*value));
  else
    warnings_.push_back("WATCHDOG_USEC: " + in_quotes(*interval) + " is no time in microseconds");
}

void service_manager::read_sockets() {
  const auto pid = take("LISTEN_PID");
  const auto count_text = take("LISTEN_FDS");
  const auto names_text = take("LISTEN_FDNAMES");
  if (!count_text || !pid || !is_this_process(*pid)) return;
  const auto count = number(*count_text);
  if (!count || *count > most_sockets) {
    problems_.push_back("LISTEN_FDS: " + in_quotes(*count_text) + " is no number of sockets");
    return;
  }
  std::vector<std::string> names(*count);
  if (names_text && *count > 0) names = split_names(*names_text);
  if (names.size() != *count) {
    problems_.push_back("LISTEN_FDNAMES: " + in_quotes(*names_text) + " does not name " +
                        *count_text + " sockets");
    return;
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const int descriptor = first_descriptor + static_cast<int>(i);
    const int flags = ::fcntl(descriptor, F_GETFD);
    if (flags >= 0 && listens_for_streams(descriptor)) {
      ::fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC);
      sockets_.emplace_back(descriptor, names[i]);
    } else {
      problems_.push_back("LISTEN_FDS: descriptor " + std::to_string(descriptor) + ' ' +
                          in_quotes(names[i]) + " is no listening stream socket");
    }
  }
}

std::vector<inherited_socket> service_manager::take_sockets() {
  return std::exchange(sockets_, {});
}

bool service_manager::send(std::string_view message, bool wait) const {
  if (notify_ < 0) return true;
  const int flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);
  ssize_t sent;
  do sent = ::send(notify_, message.data(), message.size(), flags);
  while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(message.size());
}

bool service_manager::ready() const {
  return send("READY=1", true);
}

bool service_manager::reloading() const {
  return send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_now()), true);
}

bool service_manager::stopping() const {
  return send("STOPPING=1", true);
}

bool service_manager::status(std::string_view text) const {
  std::string message = "STATUS=" + std::string(text);
  std::ranges::replace(message, '\n', ' ');  // a line of its own would be another message
  return send(message, false);
}

bool service_manager::watchdog() const {
  return send("WATCHDOG=1", false);
}

bool service_manager::extend_timeout(std::chrono::microseconds more) const {
  return send("EXTEND_TIMEOUT_USEC=" + std::to_string(more.count()), true);
}

}  // namespace icapgate::proxy
