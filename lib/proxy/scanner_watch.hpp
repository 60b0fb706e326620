// Keeps an eye on the scanners: asks each for its OPTIONS, and sends it EICAR now and then to see
// that it detects. On the main loop, beside the workers.
#pragma once

#include "icap/verdict.hpp"
#include "proxy/block_pool.hpp"
#include "proxy/connector.hpp"
#include "proxy/deadline.hpp"
#include "proxy/generation.hpp"
#include "proxy/scan.hpp"
#include "proxy/scanner_state.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace icapgate::proxy {

// One thread only: that of `context`. Its work keeps it alive until stop().
class scanner_watch : public std::enable_shared_from_this<scanner_watch> {
 public:
  scanner_watch(asio::io_context& context, std::shared_ptr<const generation> made,
                spool_budget& budget, dns_metrics& names);

  // Options are asked for at once; canaries of scanners that were probed before go on in their
  // turn.
  void start();
  // Ends all exchanges; the loop runs out of this one's work.
  void stop();

 private:
  struct patient {
    std::shared_ptr<scanner_state> state;
    connector connect;
    asio::steady_timer pause;
    clock::time_point options_due{};
    clock::time_point canary_due{};
    unsigned failures = 0;  // of OPTIONS, in a row
    bool warned = false;    // that it does not detect
  };

  struct probed {
    icap::verdict kind;
    bool replaced;  // by something that does not hold what was sent: a page without a mark
  };

  static task<void> watch(std::shared_ptr<scanner_watch> self, patient& one);
  task<void> refresh_options(patient& one);
  task<void> send_canary(patient& one);
  task<result<probed>> probe(patient& one, std::string_view body);
  body_spool new_spool() { return {blocks_, budget_, settings_.spool_memory, settings_.spool_dir}; }
  task<errc> exchange(patient& one, const icap::exchange_request& request, body_spool& body,
                      body_spool& adapted, icap::answer& out);
  void tell(patient& one, bool detects, std::string_view why);

  asio::io_context& context_;
  const std::shared_ptr<const generation> made_of_;
  const config& settings_;
  deadlines all_;
  resolver names_;
  spool_budget& budget_;
  block_pool blocks_;
  std::vector<std::unique_ptr<patient>> patients_;
  bool stopping_ = false;
};

}  // namespace icapgate::proxy
