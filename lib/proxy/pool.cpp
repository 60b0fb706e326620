#include "proxy/pool.hpp"

namespace icapgate::proxy {
namespace {

constexpr std::chrono::minutes forget_step{1};

}  // namespace

milliseconds idle_limit::now(clock::time_point at) {
  while (limit_ != allowed_ && at - learned_ >= forget_step) {
    learned_ += forget_step;
    limit_ += limit_ / 2;
    const bool endless = allowed_.count() == 0 && limit_ > std::chrono::hours(24);
    if (endless || (allowed_.count() != 0 && limit_ > allowed_)) limit_ = allowed_;
  }
  return limit_;
}

void idle_limit::closed_by_peer(milliseconds age, clock::time_point at) {
  auto lesson = std::max(least, age - age / 4);
  if (allowed_.count() != 0) lesson = std::min(lesson, allowed_);
  const auto current = now(at);
  if (current.count() != 0 && lesson >= current) return;
  limit_ = lesson;
  learned_ = at;
}

void poll_now(std::span<pollfd> sockets) {
  // On failure nothing is marked; the next tick looks again.
  ::poll(sockets.data(), sockets.size(), 0);
}

}  // namespace icapgate::proxy
