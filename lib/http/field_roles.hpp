// What this gateway does with a field, by its name: found once, when the field is parsed, so that
// no rule compares names.
#pragma once

#include <boost/beast/http/field.hpp>

#include <cstdint>
#include <string_view>

namespace icapgate::http {

using field_id = boost::beast::http::field;

// One bit each; a field may have several.
using field_roles = std::uint32_t;

namespace role {

inline constexpr field_roles host = 1 << 0;
inline constexpr field_roles connection = 1 << 1;
inline constexpr field_roles upgrade = 1 << 2;
inline constexpr field_roles content_length = 1 << 3;
inline constexpr field_roles transfer_encoding = 1 << 4;
inline constexpr field_roles other_hop = 1 << 5;  // Keep-Alive, Proxy-Connection, TE, Trailer
inline constexpr field_roles expect = 1 << 6;
inline constexpr field_roles max_forwards = 1 << 7;
inline constexpr field_roles via = 1 << 8;
inline constexpr field_roles date = 1 << 9;
inline constexpr field_roles credential = 1 << 10;   // Authorization, Cookie
inline constexpr field_roles for_proxies = 1 << 11;  // Proxy-Authenticate, Proxy-Authorization
inline constexpr field_roles accept_encoding = 1 << 12;
inline constexpr field_roles range_request = 1 << 13;  // see is_range_field
inline constexpr field_roles forwarding = 1 << 14;     // see is_forwarding_field
inline constexpr field_roles client_certificate = 1 << 15;
inline constexpr field_roles disguised = 1 << 16;  // Content_Length and the like
inline constexpr field_roles cache_control = 1 << 17;
inline constexpr field_roles accept_ranges = 1 << 18;
inline constexpr field_roles content_range = 1 << 19;
inline constexpr field_roles content_type = 1 << 20;
inline constexpr field_roles content_sum = 1 << 21;  // Content-MD5, Content-Digest: of what is sent
inline constexpr field_roles type_options = 1 << 22;  // X-Content-Type-Options

// What ends at this hop (RFC 9110 7.6.1), with the fields that older peers send.
inline constexpr field_roles hop_by_hop = connection | upgrade | transfer_encoding | other_hop;

}  // namespace role

field_roles roles_of(field_id id, std::string_view name);

}  // namespace icapgate::http
