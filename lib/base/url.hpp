// Addresses as users write them in settings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace icapgate {

// host:port or unix:/path/to/socket, to listen on. The host is an IP literal (without brackets) or
// a name.
struct endpoint {
  std::string host;
  std::uint16_t port = 0;     // 0: any free port
  std::string unix_socket{};  // its path, absolute; empty: TCP

  std::string to_string() const;  // IPv6 in brackets

  bool operator==(const endpoint&) const = default;
};

// scheme://host[:port][/path][?query], without user information or fragment; or a scanner behind a
// unix socket: icap+unix:/path/to/socket:/service[?query]; or an origin: http+unix:/path/to/socket.
// Or scheme+srv://_service._proto.host/..., where DNS knows the hosts and ports (RFC 2782).
struct url {
  std::string scheme;  // lower case
  // Lower case, without brackets; "localhost" behind a unix socket; of scheme+srv:// what stands
  // behind the labels that begin with '_', which is the name that a certificate has to hold.
  std::string host;
  std::uint16_t port = 0;     // the scheme's default where none was given (http 80, icap 1344);
                              // 0 where DNS knows
  std::string path;           // byte for byte as written, with the query; may be empty
  std::string unix_socket{};  // its path, absolute, without ":/"; empty: TCP
  std::string srv_name{};     // whose SRV records are asked for, whole; empty: none are

  bool secured() const;  // by TLS
  // host:port as a Host field has it: IPv6 in brackets, default port left out.
  std::string authority() const;
  // As a user writes it.
  std::string to_string() const;
  // As it stands in a request: a unix socket is no business of the server behind it.
  std::string request_uri() const;

  bool operator==(const url&) const = default;
};

// Parse or explain: on failure `why` says what is wrong, in words for the user, as the end of a
// sentence that begins with the text itself: `"http://" has no host`. `out` is then unchanged.
bool parse_endpoint(std::string_view text, endpoint& out, std::string& why);
bool parse_url(std::string_view text, url& out, std::string& why);

// The text with "user:password@" replaced by "-@" where its authority has one: for logs and
// messages.
std::string without_user_info(std::string_view text);

}  // namespace icapgate
