#include "base/route.hpp"

#include <algorithm>

namespace icapgate {

std::vector<url> distinct_origins(const std::vector<route>& routes) {
  std::vector<url> found;
  for (const auto& r : routes)
    for (const auto& one : r.origins)
      if (std::ranges::count(found, one.to_string(), &url::to_string) == 0) found.push_back(one);
  return found;
}

std::vector<listed_scanner> distinct_scanners(const std::vector<route>& routes) {
  std::vector<listed_scanner> found;
  const auto add = [&](const url& address, bool standby) {
    const auto same = [&](const listed_scanner& one) {
      return one.address.to_string() == address.to_string();
    };
    if (std::ranges::none_of(found, same)) found.push_back({address, standby});
  };
  for (const auto& r : routes)
    for (const auto& one : r.scanners.servers) add(one, false);
  for (const auto& r : routes)
    for (const auto& one : r.scanners.standby) add(one, true);
  return found;
}

}  // namespace icapgate
