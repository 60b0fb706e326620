// Any DNS message: targets have names that a host can have and a port, there are no more than are
// kept, and an order of them loses none and begins with the lowest priority.
#include "base/srv.hpp"
#include "require.hpp"

#include <algorithm>
#include <cstdint>
#include <tuple>

using namespace icapgate;

namespace {

bool is_host(const std::string& name) {
  return !name.empty() && name.size() <= 253 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

auto key(const srv_target& one) {
  return std::tie(one.priority, one.weight, one.port, one.host);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto found = parse_srv_answer({data, size});
  if (!found) return 0;
  auto& targets = found->targets;
  require(targets.size() <= 64 && found->ttl.count() >= 0);
  for (const auto& one : targets) require(one.port != 0 && is_host(one.host));
  auto ordered = targets;
  std::uint32_t drawn = static_cast<std::uint32_t>(size);
  order_targets(ordered, [&](std::uint32_t most) {
    drawn = drawn * 1664525 + 1013904223;
    return most == 0xffffffff ? drawn : drawn % (most + 1);
  });
  require(std::ranges::is_sorted(ordered, {}, &srv_target::priority));
  std::ranges::sort(ordered, {}, key);
  std::ranges::sort(targets, {}, key);
  require(ordered == targets);
  return 0;
}
