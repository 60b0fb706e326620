// Which origins serve which hosts and paths, which scanners look at what they send, by which policy
// and within which limits.
#pragma once

#include "base/policy.hpp"
#include "base/url.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace icapgate {

// One or more to choose from.
struct scanner_group {
  std::vector<url> servers;  // icap://host[:port]/service
  bool embedded = false;     // "embedded:" is one of them, too, until app/ has put its URL there
  std::vector<url> standby;  // used while none of the others can be

  bool empty() const { return servers.empty() && !embedded; }
};

// What is known once a request's head is: how long its origin may take, and how much it may bring.
struct route_limits {
  std::chrono::milliseconds connect{5'000};      // to the origin, per address
  std::chrono::milliseconds first_byte{60'000};  // request sent to response head
  std::chrono::milliseconds progress{60'000};    // any other read from the origin or write to it
  std::uint64_t min_rate = 0;                    // bytes of a response's body a second; 0: any
  std::uint64_t max_body = 0;                    // bytes of a request's body; 0: no limit
};

struct route {
  std::string name;                // in the log
  std::vector<std::string> hosts;  // patterns in lower case, without the port; empty: any host
  std::string path;                // prefix without the '/' at its end; empty: any path
  std::vector<url> origins;        // at least one
  scanner_group scanners;          // its own, or else the settings'
  policy base;                     // the settings', with what this route changes
  std::vector<rule> rules;         // the settings', each with its effects over this base
  route_limits limits;             // the settings', with what this route changes
};

// Each once, in the order in which the routes name them.
std::vector<url> distinct_origins(const std::vector<route>& routes);

// Each once: first those that are some route's servers, then those that only stand by.
struct listed_scanner {
  url address;
  bool standby;
};
std::vector<listed_scanner> distinct_scanners(const std::vector<route>& routes);

}  // namespace icapgate
