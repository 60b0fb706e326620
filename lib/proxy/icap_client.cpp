#include "proxy/icap_client.hpp"

#include "http/policy.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>

namespace icapgate::proxy {
namespace {

using admission = scanner_state::admission;
using outcome = scanner_state::outcome;

// What a scan says of the scanner's health.
outcome outcome_of(const scan_report& report) {
  if (report.postponed) return outcome::unrelated;
  if (report.outcome) return outcome::answered;
  const auto reason = report.outcome.error();
  if (reason == errc::icap_status_busy) return outcome::busy;
  const bool ours = reason == errc::icap_acquire_timeout || !http::is_scanner_trouble(reason);
  return ours ? outcome::unrelated : outcome::failed;
}

// After a connection could not be opened ahead of need.
constexpr std::chrono::seconds warm_pause{2};

// One worker's part of the warm connections; together they may be more, so the scanner's own count
// decides as well.
std::size_t warm_share(const config& settings) {
  const std::size_t workers = worker_count(settings);
  return (settings.icap_limits.warm_connections + workers - 1) / workers;
}

// What one worker may keep: idle connections cost some scanners a thread each.
std::size_t idle_connections(const scanner_state& scanner, const config& settings) {
  if (!scanner.vendor().keep_alive) return 0;
  return std::max({std::size_t{1}, settings.icap_limits.connections / worker_count(settings),
                   warm_share(settings)});
}

bool is_detection(const result<icap::judgement>& judged) {
  return judged && judged->kind == icap::verdict::blocked;
}

// It may be a page without a mark.
bool is_replaced(const result<icap::judgement>& judged) {
  return judged && judged->kind == icap::verdict::adapted;
}

bool was_closed(errc reason) {
  return reason == errc::icap_answer_eof || reason == errc::icap_answer_reset ||
         reason == errc::icap_write_failed;
}

}  // namespace

// The right to one exchange with a scanner, given back by itself.
class icap_client::turn {
 public:
  turn(icap_client& owner, service& at, const scan_report& report)
      : owner_(owner), at_(at), report_(report) {}
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;
  ~turn() {
    const auto how = outcome_of(report_);
    // What is to last from now on is not to end too early by a tick.
    at_.state->end(how, how == outcome::answered ? owner_.all_.now() : clock::now());
    // What one was refused just now, nobody else is told to try at once.
    if (how != outcome::busy) owner_.queue_.room_was_made(*at_.state);
  }

 private:
  icap_client& owner_;
  service& at_;
  const scan_report& report_;
};

icap_client::service::service(deadlines& all, resolver& names,
                              std::shared_ptr<scanner_state> its_state, const config& settings)
    : state(std::move(its_state)),
      connect(all, names, state->address(), state->tls(), settings.icap_limits.connect,
              scanner_connect_reasons),
      pool(idle_connections(*state, settings), settings.icap_limits.idle) {}

icap_client::icap_client(asio::io_context& context, deadlines& all, resolver& names,
                         block_pool& blocks, std::shared_ptr<const generation> made,
                         worker_metrics& metrics, spool_budget& budget, const icap_client* before)
    : context_(context),
      all_(all),
      blocks_(blocks),
      made_of_(std::move(made)),
      settings_(made_of_->settings),
      metrics_(metrics),
      budget_(budget),
      queue_(context, all),
      warm_share_(warm_share(settings_)) {
  for (const auto& state : made_of_->scanners) {
    auto same = before ? before->find(*state) : nullptr;
    services_.push_back(same ? std::move(same)
                             : std::make_shared<service>(all, names, state, settings_));
  }
  for (const auto& r : settings_.routes) {
    auto among = find_services(r.scanners);
    const auto same = std::ranges::find(choices_, among, &choice::among);
    by_route_.push_back(static_cast<std::size_t>(same - choices_.begin()));
    if (same == choices_.end()) choices_.emplace_back(std::move(among));
  }
}

// What the process knows of a scanner is replaced where the settings of connections to it are.
std::shared_ptr<icap_client::service> icap_client::find(const scanner_state& of) const {
  const auto found =
      std::ranges::find(services_, &of, [](const auto& one) { return one->state.get(); });
  return found == services_.end() ? nullptr : *found;
}

void icap_client::retire(const icap_client& next) {
  closed_ = true;
  for (const auto& one : services_)
    if (!next.find(*one->state)) one->pool.close();
}

// A scanner that is named as both is no stand-by.
icap_client::candidates icap_client::find_services(const scanner_group& named) const {
  candidates found;
  const auto add = [&](const std::vector<url>& list, bool standby) {
    for (const auto& one : services_) {
      const bool wanted = std::ranges::count(list, one->state->uri(), &url::to_string) > 0;
      if (wanted && std::ranges::count(found, one.get(), &candidate::to) == 0)
        found.push_back({one.get(), standby});
    }
  };
  add(named.servers, false);
  add(named.standby, true);
  return found;
}

task<void> icap_client::respmod(const route& of, const scan_job& job, body_intake& body,
                                body_spool& adapted, scan_report& report) {
  report.outcome = errc::icap_scanners_shut;
  const auto give_up = clock::now() + settings_.icap_limits.acquire;
  attempt current{job, scanners_of(of), body, adapted, report, {}, {}, {}, give_up};
  for (;;) {
    auto* at = choose_at_once(current);
    if (!at) at = co_await choose(current);
    if (!at) co_return;
    if (!current.tried.empty()) metrics_.icap_failovers.add();
    current.tried.push_back(at);
    if (settings_.transfer_ignore &&
        icap::transfer_of(*current.options, job.path) == icap::transfer::ignore) {
      at->state->end(outcome::unrelated, all_.now());
      queue_.room_was_made(*at->state);
      report.scanner = at->state->uri();
      report.ignored = true;
      co_return;
    }
    {
      const turn held(*this, *at, report);
      report.scanner = at->state->uri();
      // Where the try throws, it is this that counts, and not what came of the one before.
      report.outcome = errc::gateway_internal;
      co_await try_service(*at, current);
    }
    if (report.postponed) co_return;
    if (report.outcome || !http::is_scanner_trouble(report.outcome.error())) co_return;
    if (report.outcome.error() == errc::icap_status_busy) current.busy.push_back(at);
  }
}

// --- which scanner

icap_client::choice& icap_client::scanners_of(const route& of) {
  return choices_[by_route_.at(static_cast<std::size_t>(&of - settings_.routes.data()))];
}

// First come, first served within the worker.
icap_client::service* icap_client::choose_at_once(attempt& current) {
  bool some_full = false;
  return queue_.holds_up(current.from.scanners) ? nullptr : choose_now(current, some_full);
}

// The next scanner to try, with a turn granted; nullptr if there is none left. Those that are full
// or said that they are busy are waited for, as long as the settings say.
task<icap_client::service*> icap_client::choose(attempt& current) {
  bool some_full = queue_.holds_up(current.from.scanners);
  auto* found = some_full ? nullptr : choose_now(current, some_full);
  if (found || !(some_full || !current.busy.empty())) co_return found;
  scanner_queue::place here(queue_, current.from.scanners);
  while (!found && (some_full || !current.busy.empty())) {
    if (is_too_late(current)) {
      if (current.tried.empty()) current.report.outcome = errc::icap_acquire_timeout;
      co_return nullptr;
    }
    co_await here.next_chance();
    for (const auto* busy : current.busy)
      current.tried.erase(std::ranges::find(current.tried, busy));
    current.busy.clear();
    some_full = false;
    found = choose_now(current, some_full);
  }
  co_return found;
}

bool icap_client::is_too_late(const attempt& current) const {
  return all_.are_over() || clock::now() >= current.give_up;
}

// Fewest exchanges in flight first; those that stand by where no other has one to offer.
icap_client::service* icap_client::choose_now(attempt& current, bool& some_full) {
  const auto& among = current.from.among;
  auto out = current.tried;
  const auto first = current.from.next++;
  for (;;) {
    service* best = nullptr;
    std::pair<bool, std::size_t> best_rank;
    for (std::size_t i = 0; i < among.size(); ++i) {
      const auto& one = among[(first + i) % among.size()];
      if (std::find(out.begin(), out.end(), one.to) != out.end()) continue;
      const std::pair rank(one.standby, among.size() > 1 ? one.to->state->in_flight() : 0);
      if (best && best_rank <= rank) continue;
      best = one.to;
      best_rank = rank;
    }
    if (!best) return nullptr;
    const auto granted = best->state->begin(clock::now(), &current.options);
    if (granted == admission::granted) return best;
    some_full = some_full || granted == admission::full;
    out.push_back(best);
  }
}

// --- one scanner

task<void> icap_client::try_service(service& at, attempt& current) {
  current.report.icap_status = 0;
  auto pooled = at.pool.take();
  if (pooled) {
    pooled->reused = true;
    const bool stale = co_await try_connection(at, std::move(pooled), current);
    if (!stale) co_return;
    metrics_.icap_retries.add();
  }
  auto fresh = co_await open(at, current);
  if (!fresh) {
    current.report.outcome = fresh.error();
    co_return;
  }
  co_await try_connection(at, std::move(*fresh), current);
}

// True: the connection was reused and the scanner had closed it before this exchange, so that
// nothing was tried yet.
task<bool> icap_client::try_connection(service& at, std::unique_ptr<connection> over,
                                       attempt& current) {
  auto& report = current.report;
  current.adapted.clear();
  scan one(*over->socket, blocks_, current.body, current.adapted, settings_);
  auto reason = co_await ask(one, at, current);
  const bool stale = over->reused && was_closed(reason) && !one.exchange().answered();
  report.answer = one.take_answer();
  report.icap_status = report.answer.status;
  at.state->saw_istag(report.answer.istag);
  // What is still to be done needs the connection no more, and may take its time.
  report.postponed = one.postponed();
  const bool done = reason == errc::complete && !report.postponed;
  if (done && one.reusable()) at.pool.put(std::move(over));
  if (done && report.answer.original_from)
    reason = co_await complete_partial(current, *report.answer.original_from);
  report.outcome = icap::judge(report.answer, at.state->vendor(), current.job.status);
  if (done && reason == errc::complete) co_return false;
  // A detection stands, whatever became of the rest of the answer, or of the body: neither another
  // scanner nor the fallback may deliver what this one found.
  const bool whole = one.answered_before() && !report.answer.original_from;
  if (is_detection(report.outcome) || (whole && is_replaced(report.outcome))) {
    if (!whole) report.answer.http_head.clear();
    report.postponed = false;
    co_return false;
  }
  if (!report.postponed) report.outcome = reason;
  co_return stale;
}

task<errc> icap_client::ask(scan& one, const service& at, const attempt& current) {
  lent<std::string> fields(blocks_.heads);
  return one.run(request_for(at, current, *fields));
}

icap::exchange_request icap_client::request_for(const service& at, const attempt& current,
                                                std::string& fields) const {
  const auto& options = current.options;
  const auto& vendor = at.state->vendor();
  const auto& job = current.job;
  icap::exchange_request request;
  request.uri = at.state->request_uri();
  request.host = at.state->host();
  request.request_head = job.request_head;
  request.response_head = job.response_head;
  icap::append_identity(fields, job.who, *options, settings_.scanner_told);
  fields.append(settings_.scanner_authorization);
  fields.append(vendor.fields);
  if (!vendor.keep_alive) fields.append("Connection: close\r\n");
  request.fields = fields;
  request.allow_204 = vendor.allow_204;
  const bool wanted = icap::transfer_of(*options, job.path) != icap::transfer::complete;
  if (options->preview && wanted && vendor.preview) {
    request.preview = std::min(*options->preview, settings_.icap_limits.max_preview);
    request.allow_206 = options->allow_206;
  }
  return request;
}

// A 206's body goes on with bytes of the original (draft-icap-ext-partial-content): they are
// appended, so that what is delivered is whole.
task<errc> icap_client::complete_partial(attempt& current, std::uint64_t original_from) {
  auto& body = current.body;
  auto& spool = body.spool();
  const auto taken = co_await take_whole(context_, body, settings_, budget_);
  if (taken != errc::complete) co_return taken;
  if (original_from > spool.size()) co_return errc::icap_answer_invalid;
  body_spool::reader original(spool);
  for (int step = 1; original_from < spool.size(); ++step) {
    if (step % turn_length == 0) co_await asio::post(context_, use_op);
    const_buffers views;
    if (!original.view(original_from, spool.size() - original_from, views))
      co_return errc::spool_failed;
    for (const auto& view : views)
      if (current.adapted.append({static_cast<const char*>(view.data()), view.size()}) !=
          spool_status::ok)
        co_return explain(current.adapted.trouble());
    original_from += views.bytes();
  }
  co_return errc::complete;
}

task<result<std::unique_ptr<icap_client::connection>>> icap_client::open(service& at,
                                                                         const attempt& current) {
  bool room = at.state->try_open(clock::now());
  if (!room) {
    scanner_queue::place here(queue_, current.from.scanners);
    while (!room && !is_too_late(current)) {
      co_await here.next_chance();
      room = at.state->try_open(clock::now());
    }
  }
  if (!room) co_return errc::icap_acquire_timeout;
  // Whoever was cancelled meanwhile ends at the next co_await: its place must not stay taken.
  auto fresh = std::make_unique<connection>(scanner_state::open_connection(at.state));
  co_return co_await connect(at, std::move(fresh));
}

// `fresh` has a place in the scanner's count of open connections, which is given back on failure.
task<result<std::unique_ptr<icap_client::connection>>> icap_client::connect(
    service& at, std::unique_ptr<connection> fresh) {
  auto connected = co_await at.connect.connect();
  if (!connected) co_return connected.error();
  metrics_.icap_connects.add();
  fresh->socket = std::move(*connected);
  co_return fresh;
}

// Idle connections make room where another worker waits for one, and where there are more than the
// scanner can take now.
void icap_client::reap() {
  for (auto& s : services_) {
    s->pool.reap();
    if (s->state->room_wanted(clock::now())) s->pool.clear();
  }
  if (warm_share_ > 0 && !closed_) keep_warm();
}

// Those that the scans of some route go to now.
void icap_client::keep_warm() {
  const auto now = clock::now();
  for (const auto& each : choices_) {
    const auto& among = each.among;
    const bool standby = std::ranges::none_of(
        among, [&](const candidate& one) { return !one.standby && !one.to->state->is_shut(now); });
    for (const auto& one : among)
      if (one.standby == standby) keep_warm(*one.to, now);
  }
}

void icap_client::keep_warm(service& at, clock::time_point now) {
  if (now < at.warm_after) return;
  while (at.pool.size() + at.opening < warm_share_ && at.state->try_open_warm(now)) {
    ++at.opening;
    auto fresh = std::make_unique<connection>(scanner_state::open_connection(at.state));
    start(context_, open_warm(shared_from_this(), at.shared_from_this(), std::move(fresh)),
          unwatched);
  }
}

// Keeps both alive: a reload does not wait for it.
task<void> icap_client::open_warm(std::shared_ptr<icap_client> self, std::shared_ptr<service> at,
                                  std::unique_ptr<connection> fresh) {
  auto connected = co_await self->connect(*at, std::move(fresh));
  --at->opening;
  if (!connected) {
    at->warm_after = clock::now() + warm_pause;
  } else if (!self->closed_) {
    at->pool.put(std::move(*connected));
    self->queue_.room_was_made(*at->state);
  }
}

// Connections that are being opened end as well: nothing may hold up the loop's end.
void icap_client::clear() {
  closed_ = true;
  for (auto& s : services_) s->pool.clear();
  all_.expire_all();
}

}  // namespace icapgate::proxy
