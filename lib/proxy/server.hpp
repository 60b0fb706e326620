// The daemon: workers, listeners, the admin listener, signals, reloads and the drain.
#pragma once

#include "base/config.hpp"
#include "proxy/service_manager.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace icapgate {
class access_log;
}

namespace icapgate::proxy {

class server {
 public:
  // For reloads. Called on the thread of run().
  struct settings_source {
    // The settings as they are now; nothing where they are wrong, which it has told then.
    std::function<std::optional<config>()> read;
    // What was read last is in use.
    std::function<void()> adopted;
  };

  // Binds every address, but for those that `manager` has sockets for. `settings` must be checked;
  // `log` must outlive the server. Without `again` there are no reloads.
  // Throws std::system_error, with the address in its text, when an address can't be bound, and
  // std::runtime_error for certificates and for sockets of the manager that no listener takes.
  server(config settings, access_log& log, settings_source again = {},
         service_manager manager = {});
  ~server();

  // Serves until SIGTERM, SIGINT or stop(), then drains: stops accepting, lets running transfers
  // finish within settings.drain_timeout, closes the rest. SIGTERM waits settings.drain_delay
  // before that. A second signal ends at once. SIGHUP opens the access log anew and reads the
  // settings again. Returns the exit status.
  int run();

  // Begins the drain. From any thread.
  void stop();

  // The addresses in use, with the real port where 0 was asked for.
  std::vector<endpoint> listen_addresses() const;
  std::optional<endpoint> admin_address() const;

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace icapgate::proxy
