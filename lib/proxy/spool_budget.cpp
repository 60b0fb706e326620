#include "proxy/spool_budget.hpp"

#include "proxy/block_pool.hpp"

#include <algorithm>

namespace icapgate::proxy {
namespace {

// No data is handed over by these numbers, so their order among other memory does not matter.
template <class Number>
Number take(std::atomic<Number>& used, Number limit, Number want, Number least) {
  auto before = used.load(std::memory_order_relaxed);
  Number granted = 0;
  do {
    granted = before < limit ? std::min(want, static_cast<Number>(limit - before)) : 0;
    if (granted < least || granted == 0) return 0;
  } while (!used.compare_exchange_weak(before, before + granted, std::memory_order_relaxed));
  return granted;
}

}  // namespace

spool_budget::spool_budget(std::size_t memory_limit, std::uint64_t disk_limit)
    : memory_limit_(memory_limit), disk_limit_(disk_limit) {}

void spool_budget::change(std::size_t memory_limit, std::uint64_t disk_limit) {
  memory_limit_.store(memory_limit, std::memory_order_relaxed);
  disk_limit_.store(disk_limit, std::memory_order_relaxed);
}

std::size_t spool_budget::take_blocks(std::size_t want) {
  return take<std::size_t>(blocks_, memory_limit() / block::size, want, 1);
}

void spool_budget::give_blocks(std::size_t count) {
  if (count > 0) blocks_.fetch_sub(count, std::memory_order_relaxed);
}

std::uint64_t spool_budget::take_disk(std::uint64_t want, std::uint64_t least) {
  return take<std::uint64_t>(disk_, disk_limit(), want, least);
}

void spool_budget::give_disk(std::uint64_t bytes) {
  if (bytes > 0) disk_.fetch_sub(bytes, std::memory_order_relaxed);
}

std::size_t spool_budget::memory_used() const {
  return blocks_.load(std::memory_order_relaxed) * block::size;
}

}  // namespace icapgate::proxy
