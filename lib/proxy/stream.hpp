// One connected stream socket: try first, wait after. Worker thread only.
#pragma once

#include "proxy/buffers.hpp"
#include "proxy/deadline.hpp"
#include "proxy/descriptor.hpp"
#include "proxy/io.hpp"
#include "proxy/pipe_pool.hpp"
#include "proxy/poller.hpp"

#include <boost/asio/generic/stream_protocol.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace icapgate::proxy {

class stream;
class tls_channel;
class tls_side;
enum class tls_status : std::uint8_t;

// That an attempt on a stream is worth while.
struct stream_event {
  stream& of;
  io_kind what;
};

// co_await gives ok, timed_out where the deadline of the first event's stream has passed, or reset
// where that stream was destroyed.
class stream_wait final : public poll_wait {
 public:
  explicit stream_wait(const stream_event& one);
  stream_wait(const stream_event& a, const stream_event& b);

  bool await_ready() const { return ready_; }
  io_status await_resume() const;

 private:
  stream& of_;
  bool ready_;
};

class stream final : public deadline {
 public:
  using endpoint_type = asio::generic::stream_protocol::endpoint;

  // Takes over a connected socket, or none: then it is to be connect()ed.
  stream(descriptor socket, deadlines& all);
  ~stream() override;

  // Connects; the deadline bounds it. ok, timed_out, or the system's error.
  task<boost::system::error_code> connect(const endpoint_type& peer);

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
  // `more`: the next write comes at once, and the system may put both into one packet.
  io_result try_write(const const_buffers& from, bool more = false);
  // What is there, which the next attempt reads again. Not with TLS.
  io_result try_peek(asio::mutable_buffer into);
  // From an open file to the socket; without TLS not by way of this process.
  io_result try_send_file(int file, std::uint64_t offset, std::uint64_t max);

  // Without TLS bytes may move by way of a pipe: into an empty one, `max` of them at most, and out
  // of one that holds some.
  bool can_splice() const { return !tls_; }
  io_result try_splice(pipe& into, std::uint64_t max);
  io_result try_splice_out(pipe& from);

  // Waits until an attempt is worth while, or the deadline has passed: ok or timed_out. In each
  // direction one wait at a time.
  stream_wait wait_readable() { return stream_wait(readable()); }
  stream_wait wait_writable() { return stream_wait(writable()); }

  // For first_of.
  stream_event readable() { return {*this, io_kind::read}; }
  stream_event writable() { return {*this, io_kind::write}; }

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
  // Of the system.
  int number() const { return socket_.number(); }

 private:
  friend stream_wait;

  io_result tried(ssize_t result, io_kind what, std::size_t wanted);
  io_result tried_tls(io_result one, io_kind what);
  io_result sent(ssize_t result);
  task<boost::system::error_code> connect_local(const endpoint_type& peer);
  // An attempt need not be waited for: it is too late, or bytes wait in this process.
  bool is_due(io_kind what) const;
  // With TLS only: the direction of the socket that is meant.
  io_kind needed_for(io_kind what) const;
  void on_expired() override;

  descriptor socket_;
  polled polled_;
  std::uint64_t written_ = 0;
  bool mid_write_ = false;
  std::unique_ptr<tls_channel> tls_;
};

// Until one of them is worth while; the next attempt on each tells which.
inline stream_wait first_of(const stream_event& a, const stream_event& b) {
  return stream_wait(a, b);
}

}  // namespace icapgate::proxy
