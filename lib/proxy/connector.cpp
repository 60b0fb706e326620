#include "proxy/connector.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>

namespace icapgate::proxy {

connector::connector(asio::io_context& context, deadlines& all, std::string host,
                     std::uint16_t port, milliseconds timeout, const connect_reasons& reasons)
    : context_(context),
      all_(all),
      host_(std::move(host)),
      port_(port),
      timeout_(timeout),
      reasons_(reasons),
      resolver_(context) {}

task<connector::endpoints> connector::resolve() {
  boost::system::error_code ec;
  const auto literal = asio::ip::make_address(host_, ec);
  endpoints found;
  if (!ec) {
    found.emplace_back(literal, port_);
    co_return found;
  }
  const auto service = std::to_string(port_);
  auto [failure, entries] = co_await resolver_.async_resolve(
      host_, service, asio::ip::tcp::resolver::numeric_service, use_op);
  if (!failure)
    for (const auto& entry : entries) found.push_back(entry.endpoint());
  co_return found;
}

task<result<std::unique_ptr<stream>>> connector::connect() {
  const auto found = co_await resolve();
  auto reason = reasons_.resolve_failed;
  for (const auto& address : found) {
    auto fresh = std::make_unique<stream>(stream::socket_type(context_), all_);
    fresh->expires_after(timeout_);
    const auto ec = co_await fresh->connect(address);
    if (!ec) co_return fresh;
    reason = reason_of(ec);
  }
  co_return reason;
}

errc connector::reason_of(const boost::system::error_code& ec) const {
  if (ec == asio::error::timed_out) return reasons_.timeout;
  if (ec == asio::error::connection_refused) return reasons_.refused;
  return reasons_.failed;
}

}  // namespace icapgate::proxy
