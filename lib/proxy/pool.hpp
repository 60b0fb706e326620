// Idle connections to one peer, most recently used first.
#pragma once

#include "proxy/stream.hpp"

#include <algorithm>
#include <memory>
#include <vector>

namespace icapgate::proxy {

// Connection has `std::unique_ptr<stream> socket`. Worker thread only. Where a connection is not
// put back, it closes.
template <class Connection>
class idle_pool {
 public:
  // `max`: connections kept; `idle`: how long each is kept without use.
  idle_pool(std::size_t max, milliseconds idle) : max_(max), idle_(idle) {}

  // The most recently used one that is still open and silent, or nullptr.
  std::unique_ptr<Connection> take() {
    while (!idle_connections_.empty()) {
      auto c = std::move(idle_connections_.back());
      idle_connections_.pop_back();
      if (!c->socket->expired() && c->socket->is_quiet()) return c;
    }
    return nullptr;
  }

  // Only for a connection whose last exchange ended cleanly in both directions.
  void put(std::unique_ptr<Connection> c) {
    if (idle_connections_.size() >= max_) return;
    c->socket->expires_after(idle_);
    idle_connections_.push_back(std::move(c));
  }

  // Closes what was idle for too long.
  void reap() {
    std::erase_if(idle_connections_, [](const auto& c) { return c->socket->expired(); });
  }
  void clear() { idle_connections_.clear(); }
  std::size_t size() const { return idle_connections_.size(); }

 private:
  std::size_t max_;
  milliseconds idle_;
  std::vector<std::unique_ptr<Connection>> idle_connections_;
};

}  // namespace icapgate::proxy
