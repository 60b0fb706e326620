// What a gateway changes in a head before it passes it on (RFC 9110 7.6, RFC 9112): the rules that
// turn a parsed head into bytes again. Everything else goes on as it came, in its order.
#pragma once

#include "http/head.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::http {

struct forwarding;

// The fields of one message that end at this hop (RFC 9110 7.6.1).
class hop_by_hop {
 public:
  explicit hop_by_hop(const message_head& head);

  bool contains(const field& f) const { return f.is(role::hop_by_hop) || names(f); }
  // Connection names it.
  bool names(const field& f) const { return !nominated_.empty() && is_nominated(f.name); }

 private:
  bool is_nominated(std::string_view name) const;

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

// What is asked of the origin otherwise than the client asked.
struct request_changes {
  enum class codings : std::uint8_t {
    as_asked,
    identity,
    decodable,  // as asked, as far as we can decode them: gzip, deflate, br, zstd
  };
  codings accept_encoding = codings::as_asked;
  bool whole = false;    // no field asks for a part: the origin sends all of it
  bool upgrade = false;  // where the client wants another protocol, the origin is asked for it
  const forwarding* path = nullptr;         // stands for all that the request says of its way to us
  std::string_view pseudonym = "icapgate";  // ours, in Via
  // RFC 9440: what the request says of a client's certificate is dropped. `client_certificate` is
  // said to the origin instead: the verified one, DER in base64; empty: there is none.
  bool own_client_certificate = false;
  std::string_view client_certificate = {};
};

// RFC 9110 7.6: the request went through the gateway of that name already.
bool has_passed(const request_head& head, std::string_view pseudonym);

// RFC 9110 7.8: the client wants to go on in another protocol on this connection.
bool wants_upgrade(const request_head& head);

// Upgrade names WebSocket (RFC 6455) and nothing else. Another HTTP, such as h2c, would open the
// whole origin to requests that nobody sees.
bool names_websocket(const message_head& head);

// Appends the request as the origin gets it: origin form, Via added, body framed as it came.
void append_origin_request(std::string& wire, const request_head& head,
                           const request_changes& changes = {});

// Appends the request as the scanner sees it: absolute form, no hop-by-hop fields,
// Proxy-Authenticate and Proxy-Authorization among them (see http/identity). Without `credentials`
// the values of Authorization and Cookie are replaced by "-": ICAP is often clear text. What the
// origin was not asked as the client asked is shown as the origin was asked.
void append_scanner_request(std::string& wire, const request_head& head, bool credentials,
                            const request_changes& changes = {});

// Appends the response as the scanner sees it: no hop-by-hop fields, as above, no body framing but
// a known length. `decoded`: the scanner gets the body without its content coding, so that no field
// tells of the coding or of the coded bytes.
void append_scanner_response(std::string& wire, const response_head& head, bool decoded = false);

// Whose a response is; this tells which of the origin's fields hold no more.
enum class response_author : std::uint8_t {
  origin,
  adapted,  // the scanner's version of the origin's
  page,  // the scanner's page instead of it: nothing of the origin's, never stored, never sniffed
};

// What the client's connection needs to know beside the head's fields.
struct client_response {
  outgoing_body body;
  bool keep_alive = true;  // false: Connection: close is added
  unsigned client_version = 11;
  bool no_store = false;  // Cache-Control is replaced: a block page must not be kept by a cache
  bool upgraded = false;  // with 101: Connection and Upgrade go on
  std::string_view accept_ranges = {};  // instead of the head's; empty: that stays
  std::string_view via = {};            // our name there, for what an origin sent; empty: none
  std::string_view date = {};           // where the head has none (RFC 9110 6.6.1); empty: not

  // With author adapted and page. A field that the scanner only copied from `origin` goes if it
  // tells of the origin's bytes (RFC 9110 8.8, 14.3; RFC 9530); one of its own making stays.
  response_author author = response_author::origin;
  const response_head* origin = nullptr;
  bool decoded = false;    // as to append_scanner_response: what was not shown can't be copied
  bool same_body = false;  // adapted: byte for byte the origin's

  // Set for ranges cut from a whole response (RFC 9110 15.3.7).
  unsigned status = 0;                  // instead of the head's; 0: that stays
  std::string_view content_range = {};  // likewise; empty: the head's stays
  std::string_view content_type = {};   // likewise
};

// Appends the response as the client gets it.
void append_client_response(std::string& wire, const response_head& head,
                            const client_response& to);

// Appends an interim response as a client of version 1.1 gets it (RFC 9110 15.2). `hints_only`: of
// a response that is to be scanned, before a verdict, 103 tells its links and the others nothing.
void append_interim_response(std::string& wire, const response_head& head, bool hints_only);

// The standard's words for a status; empty for one that it doesn't name.
std::string_view reason_phrase(unsigned status);

// An interim response to the client.
inline constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace icapgate::http
