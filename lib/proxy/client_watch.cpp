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
  pollfd look{client_.socket().native_handle(), POLLRDHUP, 0};
  left_ = ::poll(&look, 1, 0) > 0;
  if (!left_) return expires_after(interval);
  if (cancel_) cancel_->emit(asio::cancellation_type::terminal);
}

}  // namespace icapgate::proxy
