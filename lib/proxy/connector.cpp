#include "proxy/connector.hpp"

#include "proxy/tls.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <stdexcept>

namespace icapgate::proxy {

std::shared_ptr<tls_client> tls_for(const url& address, const tls_settings& settings) {
  if (!address.scheme.ends_with('s')) return nullptr;
  std::string why;
  auto made = tls_client::make(settings, address.host, why);
  if (!made) throw std::runtime_error(address.to_string() + ": " + why);
  return made;
}

// One look-up, for all that wait for it. Its handler owns it, too: the system's resolver can't be
// interrupted, and may come back after everybody has given up.
struct connector::lookup {
  bool done = false;
  endpoints found;
  std::vector<waiter*> waiting;
};

// Waits for a look-up, no longer than its deadline.
class connector::waiter final : public deadline {
 public:
  waiter(deadlines& all, asio::io_context& context, std::shared_ptr<lookup> on)
      : deadline(all), wake_(context, clock::time_point::max()), on_(std::move(on)) {
    on_->waiting.push_back(this);
  }
  ~waiter() override { std::erase(on_->waiting, this); }

  // Whether the look-up is done.
  task<bool> wait() {
    if (!on_->done && !expired()) co_await wake_.async_wait(use_op);
    co_return on_->done;
  }
  void wake() { wake_.cancel(); }
  const endpoints& found() const { return on_->found; }

 private:
  void on_expired() override { wake(); }

  asio::steady_timer wake_;
  std::shared_ptr<lookup> on_;
};

connector::connector(asio::io_context& context, deadlines& all, std::string host,
                     std::uint16_t port, milliseconds timeout, const connect_reasons& reasons)
    : context_(context),
      all_(all),
      host_(std::move(host)),
      port_(port),
      timeout_(timeout),
      reasons_(reasons),
      resolver_(context) {}

connector::connector(asio::io_context& context, deadlines& all, const url& address,
                     std::shared_ptr<tls_client> tls, milliseconds timeout,
                     const connect_reasons& reasons)
    : connector(context, all, address.host, address.port, timeout, reasons) {
  unix_socket_ = address.unix_socket;
  tls_ = std::move(tls);
  must_be_tls_ = address.scheme.ends_with('s');
}

connector::~connector() = default;
connector::connector(connector&&) noexcept = default;

bool connector::find_without_lookup(endpoints& found) const {
  if (!unix_socket_.empty()) {
    found.emplace_back(asio::local::stream_protocol::endpoint(unix_socket_));
    return true;
  }
  boost::system::error_code ec;
  const auto literal = asio::ip::make_address(host_, ec);
  if (ec) return false;
  found.emplace_back(asio::ip::tcp::endpoint(literal, port_));
  return true;
}

task<errc> connector::resolve(endpoints& found, milliseconds timeout) {
  if (find_without_lookup(found)) co_return errc::complete;
  if (!lookup_ || lookup_->done) start_lookup();
  waiter one(all_, context_, lookup_);
  one.expires_after(timeout);
  const bool done = co_await one.wait();
  if (!done) co_return reasons_.timeout;
  found = one.found();
  co_return found.empty() ? reasons_.resolve_failed : errc::complete;
}

void connector::start_lookup() {
  lookup_ = std::make_shared<lookup>();
  resolver_.async_resolve(host_, std::to_string(port_), asio::ip::tcp::resolver::numeric_service,
                          [it = lookup_](const boost::system::error_code& ec,
                                         const asio::ip::tcp::resolver::results_type& entries) {
                            it->done = true;
                            if (!ec)
                              for (const auto& entry : entries)
                                it->found.emplace_back(entry.endpoint());
                            for (auto* one : it->waiting) one->wake();
                          });
}

task<result<std::unique_ptr<stream>>> connector::connect(milliseconds timeout) {
  endpoints found;
  auto reason = co_await resolve(found, timeout);
  for (const auto& address : found) {
    auto fresh = std::make_unique<stream>(stream::socket_type(context_), all_);
    reason = co_await connect_to(*fresh, address, timeout);
    if (reason == errc::complete) co_return fresh;
  }
  co_return reason;
}

task<errc> connector::connect_to(stream& fresh, const stream::socket_type::endpoint_type& address,
                                 milliseconds timeout) {
  fresh.expires_after(timeout);
  const auto ec = co_await fresh.connect(address);
  if (ec) co_return reason_of(ec);
  if (!tls_) co_return must_be_tls_ ? reasons_.tls_failed : errc::complete;
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
