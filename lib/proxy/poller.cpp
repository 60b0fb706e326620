#include "proxy/poller.hpp"

#include <cerrno>
#include <system_error>

namespace icapgate::proxy {
namespace {

// How often it looks for more before what else is in the loop has its turn.
constexpr int most_rounds = 8;

constexpr std::uint32_t any_failure = EPOLLHUP | EPOLLERR;
constexpr std::uint32_t any_input = EPOLLIN | EPOLLPRI | EPOLLRDHUP | any_failure;
constexpr std::uint32_t any_output = EPOLLOUT | any_failure;

int new_epoll() {
  const int made = ::epoll_create1(EPOLL_CLOEXEC);
  if (made < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return made;
}

}  // namespace

// --- a socket

polled::~polled() {
  for (auto& side : sides_)
    while (!side.waiting.empty()) {
      auto& one = side.waiting.front();
      one.unlink();
      one.on = nullptr;
      by_.ready(*one.who);
    }
}

// What is there to be read now is told at once.
void polled::watch(int socket) {
  socket_ = socket;
  exhausted(io_kind::read);
  set(EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

// The system forgets a socket that is closed.
void polled::closed() {
  socket_ = -1;
  end();
  wake(io_kind::read);
  wake(io_kind::write);
}

void polled::end() {
  for (auto& one : sides_) {
    one.ended = true;
    one.blocked = false;
  }
}

void polled::wake(io_kind what) {
  for (const auto& one : at(what).waiting) by_.ready(*one.who);
}

// The end of what the peer sends is told once, leaves the socket readable for ever, and says
// nothing of what it receives.
void polled::note(std::uint32_t events) {
  if (events & any_input) {
    auto& input = at(io_kind::read);
    input.ended = input.ended || (events & (EPOLLRDHUP | any_failure)) != 0;
    input.blocked = false;
    wake(io_kind::read);
  }
  if (events & any_output) {
    auto& output = at(io_kind::write);
    output.ended = output.ended || (events & any_failure) != 0;
    output.blocked = false;
    wake(io_kind::write);
  }
}

// Most sockets are never too full to be written to: this is asked for once it is wanted.
void polled::expect(io_kind what) {
  if (what == io_kind::read || expects_room_ || socket_ < 0) return;
  expects_room_ = true;
  set(EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

// Where the system has no memory for it, the socket is tried too often, and not never.
void polled::set(int operation, std::uint32_t events) {
  epoll_event wanted{};
  wanted.events = events;
  wanted.data.ptr = this;
  if (::epoll_ctl(by_.epoll_.native_handle(), operation, socket_, &wanted) != 0) end();
}

// --- a wait

void poll_wait::begin(std::coroutine_handle<> waiting, chain& of) {
  waiting_ = waiting;
  of_ = &of;
  by_ = &slots_[0].on->by_;
  bool ready = of.is_cancelled();
  for (auto& one : slots_) {
    if (!one.on) continue;
    one.who = this;
    one.on->at(one.what).waiting.push_back(one);
    if (!one.on->is_ready(one.what)) one.on->expect(one.what);
    ready = ready || one.on->is_ready(one.what);
  }
  if (of.cancel) of.cancel->add(*this);
  by_->add(*this, ready);
}

void poll_wait::stop() {
  by_->ready(*this);
}

void poll_wait::leave() {
  for (auto& one : slots_) one.unlink();
  listener::unlink();
  if (!poll_hook::is_linked()) return;
  poll_hook::unlink();
  by_->left();
}

// --- all of them

asio::execution_context::id poller::id;

poller::poller(asio::io_context& context)
    : service(context), context_(context), epoll_(context, new_epoll()) {}

// Who waits would do so for ever. The end of one may make another ready.
void poller::shutdown() {
  running_ = true;
  while (!ready_.empty() || !waiting_.empty())
    (ready_.empty() ? waiting_ : ready_).front().of_->destroy();
  boost::system::error_code ignored;
  epoll_.close(ignored);
}

void poller::add(poll_wait& one, bool is_ready) {
  (is_ready ? ready_ : waiting_).push_back(one);
  look_again();
}

void poller::ready(poll_wait& one) {
  one.poll_hook::unlink();
  ready_.push_back(one);
  look_again();
}

void poller::left() {
  look_again();
}

// A loop in which nothing waits any more may end.
void poller::look_again() {
  if (running_) return;
  if (!ready_.empty())
    schedule();
  else if (!waiting_.empty())
    arm();
  else if (armed_)
    epoll_.cancel();
}

void poller::run() {
  running_ = true;
  collect();
  for (int round = 1; !ready_.empty(); ++round) {
    resume_ready();
    collect();
    if (round == most_rounds) break;
  }
  running_ = false;
  look_again();
}

// Nothing is resumed yet: whatever an event is about is still there.
void poller::collect() {
  const int count =
      ::epoll_wait(epoll_.native_handle(), events_.data(), static_cast<int>(events_.size()), 0);
  for (int i = 0; i < count; ++i)
    static_cast<polled*>(events_[static_cast<std::size_t>(i)].data.ptr)
        ->note(events_[static_cast<std::size_t>(i)].events);
}

// Those that become ready meanwhile have their turn after the others.
void poller::resume_ready() {
  wait_list now;
  now.swap(ready_);
  while (!now.empty()) {
    auto& one = now.front();
    one.leave();
    one.waiting_.resume();
  }
}

void poller::arm() {
  if (armed_) return;
  armed_ = true;
  epoll_.async_wait(asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& ec) {
                      armed_ = false;
                      if (!ec)
                        run();
                      else if (ec != asio::error::bad_descriptor)
                        look_again();
                    });
}

void poller::schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  asio::post(context_, [this] {
    scheduled_ = false;
    run();
  });
}

}  // namespace icapgate::proxy
