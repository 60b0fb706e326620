// Who a request comes from, by way of which proxies: Forwarded (RFC 7239), X-Forwarded-*,
// X-Request-Id and traceparent, read as far as they can be trusted and written anew.
#pragma once

#include "base/network.hpp"
#include "http/head.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace icapgate::http {

// Only one of them is believed: a proxy that writes one often passes the other on from whoever sent
// it.
enum class trusted_header : std::uint8_t { x_forwarded_for, forwarded };

// Stands for the address of a client that has none.
inline constexpr std::string_view unix_client = "unix";

// The connection that a request came in on.
struct arrival {
  std::optional<ip_address> peer;       // none: a unix socket
  bool trusted = false;                 // what the peer says of others counts
  bool secure = false;                  // it speaks TLS with us
  bool own_client_certificate = false;  // what a request says of one is dropped
  std::string client_certificate;  // verified, DER in base64; empty: none, or it is nobody's matter

  // For the access log: the address, or `unix_client`.
  std::string name() const;
};

// More than these is not read, and not passed on either: what stands left of them is lost.
inline constexpr std::size_t max_hops = 32;
inline constexpr std::size_t max_hops_text = 2048;
inline constexpr std::size_t max_request_id = 64;

// What one request says, and what is said of it.
struct forwarding {
  std::string client;      // address of the nearest hop that is not trusted; or `unix_client`
  std::string request_id;  // the trusted peer's, or our own
  std::string lines;       // whole fields with CRLF, for the origin and the scanner alike
  bool secure = false;     // the client speaks TLS, as far as a trusted peer or we know
  bool own_client_certificate = false;
  std::string_view client_certificate;  // the arrival's
};

// The fields that `lines` stands for, or that nobody but a trusted peer may set: X-Forwarded-*,
// X-Real-IP, Forwarded, X-Request-Id, traceparent and tracestate. "_" counts as "-", as it does in
// the environment of a CGI program.
bool is_forwarding_field(std::string_view name);

// From an untrusted peer nothing is believed: `client` is the peer. From a trusted one the hops are
// read from the right as long as they are trusted themselves. What can't be understood ends that.
// `own_id`: for a request that brings none. All of `out` is written anew, in the room that it has.
void describe_arrival(forwarding& out, const request_head& request, const arrival& from,
                      const network_set& trusted, trusted_header believed, std::string_view own_id);

// W3C Trace Context 3.2, version 00 exactly; of later versions the part that they must begin with.
bool is_traceparent(std::string_view value);

}  // namespace icapgate::http
