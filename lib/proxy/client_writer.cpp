#include "proxy/client_writer.hpp"

#include "base/chunked.hpp"

namespace icapgate::proxy {

client_writer::client_writer(stream& client, block_pool& blocks, const config& settings)
    : client_(client),
      patience_({settings.client.progress, settings.client.min_rate, settings.client.rate_window}),
      head_(blocks.heads) {}

std::string& client_writer::begin(unsigned status, bool chunked) {
  status_ = status;
  head_unsent_ = true;
  chunked_ = chunked;
  head_->clear();
  return *head_;
}

task<errc> client_writer::send(const const_buffers& bytes) {
  const chunk_size_line size(bytes.bytes());
  auto out = with_head();
  if (chunked_) out.push(size.view());
  for (const auto& b : bytes) out.push(b);
  if (chunked_) out.push(std::string_view("\r\n"));
  co_return co_await write(out);
}

task<errc> client_writer::send(const const_buffers& bytes, pipe& more) {
  auto out = with_head();
  for (const auto& b : bytes) out.push(b);
  auto reason = co_await write(out, true);
  while (reason == errc::complete && more.bytes() > 0) {
    const auto sent = client_.try_splice_out(more);
    sent_ += sent.bytes;
    if (sent.status == io_status::would_block)
      reason = co_await give_turn();
    else if (sent.status != io_status::ok)
      reason = cut(explain(phase::client_write, sent.status));
  }
  co_return reason;
}

task<errc> client_writer::send(body_spool& body, std::uint64_t offset, std::uint64_t length) {
  if (length == 0) co_return errc::complete;
  const auto end = offset + length;
  if (chunked_) head_->append(chunk_size_line(length).view());
  head_unsent_ = head_unsent_ || chunked_;
  const auto in_memory = std::min(end, body.file_begin());
  while (offset < in_memory) {
    auto out = with_head();
    const auto before = out.bytes();
    if (!body.view(offset, in_memory - offset, out)) co_return cut(errc::spool_failed);
    offset += out.bytes() - before;
    auto written = try_write(out);
    if (written == errc::complete && !out.empty()) written = co_await write_rest(out);
    if (written != errc::complete) co_return written;
  }
  if (offset < end) {
    const auto sent = co_await send_file(body, offset, end);
    if (sent != errc::complete) co_return sent;
  }
  if (!chunked_) co_return errc::complete;
  const_buffers end_of_chunk;
  end_of_chunk.push(std::string_view("\r\n"));
  co_return co_await write(end_of_chunk);
}

task<errc> client_writer::send(std::string_view text) {
  if (text.empty()) co_return errc::complete;
  const_buffers bytes;
  bytes.push(text);
  co_return co_await send(bytes);
}

task<errc> client_writer::flush() {
  if (!head_unsent_) co_return errc::complete;
  co_return co_await write(with_head());
}

task<errc> client_writer::finish() {
  if (!head_unsent_ && !chunked_) co_return errc::complete;
  auto out = with_head();
  if (chunked_) out.push(last_chunk);
  co_return co_await write(out);
}

task<errc> client_writer::send_page(const http::page& content) {
  http::append_page(begin(content.status, false), content);
  co_return co_await finish();
}

task<errc> client_writer::send_file(body_spool& body, std::uint64_t offset, std::uint64_t end) {
  const auto flushed = co_await flush();
  if (flushed != errc::complete) co_return flushed;
  for (int step = 1; offset < end;) {
    const auto sent = client_.try_send_file(body.file(), offset - body.file_begin(), end - offset);
    const bool moved = sent.status == io_status::ok;
    if (!moved && sent.status != io_status::would_block)
      co_return cut(explain(phase::client_write, sent.status));
    offset += sent.bytes;
    sent_ += sent.bytes;
    if (moved && ++step % turn_length != 0) continue;
    const auto ready = co_await give_turn();
    if (ready != errc::complete) co_return ready;
  }
  co_return errc::complete;
}

// Where much is on its way to the client, the socket stays full for long while the client does take
// something.
task<errc> client_writer::give_turn() {
  const auto taken = [this] { return client_.taken(); };
  for (;;) {
    client_.expires_after(patience_.begin(client_.now(), sent_));
    const auto ready = co_await client_.wait_writable();
    const bool expired = ready != io_status::ok;
    switch (patience_.end(client_.now(), expired, taken)) {
      case patience::verdict::idle:
        co_return cut(errc::client_write_timeout);
      case patience::verdict::too_slow:
        co_return cut(errc::client_too_slow);
      case patience::verdict::go_on:
        if (!expired) co_return errc::complete;
    }
  }
}

const_buffers client_writer::with_head() {
  const_buffers out;
  if (head_unsent_) out.push(std::string_view(*head_));
  return out;
}

task<errc> client_writer::write(const_buffers out, bool more) {
  const auto written = try_write(out, more);
  if (written != errc::complete || out.empty()) co_return written;
  co_return co_await write_rest(out, more);
}

// What the client did not take when it was tried.
task<errc> client_writer::write_rest(const_buffers out, bool more) {
  for (;;) {
    const auto ready = co_await give_turn();
    if (ready != errc::complete) co_return ready;
    const auto written = try_write(out, more);
    if (written != errc::complete || out.empty()) co_return written;
  }
}

// As much as the client takes at once; what is left stays in `out`, which begins with the head
// where that is unsent.
errc client_writer::try_write(const_buffers& out, bool more) {
  while (!out.empty()) {
    const auto written = client_.try_write(out, more);
    if (written.status == io_status::would_block) return errc::complete;
    if (written.status != io_status::ok) return cut(explain(phase::client_write, written.status));
    out.consume(written.bytes);
    sent_ += written.bytes;
  }
  if (std::exchange(head_unsent_, false)) head_.release();
  return errc::complete;
}

errc client_writer::cut(errc reason) {
  cut_ = true;
  client_.reset();
  return reason;
}

}  // namespace icapgate::proxy
