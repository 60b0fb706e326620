#include "proxy/connector.hpp"

#include "proxy/tls.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <stdexcept>

namespace icapgate::proxy {
namespace {

// Of a service: each costs a look-up and its timeouts.
constexpr std::size_t most_places = 16;

}  // namespace

std::shared_ptr<tls_client> tls_for(const url& address, const tls_settings& settings) {
  if (!address.secured()) return nullptr;
  std::string why;
  auto made = tls_client::make(settings, address.host, why);
  if (!made) throw std::runtime_error(address.to_string() + ": " + why);
  return made;
}

connector::connector(deadlines& all, resolver& names, const url& address,
                     std::shared_ptr<tls_client> tls, milliseconds timeout,
                     const connect_reasons& reasons)
    : all_(all),
      names_(names),
      address_(address),
      tls_(std::move(tls)),
      timeout_(timeout),
      reasons_(reasons) {}

task<result<std::unique_ptr<stream>>> connector::connect(milliseconds timeout) {
  std::unique_ptr<stream> fresh;
  errc reason;
  if (address_.unix_socket.empty()) {
    reason = co_await connect_by_name(fresh, timeout);
  } else {
    const asio::local::stream_protocol::endpoint at(address_.unix_socket);
    reason = co_await connect_new(fresh, at, timeout);
  }
  if (reason != errc::complete) co_return reason;
  co_return fresh;
}

task<errc> connector::connect_by_name(std::unique_ptr<stream>& fresh, milliseconds timeout) {
  const auto turn = turn_++;
  std::vector<place> places;
  auto reason = co_await find_places(timeout, places);
  for (const auto& one : places) {
    std::vector<asio::ip::tcp::endpoint> found;
    reason = co_await resolve(one, turn, timeout, found);
    for (const auto& address : found) {
      reason = co_await connect_new(fresh, address, timeout);
      if (reason == errc::complete) co_return reason;
    }
  }
  co_return reason;
}

task<std::vector<asio::ip::tcp::endpoint>> connector::addresses() {
  std::vector<asio::ip::tcp::endpoint> all;
  std::vector<place> places;
  if (address_.unix_socket.empty()) co_await find_places(timeout_, places);
  for (const auto& one : places) {
    std::vector<asio::ip::tcp::endpoint> found;
    co_await resolve(one, 0, timeout_, found);
    all.insert(all.end(), found.begin(), found.end());
  }
  co_return all;
}

// --- names

task<errc> connector::find_places(milliseconds timeout, std::vector<place>& found) {
  if (address_.srv_name.empty()) {
    found.push_back({address_.host, address_.port});
    co_return errc::complete;
  }
  std::vector<srv_target> targets;
  const auto status = co_await names_.find_service(address_.srv_name, timeout, targets);
  if (targets.size() > most_places) targets.resize(most_places);
  for (auto& one : targets) found.push_back({std::move(one.host), one.port});
  co_return reason_of(status);
}

task<errc> connector::resolve(const place& at, std::size_t turn, milliseconds timeout,
                              std::vector<asio::ip::tcp::endpoint>& found) {
  boost::system::error_code ec;
  const auto literal = asio::ip::make_address(at.host, ec);
  if (!ec) {
    found.emplace_back(literal, at.port);
    co_return errc::complete;
  }
  std::vector<asio::ip::address> addresses;
  const auto status = co_await names_.find(at.host, timeout, addresses);
  for (const auto& one : in_turn(std::move(addresses), turn)) found.emplace_back(one, at.port);
  co_return reason_of(status);
}

errc connector::reason_of(dns_status status) const {
  switch (status) {
    case dns_status::found:
      return errc::complete;
    case dns_status::timed_out:
      return reasons_.timeout;
    case dns_status::failed:
      break;
  }
  return reasons_.resolve_failed;
}

// --- one address

task<errc> connector::connect_new(std::unique_ptr<stream>& fresh, const endpoint_type& address,
                                  milliseconds timeout) {
  fresh = std::make_unique<stream>(descriptor(), all_);
  co_return co_await connect_to(*fresh, address, timeout);
}

task<errc> connector::connect_to(stream& fresh, const endpoint_type& address,
                                 milliseconds timeout) {
  fresh.expires_after(timeout);
  const auto ec = co_await fresh.connect(address);
  if (ec) co_return reason_of(ec);
  // What the URL promises is kept, or there is no connection.
  if (!tls_) co_return address_.secured() ? reasons_.tls_failed : errc::complete;
  switch (co_await fresh.start_tls(tls_)) {
    case tls_status::ok:
      co_return errc::complete;
    case tls_status::timed_out:
      co_return reasons_.timeout;
    case tls_status::untrusted:
      co_return reasons_.tls_untrusted;
    case tls_status::failed:
    case tls_status::would_block:
      break;
  }
  co_return reasons_.tls_failed;
}

errc connector::reason_of(const boost::system::error_code& ec) const {
  if (ec == asio::error::timed_out) return reasons_.timeout;
  // No file: nobody listens there, as with a port that refuses.
  const bool nobody = ec == boost::system::errc::no_such_file_or_directory;
  if (ec == asio::error::connection_refused || nobody) return reasons_.refused;
  return reasons_.failed;
}

}  // namespace icapgate::proxy
