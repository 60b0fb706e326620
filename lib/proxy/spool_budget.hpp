// What the spooled bodies of the whole process may take up, in memory and on disk.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace icapgate::proxy {

// Any thread; outlives the spools. Who waits for room looks again from time to time: nobody is
// told.
class spool_budget {
 public:
  // Bytes. Memory is lent in whole blocks: what is left over of a limit that is no multiple of
  // block::size is never used. 0: none of it.
  spool_budget(std::size_t memory_limit, std::uint64_t disk_limit);
  // From now on; what is taken stays so.
  void change(std::size_t memory_limit, std::uint64_t disk_limit);
  spool_budget(const spool_budget&) = delete;
  spool_budget& operator=(const spool_budget&) = delete;

  // Takes up to `want` blocks. Returns how many: 0 if there are none.
  std::size_t take_blocks(std::size_t want);
  void give_blocks(std::size_t count);

  // Takes `least` to `want` bytes of disk. Returns how many: 0 if there are fewer than `least`.
  std::uint64_t take_disk(std::uint64_t want, std::uint64_t least = 1);
  void give_disk(std::uint64_t bytes);

  std::size_t memory_used() const;
  std::size_t memory_limit() const { return memory_limit_.load(std::memory_order_relaxed); }
  std::uint64_t disk_used() const { return disk_.load(std::memory_order_relaxed); }
  std::uint64_t disk_limit() const { return disk_limit_.load(std::memory_order_relaxed); }

  // A body had to wait for room; one was given up for want of room. Counted by who waits.
  void count_wait() { waits_.fetch_add(1, std::memory_order_relaxed); }
  void count_refusal() { refusals_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t waits() const { return waits_.load(std::memory_order_relaxed); }
  std::uint64_t refusals() const { return refusals_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> memory_limit_;
  std::atomic<std::uint64_t> disk_limit_;
  // Cache lines of their own: workers that spool to disk don't slow down those that don't.
  alignas(64) std::atomic<std::size_t> blocks_{0};
  alignas(64) std::atomic<std::uint64_t> disk_{0};
  alignas(64) std::atomic<std::uint64_t> waits_{0};
  std::atomic<std::uint64_t> refusals_{0};
};

}  // namespace icapgate::proxy
