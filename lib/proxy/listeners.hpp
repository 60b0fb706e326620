// The listening sockets of the process: what is open, and what another reading of the settings
// changes about it.
#pragma once

#include "base/config.hpp"
#include "proxy/generation.hpp"
#include "proxy/listening.hpp"
#include "proxy/worker.hpp"

#include <memory>
#include <vector>

namespace icapgate::proxy {

// The main thread only. Each worker has a socket of its own for each listener: on one port the
// kernel spreads the clients over them; those of a unix socket take from the same queue.
class listeners {
 public:
  listeners(asio::io_context& context, unsigned workers) : context_(context), workers_(workers) {}

  // Opens what `wanted` has and is not open yet. Nothing else changes before adopt(), and where
  // that is not called nothing does. Throws std::system_error, with the address in its text, and
  // std::runtime_error for certificates.
  struct plan;
  std::shared_ptr<plan> prepare(const std::vector<listener>& wanted);

  // What each worker serves from now on. The rest closes there.
  std::vector<std::vector<worker::opened>> adopt(plan& prepared);

  // Certificates are read again whose files have changed.
  void look_at_certificates();
  // Their addresses, with the real port where 0 was asked for.
  std::vector<endpoint> addresses() const;

 private:
  struct one;
  std::shared_ptr<one> find_open(const listener& wanted) const;
  std::shared_ptr<one> open(const listener& wanted);
  void open_tcp(one& made);
  void open_unix(one& made);

  asio::io_context& context_;
  const unsigned workers_;
  std::vector<std::shared_ptr<one>> all_;
  std::size_t opened_ = 0;  // ever
};

}  // namespace icapgate::proxy
