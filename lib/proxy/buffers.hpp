// The buffers of one gathered write or scattered read.
#pragma once

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string_view>

namespace icapgate::proxy {

// Bounded, on the stack.
template <class Buffer>
class buffer_list {
 public:
  static constexpr std::size_t capacity = 24;

  buffer_list() {}
  buffer_list(const buffer_list& other) { *this = other; }
  buffer_list& operator=(const buffer_list& other) {
    if (this == &other) return *this;
    first_ = 0;
    count_ = static_cast<std::size_t>(std::copy(other.begin(), other.end(), items_) - items_);
    return *this;
  }

  void push(Buffer b) {
    if (b.size() != 0 && count_ < capacity) items_[count_++] = b;
  }
  void push(std::string_view text)
    requires std::same_as<Buffer, boost::asio::const_buffer>
  {
    push(boost::asio::const_buffer(text.data(), text.size()));
  }
  bool full() const { return count_ == capacity; }
  bool empty() const { return first_ == count_; }
  std::size_t bytes() const { return boost::asio::buffer_size(*this); }
  // Drops `n` bytes from the front.
  void consume(std::size_t n) {
    while (n > 0 && first_ < count_) {
      const auto taken = std::min(n, items_[first_].size());
      items_[first_] += taken;
      n -= taken;
      if (items_[first_].size() == 0) ++first_;
    }
  }

  const Buffer* begin() const { return items_ + first_; }
  const Buffer* end() const { return items_ + count_; }

 private:
  // Not set to zero beforehand: mostly one or two are used.
  union {
    Buffer items_[capacity];
  };
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

using const_buffers = buffer_list<boost::asio::const_buffer>;
using mutable_buffers = buffer_list<boost::asio::mutable_buffer>;

}  // namespace icapgate::proxy
