// Which origins serve which hosts and paths, and by which policy.
#pragma once

#include "base/policy.hpp"
#include "base/url.hpp"

#include <string>
#include <vector>

namespace icapgate {

struct route {
  std::string name;                // in the log
  std::vector<std::string> hosts;  // patterns in lower case, without the port; empty: any host
  std::string path;                // prefix without the '/' at its end; empty: any path
  std::vector<url> origins;        // at least one
  policy base;                     // the settings', with what this route changes
  std::vector<rule> rules;         // the settings', each with its effects over this base
};

// Each once, in the order in which the routes name them.
std::vector<url> distinct_origins(const std::vector<route>& routes);

}  // namespace icapgate
