// ICAP messages as bytes (RFC 3507): the head of a request, the head of a response. No socket.
#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::icap {

// What a RESPMOD request says before its body. Views are the caller's and are only read.
struct respmod_request {
  std::string_view uri;   // absolute: icap://host:port/service (RFC 3507 4.2)
  std::string_view host;  // the Host field's value
  std::string_view
      request_head;  // encapsulated req-hdr: start line, fields, empty line; never empty
  std::string_view response_head;  // encapsulated res-hdr: likewise
  std::string_view
      request_id;        // sent as X-Request-Id, so that both logs can be joined; may be empty
  bool has_body = true;  // false: null-body (RFC 3507 4.4.1)
};

// Appends the ICAP head and the encapsulated heads, with exact Encapsulated offsets. `Allow: 204`
// is always sent: the gateway holds the body until the verdict (RFC 3507 4.6).
void append_respmod(std::string& wire, const respmod_request& request);

// Appends an OPTIONS request.
void append_options(std::string& wire, std::string_view uri, std::string_view host);

// One field of a head. A folded value (obs-fold) keeps its inner line breaks, since
// X-Violations-Found needs them; blanks around the value are removed.
struct field {
  std::string_view name;
  std::string_view value;
};

// Reads the fields of "Name: value CRLF ..." (an ICAP head, an encapsulated HTTP head without its
// start line, a trailer section) until the text ends or an empty line. Names are not checked
// against a list. Accepts "Name:value" without a blank. False: a line that is no field; `out` holds
// those before.
bool parse_fields(std::string_view text, std::vector<field>& out);

// The first field of that name (case-insensitive), or nullptr.
const field* find(const std::vector<field>& fields, std::string_view name);

enum class section { req_hdr, res_hdr, req_body, res_body, opt_body, null_body };

constexpr bool is_body(section kind) {
  return kind > section::res_hdr;
}

struct encapsulated_section {
  section kind;
  std::uint64_t offset;
};

// "res-hdr=0, res-body=132". Offsets must rise from 0, in the order of the enumeration, and at most
// one body stands last (RFC 3507 4.4.1). Never empty. Errors: icap_answer_invalid.
result<std::vector<encapsulated_section>> parse_encapsulated(std::string_view value);

// The head of an ICAP response. Views point into the text that was parsed.
struct response_head {
  unsigned status = 0;      // three digits
  std::string_view reason;  // may be empty
  std::vector<field> fields;
  bool close = false;  // Connection: close
};

inline constexpr std::string_view response_start = "ICAP/1.0 ";
inline constexpr std::size_t max_response_head = 16384;       // bytes
inline constexpr std::size_t max_encapsulated_heads = 65536;  // bytes, req-hdr and res-hdr together

// Parses a whole head, start line to empty line. The status line must be "ICAP/1.0 SP 3DIGIT".
// Errors: icap_answer_invalid.
result<response_head> parse_response_head(std::string_view text);

}  // namespace icapgate::icap
