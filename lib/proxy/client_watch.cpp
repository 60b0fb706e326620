#include "proxy/client_watch.hpp"

#include <poll.h>

namespace icapgate::proxy {

void client_watch::begin() {
  on_ = true;
  expires_after(interval);
}

void client_watch::end() {
  on_ = false;
  expires_after(milliseconds(0));
}

void client_watch::on_expired() {
  if (!on_ || left_) return;
  pollfd look{client_.number(), POLLRDHUP, 0};
  left_ = ::poll(&look, 1, 0) > 0;
  if (!left_) return expires_after(interval);
  if (cancel_) cancel_->emit();
}

void client_watch::request_time::begin(milliseconds longest) {
  over_ = false;
  end_ = longest.count() == 0 ? clock::time_point::max() : now() + longest;
  expires_after(longest);
}

void client_watch::request_time::end() {
  end_ = clock::time_point::max();
  expires_after(milliseconds(0));
}

// Where all deadlines are given up, what waits is told by its own.
void client_watch::request_time::on_expired() {
  over_ = now() >= end_;
  if (over_ && cancel_) cancel_->emit();
}

}  // namespace icapgate::proxy
