// Where a request is meant to go: the host and port of a target or a Host field.
#pragma once

#include <optional>
#include <string_view>

namespace icapgate::http {

// RFC 3986 3.2.2, 3.2.3.
struct authority {
  std::string_view host;  // with the brackets of an IPv6 address
  std::string_view port;  // empty: none is named
};

// RFC 9110 7.2: uri-host [ ":" port ], with a host and without user information. The views point
// into `text`.
std::optional<authority> read_authority(std::string_view text);

// No port is port 80, for https 443 (RFC 9110 4.2.1, 4.2.2).
bool is_same(const authority& a, const authority& b, bool secure = false);

// A host without the port and the dot of the root; empty if it is none that patterns could name.
std::string_view host_name(std::string_view host);

}  // namespace icapgate::http
