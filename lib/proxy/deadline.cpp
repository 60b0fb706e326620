#include "proxy/deadline.hpp"

#include <utility>

namespace icapgate::proxy {

deadline::deadline(deadlines& all) : all_(all) {
  all.all_.push_back(*this);
}

void deadline::expires_after(milliseconds time) {
  if (all_.given_up_) return expire_now();
  expired_ = false;
  since_tick_ = time.count() != 0;
  at_ = since_tick_ ? all_.now_ + time + deadlines::tick : clock::time_point::max();
}

void deadline::expires_at_tick() {
  if (all_.given_up_) return expire_now();
  expired_ = false;
  since_tick_ = false;
  at_ = all_.now_;
}

clock::time_point deadline::now() const {
  return all_.now_;
}

asio::io_context& deadline::context() const {
  return all_.context();
}

void deadline::expire_now() {
  if (expired_) return;
  expired_ = true;
  on_expired();
}

deadlines::deadlines(asio::io_context& context, std::function<void()> on_tick)
    : context_(context), timer_(context), on_tick_(std::move(on_tick)) {}

void deadlines::start() {
  now_ = clock::now();
  arm();
}

void deadlines::stop() {
  stopped_ = true;
  timer_.cancel();
}

void deadlines::expire_all() {
  given_up_ = true;
  for (auto& d : all_) d.expire_now();
}

void deadlines::arm() {
  timer_.expires_after(tick);
  timer_.async_wait([this](const boost::system::error_code& ec) {
    // A tick that had fired when the timer was cancelled still comes as a success.
    if (ec || stopped_) return;
    const auto last = std::exchange(now_, clock::now());
    look(now_ - last - tick);
    on_tick_();
    arm();
  });
}

// Waking a waiter resumes nothing at once, so the list can't change under the loop.
void deadlines::look(clock::duration late) {
  for (auto& d : all_) {
    if (std::exchange(d.since_tick_, false)) d.at_ += late;
    if (d.at_ <= now_) d.expire_now();
  }
}

}  // namespace icapgate::proxy
