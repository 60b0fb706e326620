// Texts and lists that go round within one worker with the room that they have grown to, and places
// for objects, so that what every transaction needs costs no allocation.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace icapgate::proxy {

// T: a string or a vector. Worker thread only; outlives what it lends.
template <class T>
class recycler {
 public:
  // Bytes of one; what has grown larger is given back to the system.
  static constexpr std::size_t max_room = 8192;
  // Kept for reuse; and while nothing goes on.
  static constexpr std::size_t max_idle = 256;
  static constexpr std::size_t max_at_rest = 16;

  // An empty one.
  T take() {
    if (idle_.empty()) return {};
    T taken(std::move(idle_.back()));
    idle_.pop_back();
    return taken;
  }

  void give_back(T&& one) {
    const auto room = one.capacity() * sizeof(typename T::value_type);
    if (room == 0 || room > max_room || idle_.size() >= max_idle) {
      T().swap(one);
      return;
    }
    one.clear();
    idle_.push_back(std::move(one));
  }

  // Nothing goes on: gives back what a burst has left.
  void rest() {
    if (idle_.size() > max_at_rest) idle_.resize(max_at_rest);
  }

 private:
  std::vector<T> idle_;
};

// One of them, borrowed, empty at first; goes back by itself.
template <class T>
class lent {
 public:
  explicit lent(recycler<T>& from) : from_(from), it_(from.take()) {}
  ~lent() { from_.give_back(std::move(it_)); }
  lent(const lent&) = delete;
  lent& operator=(const lent&) = delete;

  T& operator*() { return it_; }
  const T& operator*() const { return it_; }
  T* operator->() { return &it_; }
  const T* operator->() const { return &it_; }

 private:
  recycler<T>& from_;
  T it_;
};

// Worker thread only; outlives the objects that it makes.
template <class T>
class place_pool {
 public:
  static constexpr std::size_t max_idle = 64;
  static constexpr std::size_t max_at_rest = 2;

  struct give_back {
    place_pool* to;
    void operator()(T* one) const {
      one->~T();
      if (place its(one); to->idle_.size() < max_idle) to->idle_.push_back(std::move(its));
    }
  };
  using pointer = std::unique_ptr<T, give_back>;

  template <class... Args>
  pointer make(Args&&... args) {
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    if (idle_.empty()) idle_.emplace_back(::operator new(sizeof(T)));
    auto* made = ::new (idle_.back().get()) T(std::forward<Args>(args)...);
    [[maybe_unused]] auto* taken = idle_.back().release();
    idle_.pop_back();
    return pointer(made, {this});
  }

  // Nothing goes on: gives back what a burst has left.
  void rest() {
    if (idle_.size() > max_at_rest) idle_.resize(max_at_rest);
  }

 private:
  struct free_place {
    void operator()(void* one) const { ::operator delete(one); }
  };
  using place = std::unique_ptr<void, free_place>;

  std::vector<place> idle_;
};

}  // namespace icapgate::proxy
