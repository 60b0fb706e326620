// Idle connections to one peer, most recently used first.
#pragma once

#include "proxy/stream.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <poll.h>

namespace icapgate::proxy {

// How long an unused connection is kept: what the settings allow, and less once the peer was seen
// to close earlier. Pure: the caller tells the time.
class idle_limit {
 public:
  static constexpr milliseconds least{1'000};

  // 0: for ever, until the peer teaches otherwise.
  explicit idle_limit(milliseconds allowed) : allowed_(allowed), limit_(allowed) {}

  // For a connection that becomes unused now. 0: for ever.
  milliseconds now(clock::time_point at);
  // The peer closed a connection that was unused for `age`: later ones are kept for three quarters
  // of that, which the limit forgets again, by a half each minute.
  void closed_by_peer(milliseconds age, clock::time_point at);

 private:
  const milliseconds allowed_;
  milliseconds limit_;
  clock::time_point learned_{};
};

// Asks the system for all of `sockets` at once: those that have something to say get `revents`.
void poll_now(std::span<pollfd> sockets);

// Connection has `std::unique_ptr<stream> socket`. Worker thread only. Where a connection is not
// put back, it closes.
template <class Connection>
class idle_pool {
 public:
  // `max`: connections kept; `idle`: how long each is kept without use.
  idle_pool(std::size_t max, milliseconds idle) : max_(max), limit_(idle) {}

  // The most recently used one that is still open and silent, or nullptr.
  std::unique_ptr<Connection> take() {
    while (!entries_.empty()) {
      auto last = std::move(entries_.back());
      entries_.pop_back();
      if (last.it->socket->expired()) continue;
      if (last.it->socket->is_quiet()) return std::move(last.it);
      if (!drop_closed()) learn(last.since, clock::now());
    }
    return nullptr;
  }

  // Only for a connection whose last exchange ended cleanly in both directions.
  void put(std::unique_ptr<Connection> c) {
    if (entries_.size() >= max_) return;
    const auto now = c->socket->now();
    c->socket->expires_after(limit_.now(now));
    entries_.push_back({std::move(c), now});
  }

  // Closes what was idle for too long, and what the peer has closed.
  void reap() {
    std::erase_if(entries_, [](const entry& e) { return e.it->socket->expired(); });
    drop_closed();
  }
  void clear() { entries_.clear(); }
  // From now on none is kept.
  void close() {
    max_ = 0;
    entries_.clear();
  }
  std::size_t size() const { return entries_.size(); }

 private:
  struct entry {
    std::unique_ptr<Connection> it;
    clock::time_point since;
  };

  // A peer that stops closes all it has at once: only the one that was idle for longest, the first,
  // can teach when it closes idle ones. Whether there was any.
  bool drop_closed() {
    if (entries_.empty()) return false;
    polled_.clear();
    for (const auto& e : entries_)
      polled_.push_back({e.it->socket->number(), POLLIN | POLLRDHUP, 0});
    poll_now(polled_);
    const auto now = clock::now();
    bool any = false;
    std::size_t at = 0;
    std::erase_if(entries_, [&](const entry& e) {
      if (polled_[at++].revents == 0 || e.it->socket->is_quiet()) return false;
      if (!std::exchange(any, true)) learn(e.since, now);
      return true;
    });
    return any;
  }

  void learn(clock::time_point since, clock::time_point now) {
    limit_.closed_by_peer(std::chrono::duration_cast<milliseconds>(now - since), now);
  }

  std::size_t max_;
  idle_limit limit_;
  std::vector<entry> entries_;  // the least recently used first
  std::vector<pollfd> polled_;
};

}  // namespace icapgate::proxy
