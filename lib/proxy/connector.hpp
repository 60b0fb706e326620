// From a name and a port, a service's name or a unix socket's path, to a connected stream.
#pragma once

#include "base/config.hpp"
#include "base/error.hpp"
#include "base/url.hpp"
#include "proxy/resolver.hpp"
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
  // To a URL's host and port, to the hosts that DNS names for its service, or to its unix socket.
  // `tls`: none for a plain connection. `timeout` bounds each look-up of a name, and each address,
  // TLS included; 0: never given up by us. Deadlines and resolver outlive it.
  connector(deadlines& all, resolver& names, const url& address, std::shared_ptr<tls_client> tls,
            milliseconds timeout, const connect_reasons& reasons);

  // Tries every address until one takes the connection. Each new one begins with another address,
  // so that a name with several spreads them.
  task<result<std::unique_ptr<stream>>> connect() { return connect(timeout_); }
  // With another timeout for this once.
  task<result<std::unique_ptr<stream>>> connect(milliseconds timeout);

  // All of these addresses; none of a unix socket.
  task<std::vector<asio::ip::tcp::endpoint>> addresses();

 private:
  using endpoint_type = stream::endpoint_type;
  // A host's name or address.
  struct place {
    std::string host;
    std::uint16_t port = 0;
  };

  task<errc> find_places(milliseconds timeout, std::vector<place>& found);
  task<errc> resolve(const place& at, std::size_t turn, milliseconds timeout,
                     std::vector<asio::ip::tcp::endpoint>& found);
  errc reason_of(dns_status status) const;
  task<errc> connect_by_name(std::unique_ptr<stream>& fresh, milliseconds timeout);
  task<errc> connect_new(std::unique_ptr<stream>& fresh, const endpoint_type& address,
                         milliseconds timeout);
  task<errc> connect_to(stream& fresh, const endpoint_type& address, milliseconds timeout);
  errc reason_of(const boost::system::error_code& ec) const;

  deadlines& all_;
  resolver& names_;
  const url address_;
  std::shared_ptr<tls_client> tls_;
  milliseconds timeout_;
  connect_reasons reasons_;
  std::size_t turn_ = 0;
};

}  // namespace icapgate::proxy
