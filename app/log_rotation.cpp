#include "log_rotation.hpp"

#include <pthread.h>

#include <csignal>

namespace icapgate {

namespace {

sigset_t hangup() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

void log_rotation::block_signal() {
  const sigset_t set = hangup();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

log_rotation::log_rotation(access_log& log) : log_(log) {
  const sigset_t set = hangup();
  waiter_ = std::thread([this, set] {
    int number = 0;
    while (sigwait(&set, &number) == 0 && !stopping_) {
      if (const auto failure = log_.reopen())
        log::error("access log: cannot be opened anew: ", failure.message());
      else
        log::info("access log: opened anew");
    }
  });
}

log_rotation::~log_rotation() {
  stopping_ = true;
  pthread_kill(waiter_.native_handle(), SIGHUP);
  waiter_.join();
}

}  // namespace icapgate
