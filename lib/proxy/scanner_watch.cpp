#include "proxy/scanner_watch.hpp"

#include "base/eicar.hpp"
#include "base/log.hpp"
#include "icap/options.hpp"

#include <array>

namespace icapgate::proxy {
namespace {

// How often it is looked whether something is due.
constexpr milliseconds look_again{250};
// After a failed OPTIONS, times the number of failures in a row.
constexpr milliseconds retry_step{1'000};
constexpr unsigned most_retry_steps = 10;

constexpr std::string_view canary_request =
    "GET http://icapgate.invalid/canary HTTP/1.1\r\nHost: icapgate.invalid\r\n\r\n";

// Whether the text stands in the body. A body over a MiB is no page: it may hold anything.
bool holds(const body_spool& body, std::string_view text) {
  constexpr std::uint64_t largest_page = 1 << 20;
  if (body.size() > largest_page) return true;
  const auto all = text_of(body, largest_page);
  return !all || all->find(text) != all->npos;
}

std::string canary_response(std::size_t length) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
         std::to_string(length) + "\r\n\r\n";
}

std::chrono::seconds to_seconds(milliseconds time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time);
}

}  // namespace

scanner_watch::scanner_watch(asio::io_context& context, std::shared_ptr<const generation> made,
                             spool_budget& budget, dns_metrics& names)
    : context_(context),
      made_of_(std::move(made)),
      settings_(made_of_->settings),
      all_(context, [] {}),
      names_(context, all_, settings_.dns, names),
      budget_(budget) {
  for (const auto& state : made_of_->scanners) {
    connector connect(all_, names_, state->address(), state->tls(), settings_.icap_limits.connect,
                      scanner_connect_reasons);
    auto one =
        std::make_unique<patient>(patient{state, std::move(connect), asio::steady_timer(context)});
    if (const auto last = state->probed_at())
      one->canary_due = *last + settings_.icap_limits.canary_interval;
    patients_.push_back(std::move(one));
  }
}

void scanner_watch::start() {
  all_.start();
  for (auto& one : patients_) proxy::start(context_, watch(shared_from_this(), *one), unwatched);
}

void scanner_watch::stop() {
  stopping_ = true;
  all_.expire_all();
  for (auto& one : patients_) one->pause.cancel();
  names_.stop();
  all_.stop();
}

task<void> scanner_watch::watch(std::shared_ptr<scanner_watch> self, patient& one) {
  while (!self->stopping_) {
    if (clock::now() >= one.options_due) co_await self->refresh_options(one);
    const bool changed = one.state->take_istag_change();
    const bool due = changed || clock::now() >= one.canary_due;
    // One that can't even say its options is not asked to detect; the exchange would fail as well.
    // Nor is one that does not list the method (RFC 3507 4.3.2).
    const bool able = one.failures == 0 && one.state->options()->respmod;
    if (self->settings_.canary != "off" && due && able) co_await self->send_canary(one);
    if (self->stopping_) co_return;
    one.pause.expires_after(look_again);
    co_await one.pause.async_wait(use_op);
  }
}

// The old options stay in use while this fails.
task<void> scanner_watch::refresh_options(patient& one) {
  icap::exchange_request request;
  request.method = "OPTIONS";
  request.fields = settings_.scanner_authorization;
  request.uri = one.state->request_uri();
  request.host = one.state->host();
  request.has_body = false;
  auto none = new_spool();
  icap::answer answer;
  auto reason = co_await exchange(one, request, none, none, answer);
  if (reason == errc::complete) {
    auto options = icap::parse_options(answer);
    if (options) {
      const auto& limits = settings_.icap_limits;
      auto again = icap::refresh_after(*options, to_seconds(limits.options_ttl),
                                       to_seconds(limits.options_ttl_min),
                                       to_seconds(limits.options_ttl_max));
      // A shut scanner is not left alone for a long TTL.
      if (!options->respmod) again = std::min(again, to_seconds(limits.options_ttl));
      if (one.failures > 0) log::info("scanner ", one.state->uri(), ": OPTIONS answered again");
      one.failures = 0;
      one.options_due = clock::now() + again;
      one.state->set_options(std::move(*options), clock::now());
      co_return;
    }
    reason = options.error();
  }
  if (stopping_) co_return;
  one.state->options_failed();
  if (one.failures++ == 0)
    log::warn("scanner ", one.state->uri(), ": OPTIONS failed: ", describe(reason).text);
  one.options_due = clock::now() + retry_step * std::min(one.failures, most_retry_steps);
}

// EICAR has to be found, and something harmless must not be.
task<void> scanner_watch::send_canary(patient& one) {
  const auto bad = eicar_text();
  const auto found = co_await probe(one, bad);
  result<probed> harmless = errc::complete;
  if (found) harmless = co_await probe(one, "a harmless line of text\n");
  if (stopping_) co_return;
  one.canary_due = clock::now() + settings_.icap_limits.canary_interval;
  if (!found)
    tell(one, false, describe(found.error()).text);
  else if (found->kind != icap::verdict::blocked && !found->replaced)
    tell(one, false, "it let the EICAR test file pass");
  else if (!harmless)
    tell(one, false, describe(harmless.error()).text);
  else if (harmless->kind == icap::verdict::blocked)
    tell(one, false, "it blocks a harmless text");
  else
    tell(one, true, {});
}

task<result<scanner_watch::probed>> scanner_watch::probe(patient& one, std::string_view body) {
  auto spool = new_spool();
  if (spool.append(body) != spool_status::ok) co_return errc::spool_failed;
  const auto response = canary_response(body.size());
  const auto options = one.state->options();
  icap::exchange_request request;
  request.uri = one.state->request_uri();
  request.host = one.state->host();
  request.request_head = canary_request;
  request.response_head = response;
  const auto fields = settings_.scanner_authorization + std::string(one.state->vendor().fields);
  request.fields = fields;
  request.allow_204 = one.state->vendor().allow_204;
  if (options->preview && one.state->vendor().preview)
    request.preview = std::min(*options->preview, settings_.icap_limits.max_preview);
  icap::answer answer;
  auto adapted = new_spool();
  const auto reason = co_await exchange(one, request, spool, adapted, answer);
  if (reason != errc::complete) co_return reason;
  one.state->saw_istag(answer.istag);
  const auto judged = icap::judge(answer, one.state->vendor(), 200);
  if (!judged) co_return judged.error();
  const bool replaced = judged->kind == icap::verdict::adapted && !holds(adapted, body);
  co_return probed{judged->kind, replaced};
}

task<errc> scanner_watch::exchange(patient& one, const icap::exchange_request& request,
                                   body_spool& body, body_spool& adapted, icap::answer& out) {
  auto connected = co_await one.connect.connect();
  if (!connected) co_return connected.error();
  body_intake intake(body);
  scan attempt(**connected, blocks_, intake, adapted, settings_);
  const auto reason = co_await attempt.run(request);
  out = attempt.take_answer();
  co_return reason;
}

void scanner_watch::tell(patient& one, bool detects, std::string_view why) {
  one.state->set_trusted(detects, clock::now());
  if (!detects && !one.warned)
    log::error("scanner ", one.state->uri(), " DOES NOT DETECT: ", why,
               settings_.canary == "enforce" ? "; it is not used until it does"
                                             : "; it is used all the same (canary = warn)");
  if (detects && one.warned) log::info("scanner ", one.state->uri(), ": detects again");
  one.warned = !detects;
}

}  // namespace icapgate::proxy
