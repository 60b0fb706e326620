// The scanners as one worker sees them: connections, the order in which they are tried, and the
// retry that a stale connection deserves.
#pragma once

#include "base/config.hpp"
#include "base/metrics.hpp"
#include "icap/verdict.hpp"
#include "proxy/connector.hpp"
#include "proxy/pool.hpp"
#include "proxy/scan.hpp"

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace icapgate::proxy {

// Exchanges that may be in flight at once, for the whole process. Any thread.
class exchange_limit {
 public:
  explicit exchange_limit(std::size_t max) : free_(static_cast<std::ptrdiff_t>(max)) {}

  bool try_acquire() {
    if (free_.fetch_sub(1, std::memory_order_relaxed) > 0) return true;
    release();
    return false;
  }
  void release() { free_.fetch_add(1, std::memory_order_relaxed); }

 private:
  std::atomic<std::ptrdiff_t> free_;
};

// What one scan came to, beside its judgement.
struct scan_report {
  result<icap::judgement> outcome = errc::gateway_internal;
  std::string scanner;  // the service that answered or failed last
  unsigned icap_status = 0;
  icap::answer answer;  // with an outcome: what it was judged by
};

// Worker thread only.
class icap_client {
 public:
  icap_client(asio::io_context& context, deadlines& all, block_pool& blocks, const config& settings,
              exchange_limit& limit, worker_metrics& metrics);

  // Scans a response: on one scanner after the other until one gives a verdict. `request` is
  // complete but for uri and host. `adapted` holds the body of the answer afterwards. Reasons:
  // icap_*, origin_body_*, spool_failed.
  task<scan_report> respmod(icap::respmod_request request, body_intake& body, body_spool& adapted);

  void reap();
  void clear();

 private:
  struct connection {
    std::unique_ptr<stream> socket;
    bool reused = false;
  };
  struct service {
    service(asio::io_context& context, deadlines& all, const url& address, const config& settings);
    std::string uri;
    std::string host;
    connector connect;
    idle_pool<connection> pool;
  };
  class turn;

  task<bool> wait_for_turn();
  void end_turn();
  task<void> try_service(service& at, const icap::respmod_request& request, body_intake& body,
                         body_spool& adapted, scan_report& report);
  task<bool> try_connection(service& at, std::unique_ptr<connection> over,
                            const icap::respmod_request& request, body_intake& body,
                            body_spool& adapted, scan_report& report);
  task<result<std::unique_ptr<connection>>> open(service& at);

  asio::io_context& context_;
  block_pool& blocks_;
  const config& settings_;
  exchange_limit& limit_;
  worker_metrics& metrics_;
  std::vector<std::unique_ptr<service>> services_;
  std::size_t next_ = 0;
  std::deque<asio::steady_timer*> waiting_;
};

}  // namespace icapgate::proxy
