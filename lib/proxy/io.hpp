// The words in which the event loop is used.
#pragma once

#include "base/error.hpp"
#include "proxy/task.hpp"

#include <boost/asio/buffer.hpp>

#include <chrono>
#include <cstddef>

namespace icapgate::proxy {

using clock = std::chrono::steady_clock;
using milliseconds = std::chrono::milliseconds;

// Steps that a transfer makes at most before others on its worker have their turn, where both sides
// are always ready.
inline constexpr int turn_length = 16;

// What one read or write came to. `bytes` counts with status ok only.
struct io_result {
  io_status status = io_status::ok;
  std::size_t bytes = 0;
};

}  // namespace icapgate::proxy
