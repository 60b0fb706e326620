// One thread with all that it needs: event loop, listener, pools, counters. Nothing is shared
// between workers but the settings, the access log, the limits of clients and exchanges, and the
// spools' budget.
#pragma once

#include "base/config.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "http/date.hpp"
#include "http/forwarded.hpp"
#include "proxy/admission.hpp"
#include "proxy/block_pool.hpp"
#include "proxy/body_spool.hpp"
#include "proxy/deadline.hpp"
#include "proxy/icap_client.hpp"
#include "proxy/listening.hpp"
#include "proxy/origins.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>

#include <functional>
#include <string>

namespace icapgate::proxy {

class tls_listener;

// What sessions and transactions of a worker use. Lives as long as the worker.
struct worker_resources {
  worker_resources(const config& settings, access_log& log, const scanner_list& all_scanners,
                   worker_metrics& metrics, spool_budget& budget, admission& clients,
                   const tls_listener* tls, std::function<void()> on_tick,
                   std::function<void(task<void>)> spawn);

  body_spool new_spool() { return {blocks, budget, settings.spool_memory, settings.spool_dir}; }
  std::string next_request_id();
  // Of this process in Via: another gateway in front of it or behind it has another.
  static std::string_view pseudonym();
  // For the field; valid until the next call.
  std::string_view date(std::chrono::system_clock::time_point at) { return dates_.text(at); }
  std::string_view date() { return date(std::chrono::system_clock::now()); }
  // 32 hexadecimal digits that nobody can guess.
  static std::string random_token();
  // Work that no session waits for. The worker ends after it.
  void spawn(task<void> work) { spawn_(std::move(work)); }
  std::size_t monitored = 0;  // scans under way that nobody waits for
  // The access line and the counters of one transaction, or of one refused request.
  void account(const access_record& record, errc reason);

  const config& settings;
  access_log& log;
  worker_metrics& metrics;
  spool_budget& budget;           // of the whole process
  admission& clients;             // likewise
  const tls_listener* const tls;  // nullptr: clients speak plain HTTP
  const network_set trusted_proxies;
  const http::trusted_header believed_header;
  asio::io_context context{1};
  deadlines all_deadlines;
  block_pool blocks;
  proxy::origins origins;
  icap_client scanners;
  bool draining = false;  // connections are closed after the response in progress

 private:
  std::uint64_t next_id_;
  http::date_writer dates_;
  std::function<void(task<void>)> spawn_;
};

class session;

class worker {
 public:
  // `listening` is a bound, listening socket; the worker takes it over.
  worker(const config& settings, access_log& log, const scanner_list& all_scanners,
         worker_metrics& metrics, spool_budget& budget, admission& clients, const tls_listener* tls,
         int listening, const asio::generic::stream_protocol& protocol);
  ~worker();

  // Serves until drained. On the worker's thread.
  void run();

  // From any thread: stop accepting, close idle clients, finish what runs.
  void drain();
  // From any thread: give up what still runs.
  void expire_all();

 private:
  using any_socket = asio::generic::stream_protocol::socket;
  using any_endpoint = asio::generic::stream_protocol::endpoint;
  // Sessions unlink themselves when they end.
  using session_list =
      boost::intrusive::list<session, boost::intrusive::constant_time_size<false>,
                             boost::intrusive::base_hook<boost::intrusive::list_base_hook<
                                 boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>>;

  task<void> accept();
  task<void> pause_accepting();
  bool admit(any_socket client, const any_endpoint& from);
  void ended(const std::exception_ptr& failure);
  void spawn(task<void> work);
  void on_tick();
  void begin_drain();
  void stop_when_idle();

  worker_resources resources_;
  any_acceptor acceptor_;
  session_list sessions_;
  std::size_t background_ = 0;  // pieces of work that no session waits for
};

}  // namespace icapgate::proxy
