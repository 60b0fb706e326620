// One thread with all that it needs: event loop, listeners, pools, counters. Nothing is shared
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
#include "proxy/generation.hpp"
#include "proxy/icap_client.hpp"
#include "proxy/listening.hpp"
#include "proxy/origins.hpp"
#include "proxy/pipe_pool.hpp"
#include "proxy/recycler.hpp"
#include "proxy/resolver.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace icapgate::proxy {

struct worker_resources;

// What a worker has for as long as it runs. Its thread only, but for what says otherwise.
struct worker_core {
  worker_core(access_log& log, worker_metrics& metrics, spool_budget& budget, admission& clients,
              std::function<void()> on_tick, std::function<void(task<void>)> spawn);
  ~worker_core();

  // Unique, not secret: hexadecimal digits.
  std::array<char, 16> next_request_id();
  // Of this process in Via: another gateway in front of it or behind it has another.
  static std::string_view pseudonym();
  // For the field; valid until the next call.
  std::string_view date(std::chrono::system_clock::time_point at) { return dates_.text(at); }
  std::string_view date() { return date(std::chrono::system_clock::now()); }
  // 32 hexadecimal digits that nobody can guess.
  static std::string random_token();
  // Work that no session waits for. The worker ends after it.
  void spawn(task<void> work) { spawn_(std::move(work)); }
  // Nothing goes on: gives memory back that a burst has left.
  void rest();
  // The access line and the counters of one transaction, or of one refused request.
  void account(const access_record& record, errc reason);

  access_log& log;
  worker_metrics& metrics;
  spool_budget& budget;  // of the whole process
  admission& clients;    // likewise
  asio::io_context context{1};
  deadlines all_deadlines;
  resolver names;
  block_pool blocks;
  recycler<std::vector<http::field>> field_lists;  // of parsed heads
  pipe_pool pipes;
  bool draining = false;       // connections are closed after the response in progress
  std::size_t background = 0;  // pieces of work under way that no session waits for
  std::shared_ptr<worker_resources> current;  // for what begins now

 private:
  std::uint64_t next_id_;
  http::date_writer dates_;
  std::function<void(task<void>)> spawn_;
};

// What a worker made of one generation of the settings. Whatever began with it holds on to it.
struct worker_resources : std::enable_shared_from_this<worker_resources> {
  // Takes over from `before`, where there is one, the connections to peers that are the same now.
  worker_resources(worker_core& core, std::shared_ptr<const generation> made,
                   const worker_resources* before);

  body_spool new_spool() { return {blocks, budget, settings.spool_memory, settings.spool_dir}; }
  // `which`: of the settings, by its place.
  void count_rule(std::size_t which) { rule_hits_.at(which)->add(); }
  // Others take its place: nothing is kept that `next` has no use for.
  void retire(const worker_resources& next);

  worker_core& core;
  const std::shared_ptr<const generation> made_of;
  const config& settings;
  worker_metrics& metrics;
  spool_budget& budget;
  asio::io_context& context;
  block_pool& blocks;
  proxy::origins origins;
  const std::shared_ptr<icap_client> scanners;

 private:
  std::vector<counter*> rule_hits_;
};

class session;

class worker {
 public:
  // One listening socket.
  struct opened {
    std::string id;   // the same as long as the socket is
    int socket = -1;  // bound and listening, to be taken over; -1: the worker has it already
    int family = 0;
    std::shared_ptr<const entrance> into;
  };

  worker(access_log& log, worker_metrics& metrics, spool_budget& budget, admission& clients);
  ~worker();

  // Serves until drained. On the worker's thread.
  void run();

  // From any thread: what begins after it is served as `next` says, at these listeners. Those that
  // are not among them close. `done` is called on the worker's thread once it is so.
  void adopt(std::shared_ptr<const generation> next, std::vector<opened> listeners,
             std::function<void()> done);
  // From any thread: stop accepting, close idle clients, finish what runs.
  void drain();
  // From any thread: give up what still runs.
  void expire_all();

 private:
  using any_endpoint = asio::generic::stream_protocol::endpoint;
  // Sessions unlink themselves when they end.
  using session_list =
      boost::intrusive::list<session, boost::intrusive::constant_time_size<false>,
                             boost::intrusive::base_hook<boost::intrusive::list_base_hook<
                                 boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>>;
  struct door {
    std::string id;
    any_acceptor acceptor;
    std::shared_ptr<const entrance> into;
  };

  void change_to(std::shared_ptr<const generation> next, std::vector<opened>& listeners);
  void open(opened& one);
  void close(door& one);
  task<void> accept(std::shared_ptr<door> at);
  bool take_in(door& at, int most);
  task<void> pause_accepting();
  bool admit(descriptor client, const any_endpoint& from, const door& at);
  void begin_session(descriptor client, const http::arrival& from, admission::ticket place,
                     const door& at);
  void spawn(task<void> work);
  void ended(const std::exception_ptr& failure);
  void on_tick();
  void begin_drain();
  void stop_when_idle();

  worker_core core_;
  std::vector<std::shared_ptr<door>> doors_;
  session_list sessions_;
  std::size_t accepting_ = 0;  // doors that may still let a client in
};

}  // namespace icapgate::proxy
