// The daemon: workers, their listeners, the admin listener, signals and the drain.
#pragma once

#include "base/config.hpp"

#include <memory>
#include <optional>

namespace icapgate {
class access_log;
}

namespace icapgate::proxy {

class server {
 public:
  // Binds every address. `settings` must be checked; `log` must outlive the server.
  // Throws std::system_error, with the address in its text, when an address can't be bound.
  server(const config& settings, access_log& log);
  ~server();

  // Serves until SIGTERM, SIGINT or stop(), then drains: stops accepting, lets running transfers
  // finish within settings.drain_timeout, closes the rest. A second signal ends at once. Returns
  // the exit status.
  int run();

  // Begins the drain. From any thread.
  void stop();

  // The addresses in use, with the real port where 0 was asked for.
  endpoint listen_address() const;
  std::optional<endpoint> admin_address() const;

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace icapgate::proxy
