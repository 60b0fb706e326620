#include "proxy/stream.hpp"

#include "proxy/tls.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>

namespace icapgate::proxy {
namespace {

// A unix socket with a full queue has no readiness to wait for.
constexpr milliseconds local_retry{10};

io_result outcome(const boost::system::error_code& ec, std::size_t bytes) {
  if (!ec) return {io_status::ok, bytes};
  if (ec == asio::error::would_block || ec == asio::error::try_again)
    return {io_status::would_block, 0};
  if (ec == asio::error::eof) return {io_status::eof, 0};
  return {io_status::reset, 0};
}

}  // namespace

stream::stream(socket_type socket, deadlines& all) : deadline(all), socket_(std::move(socket)) {
  if (!socket_.is_open()) return;
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
}

stream::~stream() = default;

task<boost::system::error_code> stream::connect(const socket_type::endpoint_type& peer) {
  boost::system::error_code ec;
  socket_.open(peer.protocol(), ec);
  if (!ec) socket_.non_blocking(true, ec);
  if (ec) co_return ec;
  if (expired()) co_return make_error_code(asio::error::timed_out);
  if (peer.protocol().family() == AF_UNIX) co_return co_await connect_local(peer);
  co_await socket_.async_connect(peer, asio::redirect_error(asio::use_awaitable, ec));
  if (expired()) co_return make_error_code(asio::error::timed_out);
  // Heads are small and latency counts.
  boost::system::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  co_return ec;
}

// A unix socket is connected at once or not at all. While its queue is full the system says EAGAIN,
// which for any other socket would mean that it is being connected.
task<boost::system::error_code> stream::connect_local(const socket_type::endpoint_type& peer) {
  asio::steady_timer pause(socket_.get_executor());
  while (::connect(socket_.native_handle(), peer.data(), static_cast<socklen_t>(peer.size())) !=
         0) {
    const boost::system::error_code ec(errno, boost::system::system_category());
    if (ec != asio::error::try_again && ec != asio::error::interrupted) co_return ec;
    pause.expires_after(local_retry);
    co_await pause.async_wait(use_op);
    if (expired()) co_return make_error_code(asio::error::timed_out);
  }
  co_return boost::system::error_code();
}

task<tls_status> stream::start_tls(std::shared_ptr<tls_side> side) {
  tls_ = std::make_unique<tls_channel>(std::move(side), socket_.native_handle());
  for (;;) {
    const auto status = tls_->handshake();
    if (status != tls_status::would_block) co_return status;
    const auto ready = co_await wait(socket_type::wait_read);
    if (ready != io_status::ok) co_return tls_status::timed_out;
  }
}

std::string stream::peer_certificate() const {
  return tls_ ? tls_->peer_certificate() : std::string();
}

io_result stream::try_read(const mutable_buffers& into) {
  if (tls_) return tls_->try_read(into);
  boost::system::error_code ec;
  const auto bytes = socket_.read_some(into, ec);
  return outcome(ec, bytes);
}

io_result stream::try_read(asio::mutable_buffer into) {
  if (tls_) {
    mutable_buffers one;
    one.push(into);
    return tls_->try_read(one);
  }
  boost::system::error_code ec;
  const auto bytes = socket_.read_some(into, ec);
  return outcome(ec, bytes);
}

io_result stream::try_write(const const_buffers& from) {
  if (tls_) return counted(tls_->try_write(from));
  boost::system::error_code ec;
  const auto bytes = socket_.write_some(from, ec);
  return counted(outcome(ec, bytes));
}

io_result stream::counted(io_result one) {
  written_ += one.bytes;
  return one;
}

io_result stream::try_send_file(int file, std::uint64_t offset, std::uint64_t max) {
  if (tls_) return counted(tls_->try_send_file(file, offset, max));
  constexpr std::uint64_t most = 1 << 20;
  auto from = static_cast<off_t>(offset);
  const auto count = static_cast<std::size_t>(std::min(max, most));
  const auto sent = ::sendfile(socket_.native_handle(), file, &from, count);
  if (sent > 0) return counted({io_status::ok, static_cast<std::size_t>(sent)});
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    return {io_status::would_block, 0};
  return {io_status::reset, 0};  // also where the file is shorter than it should be
}

task<io_status> stream::wait(wait_type what) {
  if (expired()) co_return io_status::timed_out;
  if (tls_) {
    if (has_input(what)) co_return io_status::ok;
    what = needed_for(what);
  }
  boost::system::error_code ignored;  // the next attempt on the socket tells
  co_await socket_.async_wait(what, asio::redirect_error(asio::use_awaitable, ignored));
  co_return expired() ? io_status::timed_out : io_status::ok;
}

bool stream::has_input(wait_type what) const {
  return what == socket_type::wait_read && tls_->has_input();
}

stream::wait_type stream::needed_for(wait_type what) const {
  if (what == socket_type::wait_read)
    return tls_->read_needs_writable() ? socket_type::wait_write : what;
  return tls_->write_needs_readable() ? socket_type::wait_read : what;
}

task<io_status> stream::write_all(const_buffers from, milliseconds progress) {
  while (!from.empty() && from.bytes() > 0) {
    const auto written = try_write(from);
    if (written.status == io_status::ok) {
      from.consume(written.bytes);
      continue;
    }
    if (written.status != io_status::would_block) co_return written.status;
    expires_after(progress);
    mid_write_ = true;
    const auto ready = co_await wait_writable();
    if (ready != io_status::ok) co_return ready;
  }
  mid_write_ = false;
  co_return io_status::ok;
}

std::optional<std::uint64_t> stream::taken() {
  // Another kind of socket counts the system's own memory along.
  int domain = 0;
  socklen_t size = sizeof domain;
  const int socket = socket_.native_handle();
  if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain == AF_UNIX)
    return std::nullopt;
  int bytes = 0;
  if (::ioctl(socket, SIOCOUTQ, &bytes) != 0) return std::nullopt;
  return written_ - std::min(written_, static_cast<std::uint64_t>(bytes));
}

bool stream::is_quiet() {
  if (tls_) return tls_->is_quiet();
  char byte;
  const auto got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void stream::shutdown() {
  if (tls_) tls_->close_notify();
  boost::system::error_code ignored;
  socket_.shutdown(socket_type::shutdown_send, ignored);
}

void stream::reset() {
  tls_.reset();
  boost::system::error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

void stream::on_expired() {
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

}  // namespace icapgate::proxy
