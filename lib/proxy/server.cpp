#include "proxy/server.hpp"

#include "base/log.hpp"
#include "proxy/admin.hpp"
#include "proxy/admission.hpp"
#include "proxy/generation.hpp"
#include "proxy/listeners.hpp"
#include "proxy/reload.hpp"
#include "proxy/scanner_watch.hpp"
#include "proxy/service_report.hpp"
#include "proxy/status.hpp"
#include "proxy/worker.hpp"

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

namespace icapgate::proxy {
namespace {

using tcp = asio::ip::tcp;

// For answers of the admin listener that are under way at the end.
constexpr milliseconds admin_grace{200};
// Between two looks at the certificates' files.
constexpr milliseconds certificate_look{2'000};
// Between two looks whether memory of a burst can go back to the system.
constexpr milliseconds memory_look{500};
// A loop that has not turned for this long is taken for dead.
constexpr milliseconds heartbeat_limit{10'000};

bool needs_scanner(const route& r) {
  return r.base.on_error != remedy::pass && r.base.mode == scan_mode::enforce;
}

spool_metrics look_at(const spool_budget& budget) {
  return {budget.memory_used(), budget.memory_limit(), budget.disk_used(),
          budget.disk_limit(),  budget.waits(),        budget.refusals()};
}

admission::limits client_limits(const config& settings, std::size_t descriptors = 0) {
  return {settings.client.max_connections, settings.client.max_per_address, descriptors};
}

std::int64_t seconds_now() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace

class server::impl {
 public:
  impl(config settings, access_log& log, settings_source again, service_manager manager);

  int run();
  void stop();

  std::vector<endpoint> listen_addresses() const { return listeners_.addresses(); }
  std::optional<endpoint> admin_address() const {
    if (!admin_) return std::nullopt;
    const auto at = admin_->address();
    return endpoint{at.address().to_string(), at.port()};
  }

 private:
  void open_workers();
  void open_admin();
  std::string metrics() const;
  std::string status() const;
  std::string status_line() const;
  void watch_certificates();
  void watch_memory();
  void await_signal();
  void on_signal(int number);
  void reload();
  void adopted_by_all();
  void adopt(std::shared_ptr<const generation> next, listeners::plan& prepared,
             std::function<void()> then);
  void begin_stop(bool at_once);
  void drain();
  void finish();
  bool live() const;
  bool ready() const;
  const config& settings() const { return now_->settings; }
  bool has_scanner(const route& of) const;

  access_log& log_;
  const settings_source again_;
  std::shared_ptr<const generation> now_;
  asio::io_context context_{1};  // signals, reloads, the admin listener, the drain's end
  asio::signal_set signals_{context_};
  asio::steady_timer drain_begin_{context_};
  asio::steady_timer drain_end_{context_};
  asio::steady_timer certificate_timer_{context_};
  asio::steady_timer memory_timer_{context_};
  std::uint64_t seen_ended_ = 0;  // transactions, at the last look
  std::uint64_t trimmed_at_ = 0;  // likewise, when memory was given back last
  spool_budget budget_;
  admission clients_;
  listeners listeners_;
  service_report report_;
  dns_metrics main_dns_;
  std::shared_ptr<scanner_watch> watch_;
  std::vector<std::unique_ptr<worker_metrics>> metrics_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::unique_ptr<admin> admin_;
  reload_metrics reloads_;
  bool stopping_ = false;  // not ready any more
  bool draining_ = false;
};

server::impl::impl(config settings, access_log& log, settings_source again, service_manager manager)
    : log_(log),
      again_(std::move(again)),
      now_(make_generation(std::move(settings), nullptr)),
      budget_(now_->settings.spool_total_memory, now_->settings.spool_total_disk),
      clients_(client_limits(now_->settings, raise_descriptor_limit())),
      listeners_(context_, worker_count(now_->settings), manager.take_sockets()),
      report_(context_, std::move(manager),
              {[this] { return live(); }, [this] { return status_line(); }}) {
  for (const int number : {SIGTERM, SIGINT}) signals_.add(number);
  if (again_.read) signals_.add(SIGHUP);
  open_workers();
  open_admin();
}

// --- the start

void server::impl::open_workers() {
  const auto prepared = listeners_.prepare(settings().listeners);
  for (unsigned i = 0; i < worker_count(settings()); ++i) {
    metrics_.push_back(std::make_unique<worker_metrics>());
    workers_.push_back(std::make_unique<worker>(log_, *metrics_.back(), budget_, clients_));
  }
  adopt(now_, *prepared, [] {});
}

void server::impl::open_admin() {
  if (!settings().admin) return;
  const auto& at = *settings().admin;
  auto acceptor = bind_tcp(context_, at, resolve_listener(context_, at), false);
  start_listening(acceptor, at);
  admin_source source;
  source.metrics = [this] { return metrics(); };
  source.status = [this] { return status(); };
  source.live = [this] { return live(); };
  source.ready = [this] { return ready(); };
  admin_ = std::make_unique<admin>(context_, std::move(acceptor), std::move(source));
}

int server::impl::run() {
  await_signal();
  watch_certificates();
  watch_memory();
  if (admin_) admin_->start();
  watch_->start();
  report_.started();
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
  report_.end();
  drain_begin_.cancel();
  drain_end_.cancel();
  certificate_timer_.cancel();
  memory_timer_.cancel();
  if (!admin_) return;
  admin_->stop();
  drain_end_.expires_after(admin_grace);
  drain_end_.async_wait([this](const boost::system::error_code&) { context_.stop(); });
}

void server::impl::watch_certificates() {
  certificate_timer_.expires_after(certificate_look);
  certificate_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    listeners_.look_at_certificates();
    watch_certificates();
  });
}

// What many clients at once took lies in pieces between what idle ones hold, and free() alone does
// not give it back.
void server::impl::watch_memory() {
  memory_timer_.expires_after(memory_look);
  memory_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    std::uint64_t ended = 0, open = 0;
    for (const auto& m : metrics_) {
      for (const auto& by_reason : m->transactions) ended += by_reason.value();
      open += m->transactions_open.value();
    }
    const bool quiet = open == 0 && ended == seen_ended_;
    if (quiet && ended != trimmed_at_) ::malloc_trim(0);
    if (quiet) trimmed_at_ = ended;
    seen_ended_ = ended;
    watch_memory();
  });
}

// --- signals

void server::impl::await_signal() {
  signals_.async_wait([this](const boost::system::error_code& ec, int number) {
    if (ec) return;
    on_signal(number);
    await_signal();
  });
}

void server::impl::on_signal(int number) {
  if (number != SIGHUP) {
    if (stopping_) std::_Exit(EXIT_FAILURE);
    return begin_stop(number == SIGINT);
  }
  if (const auto failure = log_.reopen())
    log::error("access log: cannot be opened anew: ", failure.message());
  else
    log::info("access log: opened anew");
  if (stopping_) return;
  report_.reload_begins();
  reload();
}

// --- another reading of the settings

// All or nothing: what can fail does so before anything has changed.
void server::impl::reload() {
  std::shared_ptr<listeners::plan> prepared;
  std::shared_ptr<const generation> made;
  try {
    if (auto next = again_.read()) {
      keep_what_stays(*next, settings());
      prepared = listeners_.prepare(next->listeners);
      made = make_generation(std::move(*next), now_.get());
    }
  } catch (const std::exception& e) {
    log::error("reload: ", std::string_view(e.what()));
    made.reset();
  }
  reloads_.last_done = made != nullptr;
  if (!made) {
    ++reloads_.refused;
    log::error("reload: refused; the settings of before stay in use");
    report_.reload_ended();
    return;
  }
  adopt(std::move(made), *prepared, [this] { adopted_by_all(); });
  watch_->start();
  again_.adopted();
}

// Whoever was told so can rely on it.
void server::impl::adopted_by_all() {
  ++reloads_.done;
  log::info("reload: done; transfers that run finish as they began");
  report_.reload_ended();
}

// `then` is called once all workers serve by it.
void server::impl::adopt(std::shared_ptr<const generation> next, listeners::plan& prepared,
                         std::function<void()> then) {
  now_ = std::move(next);
  reloads_.last = seconds_now();
  budget_.change(settings().spool_total_memory, settings().spool_total_disk);
  clients_.change(client_limits(settings()));
  auto shares = listeners_.adopt(prepared);
  const auto left = std::make_shared<std::size_t>(workers_.size());
  const auto adopted = [left, then = std::move(then)] {
    if (--*left == 0) then();
  };
  for (std::size_t i = 0; i < workers_.size(); ++i)
    workers_[i]->adopt(now_, std::move(shares[i]),
                       [this, adopted] { asio::post(context_, adopted); });
  if (watch_) watch_->stop();
  watch_ = std::make_shared<scanner_watch>(context_, now_, budget_, main_dns_);
}

// --- the end

void server::impl::stop() {
  asio::post(context_, [this] { begin_stop(true); });
}

// Balancers that ask /readyz send nobody any more when the drain begins.
void server::impl::begin_stop(bool at_once) {
  if (stopping_) return;
  stopping_ = true;
  report_.stop_begins();
  const auto delay = settings().drain_delay;
  if (at_once || delay.count() == 0) return drain();
  log::info("stopping: not ready; new connections are served for ", delay.count(), " ms more");
  drain_begin_.expires_after(delay);
  drain_begin_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) drain();
  });
}

void server::impl::drain() {
  draining_ = true;
  log::info("draining: no new connections; running transfers may finish");
  for (auto& w : workers_) w->drain();
  if (settings().drain_timeout.count() == 0) return;
  drain_end_.expires_after(settings().drain_timeout);
  drain_end_.async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    log::warn("drain timeout: what still runs is closed");
    for (auto& w : workers_) w->expire_all();
  });
}

// --- what the admin listener tells

std::string server::impl::metrics() const {
  std::vector<scanner_metrics> scanners;
  for (const auto& one : now_->scanners) scanners.push_back(one->look(clock::now()));
  return exposition({metrics_, scanners, look_at(budget_), reloads_, main_dns_, log_.lost(),
                     listeners_.expiries()});
}

std::string server::impl::status() const {
  std::vector<scanner_status> scanners;
  for (const auto& one : now_->scanners) scanners.push_back(one->status(clock::now()));
  return status_json(draining_, ready(), scanners);
}

std::string server::impl::status_line() const {
  std::uint64_t clients = 0, requests = 0, blocked = 0, failed = 0;
  for (const auto& m : metrics_) {
    clients += m->clients_open.value();
    requests += m->transactions_open.value();
    blocked += m->scans_blocked.value();
    failed += m->scans_failed.value();
  }
  const auto up = std::ranges::count_if(
      now_->scanners, [](const auto& one) { return !one->is_shut(clock::now()); });
  return std::string(draining_   ? "draining: "
                     : stopping_ ? "stopping: "
                                 : "") +
         std::to_string(clients) + " clients, " + std::to_string(requests) +
         " requests in flight; so far " + std::to_string(blocked) + " responses blocked, " +
         std::to_string(failed) + " scans failed; " + std::to_string(up) + " of " +
         std::to_string(now_->scanners.size()) + " scanners in use";
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

// Where a route has no scanner that may be asked, every response with a body would be a 503. Others
// are served all the same: ready means that one of those that need a scanner has one. It never ends
// /livez: a new process could do no better.
bool server::impl::ready() const {
  if (stopping_) return false;
  const auto& routes = settings().routes;
  if (std::ranges::none_of(routes, needs_scanner)) return true;
  return std::ranges::any_of(routes,
                             [this](const route& r) { return needs_scanner(r) && has_scanner(r); });
}

// One that may be asked now.
bool server::impl::has_scanner(const route& of) const {
  const auto named = [](const std::vector<url>& list, const std::string& uri) {
    return std::count_if(list.begin(), list.end(),
                         [&](const url& one) { return one.to_string() == uri; }) > 0;
  };
  return std::ranges::any_of(now_->scanners, [&](const auto& one) {
    const bool its =
        named(of.scanners.servers, one->uri()) || named(of.scanners.standby, one->uri());
    return its && !one->is_shut(clock::now());
  });
}

server::server(config settings, access_log& log, settings_source again, service_manager manager)
    : impl_(
          std::make_unique<impl>(std::move(settings), log, std::move(again), std::move(manager))) {}
server::~server() = default;

int server::run() {
  return impl_->run();
}
void server::stop() {
  impl_->stop();
}
std::vector<endpoint> server::listen_addresses() const {
  return impl_->listen_addresses();
}
std::optional<endpoint> server::admin_address() const {
  return impl_->admin_address();
}

}  // namespace icapgate::proxy
