// The words in which the event loop is used.
#pragma once

#include "base/error.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>

namespace icapgate::proxy {

namespace asio = boost::asio;

template <class T>
using task = asio::awaitable<T>;

// Errors are values: co_await gives (error_code, ...).
inline constexpr auto use_op = asio::as_tuple(asio::use_awaitable);

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
