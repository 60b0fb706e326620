// What the service manager is told while the process runs: its state, its numbers, its signs of
// life.
#pragma once

#include "proxy/io.hpp"
#include "proxy/service_manager.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <string>

namespace icapgate::proxy {

// The thread of `context` only. Without a manager nothing happens.
class service_report {
 public:
  struct source {
    std::function<bool()> live;           // every event loop turns
    std::function<std::string()> status;  // one line for people
  };

  service_report(asio::io_context& context, service_manager manager, source from);

  void started();
  void reload_begins();
  void reload_ended();  // whatever came of it
  // From now on each sign of life asks for more time.
  void stop_begins();
  // The context runs out of this one's work.
  void end() { timer_.cancel(); }

 private:
  void wait();
  void sign_of_life();

  asio::steady_timer timer_;
  const service_manager manager_;
  const source from_;
  bool stopping_ = false;
  std::string told_;
};

}  // namespace icapgate::proxy
