#include "proxy/transaction.hpp"

#include "http/identity.hpp"

namespace icapgate::proxy {

transaction::transaction(worker_resources& resources, http_reader& client,
                         std::string_view client_address, const http::request_head& request)
    : resources_(resources),
      client_(client),
      client_address_(client_address),
      request_(request),
      request_id_(resources.next_request_id()),
      body_(resources.blocks, resources.settings.spool_memory, resources.settings.spool_dir),
      adapted_(resources.blocks, resources.settings.spool_memory, resources.settings.spool_dir) {}

task<errc> transaction::run() {
  const auto fetched = co_await fetch();
  if (fetched != errc::complete) co_return co_await fail(fetched);

  const auto& settings = resources_.settings;
  const auto decision = http::must_scan(response_, resources_.origin.port(), settings.avoid_ports);
  if (decision != http::scan_decision::scan) {
    verdict_ = access_verdict::skipped;
    auto& m = resources_.metrics;
    (decision == http::scan_decision::no_body ? m.unscanned_no_body : m.unscanned_avoid_port).add();
    co_return co_await relay();
  }

  co_await scan();
  if (report_.ignored) co_return co_await relay();
  fallback_ = report_.outcome.has_error() && settings.debug_fallback &&
              http::is_scanner_trouble(report_.outcome.error());
  if (fallback_) resources_.metrics.unscanned_fallback.add();
  switch (http::decide(report_.outcome, settings.debug_fallback)) {
    case http::action::relay:
      co_return co_await relay();
    case http::action::adapt:
      co_return co_await send_adapted();
    case http::action::block:
      co_return co_await send_blocked();
    case http::action::fail:
      break;
  }
  co_return co_await fail(report_.outcome.error());
}

// --- the origin's response head

task<errc> transaction::fetch() {
  bool stale = false;
  auto reason = co_await fetch_once(false, stale);
  if (stale) reason = co_await fetch_once(true, stale);
  origin_time_ = clock::now() - began_;
  if (reason != errc::complete) co_return reason;
  origin_->reader.begin_body(response_);
  intake_.emplace(origin_->reader, body_);
  co_return errc::complete;
}

// `stale`: the connection was reused and the origin closed it before it saw this request. A request
// that may not be repeated is never sent twice (RFC 9110 9.2.2).
task<errc> transaction::fetch_once(bool fresh, bool& stale) {
  stale = false;
  auto acquired = co_await resources_.origin.acquire(fresh);
  if (!acquired) co_return acquired.error();
  origin_ = std::move(*acquired);
  origin_exchange exchange(*origin_, client_, request_, resources_.settings);
  const auto reason = co_await exchange.run(response_);
  received_ = exchange.body_bytes();
  origin_reusable_ = exchange.request_sent() && response_.keep_alive;
  const bool closed = reason == errc::origin_head_eof || reason == errc::origin_head_reset ||
                      reason == errc::origin_write_failed;
  stale = closed && origin_->reused && exchange.repeatable() && request_.is_idempotent();
  co_return reason;
}

// --- the scan

task<void> transaction::scan() {
  const auto began = clock::now();
  std::string request_head;
  std::string response_head;
  const auto& settings = resources_.settings;
  http::append_scanner_request(request_head, request_, settings.scanner_sees_credentials);
  http::append_scanner_response(response_head, response_);
  std::string proxy_fields;
  http::append_proxy_challenges(proxy_fields, response_);
  // Where the scanner wants credentials of ours, the client's are not for it.
  if (settings.scanner_sees_credentials && settings.scanner_authorization.empty())
    http::append_proxy_credentials(proxy_fields, request_);
  // With a 401 the origin says that nobody is authenticated.
  const auto user = response_.status == 401 ? std::string() : http::basic_user(request_);
  scan_job job;
  job.request_head = request_head;
  job.response_head = response_head;
  job.path = request_.origin_form;
  job.who = {request_id_, client_address_, origin_->address, user, proxy_fields};
  job.status = response_.status;
  report_ = co_await resources_.scanners.respmod(job, *intake_, adapted_);
  scan_time_ = clock::now() - began;
  examine_answer();
  count_scan();
}

// What was answered against what was sent: a version that is cut short, or that is only the
// beginning of the body under the same status, is how some scanners let an infected file drip
// through.
void transaction::examine_answer() {
  if (!report_.outcome || report_.outcome->kind == icap::verdict::clean) return;
  auto& judged = *report_.outcome;
  auto& head = scanner_response_;
  const auto parsed = http::parse_response(report_.answer.http_head, request_.is_head(), head);
  const bool readable = parsed == errc::complete && !head.is_interim();
  const bool counted = readable && head.framing == http::body_framing::length;
  const bool cut_off = counted && adapted_.size() < head.content_length;
  const bool fits = counted ? adapted_.size() == head.content_length
                            : head.framing != http::body_framing::none || adapted_.size() == 0;
  const bool copied = readable && head.status == response_.status && body_.starts_with(adapted_);
  const bool beginning = copied && (adapted_.size() < body_.size() || !intake_->ended());
  if (judged.kind == icap::verdict::adapted && (cut_off || beginning)) {
    judged.kind = icap::verdict::blocked;
    judged.sign = "truncated answer";
    resources_.metrics.scans_trickled.add();
  }
  if (judged.kind != icap::verdict::adapted) {
    // What a scanner calls harmful and sends all the same is no page to deliver.
    scanner_response_usable_ = readable && fits && !copied;
  } else if (readable && fits) {
    scanner_response_usable_ = true;
  } else {
    report_.outcome = errc::icap_answer_invalid;
  }
}

void transaction::count_scan() {
  auto& m = resources_.metrics;
  if (report_.ignored) {
    verdict_ = access_verdict::skipped;
    m.unscanned_ignored.add();
    return;
  }
  m.scan_seconds.observe(std::chrono::duration<double>(scan_time_).count());
  if (!report_.outcome) {
    verdict_ = access_verdict::error;
    m.scans_failed.add();
    return;
  }
  m.scanned_bytes.add(body_.size());
  struct row {
    access_verdict verdict;
    counter& count;
  };
  const std::array rows{row{access_verdict::clean, m.scans_clean},
                        row{access_verdict::adapted, m.scans_adapted},
                        row{access_verdict::blocked, m.scans_blocked},
                        row{access_verdict::unscannable, m.scans_unscannable}};
  const auto& row = rows[static_cast<std::size_t>(report_.outcome->kind)];
  verdict_ = row.verdict;
  row.count.add();
}

// --- the endings

// The origin's response as it is: what is spooled first, then what is left.
task<errc> transaction::relay() {
  http::client_response to;
  to.body = relayed_framing();
  const bool chunked = to.body.framing == http::outgoing_body::kind::chunked;
  auto reason = co_await send_head_and_spool(response_, to, body_);
  if (reason == errc::complete && !intake_->ended()) reason = co_await send_rest(chunked);
  if (reason == errc::complete) give_origin_back();
  co_return reason;
}

// The scanner's version of the response.
task<errc> transaction::send_adapted() {
  co_return co_await send_scanner_response(false);
}

// The scanner's page, or ours where it sent none. Never kept by a cache.
task<errc> transaction::send_blocked() {
  errc sent;
  if (scanner_response_usable_)
    sent = co_await send_scanner_response(true);
  else
    sent = co_await send_page(http::block_page(request_id_));
  co_return sent == errc::complete ? errc::blocked : sent;
}

task<errc> transaction::send_scanner_response(bool no_store) {
  http::client_response to;
  to.no_store = no_store;
  if (scanner_response_.status != 204 && scanner_response_.status != 304)
    to.body = {http::outgoing_body::kind::length, adapted_.size()};
  const auto reason = co_await send_head_and_spool(scanner_response_, to, adapted_);
  if (intake_->ended()) give_origin_back();
  co_return reason;
}

// An error, as a page if nothing has been sent yet.
task<errc> transaction::fail(errc reason) {
  keep_alive_ = false;
  if (describe(reason).status != 0 && status_ == 0)
    co_await send_page(http::error_page(reason, request_id_));
  co_return reason;
}

// --- what the endings need

// RFC 9112 9.3: only where this request was read whole and the response ends before the connection.
bool transaction::may_keep_alive() const {
  return request_.keep_alive && client_.body_ended() && !resources_.draining;
}

// A body that is whole has a length, however the origin delimited it.
http::outgoing_body transaction::relayed_framing() const {
  using kind = http::outgoing_body::kind;
  if (response_.framing == http::body_framing::none ||
      response_.framing == http::body_framing::length)
    return {};
  if (intake_->ended()) return {kind::length, body_.size()};
  return {request_.version >= 11 ? kind::chunked : kind::until_close};
}

task<errc> transaction::send_head_and_spool(const http::response_head& head,
                                            http::client_response to, body_spool& body) {
  using kind = http::outgoing_body::kind;
  keep_alive_ = may_keep_alive() && to.body.framing != kind::until_close;
  to.keep_alive = keep_alive_;
  to.client_version = request_.version;
  std::string wire;
  http::append_client_response(wire, head, to);
  status_ = head.status;
  // With the chunked coding, what is spooled goes as one chunk.
  const bool chunk = to.body.framing == kind::chunked && body.size() > 0;
  if (chunk) wire.append(chunk_size_line(body.size()).view());
  std::string_view before = wire;
  std::uint64_t at = 0;
  do {
    const_buffers out;
    out.push(before);
    if (!body.view(at, body.file_begin() - at, out)) co_return cut(errc::spool_failed);
    at += out.bytes() - before.size();
    before = {};
    const auto written = co_await write(out);
    if (written != errc::complete) co_return written;
  } while (at < body.file_begin());
  if (at < body.size()) {
    const auto sent = co_await send_file(body);
    if (sent != errc::complete) co_return sent;
  }
  if (!chunk) co_return errc::complete;
  const_buffers end_of_chunk;
  end_of_chunk.push(std::string_view("\r\n"));
  co_return co_await write(end_of_chunk);
}

task<errc> transaction::send_file(body_spool& body) {
  auto& client = client_.source();
  std::uint64_t at = body.file_begin();
  int steps = 0;
  while (at < body.size()) {
    const auto sent = client.try_send_file(body.file(), at - body.file_begin(), body.size() - at);
    const bool moved = sent.status == io_status::ok;
    if (!moved && sent.status != io_status::would_block)
      co_return cut(explain(phase::client_write, sent.status));
    at += sent.bytes;
    sent_ += sent.bytes;
    if (moved && ++steps % turn_length != 0) continue;
    client.expires_after(resources_.settings.client.progress);
    const auto ready = co_await client.wait_writable();
    if (ready != io_status::ok) co_return cut(explain(phase::client_write, ready));
  }
  co_return errc::complete;
}

// Streams the part of the origin's body that is still to come.
task<errc> transaction::send_rest(bool chunked) {
  auto& reader = origin_->reader;
  auto& origin = reader.source();
  std::array<block, 4> pieces;
  for (auto& piece : pieces) piece = resources_.blocks.acquire();
  for (int step = 1; !reader.body_ended(); ++step) {
    if (step % turn_length == 0) {
      const auto reason = co_await give_turn();
      if (reason != errc::complete) co_return reason;
    }
    mutable_buffers room;
    for (auto& piece : pieces) room.push(asio::mutable_buffer(piece.data(), block::size));
    const auto got = reader.try_read_body(room);
    if (got.status == http_reader::body_status::would_block) {
      origin.expires_after(resources_.settings.origin_limits.progress);
      const auto ready = co_await origin.wait_readable();
      if (ready != io_status::ok) co_return cut(errc::origin_body_timeout);
      continue;
    }
    if (got.status == http_reader::body_status::end) break;
    if (got.status != http_reader::body_status::data)
      co_return cut(origin_body_failure(got.status));
    const chunk_size_line size(got.bytes);
    const_buffers out;
    if (chunked) out.push(size.view());
    auto left = got.bytes;
    for (const auto& b : room) {
      out.push(asio::const_buffer(asio::buffer(b, left)));
      left -= std::min(left, b.size());
    }
    if (chunked) out.push(std::string_view("\r\n"));
    const auto written = co_await write(out);
    if (written != errc::complete) co_return written;
  }
  if (!chunked) co_return errc::complete;
  const_buffers end;
  end.push(last_chunk);
  co_return co_await write(end);
}

// Others on this worker come to their right, even where origin and client are both always ready.
task<errc> transaction::give_turn() {
  auto& client = client_.source();
  client.expires_after(resources_.settings.client.progress);
  const auto ready = co_await client.wait_writable();
  co_return ready == io_status::ok ? errc::complete : cut(explain(phase::client_write, ready));
}

task<errc> transaction::write(const_buffers out) {
  const auto bytes = out.bytes();
  const auto status = co_await client_.source().write_all(out, resources_.settings.client.progress);
  if (status != io_status::ok) co_return cut(explain(phase::client_write, status));
  sent_ += bytes;
  co_return errc::complete;
}

task<errc> transaction::send_page(const http::page& content) {
  auto complete = content;
  keep_alive_ = may_keep_alive();
  complete.keep_alive = keep_alive_;
  complete.to_head = request_.is_head();
  std::string wire;
  http::append_page(wire, complete);
  status_ = complete.status;
  const_buffers out;
  out.push(std::string_view(wire));
  co_return co_await write(out);
}

// After the first byte nothing can be taken back: the connection ends so that nobody takes the
// response for complete, not even where its end is the end of the connection.
errc transaction::cut(errc reason) {
  keep_alive_ = false;
  client_.source().reset();
  return reason;
}

void transaction::give_origin_back() {
  if (origin_ && origin_reusable_ && origin_->reader.body_ended())
    resources_.origin.give_back(std::move(origin_));
}

// --- the record

void transaction::account(errc reason) {
  const auto total = clock::now() - began_;
  const auto* threat = report_.outcome ? &report_.outcome->threat : nullptr;
  access_record record;
  record.ts = began_at_;
  record.request_id = request_id_;
  record.client = client_address_;
  record.method = request_.method;
  record.target = request_.target;
  record.status = status_;
  record.bytes_in = received_;
  record.bytes_out = sent_;
  record.verdict = verdict_;
  if (threat) record.threat = *threat;
  // A response that was delivered in spite of the scanner still tells what was wrong with it.
  const bool made_up = fallback_ && reason == errc::complete;
  record.reason = describe(made_up ? report_.outcome.error() : reason).token;
  record.scanner = report_.scanner;
  record.icap_status = report_.icap_status;
  record.origin_ms = origin_time_;
  record.scan_ms = scan_time_;
  record.total_ms = total;
  record.fallback = fallback_;
  resources_.account(record, reason);
}

}  // namespace icapgate::proxy
