// The head of an HTTP/1.1 message as a flat list of views: order, duplicates and case are kept.
#pragma once

#include "base/error.hpp"
#include "base/text.hpp"
#include "http/field_roles.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace icapgate::http {

struct field {
  field(field_id its_id, std::string_view its_name, std::string_view its_value,
        bool stands_as_line = false)
      : id(its_id),
        name(its_name),
        value(its_value),
        roles(roles_of(its_id, its_name)),
        is_line(stands_as_line) {}

  bool is(field_roles any_of) const { return (roles & any_of) != 0; }

  field_id id;             // unknown for fields that Beast has no name for
  std::string_view name;   // as received
  std::string_view value;  // blanks around it removed
  field_roles roles;
  // Name, ": ", value and CRLF stand so in the text that was parsed: the line can be copied whole.
  bool is_line = false;
};

// How a message's body is delimited (RFC 9112 6.3).
enum class body_framing {
  none,         // no body follows the head
  length,       // Content-Length bytes
  chunked,      // the chunked coding
  until_close,  // all bytes to the end of the connection (responses only)
};

struct message_head {
  unsigned version = 11;  // 10 or 11
  std::vector<field> fields;
  body_framing framing = body_framing::none;
  std::uint64_t content_length = 0;  // with framing length
  bool keep_alive = false;           // the peer allows another message on this connection
  bool nominates = true;  // Connection may name fields; false only where it was seen to name none

  const field* find(field_id id) const;
  // The value of the only such field: nothing where it is missing or stands twice.
  std::optional<std::string_view> sole_value(field_id id) const;
  std::optional<std::string_view> sole_value(std::string_view name) const;
};

struct request_head : message_head {
  std::string_view method;
  std::string_view target;        // as received
  std::string_view host;          // of the target in absolute form, else of the Host field; they
                                  // differ in case and default port at most
  std::string_view origin_form;   // path and query, "*" for OPTIONS *
  bool expects_continue = false;  // Expect: 100-continue
  std::optional<std::uint32_t> max_forwards = {};  // of OPTIONS (RFC 9110 7.6.2)

  bool is_head() const { return method == "HEAD"; }
  bool is_idempotent() const;  // RFC 9110 9.2.2
};

struct response_head : message_head {
  unsigned status = 0;
  std::string_view reason;

  bool is_interim() const { return status < 200; }
};

// Parses a whole head, start line to empty line; the views in `out` point into `text`.
// The framing must be unambiguous (RFC 9112 6.1, 6.3): one Content-Length of digits, or exactly
// "Transfer-Encoding: chunked", never both. CONNECT and TRACE are refused, and so is the wish to go
// on in HTTP/2: what follows it would be requests that nobody reads here.
// Errors: client_head_invalid, client_version_unsupported, client_method_refused,
// client_coding_unsupported, client_expectation_unsupported, policy_upgrade_refused.
// `secure`: the connection speaks TLS, so that an absolute target is an https:// one.
errc parse_request(std::string_view text, request_head& out, bool secure = false);

// As above. `to_head`: the response answers a HEAD request and has no body whatever its fields say.
// Errors: origin_head_invalid.
errc parse_response(std::string_view text, bool to_head, response_head& out);

using icapgate::iequals;

// Whether programs behind a gateway may read `name` as the `known` one, which is in lower case:
// many, as CGI programs, take "_" for "-".
bool is_taken_for(std::string_view name, std::string_view known);

// Calls `each` with every element of a comma-separated list, blanks removed, empty ones left out.
template <class F>
void for_each_token(std::string_view list, F&& each) {
  while (!list.empty()) {
    const auto token = trim(split_off(list, ","));
    if (!token.empty()) each(token);
  }
}

}  // namespace icapgate::http
