// What the heads of one transaction say about its user, for a scanner to be told.
#pragma once

#include "http/head.hpp"

#include <cstddef>
#include <string>

namespace icapgate::http {

// A head of ICAP has far less room than one of HTTP: what is longer is not passed on, so that no
// client can make scanners refuse what it is sent.
inline constexpr std::size_t max_user = 255;
inline constexpr std::size_t max_proxy_fields = 4096;

// The user name of the request's only Authorization, if that is of the scheme Basic and exact (RFC
// 7617); else empty, as for a name with a control character in it. The password is not kept.
std::string basic_user(const request_head& request);

// RFC 3507 4.4.2: the two hop-by-hop fields that belong into the ICAP head. Each appends whole
// lines, or nothing.
void append_proxy_challenges(std::string& lines, const response_head& response);
void append_proxy_credentials(std::string& lines, const request_head& request);

}  // namespace icapgate::http
