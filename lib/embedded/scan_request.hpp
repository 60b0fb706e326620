// An ICAP request as the embedded test scanner reads it (RFC 3507 4.3). No socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace icapgate::embedded {

struct scan_request {
  enum class method : std::uint8_t { options, respmod };

  method what = method::options;
  bool allow_204 = false;
  bool preview = false;           // the body stops at the preview until it is asked for
  bool has_body = false;          // res-body, else null-body
  bool close = false;             // Connection: close
  std::size_t heads = 0;          // bytes of the encapsulated heads, all together
  std::size_t response_head = 0;  // where res-hdr begins in them; == heads where there is none
};

inline constexpr std::size_t max_request_head = 16384;  // bytes of an ICAP head
inline constexpr std::size_t max_http_heads = 262144;   // bytes of req-hdr and res-hdr together

// Parses a whole ICAP head, request line to empty line. Returns 200, or the ICAP status that
// refuses it: 400, 405 (REQMOD), 501 (other methods), 505.
unsigned parse_scan_request(std::string_view head, scan_request& out);

}  // namespace icapgate::embedded
