#include "proxy/listening.hpp"

#include "proxy/local_peer.hpp"

#include <boost/asio/local/stream_protocol.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace icapgate::proxy {
namespace {

using tcp = asio::ip::tcp;
using local = asio::local::stream_protocol;
using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

[[noreturn]] void cannot(const std::string& what, const endpoint& at,
                         const boost::system::error_code& why) {
  throw std::system_error(std::error_code(why), "cannot " + what + " " + at.to_string());
}

// A socket whose process has gone: whoever connects is refused.
bool is_left_behind(asio::io_context& context, const std::string& path) {
  struct stat file{};
  if (::lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  local::socket probe(context);
  boost::system::error_code ec;
  probe.connect(local::endpoint(path), ec);
  return ec == asio::error::connection_refused;
}

}  // namespace

socket_file::socket_file(std::string path) : path_(std::move(path)) {
  struct stat file{};
  if (::lstat(path_.c_str(), &file) != 0) path_.clear();
  device_ = file.st_dev;
  inode_ = file.st_ino;
}

socket_file::~socket_file() {
  struct stat file{};
  if (path_.empty() || ::lstat(path_.c_str(), &file) != 0) return;
  if (file.st_dev == device_ && file.st_ino == inode_) ::unlink(path_.c_str());
}

void cannot_listen(const endpoint& at, const boost::system::error_code& why) {
  cannot("listen on", at, why);
}

tcp::endpoint resolve_listener(asio::io_context& context, const endpoint& at) {
  boost::system::error_code ec;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(at.host, std::to_string(at.port),
                                      tcp::resolver::numeric_service | tcp::resolver::passive, ec);
  if (ec) cannot("resolve", at, ec);
  return found.begin()->endpoint();
}

tcp::acceptor bind_tcp(asio::io_context& context, const endpoint& at, const tcp::endpoint& address,
                       bool shared) {
  tcp::acceptor acceptor(context);
  boost::system::error_code ec;
  acceptor.open(address.protocol(), ec);
  if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec && shared) acceptor.set_option(reuse_port(true), ec);
  if (!ec) acceptor.bind(address, ec);
  if (ec) cannot_listen(at, ec);
  leave_out_pacing(acceptor.native_handle(), address.data());  // clients inherit it
  return acceptor;
}

any_acceptor bind_unix(asio::io_context& context, const endpoint& at, const std::string& mode) {
  any_acceptor acceptor(context);
  boost::system::error_code ec;
  const local::endpoint address(at.unix_socket);
  acceptor.open(address.protocol(), ec);
  if (!ec) acceptor.bind(address, ec);
  if (ec == asio::error::address_in_use && is_left_behind(context, at.unix_socket)) {
    ::unlink(at.unix_socket.c_str());
    acceptor.bind(address, ec);
  }
  if (ec) cannot_listen(at, ec);
  // Until listen() nobody can connect.
  if (!set_mode(at.unix_socket, mode)) cannot_listen(at, {errno, boost::system::system_category()});
  return acceptor;
}

bool set_mode(const std::string& path, const std::string& mode) {
  const auto bits = static_cast<mode_t>(std::strtoul(mode.c_str(), nullptr, 8));
  return ::chmod(path.c_str(), bits) == 0;
}

}  // namespace icapgate::proxy
