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

}  // namespace icapgate
