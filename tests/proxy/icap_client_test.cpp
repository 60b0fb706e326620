#include "proxy/icap_client.hpp"

#include "proxy/reload.hpp"
#include "proxy/worker.hpp"

#include "catch.hpp"

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

}  // namespace

TEST_CASE("scanner: who is cancelled when a connection becomes free does not keep its place") {
  const auto made = make_generation(with_one_connection(), nullptr);
  auto& state = made->scanners.front();
  access_log log("off");
  worker_metrics metrics;
  spool_budget budget(1 << 20, 1 << 20);
  admission clients({});
  worker_core core(log, metrics, budget, clients, [] {}, [](task<void>) {});
  core.all_deadlines.start();
  const auto resources = std::make_shared<worker_resources>(core, made, nullptr);
  auto body = resources->new_spool(), adapted = resources->new_spool();
  body_intake whole(body);
  const scan_job job{};
  scan_report report;

  // Another worker has the only one.
  REQUIRE(state->try_open(clock::now()));
  std::optional<scanner_state::open_connection> elsewhere(state);
  cancellation cancel;
  bool over = false;
  start(
      core.context,
      resources->scanners->respmod(made->settings.routes.front(), job, whole, adapted, report),
      [&](const std::exception_ptr&) { over = true; }, &cancel);
  core.context.poll();
  REQUIRE_FALSE(over);
  elsewhere.reset();
  cancel.emit();
  core.context.poll();
  CHECK(over);
  CHECK(state->look(clock::now()).in_flight == 0);
  CHECK(state->look(clock::now()).connections == 0);
  core.all_deadlines.stop();
}
