// One connected stream socket: try first, wait after. Worker thread only.
#pragma once

#include "proxy/buffers.hpp"
#include "proxy/deadline.hpp"
#include "proxy/io.hpp"

#include <boost/asio/append.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace icapgate::proxy {

class tls_channel;
class tls_side;
enum class tls_status : std::uint8_t;

class stream final : public deadline {
 public:
  using socket_type = asio::generic::stream_protocol::socket;

 private:
  using wait_type = socket_type::wait_type;

  auto start_waiting(wait_type what) {
    auto token = asio::deferred;
    auto start = [this](auto handler, wait_type wanted) {
      if (tls_ && has_input(wanted))
        asio::post(socket_.get_executor(),
                   asio::append(std::move(handler), boost::system::error_code()));
      else
        socket_.async_wait(tls_ ? needed_for(wanted) : wanted, std::move(handler));
    };
    return asio::async_initiate<decltype(token), void(boost::system::error_code)>(std::move(start),
                                                                                  token, what);
  }

 public:
  // Takes over a connected socket, or an unconnected one to be connect()ed.
  stream(socket_type socket, deadlines& all);
  ~stream() override;

  // Connects; the deadline bounds it. ok, timed_out, or the system's error.
  task<boost::system::error_code> connect(const socket_type::endpoint_type& peer);

  // From now on what is read and written goes through TLS, as client or as server. The deadline
  // bounds it. Anything but ok: the stream is of no use any more.
  task<tls_status> start_tls(std::shared_ptr<tls_side> side);

  // Of a peer that has proved by TLS whose it is: DER. Else empty.
  std::string peer_certificate() const;

  // One attempt, never waiting: ok with at least one byte, would_block, eof (reads), reset. With
  // TLS an end without close_notify is a reset; and after would_block a write has to begin with the
  // same bytes.
  io_result try_read(const mutable_buffers& into);
  io_result try_read(asio::mutable_buffer into);
  io_result try_write(const const_buffers& from);
  // From an open file to the socket; without TLS not by way of this process.
  io_result try_send_file(int file, std::uint64_t offset, std::uint64_t max);

  // Waits until an attempt is worth while, or the deadline has passed: ok or timed_out.
  task<io_status> wait_readable() { return wait(socket_type::wait_read); }
  task<io_status> wait_writable() { return wait(socket_type::wait_write); }

  // As one operation among several (first_of); the result is to be ignored, the next attempt tells.
  auto readable() { return start_waiting(socket_type::wait_read); }
  auto writable() { return start_waiting(socket_type::wait_write); }

  // Writes all, waiting where needed; each step of progress renews the deadline. 0: no deadline.
  task<io_status> write_all(const_buffers from, milliseconds progress);

  // Bytes that were written and that the peer's system has taken; none: it can't be told.
  std::optional<std::uint64_t> taken();
  // A write waits in the middle, or was given up there: nothing else can be written.
  bool is_mid_write() const { return mid_write_; }

  // Nothing to read and not closed by the peer: what an idle pooled connection has to be.
  bool is_quiet();

  // No more will be written; the peer sees the end of the stream.
  void shutdown();
  // Closes so that the peer sees a failure, not an end.
  void reset();
  bool is_open() const { return socket_.is_open(); }
  socket_type& socket() { return socket_; }

 private:
  io_result counted(io_result one);
  task<io_status> wait(wait_type what);
  task<boost::system::error_code> connect_local(const socket_type::endpoint_type& peer);
  // With TLS only: bytes that wait in this process, and the direction of the socket that it needs.
  bool has_input(wait_type what) const;
  wait_type needed_for(wait_type what) const;
  void on_expired() override;

  socket_type socket_;
  std::uint64_t written_ = 0;
  bool mid_write_ = false;
  std::unique_ptr<tls_channel> tls_;
};

}  // namespace icapgate::proxy
