// From a name and a port, or a unix socket's path, to a connected stream.
#pragma once

#include "base/config.hpp"
#include "base/error.hpp"
#include "base/url.hpp"
#include "proxy/stream.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <string>
#include <vector>

namespace icapgate::proxy {

class tls_client;

// The reasons by which a peer's connector reports failure.
struct connect_reasons {
  errc resolve_failed;
  errc refused;
  errc timeout;
  errc failed;
  errc tls_failed = errc::icap_tls_failed;
  errc tls_untrusted = errc::icap_tls_certificate;
};

inline constexpr connect_reasons scanner_connect_reasons{
    errc::icap_resolve_failed, errc::icap_connect_refused, errc::icap_connect_timeout,
    errc::icap_connect_failed};

// What connections to an https:// or icaps:// URL need; none for any other. Throws
// std::runtime_error, with the URL in its text.
std::shared_ptr<tls_client> tls_for(const url& address, const tls_settings& settings);

// Makes connections to one peer. Worker thread only.
class connector {
 public:
  // `timeout` bounds the look-up of the name, and each address, TLS included; 0: never given up by
  // us.
  connector(asio::io_context& context, deadlines& all, std::string host, std::uint16_t port,
            milliseconds timeout, const connect_reasons& reasons);
  // To a URL's host and port, or to its unix socket. `tls`: none for a plain connection.
  connector(asio::io_context& context, deadlines& all, const url& address,
            std::shared_ptr<tls_client> tls, milliseconds timeout, const connect_reasons& reasons);
  ~connector();
  connector(connector&&) noexcept;

  // Tries every address of the name in the resolver's order.
  task<result<std::unique_ptr<stream>>> connect() { return connect(timeout_); }
  // With another timeout for this once.
  task<result<std::unique_ptr<stream>>> connect(milliseconds timeout);

 private:
  using endpoints = std::vector<stream::socket_type::endpoint_type>;
  class waiter;
  struct lookup;

  task<errc> resolve(endpoints& found, milliseconds timeout);
  bool find_without_lookup(endpoints& found) const;
  void start_lookup();
  task<errc> connect_to(stream& fresh, const stream::socket_type::endpoint_type& address,
                        milliseconds timeout);
  errc reason_of(const boost::system::error_code& ec) const;

  asio::io_context& context_;
  deadlines& all_;
  std::string host_;
  std::uint16_t port_ = 0;
  std::string unix_socket_;  // in place of host and port
  std::shared_ptr<tls_client> tls_;
  bool must_be_tls_ = false;  // what the URL promises is kept, or there is no connection
  milliseconds timeout_;
  connect_reasons reasons_;
  asio::ip::tcp::resolver resolver_;
  std::shared_ptr<lookup> lookup_;  // the one that runs, if any
};

}  // namespace icapgate::proxy
