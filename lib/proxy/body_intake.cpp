#include "proxy/body_intake.hpp"

#include "base/log.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>

namespace icapgate::proxy {

void body_intake::decode(const std::vector<content_coding>& codings, body_spool& decoded) {
  decoder_.emplace(codings, decode_limits{limits_.max_size, limits_.max_ratio});
  decoded_ = &decoded;
  reading_.emplace(original_);
}

body_intake::status body_intake::fill() {
  if (error_ != errc::complete) return status::failed;
  if (ended()) return status::end;
  // What was received is decoded before more is: an encoded body that grows without measure is seen
  // as early as can be.
  const bool behind = decoder_ && (decoded_to_ < original_.size() || received());
  return behind ? decode_step() : receive();
}

void body_intake::copy(const const_buffers& bytes) {
  for (const auto& b : bytes) {
    if (error_ != errc::complete) return;
    const auto stored = original_.append({static_cast<const char*>(b.data()), b.size()});
    if (stored == spool_status::failed) lose(original_.error());
    if (stored != spool_status::ok) give_up(explain(stored));
    if (limits_.max_size != 0 && original_.size() > limits_.max_size)
      give_up(errc::policy_oversize);
  }
}

body_intake::status body_intake::fail(errc reason) {
  error_ = reason;
  return status::failed;
}

body_intake::status body_intake::lose(const std::error_code& why) {
  log::warn("a body can't be spooled: ", why.message());
  return fail(errc::spool_failed);
}

void body_intake::give_up(errc reason) {
  error_ = reason;
  original_.clear();
}

void body_intake::expires_after(milliseconds longest) {
  const auto left = std::chrono::ceil<milliseconds>(limits_.give_up - clock::now());
  source().expires_after(std::clamp(left, milliseconds(1), longest));
  pace_.begin(source().now(), 0);
}

errc body_intake::judge_pace() {
  const auto received = [this]() -> std::optional<std::uint64_t> { return from_->body_bytes(); };
  const bool slow = pace_.end(source().now(), false, received) == patience::verdict::too_slow;
  return slow ? errc::origin_too_slow : errc::complete;
}

errc body_intake::timed_out() const {
  return clock::now() >= limits_.give_up ? errc::policy_unscannable : errc::origin_body_timeout;
}

body_intake::status body_intake::receive() {
  if (source().now() > limits_.give_up) return fail(errc::policy_unscannable);
  const auto room = original_.prepare();
  if (room.empty()) return status::full;
  const auto got = from_->try_read_body(room);
  const bool some = got.status == http_reader::body_status::data;
  if (original_.commit(some ? got.bytes : 0) != spool_status::ok) return lose(original_.error());
  if (got.status == http_reader::body_status::would_block) return status::would_block;
  if (got.status == http_reader::body_status::end) {
    original_.finish();
    return status::end;
  }
  if (!some) return fail(origin_body_failure(got.status));
  return count_received();
}

void body_intake::adopt_early() {
  if (!from_ || error_ != errc::complete) return;
  from_->offer_early(
      [this](block& memory, std::string_view first) { return original_.adopt(memory, first); });
  count_received();
}

body_intake::status body_intake::count_received() {
  if (received()) original_.finish();
  const bool too_large = limits_.max_size != 0 && original_.size() > limits_.max_size;
  return too_large ? fail(errc::policy_oversize) : status::data;
}

// A piece of the original, as far as there is room for what comes of it.
body_intake::status body_intake::decode_step() {
  const_buffers views;
  if (!reading_->view(decoded_to_, block::size, views)) return lose(reading_->error());
  std::string_view input;
  if (!views.empty())
    input = {static_cast<const char*>(views.begin()->data()), views.begin()->size()};
  const auto room = decoded_->prepare();
  if (room.empty()) return status::full;
  const bool last = received() && decoded_to_ + input.size() == original_.size();
  const auto before = input.size();
  const auto& out = *room.begin();
  const auto step = decoder_->decode(input, last, {static_cast<char*>(out.data()), out.size()});
  decoded_to_ += before - input.size();
  if (decoded_->commit(step.written) != spool_status::ok) return lose(decoded_->error());
  switch (step.state) {
    case body_decoder::status::progressed:
    case body_decoder::status::needs_input:
      return status::data;
    case body_decoder::status::finished:
      decoded_whole_ = true;
      decoded_->finish();
      return status::data;
    case body_decoder::status::too_large:
      return fail(errc::policy_oversize);
    case body_decoder::status::too_dense:
    case body_decoder::status::failed:
      break;
  }
  return fail(errc::policy_unscannable);
}

patience_limits pace_of_origin(const config& settings, const route_limits& of) {
  return {milliseconds(0), of.min_rate, settings.client.rate_window};
}

task<errc> take_whole(asio::io_context& context, body_intake& body, const config& settings,
                      spool_budget& budget) {
  room_wait room(context, settings, budget);
  for (int step = 1; !body.ended(); ++step) {
    switch (body.fill()) {
      case body_intake::status::data:
        room.found();
        if (step % turn_length == 0) co_await asio::post(context, use_op);
        break;
      case body_intake::status::end:
        break;
      case body_intake::status::failed:
        co_return body.error();
      case body_intake::status::would_block:
        body.expires_after(body.longest_wait());
        if (co_await body.source().wait_readable() != io_status::ok) co_return body.timed_out();
        if (body.judge_pace() != errc::complete) co_return errc::origin_too_slow;
        break;
      case body_intake::status::full:
        const bool more_time = co_await room.again();
        if (!more_time) co_return errc::spool_full;
    }
  }
  co_return errc::complete;
}

task<bool> room_wait::again() {
  const auto now = clock::now();
  if (!until_) {
    until_ = now + longest_;
    budget_.count_wait();
  }
  if (now >= *until_) {
    budget_.count_refusal();
    co_return false;
  }
  asio::steady_timer next(context_, deadlines::tick);
  co_await next.async_wait(use_op);
  co_return true;
}

errc origin_body_failure(http_reader::body_status status) {
  switch (status) {
    case http_reader::body_status::eof:
      return errc::origin_body_eof;
    case http_reader::body_status::reset:
      return errc::origin_body_reset;
    default:
      return errc::origin_body_invalid;
  }
}

}  // namespace icapgate::proxy
