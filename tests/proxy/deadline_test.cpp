#include "proxy/deadline.hpp"

#include "catch.hpp"

#include <boost/asio/post.hpp>

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
