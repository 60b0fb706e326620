// Counters of one worker. Its own thread writes, the admin thread reads: no lock, no shared cache
// line between workers.
#pragma once

#include "base/error.hpp"
#include "base/log.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace icapgate {

// One writer, any readers.
class counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Durations in buckets.
class histogram {
 public:
  // Upper bounds in seconds; one more bucket takes the rest.
  static constexpr std::array bounds{0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,
                                     1.0,   2.5,  5.0,   10.0, 30.0, 60.0, 300.0};

  void observe(double seconds);

  std::array<counter, bounds.size() + 1> buckets;
  counter sum_microseconds;
};

// One T for each name, as long as the process runs: what a reload takes out of the settings keeps
// its numbers. Any thread; what it gives away stays where it is.
template <class T>
class by_name {
 public:
  T& operator[](const std::string& name) {
    const std::lock_guard lock(mutex_);
    return values_[name];
  }

  // use(name, value) for each, by name.
  template <class Use>
  void each(Use use) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, value] : values_) use(name, value);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, T> values_;
};

// Why a connection was closed before anything of it was read.
enum class refusal : std::uint8_t {
  max_connections,
  max_per_address,
  descriptors,  // what is left of them is for connections to origins and scanners, and for files
  count_        // not a reason
};

// Of one origin, in one worker.
struct origin_metrics {
  counter requests, in_flight, failures;
  counter ejected;  // 1: left alone for a while
};

// Of one event loop's look-ups of names.
struct dns_metrics {
  counter lookups, failures, cache_hits;
};

struct alignas(64) worker_metrics {
  static constexpr std::size_t reasons = static_cast<std::size_t>(errc::gateway_internal) + 1;

  std::array<counter, reasons> transactions;  // by end reason
  std::array<counter, 600> responses;         // by HTTP status sent to the client
  counter scans_clean, scans_adapted, scans_blocked, scans_unscannable, scans_failed;
  counter scans_trickled;   // of the blocked ones: a shorter copy under an unchanged status
  counter scans_postponed;  // given up for a while, since the body came too slowly
  std::array<counter, static_cast<std::size_t>(unscanned::count_)> unscanned_by;
  by_name<counter> rule_hits;         // responses that a rule decided over, by its reason
  by_name<origin_metrics> origins;    // by URL
  counter late_aborts, leaked_bytes;  // after a part had dripped to the client
  counter received_bytes, sent_bytes, scanned_bytes;
  std::array<counter, static_cast<std::size_t>(refusal::count_)> clients_refused;
  counter clients_accepted, clients_open, transactions_open;
  counter origin_connects, origin_failovers, icap_connects, icap_retries, icap_failovers;
  dns_metrics dns;
  histogram request_seconds, scan_seconds;
  std::atomic<std::int64_t> heartbeat{0};  // steady clock, nanoseconds, at the last tick
};

// One ICAP server now, for the whole process.
struct scanner_metrics {
  std::string uri;
  bool up = false;       // scans may go there
  bool probed = false;   // there was a canary
  bool detects = false;  // the last one was found
  bool respmod = true;   // OPTIONS lists it, or names no methods
  std::size_t in_flight = 0;
  std::size_t connections = 0;  // open, idle ones counted
  std::size_t limit = 0;        // of both
  std::uint64_t istag_changes = 0;
  std::uint64_t busy_answers = 0;
};

// The spools of the whole process now.
struct spool_metrics {
  std::uint64_t memory = 0, memory_limit = 0;  // bytes
  std::uint64_t disk = 0, disk_limit = 0;      // likewise
  std::uint64_t waits = 0, refusals = 0;       // for want of room
};

// How often the settings were read again while the process ran.
struct reload_metrics {
  std::uint64_t done = 0, refused = 0;
  std::int64_t last = 0;  // seconds since 1970, when settings came into use last
  bool last_done = true;  // the last try succeeded
};

// A certificate that clients are shown.
struct certificate_expiry {
  std::string file;
  std::time_t at = 0;
};

// All that is told; views of the caller's.
struct metrics_snapshot {
  const std::vector<std::unique_ptr<worker_metrics>>& workers;
  const std::vector<scanner_metrics>& scanners;
  spool_metrics spool;
  reload_metrics reloads;
  const dns_metrics& main_dns;   // of the loop that belongs to no worker
  std::uint64_t lost_lines = 0;  // of the access log
  std::vector<certificate_expiry> certificates = {};
};

// The Prometheus text of all workers together.
std::string exposition(const metrics_snapshot& now);

}  // namespace icapgate
