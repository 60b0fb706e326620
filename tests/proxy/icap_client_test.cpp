#include "proxy/icap_client.hpp"

#include "proxy/reload.hpp"
#include "proxy/worker.hpp"

#include "catch.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <functional>
#include <list>
#include <memory>
#include <vector>

using namespace icapgate;
using namespace icapgate::proxy;

namespace {

constexpr auto admission_granted = scanner_state::admission::granted;

config with_connections(std::size_t number, std::uint16_t port) {
  config out;
  route one;
  one.origins = {url{"http", "127.0.0.1", 1, {}}};
  one.scanners.servers = {url{"icap", "127.0.0.1", port, "/avscan"}};
  out.routes = {one};
  out.icap_limits.connections = number;
  return out;
}

// A scanner that takes so many connections, which another worker has.
class busy_scanner {
 public:
  // At `port`; at this one nobody listens.
  explicit busy_scanner(std::size_t connections = 1, std::uint16_t port = 1)
      : made_(make_generation(with_connections(connections, port), nullptr)) {
    for (std::size_t i = 0; i < connections; ++i) {
      REQUIRE(state().try_open(clock::now()));
      elsewhere_.emplace_back(made_->scanners.front());
    }
  }
  ~busy_scanner() {
    for (auto& one : scans_) one.cancel.emit();
    core_.all_deadlines.stop();
    run();
  }

  // A scan, from its begin() on.
  struct scan {
    explicit scan(worker_resources& by)
        : body(by.new_spool()), adapted(by.new_spool()), whole(body) {}
    body_spool body, adapted;
    body_intake whole;
    scan_job job;
    scan_report report;
    cancellation cancel;
    bool over = false;
    std::function<void()> then = [] {};  // at its end
  };

  scanner_state& state() { return *made_->scanners.front(); }
  void free() { elsewhere_.clear(); }
  // Other workers are looked at from now on.
  void tick() { core_.all_deadlines.start(); }

  // Runs what is due.
  scan& begin() {
    auto& one = scans_.emplace_back(*resources_);
    begin(one, respmod(one));
    return one;
  }
  // One that comes when open_gate() lets it in.
  scan& begin_at_gate() {
    auto& one = scans_.emplace_back(*resources_);
    begin(one, respmod_at_gate(one));
    return one;
  }
  void open_gate() { gate_.wake(io_kind::read); }
  // How many things were due.
  std::size_t run() {
    core_.context.restart();
    return core_.context.poll();
  }

 private:
  task<void> respmod(scan& one) {
    return resources_->scanners->respmod(made_->settings.routes.front(), one.job, one.whole,
                                         one.adapted, one.report);
  }
  task<void> respmod_at_gate(scan& one) {
    gate_.exhausted(io_kind::read);
    co_await poll_wait(gate_, io_kind::read);
    co_await respmod(one);
  }
  void begin(scan& one, task<void> work) {
    const auto ended = [&one](const std::exception_ptr&) {
      one.over = true;
      one.then();
    };
    start(core_.context, std::move(work), ended, &one.cancel);
    run();
  }

  const std::shared_ptr<const generation> made_;
  access_log log_{"off"};
  worker_metrics metrics_;
  spool_budget budget_{1 << 20, 1 << 20};
  admission clients_{{}};
  worker_core core_{log_, metrics_, budget_, clients_, [] {}, [](task<void>) {}};
  const std::shared_ptr<worker_resources> resources_ =
      std::make_shared<worker_resources>(core_, made_, nullptr);
  std::list<scanner_state::open_connection> elsewhere_;
  polled gate_{poller::of(core_.context)};
  std::list<scan> scans_;
};

}  // namespace

TEST_CASE("scanner: who is cancelled when a connection becomes free does not keep its place") {
  busy_scanner scanner;
  auto& one = scanner.begin();
  REQUIRE_FALSE(one.over);
  scanner.free();
  scanner.tick();
  one.cancel.emit();
  scanner.run();
  CHECK(one.over);
  CHECK(scanner.state().look(clock::now()).in_flight == 0);
  CHECK(scanner.state().look(clock::now()).connections == 0);
}

TEST_CASE("scanner: nobody waits behind somebody who was cancelled") {
  busy_scanner scanner;
  auto& one = scanner.begin();
  one.cancel.emit();
  scanner.run();
  REQUIRE(one.over);
  scanner.free();
  const auto& other = scanner.begin();
  // Its connection is refused at once; in a queue it would stay until the next tick.
  for (int i = 0; i < 100 && !other.over; ++i) scanner.run();
  CHECK(other.over);
}

TEST_CASE("scanner: for each turn that ends one of those in the queue goes on at once") {
  asio::io_context context;
  const asio::ip::tcp::acceptor silent(context, {asio::ip::address_v4::loopback(), 0});
  busy_scanner scanner(3, silent.local_endpoint().port());
  scanner.free();
  std::vector<busy_scanner::scan*> first, queued;
  for (int i = 0; i < 3; ++i) first.push_back(&scanner.begin());
  for (int i = 0; i < 4; ++i) queued.push_back(&scanner.begin());
  REQUIRE(scanner.state().look(clock::now()).in_flight == 3);
  for (auto* one : first) one->cancel.emit();
  for (int i = 0; i < 10; ++i) scanner.run();
  for (const auto* one : first) CHECK(one->over);
  for (const auto* one : queued) CHECK_FALSE(one->over);
  CHECK(scanner.state().look(clock::now()).in_flight == 3);
}

TEST_CASE("scanner: for room that another worker took meanwhile not all of the queue are woken") {
  asio::io_context context;
  const asio::ip::tcp::acceptor silent(context, {asio::ip::address_v4::loopback(), 0});
  busy_scanner scanner(1, silent.local_endpoint().port());
  scanner.free();
  auto& first = scanner.begin();
  for (int i = 0; i < 400; ++i) scanner.begin();
  first.then = [&] { REQUIRE(scanner.state().begin(clock::now()) == admission_granted); };
  first.cancel.emit();
  std::size_t due = 0;
  for (int i = 0; i < 100; ++i) due += scanner.run();
  REQUIRE(first.over);
  // The loop of sockets, of eight rounds, is one of them.
  CHECK(due < 10);
  CHECK(scanner.state().in_flight() == 1);
  scanner.state().end(scanner_state::outcome::unrelated, clock::now());
}

TEST_CASE("scanner: who comes before those that were called have gone on waits for no tick") {
  asio::io_context context;
  const asio::ip::tcp::acceptor silent(context, {asio::ip::address_v4::loopback(), 0});
  busy_scanner scanner(2, silent.local_endpoint().port());
  scanner.free();
  auto& one = scanner.begin();
  auto& other = scanner.begin();
  scanner.begin();  // queued
  scanner.begin_at_gate();
  REQUIRE(scanner.state().in_flight() == 2);
  one.cancel.emit();
  other.cancel.emit();
  scanner.open_gate();
  for (int i = 0; i < 10; ++i) scanner.run();
  REQUIRE(one.over);
  REQUIRE(other.over);
  CHECK(scanner.state().in_flight() == 2);
}
