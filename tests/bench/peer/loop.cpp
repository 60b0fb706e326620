#include "loop.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace bench {
namespace {

constexpr std::size_t read_size = 256 << 10;

int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// Without delay for small packets: each answer is written in one piece.
int tcp_socket(int flags) {
  const int fd = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), "socket");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

loop::loop()
    : epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll")), buffer_(new char[read_size]) {}

loop::~loop() {
  for (const auto& [fd, c] : connections_) ::close(fd);
  if (listener_ >= 0) ::close(listener_);
  ::close(epoll_);
}

std::uint16_t loop::listen(std::uint16_t port, factory make) {
  make_ = std::move(make);
  listener_ = tcp_socket(SOCK_NONBLOCK);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto address = loopback(port);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  checked(::bind(listener_, any, sizeof address), "bind");
  checked(::listen(listener_, 4096), "listen");
  socklen_t size = sizeof address;
  checked(::getsockname(listener_, any, &size), "getsockname");
  epoll_event wanted{.events = EPOLLIN, .data = {.fd = listener_}};
  checked(::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &wanted), "epoll_ctl");
  return ntohs(address.sin_port);
}

void loop::connect(std::uint16_t port, std::unique_ptr<handler> what, std::string first) {
  const int fd = tcp_socket(0);
  auto address = loopback(port);
  checked(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), "connect");
  add(fd, std::move(what), std::move(first));
}

void loop::add(int fd, std::unique_ptr<handler> what, std::string first) {
  // Edge-triggered, once for both directions: no further call per wait.
  epoll_event wanted{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.fd = fd}};
  checked(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &wanted), "epoll_ctl");
  connections_.insert_or_assign(fd, connection{std::move(what), {}, std::move(first)});
}

void loop::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    add(fd, make_(), {});
  }
}

void loop::run() {
  std::array<epoll_event, 256> events;
  while (!stopped_ && (listener_ >= 0 || !connections_.empty())) {
    const int ready = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready && !stopped_; ++i) {
      const auto& e = events[static_cast<std::size_t>(i)];
      if (e.data.fd == listener_)
        accept_all();
      else
        serve(e.data.fd, e.events);
    }
  }
}

void loop::serve(int fd, std::uint32_t events) {
  const auto at = connections_.find(fd);
  if (at == connections_.end()) return;
  auto& c = at->second;
  bool open = flush(fd, c);
  while (open && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    const auto got = receive(fd, c.in);
    if (got < 0) break;
    open = got > 0;
    if (open && !c.ending) c.ending = !c.what->received(c.in, c.out);
    open = open && flush(fd, c);
    // A short read has emptied the socket; only its end may still be there to be read.
    if (got < static_cast<ssize_t>(read_size) && (events & EPOLLRDHUP) == 0) break;
  }
  if (!open) close(fd);
}

// Above 0: bytes; 0: the end, or a failure; below: nothing yet.
ssize_t loop::receive(int fd, std::string& in) {
  const auto got = ::recv(fd, buffer_.get(), read_size, MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN ? -1 : 0;
  in.append(buffer_.get(), static_cast<std::size_t>(got));
  return got;
}

bool loop::flush(int fd, connection& c) {
  while (c.sent < c.out.size()) {
    const auto done =
        ::send(fd, c.out.data() + c.sent, c.out.size() - c.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done < 0) return errno == EAGAIN;
    c.sent += static_cast<std::size_t>(done);
  }
  c.out.clear();
  c.sent = 0;
  return !c.ending;
}

void loop::close(int fd) {
  connections_.at(fd).what->closed();
  connections_.erase(fd);
  ::close(fd);
}

}  // namespace bench
