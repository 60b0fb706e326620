// The listening sockets of the process: what is open, and what another reading of the settings
// changes about it.
#pragma once

#include "base/config.hpp"
#include "proxy/generation.hpp"
#include "proxy/listening.hpp"
#include "proxy/service_manager.hpp"
#include "proxy/worker.hpp"

#include <memory>
#include <vector>

namespace icapgate::proxy {

// The main thread only. Each worker has a socket of its own for each listener: on one port the
// kernel spreads the clients over them; those of a unix socket take from the same queue.
class listeners {
 public:
  // `inherited`: which listener takes which of them, says service_manager.hpp.
  listeners(asio::io_context& context, unsigned workers, std::vector<inherited_socket> inherited)
      : context_(context), workers_(workers), inherited_(std::move(inherited)) {}

  // Opens what `wanted` has and is not open yet. Nothing else changes before adopt(), and where
  // that is not called nothing does. Throws std::system_error, with the address in its text, and
  // std::runtime_error for certificates and for inherited sockets that nobody takes.
  struct plan;
  std::shared_ptr<plan> prepare(const std::vector<listener>& wanted);

  // What each worker serves from now on. The rest closes there.
  std::vector<std::vector<worker::opened>> adopt(plan& prepared);

  // Certificates are read again whose files have changed.
  void look_at_certificates();
  // Of the certificates that clients are shown, each file once.
  std::vector<certificate_expiry> expiries() const;
  // Their addresses, with the real port where 0 was asked for.
  std::vector<endpoint> addresses() const;

 private:
  struct socket;
  struct one;
  using taken = std::vector<const inherited_socket*>;

  void check_inherited(const std::vector<listener>& wanted) const;
  taken inherited_for(const listener& wanted, bool only) const;
  std::shared_ptr<one> find_open(const listener& wanted, const taken& inherited) const;
  std::shared_ptr<one> open(const listener& wanted, const taken& inherited);
  socket open_tcp(const endpoint& at);
  socket open_unix(const endpoint& at, const std::string& mode);
  socket adopt_inherited(const inherited_socket& from);
  any_acceptor copy_of(int descriptor, int family, const endpoint& at);

  asio::io_context& context_;
  const unsigned workers_;
  const std::vector<inherited_socket> inherited_;
  std::vector<std::shared_ptr<one>> all_;
  std::size_t opened_ = 0;  // sockets ever
};

}  // namespace icapgate::proxy
