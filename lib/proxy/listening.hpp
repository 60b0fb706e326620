// Making listening sockets: TCP addresses and unix sockets.
#pragma once

#include "base/url.hpp"
#include "proxy/io.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <sys/types.h>

#include <string>

namespace icapgate::proxy {

using any_acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

// The file of a unix socket that we listen on. Removed at the end, if it is still ours.
class socket_file {
 public:
  explicit socket_file(std::string path);
  socket_file(const socket_file&) = delete;
  socket_file& operator=(const socket_file&) = delete;
  ~socket_file();

 private:
  std::string path_;  // empty: none
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// All of these throw std::system_error, with the address in its text.
asio::ip::tcp::endpoint resolve_listener(asio::io_context& context, const endpoint& at);
// `shared`: other sockets of this process may have the same port.
asio::ip::tcp::acceptor bind_tcp(asio::io_context& context, const endpoint& at,
                                 const asio::ip::tcp::endpoint& address, bool shared);
// Binds a unix socket. A file that another process left behind is replaced: a socket that nobody
// listens on. `mode`: octal, "660"; it is set before anybody can connect.
any_acceptor bind_unix(asio::io_context& context, const endpoint& at, const std::string& mode);
// Of a unix socket's file. False: errno tells why.
bool set_mode(const std::string& path, const std::string& mode);

[[noreturn]] void cannot_listen(const endpoint& at, const boost::system::error_code& why);

// Clients that the system holds until they are taken in.
inline constexpr int listen_backlog = 4096;

void start_listening(auto& acceptor, const endpoint& at) {
  boost::system::error_code ec;
  acceptor.listen(listen_backlog, ec);
  if (ec) cannot_listen(at, ec);
}

}  // namespace icapgate::proxy
