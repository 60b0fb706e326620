#include "proxy/worker.hpp"

#include "proxy/session.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <netinet/in.h>

#include <array>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <random>
#include <span>

namespace icapgate::proxy {
namespace {

// After a failed accept (descriptors used up), so that the loop is not busy with failing.
constexpr milliseconds accept_pause{100};

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

worker_resources::worker_resources(const config& its_settings, access_log& its_log,
                                   const scanner_list& all_scanners, worker_metrics& its_metrics,
                                   spool_budget& its_budget, admission& all_clients,
                                   const tls_listener* its_tls, std::function<void()> on_tick,
                                   std::function<void(task<void>)> spawn)
    : settings(its_settings),
      log(its_log),
      metrics(its_metrics),
      budget(its_budget),
      clients(all_clients),
      tls(its_tls),
      trusted_proxies(its_settings.listener.trusted_proxies),
      believed_header(its_settings.listener.trusted_header == listen_settings::forwarded
                          ? http::trusted_header::forwarded
                          : http::trusted_header::x_forwarded_for),
      all_deadlines(context, std::move(on_tick)),
      origins(context, all_deadlines, blocks, settings, metrics),
      scanners(context, all_deadlines, blocks, settings, all_scanners, metrics, budget),
      next_id_(random_number()),
      spawn_(std::move(spawn)) {}

// Unique, not secret: 16 hexadecimal digits.
std::string worker_resources::next_request_id() {
  std::array<char, 16> digits;
  digits.fill('0');
  std::array<char, 16> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), next_id_++, 16).ptr;
  std::copy_backward(text.data(), end, digits.data() + digits.size());
  return {digits.data(), digits.size()};
}

std::string_view worker_resources::pseudonym() {
  static const std::string name = "icapgate-" + random_token().substr(0, 16);
  return name;
}

std::string worker_resources::random_token() {
  std::string token;
  for (int half = 0; half < 2; ++half) {
    std::array<char, 17> digits;
    std::snprintf(digits.data(), digits.size(), "%016" PRIx64, random_number());
    token += digits.data();
  }
  return token;
}

void worker_resources::account(const access_record& record, errc reason) {
  log.write(record);
  metrics.transactions[static_cast<std::size_t>(reason)].add();
  if (record.status != 0 && record.status < metrics.responses.size())
    metrics.responses[record.status].add();
  metrics.received_bytes.add(record.bytes_in);
  metrics.sent_bytes.add(record.bytes_out);
  metrics.request_seconds.observe(std::chrono::duration<double>(record.total_ms).count());
}

worker::worker(const config& settings, access_log& log, const scanner_list& all_scanners,
               worker_metrics& metrics, spool_budget& budget, admission& clients,
               const tls_listener* tls, int listening,
               const asio::generic::stream_protocol& protocol)
    : resources_(
          settings, log, all_scanners, metrics, budget, clients, tls, [this] { on_tick(); },
          [this](task<void> work) { spawn(std::move(work)); }),
      acceptor_(resources_.context, protocol, listening) {}

worker::~worker() = default;

void worker::run() {
  resources_.all_deadlines.start();
  asio::co_spawn(resources_.context, accept(), asio::detached);
  resources_.context.run();
}

task<void> worker::accept() {
  while (!resources_.draining) {
    any_endpoint from;
    auto [ec, client] = co_await acceptor_.async_accept(resources_.context, from, use_op);
    if (resources_.draining) break;
    if (ec == asio::error::connection_aborted) continue;
    if (ec) log::warn("cannot accept a connection: ", ec.message());
    const bool go_on = !ec && admit(std::move(client), from);
    if (!go_on) co_await pause_accepting();
  }
}

task<void> worker::pause_accepting() {
  asio::steady_timer pause(resources_.context, accept_pause);
  co_await pause.async_wait(use_op);
}

// Begins its session, or closes it. False: the descriptors are used up, as far as they are meant
// for clients.
bool worker::admit(any_socket client, const any_endpoint& from) {
  auto& metrics = resources_.metrics;
  const auto refuse = [&metrics](refusal why) {
    metrics.clients_refused[static_cast<std::size_t>(why)].add();
  };
  metrics.clients_accepted.add();
  if (!resources_.clients.may_use(client.native_handle())) {
    refuse(refusal::descriptors);
    boost::system::error_code ignored;
    client.close(ignored);
    return false;
  }
  auto place = resources_.clients.enter();
  if (!place) {
    refuse(refusal::max_connections);
    boost::system::error_code ignored;
    client.close(ignored);
    return true;
  }
  http::arrival arrived;
  arrived.peer = address_of(from);
  arrived.trusted = arrived.peer ? resources_.trusted_proxies.contains(*arrived.peer)
                                 : resources_.trusted_proxies.contains_local();
  boost::system::error_code ignored;
  if (arrived.peer) client.set_option(asio::ip::tcp::no_delay(true), ignored);
  metrics.clients_open.add();
  // The session is gone before the handler is called, and what could cancel it must not be.
  auto cancel = std::make_unique<asio::cancellation_signal>();
  const auto slot = cancel->slot();
  auto one = std::make_unique<session>(resources_, std::move(client), arrived, *std::move(place),
                                       cancel.get());
  sessions_.push_back(*one);
  asio::co_spawn(resources_.context, run_session(std::move(one)),
                 asio::bind_cancellation_slot(
                     slot, [this, cancel = std::move(cancel)](const std::exception_ptr& failure) {
                       ended(failure);
                     }));
  return true;
}

void worker::spawn(task<void> work) {
  ++background_;
  asio::co_spawn(resources_.context, std::move(work), [this](const std::exception_ptr& failure) {
    --background_;
    report(failure);
    stop_when_idle();
  });
}

// The one place where an unexpected failure of a session ends: it costs that session alone.
void worker::ended(const std::exception_ptr& failure) {
  resources_.metrics.clients_open.subtract();
  report(failure);
  stop_when_idle();
}

void worker::on_tick() {
  resources_.metrics.heartbeat.store(nanoseconds(resources_.all_deadlines.now()),
                                     std::memory_order_relaxed);
  resources_.origins.reap();
  resources_.scanners.reap();
}

void worker::drain() {
  asio::post(resources_.context, [this] { begin_drain(); });
}

void worker::begin_drain() {
  resources_.draining = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for (auto& one : sessions_) one.close_if_idle();
  stop_when_idle();
}

void worker::expire_all() {
  asio::post(resources_.context, [this] { resources_.all_deadlines.expire_all(); });
}

// The loop runs out of work and returns.
void worker::stop_when_idle() {
  if (!resources_.draining || !sessions_.empty() || background_ != 0) return;
  resources_.all_deadlines.stop();
  resources_.metrics.heartbeat.store(0, std::memory_order_relaxed);  // at rest, not dead
  resources_.origins.clear();
  resources_.scanners.clear();
}

}  // namespace icapgate::proxy
