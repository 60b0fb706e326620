// The scanners as one worker sees them: connections, the choice among them, and the second try that
// a stale connection or a failing scanner deserves.
#pragma once

#include "base/config.hpp"
#include "base/metrics.hpp"
#include "icap/identity.hpp"
#include "icap/verdict.hpp"
#include "proxy/connector.hpp"
#include "proxy/generation.hpp"
#include "proxy/pool.hpp"
#include "proxy/scan.hpp"
#include "proxy/scanner_queue.hpp"
#include "proxy/scanner_state.hpp"

#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace icapgate::proxy {

// What is scanned. Views are the caller's.
struct scan_job {
  std::string_view request_head;   // encapsulated, as append_scanner_request makes it
  std::string_view response_head;  // likewise
  std::string_view path;           // of the request's target, for the scanner's Transfer lists
  icap::identity who;
  unsigned status = 200;  // of the response
};

// What one scan came to.
struct scan_report {
  result<icap::judgement> outcome = errc::gateway_internal;
  std::string_view scanner;  // URI of the service that answered or failed last; the client's
  unsigned icap_status = 0;
  icap::answer answer;  // with an outcome: what it was judged by
  // The body comes too slowly to hold a connection for it: there is no outcome yet. To be asked
  // again when it is whole.
  bool postponed = false;
  bool ignored = false;  // the scanner does not want such responses, and the settings let it
};

// Worker thread only. Each scanner once, however many routes name it.
class icap_client : public std::enable_shared_from_this<icap_client> {
 public:
  // Connections to scanners that are the same as `before`, where there is one, stay.
  icap_client(asio::io_context& context, deadlines& all, resolver& names, block_pool& blocks,
              std::shared_ptr<const generation> made, worker_metrics& metrics, spool_budget& budget,
              const icap_client* before = nullptr);

  // Scans a response: on one scanner of its route, which is one of the settings', after the other
  // until one gives a verdict, which `report`, a new one, tells. The body stays in its spool, so
  // that each can begin anew. `adapted` holds the body of the answer afterwards. Reasons: icap_*,
  // origin_body_*, spool_failed.
  task<void> respmod(const route& of, const scan_job& job, body_intake& body, body_spool& adapted,
                     scan_report& report);

  // At each tick: closes what was idle for too long, opens what is to be warm.
  void reap();
  // The end of the worker: nothing is kept or opened from now on.
  void clear();
  // Nothing is opened ahead of need any more, nor kept for scanners that `next` has not got.
  void retire(const icap_client& next);

 private:
  struct connection {
    explicit connection(scanner_state::open_connection its_place) : place(std::move(its_place)) {}
    scanner_state::open_connection place;
    std::unique_ptr<stream> socket;
    bool reused = false;
  };
  struct service : std::enable_shared_from_this<service> {
    service(deadlines& all, resolver& names, std::shared_ptr<scanner_state> its_state,
            const config& settings);
    std::shared_ptr<scanner_state> state;
    connector connect;
    idle_pool<connection> pool;
    std::size_t opening = 0;         // ahead of need
    clock::time_point warm_after{};  // not before
  };
  struct candidate {
    service* to;
    bool standby;
    bool operator==(const candidate&) const = default;
  };
  using candidates = std::vector<candidate>;
  // Whom the scans of a route, or of several, go to.
  struct choice {
    explicit choice(candidates those) : among(std::move(those)) {
      for (const auto& one : among) scanners.push_back(one.to->state.get());
    }
    candidates among;
    scanner_queue::group scanners;  // the same
    std::size_t next = 0;           // whose turn it is where they are equal
  };
  class turn;
  using some_services = boost::container::small_vector<const service*, 4>;
  // One scan on its way through the scanners.
  struct attempt {
    const scan_job& job;
    choice& from;
    body_intake& body;
    body_spool& adapted;
    scan_report& report;
    some_services tried;
    some_services busy;                                    // of those: worth another try
    std::shared_ptr<const icap::service_options> options;  // of the one that is tried now
    clock::time_point give_up;
  };

  std::shared_ptr<service> find(const scanner_state& of) const;
  service* choose_at_once(attempt& current);
  task<service*> choose(attempt& current);
  service* choose_now(attempt& current, bool& some_full);
  candidates find_services(const scanner_group& named) const;
  choice& scanners_of(const route& of);
  bool is_too_late(const attempt& current) const;
  task<void> try_service(service& at, attempt& current);
  task<bool> try_connection(service& at, std::unique_ptr<connection> over, attempt& current);
  task<result<std::unique_ptr<connection>>> open(service& at, const attempt& current);
  task<result<std::unique_ptr<connection>>> connect(service& at, std::unique_ptr<connection> fresh);
  void keep_warm();
  void keep_warm(service& at, clock::time_point now);
  static task<void> open_warm(std::shared_ptr<icap_client> self, std::shared_ptr<service> at,
                              std::unique_ptr<connection> fresh);
  task<errc> ask(scan& one, const service& at, const attempt& current);
  icap::exchange_request request_for(const service& at, const attempt& current,
                                     std::string& fields) const;
  task<errc> complete_partial(attempt& current, std::uint64_t original_from);

  asio::io_context& context_;
  deadlines& all_;
  block_pool& blocks_;
  const std::shared_ptr<const generation> made_of_;
  const config& settings_;
  worker_metrics& metrics_;
  spool_budget& budget_;
  std::vector<std::shared_ptr<service>> services_;
  std::vector<choice> choices_;        // those of all routes, equal ones once
  std::vector<std::size_t> by_route_;  // which of the choices
  scanner_queue queue_;
  const std::size_t warm_share_;
  bool closed_ = false;
};

}  // namespace icapgate::proxy
