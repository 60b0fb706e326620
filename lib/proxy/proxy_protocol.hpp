// The PROXY protocol, versions 1 and 2: what a load balancer says of a connection before its first
// byte. Reads bytes, no socket.
#pragma once

#include "base/network.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace icapgate::proxy {

// Version 1: with the line's end, the protocol's own limit. Version 2: with all that is appended
// to the addresses (TLVs, which are not read); longer ones are invalid.
inline constexpr std::size_t max_proxy_line = 107;
inline constexpr std::size_t max_proxy_header = 4096;

struct proxy_header {
  enum class status : std::uint8_t {
    need_more,  // every byte so far belongs to the header, and it goes on
    invalid,
    complete,
  };
  status state = status::need_more;
  std::size_t size = 0;  // complete: what comes behind so many bytes is the client's

  // None where the header names none that could be a client of ours: v1 UNKNOWN, v2 LOCAL (the
  // balancer speaks for itself), AF_UNSPEC, AF_UNIX. Then the connection's own address counts.
  std::optional<ip_address> client{};
  std::uint16_t client_port = 0;
};

// `received`: from the connection's first byte on.
proxy_header parse_proxy_header(std::string_view received);

}  // namespace icapgate::proxy
