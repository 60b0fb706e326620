#include "proxy/scanner_queue.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace icapgate::proxy {

scanner_queue::~scanner_queue() = default;

bool scanner_queue::holds_up(const group& among) const {
  const auto shares = [&](const place& one) {
    return std::ranges::find_first_of(one.among_, among) != one.among_.end();
  };
  return std::ranges::any_of(called_, shares) || std::ranges::any_of(waiting_, shares);
}

void scanner_queue::room_was_made(const scanner_state& at) {
  call_first(waiting_.begin(), at);
}

// Where there still is room: other workers may have taken it.
void scanner_queue::call_first(list::iterator from, const scanner_state& at) {
  const auto first =
      std::find_if(from, waiting_.end(), [&](const place& one) { return one.wants(at); });
  if (first != waiting_.end() && at.has_room(all_.now())) first->call();
}

scanner_queue::place::place(scanner_queue& in, const group& among)
    : deadline(in.all_),
      in_(in),
      among_(among),
      number_(++in.last_number_),
      bell_(poller::of(in.context_)) {
  in.waiting_.push_back(*this);
}

scanner_queue::place::~place() {
  queue_hook::unlink();
  tell(in_.waiting_.begin());
}

poll_wait scanner_queue::place::next_chance() {
  if (std::exchange(called_, false)) tell(std::next(take_former_place()));
  bell_.exhausted(io_kind::read);
  expires_at_tick();
  return {bell_, io_kind::read};
}

bool scanner_queue::place::wants(const scanner_state& one) const {
  return std::ranges::count(among_, &one) > 0;
}

void scanner_queue::place::call() {
  called_ = true;
  queue_hook::unlink();
  in_.called_.push_back(*this);
  bell_.wake(io_kind::read);
}

scanner_queue::list::iterator scanner_queue::place::take_former_place() {
  queue_hook::unlink();
  auto& queue = in_.waiting_;
  const auto later = [this](const place& one) { return one.number_ > number_; };
  return queue.insert(std::ranges::find_if(queue, later), *this);
}

void scanner_queue::place::tell(list::iterator from) {
  for (const auto* one : among_) in_.call_first(from, *one);
}

}  // namespace icapgate::proxy
