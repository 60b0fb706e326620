// What a gateway changes in a head before it passes it on (RFC 9110 7.6, RFC 9112): the rules that
// turn a parsed head into bytes again. Everything else goes on as it came, in its order.
#pragma once

#include "http/head.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::http {

// The fields of one message that end at this hop (RFC 9110 7.6.1).
class hop_by_hop {
 public:
  explicit hop_by_hop(const message_head& head);

  bool contains(const field& f) const;

 private:
  std::vector<std::string_view> nominated_;  // by Connection, beyond the well-known ones; sorted
};

// How a body is delimited on its way out.
struct outgoing_body {
  enum class kind {
    unchanged,  // the head's own Content-Length stands, or there is no body
    length,     // `length` bytes, whatever the head said
    chunked,
    until_close,
  };
  kind framing = kind::unchanged;
  std::uint64_t length = 0;
};

// Appends the request as the origin gets it: origin form, Via added, body framed as it came.
void append_origin_request(std::string& wire, const request_head& head);

// Appends the request as the scanner sees it: absolute form, no hop-by-hop fields,
// Proxy-Authenticate and Proxy-Authorization among them (see http/identity). Without `credentials`
// the values of Authorization and Cookie are replaced by "-": ICAP is often clear text.
void append_scanner_request(std::string& wire, const request_head& head, bool credentials);

// Appends the response as the scanner sees it: no hop-by-hop fields, as above, no body framing but
// a known length.
void append_scanner_response(std::string& wire, const response_head& head);

// What the client's connection needs to know beside the origin's fields.
struct client_response {
  outgoing_body body;
  bool keep_alive = true;  // false: Connection: close is added
  unsigned client_version = 11;
  bool no_store = false;  // Cache-Control is replaced: a block page must not be kept by a cache
};

// Appends the response as the client gets it.
void append_client_response(std::string& wire, const response_head& head,
                            const client_response& to);

// An interim response to the client.
inline constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace icapgate::http
