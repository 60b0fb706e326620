#include "proxy/relay_piece.hpp"

namespace icapgate::proxy {
namespace {

// Fewer bytes are copied in less time than a pipe takes.
constexpr std::uint64_t worth_a_pipe = 32 << 10;

}  // namespace

http_reader::body_status relay_piece::take(http_reader& from, pipe_pool* pipes) {
  bytes_.push(from.take_early());
  if (from.body_ended()) return http_reader::body_status::data;
  if (pipes && from.comes_plain(worth_a_pipe)) piped_ = pipes->acquire();
  return piped_ ? from.try_splice_body(piped_) : fill_blocks(from);
}

// A small rest makes no small write.
http_reader::body_status relay_piece::fill_blocks(http_reader& from) {
  mutable_buffers room;
  for (auto& one : blocks_) {
    one = from.blocks().acquire();
    room.push(asio::mutable_buffer(one.data(), block::size));
  }
  auto got = http_reader::body_status::data;
  auto free = room;
  while (got == http_reader::body_status::data && free.bytes() > 0 && !from.body_ended()) {
    const auto some = from.try_read_body(free);
    free.consume(some.bytes);
    got = some.status;
  }
  auto filled = room.bytes() - free.bytes();
  for (const auto& one : room) {
    bytes_.push(asio::const_buffer(asio::buffer(one, filled)));
    filled -= std::min(filled, one.size());
  }
  return got;
}

}  // namespace icapgate::proxy
