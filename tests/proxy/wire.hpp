// One end of a connection as a stream, the other as a script.
#pragma once

#include "proxy/stream.hpp"

#include "catch.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace icapgate::test {

namespace asio = boost::asio;

// Runs one coroutine to its end while the deadlines tick.
template <class T>
T run(asio::io_context& context, proxy::deadlines& all, proxy::task<T> one) {
  std::optional<T> outcome;
  std::exception_ptr failure;
  all.start();
  proxy::start(context, std::move(one), [&](const std::exception_ptr& e, T value) {
    failure = e;
    outcome = std::move(value);
    context.stop();  // the deadlines go on ticking in the next run
  });
  context.run();
  context.restart();
  if (failure) std::rethrow_exception(failure);
  return std::move(*outcome);
}

inline proxy::task<io_status> until_readable(proxy::stream& one) {
  co_return co_await one.wait_readable();
}

class wire {
 public:
  wire() : all_(context_, [] {}), ends_(connected()), stream_(socket(), all_) {}
  ~wire() { hang_up(); }
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;

  asio::io_context& context() { return context_; }
  proxy::deadlines& all() { return all_; }
  proxy::stream& stream() { return stream_; }
  int peer() const { return ends_[1]; }

  // What the peer sends; small enough for the socket's buffer.
  void send(std::string_view bytes) {
    REQUIRE(::send(peer(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
            static_cast<ssize_t>(bytes.size()));
  }
  void hang_up() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  static std::array<int, 2> connected() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const int room = 1 << 20;
    for (const int end : ends) ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return ends;
  }
  proxy::descriptor socket() { return proxy::descriptor(ends_[0]); }

  asio::io_context context_{1};
  proxy::deadlines all_;
  std::array<int, 2> ends_;
  proxy::stream stream_;
};

}  // namespace icapgate::test
