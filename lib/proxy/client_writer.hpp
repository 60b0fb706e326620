// The sending half of a transaction: one response on its way to the client.
#pragma once

#include "base/config.hpp"
#include "http/pages.hpp"
#include "proxy/block_pool.hpp"
#include "proxy/body_spool.hpp"
#include "proxy/buffers.hpp"
#include "proxy/patience.hpp"
#include "proxy/stream.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace icapgate::proxy {

// Worker thread only; serves one response. Every failure has cut the connection already and is
// client_closed, client_write_*, client_too_slow or spool_failed.
class client_writer {
 public:
  client_writer(stream& client, block_pool& blocks, const config& settings);

  // The whole head is to be appended to what this returns; it goes out together with what is sent
  // first. `chunked`: all that follows is framed in the chunked coding (RFC 9112 7.1).
  std::string& begin(unsigned status, bool chunked);

  // Bytes of the body, at least one.
  task<errc> send(const const_buffers& bytes);
  // Bytes of the body, or none, and then those that are in the pipe. Only where can_splice().
  task<errc> send(const const_buffers& bytes, pipe& more);
  bool can_splice() const { return !chunked_ && client_.can_splice(); }
  // The bytes of `body` from `offset` on, as far as `length`; from a file, as
  // stream::try_send_file.
  task<errc> send(body_spool& body, std::uint64_t offset, std::uint64_t length);
  // The text outlives the call.
  task<errc> send(std::string_view text);
  // What was taken and not sent yet, before a wait for more.
  task<errc> flush();
  // The end of the body, and of the response.
  task<errc> finish();

  // A response of our own, whole.
  task<errc> send_page(const http::page& content);

  // Until the client takes more, at the rate at which it has to. Others on this worker come to
  // their right, even where both sides are always ready.
  task<errc> give_turn();

  // After the first byte nothing can be taken back: the connection ends so that nobody takes the
  // response for complete, not even where its end is the end of the connection. Returns the reason.
  errc cut(errc reason);

  bool is_cut() const { return cut_; }
  // Of the response that was begun; 0: none was.
  unsigned status() const { return status_; }
  std::uint64_t sent_bytes() const { return sent_; }

 private:
  // `more`: see stream::try_write.
  errc try_write(const_buffers& out, bool more = false);
  task<errc> write(const_buffers out, bool more = false);
  task<errc> write_rest(const_buffers out, bool more = false);
  task<errc> send_file(body_spool& body, std::uint64_t offset, std::uint64_t end);
  const_buffers with_head();

  stream& client_;
  patience patience_;
  lent<std::string> head_;
  bool head_unsent_ = false;
  bool chunked_ = false;
  bool cut_ = false;
  unsigned status_ = 0;
  std::uint64_t sent_ = 0;
};

}  // namespace icapgate::proxy
