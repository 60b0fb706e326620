// Texts and lists that go round within one worker with the room that they have grown to, so that
// what every transaction needs costs no allocation.
#pragma once

#include "proxy/poison.hpp"

#include <cstddef>
#include <utility>
#include <vector>

namespace icapgate::proxy {

// T: a string or a vector. Worker thread only; outlives what it lends.
template <class T>
class recycler {
 public:
  // Bytes of one; what has grown larger is given back to the system, and what has not grown beyond
  // the object itself is not worth keeping.
  static constexpr std::size_t max_room = 8192;
  // Kept for reuse; and while nothing goes on.
  static constexpr std::size_t max_idle = 1024;
  static constexpr std::size_t max_at_rest = 16;

  // An empty one.
  T take() {
    if (idle_.empty()) return {};
    T taken(std::move(idle_.back()));
    idle_.pop_back();
    unpoison(taken.data(), room_of(taken));
    return taken;
  }

  void give_back(T&& one) {
    const auto room = room_of(one);
    if (room <= sizeof(T) || room > max_room || idle_.size() >= max_idle) {
      T().swap(one);
      return;
    }
    one.clear();
    idle_.push_back(std::move(one));
    poison(idle_.back().data(), room);
  }

  // Nothing goes on: gives back what a burst has left.
  void rest() {
    if (idle_.size() > max_at_rest) idle_.resize(max_at_rest);
  }

 private:
  static std::size_t room_of(const T& one) {
    return one.capacity() * sizeof(typename T::value_type);
  }

  std::vector<T> idle_;
};

// One of them, borrowed from its first use on, empty at first; goes back by itself. What is given
// back early is what others use next, while it is still in the processor's cache.
template <class T>
class lent {
 public:
  explicit lent(recycler<T>& from) : from_(from) {}
  ~lent() { release(); }
  lent(const lent&) = delete;
  lent& operator=(const lent&) = delete;

  T& operator*() { return use(); }
  T* operator->() { return &use(); }
  const T& operator*() const { return it_; }
  const T* operator->() const { return &it_; }

  // It is of no use any more; the next use borrows another.
  void release() {
    if (!std::exchange(borrowed_, false)) return;
    from_.give_back(std::move(it_));
    it_ = T();
  }

 private:
  T& use() {
    if (!std::exchange(borrowed_, true)) it_ = from_.take();
    return it_;
  }

  recycler<T>& from_;
  T it_;
  bool borrowed_ = false;
};

}  // namespace icapgate::proxy
