// One origin as one worker sees it: connections, and the request that is sent over one of them.
#pragma once

#include "base/config.hpp"
#include "base/metrics.hpp"
#include "http/head.hpp"
#include "http/rules.hpp"
#include "proxy/client_watch.hpp"
#include "proxy/connector.hpp"
#include "proxy/http_reader.hpp"
#include "proxy/patience.hpp"
#include "proxy/pool.hpp"

#include <memory>
#include <string>

namespace icapgate::proxy {

struct origin_connection {
  origin_connection(std::unique_ptr<stream> connected, block_pool& blocks, std::size_t max_head)
      : socket(std::move(connected)), reader(*socket, blocks, max_head) {}

  std::unique_ptr<stream> socket;
  http_reader reader;
  std::string address;  // of the peer: an IP address
  bool reused = false;
};

// Worker thread only.
class origin_client {
 public:
  origin_client(deadlines& all, resolver& names, block_pool& blocks, const config& settings,
                const url& address, std::shared_ptr<tls_client> tls, worker_metrics& metrics);

  // A pooled connection; nullptr: there is none.
  std::unique_ptr<origin_connection> take_idle();
  // A new one; `timeout` bounds the look-up of its name, and each address.
  // Errors: origin_resolve_failed, origin_connect_*, origin_tls_*.
  task<result<std::unique_ptr<origin_connection>>> connect(milliseconds timeout);
  // Only for a connection whose exchange ended cleanly in both directions.
  void give_back(std::unique_ptr<origin_connection> connection);

  const std::string& authority() const { return authority_; }
  void reap() { pool_.reap(); }
  void clear() { pool_.clear(); }
  // From now on no connection is kept.
  void retire() { pool_.close(); }

 private:
  const config& settings_;
  block_pool& blocks_;
  worker_metrics& metrics_;
  std::string authority_;
  connector connector_;
  idle_pool<origin_connection> pool_;
};

// Sends one request over one connection and reads the head of the final response. The request's
// body flows from the client meanwhile, and an early response is seen at once.
class origin_exchange {
 public:
  // All outlive the exchange. The client's reader stands behind the request's head. `hints_only`:
  // what of interim responses goes on (http::append_interim_response).
  origin_exchange(origin_connection& origin, http_reader& client, const http::request_head& request,
                  const http::request_changes& changes, const config& settings,
                  const route_limits& limits, client_watch& watch, bool hints_only);

  // complete, or a reason origin_write_*, origin_head_*, origin_upgrade_refused, client_body_* (a
  // body over the limit: without the piece that is too much), client_write_*, client_too_slow.
  task<errc> run(http::response_head& response);

  // The whole request went out: the connection can be used again once the response is read.
  bool request_sent() const { return sent_ && outgoing_.empty() && !broken_; }
  // The origin said something, or body bytes of the client are used up: no second try is possible.
  bool repeatable() const { return !answered_ && body_bytes_ == 0; }
  std::uint64_t body_bytes() const { return body_bytes_; }

 private:
  enum class blocked { nothing, on_client, on_origin };
  enum class received { nothing, interim_head, head };

  errc push(blocked& on);
  errc take_body(blocked& on);
  bool is_too_large(std::size_t more) const;
  void frame(std::size_t bytes);
  task<void> wait_for_both(blocked on);
  bool is_held() const;
  errc judge_wait(blocked on);
  errc judge_client();
  task<errc> pass_interim(const http::response_head& response);
  errc read_head(http::response_head& response, received& what);
  errc head_failure(http_reader::head_status status) const;

  origin_connection& origin_;
  http_reader& client_;
  const http::request_head& request_;
  const bool upgrade_;  // 101 is an answer
  const config& settings_;
  const route_limits& limits_;
  client_watch& watch_;
  const bool hints_only_;
  lent<std::string> wire_;
  const_buffers outgoing_;
  block piece_;
  bool sent_ = false;
  bool broken_ = false;  // the origin closed its receiving side; its response may still be there
  bool answered_ = false;
  bool awaiting_response_ = false;
  unsigned interim_heads_ = 0;
  std::uint64_t body_bytes_ = 0;
  patience patience_;  // with the client's body
};

}  // namespace icapgate::proxy
