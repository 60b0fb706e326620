// The buffers of one gathered write or scattered read.
#pragma once

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>

namespace icapgate::proxy {

// Bounded, on the stack.
template <class Buffer>
class buffer_list {
 public:
  static constexpr std::size_t capacity = 24;

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

  const Buffer* begin() const { return items_.data() + first_; }
  const Buffer* end() const { return items_.data() + count_; }

 private:
  std::array<Buffer, capacity> items_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

using const_buffers = buffer_list<boost::asio::const_buffer>;
using mutable_buffers = buffer_list<boost::asio::mutable_buffer>;

}  // namespace icapgate::proxy
