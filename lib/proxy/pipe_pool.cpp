#include "proxy/pipe_pool.hpp"

#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace icapgate::proxy {
namespace {

// Of no bytes it does nothing, unless the system call is not there or filtered away.
bool may_splice() {
  return ::splice(-1, nullptr, -1, nullptr, 0, 0) == 0;
}

}  // namespace

pipe::~pipe() {
  if (pool_) pool_->give_back(*this);
}

void pipe::swap(pipe& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(ends_, other.ends_);
  std::swap(bytes_, other.bytes_);
}

pipe_pool::pipe_pool() : allowed_(may_splice()) {
  idle_.reserve(max_open);
}

pipe pipe_pool::acquire() {
  if (idle_.empty() && !open()) return {};
  const auto taken = idle_.back();
  idle_.pop_back();
  return {*this, taken};
}

bool pipe_pool::open() {
  if (open_ >= limit_ || !allowed_) return false;
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0) {
    ++open_;
    idle_.push_back({ends[1], ends[0]});
    // A user who has too much of it gets pipes of a page or two.
    if (::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(room)) >= static_cast<int>(room))
      return true;
    shrink(0);
  }
  limit_ = open_;
  return false;
}

void pipe_pool::rest() {
  shrink(max_at_rest);
  limit_ = max_open;
}

void pipe_pool::give_back(const pipe& one) {
  if (one.bytes() == 0)
    idle_.push_back(one.ends_);
  else
    close(one.ends_);
}

void pipe_pool::shrink(std::size_t most) {
  while (idle_.size() > most) {
    close(idle_.back());
    idle_.pop_back();
  }
}

void pipe_pool::close(const pipe::ends& one) {
  ::close(one.in);
  ::close(one.out);
  --open_;
}

}  // namespace icapgate::proxy
