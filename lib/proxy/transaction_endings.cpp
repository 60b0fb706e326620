// The endings of a transaction: what the client gets.
#include "proxy/transaction.hpp"
#include "proxy/tunnel.hpp"

namespace icapgate::proxy {
namespace {

// A turn's share of the steps, of a body that flows without a pause.
constexpr std::size_t step_bytes = 64 << 10;

}  // namespace

// The origin's response as it is: what is spooled first, then what is left. In monitor mode nothing
// is: what is left is copied on its way.
task<errc> transaction::relay() {
  if (to_client_.status() == 0) begin_relay();
  auto reason = errc::complete;
  if (inspection_ && inspection_->body().size() > 0) {
    auto& body = inspection_->body();
    reason = co_await to_client_.send(body, trickled_, body.size() - trickled_);
    if (!inspection_->intake().received()) body.clear();  // others may need the room
  }
  if (reason == errc::complete && !origin_->reader.body_ended()) reason = co_await send_rest();
  if (reason == errc::complete) reason = co_await to_client_.finish();
  if (reason == errc::complete) give_origin_back();
  co_return reason;
}

// A response that was scanned, or that the policy lets pass though it could not be.
task<errc> transaction::relay_judged() {
  const bool part = to_client_.status() == 0 && serves_ranges();
  return part ? relay_part() : relay();
}

task<errc> transaction::relay_part() {
  const auto taken = co_await take_whole(resources_.context, inspection_->intake(),
                                         resources_.settings, resources_.budget);
  // The verdict stands, but not all of the body can be kept: RFC 9110 14.2 allows to ignore Range.
  if (is_doubt(taken)) co_return co_await relay();
  if (taken != errc::complete) co_return co_await fail(taken);
  const auto plan = http::plan_ranges(request_, response_, inspection_->body().size(),
                                      resources_.core.random_token());
  if (plan.outcome == http::range_outcome::whole) co_return co_await relay();
  co_return co_await relay_ranges(plan);
}

// The whole was judged: the client gets the parts of it that it asked for (RFC 9110 14).
task<errc> transaction::relay_ranges(const http::range_plan& plan) {
  keep_alive_ = may_keep_alive();
  http::append_partial_response(to_client_.begin(plan.status(), false), response_, plan,
                                {keep_alive_, request_.version, resources_.core.date(answered_at()),
                                 resources_.core.pseudonym()});
  auto reason = errc::complete;
  for (const auto& piece : plan.pieces) {
    reason = co_await to_client_.send(piece.before);
    if (reason == errc::complete)
      reason = co_await to_client_.send(inspection_->body(), piece.offset, piece.length);
    if (reason != errc::complete) co_return reason;
  }
  reason = co_await to_client_.send(plan.after);
  if (reason == errc::complete) reason = co_await to_client_.finish();
  if (reason == errc::complete) give_origin_back();
  co_return reason;
}

// What the origin still has to send.
task<errc> transaction::send_rest() {
  auto& reader = origin_->reader;
  for (std::size_t steps = 0; !reader.body_ended();) {
    auto came = http_reader::body_status::data;
    auto reason = errc::complete;
    {
      relay_piece piece;
      const bool may_splice = to_client_.can_splice() && !is_copied();
      came = piece.take(reader, may_splice ? &resources_.core.pipes : nullptr);
      steps += 1 + piece.size() / step_bytes;
      reason = co_await send_piece(piece);
    }
    if (reason != errc::complete) co_return reason;
    if (came == http_reader::body_status::would_block)
      reason = co_await wait_for_origin();
    else if (came != http_reader::body_status::data && came != http_reader::body_status::end)
      reason = co_await fail(origin_body_failure(came));
    if (reason == errc::complete && steps >= turn_length) {
      reason = co_await to_client_.give_turn();
      steps = 0;
    }
    if (reason != errc::complete) co_return reason;
  }
  co_return errc::complete;
}

// A scanner gets a copy of what is relayed.
bool transaction::is_copied() const {
  return policy_.settings->mode == scan_mode::monitor && inspection_;
}

task<errc> transaction::send_piece(relay_piece& piece) {
  if (is_copied()) inspection_->intake().copy(piece.bytes());
  if (piece.size() == 0) co_return errc::complete;
  if (piece.piped().bytes() > 0) co_return co_await to_client_.send(piece.bytes(), piece.piped());
  co_return co_await to_client_.send(piece.bytes());
}

task<errc> transaction::wait_for_origin() {
  auto& origin = origin_->reader.source();
  const auto& settings = resources_.settings;
  const bool stream = unscanned_ == unscanned::event_stream;
  const auto sent = co_await to_client_.flush();
  if (sent != errc::complete) co_return sent;
  origin.expires_after(stream ? settings.client.stream : route_->limits.progress);
  const auto received = [this]() -> std::optional<std::uint64_t> {
    return origin_->reader.body_bytes();
  };
  if (!stream) origin_pace_.begin(origin.now(), 0);
  auto ready = io_status::ok;
  {
    const client_watch::guard watched(watch_);
    ready = co_await origin.wait_readable();
  }
  if (ready != io_status::ok) co_return co_await fail(errc::origin_body_timeout);
  if (stream) co_return errc::complete;
  const auto pace = origin_pace_.end(origin.now(), false, received);
  if (pace == patience::verdict::too_slow) co_return co_await fail(errc::origin_too_slow);
  co_return errc::complete;
}

// The scanner's version of the response.
task<errc> transaction::send_adapted() {
  if (to_client_.status() != 0 && inspection_->is_unchanged()) co_return co_await relay();
  if (to_client_.status() != 0) co_return cut_late();
  co_return co_await send_scanner_response(http::response_author::adapted);
}

// The scanner's page, or ours where it sent none. Never kept by a cache.
task<errc> transaction::send_blocked() {
  if (to_client_.status() != 0) co_return cut_late();
  const bool its_own = inspection_->scanner_response() != nullptr &&
                       policy_.settings->block_page == page_source::scanner;
  const auto cause = inspection_->report().outcome->kind == icap::verdict::unscannable
                         ? http::block_cause::unscannable
                         : http::block_cause::harmful;
  const auto status = policy_.settings->block_status;
  errc sent;
  if (its_own) {
    sent = co_await send_scanner_response(http::response_author::page);
  } else {
    sent = co_await send_page(http::block_page(request_id_, status, cause));
    give_origin_back();
  }
  co_return sent == errc::complete ? errc::blocked : sent;
}

task<errc> transaction::send_scanner_response(http::response_author author) {
  const auto& head = *inspection_->scanner_response();
  auto& body = inspection_->adapted();
  http::client_response to;
  to.author = author;
  if (author == http::response_author::adapted) to.via = resources_.core.pseudonym();
  to.origin = &response_;
  to.decoded = !codings_.empty();
  to.same_body = inspection_->is_unchanged() && codings_.empty();
  if (head.status != 204 && head.status != 304)
    to.body = {http::outgoing_body::kind::length, body.size()};
  send_head(head, to);
  auto reason = co_await to_client_.send(body, 0, body.size());
  if (reason == errc::complete) reason = co_await to_client_.finish();
  give_origin_back();
  co_return reason;
}

// What can't be judged: by the policy an explanation, or the origin's response all the same.
task<errc> transaction::settle(errc doubt) {
  const auto& policy = *policy_.settings;
  const bool oversize = doubt == errc::policy_oversize;
  const auto what = oversize ? policy.on_oversize : policy.on_unscannable;
  if (policy.mode == scan_mode::monitor) co_return co_await relay();
  if (what == remedy::block) co_return co_await fail(doubt);
  leave_unscanned(oversize ? unscanned::oversize : unscanned::unscannable);
  co_return co_await relay();
}

// An error, as a page if nothing has been sent yet. Else a part is with the client already: it must
// not take it for the whole.
task<errc> transaction::fail(errc reason) {
  if (to_client_.sent_bytes() != 0) co_return to_client_.cut(reason);
  if (describe(reason).status == 0) co_return reason;
  must_close_ = reason == errc::client_body_too_large;
  auto page = http::error_page(reason, request_id_);
  if (is_doubt(reason)) page.status = policy_.settings->block_status;
  co_await send_page(page);
  co_return reason;
}

task<errc> transaction::give_up(errc reason) {
  const bool begun = to_client_.status() != 0 || client_.source().is_mid_write();
  if (begun) co_return to_client_.cut(reason);
  co_return co_await fail(reason);
}

// The verdict came too late for a page.
errc transaction::cut_late() {
  resources_.metrics.late_aborts.add();
  resources_.metrics.leaked_bytes.add(trickled_);
  return to_client_.cut(errc::blocked_late);
}

task<errc> transaction::open_tunnel() {
  leave_unscanned(unscanned::upgrade);
  verdict_ = access_verdict::skipped;
  http::client_response to;
  to.upgraded = true;
  to.via = resources_.core.pseudonym();
  send_head(response_, to);
  auto reason = co_await to_client_.finish();
  if (reason != errc::complete) co_return reason;
  keep_alive_ = false;
  watch_.allow_any_time();
  tunnel_bytes moved;
  auto& origin = origin_->reader;
  reason = co_await run_tunnel(client_.source(), origin.source(), client_.take_rest(),
                               origin.take_rest(), resources_.blocks,
                               resources_.settings.client.stream, moved);
  received_ += moved.to_origin;
  tunneled_ = moved.to_client;
  co_return reason;
}

// RFC 9110 7.6.2, 9.3.7: this hop is the one that is asked.
task<errc> transaction::answer_options() {
  http::response_head head;
  head.status = 200;
  head.reason = http::reason_phrase(head.status);
  http::client_response to;
  to.body = {http::outgoing_body::kind::length, 0};
  send_head(head, to);
  co_return co_await to_client_.finish();
}

// --- what the endings need

// RFC 9112 9.3: only where this request was read whole and the response ends before the connection.
bool transaction::may_keep_alive() const {
  return request_.keep_alive && client_.body_ended() && !resources_.core.draining && !must_close_;
}

// A range of the response will be cut here.
bool transaction::serves_ranges() const {
  return changes_.whole && range_ == range_mode::serve && response_.status == 200 &&
         http::asks_for_ranges(request_);
}

void transaction::begin_relay() {
  http::client_response to;
  to.body = relayed_framing();
  to.via = resources_.core.pseudonym();
  if (changes_.whole && range_ == range_mode::strip) to.accept_ranges = "none";
  send_head(response_, to);
}

// A body that is whole has a length, however the origin delimited it.
http::outgoing_body transaction::relayed_framing() const {
  using kind = http::outgoing_body::kind;
  if (response_.framing == http::body_framing::none ||
      response_.framing == http::body_framing::length)
    return {};
  if (inspection_ && inspection_->intake().received())
    return {kind::length, inspection_->body().size()};
  return {request_.version >= 11 ? kind::chunked : kind::until_close};
}

// The head waits for the first bytes of the body, and goes out with them.
void transaction::send_head(const http::response_head& head, http::client_response to) {
  using kind = http::outgoing_body::kind;
  keep_alive_ = may_keep_alive() && to.body.framing != kind::until_close;
  to.keep_alive = keep_alive_;
  to.client_version = request_.version;
  to.date = resources_.core.date(answered_at());
  const auto status = to.status != 0 ? to.status : head.status;
  const bool chunked = to.body.framing == kind::chunked;
  http::append_client_response(to_client_.begin(status, chunked), head, to);
}

task<errc> transaction::send_page(http::page content) {
  // A page does not tell version 1.0 that the connection stays.
  keep_alive_ = may_keep_alive() && request_.version >= 11;
  content.keep_alive = keep_alive_;
  content.to_head = request_.is_head();
  content.format = http::wanted_format(request_);
  content.host = request_.host;
  content.date = resources_.core.date();
  content.html = resources_.settings.block_template_text;
  co_return co_await to_client_.send_page(content);
}

std::chrono::system_clock::time_point transaction::answered_at() const {
  return began_at_ + std::chrono::duration_cast<std::chrono::system_clock::duration>(origin_time_);
}

void transaction::give_origin_back() {
  if (!origin_ || !origin_reusable_ || !origin_->reader.body_ended()) return;
  if (inspection_) inspection_->intake().detach();
  origin_use_->server().client.give_back(std::move(origin_));
}

}  // namespace icapgate::proxy
