// A piece of a body that is relayed as it comes, on its way from the origin to the client.
#pragma once

#include "proxy/block_pool.hpp"
#include "proxy/buffers.hpp"
#include "proxy/http_reader.hpp"
#include "proxy/pipe_pool.hpp"

#include <array>

namespace icapgate::proxy {

// Worker thread only; holds blocks or a pipe only for as long as it lives, so that nothing is held
// where nothing comes, and the next one gets what is still in the processor's cache.
class relay_piece {
 public:
  // What is there of the body, as far as there is room. Through a pipe of `pipes` where that is
  // possible and worth it; nullptr: nothing may go that way. Not `data`: what there was besides
  // comes before that.
  http_reader::body_status take(http_reader& from, pipe_pool* pipes);

  // In memory, the piece's beginning; valid until the reader's message is finished.
  const const_buffers& bytes() const { return bytes_; }
  // The rest of it. False: there is none.
  pipe& piped() { return piped_; }

  std::size_t size() const { return bytes_.bytes() + piped_.bytes(); }

 private:
  http_reader::body_status fill_blocks(http_reader& from);

  std::array<block, 4> blocks_;
  const_buffers bytes_;
  pipe piped_;
};

}  // namespace icapgate::proxy
