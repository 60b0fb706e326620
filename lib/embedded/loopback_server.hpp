// A TCP server on 127.0.0.1 for the program's own test peers. Only .cpp files include this.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <thread>

namespace icapgate::embedded {

inline constexpr auto use_op = boost::asio::as_tuple(boost::asio::use_awaitable);

// One accepted connection. Owned by the server, used on its thread only.
struct connection {
  boost::asio::ip::tcp::socket socket;
  std::chrono::steady_clock::time_point active = std::chrono::steady_clock::now();

  // To be called after each read and write: a connection is closed after idle_limit without.
  void touch() { active = std::chrono::steady_clock::now(); }
};

// Listens on a free port of 127.0.0.1, in a thread of its own, and runs one session coroutine for
// each connection. The session borrows the connection; when it returns, the connection is closed.
class loopback_server {
 public:
  using session = std::function<boost::asio::awaitable<void>(connection&)>;

  static constexpr std::size_t max_connections = 1024;  // further ones are closed at once
  static constexpr std::chrono::seconds idle_limit{120};

  // `name` stands in the log. Throws boost::system::system_error when it can't listen.
  loopback_server(std::string name, session run);
  ~loopback_server();

  std::uint16_t port() const { return port_; }

  // Closes the listener and all connections and waits for the thread. Can be called again.
  void stop();

 private:
  boost::asio::awaitable<void> accept();
  boost::asio::awaitable<void> close_idle();
  void start(boost::asio::ip::tcp::socket socket);
  void close_all();

  const std::string name_;
  const session run_;
  boost::asio::io_context context_{1};
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer idle_timer_;
  std::uint16_t port_ = 0;
  bool stopping_ = false;
  std::list<connection> connections_;
  std::thread thread_;
};

}  // namespace icapgate::embedded
