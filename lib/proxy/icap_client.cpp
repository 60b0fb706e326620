#include "proxy/icap_client.hpp"

#include "http/policy.hpp"

#include <boost/asio/io_context.hpp>

namespace icapgate::proxy {

namespace {

// A detection that was told stays one, whatever became of the rest of the answer: neither another
// scanner nor the fallback may deliver what this one found. Its page is no longer to be used.
bool keep_detection(icap::answer told, scan_report& report) {
  if (!told.http_head.ends_with("\r\n\r\n")) told.http_head.clear();
  auto found = icap::judge(told);
  if (!found || found->kind != icap::verdict::blocked) return false;
  told.http_head.clear();
  report.answer = std::move(told);
  report.outcome = std::move(found);
  return true;
}

}  // namespace

// The right to one exchange, given back by itself.
class icap_client::turn {
 public:
  explicit turn(icap_client& owner) : owner_(owner) {}
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;
  ~turn() { owner_.end_turn(); }

 private:
  icap_client& owner_;
};

icap_client::service::service(asio::io_context& context, deadlines& all, const url& address,
                              const config& settings)
    : uri(address.to_string()),
      host(address.authority()),
      connect(context, all, address.host, address.port, settings.icap_limits.connect,
              {errc::icap_resolve_failed, errc::icap_connect_refused, errc::icap_connect_timeout,
               errc::icap_connect_failed}),
      pool(settings.icap_limits.connections, settings.icap_limits.idle) {}

icap_client::icap_client(asio::io_context& context, deadlines& all, block_pool& blocks,
                         const config& settings, exchange_limit& limit, worker_metrics& metrics)
    : context_(context), blocks_(blocks), settings_(settings), limit_(limit), metrics_(metrics) {
  for (const auto& address : settings.scanners)
    services_.push_back(std::make_unique<service>(context, all, address, settings));
}

task<scan_report> icap_client::respmod(icap::respmod_request request, body_intake& body,
                                       body_spool& adapted) {
  scan_report report;
  const auto may_start = co_await wait_for_turn();
  if (!may_start) {
    report.outcome = errc::icap_acquire_timeout;
    co_return report;
  }
  const turn held(*this);
  const auto first = next_++;
  for (std::size_t i = 0; i < services_.size(); ++i) {
    auto& at = *services_[(first + i) % services_.size()];
    if (i > 0) metrics_.icap_failovers.add();
    request.uri = at.uri;
    request.host = at.host;
    report.scanner = at.uri;
    report.icap_status = 0;
    co_await try_service(at, request, body, adapted, report);
    if (report.outcome || !http::is_scanner_trouble(report.outcome.error())) break;
  }
  co_return report;
}

task<void> icap_client::try_service(service& at, const icap::respmod_request& request,
                                    body_intake& body, body_spool& adapted, scan_report& report) {
  auto pooled = at.pool.take();
  if (pooled) {
    pooled->reused = true;
    const bool stale =
        co_await try_connection(at, std::move(pooled), request, body, adapted, report);
    if (!stale) co_return;
    metrics_.icap_retries.add();
  }
  auto fresh = co_await open(at);
  if (!fresh) {
    report.outcome = fresh.error();
    co_return;
  }
  co_await try_connection(at, std::move(*fresh), request, body, adapted, report);
}

// True: the connection was reused and the scanner had closed it before this exchange, so that
// nothing was tried yet.
task<bool> icap_client::try_connection(service& at, std::unique_ptr<connection> over,
                                       const icap::respmod_request& request, body_intake& body,
                                       body_spool& adapted, scan_report& report) {
  adapted.clear();
  report.icap_status = 0;
  scan attempt(*over->socket, blocks_, body, adapted, settings_);
  const auto reason = co_await attempt.run(request);
  const auto& exchange = attempt.exchange();
  report.icap_status = exchange.result().status;
  if (reason != errc::complete) {
    report.outcome = reason;
    if (keep_detection(exchange.result(), report)) co_return false;
    const bool closed = reason == errc::icap_answer_eof || reason == errc::icap_answer_reset ||
                        reason == errc::icap_write_failed;
    co_return over->reused&& closed && !exchange.answered();
  }
  report.answer = exchange.result();
  report.outcome = icap::judge(report.answer);
  if (attempt.reusable()) at.pool.put(std::move(over));
  co_return false;
}

task<result<std::unique_ptr<icap_client::connection>>> icap_client::open(service& at) {
  auto connected = co_await at.connect.connect();
  if (!connected) co_return connected.error();
  metrics_.icap_connects.add();
  auto fresh = std::make_unique<connection>();
  fresh->socket = std::move(*connected);
  co_return fresh;
}

// First come, first served within the worker. Other workers free their turns without telling this
// one, so it looks again at each tick.
task<bool> icap_client::wait_for_turn() {
  const auto give_up = clock::now() + settings_.icap_limits.acquire;
  bool first = true;
  while ((first && !waiting_.empty()) || !limit_.try_acquire()) {
    first = false;
    if (clock::now() >= give_up) co_return false;
    asio::steady_timer woken(context_, deadlines::tick);
    waiting_.push_back(&woken);
    co_await woken.async_wait(use_op);
    std::erase(waiting_, &woken);
  }
  co_return true;
}

void icap_client::end_turn() {
  limit_.release();
  if (!waiting_.empty()) waiting_.front()->cancel();
}

void icap_client::reap() {
  for (auto& s : services_) s->pool.reap();
}

void icap_client::clear() {
  for (auto& s : services_) s->pool.clear();
}

}  // namespace icapgate::proxy
