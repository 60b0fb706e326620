#include "kit/tcp.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

namespace e2e {

namespace {

using clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

int new_socket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

std::uint16_t bind_any(int fd) {
  auto address = loopback(0);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("bind");
  socklen_t length = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long: " + path);
  path.copy(address.sun_path, path.size());
  return address;
}

int new_unix_socket() {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

bool connect_to(int fd, std::uint16_t port) {
  const auto address = loopback(port);
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool wait_for(int fd, short events, std::chrono::milliseconds within) {
  const auto until = clock::now() + within;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::max(left, 0ms).count()));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) fail("poll");
  }
}

// "local:port remote:port" of a socket as /proc/net/tcp writes it.
std::string proc_pair(const sockaddr_in& local, const sockaddr_in& remote) {
  char text[64];
  std::snprintf(text, sizeof text, "%08X:%04X %08X:%04X", local.sin_addr.s_addr,
                ntohs(local.sin_port), remote.sin_addr.s_addr, ntohs(remote.sin_port));
  return text;
}

// Bytes that wait in the receive queue of that socket; 0 if it is gone.
unsigned long queued(const std::string& pair) {
  std::ifstream table("/proc/net/tcp");
  for (std::string line; std::getline(table, line);) {
    const auto at = line.find(pair);
    if (at == std::string::npos) continue;
    const auto colon = line.find(':', at + pair.size());
    return std::stoul(line.substr(colon + 1, 8), nullptr, 16);
  }
  return 0;
}

}  // namespace

connection::connection(int fd) : fd_(fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

connection connection::to(std::uint16_t port) {
  const int fd = new_socket();
  if (!connect_to(fd, port)) {
    ::close(fd);
    fail("connect to port " + std::to_string(port));
  }
  return connection(fd);
}

connection::connection(connection&& other) noexcept
    : fd_(other.fd_.exchange(-1)),
      buffer_(std::move(other.buffer_)),
      taken_(other.taken_),
      received_(other.received_),
      layer_(std::move(other.layer_)) {}

connection::~connection() {
  close();
}

std::size_t connection::receive(char* into, std::size_t size, std::chrono::milliseconds within) {
  for (;;) {
    if (fd_ < 0) throw peer_gone("read from a connection that this side closed");
    const bool here = layer_ && layer_->has_input();
    if (!here && !wait_for(fd_, POLLIN, within))
      throw timed_out("nothing more came within the time");
    if (layer_) return layer_->receive(into, size);
    const auto got = ::recv(fd_, into, size, 0);
    if (got >= 0) {
      received_ += static_cast<std::uint64_t>(got);
      return static_cast<std::size_t>(got);
    }
    if (errno == ECONNRESET || errno == EPIPE) throw was_reset("connection was reset");
    if (errno != EINTR && errno != EAGAIN) fail("recv");
  }
}

bool connection::fill(std::chrono::milliseconds within) {
  buffer_.erase(0, taken_);
  taken_ = 0;
  const auto before = buffer_.size();
  buffer_.resize(before + 65536);
  std::size_t got = 0;
  try {
    got = receive(buffer_.data() + before, 65536, within);
  } catch (...) {
    buffer_.resize(before);
    throw;
  }
  buffer_.resize(before + got);
  return got > 0;
}

std::string connection::take(std::size_t size) {
  std::string out = buffer_.substr(taken_, size);
  taken_ += out.size();
  return out;
}

std::string connection::read_some(std::size_t most, std::chrono::milliseconds within) {
  if (left_over() == 0 && !fill(within)) return {};
  return take(most);
}

std::string connection::read_exact(std::size_t size) {
  std::string out = take(size);
  auto have = out.size();
  out.resize(size);
  while (have < size) {
    const auto got = receive(out.data() + have, size - have, patience);
    if (got == 0) {
      throw peer_gone("ended after " + std::to_string(have) + " of " + std::to_string(size) +
                      " bytes");
    }
    have += got;
  }
  return out;
}

std::string connection::read_until(std::string_view mark) {
  for (;;) {
    const auto at = buffer_.find(mark, taken_);
    if (at != std::string::npos) return take(at + mark.size() - taken_);
    if (!fill(patience)) {
      throw peer_gone("ended after " + std::to_string(left_over()) + " bytes of a head: \"" +
                      buffer_.substr(taken_, 200) + "\"");
    }
  }
}

std::string connection::read_to_end() {
  std::string out;
  for (;;) {
    auto part = read_some();
    if (part.empty()) return out;
    out += part;
  }
}

bool connection::is_quiet(std::chrono::milliseconds within) {
  return left_over() == 0 && !wait_for(fd_, POLLIN, within);
}

void connection::wait_for_more() {
  if (is_quiet(patience)) throw timed_out("nothing came within the time");
}

void connection::write(std::string_view bytes) {
  if (layer_) return layer_->write(bytes);
  while (!bytes.empty()) {
    if (fd_ < 0) throw peer_gone("write to a connection that this side closed");
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      if (!wait_for(fd_, POLLOUT, patience)) throw timed_out("nobody took what was written");
    } else if (errno == ECONNRESET || errno == EPIPE) {
      throw was_reset("connection was reset while writing");
    } else {
      fail("send");
    }
  }
}

void connection::wait_taken() {
  sockaddr_in mine{};
  sockaddr_in theirs{};
  socklen_t length = sizeof mine;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&mine), &length);
  length = sizeof theirs;
  if (::getpeername(fd_, reinterpret_cast<sockaddr*>(&theirs), &length) != 0) return;
  const auto pair = proc_pair(theirs, mine);
  const auto until = clock::now() + patience;
  while (queued(pair) != 0) {
    if (clock::now() > until) throw timed_out("the other side does not read");
    std::this_thread::yield();
  }
}

void connection::end() {
  if (layer_) layer_->end();
  ::shutdown(fd_, SHUT_WR);
}

void connection::abort() {
  const std::lock_guard lock(closing_);
  if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

void connection::close() {
  const std::lock_guard lock(closing_);
  if (const int fd = fd_.exchange(-1); fd >= 0) ::close(fd);
}

void connection::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

reserved_port::reserved_port() : fd_(new_socket()) {
  const int on = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  number_ = bind_any(fd_);
}

reserved_port::~reserved_port() {
  ::close(fd_);
}

listener::listener() : fd_(new_socket()), port_(bind_any(fd_)) {
  if (::listen(fd_, 512) != 0) fail("listen");
}

listener::listener(const std::string& path) : fd_(new_unix_socket()), port_(0) {
  const auto address = unix_address(path);
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("bind " + path);
  if (::listen(fd_, 512) != 0) fail("listen");
}

listener::~listener() {
  if (fd_ >= 0) ::close(fd_);
}

int listener::accept() {
  for (;;) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) return fd;
    if (errno != EINTR && errno != ECONNABORTED) return -1;
  }
}

void listener::stop() {
  ::shutdown(fd_, SHUT_RDWR);
}

bool can_connect(std::uint16_t port) {
  const int fd = new_socket();
  const bool ok = connect_to(fd, port);
  ::close(fd);
  return ok;
}

bool can_connect(const std::string& path) {
  const int fd = new_unix_socket();
  const auto address = unix_address(path);
  const bool ok = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return ok;
}

}  // namespace e2e
