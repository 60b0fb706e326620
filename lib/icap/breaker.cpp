#include "icap/breaker.hpp"

#include <algorithm>

namespace icapgate::icap {

bool breaker::would_admit(clock::time_point now) const {
  return state_ == state::closed || (now >= retry_at_ && !trial_);
}

bool breaker::admit(clock::time_point now) {
  if (state_ == state::closed) return true;
  if (!would_admit(now)) return false;
  state_ = state::half_open;
  trial_ = true;
  return true;
}

void breaker::succeeded(clock::time_point now) {
  if (state_ != state::closed) {
    state_ = state::closed;
    trial_ = false;
    pause_ = first_pause;
    window_began_ = {};
  }
  in_a_row_ = 0;
  begin_window(now);
  ++scans_;
}

void breaker::failed(clock::time_point now) {
  if (state_ == state::open) return;  // scans that were under way when it opened
  if (state_ == state::half_open) return open(now);
  begin_window(now);
  ++scans_;
  ++failures_;
  ++in_a_row_;
  const bool many = scans_ >= window_minimum && failures_ * 2 >= scans_;
  if (in_a_row_ >= failures_in_a_row || many) open(now);
}

void breaker::abandoned() {
  trial_ = false;
}

void breaker::begin_window(clock::time_point now) {
  if (now - window_began_ < window) return;
  window_began_ = now;
  scans_ = failures_ = 0;
}

// Each pause in a row is twice as long.
void breaker::open(clock::time_point now) {
  retry_at_ = now + pause_;
  pause_ = std::min(pause_ * 2, longest_pause);
  state_ = state::open;
  trial_ = false;
  in_a_row_ = scans_ = failures_ = 0;
}

}  // namespace icapgate::icap
