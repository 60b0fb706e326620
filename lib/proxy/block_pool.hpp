// Memory that goes round within one worker, so that bodies and heads cost no allocation.
#pragma once

#include "proxy/poison.hpp"
#include "proxy/recycler.hpp"

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace icapgate::proxy {

class block_pool;

// One block, borrowed; goes back by itself.
class block {
 public:
  static constexpr std::size_t size = 16384;

  block() = default;
  block(block_pool& pool, std::unique_ptr<char[]> memory)
      : pool_(&pool), memory_(std::move(memory)) {}
  block(block&& other) noexcept = default;
  block& operator=(block&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~block();

  explicit operator bool() const { return memory_ != nullptr; }
  char* data() { return memory_.get(); }
  const char* data() const { return memory_.get(); }

 private:
  block_pool* pool_ = nullptr;
  std::unique_ptr<char[]> memory_;
};

// Worker thread only; outlives its blocks.
class block_pool {
 public:
  // Blocks kept for reuse beyond those that are lent; the rest is given back to the system.
  static constexpr std::size_t max_idle = 1024;
  // And while nothing goes on.
  static constexpr std::size_t max_at_rest = 4;

  block acquire() {
    if (idle_.empty()) return {*this, std::make_unique_for_overwrite<char[]>(block::size)};
    block taken(*this, std::move(idle_.back()));
    idle_.pop_back();
    unpoison(taken.data(), block::size);
    return taken;
  }

  // Nothing goes on: gives back what a burst has left.
  void rest() {
    if (idle_.size() > max_at_rest) idle_.resize(max_at_rest);
    texts.rest();
    heads.rest();
  }

  recycler<std::string> texts;
  // For heads on their way out: these are back soon, and few go round for many transactions.
  recycler<std::string> heads;

 private:
  friend class block;
  void give_back(std::unique_ptr<char[]> memory) {
    if (idle_.size() >= max_idle) return;
    poison(memory.get(), block::size);
    idle_.push_back(std::move(memory));
  }

  std::vector<std::unique_ptr<char[]>> idle_;
};

inline block::~block() {
  if (memory_) pool_->give_back(std::move(memory_));
}

}  // namespace icapgate::proxy
