#include "proxy/origins.hpp"

#include <algorithm>
#include <tuple>

namespace icapgate::proxy {
namespace {

bool counts_against_origin(errc reason) {
  switch (reason) {
    case errc::origin_resolve_failed:
    case errc::origin_connect_refused:
    case errc::origin_connect_timeout:
    case errc::origin_connect_failed:
    case errc::origin_tls_failed:
    case errc::origin_tls_certificate:
    case errc::origin_write_timeout:
    case errc::origin_head_timeout:
      return true;
    default:
      return false;
  }
}

}  // namespace

origin_server::origin_server(deadlines& all, resolver& names, block_pool& blocks,
                             std::shared_ptr<const generation> made, const url& address,
                             worker_metrics& of_worker)
    : made_of(std::move(made)),
      name(address.to_string()),
      port(address.port),
      client(all, names, blocks, made_of->settings, address, made_of->tls_of(address), of_worker),
      metrics(of_worker.origins[name]) {}

origin_use::origin_use(const origin_choice& chosen)
    : server_(*chosen.server), trial_(chosen.trial) {
  ++server_.in_flight;
  server_.metrics.requests.add();
  server_.metrics.in_flight.add();
}

origin_use::~origin_use() {
  if (trial_) server_.breaker.abandoned();
  --server_.in_flight;
  server_.metrics.in_flight.subtract();
}

void origin_use::report(errc reason, clock::time_point now) {
  const bool before = server_.breaker.is_open();
  if (counts_against_origin(reason)) {
    server_.breaker.failed(now);
    server_.metrics.failures.add();
  } else if (reason == errc::complete) {
    server_.breaker.succeeded(now);
  } else {
    return;
  }
  trial_ = false;
  note_ejection(before);
}

void origin_use::note_ejection(bool before) {
  const bool now = server_.breaker.is_open();
  if (now == before) return;
  if (now) {
    server_.metrics.ejected.add();
    log::warn("origin ", server_.name,
              " fails: it is left alone for a while where there is another");
  } else {
    server_.metrics.ejected.subtract();
    log::info("origin ", server_.name, " answers again");
  }
}

origins::origins(deadlines& all, resolver& names, block_pool& blocks,
                 const std::shared_ptr<const generation>& made, worker_metrics& metrics,
                 const origins* before)
    : routes_(made->settings.routes) {
  for (const auto& one : distinct_origins(routes_)) {
    auto same = before ? before->find(one.to_string(), made->settings) : nullptr;
    all_.push_back(same ? std::move(same)
                        : std::make_shared<origin_server>(all, names, blocks, made, one, metrics));
  }
  for (const auto& r : routes_) {
    auto& servers = by_route_.emplace_back();
    for (const auto& one : all_)
      if (std::ranges::count(r.origins, one->name, &url::to_string) > 0)
        servers.push_back(one.get());
  }
}

// One that was made by settings that say the same of connections to it. Files with certificates may
// hold others by now.
std::shared_ptr<origin_server> origins::find(const std::string& name,
                                             const config& settings) const {
  for (const auto& one : all_) {
    const auto& its = one->made_of->settings;
    if (one->name == name && !name.starts_with("https") &&
        its.origin_limits == settings.origin_limits && its.origin_tls == settings.origin_tls &&
        its.max_head == settings.max_head)
      return one;
  }
  return nullptr;
}

void origins::retire(const origins& next) {
  for (const auto& one : all_)
    if (std::ranges::find(next.all_, one) == next.all_.end()) one->client.retire();
}

origin_choice origins::choose(const route& of, std::span<origin_server* const> tried,
                              clock::time_point now) {
  const auto& servers = servers_of(of);
  origin_server* best = nullptr;
  const auto rank = [&](const origin_server& one) {
    return std::tuple(!one.breaker.would_admit(now), one.in_flight);
  };
  if (tried.empty()) ++turn_;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    auto* one = servers[(i + turn_) % servers.size()];
    if (std::ranges::find(tried, one) != tried.end()) continue;
    if (!best || rank(*one) < rank(*best)) best = one;
  }
  if (!best) return {};
  const bool was_open = best->breaker.is_open();
  const bool trial = best->breaker.admit(now) && was_open;
  return {best, trial};
}

const std::string& origins::authority(const route& of) const {
  return servers_of(of).front()->client.authority();
}

const std::vector<origin_server*>& origins::servers_of(const route& of) const {
  return by_route_.at(static_cast<std::size_t>(&of - routes_.data()));
}

void origins::reap() {
  for (auto& one : all_) one->client.reap();
}

void origins::clear() {
  for (auto& one : all_) one->client.clear();
}

}  // namespace icapgate::proxy
