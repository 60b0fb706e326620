#include "proxy/deadline.hpp"

#include "catch.hpp"

#include <boost/asio/post.hpp>

#include <functional>

namespace asio = boost::asio;
using icapgate::proxy::deadlines;

TEST_CASE("Deadlines: a tick that has fired when they are stopped does not begin another") {
  asio::io_context context(1);
  int ticks = 0;
  deadlines all(context, [&] { ++ticks; });
  all.start();
  const auto due = icapgate::proxy::clock::now() + 2 * deadlines::tick;
  // While this handler keeps the loop busy the tick comes due, so it stands behind the stop in the
  // queue.
  asio::post(context, [&] {
    while (icapgate::proxy::clock::now() < due) continue;
    asio::post(context, [&] { all.stop(); });
  });
  // With a tick begun anew the loop would go on; given enough time it would turn again.
  context.run_for(10 * deadlines::tick);
  CHECK(context.stopped());
  CHECK(ticks == 0);
}

TEST_CASE("Deadlines: the time of what begins while the loop is late is not cut short") {
  struct witness final : icapgate::proxy::deadline {
    using deadline::deadline;
    void on_expired() override { when = icapgate::proxy::clock::now(); }
    icapgate::proxy::clock::time_point when{};
  };
  asio::io_context context(1);
  icapgate::proxy::clock::time_point set{};
  std::function<void()> on_tick;
  deadlines all(context, [&] { on_tick(); });
  witness one(all), earlier(all);
  earlier.expires_after(3 * deadlines::tick);
  int ticks = 0;
  on_tick = [&] {
    if (++ticks != 1) return;
    const auto until = icapgate::proxy::clock::now() + 6 * deadlines::tick;
    while (icapgate::proxy::clock::now() < until) continue;
    one.expires_after(3 * deadlines::tick);
    set = icapgate::proxy::clock::now();
  };
  all.start();
  context.run_for(15 * deadlines::tick);
  CHECK(one.expired());
  CHECK(one.when - set >= 3 * deadlines::tick);
  // What waits since before has had its time.
  CHECK(earlier.expired());
  CHECK(earlier.when < one.when);
}
