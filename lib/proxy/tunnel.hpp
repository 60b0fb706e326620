// After a 101 both peers speak another protocol (RFC 9110 7.8): bytes pass both ways, unread.
#pragma once

#include "proxy/block_pool.hpp"
#include "proxy/stream.hpp"

#include <cstdint>
#include <string_view>

namespace icapgate::proxy {

// What went through. Worker thread only.
struct tunnel_bytes {
  std::uint64_t to_client = 0;
  std::uint64_t to_origin = 0;
};

// Runs until both sides have ended their halves, one fails, or no byte moved for `idle` (0: no
// limit). `from_client`, `from_origin`: what was received of either protocol already. Returns
// complete, or tunnel_idle.
task<errc> run_tunnel(stream& client, stream& origin, std::string_view from_client,
                      std::string_view from_origin, block_pool& blocks, milliseconds idle,
                      tunnel_bytes& moved);

}  // namespace icapgate::proxy
