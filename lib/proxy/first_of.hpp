// Waits for several sockets at once, where bodies flow in two directions.
#pragma once

#include "proxy/io.hpp"

#include <boost/asio/experimental/parallel_group.hpp>

namespace icapgate::proxy {

// Returns when one of the deferred operations is done; the others are cancelled. What each came to
// is left out: the next attempt on each socket tells.
template <class... Ops>
task<void> first_of(Ops... ops) {
  co_await asio::experimental::make_parallel_group(std::move(ops)...)
      .async_wait(asio::experimental::wait_for_one(), use_op);
}

}  // namespace icapgate::proxy
