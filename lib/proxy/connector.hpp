// From a name and a port to a connected stream.
#pragma once

#include "base/error.hpp"
#include "proxy/stream.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <string>

namespace icapgate::proxy {

// The reasons by which a peer's connector reports failure.
struct connect_reasons {
  errc resolve_failed;
  errc refused;
  errc timeout;
  errc failed;
};

// Makes connections to one peer. Worker thread only.
class connector {
 public:
  // `timeout` bounds each address; 0: never given up by us.
  connector(asio::io_context& context, deadlines& all, std::string host, std::uint16_t port,
            milliseconds timeout, const connect_reasons& reasons);

  // Tries every address of the name in the resolver's order.
  task<result<std::unique_ptr<stream>>> connect();

 private:
  using endpoints = std::vector<asio::ip::tcp::endpoint>;
  task<endpoints> resolve();
  errc reason_of(const boost::system::error_code& ec) const;

  asio::io_context& context_;
  deadlines& all_;
  std::string host_;
  std::uint16_t port_;
  milliseconds timeout_;
  connect_reasons reasons_;
  asio::ip::tcp::resolver resolver_;
};

}  // namespace icapgate::proxy
