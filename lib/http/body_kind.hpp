// What a response's body is, as far as its head tells.
#pragma once

#include "http/head.hpp"

#include <string>
#include <string_view>

namespace icapgate::http {

// Type and subtype without parameters (RFC 9110 8.3.1); empty unless there is exactly one
// Content-Type, and a valid one.
std::string_view media_type_of(const response_head& response);

// Server-sent events: both sides say so, the request's Accept and the response's Content-Type. One
// alone could be said to get round the scan.
bool is_event_stream(const request_head& request, const response_head& response);

// All Content-Encoding fields as one list (RFC 9110 5.3, 8.4).
std::string content_encoding_of(const response_head& response);

}  // namespace icapgate::http
