// One connected stream socket: try first, wait after. Worker thread only.
#pragma once

#include "proxy/deadline.hpp"
#include "proxy/io.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <span>
#include <string_view>

namespace icapgate::proxy {

// Buffers of one gathered write or scattered read. Bounded, on the stack.
template <class Buffer>
class buffer_list {
 public:
  static constexpr std::size_t capacity = 24;

  void push(Buffer b) {
    if (b.size() != 0 && count_ < capacity) items_[count_++] = b;
  }
  void push(std::string_view text)
    requires std::same_as<Buffer, asio::const_buffer>
  {
    push(asio::const_buffer(text.data(), text.size()));
  }
  bool full() const { return count_ == capacity; }
  bool empty() const { return first_ == count_; }
  std::size_t bytes() const { return asio::buffer_size(*this); }
  // Drops `n` bytes from the front.
  void consume(std::size_t n) {
    while (n > 0 && first_ < count_) {
      const auto taken = std::min(n, items_[first_].size());
      items_[first_] += taken;
      n -= taken;
      if (items_[first_].size() == 0) ++first_;
    }
  }

  const Buffer* begin() const { return items_.data() + first_; }
  const Buffer* end() const { return items_.data() + count_; }

 private:
  std::array<Buffer, capacity> items_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

using const_buffers = buffer_list<asio::const_buffer>;
using mutable_buffers = buffer_list<asio::mutable_buffer>;

class stream final : public deadline {
 public:
  using socket_type = asio::generic::stream_protocol::socket;

  // Takes over a connected socket, or an unconnected one to be connect()ed.
  stream(socket_type socket, deadlines& all);

  // Connects; the deadline bounds it. ok, timed_out, or the system's error.
  task<boost::system::error_code> connect(const socket_type::endpoint_type& peer);

  // One attempt, never waiting: ok with at least one byte, would_block, eof (reads), reset.
  io_result try_read(const mutable_buffers& into);
  io_result try_read(asio::mutable_buffer into);
  io_result try_write(const const_buffers& from);
  // From an open file to the socket, without a way through this process.
  io_result try_send_file(int file, std::uint64_t offset, std::uint64_t max);

  // Waits until an attempt is worth while, or the deadline has passed: ok or timed_out.
  task<io_status> wait_readable() { return wait(socket_type::wait_read); }
  task<io_status> wait_writable() { return wait(socket_type::wait_write); }

  // As one operation among several (first_of); the result is to be ignored, the next attempt tells.
  auto readable() { return socket_.async_wait(socket_type::wait_read, asio::deferred); }
  auto writable() { return socket_.async_wait(socket_type::wait_write, asio::deferred); }

  // Writes all, waiting where needed; each step of progress renews the deadline. 0: no deadline.
  task<io_status> write_all(const_buffers from, milliseconds progress);

  // Nothing to read and not closed by the peer: what an idle pooled connection has to be.
  bool is_quiet();

  // No more will be written; the peer sees the end of the stream.
  void shutdown();
  void close();
  // Closes so that the peer sees a failure, not an end.
  void reset();
  bool is_open() const { return socket_.is_open(); }
  socket_type& socket() { return socket_; }

 private:
  task<io_status> wait(socket_type::wait_type what);
  void on_expired() override;

  socket_type socket_;
};

}  // namespace icapgate::proxy
