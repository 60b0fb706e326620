#include "proxy/patience.hpp"

namespace icapgate::proxy {

milliseconds patience::begin(clock::time_point now, std::uint64_t moved) {
  began_ = now;
  if (moved != moved_) {
    idle_since_ = now;
    looked_.reset();
  }
  moved_ = moved;
  due_ = clock::time_point::max();
  if (limits_.idle.count() != 0) due_ = idle_since_ + limits_.idle;
  if (limits_.min_rate != 0) due_ = std::min(due_, now + (limits_.window - waited_));
  if (due_ == clock::time_point::max()) return milliseconds(0);
  return std::max(std::chrono::ceil<milliseconds>(due_ - now), milliseconds(1));
}

patience::verdict patience::judge(clock::time_point now, bool expired,
                                  std::optional<std::uint64_t> count) {
  if (is_window_over()) {
    if (count && is_too_slow(*count)) return verdict::too_slow;
    counted_ = count.value_or(0);
    waited_ = {};
  }
  if (!expired) return verdict::go_on;
  // Somebody else gave up on it.
  if (now < due_) return verdict::idle;
  // What the system still held for the peer may have gone to it meanwhile.
  const bool some = count && looked_ && *count > *looked_;
  if (some) idle_since_ = now;
  looked_ = count;
  const bool idle = limits_.idle.count() != 0 && now - idle_since_ >= limits_.idle;
  return idle ? verdict::idle : verdict::go_on;
}

bool patience::is_too_slow(std::uint64_t count) const {
  const auto bytes = static_cast<double>(count - std::min(count, counted_));
  return bytes <
         static_cast<double>(limits_.min_rate) * std::chrono::duration<double>(waited_).count();
}

}  // namespace icapgate::proxy
