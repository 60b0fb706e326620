// When a scanner that fails is left alone for a while. Pure: the time is a parameter.
#pragma once

#include <chrono>
#include <cstddef>

namespace icapgate::icap {

// Counts a rate of failures, not single ones: a few failures among many scans are no reason to lose
// a scanner. Closed: scans go there. Open: none do, until a pause is over. Half open: one trial
// decides.
class breaker {
 public:
  using clock = std::chrono::steady_clock;
  using duration = clock::duration;

  static constexpr std::size_t failures_in_a_row = 5;  // open at once
  static constexpr duration window = std::chrono::seconds(10);
  static constexpr std::size_t window_minimum = 20;  // scans, before half of them failing opens it
  static constexpr duration first_pause = std::chrono::seconds(5);
  static constexpr duration longest_pause = std::chrono::seconds(60);

  // Whether a scan may go there now. In the half-open state, for the one that asks first.
  bool admit(clock::time_point now);
  // What admit() would say, without taking the trial.
  bool would_admit(clock::time_point now) const;
  // What became of a scan that was admitted.
  void succeeded(clock::time_point now);
  void failed(clock::time_point now);
  // A trial that came to nothing either way: another may have it.
  void abandoned();

  enum class state { closed, open, half_open };
  state now_in() const { return state_; }
  bool is_open() const { return state_ != state::closed; }

 private:
  void begin_window(clock::time_point now);
  void open(clock::time_point now);

  state state_ = state::closed;
  bool trial_ = false;
  std::size_t in_a_row_ = 0;
  std::size_t scans_ = 0;
  std::size_t failures_ = 0;
  clock::time_point window_began_{};
  clock::time_point retry_at_{};
  duration pause_ = first_pause;
};

}  // namespace icapgate::icap
