#include "proxy/admission.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace icapgate::proxy {
namespace {

// Whoever has one address of a /64 has all of them.
constexpr unsigned counted_v6_prefix = 64;
constexpr std::size_t largest_reserve = 4096;

ip_address counted(const ip_address& address) {
  return address.is_v4() ? address : address.first_of(counted_v6_prefix);
}

}  // namespace

admission::admission(const limits& its)
    : most_(its.all), most_per_address_(its.per_address), descriptors_(its.descriptors) {}

void admission::change(const limits& to) {
  most_.store(to.all, std::memory_order_relaxed);
  most_per_address_.store(to.per_address, std::memory_order_relaxed);
}

admission::ticket::~ticket() {
  if (!from_) return;
  if (address_) from_->remove(*address_);
  from_->all_.fetch_sub(1, std::memory_order_relaxed);
}

bool admission::ticket::count(const ip_address& address) {
  if (from_->most_per_address_.load(std::memory_order_relaxed) == 0) return true;
  const auto key = counted(address);
  if (!from_->add(key)) return false;
  address_ = key;
  return true;
}

std::optional<admission::ticket> admission::enter() {
  const auto before = all_.fetch_add(1, std::memory_order_relaxed);
  const auto most = most_.load(std::memory_order_relaxed);
  if (most == 0 || before < most) return ticket(*this);
  all_.fetch_sub(1, std::memory_order_relaxed);
  return std::nullopt;
}

bool admission::may_use(int descriptor) const {
  if (descriptors_ == 0) return true;
  const auto reserve = std::min(descriptors_ / 4, largest_reserve);
  return static_cast<std::size_t>(descriptor) < descriptors_ - reserve;
}

bool admission::add(const ip_address& key) {
  auto& home = shard_of(key);
  const std::scoped_lock lock(home.mutex);
  const auto at = home.clients.try_emplace(key, 0).first;
  const auto most = most_per_address_.load(std::memory_order_relaxed);
  if (most != 0 && at->second >= most) return false;
  ++at->second;
  return true;
}

void admission::remove(const ip_address& key) {
  auto& home = shard_of(key);
  const std::scoped_lock lock(home.mutex);
  const auto at = home.clients.find(key);
  if (--at->second == 0) home.clients.erase(at);
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur == RLIM_INFINITY ? 0 : static_cast<std::size_t>(limit.rlim_cur);
}

}  // namespace icapgate::proxy
