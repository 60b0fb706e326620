#include "proxy/worker.hpp"

#include "proxy/session.hpp"

#include <boost/asio/post.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <random>
#include <span>

namespace icapgate::proxy {
namespace {

// After a failed accept (descriptors used up), so that the loop is not busy with failing.
constexpr milliseconds accept_pause{100};

// Clients that are taken in before others on the worker have their turn.
constexpr int accept_turn = 16;

std::uint64_t random_number() {
  std::random_device source;
  return (std::uint64_t{source()} << 32) | source();
}

std::int64_t nanoseconds(clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

// None of a unix socket.
std::optional<ip_address> address_of(const asio::generic::stream_protocol::endpoint& from) {
  const auto* data = from.data();
  const auto bytes = [](const auto& address) {
    return std::span(reinterpret_cast<const std::uint8_t*>(&address), sizeof address);
  };
  if (data->sa_family == AF_INET)
    return ip_address::from_bytes(bytes(reinterpret_cast<const sockaddr_in*>(data)->sin_addr));
  if (data->sa_family == AF_INET6)
    return ip_address::from_bytes(bytes(reinterpret_cast<const sockaddr_in6*>(data)->sin6_addr));
  return std::nullopt;
}

void report(const std::exception_ptr& failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    log::error("a session ended by an unexpected failure: ", e.what());
  }
}

task<void> run_session(std::unique_ptr<session> one) {
  co_await one->run();
  one.reset();  // out of the worker's list before the worker looks whether it is idle
}

}  // namespace

worker_core::worker_core(access_log& its_log, worker_metrics& its_metrics, spool_budget& its_budget,
                         admission& all_clients, std::function<void()> on_tick,
                         std::function<void(task<void>)> spawn)
    : log(its_log),
      metrics(its_metrics),
      budget(its_budget),
      clients(all_clients),
      all_deadlines(context, std::move(on_tick)),
      names(context, all_deadlines, dns_settings(), metrics.dns),
      next_id_(random_number()),
      spawn_(std::move(spawn)) {}

worker_core::~worker_core() = default;

std::array<char, 16> worker_core::next_request_id() {
  std::array<char, 16> digits;
  auto rest = next_id_++;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, rest >>= 4)
    *digit = "0123456789abcdef"[rest & 15];
  return digits;
}

std::string_view worker_core::pseudonym() {
  static const std::string name = "icapgate-" + random_token().substr(0, 16);
  return name;
}

std::string worker_core::random_token() {
  std::string token;
  for (int half = 0; half < 2; ++half) {
    std::array<char, 17> digits;
    std::snprintf(digits.data(), digits.size(), "%016" PRIx64, random_number());
    token += digits.data();
  }
  return token;
}

void worker_core::rest() {
  frames::rest();
  blocks.rest();
  field_lists.rest();
  pipes.rest();
}

void worker_core::account(const access_record& record, errc reason) {
  log.write(record);
  metrics.transactions[static_cast<std::size_t>(reason)].add();
  if (record.status != 0 && record.status < metrics.responses.size())
    metrics.responses[record.status].add();
  metrics.received_bytes.add(record.bytes_in);
  metrics.sent_bytes.add(record.bytes_out);
  metrics.request_seconds.observe(std::chrono::duration<double>(record.total_ms).count());
}

worker_resources::worker_resources(worker_core& its_core, std::shared_ptr<const generation> made,
                                   const worker_resources* before)
    : core(its_core),
      made_of(std::move(made)),
      settings(made_of->settings),
      metrics(core.metrics),
      budget(core.budget),
      context(core.context),
      blocks(core.blocks),
      origins(core.all_deadlines, core.names, blocks, made_of, metrics,
              before ? &before->origins : nullptr),
      scanners(std::make_shared<icap_client>(context, core.all_deadlines, core.names, blocks,
                                             made_of, metrics, budget,
                                             before ? before->scanners.get() : nullptr)) {
  for (const auto& rule : settings.rules) rule_hits_.push_back(&metrics.rule_hits[rule.reason]);
}

void worker_resources::retire(const worker_resources& next) {
  origins.retire(next.origins);
  scanners->retire(*next.scanners);
}

worker::worker(access_log& log, worker_metrics& metrics, spool_budget& budget, admission& clients)
    : core_(
          log, metrics, budget, clients, [this] { on_tick(); },
          [this](task<void> work) { spawn(std::move(work)); }) {}

worker::~worker() = default;

void worker::run() {
  core_.all_deadlines.start();
  core_.context.run();
}

// --- what it serves, and where

void worker::adopt(std::shared_ptr<const generation> next, std::vector<opened> listeners,
                   std::function<void()> done) {
  asio::post(core_.context, [this, next = std::move(next), listeners = std::move(listeners),
                             done = std::move(done)]() mutable {
    change_to(std::move(next), listeners);
    done();
  });
}

void worker::change_to(std::shared_ptr<const generation> next, std::vector<opened>& listeners) {
  core_.names.use(next->settings.dns);
  const auto before = std::move(core_.current);
  core_.current = std::make_shared<worker_resources>(core_, std::move(next), before.get());
  if (before) before->retire(*core_.current);
  for (auto& one : sessions_) one.adopt_if_idle();
  const auto stays = [&](const std::shared_ptr<door>& d) {
    return std::ranges::any_of(listeners, [&](const opened& o) { return o.id == d->id; });
  };
  for (auto& d : doors_)
    if (!stays(d)) close(*d);
  std::erase_if(doors_, [&](const auto& d) { return !stays(d); });
  for (auto& one : listeners) open(one);
}

void worker::open(opened& one) {
  const auto same = std::ranges::find(doors_, one.id, &door::id);
  if (same != doors_.end()) {
    (*same)->into = std::move(one.into);
    return;
  }
  any_acceptor acceptor(core_.context, {one.family, 0}, one.socket);
  acceptor.non_blocking(true);
  auto made =
      std::make_shared<door>(door{std::move(one.id), std::move(acceptor), std::move(one.into)});
  doors_.push_back(made);
  ++accepting_;
  start(core_.context, accept(std::move(made)), [this](const std::exception_ptr& failure) {
    --accepting_;
    report(failure);
    stop_when_idle();
  });
}

// The system has accepted some clients already: they are served, and not cut off. Not more than its
// queue holds: who still comes may come for ever.
void worker::close(door& one) {
  take_in(one, listen_backlog);
  boost::system::error_code ignored;
  one.acceptor.close(ignored);
}

task<void> worker::accept(std::shared_ptr<door> at) {
  while (at->acceptor.is_open()) {
    co_await at->acceptor.async_wait(any_acceptor::wait_read, use_op);
    if (!at->acceptor.is_open()) break;
    const bool go_on = take_in(*at, accept_turn);
    if (!go_on) co_await pause_accepting();
  }
}

// At most so many of those that stand in the queue. False: no more can be taken now.
bool worker::take_in(door& at, int most) {
  for (int taken = 0; taken < most; ++taken) {
    any_endpoint from;
    auto size = static_cast<socklen_t>(from.capacity());
    descriptor client(
        ::accept4(at.acceptor.native_handle(), from.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client.is_open() && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (!client.is_open() && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (!client.is_open()) log::warn("cannot accept a connection: ", std::strerror(errno));
    if (!client.is_open()) return false;
    from.resize(size);
    if (!admit(std::move(client), from, at)) return false;
  }
  return true;
}

task<void> worker::pause_accepting() {
  asio::steady_timer pause(core_.context, accept_pause);
  co_await pause.async_wait(use_op);
}

// Begins its session, or closes it. False: the descriptors are used up, as far as they are meant
// for clients.
bool worker::admit(descriptor client, const any_endpoint& from, const door& at) {
  auto& metrics = core_.metrics;
  const auto refuse = [&metrics](refusal why) {
    metrics.clients_refused[static_cast<std::size_t>(why)].add();
  };
  metrics.clients_accepted.add();
  if (!core_.clients.may_use(client.number())) {
    refuse(refusal::descriptors);
    return false;
  }
  auto place = core_.clients.enter();
  if (!place) {
    refuse(refusal::max_connections);
    return true;
  }
  http::arrival arrived;
  arrived.peer = address_of(from);
  const auto& trusted = at.into->trusted_proxies;
  arrived.trusted = arrived.peer ? trusted.contains(*arrived.peer) : trusted.contains_local();
  const int on = 1;
  if (arrived.peer) ::setsockopt(client.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  begin_session(std::move(client), arrived, *std::move(place), at);
  return true;
}

void worker::begin_session(descriptor client, const http::arrival& from, admission::ticket place,
                           const door& at) {
  core_.metrics.clients_open.add();
  // The session is gone before the handler is called, and what could cancel it must not be.
  auto cancel = std::make_unique<cancellation>();
  auto* const end = cancel.get();
  auto one =
      std::make_unique<session>(core_, at.into, std::move(client), from, std::move(place), end);
  sessions_.push_back(*one);
  start(
      core_.context, run_session(std::move(one)),
      [this, cancel = std::move(cancel)](const std::exception_ptr& failure) { ended(failure); },
      end);
}

// --- what runs

void worker::spawn(task<void> work) {
  ++core_.background;
  start(core_.context, std::move(work), [this](const std::exception_ptr& failure) {
    --core_.background;
    report(failure);
    stop_when_idle();
  });
}

// The one place where an unexpected failure of a session ends: it costs that session alone.
void worker::ended(const std::exception_ptr& failure) {
  core_.metrics.clients_open.subtract();
  report(failure);
  stop_when_idle();
}

void worker::on_tick() {
  core_.metrics.heartbeat.store(nanoseconds(core_.all_deadlines.now()), std::memory_order_relaxed);
  if (core_.metrics.transactions_open.value() == 0) core_.rest();
  if (!core_.current) return;
  core_.current->origins.reap();
  core_.current->scanners->reap();
}

void worker::drain() {
  asio::post(core_.context, [this] { begin_drain(); });
}

void worker::begin_drain() {
  core_.draining = true;
  for (auto& d : doors_) close(*d);
  doors_.clear();
  for (auto& one : sessions_) one.close_if_idle();
  stop_when_idle();
}

void worker::expire_all() {
  asio::post(core_.context, [this] { core_.all_deadlines.expire_all(); });
}

// The loop runs out of work and returns.
void worker::stop_when_idle() {
  if (!core_.draining || !sessions_.empty() || core_.background != 0 || accepting_ != 0) return;
  core_.all_deadlines.stop();
  core_.metrics.heartbeat.store(0, std::memory_order_relaxed);  // at rest, not dead
  core_.names.stop();
  if (!core_.current) return;
  core_.current->origins.clear();
  core_.current->scanners->clear();
}

}  // namespace icapgate::proxy
