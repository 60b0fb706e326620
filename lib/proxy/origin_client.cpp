#include "proxy/origin_client.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <sys/socket.h>

namespace icapgate::proxy {
namespace {

// Empty for a unix socket, and where the peer is gone already.
std::string peer_address(const stream& connected) {
  asio::ip::tcp::endpoint peer;
  auto size = static_cast<socklen_t>(peer.capacity());
  if (::getpeername(connected.number(), peer.data(), &size) != 0 ||
      peer.data()->sa_family == AF_UNIX)
    return {};
  return peer.address().to_string();
}

}  // namespace

origin_client::origin_client(deadlines& all, resolver& names, block_pool& blocks,
                             const config& settings, const url& address,
                             std::shared_ptr<tls_client> tls, worker_metrics& metrics)
    : settings_(settings),
      blocks_(blocks),
      metrics_(metrics),
      authority_(address.authority()),
      connector_(
          all, names, address, std::move(tls), settings.limits.connect,
          {errc::origin_resolve_failed, errc::origin_connect_refused, errc::origin_connect_timeout,
           errc::origin_connect_failed, errc::origin_tls_failed, errc::origin_tls_certificate}),
      pool_(settings.origin_limits.idle_connections, settings.origin_limits.idle) {}

std::unique_ptr<origin_connection> origin_client::take_idle() {
  auto pooled = pool_.take();
  if (pooled) pooled->reused = true;
  return pooled;
}

task<result<std::unique_ptr<origin_connection>>> origin_client::connect(milliseconds timeout) {
  auto connected = co_await connector_.connect(timeout);
  if (!connected) co_return connected.error();
  metrics_.origin_connects.add();
  auto address = peer_address(**connected);
  auto fresh_one =
      std::make_unique<origin_connection>(std::move(*connected), blocks_, settings_.max_head);
  fresh_one->address = std::move(address);
  co_return fresh_one;
}

void origin_client::give_back(std::unique_ptr<origin_connection> connection) {
  connection->reader.finish_message();
  // Bytes that nobody asked for would be taken for the next response.
  if (!connection->reader.has_input()) pool_.put(std::move(connection));
}

}  // namespace icapgate::proxy
