// SRV records (RFC 2782): which hosts and ports serve a name, and in which order they are tried.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace icapgate {

struct srv_target {
  std::uint16_t priority = 0;  // the lowest is tried first
  std::uint16_t weight = 0;    // its share among those of one priority
  std::uint16_t port = 0;
  std::string host;  // lower case, without the root's dot

  bool operator==(const srv_target&) const = default;
};

struct srv_answer {
  std::vector<srv_target> targets;  // as they came
  std::chrono::seconds ttl{0};      // the least of all records
};

// What of a DNS answer can be used: the first 64 of its SRV records that name a host and a port.
// Nothing where it is no DNS answer (RFC 1035 4.1), or ends too early.
std::optional<srv_answer> parse_srv_answer(std::span<const std::uint8_t> message);

// In the order of RFC 2782, which is another one each time. `random(n)` is any number from 0 to n.
void order_targets(std::vector<srv_target>& targets,
                   const std::function<std::uint32_t(std::uint32_t)>& random);

}  // namespace icapgate
