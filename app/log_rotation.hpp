// Opens the access log anew on SIGHUP, as logrotate wants it.
#pragma once

#include "base/log.hpp"

#include <atomic>
#include <thread>

namespace icapgate {

// Blocks SIGHUP for the calling thread and those it starts later, and waits for it in a thread of
// its own. Make it before any other thread.
class log_rotation {
 public:
  explicit log_rotation(access_log& log);
  ~log_rotation();

  log_rotation(const log_rotation&) = delete;
  log_rotation& operator=(const log_rotation&) = delete;

 private:
  access_log& log_;
  std::atomic<bool> stopping_{false};
  std::thread waiter_;
};

}  // namespace icapgate
