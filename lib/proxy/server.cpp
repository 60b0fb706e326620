#include "proxy/server.hpp"

#include "base/log.hpp"
#include "proxy/admin.hpp"
#include "proxy/admission.hpp"
#include "proxy/listening.hpp"
#include "proxy/scanner_watch.hpp"
#include "proxy/status.hpp"
#include "proxy/tls_server.hpp"
#include "proxy/worker.hpp"

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

namespace icapgate::proxy {
namespace {

using tcp = asio::ip::tcp;
using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

constexpr int backlog = 4096;
// For answers of the admin listener that are under way at the end.
constexpr milliseconds admin_grace{200};
// Between two looks at the certificates' files.
constexpr milliseconds certificate_look{2'000};
// A loop that has not turned for this long is taken for dead.
constexpr milliseconds heartbeat_limit{10'000};

[[noreturn]] void cannot(const std::string& what, const endpoint& at,
                         const boost::system::error_code& why) {
  throw std::system_error(std::error_code(why), "cannot " + what + " " + at.to_string());
}

tcp::endpoint resolve(asio::io_context& context, const endpoint& at) {
  boost::system::error_code ec;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(at.host, std::to_string(at.port),
                                      tcp::resolver::numeric_service | tcp::resolver::passive, ec);
  if (ec) cannot("resolve", at, ec);
  return found.begin()->endpoint();
}

// `shared`: workers have a listener each on the same port; the kernel spreads the clients.
tcp::acceptor bind(asio::io_context& context, const endpoint& at, const tcp::endpoint& address,
                   bool shared) {
  tcp::acceptor acceptor(context);
  boost::system::error_code ec;
  acceptor.open(address.protocol(), ec);
  if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec && shared) acceptor.set_option(reuse_port(true), ec);
  if (!ec) acceptor.bind(address, ec);
  if (ec) cannot("listen on", at, ec);
  return acceptor;
}

void listen(auto& acceptor, const endpoint& at) {
  boost::system::error_code ec;
  acceptor.listen(backlog, ec);
  if (ec) cannot("listen on", at, ec);
}

spool_metrics look_at(const spool_budget& budget) {
  return {budget.memory_used(), budget.memory_limit(), budget.disk_used(),
          budget.disk_limit(),  budget.waits(),        budget.refusals()};
}

endpoint to_endpoint(const tcp::endpoint& address) {
  return {address.address().to_string(), address.port()};
}

}  // namespace

class server::impl {
 public:
  impl(const config& settings, access_log& log);

  int run();
  void stop();

  endpoint listen_address() const {
    return settings_.listen.unix_socket.empty() ? to_endpoint(address_) : settings_.listen;
  }
  std::optional<endpoint> admin_address() const {
    if (!admin_) return std::nullopt;
    return to_endpoint(admin_->address());
  }

 private:
  void open_workers();
  void open_tcp_workers(unsigned count);
  void open_unix_workers(unsigned count);
  void add_worker(int listening, const asio::generic::stream_protocol& protocol);
  void open_admin();
  void open_tls();
  void watch_certificates();
  void await_signal();
  void drain();
  void finish();
  bool live() const;
  bool ready() const;

  const config& settings_;
  access_log& log_;
  asio::io_context context_{1};  // signals, the admin listener, the drain's end
  asio::signal_set signals_{context_};
  asio::steady_timer drain_end_{context_};
  spool_budget budget_;
  admission clients_;
  scanner_list scanners_;
  std::unique_ptr<scanner_watch> watch_;
  std::unique_ptr<tls_listener> tls_;  // none: plain HTTP
  asio::steady_timer certificate_timer_{context_};
  const std::vector<url> origins_;
  std::vector<std::unique_ptr<worker_metrics>> metrics_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::unique_ptr<admin> admin_;
  tcp::endpoint address_;  // where it is not a unix socket
  std::optional<socket_file> socket_file_;
  bool draining_ = false;
};

server::impl::impl(const config& settings, access_log& log)
    : settings_(settings),
      log_(log),
      budget_(settings.spool_total_memory, settings.spool_total_disk),
      clients_({settings.client.max_connections, settings.client.max_per_address,
                raise_descriptor_limit()}),
      scanners_(make_scanners(settings)),
      origins_(distinct_origins(settings.routes)) {
  open_tls();
  open_workers();
  open_admin();
  watch_ = std::make_unique<scanner_watch>(context_, settings_, scanners_, budget_);
}

void server::impl::open_tls() {
  if (!settings_.listener.tls.wanted()) return;
  tls_ = std::make_unique<tls_listener>(settings_.listener.tls);
  watch_certificates();
}

void server::impl::watch_certificates() {
  certificate_timer_.expires_after(certificate_look);
  certificate_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    tls_->look();
    watch_certificates();
  });
}

void server::impl::open_workers() {
  const auto count = worker_count(settings_);
  if (settings_.listen.unix_socket.empty())
    open_tcp_workers(count);
  else
    open_unix_workers(count);
}

void server::impl::open_tcp_workers(unsigned count) {
  auto address = resolve(context_, settings_.listen);
  // A port that another process serves is an error, even where both would share it.
  auto first = bind(context_, settings_.listen, address, false);
  address_ = first.local_endpoint();
  if (count > 1) {
    first.close();
    first = bind(context_, settings_.listen, address_, true);
  }
  for (unsigned i = 0; i < count; ++i) {
    auto acceptor = i == 0 ? std::move(first) : bind(context_, settings_.listen, address_, true);
    listen(acceptor, settings_.listen);
    add_worker(acceptor.release(), address_.protocol());
  }
}

// Its queue can't be shared out by the kernel: the workers take from the same one.
void server::impl::open_unix_workers(unsigned count) {
  auto acceptor = bind_unix(context_, settings_.listen, settings_.listener.socket_mode);
  socket_file_.emplace(settings_.listen.unix_socket);
  listen(acceptor, settings_.listen);
  const auto protocol = acceptor.local_endpoint().protocol();
  for (unsigned i = 0; i < count; ++i) {
    const int copy = ::fcntl(acceptor.native_handle(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) cannot("listen on", settings_.listen, {errno, boost::system::system_category()});
    add_worker(copy, protocol);
  }
}

void server::impl::add_worker(int listening, const asio::generic::stream_protocol& protocol) {
  metrics_.push_back(std::make_unique<worker_metrics>(settings_.rules.size(), origins_.size()));
  workers_.push_back(std::make_unique<worker>(settings_, log_, scanners_, *metrics_.back(), budget_,
                                              clients_, tls_.get(), listening, protocol));
}

void server::impl::open_admin() {
  if (!settings_.admin) return;
  auto acceptor = bind(context_, *settings_.admin, resolve(context_, *settings_.admin), false);
  listen(acceptor, *settings_.admin);
  admin_source source;
  source.metrics = [this] {
    std::vector<scanner_metrics> scanners;
    for (const auto& one : scanners_) scanners.push_back(one->look(clock::now()));
    return exposition(
        {metrics_, scanners, settings_.rules, origins_, look_at(budget_), log_.lost()});
  };
  source.status = [this] {
    std::vector<scanner_status> scanners;
    for (const auto& one : scanners_) scanners.push_back(one->status(clock::now()));
    return status_json(draining_, ready(), scanners);
  };
  source.live = [this] { return live(); };
  source.ready = [this] { return ready(); };
  admin_ = std::make_unique<admin>(std::move(acceptor), std::move(source));
}

int server::impl::run() {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  await_signal();
  if (admin_) admin_->start();
  watch_->start();
  std::atomic<std::size_t> running{workers_.size()};
  std::vector<std::thread> threads;
  for (auto& w : workers_)
    threads.emplace_back([&, one = w.get()] {
      one->run();
      if (--running == 0) asio::post(context_, [this] { finish(); });
    });
  context_.run();
  for (auto& t : threads) t.join();
  return EXIT_SUCCESS;
}

// The workers are done: the main loop runs out of work, but for clients of the admin listener that
// hold on to their connections.
void server::impl::finish() {
  signals_.cancel();
  watch_->stop();
  drain_end_.cancel();
  certificate_timer_.cancel();
  if (!admin_) return;
  admin_->stop();
  drain_end_.expires_after(admin_grace);
  drain_end_.async_wait([this](const boost::system::error_code&) { context_.stop(); });
}

void server::impl::stop() {
  asio::post(context_, [this] { drain(); });
}

void server::impl::await_signal() {
  signals_.async_wait([this](const boost::system::error_code& ec, int) {
    if (ec) return;
    if (draining_) std::_Exit(EXIT_FAILURE);
    drain();
    await_signal();
  });
}

void server::impl::drain() {
  if (draining_) return;
  draining_ = true;
  log::info("draining: no new connections; running transfers may finish");
  for (auto& w : workers_) w->drain();
  if (settings_.drain_timeout.count() == 0) return;
  drain_end_.expires_after(settings_.drain_timeout);
  drain_end_.async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    log::warn("drain timeout: what still runs is closed");
    for (auto& w : workers_) w->expire_all();
  });
}

bool server::impl::live() const {
  const auto now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(clock::now().time_since_epoch());
  for (const auto& m : metrics_) {
    const std::chrono::nanoseconds beat(m->heartbeat.load(std::memory_order_relaxed));
    if (now - beat > heartbeat_limit && beat.count() != 0) return false;
  }
  return true;
}

// Where no scanner may be asked, every response with a body would be a 503. That never ends by
// itself for /livez: a new process could do no better.
bool server::impl::ready() const {
  if (draining_) return false;
  const auto can_do_without = [](const route& r) {
    return r.base.on_error == remedy::pass || r.base.mode != scan_mode::enforce;
  };
  if (std::all_of(settings_.routes.begin(), settings_.routes.end(), can_do_without)) return true;
  return std::any_of(scanners_.begin(), scanners_.end(),
                     [](const auto& one) { return !one->is_shut(clock::now()); });
}

server::server(const config& settings, access_log& log)
    : impl_(std::make_unique<impl>(settings, log)) {}
server::~server() = default;

int server::run() {
  return impl_->run();
}
void server::stop() {
  impl_->stop();
}
endpoint server::listen_address() const {
  return impl_->listen_address();
}
std::optional<endpoint> server::admin_address() const {
  return impl_->admin_address();
}

}  // namespace icapgate::proxy
