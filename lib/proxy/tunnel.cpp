#include "proxy/tunnel.hpp"

namespace icapgate::proxy {
namespace {

// One direction. Any byte in it is a sign of life for both.
class direction {
 public:
  // `over`: the other direction has failed.
  direction(stream& from, stream& to, std::string_view early, block_pool& blocks, milliseconds idle,
            std::uint64_t& moved, bool& over)
      : from_(from),
        to_(to),
        early_(early),
        piece_(blocks.acquire()),
        idle_(idle),
        moved_(moved),
        over_(over) {}

  // Until the sender's half has ended, or either side fails.
  task<void> run() {
    auto status = co_await write(early_);
    for (int step = 1; status == io_status::ok && !over_; ++step) {
      const auto got = from_.try_read({piece_.data(), block::size});
      if (got.status == io_status::ok)
        status = co_await write({piece_.data(), got.bytes});
      else if (got.status != io_status::would_block)
        status = got.status;
      if (status == io_status::ok &&
          (got.status == io_status::would_block || step % turn_length == 0))
        status = co_await from_.wait_readable();
    }
    if (status == io_status::eof) {
      to_.shutdown();
      co_return;
    }
    // Nothing that the other direction still carries would make sense without this one.
    over_ = true;
    from_.expire_now();
    to_.expire_now();
    idle_ended_ = status == io_status::timed_out;
  }

  // It ended since no byte came for too long.
  bool was_idle() const { return idle_ended_; }

 private:
  task<io_status> write(std::string_view bytes) {
    touch();
    while (!bytes.empty() && !over_) {
      const_buffers out;
      out.push(bytes);
      const auto written = to_.try_write(out);
      if (written.status == io_status::ok) {
        bytes.remove_prefix(written.bytes);
        moved_ += written.bytes;
        touch();
        continue;
      }
      if (written.status != io_status::would_block) co_return written.status;
      const auto ready = co_await to_.wait_writable();
      if (ready != io_status::ok) co_return ready;
    }
    co_return io_status::ok;
  }

  void touch() {
    from_.expires_after(idle_);
    to_.expires_after(idle_);
  }

  stream& from_;
  stream& to_;
  std::string_view early_;
  block piece_;
  milliseconds idle_;
  std::uint64_t& moved_;
  bool& over_;
  bool idle_ended_ = false;
};

}  // namespace

task<errc> run_tunnel(stream& client, stream& origin, std::string_view from_client,
                      std::string_view from_origin, block_pool& blocks, milliseconds idle,
                      tunnel_bytes& moved) {
  bool over = false;
  direction up(client, origin, from_client, blocks, idle, moved.to_origin, over);
  direction down(origin, client, from_origin, blocks, idle, moved.to_client, over);
  co_await both(up.run(), down.run());
  // A tunnel has no end that would be complete: whoever leaves, leaves.
  co_return up.was_idle() || down.was_idle() ? errc::tunnel_idle : errc::complete;
}

}  // namespace icapgate::proxy
