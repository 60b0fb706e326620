// Opens the access log anew on SIGHUP, as logrotate wants it.
#pragma once

#include "base/log.hpp"

#include <atomic>
#include <thread>

namespace icapgate {

// Waits for SIGHUP in a thread of its own.
class log_rotation {
 public:
  // Keeps SIGHUP from the calling thread and those that it starts later. To be called before any
  // other thread exists: one that takes the signal would end the program.
  static void block_signal();

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
