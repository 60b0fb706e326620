// How long a peer is waited for, and how slowly it may move what it is waited for.
#pragma once

#include "proxy/io.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace icapgate::proxy {

struct patience_limits {
  milliseconds idle{0};        // no byte moved; 0: any time
  std::uint64_t min_rate = 0;  // bytes a second, on average over a window; 0: any
  milliseconds window{30'000};
};

// Adds up the waits for one peer in one direction: only time in which nothing else is waited for
// counts against it. Knows neither clock nor socket. Worker thread only.
class patience {
 public:
  explicit patience(const patience_limits& limits) : limits_(limits) {}

  enum class verdict : std::uint8_t { go_on, idle, too_slow };

  // A wait begins. `moved`: bytes so far, as far as this process knows without asking; where there
  // are more of them than before, the idle time begins anew. Returns when the wait has to be looked
  // at; 0: never.
  milliseconds begin(clock::time_point now, std::uint64_t moved);

  // It is over. `expired`: since its deadline passed, or was given up. `count`: bytes that the peer
  // gave or took so far, as std::optional<std::uint64_t>; asked now and then only. None: nobody can
  // tell, and no rate is asked for.
  template <class Count>
  verdict end(clock::time_point now, bool expired, const Count& count) {
    waited_ += now - began_;
    if (!expired && !is_window_over()) return verdict::go_on;
    return judge(now, expired, count());
  }

 private:
  bool is_window_over() const { return limits_.min_rate != 0 && waited_ >= limits_.window; }
  verdict judge(clock::time_point now, bool expired, std::optional<std::uint64_t> count);
  bool is_too_slow(std::uint64_t count) const;

  patience_limits limits_;
  clock::time_point began_;  // the wait
  clock::time_point due_;    // it has to be looked at
  clock::time_point idle_since_;
  std::uint64_t moved_ = UINT64_MAX;     // when the wait began
  clock::duration waited_{};             // in this window
  std::uint64_t counted_ = 0;            // when the window began
  std::optional<std::uint64_t> looked_;  // the last count of this idle time
};

}  // namespace icapgate::proxy
