// How many clients are served at once: in all, from one address, and as far as descriptors go.
#pragma once

#include "base/network.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace icapgate::proxy {

// Of the whole process; any thread. Without a limit per address no lock is taken.
class admission {
 public:
  struct limits {
    std::size_t all = 0;          // 0: no limit
    std::size_t per_address = 0;  // likewise; an IPv6 /64 counts as one address
    std::size_t descriptors = 0;  // of the process; 0: unknown
  };
  explicit admission(const limits& its);
  // From now on; whoever is in stays. The descriptors' number stays as it was.
  void change(const limits& to);

  // One client's place. Given back when it goes.
  class ticket {
   public:
    ticket() = default;
    ticket(ticket&& other) noexcept
        : from_(std::exchange(other.from_, nullptr)), address_(std::move(other.address_)) {
      other.address_.reset();
    }
    ticket& operator=(ticket&&) = delete;
    ~ticket();

    // Counts it under that address as well. False: that one has all that it may. Once.
    bool count(const ip_address& address);

   private:
    friend class admission;
    explicit ticket(admission& from) : from_(&from) {}

    admission* from_ = nullptr;
    std::optional<ip_address> address_;
  };

  // Nothing: the process has all the clients that it may.
  std::optional<ticket> enter();

  // Whether a client may have that descriptor. They are given out from the lowest free one upwards;
  // the last quarter is left to connections to origins and scanners, and to files.
  bool may_use(int descriptor) const;

 private:
  struct shard {
    std::mutex mutex;
    std::unordered_map<ip_address, std::size_t> clients;
  };
  shard& shard_of(const ip_address& key) { return shards_[key.hash() % shards_.size()]; }
  bool add(const ip_address& key);
  void remove(const ip_address& key);

  std::atomic<std::size_t> most_;
  std::atomic<std::size_t> most_per_address_;
  const std::size_t descriptors_;
  std::atomic<std::size_t> all_{0};
  std::array<shard, 16> shards_;
};

// Lets the process open as many descriptors as the system allows it to; that number. 0: unknown.
std::size_t raise_descriptor_limit();

}  // namespace icapgate::proxy
