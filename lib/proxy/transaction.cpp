#include "proxy/transaction.hpp"

#include "http/body_kind.hpp"
#include "http/signature.hpp"
#include "proxy/monitor.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/container/small_vector.hpp>

#include <algorithm>

namespace icapgate::proxy {
namespace {

// Of a body that drips to the client before its verdict, so much stays back in any case: the part
// without which it is of no use.
constexpr std::uint64_t trickle_tail = 64 << 10;
constexpr std::chrono::seconds trickle_step{1};
// So much of a step goes out before it is looked whether there is a verdict.
constexpr std::uint64_t trickle_piece = 64 << 10;

}  // namespace

transaction::transaction(worker_resources& resources, http_reader& client, client_watch& watch,
                         const http::forwarding& path, const http::request_head& request,
                         const route* taken)
    : resources_(resources),
      client_(client),
      watch_(watch),
      path_(path),
      request_(request),
      route_(taken),
      request_id_(path.request_id),
      policy_{taken ? &taken->base : &resources.settings.scan_policy},
      origin_pace_(
          pace_of_origin(resources.settings, taken ? taken->limits : resources.settings.limits)),
      to_client_(client.source(), client.blocks(), resources.settings) {
  response_.fields = resources.core.field_lists.take();
}

transaction::~transaction() {
  resources_.core.field_lists.give_back(std::move(response_.fields));
}

task<errc> transaction::run() {
  if (request_.max_forwards == 0u) co_return co_await answer_options();
  const auto refused = prepare();
  if (refused != errc::complete) count_rule();
  if (refused != errc::complete) co_return co_await fail(refused);
  const auto fetched = co_await fetch();
  if (fetched != errc::complete) co_return co_await fail(fetched);

  auto doubt = errc::complete;
  switch (choose(doubt)) {
    case course::tunnel:
      co_return co_await open_tunnel();
    case course::relay:
      co_return co_await relay();
    case course::monitor:
      begin_inspection();
      co_return co_await relay();  // at full speed, and a copy into the spool while there is room
    case course::doubt:
      co_return co_await settle(doubt);
    case course::scan:
      break;
  }

  {
    const client_watch::guard watched(watch_);
    co_await scan();
  }
  co_return co_await deliver();
}

// What the client gets after the scan.
task<errc> transaction::deliver() {
  const auto& report = inspection_->report();
  if (report.ignored) {
    leave_unscanned(unscanned::transfer_ignore);
    return relay_judged();
  }
  const auto& outcome = report.outcome;
  if (!outcome && is_doubt(outcome.error())) return settle(outcome.error());
  switch (http::decide(outcome, *policy_.settings)) {
    case http::action::relay:
      if (!outcome) leave_unscanned(unscanned::on_error);
      if (outcome && outcome->kind == icap::verdict::unscannable)
        leave_unscanned(unscanned::unscannable);
      return relay_judged();
    case http::action::adapt:
      return send_adapted();
    case http::action::block:
      return send_blocked();
    case http::action::fail:
      break;
  }
  return fail(outcome.error());
}

// --- before the fetch

// What this request may ask the origin for, so that the response can be scanned.
errc transaction::prepare() {
  if (!route_) return errc::client_host_unknown;
  const auto longest = route_->limits.max_body;
  if (longest != 0 && request_.framing == http::body_framing::length &&
      request_.content_length > longest)
    return errc::client_body_too_large;
  if (http::has_passed(request_, resources_.core.pseudonym())) return errc::client_loop_detected;
  changes_.pseudonym = resources_.core.pseudonym();
  changes_.path = &path_;
  changes_.own_client_certificate = path_.own_client_certificate;
  changes_.client_certificate = path_.client_certificate;
  changes_.upgrade = http::wants_upgrade(request_);
  if (changes_.upgrade)
    policy_ = http::choose_upgrade_policy(route_->rules, route_->base, request_);
  if (changes_.upgrade && !may_upgrade()) return errc::policy_upgrade_refused;
  policy_ = http::choose_policy(route_->rules, route_->base, request_);
  if (policy_.settings->mode != scan_mode::enforce || is_avoided()) return errc::complete;
  prepare_encoding();
  return prepare_range();
}

// A body in front of the other protocol would have to end before the tunnel begins.
bool transaction::may_upgrade() const {
  return policy_.settings->upgrade && http::names_websocket(request_) &&
         request_.framing == http::body_framing::none;
}

// A signature over the field forbids to change it.
void transaction::prepare_encoding() {
  using codings = http::request_changes::codings;
  const auto wanted = policy_.settings->encoding;
  if (wanted == encoding_mode::pass || http::signs(request_, "accept-encoding")) return;
  changes_.accept_encoding =
      wanted == encoding_mode::identity ? codings::identity : codings::decodable;
}

errc transaction::prepare_range() {
  const bool asked =
      std::any_of(request_.fields.begin(), request_.fields.end(), http::is_range_field);
  if (!asked) return errc::complete;
  const auto& policy = *policy_.settings;
  if (http::signs(request_, "range") || http::signs(request_, "if-range"))
    return policy.on_unscannable == remedy::pass ? errc::complete : errc::policy_range_refused;
  if (policy.range == range_mode::reject && http::asks_for_ranges(request_))
    return errc::policy_range_refused;
  changes_.whole = true;
  range_ = policy.range;
  return errc::complete;
}

// --- the origin's response head

// From one origin after the other, as long as that is allowed.
task<errc> transaction::fetch() {
  boost::container::small_vector<origin_server*, 4> tried;
  auto reason = errc::complete;
  bool another = true;
  auto now = began_;
  while (another) {
    const auto next = resources_.origins.choose(*route_, tried, now);
    if (!next.server) break;
    if (!tried.empty()) resources_.metrics.origin_failovers.add();
    origin_.reset();
    origin_use_.emplace(next);
    tried.push_back(next.server);
    bool stale = false;
    reason = co_await fetch_once(false, stale, another);
    if (stale) reason = co_await fetch_once(true, stale, another);
    now = clock::now();
    origin_use_->report(reason, now);
  }
  origin_time_ = now - began_;
  if (reason == errc::complete) origin_->reader.begin_body(response_);
  co_return reason;
}

// `stale`: the connection was reused and the origin closed it before it saw this request. A request
// that may not be repeated is never sent twice (RFC 9110 9.2.2). `another`: another origin may be
// asked, since this one got nothing of the request, or may get it again and did not answer.
task<errc> transaction::fetch_once(bool fresh, bool& stale, bool& another) {
  stale = false;
  another = false;
  origin_ = fresh ? nullptr : origin_use_->server().client.take_idle();
  if (!origin_) {
    auto connected = co_await connect();
    another = !connected;
    if (!connected) co_return connected.error();
    origin_ = std::move(*connected);
  }
  const bool hints_only = policy_.settings->mode == scan_mode::enforce;
  origin_exchange exchange(*origin_, client_, request_, changes_, resources_.settings,
                           route_->limits, watch_, hints_only);
  const auto reason = co_await exchange.run(response_);
  received_ = exchange.body_bytes();
  origin_reusable_ = exchange.request_sent() && response_.keep_alive;
  const bool closed = reason == errc::origin_head_eof || reason == errc::origin_head_reset ||
                      reason == errc::origin_write_failed;
  const bool repeatable = exchange.repeatable() && request_.is_idempotent();
  const bool late = reason == errc::origin_head_timeout || reason == errc::origin_write_timeout;
  stale = closed && origin_->reused && repeatable;
  another = (closed || late) && repeatable;
  co_return reason;
}

// Looking up a name and connecting may take a while.
task<result<std::unique_ptr<origin_connection>>> transaction::connect() {
  const client_watch::guard watched(watch_);
  co_return co_await origin_use_->server().client.connect(route_->limits.connect);
}

// --- what is done with it

transaction::course transaction::choose(errc& doubt) {
  const auto& rules = route_->rules;
  const auto& base = route_->base;
  const bool upgraded = response_.status == 101;
  policy_ = upgraded ? http::choose_upgrade_policy(rules, base, request_)
                     : http::choose_policy(rules, base, request_, response_);
  count_rule();
  if (upgraded) return course::tunnel;
  const auto why = reason_to_skip();
  if (why != unscanned::no) {
    verdict_ = access_verdict::skipped;
    leave_unscanned(why);
    if (why == unscanned::event_stream) watch_.allow_any_time();
    return course::relay;
  }
  doubt = find_doubt();
  if (doubt != errc::complete) {
    verdict_ = access_verdict::unscannable;
    resources_.metrics.scans_unscannable.add();
    return course::doubt;
  }
  return policy_.settings->mode == scan_mode::monitor ? course::monitor : course::scan;
}

// By the origin that was asked; before, what holds for all of them.
bool transaction::is_avoided() const {
  const auto& avoided = resources_.settings.avoid_ports;
  if (avoided.empty()) return false;
  const auto avoids = [&](std::uint16_t port) {
    return std::find(avoided.begin(), avoided.end(), port) != avoided.end();
  };
  if (origin_use_) return avoids(origin_use_->server().port);
  return std::all_of(route_->origins.begin(), route_->origins.end(),
                     [&](const url& one) { return avoids(one.port); });
}

// The status is no reason: error pages carry bodies, too.
unscanned transaction::reason_to_skip() const {
  if (response_.framing == http::body_framing::none) return unscanned::no_body;
  if (is_avoided()) return unscanned::avoid_port;
  if (policy_.settings->mode == scan_mode::off)
    return policy_.by ? unscanned::rule : unscanned::mode_off;
  if (policy_.settings->event_stream && http::is_event_stream(request_, response_))
    return unscanned::event_stream;
  return unscanned::no;
}

// What is known of the body before any of it is fetched.
errc transaction::find_doubt() {
  // Only a part: nobody asked for it, or nobody could be kept from asking.
  if (response_.status == 206 || response_.status == 226) return errc::policy_unscannable;
  const auto limit = policy_.settings->max_scan_size;
  if (limit != 0 && response_.framing == http::body_framing::length &&
      response_.content_length > limit)
    return errc::policy_oversize;
  if (policy_.settings->encoding == encoding_mode::pass) return errc::complete;
  auto codings = parse_codings(http::content_encoding_of(response_));
  if (!codings) return errc::policy_unscannable;
  codings_ = std::move(*codings);
  return errc::complete;
}

// --- the scan

void transaction::begin_inspection() {
  const inspection::subject subject{*route_, request_, response_,       request_id_,
                                    path_,   changes_, origin_->address};
  inspection_ = std::make_unique<inspection>(resources_, *policy_.settings, subject,
                                             origin_->reader, codings_);
}

task<void> transaction::scan() {
  begin_inspection();
  const bool drips = policy_.settings->delivery == delivery_mode::trickle && !serves_ranges();
  return drips ? scan_and_trickle() : inspection_->run();
}

task<void> transaction::scan_and_trickle() {
  asio::steady_timer pause(resources_.context);
  bool judged = false;
  // However it ends: nobody would stop the trickle.
  struct end_of_trickle {
    ~end_of_trickle() {
      judged = true;
      pause.cancel();
    }
    bool& judged;
    asio::steady_timer& pause;
  };
  const auto judge = [&]() -> task<void> {
    const end_of_trickle then{judged, pause};
    co_await inspection_->run();
    stop_trickle();
  };
  co_await both(judge(), trickle(pause, judged));
}

// Keeps a client from giving up while the scanner works: the beginning of the body, slowly.
task<void> transaction::trickle(asio::steady_timer& pause, const bool& judged) {
  auto& body = inspection_->body();
  if (judged) co_return;
  pause.expires_after(policy_.settings->trickle_delay);
  co_await pause.async_wait(use_op);
  while (!judged && !to_client_.is_cut()) {
    const auto most = body.size() > trickle_tail ? body.size() - trickle_tail : 0;
    const auto step = std::min(policy_.settings->trickle_rate, most - std::min(most, trickled_));
    if (step > 0) {
      if (to_client_.status() == 0) begin_relay();
      co_await send_drops(step, judged);
    }
    if (judged) break;
    pause.expires_after(trickle_step);
    co_await pause.async_wait(use_op);
  }
}

task<void> transaction::send_drops(std::uint64_t bytes, const bool& judged) {
  for (auto sent = errc::complete; bytes > 0 && sent == errc::complete && !judged;) {
    const auto piece = std::min(bytes, trickle_piece);
    sent = co_await to_client_.send(inspection_->body(), trickled_, piece);
    if (sent != errc::complete) co_return;
    trickled_ += piece;
    bytes -= piece;
    if (bytes > 0) sent = co_await to_client_.give_turn();
  }
}

// Where the end is to be a cut connection: a client that takes nothing just then is not waited for.
void transaction::stop_trickle() {
  const auto& report = inspection_->report();
  const bool doubt = !report.outcome && is_doubt(report.outcome.error());
  if (to_client_.sent_bytes() == 0 || report.ignored || doubt) return;
  const auto what = http::decide(report.outcome, *policy_.settings);
  const bool goes_on =
      what == http::action::relay || (what == http::action::adapt && inspection_->is_unchanged());
  if (!goes_on) to_client_.cut(errc::blocked_late);
}

// --- the record

void transaction::count_rule() {
  if (!policy_.by) return;
  resources_.count_rule(static_cast<std::size_t>(policy_.by - route_->rules.data()));
}

void transaction::leave_unscanned(unscanned why) {
  unscanned_ = why;
  resources_.metrics.unscanned_by[static_cast<std::size_t>(why)].add();
}

// But for what the scan tells.
access_record transaction::record_of(errc reason) const {
  access_record record;
  record.ts = began_at_;
  record.request_id = request_id_;
  record.client = path_.client;
  record.method = request_.method;
  record.target = request_.target;
  record.status = to_client_.status();
  record.bytes_in = received_;
  record.bytes_out = to_client_.sent_bytes() + tunneled_;
  record.verdict = verdict_;
  record.why_unscanned = unscanned_;
  if (policy_.by) record.rule = policy_.by->reason;
  if (route_) record.route = route_->name;
  if (origin_use_) record.origin = origin_use_->server().name;
  record.reason = describe(reason).token;
  record.origin_ms = origin_time_;
  record.total_ms = clock::now() - began_;
  return record;
}

void transaction::account(errc reason) {
  auto record = record_of(reason);
  if (policy_.settings->mode == scan_mode::monitor) return account_monitored(record, reason);
  if (inspection_) describe_scan(record, *inspection_);
  // A response that was delivered in spite of the scanner still tells what was wrong with it.
  if (unscanned_ == unscanned::on_error && reason == errc::complete)
    record.reason = describe(inspection_->report().outcome.error()).token;
  resources_.core.account(record, reason);
}

// Where there is a body to scan, the line waits for what comes of it.
void transaction::account_monitored(access_record& record, errc reason) {
  // What enforce would refuse by its head alone is told as well.
  record.monitored = inspection_ || verdict_ == access_verdict::unscannable;
  const bool worth_it = inspection_ && (inspection_->intake().received() ||
                                        inspection_->intake().error() != errc::complete);
  if (!worth_it) return resources_.core.account(record, reason);
  inspection_->intake().detach();
  start_monitored_scan(resources_, std::move(inspection_), record, reason);
}

}  // namespace icapgate::proxy
