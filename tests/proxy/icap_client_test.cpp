#include "proxy/icap_client.hpp"

#include "proxy/reload.hpp"
#include "proxy/worker.hpp"

#include "catch.hpp"

#include <list>
#include <memory>
#include <optional>

using namespace icapgate;
using namespace icapgate::proxy;

namespace {

config with_one_connection() {
  config out;
  route one;
  one.origins = {url{"http", "127.0.0.1", 1, {}}};
  one.scanners.servers = {url{"icap", "127.0.0.1", 1, "/avscan"}};
  out.routes = {one};
  out.icap_limits.connections = 1;
  return out;
}

// A scanner that takes one connection, which another worker has.
class busy_scanner {
 public:
  busy_scanner() {
    core_.all_deadlines.start();
    REQUIRE(state().try_open(clock::now()));
    elsewhere_.emplace(made_->scanners.front());
  }
  ~busy_scanner() { core_.all_deadlines.stop(); }

  scanner_state& state() { return *made_->scanners.front(); }
  void free() { elsewhere_.reset(); }

  // Begins a scan of its own, and runs what is due. `over` is set at its end.
  void scan(bool& over, cancellation* cancel = nullptr) {
    auto& one = scans_.emplace_back(*resources_);
    start(
        core_.context,
        resources_->scanners->respmod(made_->settings.routes.front(), one.job, one.whole,
                                      one.adapted, one.report),
        [&](const std::exception_ptr&) { over = true; }, cancel);
    core_.context.poll();
  }
  void run() { core_.context.poll(); }

 private:
  struct one_scan {
    explicit one_scan(worker_resources& by)
        : body(by.new_spool()), adapted(by.new_spool()), whole(body) {}
    body_spool body, adapted;
    body_intake whole;
    scan_job job;
    scan_report report;
  };

  const std::shared_ptr<const generation> made_ = make_generation(with_one_connection(), nullptr);
  access_log log_{"off"};
  worker_metrics metrics_;
  spool_budget budget_{1 << 20, 1 << 20};
  admission clients_{{}};
  worker_core core_{log_, metrics_, budget_, clients_, [] {}, [](task<void>) {}};
  const std::shared_ptr<worker_resources> resources_ =
      std::make_shared<worker_resources>(core_, made_, nullptr);
  std::optional<scanner_state::open_connection> elsewhere_;
  std::list<one_scan> scans_;
};

}  // namespace

TEST_CASE("scanner: who is cancelled when a connection becomes free does not keep its place") {
  busy_scanner scanner;
  cancellation cancel;
  bool over = false;
  scanner.scan(over, &cancel);
  REQUIRE_FALSE(over);
  scanner.free();
  cancel.emit();
  scanner.run();
  CHECK(over);
  CHECK(scanner.state().look(clock::now()).in_flight == 0);
  CHECK(scanner.state().look(clock::now()).connections == 0);
}

TEST_CASE("scanner: nobody waits behind somebody who was cancelled") {
  busy_scanner scanner;
  cancellation cancel;
  bool over = false, other_over = false;
  scanner.scan(over, &cancel);
  cancel.emit();
  scanner.run();
  REQUIRE(over);
  scanner.free();
  scanner.scan(other_over);
  // Its connection is refused at once; in a queue it would stay until the next tick.
  for (int i = 0; i < 100 && !other_over; ++i) scanner.run();
  CHECK(other_over);
}
