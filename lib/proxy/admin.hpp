// The admin listener: /metrics, /status, /livez, /readyz. Read-only; meant for loopback or a
// cluster's network.
#pragma once

#include "proxy/io.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <functional>
#include <string>

namespace icapgate::proxy {

// What the pages tell. Called on the admin thread.
struct admin_source {
  std::function<std::string()> metrics;  // Prometheus text
  std::function<std::string()> status;   // JSON
  std::function<bool()> live;            // every worker's loop turns
  std::function<bool()> ready;           // new requests are welcome, and can be answered
};

class admin {
 public:
  // `acceptor` listens; its context outlives this.
  admin(asio::io_context& context, asio::ip::tcp::acceptor acceptor, admin_source source);

  // Begins to serve on the acceptor's context.
  void start();
  void stop();
  asio::ip::tcp::endpoint address() const { return acceptor_.local_endpoint(); }

 private:
  task<void> accept();
  task<void> serve(asio::ip::tcp::socket client);

  asio::io_context& context_;
  asio::ip::tcp::acceptor acceptor_;
  admin_source source_;
};

}  // namespace icapgate::proxy
