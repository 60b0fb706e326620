// The origins of all routes as one worker sees them, and which of them a request is sent to.
#pragma once

#include "base/route.hpp"
#include "icap/breaker.hpp"
#include "proxy/generation.hpp"
#include "proxy/origin_client.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace icapgate::proxy {

// An origin, how much it has to do, and whether it is left alone since it could not be connected to
// or did not answer. Worker thread only.
struct origin_server {
  origin_server(deadlines& all, resolver& names, block_pool& blocks,
                std::shared_ptr<const generation> made, const url& address,
                worker_metrics& metrics);

  const std::shared_ptr<const generation> made_of;
  const std::string name;  // its URL
  const std::uint16_t port;
  origin_client client;
  icap::breaker breaker;
  std::size_t in_flight = 0;
  origin_metrics& metrics;
};

// Which origin a request is to be sent to.
struct origin_choice {
  origin_server* server = nullptr;  // none: all were tried
  bool trial = false;               // what becomes of it decides whether others may go there, too
};

// One transaction's use of an origin, which counts as in flight until it is gone.
class origin_use {
 public:
  explicit origin_use(const origin_choice& chosen);
  ~origin_use();
  origin_use(const origin_use&) = delete;
  origin_use& operator=(const origin_use&) = delete;

  origin_server& server() const { return server_; }
  // How the fetch of the response's head ended. Only trouble with connecting and timeouts count
  // against an origin: what it answers, or that it closes, may be meant for this request alone.
  void report(errc reason, clock::time_point now);

 private:
  void note_ejection(bool before);

  origin_server& server_;
  bool trial_;
};

// Worker thread only. Each origin once, however many routes name it.
class origins {
 public:
  // What is the same as `before`, where there is one, stays: connections, load, ejection.
  origins(deadlines& all, resolver& names, block_pool& blocks,
          const std::shared_ptr<const generation>& made, worker_metrics& metrics,
          const origins* before = nullptr);

  // Of the route's origins that are not among `tried`: the one with the fewest transactions in
  // flight, in turn where there are several; one that is left alone only where all are.
  origin_choice choose(const route& of, std::span<origin_server* const> tried,
                       clock::time_point now);
  // For a request that doesn't name a host; valid as long as this.
  const std::string& authority(const route& of) const;
  void reap();
  void clear();
  // Nothing is kept any more for origins that `next` has not got.
  void retire(const origins& next);

 private:
  const std::vector<origin_server*>& servers_of(const route& of) const;
  std::shared_ptr<origin_server> find(const std::string& name, const config& settings) const;

  const std::vector<route>& routes_;
  std::vector<std::shared_ptr<origin_server>> all_;
  std::vector<std::vector<origin_server*>> by_route_;
  std::size_t turn_ = 0;
};

}  // namespace icapgate::proxy
