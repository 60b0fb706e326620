#include "proxy/http_reader.hpp"

#include <algorithm>
#include <cstring>

namespace icapgate::proxy {
namespace {

using body_status = http_reader::body_status;

body_status to_body_status(io_status status) {
  switch (status) {
    case io_status::ok:
      return body_status::data;
    case io_status::would_block:
      return body_status::would_block;
    case io_status::eof:
      return body_status::eof;
    default:
      return body_status::reset;
  }
}

// Copies as much as fits; returns how much.
std::size_t copy(std::string_view from, const mutable_buffers& into) {
  return asio::buffer_copy(into, asio::const_buffer(from.data(), from.size()));
}

}  // namespace

void http_reader::flat_buffer::grow(std::size_t capacity, std::size_t used) {
  std::vector<char> larger(capacity);
  std::memcpy(larger.data(), data(), used);
  large_ = std::move(larger);
}

void http_reader::flat_buffer::release() {
  small_ = {};
  large_ = std::vector<char>();  // plain {} would assign no elements and keep the capacity
}

http_reader::head_status http_reader::try_read_head() {
  for (;;) {
    if (!skip_blank_lines()) return head_status::too_large;
    switch (scanner_.scan(pending_)) {
      case http::head_scanner::status::complete:
        return take_head();
      case http::head_scanner::status::invalid:
        return head_status::invalid;
      case http::head_scanner::status::line_too_long:
        return head_status::line_too_long;
      case http::head_scanner::status::need_input:
        break;
    }
    if (!make_room()) return head_status::too_large;
    auto* free = input_.data() + pending_.size();
    const auto got = from_.try_read({free, input_.capacity() - pending_.size()});
    if (got.status == io_status::would_block && pending_.empty()) input_.release();
    if (got.status == io_status::would_block) return head_status::would_block;
    if (got.status == io_status::eof) return head_status::eof;
    if (got.status != io_status::ok) return head_status::reset;
    pending_ = {input_.data(), pending_.size() + got.bytes};
  }
}

http_reader::head_status http_reader::take_head() {
  if (scanner_.size() > max_head_) return head_status::too_large;
  head_size_ = scanner_.size();
  pending_.remove_prefix(head_size_);
  scanner_.reset();
  return head_status::complete;
}

// While a head is incomplete, what is pending starts at the buffer's front. False: a peer that
// sends nothing but blank lines would keep the worker busy for ever.
bool http_reader::skip_blank_lines() {
  if (!pending_.starts_with("\r\n")) return true;
  auto rest = pending_;
  while (rest.starts_with("\r\n")) rest.remove_prefix(2);
  skipped_ += pending_.size() - rest.size();
  std::memmove(input_.data(), rest.data(), rest.size());
  pending_ = {input_.data(), rest.size()};
  scanner_.reset();
  return skipped_ <= max_head_;
}

bool http_reader::make_room() {
  input_.acquire(blocks_);
  if (pending_.size() >= max_head_) return false;
  if (pending_.size() < input_.capacity()) return true;
  const auto used = pending_.size();
  input_.grow(std::min(input_.capacity() * 4, max_head_), used);
  pending_ = {input_.data(), used};
  return true;
}

void http_reader::begin_body(const http::message_head& head) {
  framing_ = head.framing;
  remaining_ = head.content_length;
  body_bytes_ = 0;
  const bool empty = framing_ == http::body_framing::length && remaining_ == 0;
  ended_ = empty || framing_ == http::body_framing::none;
  chunks_.reset();
}

bool http_reader::begins_well() const {
  if (framing_ != http::body_framing::chunked) return true;
  auto ahead = chunks_;
  auto rest = pending_;
  std::string_view data;
  auto event = chunk_decoder::event::data;
  while (event == chunk_decoder::event::data) event = ahead.next(rest, data);
  return event != chunk_decoder::event::invalid;
}

http_reader::body_result http_reader::try_read_body(const mutable_buffers& into) {
  if (ended_) return {body_status::end};
  const auto got = framing_ == http::body_framing::chunked ? read_chunked(into) : read_plain(into);
  body_bytes_ += got.bytes;
  return got;
}

http_reader::body_result http_reader::read_plain(mutable_buffers into) {
  const bool counted = framing_ == http::body_framing::length;
  if (counted && into.bytes() > remaining_) {
    mutable_buffers fitting;
    auto left = static_cast<std::size_t>(remaining_);
    for (const auto& b : into) {
      fitting.push(asio::buffer(b, left));
      left -= std::min(left, b.size());
    }
    into = fitting;
  }
  io_result got{io_status::ok, copy(pending_, into)};
  pending_.remove_prefix(got.bytes);
  if (got.bytes == 0) got = from_.try_read(into);
  return count_plain(got);
}

std::string_view http_reader::take_early() {
  if (ended_ || framing_ == http::body_framing::chunked) return {};
  const bool counted = framing_ == http::body_framing::length;
  const auto most = counted ? remaining_ : pending_.size();
  const auto early = pending_.substr(0, static_cast<std::size_t>(most));
  pending_.remove_prefix(early.size());
  body_bytes_ += count_plain({io_status::ok, early.size()}).bytes;
  return early;
}

bool http_reader::early_stands_alone() const {
  if (ended_ || pending_.empty() || framing_ == http::body_framing::chunked) return false;
  return framing_ != http::body_framing::length || pending_.size() <= remaining_;
}

void http_reader::forget_early() {
  take_early();
  head_size_ = 0;
}

bool http_reader::comes_plain(std::uint64_t n) const {
  if (ended_ || !pending_.empty() || !from_.can_splice()) return false;
  return framing_ == http::body_framing::length ? remaining_ >= n
                                                : framing_ == http::body_framing::until_close;
}

body_status http_reader::try_splice_body(pipe& into) {
  const bool counted = framing_ == http::body_framing::length;
  const auto got = count_plain(from_.try_splice(into, counted ? remaining_ : UINT64_MAX));
  body_bytes_ += got.bytes;
  return got.status;
}

http_reader::body_result http_reader::count_plain(const io_result& got) {
  const bool counted = framing_ == http::body_framing::length;
  if (got.status == io_status::eof && !counted) {
    ended_ = true;
    return {body_status::end};
  }
  if (counted) remaining_ -= got.bytes;
  ended_ = counted && remaining_ == 0;
  return {to_body_status(got.status), got.bytes};
}

http_reader::body_result http_reader::read_chunked(const mutable_buffers& into) {
  std::size_t copied = 0;
  auto target = into;
  for (;;) {
    // Never asks for more than fits: bytes that were decoded could not be given back.
    std::string_view data;
    auto window = pending_.substr(0, target.bytes());
    const auto before = window.size();
    const auto event = chunks_.next(window, data);
    pending_.remove_prefix(before - window.size());
    switch (event) {
      case chunk_decoder::event::data:
        copy(data, target);
        target.consume(data.size());
        copied += data.size();
        if (target.bytes() == 0) return {body_status::data, copied};
        continue;
      case chunk_decoder::event::complete:
        ended_ = true;
        return copied ? body_result{body_status::data, copied} : body_result{body_status::end};
      case chunk_decoder::event::invalid:
        return {body_status::invalid};
      case chunk_decoder::event::need_input:
        break;
    }
    if (!pending_.empty()) continue;
    if (copied) return {body_status::data, copied};
    if (!scratch_) scratch_ = blocks_.acquire();
    const auto got = from_.try_read({scratch_.data(), block::size});
    if (got.status != io_status::ok) return {to_body_status(got.status)};
    pending_ = {scratch_.data(), got.bytes};
  }
}

void http_reader::finish_message() {
  head_size_ = skipped_ = 0;
  scanner_.reset();
  if (pending_.empty()) {
    input_.release();
    pending_ = {};
  } else {
    input_.acquire(blocks_);
    std::memmove(input_.data(), pending_.data(), pending_.size());
    pending_ = {input_.data(), pending_.size()};
  }
  scratch_ = {};
}

}  // namespace icapgate::proxy
