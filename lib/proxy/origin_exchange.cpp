#include "http/rules.hpp"
#include "proxy/origin_client.hpp"

namespace icapgate::proxy {
namespace {

// An origin that sends nothing but interim heads would keep the worker busy for ever.
constexpr unsigned max_interim_heads = 100;

}  // namespace

origin_exchange::origin_exchange(origin_connection& origin, http_reader& client,
                                 const http::request_head& request,
                                 const http::request_changes& changes, const config& settings,
                                 const route_limits& limits, client_watch& watch, bool hints_only)
    : origin_(origin),
      client_(client),
      request_(request),
      upgrade_(changes.upgrade),
      settings_(settings),
      limits_(limits),
      watch_(watch),
      hints_only_(hints_only),
      wire_(origin.reader.blocks().heads),
      patience_({settings.client.progress, settings.client.min_rate, settings.client.rate_window}) {
  http::append_origin_request(*wire_, request, changes);
  outgoing_.push(std::string_view(*wire_));
}

task<errc> origin_exchange::run(http::response_head& response) {
  for (;;) {
    auto on = blocked::nothing;
    const auto pushed = push(on);
    if (pushed != errc::complete) co_return pushed;
    if (on == blocked::nothing) {
      const client_watch::guard watched(watch_);
      if (!awaiting_response_) origin_.socket->expires_after(limits_.first_byte);
      awaiting_response_ = true;
      co_await origin_.socket->wait_readable();
    } else {
      co_await wait_for_both(on);
    }
    const auto waited = judge_wait(on);
    if (waited != errc::complete) co_return waited;
    auto what = received::interim_head;
    while (what == received::interim_head) {
      const auto read = read_head(response, what);
      if (what == received::head || read != errc::complete) co_return read;
      if (what == received::nothing) break;
      const auto passed = co_await pass_interim(response);
      if (passed != errc::complete) co_return passed;
      origin_.reader.next_head();
    }
  }
}

// Sends as much of the request as both sockets allow now.
errc origin_exchange::push(blocked& on) {
  for (int step = 0; !broken_; ++step) {
    while (!outgoing_.empty()) {
      const auto written = origin_.socket->try_write(outgoing_);
      if (written.status == io_status::would_block) {
        on = blocked::on_origin;
        return errc::complete;
      }
      if (written.status != io_status::ok) {
        // An origin that refuses an upload answers and closes: its response counts more than the
        // error.
        broken_ = true;
        return errc::complete;
      }
      outgoing_.consume(written.bytes);
    }
    wire_.release();
    if (sent_) return errc::complete;
    if (step == turn_length) {
      on = blocked::on_origin;
      return errc::complete;
    }
    const auto taken = take_body(on);
    if (taken != errc::complete || on != blocked::nothing) return taken;
  }
  return errc::complete;
}

// The next piece of the client's body becomes what is outgoing.
errc origin_exchange::take_body(blocked& on) {
  if (!piece_ && !client_.body_ended()) piece_ = origin_.reader.blocks().acquire();
  mutable_buffers room;
  if (piece_) room.push(asio::mutable_buffer(piece_.data(), block::size));
  const auto got = client_.try_read_body(room);
  switch (got.status) {
    case http_reader::body_status::data:
      if (is_too_large(got.bytes)) return errc::client_body_too_large;
      frame(got.bytes);
      return errc::complete;
    case http_reader::body_status::end:
      sent_ = true;
      outgoing_ = {};
      if (request_.framing == http::body_framing::chunked) outgoing_.push(last_chunk);
      return errc::complete;
    case http_reader::body_status::would_block:
      on = blocked::on_client;
      return errc::complete;
    case http_reader::body_status::eof:
      return errc::client_body_eof;
    case http_reader::body_status::reset:
      return errc::client_closed;
    case http_reader::body_status::invalid:
      return errc::client_body_invalid;
  }
  return errc::gateway_internal;
}

bool origin_exchange::is_too_large(std::size_t more) const {
  return limits_.max_body != 0 && more > limits_.max_body - body_bytes_;
}

void origin_exchange::frame(std::size_t bytes) {
  body_bytes_ += bytes;
  const std::string_view piece(piece_.data(), bytes);
  outgoing_ = {};
  if (request_.framing == http::body_framing::chunked) {
    *wire_ = chunk_size_line(bytes).view();
    outgoing_.push(std::string_view(*wire_));
    outgoing_.push(piece);
    outgoing_.push(std::string_view("\r\n"));
  } else {
    outgoing_.push(piece);
  }
}

// The response may come before the request is sent.
task<void> origin_exchange::wait_for_both(blocked on) {
  auto& origin = *origin_.socket;
  auto& client = client_.source();
  if (on == blocked::on_origin) {
    origin.expires_after(limits_.progress);
    co_await first_of(origin.readable(), origin.writable());
  } else {
    origin.expires_after(milliseconds(0));
    client.expires_after(is_held() ? settings_.client.progress
                                   : patience_.begin(client.now(), body_bytes_));
    co_await first_of(origin.readable(), client.readable());
  }
}

errc origin_exchange::judge_wait(blocked on) {
  if (on == blocked::on_client) return judge_client();
  if (!origin_.socket->expired()) return errc::complete;
  return awaiting_response_ ? errc::origin_head_timeout : errc::origin_write_timeout;
}

// It waits for a 100 that the origin owes it.
bool origin_exchange::is_held() const {
  return request_.expects_continue && interim_heads_ == 0 && body_bytes_ == 0;
}

// After a wait for more of its body.
errc origin_exchange::judge_client() {
  const auto& client = client_.source();
  if (is_held()) return client.expired() ? errc::client_body_timeout : errc::complete;
  const auto received = [this]() -> std::optional<std::uint64_t> { return body_bytes_; };
  switch (patience_.end(client.now(), client.expired(), received)) {
    case patience::verdict::idle:
      return errc::client_body_timeout;
    case patience::verdict::too_slow:
      return errc::client_too_slow;
    case patience::verdict::go_on:
      break;
  }
  return errc::complete;
}

// The next head, as far as it is there.
errc origin_exchange::read_head(http::response_head& response, received& what) {
  what = received::nothing;
  const auto status = origin_.reader.try_read_head();
  if (status == http_reader::head_status::complete || origin_.reader.has_input()) answered_ = true;
  if (status == http_reader::head_status::would_block) return errc::complete;
  if (status != http_reader::head_status::complete) return head_failure(status);
  const auto parsed = http::parse_response(origin_.reader.head(), request_.is_head(), response);
  if (parsed != errc::complete) return parsed;
  if (response.fields.size() > settings_.max_fields) return errc::origin_head_too_large;
  const bool upgraded = response.status == 101;
  if (upgraded && !(upgrade_ && http::names_websocket(response)))
    return errc::origin_upgrade_refused;
  const bool final = upgraded || !response.is_interim();
  if (!final && ++interim_heads_ > max_interim_heads) return errc::origin_head_too_large;
  what = final ? received::head : received::interim_head;
  return errc::complete;
}

// RFC 9110 15.2: to who understands it; 100 to who waits for it.
task<errc> origin_exchange::pass_interim(const http::response_head& response) {
  const bool wanted = response.status == 100 ? request_.expects_continue : request_.version >= 11;
  if (!wanted) co_return errc::complete;
  std::string wire;
  if (response.status == 100)
    wire = http::continue_response;
  else
    http::append_interim_response(wire, response, hints_only_);
  const_buffers out;
  out.push(std::string_view(wire));
  const auto written = co_await client_.source().write_all(out, settings_.client.progress);
  co_return written == io_status::ok ? errc::complete : explain(phase::client_write, written);
}

errc origin_exchange::head_failure(http_reader::head_status status) const {
  if (broken_ && !answered_) return errc::origin_write_failed;
  switch (status) {
    case http_reader::head_status::eof:
      return errc::origin_head_eof;
    case http_reader::head_status::too_large:
      return errc::origin_head_too_large;
    case http_reader::head_status::invalid:
      return errc::origin_head_invalid;
    default:
      return errc::origin_head_reset;
  }
}

}  // namespace icapgate::proxy
