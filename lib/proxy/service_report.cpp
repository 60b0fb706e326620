#include "proxy/service_report.hpp"

#include <algorithm>
#include <utility>

namespace icapgate::proxy {
namespace {

// Between two looks at the numbers.
constexpr std::chrono::microseconds usual_pause = std::chrono::seconds(5);
// Of a stop that takes its time.
constexpr std::chrono::microseconds more_time = std::chrono::seconds(30);

}  // namespace

service_report::service_report(asio::io_context& context, service_manager manager, source from)
    : timer_(context), manager_(std::move(manager)), from_(std::move(from)) {}

void service_report::started() {
  if (!manager_.listens()) return;
  sign_of_life();
  manager_.ready();
  wait();
}

void service_report::reload_begins() {
  manager_.reloading();
}

void service_report::reload_ended() {
  sign_of_life();
  manager_.ready();
}

void service_report::stop_begins() {
  stopping_ = true;
  manager_.stopping();
  sign_of_life();
}

void service_report::wait() {
  const auto interval = manager_.watchdog_interval();
  timer_.expires_after(interval.count() == 0 ? usual_pause : std::min(usual_pause, interval / 2));
  timer_.async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    sign_of_life();
    wait();
  });
}

// A loop that stands still is found by the manager: nothing is said for it.
void service_report::sign_of_life() {
  if (!manager_.listens() || !from_.live()) return;
  manager_.watchdog();
  if (stopping_) manager_.extend_timeout(more_time);
  auto status = from_.status();
  if (status == told_) return;
  manager_.status(status);
  told_ = std::move(status);
}

}  // namespace icapgate::proxy
