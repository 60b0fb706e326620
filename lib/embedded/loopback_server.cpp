#include "embedded/loopback_server.hpp"

#include "base/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <utility>

namespace icapgate::embedded {

namespace asio = boost::asio;
using asio::ip::tcp;

loopback_server::loopback_server(std::string name, session run)
    : name_(std::move(name)),
      run_(std::move(run)),
      acceptor_(context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      idle_timer_(context_) {
  port_ = acceptor_.local_endpoint().port();
  asio::co_spawn(context_, accept(), asio::detached);
  asio::co_spawn(context_, close_idle(), asio::detached);
  thread_ = std::thread([this] { context_.run(); });
}

loopback_server::~loopback_server() {
  stop();
}

void loopback_server::stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] { close_all(); });
  thread_.join();
}

void loopback_server::close_all() {
  stopping_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  idle_timer_.cancel();
  for (connection& open : connections_) open.socket.close(ignored);
}

asio::awaitable<void> loopback_server::accept() {
  while (!stopping_) {
    auto [error, socket] = co_await acceptor_.async_accept(use_op);
    if (stopping_) co_return;
    if (error) {  // no file descriptors, say: wait, instead of spinning
      asio::steady_timer pause(context_, std::chrono::milliseconds(50));
      co_await pause.async_wait(use_op);
    } else if (connections_.size() < max_connections) {
      start(std::move(socket));
    }
  }
}

void loopback_server::start(tcp::socket socket) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const auto entry = connections_.insert(connections_.end(), connection{std::move(socket)});
  asio::co_spawn(context_, run_(*entry), [this, entry](std::exception_ptr failure) {
    connections_.erase(entry);
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      log::error(name_, ": a session ended by an exception: ", e.what());
    }
  });
}

asio::awaitable<void> loopback_server::close_idle() {
  while (!stopping_) {
    idle_timer_.expires_after(idle_limit / 4);
    co_await idle_timer_.async_wait(use_op);
    const auto oldest = std::chrono::steady_clock::now() - idle_limit;
    for (connection& open : connections_) {
      boost::system::error_code ignored;
      if (open.active < oldest) open.socket.close(ignored);
    }
  }
}

}  // namespace icapgate::embedded
