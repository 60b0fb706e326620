#include "proxy/stream.hpp"

#include "proxy/local_peer.hpp"
#include "proxy/tls.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace icapgate::proxy {
namespace {

// A unix socket with a full queue has no readiness to wait for.
constexpr milliseconds local_retry{10};

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

boost::system::error_code last_error(int number = errno) {
  return {number, boost::system::system_category()};
}

// Of the connecting that is over.
boost::system::error_code error_of(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return last_error();
  return last_error(error);
}

class vectors {
 public:
  template <class Buffers>
  explicit vectors(const Buffers& from) {
    for (const auto& one : from)
      items_[count_++] = {const_cast<void*>(static_cast<const void*>(one.data())), one.size()};
  }
  msghdr message() {
    msghdr out{};
    out.msg_iov = items_.data();
    out.msg_iovlen = count_;
    return out;
  }

 private:
  std::array<iovec, const_buffers::capacity> items_;
  std::size_t count_ = 0;
};

}  // namespace

stream_wait::stream_wait(const stream_event& one)
    : poll_wait(one.of.polled_, one.of.needed_for(one.what)),
      of_(one.of),
      ready_(one.of.is_due(one.what)) {}

stream_wait::stream_wait(const stream_event& a, const stream_event& b)
    : poll_wait(a.of.polled_, a.of.needed_for(a.what), b.of.polled_, b.of.needed_for(b.what)),
      of_(a.of),
      ready_(a.of.is_due(a.what) || b.of.is_due(b.what)) {}

io_status stream_wait::await_resume() const {
  poll_wait::await_resume();
  if (!is_there()) return io_status::reset;
  return of_.expired() ? io_status::timed_out : io_status::ok;
}

stream::stream(descriptor socket, deadlines& all)
    : deadline(all), socket_(std::move(socket)), polled_(poller::of(all.context())) {
  if (!socket_.is_open()) return;
  int on = 1;
  ::ioctl(socket_.number(), FIONBIO, &on);
  polled_.watch(socket_.number());
}

stream::~stream() = default;

task<boost::system::error_code> stream::connect(const endpoint_type& peer) {
  const int family = peer.protocol().family();
  socket_ = descriptor(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.is_open()) co_return last_error();
  leave_out_pacing(socket_.number(), peer.data());
  if (expired()) co_return make_error_code(asio::error::timed_out);
  if (family == AF_UNIX) co_return co_await connect_local(peer);
  const int result = ::connect(socket_.number(), peer.data(), static_cast<socklen_t>(peer.size()));
  if (result != 0 && errno != EINPROGRESS) co_return last_error();
  polled_.watch(socket_.number());
  if (result != 0) {
    polled_.exhausted(io_kind::write);
    co_await wait_writable();
  }
  if (expired()) co_return make_error_code(asio::error::timed_out);
  // Heads are small and latency counts.
  const int on = 1;
  ::setsockopt(socket_.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  co_return error_of(socket_.number());
}

// A unix socket is connected at once or not at all. While its queue is full the system says EAGAIN,
// which for any other socket would mean that it is being connected.
task<boost::system::error_code> stream::connect_local(const endpoint_type& peer) {
  asio::steady_timer pause(context());
  while (::connect(socket_.number(), peer.data(), static_cast<socklen_t>(peer.size())) != 0) {
    const auto ec = last_error();
    if (ec != asio::error::try_again && ec != asio::error::interrupted) co_return ec;
    pause.expires_after(local_retry);
    co_await pause.async_wait(use_op);
    if (expired()) co_return make_error_code(asio::error::timed_out);
  }
  polled_.watch(socket_.number());
  co_return boost::system::error_code();
}

task<tls_status> stream::start_tls(std::shared_ptr<tls_side> side) {
  tls_ = std::make_unique<tls_channel>(std::move(side), socket_.number());
  for (;;) {
    const auto status = tls_->handshake();
    if (status != tls_status::would_block) co_return status;
    polled_.exhausted(needed_for(io_kind::read));
    const auto ready = co_await wait_readable();
    if (ready != io_status::ok) co_return tls_status::timed_out;
  }
}

std::string stream::peer_certificate() const {
  return tls_ ? tls_->peer_certificate() : std::string();
}

io_result stream::try_read(const mutable_buffers& into) {
  if (tls_) return tried_tls(tls_->try_read(into), io_kind::read);
  vectors to(into);
  auto message = to.message();
  return tried(::recvmsg(socket_.number(), &message, 0), io_kind::read, into.bytes());
}

io_result stream::try_read(asio::mutable_buffer into) {
  if (tls_) {
    mutable_buffers one;
    one.push(into);
    return tried_tls(tls_->try_read(one), io_kind::read);
  }
  return tried(::recv(socket_.number(), into.data(), into.size(), 0), io_kind::read, into.size());
}

io_result stream::try_peek(asio::mutable_buffer into) {
  const auto got = ::recv(socket_.number(), into.data(), into.size(), MSG_PEEK);
  return tried(got, io_kind::read, 0);
}

io_result stream::try_write(const const_buffers& from, bool more) {
  if (tls_) return tried_tls(tls_->try_write(from), io_kind::write);
  vectors out(from);
  auto message = out.message();
  return sent(::sendmsg(socket_.number(), &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0)));
}

io_result stream::try_send_file(int file, std::uint64_t offset, std::uint64_t max) {
  if (tls_) return tried_tls(tls_->try_send_file(file, offset, max), io_kind::write);
  constexpr std::uint64_t most = 1 << 20;
  auto from = static_cast<off_t>(offset);
  const auto count = static_cast<std::size_t>(std::min(max, most));
  const auto result = sent(::sendfile(socket_.number(), file, &from, count));
  // Where the file is shorter than it should be.
  return result.status == io_status::eof ? io_result{io_status::reset} : result;
}

// Less than was wanted is all that there is: the next bytes, or the end, are told anew.
io_result stream::tried(ssize_t result, io_kind what, std::size_t wanted) {
  if (result > 0) {
    const auto bytes = static_cast<std::size_t>(result);
    if (bytes < wanted) polled_.exhausted(what);
    return {io_status::ok, bytes};
  }
  if (result == 0) return {io_status::eof};
  if (errno == EINTR) return {io_status::would_block};  // and to be tried again at once
  if (!would_block(errno)) return {io_status::reset};
  polled_.exhausted(what);
  return {io_status::would_block};
}

io_result stream::tried_tls(io_result one, io_kind what) {
  if (one.status == io_status::would_block) polled_.exhausted(needed_for(what));
  if (what == io_kind::write) written_ += one.bytes;
  return one;
}

io_result stream::sent(ssize_t result) {
  const auto one = tried(result, io_kind::write, 0);
  written_ += one.bytes;
  return one;
}

io_result stream::try_splice(pipe& into, std::uint64_t max) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(max, pipe_pool::room));
  // The pipe is empty: where this would block, it is the socket that has nothing.
  const auto got = tried(::splice(socket_.number(), nullptr, into.in(), nullptr, count,
                                  SPLICE_F_MOVE | SPLICE_F_NONBLOCK),
                         io_kind::read, 0);
  into.took(got.bytes);
  return got;
}

io_result stream::try_splice_out(pipe& from) {
  const auto result = sent(::splice(from.out(), nullptr, socket_.number(), nullptr, from.bytes(),
                                    SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
  from.gave(result.bytes);
  return result.status == io_status::eof ? io_result{io_status::reset} : result;
}

bool stream::is_due(io_kind what) const {
  return expired() || (tls_ && what == io_kind::read && tls_->has_input());
}

io_kind stream::needed_for(io_kind what) const {
  if (!tls_) return what;
  if (what == io_kind::read) return tls_->read_needs_writable() ? io_kind::write : what;
  return tls_->write_needs_readable() ? io_kind::read : what;
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
  const int socket = socket_.number();
  if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain == AF_UNIX)
    return std::nullopt;
  int bytes = 0;
  if (::ioctl(socket, SIOCOUTQ, &bytes) != 0) return std::nullopt;
  return written_ - std::min(written_, static_cast<std::uint64_t>(bytes));
}

bool stream::is_quiet() {
  if (tls_) return tls_->is_quiet();
  char byte;
  const auto got = ::recv(socket_.number(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void stream::shutdown() {
  if (tls_) tls_->close_notify();
  ::shutdown(socket_.number(), SHUT_WR);
}

void stream::reset() {
  tls_.reset();
  const linger at_once{1, 0};
  ::setsockopt(socket_.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  polled_.closed();
  socket_.close();
}

void stream::on_expired() {
  polled_.wake(io_kind::read);
  polled_.wake(io_kind::write);
}

}  // namespace icapgate::proxy
