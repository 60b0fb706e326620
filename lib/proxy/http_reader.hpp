// The reading side of one HTTP/1.1 connection: heads and decoded bodies out of a stream.
#pragma once

#include "base/chunked.hpp"
#include "http/head.hpp"
#include "http/head_scanner.hpp"
#include "proxy/block_pool.hpp"
#include "proxy/io.hpp"
#include "proxy/stream.hpp"

#include <concepts>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace icapgate::proxy {

// Worker thread only; owned by a connection together with its stream. Holds no memory between
// messages unless the peer sent ahead.
class http_reader {
 public:
  // `max_head`: bytes of one head, start line to empty line; `max_line`: of its first line.
  http_reader(stream& from, block_pool& blocks, std::size_t max_head,
              std::size_t max_line = std::string_view::npos)
      : from_(from), blocks_(blocks), max_head_(max_head), scanner_(max_line) {}

  enum class head_status { complete, would_block, eof, reset, too_large, line_too_long, invalid };

  // One attempt to complete a head. Blank lines before it are skipped (RFC 9112 2.2).
  head_status try_read_head();
  // The complete head; valid until finish_message() or next_head().
  std::string_view head() const { return {input_.data(), head_size_}; }
  // For the heads from now on; only where !has_input().
  void limit_heads(std::size_t max_head, std::size_t max_line) {
    max_head_ = max_head;
    scanner_ = http::head_scanner(max_line);
  }
  // Bytes of an unfinished head (or of the next message) were received.
  bool has_input() const { return !pending_.empty(); }
  // Forgets an interim head and keeps what follows it.
  void next_head() { finish_message(); }

  enum class body_status { data, would_block, end, eof, reset, invalid };
  struct body_result {
    body_status status;
    std::size_t bytes = 0;  // with status data: at least one
  };

  // Begins the body that follows the head just read.
  void begin_body(const http::message_head& head);
  // One attempt to read decoded bytes of the body. `end` once it is whole, and from then on.
  body_result try_read_body(const mutable_buffers& into);
  // For bodies that are not chunked: what of it was received with the head, where it is. Valid
  // until finish_message().
  std::string_view take_early();
  // Likewise, where that is all that stands behind the head: with the memory that both are in,
  // which holds what views of the head there are from now on. `take` returns whether it moved it
  // away.
  template <std::predicate<block&, std::string_view> Take>
  void offer_early(const Take& take) {
    if (early_stands_alone() && input_.offer(take, pending_)) forget_early();
  }
  // What comes from the socket is the body, at least `n` bytes of it, or nobody knows how many.
  bool comes_plain(std::uint64_t n) const;
  // Likewise try_read_body, into an empty pipe; only where it comes plain.
  body_status try_splice_body(pipe& into);
  // False: what was received of the body together with its head is not correctly framed, so that
  // the message can be refused before anything is done with it.
  bool begins_well() const;
  // The whole body was read.
  bool body_ended() const { return ended_; }
  // Of the body, decoded, so far.
  std::uint64_t body_bytes() const { return body_bytes_; }

  // What was received behind the head and belongs to another protocol; valid until the next call.
  std::string_view take_rest() { return std::exchange(pending_, {}); }

  // Gives memory back; keeps bytes that belong to the next message.
  void finish_message();

  stream& source() { return from_; }
  block_pool& blocks() { return blocks_; }

 private:
  bool early_stands_alone() const;
  void forget_early();
  head_status take_head();
  bool make_room();
  bool skip_blank_lines();
  body_result read_plain(mutable_buffers into);
  body_result count_plain(const io_result& got);
  body_result read_chunked(const mutable_buffers& into);

  stream& from_;
  block_pool& blocks_;
  std::size_t max_head_;

  // A head, and behind it what came with it. Views into it are handed out, so it moves only between
  // heads.
  class flat_buffer {
   public:
    char* data() { return large_.empty() ? small_.data() : large_.data(); }
    const char* data() const { return large_.empty() ? small_.data() : large_.data(); }
    std::size_t capacity() const {
      return !large_.empty() ? large_.size() : small_ ? block::size : 0;
    }
    void acquire(block_pool& blocks) {
      if (capacity() == 0) small_ = blocks.acquire();
    }
    // Keeps `used` bytes from the front.
    void grow(std::size_t capacity, std::size_t used);
    void release();
    template <class Take>
    bool offer(const Take& take, std::string_view part) {
      return large_.empty() && take(small_, part);
    }

   private:
    block small_;
    std::vector<char> large_;
  };

  flat_buffer input_;
  block scratch_;             // chunked bytes on their way through the decoder
  std::string_view pending_;  // received and not used yet; in input_ or scratch_
  http::head_scanner scanner_;
  std::size_t skipped_ = 0;  // bytes of blank lines before the head
  std::size_t head_size_ = 0;

  http::body_framing framing_ = http::body_framing::none;
  std::uint64_t remaining_ = 0;
  std::uint64_t body_bytes_ = 0;
  bool ended_ = true;
  chunk_decoder chunks_;
};

}  // namespace icapgate::proxy
