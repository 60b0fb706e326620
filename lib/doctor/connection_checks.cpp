// How the scanner treats connections: early answers, reuse, many at once, idle ones.
#include "base/chunked.hpp"
#include "base/units.hpp"
#include "doctor/examination.hpp"
#include "doctor/samples.hpp"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <memory>

namespace icapgate::doctor {
namespace {

namespace asio = proxy::asio;
using proxy::clock;

constexpr std::size_t upload_size = 4 << 20;
constexpr std::size_t upload_chunk = 32768;
constexpr std::size_t small_body = 2000;
constexpr unsigned exchanges_on_one = 3;
constexpr unsigned most_at_once = 10;
constexpr milliseconds at_once_within{1'000};
// Who closes sooner makes a pool useless.
constexpr milliseconds idle_time{2'000};

std::string in_chunks(std::string_view body, std::size_t each) {
  std::string out;
  while (!body.empty()) {
    const auto part = body.substr(0, each);
    const chunk_size_line size(part.size());
    ((out += size.view()) += part) += "\r\n";
    body.remove_prefix(part.size());
  }
  return out += last_chunk;
}

// Connections that ask for OPTIONS at the same time, each kept until all are done.
struct crowd {
  explicit crowd(asio::io_context& context) : all_done(context) {}

  asio::steady_timer all_done;
  std::vector<std::unique_ptr<proxy::stream>> connections;
  unsigned running = 0;
  unsigned answered = 0;
};

task<void> join(crowd& all, prober& by) {
  const auto began = clock::now();
  auto connected = co_await by.connect();
  if (connected) {
    auto& mine = **connected;
    all.connections.push_back(std::move(*connected));
    const auto seen = co_await by.ask_options(mine);
    if (seen.complete && clock::now() - began <= at_once_within) ++all.answered;
  }
  if (--all.running == 0) all.all_done.cancel();
}

}  // namespace

// A service that is not there: who answers only behind 4 MiB makes each refusal cost that much, and
// who closes at once loses its answer on the way.
task<finding> examination::early_answer() {
  auto connected = co_await prober_.connect();
  if (!connected) co_return doubtful(std::string(describe(connected.error()).text));
  auto elsewhere = prober_.scanner();
  elsewhere.path = "/icapgate-no-such-service";
  const auto text = harmless_text(upload_size);
  const auto wire = in_chunks(text, upload_chunk);
  const auto uri = elsewhere.request_uri();
  const auto sent = co_await prober_.send_raw(**connected, uri, wire, text.size());
  if (sent.reason != errc::complete)
    co_return doubtful("unknown service: " + std::string(describe(sent.reason).text),
                       "its refusals get lost, so a wrong path will look like a broken connection");
  const auto status = std::to_string(sent.answer.status);
  const auto when = sent.sent_before >= wire.size()
                        ? "after all of " + format_size(upload_size)
                        : "with " + format_size(sent.sent_before >> 10 << 10) + " of " +
                              format_size(upload_size) + " sent";
  outcome again;
  if (sent.sent_all) again = co_await prober_.ask_options(**connected);
  const auto after = again.complete ? "; the connection goes on" : "; the connection ends";
  const auto told = "unknown service: " + status + ' ' + when + after;
  if (sent.answer.status / 100 == 2)
    co_return doubtful(told, "any path is accepted, so a misspelt one can't be noticed");
  co_return passed(told);
}

task<finding> examination::reuse() {
  auto connected = co_await prober_.connect();
  if (!connected) co_return doubtful(std::string(describe(connected.error()).text));
  auto body = prober_.empty_spool();
  body.append(harmless_text(small_body));
  unsigned done = 0;
  for (bool open = true; open && done < exchanges_on_one; ++done) {
    const auto seen = co_await prober_.show(**connected, body, usual());
    if (!seen.complete) break;
    open = seen.reusable;
  }
  const auto text = std::to_string(done) + " of " + std::to_string(exchanges_on_one) +
                    " exchanges on one connection";
  if (done < exchanges_on_one)
    co_return doubtful(text, "a connection for each scan costs time: turn keep-alive on there");
  idle_connection_ = std::move(*connected);
  idle_connection_->expires_after(milliseconds(0));
  idle_since_ = clock::now();
  co_return passed(text);
}

task<finding> examination::parallel() {
  crowd all(context_);
  all.running = most_at_once;
  all.all_done.expires_at(clock::time_point::max());
  for (unsigned i = 0; i < most_at_once; ++i)
    proxy::start(context_, join(all, prober_), proxy::unwatched);
  while (all.running > 0) co_await all.all_done.async_wait(proxy::use_op);
  const auto text = std::to_string(all.answered) + " of " + std::to_string(most_at_once) +
                    " connections answered within a second";
  if (all.answered < most_at_once)
    co_return doubtful(text, "set connections to what it has workers for, or give it more");
  co_return passed(text);
}

task<finding> examination::idle() {
  if (!idle_connection_) co_return skipped("connections are not kept");
  asio::steady_timer pause(context_, idle_since_ + idle_time);
  co_await pause.async_wait(proxy::use_op);
  const auto time = std::chrono::duration_cast<milliseconds>(clock::now() - idle_since_);
  if (idle_connection_->is_quiet())
    co_return passed("open after " + std::to_string(time.count()) + " ms without use");
  known_.closed_idle = time;
  co_return doubtful("closed within " + std::to_string(time.count()) + " ms without use",
                     "it costs a new connection now and then; raise its keep-alive time");
}

}  // namespace icapgate::doctor
